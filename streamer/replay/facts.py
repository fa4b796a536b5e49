"""Here is what a row says: facts, which may be sent, or why there are none."""

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
    """An event of the contract and the CloudEvents source it is of; "" is none, a bare object."""

    source: str
    sent: Sent


class Skipped(NamedTuple):
    """A row that a map leaves out, and why."""

    why: str


Said = Fact | Rejected | Skipped


class Entry(NamedTuple):
    """A row's line, and all it says."""

    line: int
    said: tuple[Said, ...]


def ready(fact: Fact, rules: Rules, at_ms: int) -> Outgoing | Rejected:
    """As it is to be sent, under its own time; Rejected where a worker would reject it. `at_ms`: the time
    of a deletion that has none of its own."""
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
    """All its times moved; what is no time stays, to be rejected."""
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
    """In UTC, with milliseconds where there are any."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")
