"""Amazon Connect's survey sample: its record, and what its table loses."""

import json
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import OutgoingEvent, PayloadItem, read_payload
from streamer.events.models import RejectedEvent, SurveyResponse
from tests.events.adapters.decoded_facts import decoded_fact

SOURCE = SOURCES["amazon-connect-survey"]
QUESTIONS = {"survey_result_1": "nps", "survey_result_2": "resolved_first"}
OPTIONS = {**SOURCE.options, "questions": QUESTIONS}
CONTACT = "aaaa0000-0000-4000-8000-000000000001"
RECORD: dict[str, Any] = {
    "contactId": CONTACT,
    "surveyId": "5c2f4a",
    "survey_result_1": "9",
    "survey_result_2": "1",
    "timestamp": 1_772_442_400.125,
}
OTHER = RECORD | {"surveyId": "77aa01", "survey_result_1": "4", "timestamp": 1_772_442_460}
PAYLOADS = [RECORD, OTHER, RECORD | {"contactId": "c-2", "survey_result_1": ""}]


def only_item(record: dict[str, Any], **options: Any) -> PayloadItem:
    (item,) = read_payload(SOURCE, json.dumps(record), OPTIONS | options)
    return item


def answers(record: dict[str, Any], **options: Any) -> dict[str, Any]:
    event = only_item(record, **options)
    assert isinstance(event, OutgoingEvent), event
    answer_data: dict[str, Any] = event.data["answers"]
    return answer_data


def response(record: dict[str, Any], **options: Any) -> SurveyResponse:
    event = only_item(record, **options)
    assert isinstance(event, OutgoingEvent), event
    fact = decoded_fact(event, SOURCE.name)
    assert isinstance(fact, SurveyResponse)
    return fact


def test_a_record_is_a_response_of_its_contact() -> None:
    assert only_item(RECORD) == OutgoingEvent(
        "survey-completed",
        {
            "response_id": f"{CONTACT}:5c2f4a",
            "contact_id": CONTACT,
            "answered_at": 1_772_442_400.125,
            "updated_at": 1_772_442_400.125,
            "answers": {"nps": 9, "resolved_first": True},
        },
    )


def test_a_second_survey_of_the_contact_does_not_overwrite_the_first() -> None:
    assert response(RECORD).identity != response(OTHER).identity


def test_the_same_survey_asked_twice_is_one_response_and_the_later_counts() -> None:
    first, again = response(RECORD), response(RECORD | {"survey_result_1": "3", "timestamp": 1_772_442_401})
    assert first.identity == again.identity
    assert again.version > first.version


def test_without_a_word_on_the_questions_nothing_is_guessed() -> None:
    found = only_item(RECORD, questions={})
    assert isinstance(found, RejectedEvent)
    assert found.reason == "missing"
    assert "questions of [sources.amazon-connect-survey]" in found.error
    assert "streamer.toml" in found.error


def test_results_that_are_not_named_are_left_alone() -> None:
    assert answers(RECORD, questions={"survey_result_2": "resolved_first"}) == {"resolved_first": True}


def test_the_results_that_the_survey_before_left_behind_are_not_of_this_one() -> None:
    by_survey = {"5c2f4a": QUESTIONS, "77aa01": {"survey_result_1": "csat"}}
    assert answers(RECORD, questions=by_survey) == {"nps": 9, "resolved_first": True}
    assert answers(OTHER, questions=by_survey) == {"csat": 4}
    found = only_item(RECORD | {"surveyId": "new"}, questions=by_survey)
    assert isinstance(found, RejectedEvent)


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_result_is_skipped_and_never_0(blank: str | None) -> None:
    assert answers(RECORD | {"survey_result_1": blank, "survey_result_2": blank}) == {
        "nps": None,
        "resolved_first": None,
    }
    assert response(RECORD | {"survey_result_1": blank}).nps is None


def test_the_keys_for_yes_and_no_are_settings() -> None:
    assert answers(RECORD | {"survey_result_2": "2"})["resolved_first"] is False
    assert answers(RECORD | {"survey_result_2": "2"}, yes=2, no="0")["resolved_first"] is True
    assert answers(RECORD | {"survey_result_2": "YES"}, yes="yes")["resolved_first"] is True


def test_the_transferred_contact_is_found_where_its_first_id_is_stored_too() -> None:
    found = response(RECORD | {"initialContactId": "first"})
    assert (found.contact_id, found.response_id) == ("first", f"{CONTACT}:5c2f4a")


def test_dynamodbs_stream_has_the_same_record_with_types() -> None:
    typed = {
        "contactId": {"S": CONTACT},
        "surveyId": {"S": "5c2f4a"},
        "survey_result_1": {"S": "9"},
        "survey_result_2": {"S": "1"},
        "timestamp": {"N": "1772442400.125"},
    }
    assert only_item(typed) == only_item(RECORD)
    assert only_item({"eventName": "INSERT", "dynamodb": {"NewImage": typed}}) == only_item(RECORD)


def test_a_record_that_its_table_drops_is_still_an_answer() -> None:
    removed = {"eventName": "REMOVE", "dynamodb": {"Keys": {"contactId": {"S": CONTACT}}}}
    assert read_payload(SOURCE, json.dumps(removed), OPTIONS) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"contactId": None}, "missing"),
        ({"surveyId": ""}, "missing"),
        ({"timestamp": None}, "missing"),
        ({"timestamp": 1_772_442_400_125}, "no-time"),
        ({"survey_result_1": "11"}, "off-scale"),
        ({"survey_result_1": "6.5"}, "off-scale"),
        ({"survey_result_1": "Timeout"}, "wrong-type"),
        ({"survey_result_2": "3"}, "unknown-value"),
    ],
)
def test_what_cannot_be_meant_is_rejected(changed: dict[str, Any], reason: str) -> None:
    found = only_item(RECORD | changed)
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


@pytest.mark.parametrize("questions", [{"survey_result_1": "mood"}, {"survey_result_1": 1}, "nps", ["nps"]])
def test_questions_that_are_none_of_ours_are_refused(questions: object) -> None:
    found = only_item(RECORD, questions=questions)
    assert isinstance(found, RejectedEvent)
    assert "questions of [sources.amazon-connect-survey]" in found.error
