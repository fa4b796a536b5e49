"""Here is what becomes of a survey tool's payloads: what is published, and the facts it states."""

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
    """Everything, where nothing is refused."""
    found = given(source, payload, **options)
    assert all(isinstance(item, Sent) for item in found), found
    return [item for item in found if isinstance(item, Sent)]


def one(source: str, payload: Any, **options: Any) -> Mapping[str, Any]:
    """The data of the only event."""
    (found,) = sent(source, payload, **options)
    return found.data


def refused(source: str, payload: Any, **options: Any) -> Rejected:
    (found,) = given(source, payload, **options)
    assert isinstance(found, Rejected), found
    return found


def facts(source: str, payloads: list[Any], **options: Any) -> list[Event]:
    """As `decode` accepts what is published."""
    return [_fact(source, item) for payload in payloads for item in sent(source, payload, **options)]


def _fact(source: str, item: Sent) -> Event:
    record = outgoing(item, source)
    assert isinstance(record, Outgoing), record
    came = Record(record.topic, 0, 0, record.timestamp_ms, record.key, record.value, record.headers)
    fact = decode(came, Rules())
    assert not isinstance(fact, Rejected), fact
    return fact
