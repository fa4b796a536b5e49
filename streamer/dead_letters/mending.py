"""Here is what can be done about a rejected record: its data changed, and a look whether it would do."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from streamer.dead_letters.letter import LetterError
from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Sent, read
from streamer.events.asyncapi import CLOUD_EVENT
from streamer.events.decoding import TOPICS, Record, decode
from streamer.events.models import Rejected
from streamer.events.outgoing import outgoing
from streamer.events.raw_topics import source_of
from streamer.readings.query import QueryError
from streamer.settings import Settings

Changes = Sequence[tuple[str, Any]]
"""Fields by their paths, such as answers.nps, and what they are to hold."""


def change(text: str) -> tuple[str, Any]:
    """Of FIELD=JSON. Raises QueryError."""
    name, equals, value = text.partition("=")
    if not equals or not all(name.split(".")):
        raise QueryError(f"--set {text}: expected FIELD=JSON, such as answers.nps=9")
    try:
        return name, json.loads(value)
    except ValueError:
        example = f"{name}={json.dumps(value, ensure_ascii=False)}"
        raise QueryError(
            f"--set {text}: this is no JSON; a text stands in quotes: --set '{example}'"
        ) from None


def changed(record: Record, changes: Changes) -> Record:
    """The same record with other data, in the envelope it came in. Raises LetterError."""
    if not changes:
        return record
    body = _object(record.value or b"", "the value")
    if record.topic in TOPICS and _is_structured(record, body):
        _change_enveloped(body, changes)
    else:
        _change(body, changes)
    return record._replace(value=_written(body))


def _is_structured(record: Record, body: Mapping[str, Any]) -> bool:
    named = {name.lower(): value or b"" for name, value in record.headers}
    if named.get("content-type", b"").partition(b";")[0].strip().lower() == CLOUD_EVENT.encode():
        return True
    return body.get("specversion") is not None and not any(name.startswith("ce_") for name in named)


def _change_enveloped(body: dict[str, Any], changes: Changes) -> None:
    if body.get("data_base64") is None:
        data = body.get("data")
        if not isinstance(data, dict):
            raise LetterError("its data is no object: no field of it can be set")
        _change(data, changes)
        return
    try:
        data = _object(base64.b64decode(body["data_base64"], validate=True), "data_base64")
    except (TypeError, ValueError):
        raise LetterError("its data_base64 cannot be decoded: no field of it can be set") from None
    _change(data, changes)
    body["data_base64"] = base64.b64encode(_written(data)).decode()


def _change(data: dict[str, Any], changes: Changes) -> None:
    for path, value in changes:
        *parents, name = path.split(".")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise LetterError(f"{parent} is no object: {path} cannot be set")
        place[name] = value


def _object(value: bytes, name: str) -> dict[str, Any]:
    # Python's reader: NaN, which may be what is to be changed, is a number to it.
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise LetterError(f"{name} is no JSON object: no field of it can be set")
    return body


def _written(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise LetterError("it holds a number that is not finite: set that one too") from None


def verdict(record: Record, settings: Settings) -> Rejected | None:
    """Why it would be rejected again, by the settings in force. Raises LetterError for what is of no
    topic that anybody reads."""
    if record.topic in TOPICS:
        outcome = decode(record, settings.rules())
        return outcome if isinstance(outcome, Rejected) else None
    name = source_of(record.topic)
    if name == record.topic or name not in SOURCES:
        raise LetterError(f"{record.topic} is no topic of ours")
    found = read(SOURCES[name], record.value or b"", settings.source_options(name))
    told = [outgoing(one, name) if isinstance(one, Sent) else one for one in found]
    return next((one for one in told if isinstance(one, Rejected)), None)
