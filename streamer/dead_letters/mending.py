"""Edit the data of a rejected record, and check whether it would now be accepted."""

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
"""New values of fields, by paths such as answers.nps."""


def change(text: str) -> tuple[str, Any]:
    """Parse FIELD=JSON. Raise QueryError if it is anything else.

    >>> change("answers.nps=9")
    ('answers.nps', 9)
    """
    name, equals, value = text.partition("=")
    if not equals or not all(name.split(".")):
        raise QueryError(f"--set {text}: expected FIELD=JSON, such as answers.nps=9")
    try:
        return name, json.loads(value)
    except ValueError:
        example = f"{name}={json.dumps(value, ensure_ascii=False)}"
        raise QueryError(
            f"--set {text}: the value is not JSON; a text needs quotes: --set '{example}'"
        ) from None


def changed(record: Record, changes: Changes) -> Record:
    """Return the record with edited data, in the envelope it came in. Raise DeadLetterError if impossible.

    >>> value = b'{"response_id":"r-9","answers":{"nps":11}}'
    >>> record = Record("survey-completed", 0, 17, 0, None, value, ())
    >>> changed(record, [change("answers.nps=10")]).value
    b'{"response_id":"r-9","answers":{"nps":10}}'
    """
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
            raise LetterError("data is not a JSON object, so its fields cannot be set")
        _change(data, changes)
        return
    try:
        data = _object(base64.b64decode(body["data_base64"], validate=True), "data_base64")
    except (TypeError, ValueError):
        raise LetterError("data_base64 cannot be decoded, so its fields cannot be set") from None
    _change(data, changes)
    body["data_base64"] = base64.b64encode(_written(data)).decode()


def _change(data: dict[str, Any], changes: Changes) -> None:
    for path, value in changes:
        *parents, name = path.split(".")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise LetterError(f"{parent} is not a JSON object, so {path} cannot be set")
        place[name] = value


def _object(value: bytes, name: str) -> dict[str, Any]:
    # Python's decoder reads NaN as a number, and NaN may be the value to correct.
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise LetterError(f"{name} is not a JSON object, so its fields cannot be set")
    return body


def _written(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise LetterError("the data holds a number that is not finite: set that field too") from None


def verdict(record: Record, settings: Settings) -> Rejected | None:
    """Return the rejection of a record by the settings in force, or None if it would be accepted.

    Raise DeadLetterError for a topic that streamer does not read.
    """
    if record.topic in TOPICS:
        outcome = decode(record, settings.rules())
        return outcome if isinstance(outcome, Rejected) else None
    name = source_of(record.topic)
    if name == record.topic or name not in SOURCES:
        raise LetterError(f"streamer does not read the topic {record.topic}")
    found = read(SOURCES[name], record.value or b"", settings.source_options(name))
    told = [outgoing(one, name) if isinstance(one, Sent) else one for one in found]
    return next((one for one in told if isinstance(one, Rejected)), None)
