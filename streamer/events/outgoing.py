"""Build Kafka records from contract events: binary CloudEvents, stamped with the event's own time."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from streamer.events.adapters.fields import epoch_s, instant
from streamer.events.adapters.source import Sent
from streamer.events.envelopes import LARGEST, WrongError
from streamer.events.models import Rejected

_TIME: Final[Mapping[str, str]] = {
    "call-completed": "ended_at",
    "survey-sent": "sent_at",
    "survey-completed": "answered_at",
    "contact-evaluated": "evaluated_at",
    "customer-valued": "as_of",
}
_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "call-completed": ("segment_id", "contact_id"),
    "survey-sent": ("survey_id",),
    "survey-completed": ("response_id",),
    "contact-evaluated": ("evaluation_id",),
    "customer-valued": ("customer_id",),
}
_encode = msgspec.json.Encoder(order="deterministic").encode


class Outgoing(NamedTuple):
    """A record for a producer. `timestamp_ms` is the time of the event, so that it may arrive late."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


def outgoing(sent: Sent, source: str) -> Outgoing | Rejected:
    """Encode an event of a source as a record; equal events give equal bytes.

    The record's key is the id of the customer, else of the contact, else of the fact, so that events which
    belong together stay in order on one partition.

    >>> data = {"contact_id": "c-81232", "queue": "billing", "ended_at": 1795255200, "outcome": "abandoned"}
    >>> record = outgoing(Sent("call-completed", data), "twilio")
    >>> record.key, record.timestamp_ms
    (b'c-81232', 1795255200000)
    """
    try:
        fact, at_ms = fact_id(sent), happened_ms(sent)
    except WrongError as error:
        return Rejected(error.reason, error.error)
    value = _encode(sent.data)
    if len(value) > LARGEST:
        return Rejected("too-large", f"the event has {len(value)} bytes, expected at most {LARGEST}")
    key = str(sent.data.get("customer_id") or sent.data.get("contact_id") or fact)
    return Outgoing(sent.topic, key.encode(), value, _headers(sent, source, fact), at_ms)


def fact_id(sent: Sent) -> str:
    """Return the id of the fact that an event states. Raise InvalidEventError if it has none."""
    for name in _IDS[sent.topic]:
        if (found := sent.data.get(name)) not in (None, ""):
            return str(found)
    raise WrongError("missing", f"{_IDS[sent.topic][-1]} is missing, expected an id")


def happened_ms(sent: Sent) -> int:
    """Return the time of an event in ms since the epoch.

    A deletion without such a time has the time of its update. Raise InvalidEventError if there is neither.
    """
    names = (_TIME[sent.topic], "updated_at") if sent.data.get("deleted") is True else (_TIME[sent.topic],)
    for name in names:
        if (found := _ms(name, sent.data.get(name))) is not None:
            return found
    raise WrongError("no-time", f"{names[0]} is missing, expected RFC 3339 with a zone, or epoch seconds")


def _ms(name: str, value: Any) -> int | None:
    if isinstance(value, str):
        found = instant(name, value)
    else:
        seconds = epoch_s(name, value)
        found = None if seconds is None else round(seconds * 1000)
    if found is not None and found < 0:
        raise WrongError("no-time", f"{name} is before 1970: a Kafka timestamp cannot hold it")
    return found


def _headers(sent: Sent, source: str, fact: str) -> tuple[tuple[str, bytes], ...]:
    version = sent.data.get("version") or sent.data.get("updated_at") or 0
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": f"{fact}:{version}",
        "ce_source": source,
        "ce_type": f"streamer.{sent.topic}.v1",
    }
    return (
        ("content-type", b"application/json"),
        *((name, value.encode()) for name, value in attributes.items()),
    )
