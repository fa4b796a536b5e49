"""Redact rejected records for dead letters."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from streamer.events.envelopes import PERSONAL_FIELDS, REDACTED, KafkaRecord, decode_json, is_field_name
from streamer.events.event_bodies import ENVELOPE_FIELDS, LONGEST_TEXT
from streamer.events.kinds import KINDS, KNOWN_FIELDS
from streamer.events.models import AGENT_STATES, CONTACT_STATES
from streamer.privacy.redaction import LONGEST_COMMENT, MOST_DIGITS, redact_text

MAX_LETTER_BYTES: Final = 16_384
_MAX_DEPTH = 6
_MAX_SCANNED_CHARACTERS = 1_000
_MAX_VALUES = 1_000
"""Most fields and items of a letter that is shown; an event has a tenth of them."""
_MAX_LIST_ITEMS = 20
_OBJECT_FIELDS = frozenset({"data"}).union(*(kind.objects for kind in KINDS.values()))
"""Fields that hold objects: a text instead of one may be anything, such as the whole event as a string."""
_ENVELOPE_ATTRIBUTES = ENVELOPE_FIELDS - {"data_base64"} | {"time", "datacontenttype"}
"""Shown for an envelope only: in a bare object an `id` may be a customer's."""
_MEMBERS = frozenset(
    member for kind in KINDS.values() for members in kind.objects.values() for member in members
)
_WORDS = {"state": frozenset(CONTACT_STATES + AGENT_STATES)}
"""Fields shown only where they hold one of these words: in other events a state is part of an address."""
_VISIBLE_FIELDS = (KNOWN_FIELDS - _ENVELOPE_ATTRIBUTES - PERSONAL_FIELDS) | _MEMBERS


def redact_record(record: KafkaRecord) -> bytes:
    """Return the value that a dead letter shows for a record: JSON of at most MAX_LETTER_BYTES.

    It keeps the fields that the contract names, except those that identify the customer or hold their words.
    For anything but an object it holds only the length and the SHA-256.

    >>> value = b'{"response_id": "r-9", "customer_id": "k-4711", "answers": {"nps": 11}, "mood": "bad"}'
    >>> redact_record(KafkaRecord("survey-completed", 0, 17, 0, None, value, ()))
    b'{"response_id":"r-9","customer_id":"[redacted]","answers":{"nps":11},"mood":"[redacted]"}'
    """
    value = record.value or b""
    try:
        letter = _RecordRedactor().redacted_json(value)
    except _TooManyValuesError:
        letter = None
    return letter if letter is not None and len(letter) <= MAX_LETTER_BYTES else _digest_json(value)


def _digest_json(value: bytes) -> bytes:
    digest = hashlib.sha256(value).hexdigest()
    return msgspec.json.encode({"redacted": True, "bytes": len(value), "sha256": digest})


class _TooManyValuesError(Exception):
    """The record holds more fields than any event; its letter holds the digest alone."""


class _RecordRedactor:
    """Redacts one record. All its texts together cost no more than two comments; those left over go."""

    def __init__(self) -> None:
        self._values_left = _MAX_VALUES
        self._characters_left = LONGEST_COMMENT
        self._digits_left = 2 * MOST_DIGITS

    def redacted_json(self, value: bytes) -> bytes | None:
        body = decode_json(value)
        return msgspec.json.encode(self._redact_object(body, 0)) if isinstance(body, dict) else None

    def _redact_object(self, fields: Mapping[str, Any], depth: int) -> dict[str, Any]:
        self._count_values(len(fields))
        visible_names = _VISIBLE_FIELDS | _ENVELOPE_ATTRIBUTES if "specversion" in fields else _VISIBLE_FIELDS
        return {
            name: self._redact_field(name, value, visible_names, depth)
            for name, value in fields.items()
            if is_field_name(name)
        }

    def _redact_field(self, name: str, value: Any, visible_names: frozenset[str], depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if name == "data_base64":
            return self._redact_base64(value)
        if name not in visible_names or (name in _OBJECT_FIELDS and not isinstance(value, dict)):
            return REDACTED
        if name in _WORDS and not (isinstance(value, str) and value.lower() in _WORDS[name]):
            return REDACTED
        if name.endswith("_id") and isinstance(value, str):
            return value[:LONGEST_TEXT]  # ids of contacts and agents: whoever sees the numbers knows them
        return self._redact_value(value, depth + 1)

    def _redact_value(self, value: Any, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            return REDACTED
        if isinstance(value, dict):
            return self._redact_object(value, depth)
        if isinstance(value, list):
            self._count_values(len(value[:_MAX_LIST_ITEMS]))
            return [self._redact_value(item, depth + 1) for item in value[:_MAX_LIST_ITEMS]]
        if isinstance(value, str):
            return self._redact_text(value[:_MAX_SCANNED_CHARACTERS])
        return REDACTED if isinstance(value, int) and value.bit_length() > 63 else value

    def _redact_text(self, text: str) -> str:
        self._characters_left -= len(text)
        self._digits_left -= sum(map(str.isnumeric, text))
        if self._characters_left < 0 or self._digits_left < 0:
            return REDACTED
        return redact_text(text)[:LONGEST_TEXT]

    def _redact_base64(self, value: Any) -> str:
        try:
            data = base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            return REDACTED
        letter = self.redacted_json(data)
        return REDACTED if letter is None else base64.b64encode(letter).decode()

    def _count_values(self, count: int) -> None:
        self._values_left -= count
        if self._values_left < 0:
            raise _TooManyValuesError
