"""Turn the events of a row into Kafka records, or into the reason why they cannot be sent."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from streamer.events.adapters.fields import read_instant_ms
from streamer.events.adapters.source import OutgoingEvent
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.envelopes import InvalidEventError
from streamer.events.kinds import TIME_FIELDS
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord, outgoing_record

_MAX_EPOCH_S = 253_402_300_799  # of the year 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourcedEvent(NamedTuple):
    """A contract event and its CloudEvents source; "" for a bare object without one."""

    source: str
    event: OutgoingEvent


class SkippedRow(NamedTuple):
    """A row that a map leaves out, and the reason it gives."""

    reason: str


RowResult = SourcedEvent | RejectedEvent | SkippedRow


class ReplayEntry(NamedTuple):
    """The line of a row and the results read from it; line 0 for an event assembled from several rows."""

    line: int
    results: tuple[RowResult, ...]


def prepare_record(
    sourced_event: SourcedEvent, rules: CountingRules, fallback_ms: int
) -> OutgoingRecord | RejectedEvent:
    """Return the record to send, stamped with the event's own time, or Rejected if a worker would reject it.
    `fallback_ms` (epoch milliseconds) stamps a deletion that has no time of its own."""
    record = outgoing_record(sourced_event.event, sourced_event.source)
    if (
        isinstance(record, RejectedEvent)
        and record.reason == "no-time"
        and _is_timeless_deletion(sourced_event.event.data)
    ):
        record = _record_at(sourced_event, fallback_ms)
    if isinstance(record, RejectedEvent):
        return record
    if not sourced_event.source:
        record = record._replace(headers=())
    decoded = decode(
        KafkaRecord(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers), rules
    )
    return decoded if isinstance(decoded, RejectedEvent) else record


def _is_timeless_deletion(data: Mapping[str, Any]) -> bool:
    return data.get("deleted") is True and not any(data.get(name) for name in TIME_FIELDS)


def _record_at(sourced_event: SourcedEvent, time_ms: int) -> OutgoingRecord | RejectedEvent:
    dated_data = {**sourced_event.event.data, "updated_at": time_ms / 1000}
    record = outgoing_record(OutgoingEvent(sourced_event.event.topic, dated_data), sourced_event.source)
    if isinstance(record, RejectedEvent):
        return record
    return record._replace(value=msgspec.json.encode(sourced_event.event.data, order="deterministic"))


def shift_times(sourced_event: SourcedEvent, shift_ms: int) -> SourcedEvent:
    """Move all times of an event by an amount in milliseconds. A value that is not a time stays, and is
    rejected later.

    >>> data = {"contact_id": "c1", "ended_at": "2026-05-04T12:00:00Z", "wait_s": 40}
    >>> shift_times(SourcedEvent("", OutgoingEvent("call-completed", data)), 3_600_000).event.data
    {'contact_id': 'c1', 'ended_at': '2026-05-04T13:00:00Z', 'wait_s': 40}
    """
    data = {
        name: _shift_value(name, value, shift_ms) if name in TIME_FIELDS else value
        for name, value in sourced_event.event.data.items()
    }
    return SourcedEvent(sourced_event.source, OutgoingEvent(sourced_event.event.topic, data))


def _shift_value(name: str, value: Any, shift_ms: int) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1000 + shift_ms) / 1000 if abs(value) < _MAX_EPOCH_S else value
    try:
        time_ms = read_instant_ms(name, value)
        return value if time_ms is None else format_utc(time_ms + shift_ms)
    except (InvalidEventError, OverflowError):
        return value


def format_utc(time_ms: int) -> str:
    """Format epoch milliseconds as RFC 3339 in UTC, with milliseconds only if there are any.

    >>> format_utc(1_777_896_000_000), format_utc(1_777_896_000_250)
    ('2026-05-04T12:00:00Z', '2026-05-04T12:00:00.250Z')
    """
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds" if time_ms % 1000 else "seconds").replace("+00:00", "Z")
