"""Decode published events, as a worker reads their records."""

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import Event, RejectedEvent
from streamer.events.outgoing_records import outgoing_record


def decoded_fact(event: OutgoingEvent, source: str) -> Event:
    """Return the fact of an event; fail if it would not be counted."""
    record = outgoing_record(event, source)
    assert not isinstance(record, RejectedEvent), record
    fact = decode(
        KafkaRecord(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers),
        CountingRules(),
    )
    assert not isinstance(fact, RejectedEvent), fact
    return fact
