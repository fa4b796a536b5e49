"""Tests: an event is sent as the contract says, and is read back unchanged."""

from typing import Any

import pytest

from streamer.events.adapters.source import Sent
from streamer.events.decoding import Record, decode
from streamer.events.envelopes import LARGEST
from streamer.events.models import Identity, Rejected, Response, Segment, Tombstone, Valuation
from streamer.events.outgoing import Outgoing, outgoing
from streamer.events.rules import Rules

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


def of(topic: str, data: dict[str, Any]) -> Outgoing:
    found = outgoing(Sent(topic, data), "amazon-connect")
    assert isinstance(found, Outgoing)
    return found


def refused(topic: str, data: dict[str, Any]) -> str:
    found = outgoing(Sent(topic, data), "amazon-connect")
    assert isinstance(found, Rejected)
    return found.reason


def read_back(topic: str, data: dict[str, Any]) -> object:
    sent = of(topic, data)
    return decode(Record(topic, 0, 0, sent.timestamp_ms, sent.key, sent.value, sent.headers), Rules())


def test_what_goes_out_is_read_back_as_of_its_source() -> None:
    found = read_back("call-completed", CALL)
    assert isinstance(found, Segment)
    assert found.identity == Identity("s", "amazon-connect", "leg-2")
    assert (found.version, found.customer_id, found.ended_at) == (3, "c-17", NOW_S * 1000)
    assert isinstance(read_back("survey-completed", ANSWER), Response)
    assert isinstance(
        read_back("customer-valued", {"customer_id": "c", "value": 1, "as_of": NOW_S}), Valuation
    )


def test_its_envelope_is_a_binary_cloud_event() -> None:
    assert dict(of("call-completed", CALL).headers) == {
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
    assert dict(of(topic, data).headers)["ce_id"] == id_


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
    assert of("call-completed", CALL | changed).key == key


def test_its_key_is_the_fact_where_nobody_is_named() -> None:
    assert of("survey-completed", ANSWER).key == b"r-1"


def test_its_timestamp_is_when_it_happened() -> None:
    assert of("call-completed", {**CALL, "ended_at": NOW_S + 0.0015}).timestamp_ms == NOW_S * 1000 + 2
    assert of("survey-completed", ANSWER).timestamp_ms == NOW_S * 1000
    assert of("survey-sent", {"survey_id": "s", "sent_at": NOW_S}).timestamp_ms == NOW_S * 1000


def test_a_deletion_may_know_only_when_it_was_updated() -> None:
    gone = {"response_id": "r-1", "deleted": True, "updated_at": NOW_S, "version": 4}
    assert of("survey-completed", gone).timestamp_ms == NOW_S * 1000
    assert isinstance(read_back("survey-completed", gone), Tombstone)
    assert refused("survey-completed", {**gone, "deleted": False}) == "no-time"


@pytest.mark.parametrize("when", [None, "", 0, "yesterday", "2026-01-01T00:00:00", "1969-12-31T23:59:59Z"])
def test_without_a_time_of_its_own_it_does_not_go_out(when: object) -> None:
    assert refused("call-completed", {**CALL, "ended_at": when}) == "no-time"


def test_without_an_id_it_does_not_go_out() -> None:
    assert refused("survey-completed", {**ANSWER, "response_id": ""}) == "missing"


def test_equal_events_are_equal_bytes() -> None:
    assert of("call-completed", CALL) == of("call-completed", dict(reversed(CALL.items())))


def test_what_the_worker_would_refuse_as_too_large_does_not_go_out() -> None:
    bare = len(of("survey-completed", {**ANSWER, "comment": ""}).value)
    assert len(of("survey-completed", {**ANSWER, "comment": "x" * (LARGEST - bare)}).value) == LARGEST
    assert refused("survey-completed", {**ANSWER, "comment": "x" * (LARGEST - bare + 1)}) == "too-large"
