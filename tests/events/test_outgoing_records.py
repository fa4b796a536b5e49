"""Tests: an event is sent as the contract says, and is read back unchanged."""

from typing import Any

import pytest

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.envelopes import MAX_RECORD_BYTES
from streamer.events.models import (
    CustomerValuation,
    FactIdentity,
    QualityEvaluation,
    RejectedEvent,
    Segment,
    SurveyResponse,
    Tombstone,
)
from streamer.events.outgoing_records import OutgoingRecord, outgoing_record

NOW_S = 1_767_225_600
CALL: dict[str, Any] = {
    "contact_id": "call-1",
    "segment_id": "leg-2",
    "version": 3,
    "customer_id": "c-17",
    "queue": "billing",
    "ended_at": NOW_S,
    "outcome": "answered",
}
ANSWER: dict[str, Any] = {
    "response_id": "r-1",
    "answered_at": "2026-01-01T01:00:00+01:00",
    "answers": {"nps": 9},
}


def only_record(topic: str, data: dict[str, Any]) -> OutgoingRecord:
    record = outgoing_record(OutgoingEvent(topic, data), "amazon-connect")
    assert isinstance(record, OutgoingRecord)
    return record


def rejection_reason(topic: str, data: dict[str, Any]) -> str:
    rejection = outgoing_record(OutgoingEvent(topic, data), "amazon-connect")
    assert isinstance(rejection, RejectedEvent)
    return rejection.reason


def read_back(topic: str, data: dict[str, Any]) -> object:
    record = only_record(topic, data)
    return decode(
        KafkaRecord(topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers),
        CountingRules(),
    )


def test_what_goes_out_is_read_back_as_of_its_source() -> None:
    found = read_back("call-completed", CALL)
    assert isinstance(found, Segment)
    assert found.identity == FactIdentity("s", "amazon-connect", "leg-2")
    assert (found.version, found.customer_id, found.ended_at) == (3, "c-17", NOW_S * 1000)
    assert isinstance(read_back("survey-completed", ANSWER), SurveyResponse)
    assert isinstance(
        read_back("customer-valued", {"customer_id": "c", "value": 1, "as_of": NOW_S}), CustomerValuation
    )


def test_an_evaluation_is_read_back_with_its_items() -> None:
    data = {
        "evaluation_id": "e-1",
        "score": 80,
        "evaluated_at": NOW_S,
        "evaluator_id": "bert",
        "items": {"tone": None, "greeting": 87.25},
        "calibration": True,
    }
    evaluation = read_back("contact-evaluated", data)
    assert isinstance(evaluation, QualityEvaluation)
    assert evaluation.items == (("greeting", 8_725), ("tone", None))
    assert (evaluation.evaluator_id, evaluation.calibration) == ("bert", True)


def test_its_envelope_is_a_binary_cloud_event() -> None:
    assert dict(only_record("call-completed", CALL).headers) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": b"leg-2:3",
        "ce_source": b"amazon-connect",
        "ce_type": b"streamer.call-completed.v1",
    }


@pytest.mark.parametrize(
    ("topic", "data", "id_"),
    [
        ("call-completed", {**CALL, "segment_id": None, "version": 0}, b"call-1:0"),
        ("survey-completed", ANSWER, b"r-1:0"),
        ("survey-completed", {**ANSWER, "updated_at": NOW_S + 60}, b"r-1:1767225660"),
        ("survey-completed", {**ANSWER, "updated_at": NOW_S + 60, "version": 2}, b"r-1:2"),
    ],
)
def test_its_id_is_the_facts_and_its_version(topic: str, data: dict[str, Any], id_: bytes) -> None:
    assert dict(only_record(topic, data).headers)["ce_id"] == id_


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({}, b"c-17"),
        ({"customer_id": 17}, b"17"),
        ({"customer_id": None}, b"call-1"),
        ({"customer_id": ""}, b"call-1"),
    ],
)
def test_its_key_is_the_customer_else_the_contact(changed: dict[str, Any], key: bytes) -> None:
    assert only_record("call-completed", CALL | changed).key == key


def test_its_key_is_the_fact_where_nobody_is_named() -> None:
    assert only_record("survey-completed", ANSWER).key == b"r-1"


def test_its_timestamp_is_when_it_happened() -> None:
    assert (
        only_record("call-completed", {**CALL, "ended_at": NOW_S + 0.0015}).timestamp_ms == NOW_S * 1000 + 2
    )
    assert only_record("survey-completed", ANSWER).timestamp_ms == NOW_S * 1000
    assert only_record("survey-sent", {"survey_id": "s", "sent_at": NOW_S}).timestamp_ms == NOW_S * 1000


def test_a_deletion_may_know_only_when_it_was_updated() -> None:
    gone = {"response_id": "r-1", "deleted": True, "updated_at": NOW_S, "version": 4}
    assert only_record("survey-completed", gone).timestamp_ms == NOW_S * 1000
    assert isinstance(read_back("survey-completed", gone), Tombstone)
    assert rejection_reason("survey-completed", {**gone, "deleted": False}) == "no-time"


@pytest.mark.parametrize("when", [None, "", 0, "yesterday", "2026-01-01T00:00:00", "1969-12-31T23:59:59Z"])
def test_without_a_time_of_its_own_it_does_not_go_out(when: object) -> None:
    assert rejection_reason("call-completed", {**CALL, "ended_at": when}) == "no-time"


def test_without_an_id_it_does_not_go_out() -> None:
    assert rejection_reason("survey-completed", {**ANSWER, "response_id": ""}) == "missing"


def test_equal_events_are_equal_bytes() -> None:
    assert only_record("call-completed", CALL) == only_record("call-completed", dict(reversed(CALL.items())))


def test_what_the_worker_would_refuse_as_too_large_does_not_go_out() -> None:
    bare = len(only_record("survey-completed", {**ANSWER, "comment": ""}).value)
    assert (
        len(only_record("survey-completed", {**ANSWER, "comment": "x" * (MAX_RECORD_BYTES - bare)}).value)
        == MAX_RECORD_BYTES
    )
    assert (
        rejection_reason("survey-completed", {**ANSWER, "comment": "x" * (MAX_RECORD_BYTES - bare + 1)})
        == "too-large"
    )
