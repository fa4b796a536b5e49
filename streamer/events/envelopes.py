"""Open the envelopes of events, and describe what is wrong with their fields."""

import base64
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from streamer.events.event_bodies import (
    CONTROL_CHARACTERS,
    LARGEST_ID,
    LONGEST_TEXT,
    EventBody,
)

MAX_RECORD_BYTES: Final = 65_536
"""Largest allowed value of a record, in bytes."""
REDACTED: Final = "[redacted]"
CONTRACT_MAJOR: Final = "1"
"""Major version of the contract's events, as the CloudEvents type or dataschema states it."""

PERSONAL_FIELDS = frozenset({"customer_id", "comment", "subject"})
_MAX_SHOWN_CHARACTERS = 40
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
    state = REDACTED if name in PERSONAL_FIELDS and value is not None else _describe_value(value, False)
    return InvalidEventError(reason, f"{name} is {state}, expected {expected}")


def figure_error(reason: str, name: str, value: object, expected: str) -> InvalidEventError:
    """Return the error for a field that holds a time or a figure: digits there are not personal.

    >>> figure_error("wrong-type", "wait_s", "20261121", "seconds as a number").error
    'wait_s is "20261121", expected seconds as a number'
    """
    return InvalidEventError(reason, f"{name} is {_describe_value(value, True)}, expected {expected}")


def _envelope_error(name: str, value: object, expected: str) -> InvalidEventError:
    return field_error("envelope", name, value, expected)


def _describe_value(value: object, is_figure: bool) -> str:
    """Describe a value without showing anything personal.

    `is_figure`: the field holds a time or a figure. In other fields many digits may be a phone or card
    number, and a long text may be a customer's words.
    """
    if value is None:
        return "missing"
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
    return _visible_json(value) if isinstance(value, str) else str(value)


def _visible_json(text: str) -> str:
    """Return a text as JSON in which every sign that no name holds is an escape."""
    return CONTROL_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", msgspec.json.encode(text).decode())


def is_field_name(name: str) -> bool:
    """Tell whether a name may be shown: a mistyped one helps, but somebody's address or number must not."""
    return len(name) <= 64 and name.isascii() and name.isidentifier()


def customer_id_of(record: KafkaRecord) -> str | None:
    """Return the customer's id in a record, rejected or not; None if it cannot be found."""
    body = decode_json(record.value or b"")
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


def decode_json(value: bytes) -> Any:
    """Decode JSON of any kind; None if it cannot be read."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decode_base64_json(text: Any) -> Any:
    try:
        return decode_json(base64.b64decode(text, validate=True))
    except (TypeError, ValueError):
        return None
