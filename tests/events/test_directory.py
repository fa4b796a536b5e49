"""Tests: an agent's event gets the team and site that the agent had at the time, and no others."""

from typing import Any

import pytest

from streamer.events.adapters.source import Sent
from streamer.events.directory import NOBODY, Directory, Stay, overlapping

NOON_S = 1_767_268_800
NOON = NOON_S * 1000
CALL: dict[str, Any] = {"contact_id": "c", "queue": "q", "agent_id": "ann", "ended_at": NOON_S}


def completed(stays: list[Stay], topic: str = "call-completed", **changed: Any) -> dict[str, Any]:
    """Return the fields that were added or changed."""
    before = CALL | changed
    after = Directory({"ann": stays}).completed(Sent(topic, before))
    assert after.topic == topic
    return {name: value for name, value in after.data.items() if before.get(name) != value}


@pytest.mark.parametrize(
    ("stay", "added"),
    [
        (Stay("red", "madrid"), {"team": "red", "site": "madrid"}),
        (Stay("red"), {"team": "red"}),
        (Stay(site="madrid"), {"site": "madrid"}),
        (Stay("red", start=NOON), {"team": "red"}),
        (Stay("red", start=NOON + 1), {}),
        (Stay("red", end=NOON), {}),
        (Stay("red", end=NOON + 1), {"team": "red"}),
    ],
)
def test_the_stay_of_that_moment_is_added_from_its_start_until_just_before_its_end(
    stay: Stay, added: dict[str, str]
) -> None:
    assert completed([stay]) == added


def test_of_several_stays_it_is_the_one_of_that_moment_in_whatever_order_they_stand() -> None:
    stays = [Stay("blue", start=NOON), Stay("red", start=NOON - 10, end=NOON), Stay("old", end=NOON - 20)]
    assert completed(stays) == {"team": "blue"}
    assert completed(stays, ended_at=NOON_S - 0.001) == {"team": "red"}
    assert completed(stays, ended_at=NOON_S - 0.011) == {}
    assert completed(stays, ended_at=NOON_S - 0.021) == {"team": "old"}


def test_what_the_event_says_itself_is_never_changed() -> None:
    assert completed([Stay("red", "madrid")], team="own") == {"site": "madrid"}
    assert completed([Stay("red", "madrid")], team="own", site="own") == {}
    assert completed([Stay("red")], team="") == {"team": "red"}


@pytest.mark.parametrize("agent", [None, "bob", ["ann"]])
def test_of_another_agent_or_none_nothing_is_known(agent: object) -> None:
    assert completed([Stay("red")], agent_id=agent) == {}


def test_an_agent_s_id_may_be_a_number() -> None:
    sent = Sent("call-completed", {**CALL, "agent_id": 17})
    assert Directory({"17": [Stay("red")]}).completed(sent).data["team"] == "red"


@pytest.mark.parametrize("ended_at", [None, "yesterday"])
def test_without_a_time_nothing_is_added(ended_at: object) -> None:
    assert completed([Stay("red")], ended_at=ended_at) == {}


def test_surveys_name_a_team_too_and_evaluations_cannot() -> None:
    assert completed([Stay("red")], "survey-completed", answered_at=NOON_S) == {"team": "red"}
    assert completed([Stay("red")], "survey-sent", sent_at=NOON_S) == {"team": "red"}
    assert completed([Stay("red")], "contact-evaluated", evaluated_at=NOON_S) == {}


def test_an_empty_directory_leaves_all_as_it_is() -> None:
    sent = Sent("call-completed", CALL)
    assert NOBODY.completed(sent) is sent


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([], False),
        ([Stay()], False),
        ([Stay(end=5), Stay(start=5)], False),
        ([Stay(start=5), Stay(end=5)], False),
        ([Stay(end=6), Stay(start=5)], True),
        ([Stay(), Stay(start=5)], True),
        ([Stay(), Stay()], True),
    ],
)
def test_stays_overlap_where_one_begins_before_the_other_ends(stays: list[Stay], expected: bool) -> None:
    assert overlapping(stays) is expected
