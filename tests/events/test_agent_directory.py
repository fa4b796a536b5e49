"""Tests: an agent's event gets the team and site that the agent had at the time, and no others."""

from typing import Any

import pytest

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.agent_directory import (
    EMPTY_DIRECTORY,
    AgentDirectory,
    TeamMembership,
    memberships_overlap,
)

NOON_S = 1_767_268_800
NOON = NOON_S * 1000
CALL: dict[str, Any] = {"contact_id": "c", "queue": "q", "agent_id": "ann", "ended_at": NOON_S}


def added_fields(
    memberships: list[TeamMembership], topic: str = "call-completed", **changed: Any
) -> dict[str, Any]:
    """Return the fields that were added or changed."""
    before = CALL | changed
    after = AgentDirectory({"ann": memberships}).with_membership(OutgoingEvent(topic, before))
    assert after.topic == topic
    return {name: value for name, value in after.data.items() if before.get(name) != value}


@pytest.mark.parametrize(
    ("stay", "added"),
    [
        (TeamMembership("red", "madrid"), {"team": "red", "site": "madrid"}),
        (TeamMembership("red"), {"team": "red"}),
        (TeamMembership(site="madrid"), {"site": "madrid"}),
        (TeamMembership("red", start_ms=NOON), {"team": "red"}),
        (TeamMembership("red", start_ms=NOON + 1), {}),
        (TeamMembership("red", end_ms=NOON), {}),
        (TeamMembership("red", end_ms=NOON + 1), {"team": "red"}),
    ],
)
def test_the_stay_of_that_moment_is_added_from_its_start_until_just_before_its_end(
    stay: TeamMembership, added: dict[str, str]
) -> None:
    assert added_fields([stay]) == added


def test_of_several_stays_it_is_the_one_of_that_moment_in_whatever_order_they_stand() -> None:
    stays = [
        TeamMembership("blue", start_ms=NOON),
        TeamMembership("red", start_ms=NOON - 10, end_ms=NOON),
        TeamMembership("old", end_ms=NOON - 20),
    ]
    assert added_fields(stays) == {"team": "blue"}
    assert added_fields(stays, ended_at=NOON_S - 0.001) == {"team": "red"}
    assert added_fields(stays, ended_at=NOON_S - 0.011) == {}
    assert added_fields(stays, ended_at=NOON_S - 0.021) == {"team": "old"}


def test_what_the_event_says_itself_is_never_changed() -> None:
    assert added_fields([TeamMembership("red", "madrid")], team="own") == {"site": "madrid"}
    assert added_fields([TeamMembership("red", "madrid")], team="own", site="own") == {}
    assert added_fields([TeamMembership("red")], team="") == {"team": "red"}


@pytest.mark.parametrize("agent", [None, "bob", ["ann"]])
def test_of_another_agent_or_none_nothing_is_known(agent: object) -> None:
    assert added_fields([TeamMembership("red")], agent_id=agent) == {}


def test_an_agent_s_id_may_be_a_number() -> None:
    sent = OutgoingEvent("call-completed", {**CALL, "agent_id": 17})
    assert AgentDirectory({"17": [TeamMembership("red")]}).with_membership(sent).data["team"] == "red"


@pytest.mark.parametrize("ended_at", [None, "yesterday"])
def test_without_a_time_nothing_is_added(ended_at: object) -> None:
    assert added_fields([TeamMembership("red")], ended_at=ended_at) == {}


def test_surveys_name_a_team_too_and_evaluations_cannot() -> None:
    assert added_fields([TeamMembership("red")], "survey-completed", answered_at=NOON_S) == {"team": "red"}
    assert added_fields([TeamMembership("red")], "survey-sent", sent_at=NOON_S) == {"team": "red"}
    assert added_fields([TeamMembership("red")], "contact-evaluated", evaluated_at=NOON_S) == {}


def test_an_empty_directory_leaves_all_as_it_is() -> None:
    sent = OutgoingEvent("call-completed", CALL)
    assert EMPTY_DIRECTORY.with_membership(sent) is sent


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([], False),
        ([TeamMembership()], False),
        ([TeamMembership(end_ms=5), TeamMembership(start_ms=5)], False),
        ([TeamMembership(start_ms=5), TeamMembership(end_ms=5)], False),
        ([TeamMembership(end_ms=6), TeamMembership(start_ms=5)], True),
        ([TeamMembership(), TeamMembership(start_ms=5)], True),
        ([TeamMembership(), TeamMembership()], True),
    ],
)
def test_stays_overlap_where_one_begins_before_the_other_ends(
    stays: list[TeamMembership], expected: bool
) -> None:
    assert memberships_overlap(stays) is expected
