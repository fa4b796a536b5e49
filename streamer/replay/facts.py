"""Turn the events of a row into Kafka records, or into the reason why they cannot be sent."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from streamer.events.adapters.fields import instant
from streamer.events.adapters.source import Sent
from streamer.events.decoding import Record, decode
from streamer.events.envelopes import WrongError
from streamer.events.models import Rejected
from streamer.events.outgoing import Outgoing, outgoing
from streamer.events.rules import Rules

TIMES: Final = ("queued_at", "ended_at", "sent_at", "answered_at", "evaluated_at", "as_of", "updated_at")
_LAST_SECOND = 253_402_300_799  # of the year 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fact(NamedTuple):
    """A contract event and its CloudEvents source; "" for a bare object without one."""

    source: str
    sent: Sent


class Skipped(NamedTuple):
    """A row that a map leaves out, and the reason it gives."""

    why: str


Said = Fact | Rejected | Skipped


class Entry(NamedTuple):
    """The line of a row and the results read from it; line 0 for an event assembled from several rows."""

    line: int
    said: tuple[Said, ...]


def ready(fact: Fact, rules: Rules, at_ms: int) -> Outgoing | Rejected:
    """Return the record to send, stamped with the event's own time, or Rejected if a worker would reject it.
    `fallback_ms` (epoch milliseconds) stamps a deletion that has no time of its own."""
    record = outgoing(fact.sent, fact.source)
    if isinstance(record, Rejected) and record.reason == "no-time" and _is_timeless_deletion(fact.sent.data):
        record = _at(fact, at_ms)
    if isinstance(record, Rejected):
        return record
    if not fact.source:
        record = record._replace(headers=())
    found = decode(
        Record(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers), rules
    )
    return found if isinstance(found, Rejected) else record


def _is_timeless_deletion(data: Mapping[str, Any]) -> bool:
    return data.get("deleted") is True and not any(data.get(name) for name in TIMES)


def _at(fact: Fact, at_ms: int) -> Outgoing | Rejected:
    lent = {**fact.sent.data, "updated_at": at_ms / 1000}
    record = outgoing(Sent(fact.sent.topic, lent), fact.source)
    if isinstance(record, Rejected):
        return record
    return record._replace(value=msgspec.json.encode(fact.sent.data, order="deterministic"))


def shifted(fact: Fact, by_ms: int) -> Fact:
    """Move all times of an event by an amount in milliseconds. A value that is not a time stays, and is
    rejected later.

    >>> data = {"contact_id": "c1", "ended_at": "2026-05-04T12:00:00Z", "wait_s": 40}
    >>> shifted(Fact("", Sent("call-completed", data)), 3_600_000).sent.data
    {'contact_id': 'c1', 'ended_at': '2026-05-04T13:00:00Z', 'wait_s': 40}
    """
    data = {
        name: _moved(name, value, by_ms) if name in TIMES else value for name, value in fact.sent.data.items()
    }
    return Fact(fact.source, Sent(fact.sent.topic, data))


def _moved(name: str, value: Any, by_ms: int) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(value * 1000 + by_ms) / 1000 if abs(value) < _LAST_SECOND else value
    try:
        found = instant(name, value)
        return value if found is None else rfc3339(found + by_ms)
    except (WrongError, OverflowError):
        return value


def rfc3339(ms: int) -> str:
    """Format epoch milliseconds as RFC 3339 in UTC, with milliseconds only if there are any.

    >>> rfc3339(1_777_896_000_000), rfc3339(1_777_896_000_250)
    ('2026-05-04T12:00:00Z', '2026-05-04T12:00:00.250Z')
    """
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")
