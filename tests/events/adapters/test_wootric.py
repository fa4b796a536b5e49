"""Wootric: its shapes, and what others got wrong with them."""

from typing import Any

import pytest

from streamer.events.models import SurveyResponse, SurveySent
from tests.events.adapters.survey_results import only_event_data, only_rejection, sent_events, stated_facts

SOURCE = "wootric"
NPS = {"score": "nps"}
OPTIONS: dict[str, Any] = {"questions": NPS}
RESPONSE: dict[str, Any] = {
    "id": "1518",
    "survey_id": "20759",
    "score": "10",
    "text": None,
    "created_at": "2026-11-20 15:06:20 -0700",
    "updated_at": "2026-11-20 15:06:20 -0700",
    "end_user_id": "6270",
    "external_id": "c-17",
    "email": "ann@example.org",
    "ip_address": "192.0.2.7",
    "excluded_from_calculations": "false",
    "end_user_properties": {"contact_id": "call-1", "queue": "billing"},
}
DECLINE: dict[str, Any] = {
    "id": "77",
    "survey_id": "20760",
    "created_at": "2026-11-20 15:10:20 -0700",
    "updated_at": "2026-11-20 15:10:20 -0700",
    "end_user_id": "6271",
    "external_id": None,
    "email": "bob@example.org",
    "end_user_properties": None,
}


def responded(event: str = "created", **changed: Any) -> dict[str, Any]:
    return {"timestamp": "2026-11-20 15:06:23 -0700", "event_name": event, "response": RESPONSE | changed}


def declined(**changed: Any) -> dict[str, Any]:
    return {"timestamp": "2026-11-20 15:10:23 -0700", "event_name": "created", "decline": DECLINE | changed}


COMMENTED = responded("updated", text="quick", updated_at="2026-11-20 15:25:03 -0700")
PAYLOADS: list[Any] = [responded(), COMMENTED, declined()]


def answer_data(**changed: Any) -> Any:
    return sent_events(SOURCE, responded(**changed), questions=NPS)[1].data


def test_a_response_is_a_survey_that_was_sent_and_its_answer() -> None:
    invitation, answered = sent_events(SOURCE, responded(), questions=NPS)
    assert (invitation.topic, answered.topic) == ("survey-sent", "survey-completed")
    person = {"customer_id": "c-17", "contact_id": "call-1", "queue": "billing"}
    at = "2026-11-20T15:06:20-07:00"
    assert invitation.data == {**person, "survey_id": "20759", "sent_at": at, "updated_at": at}
    assert answered.data == {
        **person,
        "response_id": "1518",
        "survey_id": "20759",
        "answered_at": at,
        "updated_at": at,
        "excluded": False,
        "answers": {"nps": 10},
    }


def test_a_decline_is_a_survey_that_was_sent_and_not_answered() -> None:
    assert only_event_data(SOURCE, declined()) == {
        "survey_id": "20760",
        "customer_id": "6271",
        "sent_at": "2026-11-20T15:10:20-07:00",
        "updated_at": "2026-11-20T15:10:20-07:00",
    }


def test_the_response_ratio_counts_each_survey_once_and_each_answer_in_its_survey() -> None:
    changed_mind = responded(survey_id="20760", id="1519", external_id=None, end_user_id="6271")
    found = stated_facts(
        SOURCE, [*PAYLOADS, declined(survey_id="20761", id="78"), changed_mind], questions=NPS
    )
    asked = {fact.survey_id for fact in found if isinstance(fact, SurveySent)}
    answered = {fact.survey_id for fact in found if isinstance(fact, SurveyResponse)}
    assert asked == {"20759", "20760", "20761"}
    assert answered == {"20759", "20760"}


def test_without_an_id_of_the_survey_response_and_decline_stand_for_themselves() -> None:
    assert answer_data(survey_id=None)["survey_id"] == "response-1518"
    assert only_event_data(SOURCE, declined(survey_id=""))["survey_id"] == "decline-77"


def test_an_update_is_a_higher_version_of_the_same_answer() -> None:
    found = stated_facts(SOURCE, PAYLOADS[:2], **OPTIONS)
    first, second = [fact for fact in found if isinstance(fact, SurveyResponse)]
    assert (second.identity, second.comment, second.nps) == (first.identity, "quick", 10)
    assert second.version > first.version


@pytest.mark.parametrize(
    ("written", "excluded"), [("true", True), ("false", False), (True, True), (None, None)]
)
def test_the_exclusion_is_honoured_as_it_is_written(written: Any, excluded: bool | None) -> None:
    assert answer_data(excluded_from_calculations=written).get("excluded") is excluded


@pytest.mark.parametrize(("score", "read"), [("10", 10), ("0", 0), (7, 7), ("", None), (None, None)])
def test_a_score_is_a_text_and_a_missing_one_is_skipped(score: Any, read: int | None) -> None:
    assert answer_data(score=score)["answers"] == {"nps": read}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-20 22:06:20 UTC", "2026-11-20T22:06:20Z"),
        ("2026-11-20 23:06:20 +0100", "2026-11-20T23:06:20+01:00"),
        ("2026-11-20T22:06:20Z", "2026-11-20T22:06:20Z"),
        (1_795_212_380, 1_795_212_380),
    ],
)
def test_times_are_read_as_webhooks_and_api_write_them(written: Any, read: Any) -> None:
    assert answer_data(created_at=written)["answered_at"] == read


def test_what_the_account_asks_is_said_not_guessed() -> None:
    said = 'questions = { "score" = "nps" } in [sources.wootric]'
    assert only_rejection(SOURCE, responded()).error == (
        f"the survey's questions are not mapped (asked here: score): set {said}"
    )
    assert sent_events(SOURCE, responded(score="5"), questions={"score": "csat"})[1].data["answers"] == {
        "csat": 5
    }
    assert only_rejection(SOURCE, responded(score="6"), questions={"score": "csat"}).reason == "off-scale"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (responded(score="11"), "off-scale"),
        (responded(score="6.5"), "off-scale"),
        (responded(score="ten"), "wrong-type"),
        (responded(id=None), "missing"),
        (responded(created_at="2026-11-20 15:06:20"), "no-time"),
        (responded(excluded_from_calculations="no"), "wrong-type"),
        (declined(created_at=None), "missing"),
        ({"event_name": "created"}, "missing"),
        ({"response": "10"}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(payload: Any, reason: str) -> None:
    assert only_rejection(SOURCE, payload, questions=NPS).reason == reason


def test_nothing_of_the_person_shows_in_an_error() -> None:
    for payload in (
        responded(score="ann@example.org"),
        declined(end_user_id=["ann"]),
        {"response": "ann@example.org"},
    ):
        assert "ann" not in only_rejection(SOURCE, payload, questions=NPS).error
