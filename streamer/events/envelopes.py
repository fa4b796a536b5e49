"""Open the envelopes of events, and redact records for dead letters and errors."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from streamer.events.forms import CONTROL, ENVELOPE, KNOWN, LARGEST_ID, LONGEST_TEXT, Form
from streamer.events.scrubbing import scrubbed

LARGEST: Final = 65_536
"""Largest allowed value of a record, in bytes."""
LARGEST_LETTER: Final = 16_384
REDACTED: Final = "[redacted]"
MAJOR: Final = "1"
"""Major version of the contract's events, as the CloudEvents type or dataschema states it."""

_PERSONAL = frozenset({"customer_id", "comment", "subject"})
_DEEPEST = 6
_LONGEST_SHOWN = 40
_LONGEST_LOOKED_AT = 1_000
_TELLING = re.compile(r"@|(?:[0-9][ ().,/-]{0,3}){6}[0-9]")
"""Part of an e-mail address, or a number of seven or more digits."""
_TELLING_FROM = 1_000_000
_FIGURE = re.compile(r"-?[0-9.]+(?:[eE][-+]?[0-9]+)?$|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ]|$)")
_LITERAL = re.compile(rb"[:\[,]\s*-?(NaN|Infinity)\b")
_VERSION_1 = re.compile(r"1\.[0-9]+")
_REQUIRED = ("specversion", "id", "type", "source")
_NAMED = (*_REQUIRED, "dataschema")
_MAJORS = {
    "type": re.compile(r"\.[vV]([0-9]+)(?:\.[0-9]+)*$"),
    "dataschema": re.compile(r"/[vV]([0-9]+)(?:\.[0-9]+)*/?$"),
}


class Record(NamedTuple):
    """A fetched Kafka record. `timestamp` is in ms since the epoch, as the broker keeps it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class WrongError(Exception):
    """The event cannot be counted. Never leaves this package: `decode` returns a RejectedEvent."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


F = TypeVar("F", bound=Form)


def unwrap(record: Record, form: msgspec.json.Decoder[F]) -> tuple[str, F]:
    """Return the source ("" for a bare object) and the data of a record, whatever its envelope.

    Raise InvalidEventError if the envelope or the JSON cannot be read.
    """
    value = record.value
    if not value:
        raise WrongError("empty", 'the value is empty, expected a JSON object (a deletion: "deleted": true)')
    if len(value) > LARGEST:
        expected = f"at most {LARGEST}: drop the fields that the contract does not name"
        raise WrongError("too-large", f"the value has {len(value)} bytes, expected {expected}")
    return _by_headers(record.headers, value, form) if record.headers else _by_body(value, form)


def _by_headers(
    headers: Sequence[tuple[str, bytes]], value: bytes, form: msgspec.json.Decoder[F]
) -> tuple[str, F]:
    named = {name.lower(): (raw or b"").decode(errors="replace") for name, raw in headers}
    media = named.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/cloudevents+json":
        return _structured(_parse(value, form), form)
    if media.startswith("application/cloudevents"):
        raise _envelope("content-type", media, "application/cloudevents+json")
    attributes = {name[3:]: text for name, text in named.items() if name.startswith("ce_")}
    if attributes:
        return _source(attributes, "ce_"), _parse(value, form)
    return _by_body(value, form)


def _by_body(value: bytes, form: msgspec.json.Decoder[F]) -> tuple[str, F]:
    body = _parse(value, form)
    return ("", body) if body.specversion is None else _structured(body, form)


def _structured(body: F, form: msgspec.json.Decoder[F]) -> tuple[str, F]:
    source = _source({name: getattr(body, name) for name in _NAMED}, "")
    return source, _parse(_data(body), form)


def _source(attributes: Mapping[str, Any], prefix: str) -> str:
    for name in _REQUIRED:
        value = attributes.get(name)
        if type(value) is not str or not value.strip():
            raise _envelope(prefix + name, value, "a string, as CloudEvents 1.0 requires")
    if not _VERSION_1.fullmatch(attributes["specversion"]):
        raise _envelope(prefix + "specversion", attributes["specversion"], "1.0")
    source: str = attributes["source"]
    if len(source) > LONGEST_TEXT or CONTROL.search(source):
        raise _envelope(prefix + "source", source, "a URI of at most 256 characters")
    for name in _MAJORS:
        said = attributes.get(name)
        if type(said) is str and (found := _major(name, said)) != MAJOR:
            remedy = f"let the sender write version {MAJOR}, or install a streamer that reads the other"
            error = f"{prefix}{name} says version {found[:9]}, expected {MAJOR}: {remedy}"
            raise WrongError("unknown-version", error)
    return source


@lru_cache(maxsize=256)
def _major(name: str, said: str) -> str:
    """Return the major version in a type or dataschema, or the current one if it has none."""
    found = _MAJORS[name].search(said)
    return MAJOR if found is None else found[1]


def _data(body: Form) -> bytes:
    data = bytes(body.data)
    if body.data_base64 is None:
        if data in (b"", b"null"):
            raise _envelope("data", None, "the event's data, in data or data_base64")
        return data
    if data:
        raise WrongError("envelope", "data and data_base64 are both present, expected one of them")
    try:
        return base64.b64decode(body.data_base64, validate=True)
    except (TypeError, ValueError):
        raise WrongError("envelope", "data_base64 cannot be decoded, expected a string of base64") from None


def _parse(value: bytes, form: msgspec.json.Decoder[F]) -> F:
    try:
        if not value.isascii():
            value.decode()  # the decoder does not look into fields that it skips
        return form.decode(value)
    except UnicodeDecodeError as error:
        problem = f"the value is not UTF-8 from byte {error.start} on"
    except RecursionError:
        problem = "the value is nested too deeply"
    except msgspec.ValidationError as error:
        raise _unfit(str(error)) from None
    except msgspec.DecodeError as error:
        if found := _LITERAL.search(value):
            literal = found[1].decode()
            raise WrongError("not-finite", f"the value holds {literal}, expected finite numbers") from None
        problem = str(error)
    raise WrongError("not-json", f"{problem}, expected a JSON object")


def _unfit(message: str) -> WrongError:
    what, _, place = message.partition(" - at ")
    if not place:
        return WrongError("wrong-type", f"{what} as the value")
    name = place.strip("`").removeprefix("$.")
    if what == "Number out of range":
        return WrongError("not-finite", f"{name} is out of range, expected a finite number")
    return WrongError("wrong-type", f"{name} cannot be read ({what}), expected the type in the contract")


def wrong(reason: str, name: str, value: object, expected: str) -> WrongError:
    """Return the error for a field: its name, its value (nothing personal, 40 characters), what was expected.

    >>> wrong("off-scale", "answers.nps", 11, "an integer from 0 to 10").error
    'answers.nps is 11, expected an integer from 0 to 10'
    >>> wrong("wrong-type", "comment", ["Ann Smith was rude"], "a string").error
    'comment is [redacted], expected a string'
    """
    state = "missing" if value is None else REDACTED if name in _PERSONAL else _shown(value, name in _NUMBERS)
    return WrongError(reason, f"{name} is {state}, expected {expected}")


def _envelope(name: str, value: object, expected: str) -> WrongError:
    return wrong("envelope", name, value, expected)


def _shown(value: object, number: bool) -> str:
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
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"a text of {len(value)} characters"
    if isinstance(value, int | float) and abs(value) < _TELLING_FROM:
        return str(value)
    if _TELLING.search(str(value)) and not (number and _FIGURE.match(str(value))):
        return REDACTED
    return msgspec.json.encode(value).decode() if isinstance(value, str) else str(value)


def customer_of(record: Record) -> str | None:
    """Return the customer's id in a record, rejected or not; None if it cannot be found."""
    body = _decoded(record.value or b"")
    customer = _enveloped(body).get("customer_id") if isinstance(body, dict) else None
    if type(customer) is int and abs(customer) < LARGEST_ID:
        return str(customer)
    return customer if isinstance(customer, str) and customer.strip() else None


def _enveloped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of an envelope that holds any, else the body itself."""
    if body.get("specversion") is None:
        return body
    data = _decoded_base64(body["data_base64"]) if "data_base64" in body else body.get("data")
    return data if isinstance(data, dict) and "customer_id" in data else body


def _decoded(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decoded_base64(text: Any) -> Any:
    try:
        return _decoded(base64.b64decode(text, validate=True))
    except (TypeError, ValueError):
        return None


def redact(record: Record) -> bytes:
    """Return the value that a dead letter shows for a record: JSON of at most MAX_LETTER_BYTES.

    It keeps the fields that the contract names, except those that identify the customer or hold their words.
    For anything but an object it holds only the length and the SHA-256.

    >>> value = b'{"response_id": "r-9", "customer_id": "k-4711", "answers": {"nps": 11}, "mood": "bad"}'
    >>> redact(Record("survey-completed", 0, 17, 0, None, value, ()))
    b'{"response_id":"r-9","customer_id":"[redacted]","answers":{"nps":11},"mood":"[redacted]"}'
    """
    value = record.value or b""
    letter = _redacted(value)
    return letter if letter is not None and len(letter) <= LARGEST_LETTER else _described(value)


def _redacted(value: bytes) -> bytes | None:
    body = _decoded(value)
    return msgspec.json.encode(_object(body, 0)) if isinstance(body, dict) else None


def _described(value: bytes) -> bytes:
    digest = hashlib.sha256(value).hexdigest()
    return msgspec.json.encode({"redacted": True, "bytes": len(value), "sha256": digest})


def _object(fields: Mapping[str, Any], depth: int) -> dict[str, Any]:
    shown = _SHOWN | _ATTRIBUTES if "specversion" in fields else _SHOWN
    return {name: _field(name, value, shown, depth) for name, value in fields.items() if _nameable(name)}


def _nameable(name: str) -> bool:
    # a mistyped field name helps to find the mistake, but somebody's address or number must not show
    return len(name) <= 64 and name.isascii() and name.isidentifier()


def _field(name: str, value: Any, shown: frozenset[str], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name == "data_base64":
        return _redacted_base64(value)
    if name not in shown or (name in _OBJECTS and not isinstance(value, dict)):
        return REDACTED
    if name.endswith("_id") and isinstance(value, str):
        return value[:LONGEST_TEXT]  # ids of contacts and agents: whoever sees the numbers knows them
    return _kept(value, depth + 1)


def _kept(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return REDACTED
    if isinstance(value, dict):
        return _object(value, depth)
    if isinstance(value, list):
        return [_kept(item, depth + 1) for item in value[:20]]
    if isinstance(value, str):
        return scrubbed(value[:_LONGEST_LOOKED_AT])[:LONGEST_TEXT]
    return REDACTED if isinstance(value, int) and value.bit_length() > 63 else value


def _redacted_base64(value: Any) -> str:
    try:
        data = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return REDACTED
    letter = _redacted(data)
    return REDACTED if letter is None else base64.b64encode(letter).decode()


_NUMBERS = frozenset(name for name in KNOWN if name.endswith(("_at", "_s"))) | {
    "as_of", "score", "value", "customer_value", "version",
}  # fmt: skip
_OBJECTS = frozenset({"data", "answers"})
"""Fields that hold objects: a text instead of one may be anything, such as the whole event as a string."""
_ATTRIBUTES = ENVELOPE - {"data_base64"} | {"time", "datacontenttype"}
"""Shown for an envelope only: in a bare object an `id` may be a customer's."""
_QUESTIONS = frozenset({"nps", "csat", "ces", "effort", "cnx", "resolved_first"})
_SHOWN = (KNOWN - _ATTRIBUTES - _PERSONAL) | _QUESTIONS
