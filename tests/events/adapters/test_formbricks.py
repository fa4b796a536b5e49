"""Formbricks: its shapes, and what others got wrong with them."""

from typing import Any

import pytest

from streamer.events.models import SurveyResponse
from tests.events.adapters.survey_results import only_event_data, only_rejection, read_items, stated_facts

SOURCE = "formbricks"
QUESTIONS = {"recommend": "nps", "solved": "resolved_first", "why": "comment"}
OPTIONS: dict[str, Any] = {"questions": QUESTIONS}
RESPONSE: dict[str, Any] = {
    "id": "resp-1",
    "surveyId": "survey-of-all",
    "createdAt": "2026-11-20T10:00:00.000Z",
    "updatedAt": "2026-11-20T10:00:40.500Z",
    "finished": True,
    "data": {"recommend": 9, "solved": "Yes", "why": "quick", "contact_id": "call-1", "queue": "billing"},
    "contactAttributes": {"userId": "c-17", "email": "ann@example.org"},
    "language": "es",
    "tags": [],
}


def webhook(event: str, **changed: Any) -> dict[str, Any]:
    return {"webhookId": "w-1", "event": event, "data": RESPONSE | changed}


STEPS = [
    webhook("responseCreated", finished=False, data={"recommend": 9}, updatedAt="2026-11-20T10:00:00.000Z"),
    webhook("responseUpdated", finished=False, updatedAt="2026-11-20T10:00:30.000Z"),
    webhook("responseUpdated"),
    webhook("responseFinished"),
]
PAYLOADS: list[Any] = [{"event": "testEndpoint"}, *STEPS]


def finished_data(**changed: Any) -> Any:
    return only_event_data(SOURCE, webhook("responseFinished", **changed), questions=QUESTIONS)


def test_a_finished_response_is_an_answer_of_its_contact() -> None:
    assert finished_data() == {
        "response_id": "resp-1",
        "answered_at": "2026-11-20T10:00:00.000Z",
        "updated_at": "2026-11-20T10:00:40.500Z",
        "customer_id": "c-17",
        "contact_id": "call-1",
        "queue": "billing",
        "language": "es",
        "answers": {"nps": 9, "resolved_first": True},
        "comment": "quick",
    }


def test_begun_updated_and_finished_are_one_answer_that_counts_once_it_is_finished() -> None:
    assert [read_items(SOURCE, step, questions=QUESTIONS) for step in PAYLOADS[:3]] == [[], [], []]
    found = stated_facts(SOURCE, PAYLOADS, **OPTIONS)
    assert len(found) == 2
    assert found[0] == found[1]
    assert isinstance(found[0], SurveyResponse)
    assert (found[0].nps, found[0].resolved_first, found[0].comment) == (9, True, "quick")


def test_an_update_after_the_end_is_a_higher_version_of_the_same_answer() -> None:
    later = webhook("responseUpdated", updatedAt="2026-11-20T11:00:00Z", data={"recommend": 3})
    first, second = stated_facts(SOURCE, [webhook("responseFinished"), later], questions=QUESTIONS)
    assert isinstance(first, SurveyResponse)
    assert isinstance(second, SurveyResponse)
    assert second.identity == first.identity
    assert second.version > first.version
    assert (second.nps, second.comment, second.answered_at) == (3, None, first.answered_at)


def test_the_apis_bare_response_says_the_same_as_the_webhook() -> None:
    assert only_event_data(SOURCE, RESPONSE, questions=QUESTIONS) == finished_data()


def test_the_survey_of_all_is_not_an_invitation_of_one() -> None:
    assert (
        "survey_id" not in finished_data()
    )  # facts of one survey_id move together: all customers to one contact


def test_a_question_that_was_not_answered_is_skipped() -> None:
    assert finished_data(data={"why": "slow"})["answers"] == {"nps": None, "resolved_first": None}
    assert finished_data(data={"recommend": "", "solved": None})["answers"] == {
        "nps": None,
        "resolved_first": None,
    }


def test_no_question_is_taken_for_another_because_of_its_scale() -> None:
    found = only_rejection(SOURCE, webhook("responseFinished"))
    assert found.reason == "missing"
    assert "asked here: contact_id, queue, recommend, solved, why" in found.error
    assert 'questions = { "contact_id" = "nps" } in [sources.formbricks]' in found.error
    assert finished_data(data={"recommend": 7, "ease": 10})["answers"] == {"nps": 7, "resolved_first": None}


def test_of_two_questions_that_are_the_same_of_ours_the_answered_one_counts() -> None:
    both = {"here": "nps", "there": "nps"}
    for data, nps in (({"there": 4}, 4), ({"here": 0}, 0), ({"here": 8, "there": 4}, 8)):
        assert only_event_data(SOURCE, RESPONSE | {"data": data}, questions=both)["answers"] == {"nps": nps}


def test_words_stand_for_what_the_settings_say() -> None:
    said = {"questions": {"happy": "csat", "done": "resolved_first"}, "values": {"Muy bien": 5, "sí": True}}
    answered = RESPONSE | {"data": {"happy": " muy bien", "done": "SÍ"}}
    assert only_event_data(SOURCE, answered, **said)["answers"] == {"csat": 5, "resolved_first": True}
    assert only_rejection(SOURCE, RESPONSE | {"data": {"happy": "regular"}}, **said).reason == "wrong-type"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"data": {"recommend": 11}}, "off-scale"),
        ({"data": {"recommend": 6.5}}, "off-scale"),
        ({"data": {"recommend": [9]}}, "wrong-type"),
        ({"data": {"recommend": True}}, "wrong-type"),
        ({"data": {"solved": "perhaps"}}, "wrong-type"),
        ({"data": None}, "wrong-type"),
        ({"finished": "done"}, "wrong-type"),
        ({"id": None}, "missing"),
        ({"createdAt": "2026-11-20 10:00"}, "no-time"),
    ],
)
def test_what_cannot_be_meant_is_rejected(changed: dict[str, Any], reason: str) -> None:
    assert (
        only_rejection(SOURCE, webhook("responseFinished", **changed), questions=QUESTIONS).reason == reason
    )


@pytest.mark.parametrize("questions", ["nps", {"recommend": "npx"}, {"recommend": ["nps"]}])
def test_a_setting_that_cannot_be_meant_is_named(questions: Any) -> None:
    error = only_rejection(SOURCE, RESPONSE, questions=questions).error
    assert "questions in [sources.formbricks]" in error
    assert "nps, csat, ces, effort, cnx, resolved_first, comment" in error


def test_nothing_of_the_person_shows_in_an_error() -> None:
    personal = "ann@example.org"
    for changed in ({"data": {"recommend": personal}}, {"id": [personal]}, {"data": personal}):
        error = only_rejection(SOURCE, webhook("x", **changed), questions=QUESTIONS).error
        assert "ann" not in error
    keys = {personal: 1, "34915550123": 2, "q 1": 3}
    assert only_rejection(SOURCE, RESPONSE | {"data": keys}).error.count("asked here") == 0
