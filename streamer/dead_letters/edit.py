"""Edit the data of a rejected record, and check whether it would now be accepted."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from streamer.dead_letters.dead_letter import DeadLetterError
from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import OutgoingEvent, read_payload
from streamer.events.asyncapi import CLOUD_EVENT
from streamer.events.decoding import TOPICS, KafkaRecord, decode
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import outgoing_record
from streamer.events.raw_topics import source_of_topic
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames
from streamer.readings.query import QueryError
from streamer.settings import Settings

FieldEdits = Sequence[tuple[str, Any]]
"""New values of fields, by paths such as answers.nps."""


def parse_edit(text: str) -> tuple[str, Any]:
    """Parse FIELD=JSON. Raise QueryError if it is anything else.

    >>> parse_edit("answers.nps=9")
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


def edit_record(record: KafkaRecord, edits: FieldEdits, names: TopicNames = CONTRACT_NAMES) -> KafkaRecord:
    """Return the record with edited data, in the envelope it came in. Raise DeadLetterError if impossible.

    >>> value = b'{"response_id":"r-9","answers":{"nps":11}}'
    >>> record = KafkaRecord("survey-completed", 0, 17, 0, None, value, ())
    >>> edit_record(record, [parse_edit("answers.nps=10")]).value
    b'{"response_id":"r-9","answers":{"nps":10}}'
    """
    if not edits:
        return record
    body = _object(record.value or b"", "the value")
    if names.in_contract(record.topic) in TOPICS and _is_structured(record, body):
        _edit_enveloped(body, edits)
    else:
        _edit_data(body, edits)
    return record._replace(value=_encode_body(body))


def _is_structured(record: KafkaRecord, body: Mapping[str, Any]) -> bool:
    headers_by_name = {name.lower(): value or b"" for name, value in record.headers}
    if headers_by_name.get("content-type", b"").partition(b";")[0].strip().lower() == CLOUD_EVENT.encode():
        return True
    return body.get("specversion") is not None and not any(name.startswith("ce_") for name in headers_by_name)


def _edit_enveloped(body: dict[str, Any], edits: FieldEdits) -> None:
    if body.get("data_base64") is None:
        data = body.get("data")
        if not isinstance(data, dict):
            raise DeadLetterError("data is not a JSON object, so its fields cannot be set")
        _edit_data(data, edits)
        return
    try:
        data = _object(base64.b64decode(body["data_base64"], validate=True), "data_base64")
    except (TypeError, ValueError):
        raise DeadLetterError("data_base64 cannot be decoded, so its fields cannot be set") from None
    _edit_data(data, edits)
    body["data_base64"] = base64.b64encode(_encode_body(data)).decode()


def _edit_data(data: dict[str, Any], edits: FieldEdits) -> None:
    for path, value in edits:
        *parents, name = path.split(".")
        target = data
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise DeadLetterError(f"{parent} is not a JSON object, so {path} cannot be set")
        target[name] = value


def _object(value: bytes, name: str) -> dict[str, Any]:
    # Python's decoder reads NaN as a number, and NaN may be the value to correct.
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise DeadLetterError(f"{name} is not a JSON object, so its fields cannot be set")
    return body


def _encode_body(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise DeadLetterError("the data holds a number that is not finite: set that field too") from None


def recheck_record(record: KafkaRecord, settings: Settings) -> RejectedEvent | None:
    """Return the rejection of a record by the settings in force, or None if it would be accepted.

    Raise DeadLetterError for a topic that streamer does not read.
    """
    topic = settings.kafka.names.in_contract(record.topic)
    if topic in TOPICS:
        outcome = decode(record, settings.counting_rules(), topic=topic)
        return outcome if isinstance(outcome, RejectedEvent) else None
    name = source_of_topic(topic or "")
    if name == topic or name not in SOURCES:
        raise DeadLetterError(f"streamer does not read the topic {record.topic}")
    payload_items = read_payload(SOURCES[name], record.value or b"", settings.source_options(name))
    outgoing_results = [
        outgoing_record(item, name) if isinstance(item, OutgoingEvent) else item for item in payload_items
    ]
    return next((item for item in outgoing_results if isinstance(item, RejectedEvent)), None)
