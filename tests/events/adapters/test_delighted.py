"""Delighted: its shapes, and what others got wrong with them."""

import json
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import OutgoingEvent, PayloadItem, read_payload
from streamer.events.models import RejectedEvent, SurveyResponse
from tests.events.adapters.survey_results import stated_facts

RESPONSE: dict[str, Any] = {
    "id": "5435",
    "person": {"id": "c-17", "email": "ann@example.org"},
    "survey_type": "nps",
    "score": 9,
    "comment": "quick",
    "created_at": 1_700_000_000,
    "updated_at": 1_700_000_060,
    "person_properties": {"contact_id": "call-1", "queue": "billing", "locale": "es"},
}

UNSUBSCRIBED = {"event_type": "survey_response.unsubscribed", "event_data": {"person": RESPONSE["person"]}}
COMMENTED = RESPONSE | {"comment": "quick, and kind", "updated_at": 1_700_000_090}
PAYLOADS: list[Any] = [
    {"event_type": "survey_response.created", "event_id": "1", "event_data": RESPONSE},
    {"event_type": "survey_response.updated", "event_id": "2", "event_data": COMMENTED},
    UNSUBSCRIBED,
    RESPONSE,
]


def only_item(**changed: Any) -> PayloadItem:
    (item,) = read_payload(SOURCES["delighted"], json.dumps(RESPONSE | changed), {})
    return item


def test_a_response_is_an_answer_of_its_contact() -> None:
    assert only_item() == OutgoingEvent(
        "survey-completed",
        {
            "response_id": "5435",
            "customer_id": "c-17",
            "answered_at": 1_700_000_000,
            "updated_at": 1_700_000_060,
            "comment": "quick",
            "contact_id": "call-1",
            "queue": "billing",
            "language": "es",
            "answers": {"nps": 9},
        },
    )


def test_a_webhook_has_the_response_inside() -> None:
    payload = {"event_type": "survey_response.created", "event_id": "1", "event_data": RESPONSE}
    assert read_payload(SOURCES["delighted"], json.dumps(payload), {}) == [only_item()]


def test_a_newer_update_replaces_the_answer() -> None:
    first, second, again = stated_facts("delighted", PAYLOADS)
    assert isinstance(first, SurveyResponse)
    assert isinstance(second, SurveyResponse)
    assert first == again
    assert second.identity == first.identity
    assert second.version > first.version
    assert (first.comment, second.comment) == ("quick", "quick, and kind")


def test_that_somebody_unsubscribed_says_nothing() -> None:
    assert read_payload(SOURCES["delighted"], json.dumps(UNSUBSCRIBED), {}) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"score": 6.5}, "off-scale"),
        ({"score": 11}, "off-scale"),
        ({"survey_type": "csat", "score": 0}, "off-scale"),
        ({"survey_type": "smileys"}, "unknown-value"),
        ({"id": None}, "missing"),
        ({"created_at": "yesterday"}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(changed: dict[str, Any], reason: str) -> None:
    found = only_item(**changed)
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


def test_a_missing_score_is_a_skipped_answer() -> None:
    found = only_item(score=None)
    assert isinstance(found, OutgoingEvent)
    assert found.data["answers"] == {"nps": None}


def test_nothing_of_the_person_shows_in_an_error() -> None:
    found = only_item(person={"id": ["ann@example.org"]})
    assert isinstance(found, RejectedEvent)
    assert "ann" not in found.error
