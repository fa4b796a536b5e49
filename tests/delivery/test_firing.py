"""Alertmanager receives what fires and, for a while, what resolved; labels stay the same meanwhile."""

import pytest
from msgspec.structs import replace

from streamer.alerts.message import Contributor
from streamer.alerts.states import Alert
from streamer.delivery.alertmanager import annotations, labels, moment
from streamer.delivery.firing import EXPIRES_MS, OVER_MS, firing
from streamer.delivery.record import EMPTY, Record, turned
from streamer.events.rules import HOUR
from tests.delivery.said import NOW, alert, message, turn


def record(*alerts: Alert) -> Record:
    """Return a state in which each alert was sent when it fired."""
    begun = [replace(one, phase="firing", resolved_at=None) for one in alerts]
    told = turned(EMPTY, turn(*begun, told=[message(one) for one in begun]))
    return turned(told, turn(*alerts))


def spans(record: Record, now: int) -> list[tuple[str, str, str]]:
    return [(one["labels"]["queue"], one["startsAt"], one["endsAt"]) for one in firing(record, now)]


def test_what_fires_or_is_clearing_ends_a_little_later_than_it_is_told_again() -> None:
    both = record(alert("billing"), alert("sales", phase="clearing"))
    later = moment(NOW + HOUR + EXPIRES_MS)
    assert spans(both, NOW + HOUR) == [("billing", moment(NOW), later), ("sales", moment(NOW), later)]


@pytest.mark.parametrize(("after", "is_told"), [(OVER_MS - 1, True), (OVER_MS, False)])
def test_what_is_over_is_told_for_a_quarter_of_an_hour(after: int, is_told: bool) -> None:
    over = record(replace(alert("billing", phase="resolved"), resolved_at=NOW + 7))
    expected = [("billing", moment(NOW), moment(NOW + 7))] if is_told else []
    assert spans(over, NOW + 7 + after) == expected


def test_of_what_is_pending_nobody_hears() -> None:
    assert firing(turned(EMPTY, turn(alert(phase="pending"))), NOW) == []


def test_labels_are_the_same_from_beginning_to_end() -> None:
    began, over = message(alert()), message(alert(phase="resolved"))
    assert labels(began) == labels(over)


@pytest.mark.parametrize(
    ("by", "key", "group"),
    [
        ("all", "", {}),
        ("queue", "a, b", {"queue": "a, b"}),
        ("queue,channel", "", {}),
        ("queue,channel", "a, b,chat", {"queue": "a, b", "channel": "chat"}),
    ],
)
def test_a_group_is_a_label_for_each_of_its_dimensions(by: str, key: str, group: dict[str, str]) -> None:
    named = {"alertname": "nps-drop", "severity": "warning", "metric": "nps_score", "by": by}
    assert labels(replace(message(alert()), by=by, key=key)) == {**named, **group}


@pytest.mark.parametrize(
    ("apart", "said"),
    [
        (True, "team Team 7: −20 points; team Team 8: +1 point"),
        (False, "no part stands out, the largest are team Team 7: −20 points; team Team 8: +1 point"),
    ],
)
def test_annotations_say_what_moved_it_and_where_to_look(apart: bool, said: str) -> None:
    parts = (("Team 7", -20.4), ("Team 8", 1.0))
    told = replace(
        message(alert()),
        contributors=tuple(
            Contributor(dimension="team", key=name, name=name, moved=by, value=None, support=9, apart=apart)
            for name, by in parts
        ),
        links={"explain": "https://wall.example.org/why", "contacts": "https://wall.example.org/who"},
    )
    assert annotations(told) == {
        "summary": "NPS of Billing dropped",
        "description": "NPS of Billing dropped.",
        "contributors": said,
        "explain_url": "https://wall.example.org/why",
        "contacts_url": "https://wall.example.org/who",
    }
