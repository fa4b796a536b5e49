"""Encodings of the simulated center's systems: bare JSON, structured and binary CloudEvents."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode


class SimulatedMessage(NamedTuple):
    """Kafka record to be published at `at_ms`, which is also its timestamp."""

    at_ms: int
    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class SourceSystem(NamedTuple):
    """System that writes events: its CloudEvents source ("" for one that writes bare JSON) and mode."""

    source: str = ""
    binary: bool = False


TELEPHONY = SourceSystem()
CHAT = SourceSystem("/chat")
MAIL = SourceSystem("/mail", binary=True)
SYSTEMS = {"voice": TELEPHONY, "chat": CHAT, "email": MAIL, "message": TELEPHONY}


def encode_event(
    system: SourceSystem, topic: str, data: Mapping[str, Any], id_: str
) -> tuple[bytes, tuple[Any, ...]]:
    """Return value and headers of a record. `id_` is the event's id; a duplicate has the same.

    Members that are None are unknown and left out.

    >>> encode_event(TELEPHONY, "call-completed", {"contact_id": "c-1", "site": None}, "c-1/0")
    (b'{"contact_id":"c-1"}', ())
    """
    fields = {name: value for name, value in data.items() if value is not None}
    if not system.source:
        return _encode(fields), ()
    attributes = {"specversion": "1.0", "id": id_, "source": system.source, "type": f"center.{topic}"}
    if system.binary:
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        return _encode(fields), (("content-type", b"application/json"), *headers)
    value = _encode({**attributes, "datacontenttype": "application/json", "data": fields})
    return value, (("content-type", b"application/cloudevents+json"),)
