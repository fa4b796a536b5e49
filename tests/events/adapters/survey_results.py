"""Read payloads of survey tools: the events published, and the facts they state."""

import json
from collections.abc import Mapping
from typing import Any

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import OutgoingEvent, PayloadItem, read_payload
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import Event, RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord, outgoing_record


def read_items(source: str, payload: Any, **options: Any) -> list[PayloadItem]:
    return read_payload(SOURCES[source], json.dumps(payload), options)


def sent_events(source: str, payload: Any, **options: Any) -> list[OutgoingEvent]:
    """Return all events; fail if anything is rejected."""
    items = read_items(source, payload, **options)
    assert all(isinstance(item, OutgoingEvent) for item in items), items
    return [item for item in items if isinstance(item, OutgoingEvent)]


def only_event_data(source: str, payload: Any, **options: Any) -> Mapping[str, Any]:
    """Return the data of the only event."""
    (event,) = sent_events(source, payload, **options)
    return event.data


def only_rejection(source: str, payload: Any, **options: Any) -> RejectedEvent:
    (rejection,) = read_items(source, payload, **options)
    assert isinstance(rejection, RejectedEvent), rejection
    return rejection


def stated_facts(source: str, payloads: list[Any], **options: Any) -> list[Event]:
    """Return the facts that `decode` reads from the published events."""
    return [_fact(source, item) for payload in payloads for item in sent_events(source, payload, **options)]


def _fact(source: str, item: OutgoingEvent) -> Event:
    record = outgoing_record(item, source)
    assert isinstance(record, OutgoingRecord), record
    came = KafkaRecord(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers)
    fact = decode(came, CountingRules())
    assert not isinstance(fact, RejectedEvent), fact
    return fact
