"""Open the envelopes of events, and redact records for dead letters and errors."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from streamer.events.event_bodies import (
    CONTROL_CHARACTERS,
    ENVELOPE_FIELDS,
    KNOWN_FIELDS,
    LARGEST_ID,
    LONGEST_TEXT,
    EventBody,
)
from streamer.privacy.redaction import redact_text

MAX_RECORD_BYTES: Final = 65_536
"""Largest allowed value of a record, in bytes."""
MAX_LETTER_BYTES: Final = 16_384
REDACTED: Final = "[redacted]"
CONTRACT_MAJOR: Final = "1"
"""Major version of the contract's events, as the CloudEvents type or dataschema states it."""

_PERSONAL_FIELDS = frozenset({"customer_id", "comment", "subject"})
_MAX_DEPTH = 6
_MAX_SHOWN_CHARACTERS = 40
_MAX_SCANNED_CHARACTERS = 1_000
_IDENTIFYING_TEXT = re.compile(r"@|(?:[0-9][ ().,/-]{0,3}){6}[0-9]")
"""Part of an e-mail address, or a number of seven or more digits."""
_IDENTIFYING_NUMBER = 1_000_000
_FIGURE = re.compile(r"-?[0-9.]+(?:[eE][-+]?[0-9]+)?$|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ]|$)")
_NON_FINITE_LITERAL = re.compile(rb"[:\[,]\s*-?(NaN|Infinity)\b")
_VERSION_1 = re.compile(r"1\.[0-9]+")
_REQUIRED = ("specversion", "id", "type", "source")
_ATTRIBUTE_NAMES = (*_REQUIRED, "dataschema")
_MAJOR_PATTERNS = {
    "type": re.compile(r"\.[vV]([0-9]+)(?:\.[0-9]+)*$"),
    "dataschema": re.compile(r"/[vV]([0-9]+)(?:\.[0-9]+)*/?$"),
}


class KafkaRecord(NamedTuple):
    """A fetched Kafka record. `timestamp` is in ms since the epoch, as the broker keeps it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class InvalidEventError(Exception):
    """The event cannot be counted. Never leaves this package: `decode` returns a RejectedEvent."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


def decode_json_object(value: bytes | str, noun: str) -> dict[str, Any]:
    """Decode a JSON object. `noun` names the value in errors. Raises InvalidEventError.

    >>> decode_json_object('{"contact_id": "c1"}', "line")
    {'contact_id': 'c1'}
    """
    try:
        json_object = msgspec.json.decode(value)
    except UnicodeDecodeError as error:
        raise InvalidEventError("not-json", f"the {noun} is not UTF-8 from byte {error.start} on") from None
    except (msgspec.DecodeError, RecursionError) as error:
        problem = f"{error or 'nested too deeply'}, expected a JSON object"
        raise InvalidEventError("not-json", problem) from None
    if not isinstance(json_object, dict):
        raise InvalidEventError("wrong-type", f"the {noun} is not a JSON object")
    return json_object


F = TypeVar("F", bound=EventBody)


def unwrap(record: KafkaRecord, decoder: msgspec.json.Decoder[F]) -> tuple[str, F]:
    """Return the source ("" for a bare object) and the data of a record, whatever its envelope.

    Raise InvalidEventError if the envelope or the JSON cannot be read.
    """
    value = record.value
    if not value:
        raise InvalidEventError(
            "empty", 'the value is empty, expected a JSON object (a deletion: "deleted": true)'
        )
    if len(value) > MAX_RECORD_BYTES:
        expected = f"at most {MAX_RECORD_BYTES}: drop the fields that the contract does not name"
        raise InvalidEventError("too-large", f"the value has {len(value)} bytes, expected {expected}")
    return (
        _unwrap_by_headers(record.headers, value, decoder)
        if record.headers
        else _unwrap_by_body(value, decoder)
    )


def _unwrap_by_headers(
    headers: Sequence[tuple[str, bytes]], value: bytes, decoder: msgspec.json.Decoder[F]
) -> tuple[str, F]:
    texts_by_name = {name.lower(): (raw or b"").decode(errors="replace") for name, raw in headers}
    media = texts_by_name.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/cloudevents+json":
        return _unwrap_structured(_parse(value, decoder), decoder)
    if media.startswith("application/cloudevents"):
        raise _envelope_error("content-type", media, "application/cloudevents+json")
    attributes = {name[3:]: text for name, text in texts_by_name.items() if name.startswith("ce_")}
    if attributes:
        return _checked_source(attributes, "ce_"), _parse(value, decoder)
    return _unwrap_by_body(value, decoder)


def _unwrap_by_body(value: bytes, decoder: msgspec.json.Decoder[F]) -> tuple[str, F]:
    body = _parse(value, decoder)
    return ("", body) if body.specversion is None else _unwrap_structured(body, decoder)


def _unwrap_structured(body: F, decoder: msgspec.json.Decoder[F]) -> tuple[str, F]:
    source = _checked_source({name: getattr(body, name) for name in _ATTRIBUTE_NAMES}, "")
    return source, _parse(_embedded_data(body), decoder)


def _checked_source(attributes: Mapping[str, Any], prefix: str) -> str:
    for name in _REQUIRED:
        value = attributes.get(name)
        if type(value) is not str or not value.strip():
            raise _envelope_error(prefix + name, value, "a string, as CloudEvents 1.0 requires")
    if not _VERSION_1.fullmatch(attributes["specversion"]):
        raise _envelope_error(prefix + "specversion", attributes["specversion"], "1.0")
    source: str = attributes["source"]
    if len(source) > LONGEST_TEXT or CONTROL_CHARACTERS.search(source):
        raise _envelope_error(prefix + "source", source, "a URI of at most 256 characters")
    for name in _MAJOR_PATTERNS:
        attribute = attributes.get(name)
        if type(attribute) is str and (major := _major_version(name, attribute)) != CONTRACT_MAJOR:
            remedy = (
                f"let the sender write version {CONTRACT_MAJOR}, or install a streamer that reads the other"
            )
            error = f"{prefix}{name} says version {major[:9]}, expected {CONTRACT_MAJOR}: {remedy}"
            raise InvalidEventError("unknown-version", error)
    return source


@lru_cache(maxsize=256)
def _major_version(name: str, attribute: str) -> str:
    """Return the major version in a type or dataschema, or the current one if it has none."""
    match = _MAJOR_PATTERNS[name].search(attribute)
    return CONTRACT_MAJOR if match is None else match[1]


def _embedded_data(body: EventBody) -> bytes:
    data = bytes(body.data)
    if body.data_base64 is None:
        if data in (b"", b"null"):
            raise _envelope_error("data", None, "the event's data, in data or data_base64")
        return data
    if data:
        raise InvalidEventError("envelope", "data and data_base64 are both present, expected one of them")
    try:
        return base64.b64decode(body.data_base64, validate=True)
    except (TypeError, ValueError):
        raise InvalidEventError(
            "envelope", "data_base64 cannot be decoded, expected a string of base64"
        ) from None


def _parse(value: bytes, decoder: msgspec.json.Decoder[F]) -> F:
    try:
        if not value.isascii():
            value.decode()  # the decoder does not look into fields that it skips
        return decoder.decode(value)
    except UnicodeDecodeError as error:
        problem = f"the value is not UTF-8 from byte {error.start} on"
    except RecursionError:
        problem = "the value is nested too deeply"
    except msgspec.ValidationError as error:
        raise _validation_error(str(error)) from None
    except msgspec.DecodeError as error:
        if match := _NON_FINITE_LITERAL.search(value):
            literal = match[1].decode()
            raise InvalidEventError(
                "not-finite", f"the value holds {literal}, expected finite numbers"
            ) from None
        problem = str(error)
    raise InvalidEventError("not-json", f"{problem}, expected a JSON object")


def _validation_error(message: str) -> InvalidEventError:
    problem, _, location = message.partition(" - at ")
    if not location:
        return InvalidEventError("wrong-type", f"{problem} as the value")
    name = location.strip("`").removeprefix("$.")
    if problem == "Number out of range":
        return InvalidEventError("not-finite", f"{name} is out of range, expected a finite number")
    return InvalidEventError(
        "wrong-type", f"{name} cannot be read ({problem}), expected the type in the contract"
    )


def field_error(reason: str, name: str, value: object, expected: str) -> InvalidEventError:
    """Return the error for a field: its name, its value (nothing personal, 40 characters), what was expected.

    >>> field_error("off-scale", "answers.nps", 11, "an integer from 0 to 10").error
    'answers.nps is 11, expected an integer from 0 to 10'
    >>> field_error("wrong-type", "comment", ["Ann Smith was rude"], "a string").error
    'comment is [redacted], expected a string'
    """
    state = (
        "missing"
        if value is None
        else REDACTED
        if name in _PERSONAL_FIELDS
        else _describe_value(value, name in _NUMBER_FIELDS)
    )
    return InvalidEventError(reason, f"{name} is {state}, expected {expected}")


def _envelope_error(name: str, value: object, expected: str) -> InvalidEventError:
    return field_error("envelope", name, value, expected)


def _describe_value(value: object, is_figure: bool) -> str:
    """Describe a value without showing anything personal.

    `is_figure`: the field holds a time or a figure. In other fields many digits may be a phone or card
    number, and a long text may be a customer's words.
    """
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"  # whatever it contains
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > _MAX_SHOWN_CHARACTERS:
        return f"a text of {len(value)} characters"
    if isinstance(value, int | float) and abs(value) < _IDENTIFYING_NUMBER:
        return str(value)
    if _IDENTIFYING_TEXT.search(str(value)) and not (is_figure and _FIGURE.match(str(value))):
        return REDACTED
    return msgspec.json.encode(value).decode() if isinstance(value, str) else str(value)


def customer_id_of(record: KafkaRecord) -> str | None:
    """Return the customer's id in a record, rejected or not; None if it cannot be found."""
    body = _decode_json(record.value or b"")
    customer = _event_data(body).get("customer_id") if isinstance(body, dict) else None
    if type(customer) is int and abs(customer) < LARGEST_ID:
        return str(customer)
    return customer if isinstance(customer, str) and customer.strip() else None


def _event_data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of an envelope that holds any, else the body itself."""
    if body.get("specversion") is None:
        return body
    data = _decode_base64_json(body["data_base64"]) if "data_base64" in body else body.get("data")
    return data if isinstance(data, dict) and "customer_id" in data else body


def _decode_json(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decode_base64_json(text: Any) -> Any:
    try:
        return _decode_json(base64.b64decode(text, validate=True))
    except (TypeError, ValueError):
        return None


def redact_record(record: KafkaRecord) -> bytes:
    """Return the value that a dead letter shows for a record: JSON of at most MAX_LETTER_BYTES.

    It keeps the fields that the contract names, except those that identify the customer or hold their words.
    For anything but an object it holds only the length and the SHA-256.

    >>> value = b'{"response_id": "r-9", "customer_id": "k-4711", "answers": {"nps": 11}, "mood": "bad"}'
    >>> redact_record(KafkaRecord("survey-completed", 0, 17, 0, None, value, ()))
    b'{"response_id":"r-9","customer_id":"[redacted]","answers":{"nps":11},"mood":"[redacted]"}'
    """
    value = record.value or b""
    letter = _redacted_json(value)
    return letter if letter is not None and len(letter) <= MAX_LETTER_BYTES else _digest_json(value)


def _redacted_json(value: bytes) -> bytes | None:
    body = _decode_json(value)
    return msgspec.json.encode(_redact_object(body, 0)) if isinstance(body, dict) else None


def _digest_json(value: bytes) -> bytes:
    digest = hashlib.sha256(value).hexdigest()
    return msgspec.json.encode({"redacted": True, "bytes": len(value), "sha256": digest})


def _redact_object(fields: Mapping[str, Any], depth: int) -> dict[str, Any]:
    visible_names = _VISIBLE_FIELDS | _ENVELOPE_ATTRIBUTES if "specversion" in fields else _VISIBLE_FIELDS
    return {
        name: _redact_field(name, value, visible_names, depth)
        for name, value in fields.items()
        if _is_field_name(name)
    }


def _is_field_name(name: str) -> bool:
    # a mistyped field name helps to find the mistake, but somebody's address or number must not show
    return len(name) <= 64 and name.isascii() and name.isidentifier()


def _redact_field(name: str, value: Any, visible_names: frozenset[str], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name == "data_base64":
        return _redacted_base64(value)
    if name not in visible_names or (name in _OBJECT_FIELDS and not isinstance(value, dict)):
        return REDACTED
    if name.endswith("_id") and isinstance(value, str):
        return value[:LONGEST_TEXT]  # ids of contacts and agents: whoever sees the numbers knows them
    return _redact_value(value, depth + 1)


def _redact_value(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return REDACTED
    if isinstance(value, dict):
        return _redact_object(value, depth)
    if isinstance(value, list):
        return [_redact_value(item, depth + 1) for item in value[:20]]
    if isinstance(value, str):
        return redact_text(value[:_MAX_SCANNED_CHARACTERS])[:LONGEST_TEXT]
    return REDACTED if isinstance(value, int) and value.bit_length() > 63 else value


def _redacted_base64(value: Any) -> str:
    try:
        data = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return REDACTED
    letter = _redacted_json(data)
    return REDACTED if letter is None else base64.b64encode(letter).decode()


_NUMBER_FIELDS = frozenset(name for name in KNOWN_FIELDS if name.endswith(("_at", "_s"))) | {
    "as_of", "score", "value", "customer_value", "version",
}  # fmt: skip
_OBJECT_FIELDS = frozenset({"data", "answers"})
"""Fields that hold objects: a text instead of one may be anything, such as the whole event as a string."""
_ENVELOPE_ATTRIBUTES = ENVELOPE_FIELDS - {"data_base64"} | {"time", "datacontenttype"}
"""Shown for an envelope only: in a bare object an `id` may be a customer's."""
_QUESTIONS = frozenset({"nps", "csat", "ces", "effort", "cnx", "resolved_first"})
_VISIBLE_FIELDS = (KNOWN_FIELDS - _ENVELOPE_ATTRIBUTES - _PERSONAL_FIELDS) | _QUESTIONS
