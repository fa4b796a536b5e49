"""Contract events identify their topic and are published unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.models import RejectedEvent
from streamer.replay.contract_reader import ContractReader
from streamer.replay.row_results import SourcedEvent
from tests.replay.replay_command import NOON, call, dry_run, ndjson

SURVEY = {"response_id": "r1", "answered_at": NOON, "answers": {"nps": 9}}
SENT = {"survey_id": "v1", "sent_at": NOON}
QA = {"evaluation_id": "e1", "score": 88, "evaluated_at": NOON}
WAITING = {"contact_id": "c1", "state": "queued", "at": NOON, "queue": "billing"}
FREE = {"agent_id": "anna", "state": "available", "at": NOON}
VALUE = {"customer_id": "k1", "value": 120.5, "as_of": NOON}


@pytest.mark.parametrize(
    ("data", "topic"),
    [
        (call(), "call-completed"),
        (SENT, "survey-sent"),
        (SURVEY, "survey-completed"),
        (QA, "contact-evaluated"),
        (VALUE, "customer-valued"),
        ({"segment_id": "s1", "deleted": True, "version": 2}, "call-completed"),
        ({**call(), "priority": 1, "state": "Bavaria"}, "call-completed"),
        (WAITING, "contact-state"),
        ({"contact_id": "c1", "state": "ended", "at": NOON}, "contact-state"),
        ({"segment_id": "s1", "at": NOON, "deleted": True, "version": 2}, "contact-state"),
        ({**WAITING, "agent_id": "anna"}, "contact-state"),
        (FREE, "agent-state"),
        ({**FREE, "contact_id": "c1", "queues": ["billing"]}, "agent-state"),
        ({"agent_id": "anna", "at": NOON, "deleted": True, "version": 2}, "agent-state"),
    ],
)
def test_fields_that_only_one_topic_has_tell_it(data: dict[str, Any], topic: str) -> None:
    assert ContractReader().read(json.dumps(data).encode()) == SourcedEvent("", OutgoingEvent(topic, data))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"contact_id": "c1", "deleted": True, "version": 2}, "no field identifies the topic; add --topic"),
        ({**SURVEY, "outcome": "answered"}, "belong to call-completed and survey-completed; add --topic"),
        ({**FREE, "contact_id": "c1"}, "belong to agent-state and contact-state; add --topic"),
        ({**call(), "topic": "calls"}, "topic is unknown, expected one of call-completed"),
    ],
)
def test_an_ambiguous_topic_is_said_to_be_so(data: dict[str, Any], told: str) -> None:
    found = ContractReader().read(json.dumps(data).encode())
    assert isinstance(found, RejectedEvent)
    assert told in found.error


def test_a_topic_that_is_said_beats_all_others() -> None:
    data = {"contact_id": "c1", "deleted": True, "version": 2}
    assert ContractReader("call-completed").read(json.dumps(data).encode()) == SourcedEvent(
        "", OutgoingEvent("call-completed", data)
    )
    named = {**data, "topic": "call-completed"}
    assert ContractReader().read(json.dumps(named).encode()) == SourcedEvent(
        "", OutgoingEvent("call-completed", data)
    )


@pytest.mark.parametrize(
    "type_", ["streamer.call-completed.v1", "center/call-completed", "call-completed", "other"]
)
def test_a_cloud_event_tells_source_and_topic(type_: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/chat", "type": type_, "data": call()}
    assert ContractReader().read(json.dumps(event).encode()) == SourcedEvent(
        "/chat", OutgoingEvent("call-completed", call())
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"source": None}, "envelope"),
        ({"type": "streamer.call-completed.v2"}, "unknown-version"),
        ({"data": 3}, "wrong-type"),
    ],
)
def test_a_cloud_event_that_a_worker_would_reject_is_rejected(changed: dict[str, Any], reason: str) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/chat",
        "type": "call-completed",
        "data": call(),
    } | changed
    found = ContractReader().read(json.dumps(event).encode())
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


def test_what_a_dry_run_prints_is_read_as_the_same(tmp_path: Path) -> None:
    cloud = {"specversion": "1.0", "id": "1", "source": "/chat", "type": "call-completed", "data": call(2)}
    first = dry_run(ndjson(tmp_path / "events.ndjson", [call(), SURVEY, SENT, QA, VALUE, cloud]))
    assert first.code == 0
    again = dry_run(ndjson(tmp_path / "printed.ndjson", first.lines))
    assert again.lines == first.lines
    assert [line["topic"] for line in first.lines[1:3]] == ["survey-completed", "survey-sent"]
    assert first.lines[-1]["source"] == "/chat"
    assert "source" not in first.lines[0]


def test_a_record_bears_its_events_own_time_and_its_customer(tmp_path: Path) -> None:
    done = dry_run(ndjson(tmp_path / "events.ndjson", [call(customer_id="k9"), call(2), QA, VALUE]))
    assert {line["timestamp"] for line in done.lines} == {1_777_896_000_000}
    assert [line["key"] for line in done.lines] == ["k9", "c2", "e1", "k1"]


def test_a_deletion_without_a_time_bears_that_of_the_row_before(tmp_path: Path) -> None:
    rows = [call(), {"segment_id": "s1", "deleted": True, "version": 2}]
    done = dry_run(ndjson(tmp_path / "events.ndjson", rows))
    assert done.lines[1]["timestamp"] == done.lines[0]["timestamp"]
    assert done.data[1] == rows[1]


def test_what_a_worker_would_reject_is_counted_by_reason_and_not_sent(tmp_path: Path) -> None:
    rows = [
        call(wait_s=-1),
        call(2),
        call(3, outcome="lost"),
        call(4, outcome="gone"),
        call(5, ended_at="noon"),
    ]
    done = dry_run(ndjson(tmp_path / "events.ndjson", rows))
    assert (done.code, done.data) == (3, [call(2)])
    assert "5 rows, 1 event printed" in done.stderr
    assert "line 1: negative: wait_s is -1, expected 0 seconds or more" in done.stderr
    counts = [line.split() for line in done.stderr.splitlines()]
    for count in (["unknown-value", "2"], ["negative", "1"], ["no-time", "1"], ["call-completed", "1"]):
        assert count in counts


def test_only_the_first_errors_are_shown(tmp_path: Path) -> None:
    done = dry_run(ndjson(tmp_path / "events.ndjson", [call(n, outcome="lost") for n in range(1, 13)]))
    assert "line 10: " in done.stderr
    assert "line 11: " not in done.stderr
    assert "… and 2 more" in done.stderr
