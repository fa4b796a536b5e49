"""Zendesk: its shapes, and what others got wrong with them."""

from typing import Any

import pytest

from streamer.events.models import SurveyResponse
from tests.events.adapters.survey_results import (
    only_event_data,
    only_rejection,
    read_items,
    sent_events,
    stated_facts,
)

SOURCE = "zendesk"
RATED, SOLVED, WHY = "01J1WBE8QR0YQVE373K2JDJR0F", "01J1WBGX1BR4ECKTS87CRJTXSF", "01J1WBNS76ZC4TTFWP9RCNQ1S8"
SOLVED_YES = "01J1WBKRG57E6M8C1145EXJ535"
OPTIONS: dict[str, Any] = {
    "questions": {RATED: "csat", SOLVED: "resolved_first"},
    "values": {SOLVED_YES: True},
}
GIVEN, CHANGED = "2026-11-20T12:00:00.000Z", "2026-11-20T12:05:00.250Z"


def given_answer(
    kind: str, question: str, question_type: str, updated_at: str = GIVEN, **value: Any
) -> dict[str, Any]:
    about = {"id": question, "type": question_type, "headline": {"type": "static", "value": "?"}}
    return {"type": kind, "question": about, "created_at": GIVEN, "updated_at": updated_at, **value}


def rating(value: Any, updated_at: str = GIVEN) -> dict[str, Any]:
    category = "bad"  # whatever the rating is
    return given_answer(
        "rating_scale", RATED, "rating_scale_numeric", updated_at, rating=value, rating_category=category
    )


CHOSEN = given_answer(
    "closed_ended", SOLVED, "closed_ended", selections=[{"type": "predefined", "option_id": SOLVED_YES}]
)
WORDS = given_answer("open_ended", WHY, "open_ended", value="I had to ask twice.")
SKIPPED = given_answer("skipped", RATED, "rating_scale_numeric")


def response(*answers: Any, **changed: Any) -> dict[str, Any]:
    return {
        "id": "01J1WB51MG6HXTYWE6Q0C93RNW",
        "survey_id": "01J58KJ9RAE0D2EK7HRVM7Z8F2",
        "survey_version": 3,
        "responder_id": 4_398_080_151_295,
        "subject_zrns": ["zen:conversation:4295a81b", "zen:ticket:99"],
        "expires_at": "2026-12-18T12:00:00.000Z",
        "answers": list(answers),
        **changed,
    }


FIRST = response(rating(4), CHOSEN, WORDS)
SECOND = response(rating(2, CHANGED), CHOSEN, WORDS)
OFFERED = response(id="01J1WB51MG6HXTYWE6Q0C93RNX")
PAGE = {"meta": {"has_more": False}, "survey_responses": [FIRST, OFFERED, response(SKIPPED, WORDS, id="3")]}
PAYLOADS: list[Any] = [FIRST, {"survey_response": SECOND}, OFFERED, PAGE]


def response_data(*answers: Any, **changed: Any) -> Any:
    return only_event_data(SOURCE, response(*answers, **changed), **OPTIONS)


def test_a_response_is_an_answer_of_its_ticket() -> None:
    assert only_event_data(SOURCE, FIRST, **OPTIONS) == {
        "response_id": "01J1WB51MG6HXTYWE6Q0C93RNW",
        "customer_id": "4398080151295",
        "contact_id": "99",
        "comment": "I had to ask twice.",
        "answered_at": 1_795_176_000,
        "updated_at": 1_795_176_000,
        "answers": {"csat": 4, "resolved_first": True},
    }


def test_it_may_be_changed_until_it_expires_and_the_last_change_counts() -> None:
    first, second = stated_facts(SOURCE, [FIRST, {"survey_response": SECOND}], **OPTIONS)
    assert isinstance(first, SurveyResponse)
    assert isinstance(second, SurveyResponse)
    assert second.identity == first.identity
    assert second.version == first.version + 300_250
    assert (second.csat, second.answered_at) == (2, first.answered_at)


def test_a_skipped_answer_enters_no_denominator() -> None:
    assert response_data(SKIPPED, WORDS)["answers"] == {"csat": None, "resolved_first": None}
    (fact,) = stated_facts(SOURCE, [response(SKIPPED)], **OPTIONS)
    assert isinstance(fact, SurveyResponse)
    assert fact.csat is None


def test_what_was_offered_and_is_not_answered_says_nothing() -> None:
    assert read_items(SOURCE, OFFERED, **OPTIONS) == []
    assert read_items(SOURCE, OFFERED) == []


def test_a_page_of_the_list_is_all_its_responses() -> None:
    found = sent_events(SOURCE, PAGE, **OPTIONS)
    assert [item.data["response_id"] for item in found] == [FIRST["id"], "3"]
    assert len(stated_facts(SOURCE, PAYLOADS, **OPTIONS)) == 4


def test_the_survey_of_all_is_not_an_invitation_of_one() -> None:
    assert "survey_id" not in response_data(
        rating(4)
    )  # facts of one survey_id move together: all customers to one contact


def test_the_sources_own_view_of_a_rating_is_not_read() -> None:
    assert response_data(rating(5))["answers"]["csat"] == 5  # though its category says bad


def test_a_question_may_be_named_by_its_alias() -> None:
    aliased = rating(4) | {"question": {"id": "another", "alias": "happy", "type": "rating_scale_numeric"}}
    assert only_event_data(SOURCE, response(aliased), questions={"happy": "csat"})["answers"] == {"csat": 4}


@pytest.mark.parametrize(("value", "csat"), [(1, 1), (2, 5)])
def test_a_scale_of_two_steps_counts_as_the_settings_say(value: int, csat: int) -> None:
    found = only_event_data(
        SOURCE, response(rating(value)), questions={RATED: "csat"}, values={"1": 1, "2": 5}
    )
    assert found["answers"] == {"csat": csat}


@pytest.mark.parametrize(
    ("zrns", "contact"),
    [
        (["zen:conversation:4295a81b"], "4295a81b"),
        (["zrn:ticket:7"], "7"),
        ([], None),
        (None, None),
        ("zen:ticket:7", None),
        (["ticket", 7, "zen:ticket: "], None),
    ],
)
def test_the_contact_is_the_ticket_or_else_the_conversation(zrns: Any, contact: str | None) -> None:
    assert response_data(rating(4), subject_zrns=zrns).get("contact_id") == contact


def test_which_question_is_which_is_said_not_guessed() -> None:
    found = only_rejection(SOURCE, FIRST)
    assert found.reason == "missing"
    for part in (RATED, SOLVED, "[sources.zendesk]"):
        assert part in found.error


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (response(rating(0)), "off-scale"),
        (response(rating(6)), "off-scale"),
        (response(rating("good")), "wrong-type"),
        (response({"type": "ranking"}), "unknown-value"),
        (
            response(given_answer("closed_ended", SOLVED, "", selections=[{"option_id": "maybe"}])),
            "wrong-type",
        ),
        (response("good"), "wrong-type"),
        (response(rating(4)) | {"answers": None}, "wrong-type"),
        (response(rating(4), id=None), "missing"),
        (response(rating(4) | {"created_at": None}), "missing"),
        (response(rating(4) | {"created_at": "2026-11-20"}), "no-time"),
        ({"survey_responses": {}}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(payload: Any, reason: str) -> None:
    assert only_rejection(SOURCE, payload, **OPTIONS).reason == reason


def test_nothing_of_the_person_shows_in_an_error() -> None:
    for payload in (response(rating("ann@example.org")), response({"type": "ann@example.org"})):
        assert "ann" not in only_rejection(SOURCE, payload, **OPTIONS).error
