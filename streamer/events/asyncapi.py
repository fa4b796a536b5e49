"""Build the AsyncAPI 3.0 document of the Kafka topics that streamer reads and writes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters import SOURCES
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import DEAD_LETTER_TOPIC, REASONS, TOPICS
from streamer.events.envelopes import CONTRACT_MAJOR, MAX_RECORD_BYTES
from streamer.events.event_bodies import LONGEST_TEXT
from streamer.events.kinds import KINDS
from streamer.events.raw_topics import raw_topic
from streamer.events.record_redaction import MAX_LETTER_BYTES
from streamer.events.schema import Schema, event_schema

CLOUD_EVENT: Final = "application/cloudevents+json"
_DIGITS: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$"}
LETTER_HEADERS: Final[Mapping[str, Schema]] = {
    "reason": {"description": "why it is not counted", "type": "string", "enum": list(REASONS)},
    "error": {"description": "the field, what it holds, what to change and where", "type": "string"},
    "topic": {"description": "of the rejected record", "type": "string"},
    "partition": {"description": "of the rejected record", **_DIGITS},
    "offset": {"description": "of the rejected record", **_DIGITS},
    "timestamp": {"description": "of the rejected record, in ms since the epoch", "type": "string"},
    "bytes": {"description": "of the rejected record's value", **_DIGITS},
    "customer": {"description": "the customer's pseudonym, where the record names one", "type": "string"},
}
"""The headers of a dead letter."""
_REQUIRED_LETTER_HEADERS: Final = ("reason", "error", "topic", "partition", "offset", "timestamp", "bytes")
_OTHER_MAJOR: Final = rf"[vV](?!{CONTRACT_MAJOR}(?:\.[0-9]+)*$)[0-9]+(?:\.[0-9]+)*$"
_ATTRIBUTES: Final[Mapping[str, Schema]] = {
    "specversion": {"description": "of CloudEvents", "type": "string", "pattern": r"^1\.[0-9]+$"},
    "id": {"description": "of the event; not looked at", "type": "string", "pattern": r"\S"},
    "type": {
        "description": f"any; where it ends in .v and a number, that is the major version: {CONTRACT_MAJOR}",
        "type": "string",
        "pattern": r"\S",
        "not": {"pattern": rf"\.{_OTHER_MAJOR}"},
    },
    "source": {
        "description": "the system; ids of segments, responses, surveys and evaluations are unique within it",
        "type": "string",
        "pattern": r"\S",
        "maxLength": LONGEST_TEXT,
    },
}
_DATA_SCHEMA: Final[Schema] = {
    "description": f"any; where it ends in /v and a number, that is the major version: {CONTRACT_MAJOR}",
    "not": {"type": "string", "pattern": rf"/{_OTHER_MAJOR}"},
}


def asyncapi_document(rules: CountingRules) -> dict[str, Any]:
    """Return the document.

    >>> document = asyncapi_document(CountingRules())
    >>> document["operations"]["write-dead-letters"]["channel"]
    {'$ref': '#/channels/streamer-dead-letters'}
    """
    messages = dict(_messages())
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "streamer",
            "version": f"{CONTRACT_MAJOR}.0.0",
            "description": "Events of a contact center, and what of them could not be counted. An event is a "
            "CloudEvent 1.0 in structured or binary mode, or its bare data. Any record key will do; the "
            "customer's id keeps a customer's events on one worker. The record's timestamp is when it was "
            f"published. A value of more than {MAX_RECORD_BYTES} bytes is refused.",
        },
        "defaultContentType": "application/json",
        "channels": {topic: _event_channel(topic) for topic in TOPICS}
        | {DEAD_LETTER_TOPIC: _dead_letter_channel(), "raw": _raw_channel()},
        "operations": {f"count-{topic}": _operation("receive", topic) for topic in TOPICS}
        | {
            "read-raw": _operation("receive", "raw"),
            "write-dead-letters": _operation("send", DEAD_LETTER_TOPIC),
        },
        "components": {
            "messages": messages,
            "schemas": {topic: _without_dialect(event_schema(topic, rules)) for topic in TOPICS},
        },
    }


def _without_dialect(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "$schema"}


def _event_channel(topic: str) -> dict[str, Any]:
    modes = ("structured", "binary", "bare")
    return {
        "address": topic,
        "description": KINDS[topic].body.__doc__,
        "messages": {mode: {"$ref": f"#/components/messages/{topic}.{mode}"} for mode in modes},
    }


def _dead_letter_channel() -> dict[str, Any]:
    return {
        "address": DEAD_LETTER_TOPIC,
        "description": "Records that are not counted, and why. The key is TOPIC:PARTITION:OFFSET of the "
        "record; a record of the same key without a value closes the letter.",
        "messages": {
            "letter": {"$ref": "#/components/messages/letter"},
            "closed": {"$ref": "#/components/messages/closed"},
        },
    }


def _raw_channel() -> dict[str, Any]:
    return {
        "address": raw_topic("{source}"),
        "description": "What known sources send, as they send it: see `streamer sources`.",
        "parameters": {"source": {"description": "a known source", "enum": sorted(SOURCES)}},
        "messages": {"raw": {"$ref": "#/components/messages/raw"}},
    }


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _messages() -> Iterator[tuple[str, dict[str, Any]]]:
    for topic in TOPICS:
        data = {"$ref": f"#/components/schemas/{topic}"}
        yield f"{topic}.structured", _structured_message(topic, data)
        yield f"{topic}.binary", _binary_message(topic, data)
        yield (
            f"{topic}.bare",
            {
                "title": f"{topic} as it is",
                "payload": data,
                "examples": [{"payload": dict(example)} for example in KINDS[topic].examples],
            },
        )
    yield "letter", _letter_message()
    yield "closed", {"title": "a letter that is closed", "payload": {"type": "null"}}
    yield "raw", {"title": "what a source sends", "payload": {"description": "an object, or a line of text"}}


def _structured_message(topic: str, data: Schema) -> dict[str, Any]:
    text = {"description": "the data as base64", "type": "string", "contentEncoding": "base64"}
    return {
        "title": f"{topic} as a CloudEvent in structured mode",
        "contentType": CLOUD_EVENT,
        "payload": {
            "type": "object",
            "properties": {**_ATTRIBUTES, "dataschema": _DATA_SCHEMA, "data": data, "data_base64": text},
            "required": [*_ATTRIBUTES],
            "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
        },
        "examples": [{"payload": {**example_attributes(topic), "data": dict(KINDS[topic].examples[0])}}],
    }


def _binary_message(topic: str, data: Schema) -> dict[str, Any]:
    return {
        "title": f"{topic} as a CloudEvent in binary mode",
        "headers": {
            "type": "object",
            "properties": {f"ce_{name}": schema for name, schema in _ATTRIBUTES.items()}
            | {"ce_dataschema": _DATA_SCHEMA},
            "required": [f"ce_{name}" for name in _ATTRIBUTES],
        },
        "payload": data,
        "examples": [
            {
                "headers": {f"ce_{name}": value for name, value in example_attributes(topic).items()},
                "payload": dict(KINDS[topic].examples[0]),
            }
        ],
    }


def example_attributes(topic: str) -> dict[str, str]:
    """Return example attributes of a CloudEvent."""
    return {"specversion": "1.0", "id": "1", "type": f"streamer.{topic}.v{CONTRACT_MAJOR}", "source": "/crm"}


def _letter_message() -> dict[str, Any]:
    return {
        "title": "a rejected record",
        "description": f"Redacted JSON of at most {MAX_LETTER_BYTES} bytes: fields the contract names, and "
        "nothing that tells who the customer is or what they wrote. Written under its own time.",
        "headers": {
            "type": "object",
            "properties": dict(LETTER_HEADERS),
            "required": [*_REQUIRED_LETTER_HEADERS],
        },
        "payload": {"type": "object"},
        "examples": [
            {
                "headers": {
                    "reason": "off-scale",
                    "error": "answers.nps is 11, expected an integer from 0 to 10",
                    "topic": "survey-completed",
                    "partition": "0",
                    "offset": "17",
                    "timestamp": "1795255200000",
                    "bytes": "112",
                },
                "payload": {"response_id": "r-9", "answers": {"nps": 11}, "comment": "[redacted]"},
            }
        ],
    }
