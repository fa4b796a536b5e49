"""Encoding of events as the JSON records that state them."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streamer.events.decoding import KafkaRecord
from streamer.events.models import (
    QUESTIONS,
    ContactState,
    CustomerValuation,
    Event,
    QualityEvaluation,
    Segment,
    SurveyResponse,
    Tombstone,
)

TOPIC = {
    "s": "call-completed",
    "v": "survey-sent",
    "r": "survey-completed",
    "e": "contact-evaluated",
    "c": "customer-valued",
    "l": "contact-state",
    "a": "agent-state",
}
_ID = {
    "s": "segment_id",
    "v": "survey_id",
    "r": "response_id",
    "e": "evaluation_id",
    "c": "customer_id",
    "l": "segment_id",
    "a": "agent_id",
}


def topic_of(event: Event) -> str:
    return TOPIC[event.identity.kind]


def body(event: Event) -> dict[str, Any]:
    """Return the event's data in the format of the contract."""
    if isinstance(event, Tombstone):
        data = {_ID[event.identity.kind]: event.identity.id, "version": event.version, "deleted": True}
        return data if event.at is None else data | {"at": event.at / 1000}
    data: dict[str, Any] = {
        name: getattr(event, name)
        for name in event.__struct_fields__
        if getattr(event, name) is not None and name != "source" and not name.endswith("_ms")
    }
    for name in ("queued_at", "ended_at", "sent_at", "answered_at", "evaluated_at", "as_of", "at", "seen_at"):
        if name in data:
            data[name] /= 1000
    for name in ("wait", "talk", "hold", "acw", "heart_beat"):
        if getattr(event, f"{name}_ms", None) is not None:
            data[f"{name}_s"] = getattr(event, f"{name}_ms") / 1000
    return _special(event, data)


def _special(event: Event, data: dict[str, Any]) -> dict[str, Any]:
    if isinstance(event, Segment) and event.customer_value is not None:
        data["customer_value"] = event.customer_value / 100
    if isinstance(event, Segment | ContactState) and not event.segment_id:
        del data["segment_id"]
    if isinstance(event, SurveyResponse):
        data["answers"] = {name: data.pop(name) for name in QUESTIONS if name in data}
    if isinstance(event, QualityEvaluation):
        data["score"] = event.score / 100
        data["items"] = {name: None if points is None else points / 100 for name, points in event.items}
    if isinstance(event, CustomerValuation):
        data["value"] = event.value / 100
        del data["version"]
    return data


def record(event: Event, partition: int, offset: int, timestamp: int) -> KafkaRecord:
    """Return the record of an event: a bare object, or a CloudEvent where the event has a source."""
    source = event.identity.source
    data = body(event)
    if source:
        data = {"specversion": "1.0", "type": "t", "id": str(offset), "source": source, "data": data}
    return KafkaRecord(topic_of(event), partition, offset, timestamp, None, json.dumps(data).encode(), ())


def logs(
    events: Iterable[tuple[Event, int]], timestamp: Callable[[Event], int]
) -> dict[tuple[str, int], Sequence[KafkaRecord]]:
    """Return the logs after each event was published to its topic, in the partition given beside it."""
    logs_by_partition: dict[tuple[str, int], list[KafkaRecord]] = {}
    for event, partition in events:
        log = logs_by_partition.setdefault((topic_of(event), partition), [])
        log.append(record(event, partition, len(log), timestamp(event)))
    return logs_by_partition
