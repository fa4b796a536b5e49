"""Here is what a published event states: by its outgoing record, as a worker reads it."""

from streamer.events.adapters.source import Sent
from streamer.events.decoding import Record, decode
from streamer.events.models import Event, Rejected
from streamer.events.outgoing import outgoing
from streamer.events.rules import Rules


def stated(sent: Sent, source: str) -> Event:
    """The fact; an assertion fails where the event would not be counted."""
    record = outgoing(sent, source)
    assert not isinstance(record, Rejected), record
    found = decode(
        Record(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers), Rules()
    )
    assert not isinstance(found, Rejected), found
    return found
