"""Decode published events, as a worker reads their records."""

from streamer.events.adapters.source import Sent
from streamer.events.decoding import Record, decode
from streamer.events.models import Event, Rejected
from streamer.events.outgoing import outgoing
from streamer.events.rules import Rules


def stated(sent: Sent, source: str) -> Event:
    """Return the fact of an event; fail if it would not be counted."""
    record = outgoing(sent, source)
    assert not isinstance(record, Rejected), record
    found = decode(
        Record(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers), Rules()
    )
    assert not isinstance(found, Rejected), found
    return found
