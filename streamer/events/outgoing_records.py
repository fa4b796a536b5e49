"""Build Kafka records from contract events: binary CloudEvents, stamped with the event's own time."""

from typing import Any, NamedTuple

import msgspec

from streamer.events.adapters.fields import read_epoch_s, read_instant_ms
from streamer.events.adapters.source import OutgoingEvent
from streamer.events.envelopes import MAX_RECORD_BYTES, InvalidEventError
from streamer.events.kinds import KINDS
from streamer.events.models import RejectedEvent

_encode = msgspec.json.Encoder(order="deterministic").encode


class OutgoingRecord(NamedTuple):
    """A record for a producer. `timestamp_ms` is the time of the event, so that it may arrive late."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


def outgoing_record(event: OutgoingEvent, source: str) -> OutgoingRecord | RejectedEvent:
    """Encode an event of a source as a record; equal events give equal bytes.

    The record's key is the id of the customer, else of the contact, else of the fact, so that events which
    belong together stay in order on one partition.

    >>> data = {"contact_id": "c-81232", "queue": "billing", "ended_at": 1795255200, "outcome": "abandoned"}
    >>> record = outgoing_record(OutgoingEvent("call-completed", data), "twilio")
    >>> record.key, record.timestamp_ms
    (b'c-81232', 1795255200000)
    """
    try:
        identifier, time_ms = fact_id(event), event_time_ms(event)
    except InvalidEventError as error:
        return RejectedEvent(error.reason, error.error)
    value = _encode(event.data)
    if len(value) > MAX_RECORD_BYTES:
        return RejectedEvent(
            "too-large", f"the event has {len(value)} bytes, expected at most {MAX_RECORD_BYTES}"
        )
    key = str(event.data.get("customer_id") or event.data.get("contact_id") or identifier)
    return OutgoingRecord(event.topic, key.encode(), value, _headers(event, source, identifier), time_ms)


def fact_id(event: OutgoingEvent) -> str:
    """Return the id of the fact that an event states. Raise InvalidEventError if it has none."""
    names = KINDS[event.topic].ids
    for name in names:
        if (value := event.data.get(name)) not in (None, ""):
            return str(value)
    raise InvalidEventError("missing", f"{names[-1]} is missing, expected an id")


def event_time_ms(event: OutgoingEvent) -> int:
    """Return the time of an event in ms since the epoch: when it was last seen to be so, or began.

    A deletion without such a time has the time of its update. Raise InvalidEventError if there is neither.
    """
    kind = KINDS[event.topic]
    names = [name for name in (kind.seen_field, kind.time_field) if name is not None]
    if event.data.get("deleted") is True:
        names.append("updated_at")
    for name in names:
        if (time_ms := _read_time_ms(name, event.data.get(name))) is not None:
            return time_ms
    raise InvalidEventError(
        "no-time", f"{kind.time_field} is missing, expected RFC 3339 with a zone, or epoch seconds"
    )


def _read_time_ms(name: str, value: Any) -> int | None:
    if isinstance(value, str):
        time_ms = read_instant_ms(name, value)
    else:
        seconds = read_epoch_s(name, value)
        time_ms = None if seconds is None else round(seconds * 1000)
    if time_ms is not None and time_ms < 0:
        raise InvalidEventError("no-time", f"{name} is before 1970: a Kafka timestamp cannot hold it")
    return time_ms


def _headers(event: OutgoingEvent, source: str, identifier: str) -> tuple[tuple[str, bytes], ...]:
    version = event.data.get("version") or event.data.get("updated_at") or 0
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": f"{identifier}:{version}",
        "ce_source": source,
        "ce_type": f"streamer.{event.topic}.v1",
    }
    return (
        ("content-type", b"application/json"),
        *((name, value.encode()) for name, value in attributes.items()),
    )
