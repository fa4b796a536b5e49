"""Read payloads of survey tools: the events published, and the facts they state."""

import json
from collections.abc import Mapping
from typing import Any

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Read, Sent, read
from streamer.events.decoding import Record, decode
from streamer.events.models import Event, Rejected
from streamer.events.outgoing import Outgoing, outgoing
from streamer.events.rules import Rules


def given(source: str, payload: Any, **options: Any) -> list[Read]:
    return read(SOURCES[source], json.dumps(payload), options)


def sent(source: str, payload: Any, **options: Any) -> list[Sent]:
    """Return all events; fail if anything is rejected."""
    found = given(source, payload, **options)
    assert all(isinstance(item, Sent) for item in found), found
    return [item for item in found if isinstance(item, Sent)]


def one(source: str, payload: Any, **options: Any) -> Mapping[str, Any]:
    """Return the data of the only event."""
    (found,) = sent(source, payload, **options)
    return found.data


def refused(source: str, payload: Any, **options: Any) -> Rejected:
    (found,) = given(source, payload, **options)
    assert isinstance(found, Rejected), found
    return found


def facts(source: str, payloads: list[Any], **options: Any) -> list[Event]:
    """Return the facts that `decode` reads from the published events."""
    return [_fact(source, item) for payload in payloads for item in sent(source, payload, **options)]


def _fact(source: str, item: Sent) -> Event:
    record = outgoing(item, source)
    assert isinstance(record, Outgoing), record
    came = Record(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers)
    fact = decode(came, Rules())
    assert not isinstance(fact, Rejected), fact
    return fact
