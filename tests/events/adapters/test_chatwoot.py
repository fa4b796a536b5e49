"""Chatwoot: its shapes, and what others got wrong with them."""

from typing import Any

import pytest

from streamer.events.models import SurveyResponse, SurveySent
from tests.events.adapters.survey_results import (
    only_event_data,
    only_rejection,
    read_items,
    sent_events,
    stated_facts,
)

SOURCE = "chatwoot"
ROW: dict[str, Any] = {
    "id": 3,
    "rating": 5,
    "feedback_message": "quick",
    "account_id": 1,
    "message_id": 901,
    "contact": {"id": 44, "identifier": "c-17", "email": "ann@example.org"},
    "conversation_id": 1207,
    "assigned_agent": {"id": 8, "name": "Today's Assignee"},
    "created_at": 1_795_212_380,
}
ASKED: dict[str, Any] = {
    "event": "message_created",
    "id": 902,
    "content_type": "input_csat",
    "content_attributes": {},
    "created_at": "2026-11-20T22:06:20.000Z",
    "message_type": "template",
    "conversation": {
        "id": 1208,
        "updated_at": 1_795_212_380.25,
        "meta": {"sender": {"id": 45, "identifier": None}, "assignee": {"id": 8, "name": "Ann"}},
    },
}


def rated(rating: Any, updated_at: float = 1_795_212_400.5, words: str | None = None) -> dict[str, Any]:
    values = {"csat_survey_response": {"rating": rating, "feedback_message": words}}
    return ASKED | {
        "event": "message_updated",
        "content_attributes": {"submitted_values": values},
        "conversation": ASKED["conversation"] | {"updated_at": updated_at},
    }


MESSAGE = {"event": "message_created", "id": 900, "content_type": "text", "content": "I am ann@example.org"}
PAYLOADS: list[Any] = [ROW, MESSAGE, ASKED, rated(2), rated(4, 1_795_212_460.0, "better now")]


def test_a_row_is_an_answer_of_its_conversation() -> None:
    assert only_event_data(SOURCE, ROW) == {
        "response_id": "901",
        "survey_id": "901",
        "answered_at": 1_795_212_380,
        "customer_id": "c-17",
        "contact_id": "1207",
        "comment": "quick",
        "answers": {"csat": 5},
    }


@pytest.mark.parametrize(
    "agent", [{"assigned_agent": {"id": 8}}, {"assigned_agent_id": 8}, {"assigned_agent_id": None}]
)
def test_the_score_is_not_credited_to_who_has_the_conversation_today(agent: dict[str, Any]) -> None:
    assert only_event_data(SOURCE, ROW | agent) == only_event_data(
        SOURCE, {name: ROW[name] for name in ROW if name != "assigned_agent"}
    )
    for data in (
        only_event_data(SOURCE, ROW | agent),
        *(item.data for item in sent_events(SOURCE, rated(2))),
    ):
        assert "agent_id" not in data


def test_a_message_that_asks_is_a_survey_that_was_sent() -> None:
    (found,) = sent_events(SOURCE, ASKED)
    assert found.topic == "survey-sent"
    assert found.data == {
        "survey_id": "902",
        "customer_id": "45",
        "contact_id": "1208",
        "sent_at": "2026-11-20T22:06:20.000Z",
    }


def test_other_messages_say_nothing() -> None:
    assert read_items(SOURCE, MESSAGE) == []


def test_a_changed_rating_replaces_the_former() -> None:
    found = stated_facts(SOURCE, PAYLOADS[2:])
    invitations = [fact for fact in found if isinstance(fact, SurveySent)]
    first, second = [fact for fact in found if isinstance(fact, SurveyResponse)]
    assert invitations[0] == invitations[1] == invitations[2]
    assert (first.csat, second.csat, second.comment) == (2, 4, "better now")
    assert second.version > first.version
    assert second.identity == first.identity
    assert (second.survey_id, second.contact_id) == (invitations[0].survey_id, "1208")


def test_every_payload_is_accepted() -> None:
    assert len(stated_facts(SOURCE, PAYLOADS)) == 6


@pytest.mark.parametrize(("rating", "csat"), [(1, 1), (5, 5), ("3", 3), (None, None)])
def test_a_rating_is_of_one_to_five(rating: Any, csat: int | None) -> None:
    assert only_event_data(SOURCE, ROW | {"rating": rating})["answers"] == {"csat": csat}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (ROW | {"rating": 0}, "off-scale"),
        (ROW | {"rating": 6}, "off-scale"),
        (rated(4.5), "off-scale"),
        (ROW | {"rating": "good"}, "wrong-type"),
        (ROW | {"message_id": None}, "missing"),
        (ROW | {"created_at": None}, "missing"),
        (ASKED | {"id": None}, "missing"),
        (ASKED | {"created_at": "yesterday"}, "no-time"),
        (ASKED | {"content_attributes": {"submitted_values": {"csat_survey_response": 5}}}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(payload: Any, reason: str) -> None:
    assert only_rejection(SOURCE, payload).reason == reason


def test_nothing_of_the_person_shows_in_an_error() -> None:
    for payload in (ROW | {"rating": "ann@example.org"}, ROW | {"contact": {"identifier": ["ann"]}}):
        assert "ann" not in only_rejection(SOURCE, payload).error
