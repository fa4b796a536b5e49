"""Here is a Kafka record to be: a contract event as a binary CloudEvent, with the event's own time."""

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
    """As a producer takes it. `timestamp_ms` is when the event happened, so that it may arrive late."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


def outgoing(sent: Sent, source: str) -> Outgoing | Rejected:
    """The same bytes for equal events of a source. The key is the customer's id, where unknown the
    contact's, else the fact's own: what belongs together stays in order on one partition."""
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
    """The id of the fact an event states. Raises WrongError."""
    for name in _IDS[sent.topic]:
        if (found := sent.data.get(name)) not in (None, ""):
            return str(found)
    raise WrongError("missing", f"{_IDS[sent.topic][-1]} is missing, expected an id")


def happened_ms(sent: Sent) -> int:
    """When an event happened, in ms since the epoch; of a deletion without such a time when it was updated.
    Raises WrongError."""
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
        raise WrongError("no-time", f"{name} is before 1970, which Kafka cannot tell")
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
