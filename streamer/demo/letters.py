"""Here is how the simulated center's systems write: bare objects, structured and binary CloudEvents."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """A Kafka record to be: `at_ms` is when it is published, and its timestamp."""

    at_ms: int
    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class System(NamedTuple):
    """Which system writes: its CloudEvents source, "" for one that writes bare objects, and its mode."""

    source: str = ""
    binary: bool = False


TELEPHONY = System()
CHAT = System("/chat")
MAIL = System("/mail", binary=True)
SYSTEMS = {"voice": TELEPHONY, "chat": CHAT, "email": MAIL, "message": TELEPHONY}


def letter(system: System, topic: str, data: Mapping[str, Any], id_: str) -> tuple[bytes, tuple[Any, ...]]:
    """Value and headers. `id_` is the event's: a duplicate has the same. None is left out, unknown."""
    known = {name: value for name, value in data.items() if value is not None}
    if not system.source:
        return _encode(known), ()
    attributes = {"specversion": "1.0", "id": id_, "source": system.source, "type": f"center.{topic}"}
    if system.binary:
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        return _encode(known), (("content-type", b"application/json"), *headers)
    value = _encode({**attributes, "datacontenttype": "application/json", "data": known})
    return value, (("content-type", b"application/cloudevents+json"),)
