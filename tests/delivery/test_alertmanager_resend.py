"""Alertmanager receives what fires and, for a while, what resolved; labels stay the same meanwhile."""

import pytest
from msgspec.structs import replace

from streamer.alerts.alert_message import Contributor
from streamer.alerts.states import Alert
from streamer.delivery.alert_state import EMPTY_STATE, AlertState, apply_evaluation
from streamer.delivery.alertmanager_client import alert_annotations, alert_labels, to_rfc3339
from streamer.delivery.alertmanager_resend import EXPIRY_MS, RESOLVED_RESEND_MS, alerts_to_send
from streamer.events.counting_rules import HOUR
from tests.delivery.alert_samples import NOW, alert, evaluation_round, message


def record(*alerts: Alert) -> AlertState:
    """Return a state in which each alert was sent when it fired."""
    begun = [replace(one, phase="firing", resolved_at=None) for one in alerts]
    told = apply_evaluation(EMPTY_STATE, evaluation_round(*begun, messages=[message(one) for one in begun]))
    return apply_evaluation(told, evaluation_round(*alerts))


def spans(record: AlertState, now: int) -> list[tuple[str, str, str]]:
    return [(one["labels"]["queue"], one["startsAt"], one["endsAt"]) for one in alerts_to_send(record, now)]


def test_what_fires_or_is_clearing_ends_a_little_later_than_it_is_told_again() -> None:
    both = record(alert("billing"), alert("sales", phase="clearing"))
    later = to_rfc3339(NOW + HOUR + EXPIRY_MS)
    assert spans(both, NOW + HOUR) == [("billing", to_rfc3339(NOW), later), ("sales", to_rfc3339(NOW), later)]


@pytest.mark.parametrize(("after", "is_told"), [(RESOLVED_RESEND_MS - 1, True), (RESOLVED_RESEND_MS, False)])
def test_what_is_over_is_told_for_a_quarter_of_an_hour(after: int, is_told: bool) -> None:
    over = record(replace(alert("billing", phase="resolved"), resolved_at=NOW + 7))
    expected = [("billing", to_rfc3339(NOW), to_rfc3339(NOW + 7))] if is_told else []
    assert spans(over, NOW + 7 + after) == expected


def test_of_what_is_pending_nobody_hears() -> None:
    assert alerts_to_send(apply_evaluation(EMPTY_STATE, evaluation_round(alert(phase="pending"))), NOW) == []


def test_labels_are_the_same_from_beginning_to_end() -> None:
    began, over = message(alert()), message(alert(phase="resolved"))
    assert alert_labels(began) == alert_labels(over)


@pytest.mark.parametrize(
    ("by", "key", "group"),
    [
        ("all", "", {}),
        ("queue", "a, b", {"queue": "a, b"}),
        ("queue,channel", "", {}),
        ("queue,channel", r"a\, b,chat", {"queue": "a, b", "channel": "chat"}),
    ],
)
def test_a_group_is_a_label_for_each_of_its_dimensions(by: str, key: str, group: dict[str, str]) -> None:
    named = {"alertname": "nps-drop", "severity": "warning", "metric": "nps_score", "by": by}
    assert alert_labels(replace(message(alert()), by=by, key=key)) == {**named, **group}


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
    assert alert_annotations(told) == {
        "summary": "NPS of Billing dropped",
        "description": "NPS of Billing dropped.",
        "contributors": said,
        "explain_url": "https://wall.example.org/why",
        "contacts_url": "https://wall.example.org/who",
    }
