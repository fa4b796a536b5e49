"""Read the fields of payloads: paths into a payload, and readers that give values in the contract's form.

A reader takes the field's path, for error messages, and the value there. It returns None for an unknown
value, and raises InvalidEventError for an invalid one.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from streamer.events.envelopes import InvalidEventError

ValueReader = Callable[[str, Any], Any]
LATEST_EPOCH_S: Final = 4_102_444_800  # 2100
LONGEST_DURATION_S: Final = 366 * 86_400
"""Limits of times and durations. A larger number may be a customer's number in the wrong field: it is
refused here, where the error does not show it."""


def payload_error(reason: str, path: str, value: Any, expected: str) -> InvalidEventError:
    """Return the error for a field of a payload: the field, its value, what was expected.

    Shows only a small number, or a single plain word where one of several words was expected. Anything else
    may be a customer's number, address, name or text.

    >>> payload_error("off-scale", "score", 11, "an integer from 0 to 10").error
    'score is 11, expected an integer from 0 to 10'
    >>> payload_error("wrong-type", "score", "Ann Smith", "a number").error
    'score is a text that is not shown, expected a number'
    """
    return InvalidEventError(
        reason, f"{path} is {_describe_value(value, reason == 'unknown-value')}, expected {expected}"
    )


def _describe_value(value: Any, shows_words: bool) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and abs(value) < 100_000:
        return str(value)
    if (
        shows_words
        and isinstance(value, str)
        and len(value) <= 24
        and value.isascii()
        and value.isidentifier()
    ):
        return value
    names = {str: "a text", dict: "an object", list: "an array", int: "a number", float: "a number"}
    return f"{names[type(value)]} that is not shown"


def value_at(body: Any, path: str) -> Any:
    """Return the value at a path such as `Queue.Name`, or None if there is none. A number is a list index.

    >>> value_at({"Queue": {"Name": "billing"}, "tags": ["vip"]}, "tags.0")
    'vip'
    """
    for name in path.split("."):
        if isinstance(body, Mapping):
            body = body.get(name)
        elif isinstance(body, list) and name.isdecimal() and int(name) < len(body):
            body = body[int(name)]
        else:
            return None
    return body


class FieldReader:
    """Reads the value at the first of several paths that has a known one.

    >>> customer_id = FieldReader(read_text, "external_id", "id")
    >>> customer_id({"external_id": " ", "id": 4711})
    '4711'
    """

    def __init__(self, reader: ValueReader, *paths: str) -> None:
        self.reader = reader
        self.paths = paths

    def __call__(self, body: Any) -> Any:
        for path in self.paths:
            if (value := self.reader(path, value_at(body, path))) is not None:
                return value
        return None


def map_fields(body: Any, fields: Mapping[str, FieldReader], **more: Any) -> dict[str, Any]:
    """Return the contract's data: a table of fields read from the body, and more values. None is left out."""
    return known_values({name: field(body) for name, field in fields.items()} | more)


def known_values(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without None.

    >>> known_values({"queue": "billing", "agent_id": None, "wait_s": 0})
    {'queue': 'billing', 'wait_s': 0}
    """
    return {name: value for name, value in data.items() if value is not None}


def require_fields(data: Mapping[str, Any], *names: str) -> None:
    """Raise InvalidEventError for the first of these names without a value."""
    for name in names:
        if data.get(name) is None:
            raise payload_error("missing", name, None, "a value")


def read_text(path: str, value: Any) -> str | None:
    """Read a text or a whole number as text; blank is unknown."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**40:
        return str(value)
    raise payload_error("wrong-type", path, value, "text")


def read_number(path: str, value: Any) -> float | int | None:
    """Read a finite number, also one written as text; blank is unknown."""
    if isinstance(value, str):
        value = _parse_number(path, value.strip()) if value.strip() else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise payload_error("wrong-type", path, value, "a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise payload_error("not-finite", path, value, "a finite number")
    if abs(value) >= 10**18:
        raise payload_error("too-much", path, value, "a number of at most 18 digits")
    return value


def _parse_number(path: str, value: str) -> float | int:
    try:
        return int(value) if len(value) < 20 and value.lstrip("+-").isdecimal() else float(value)
    except ValueError:
        raise payload_error("wrong-type", path, value, "a number") from None


def read_seconds(path: str, value: Any) -> float | int | None:
    """Read a duration in seconds, of a year at most."""
    duration_s = read_number(path, value)
    if duration_s is not None and duration_s < 0:
        raise payload_error("negative", path, value, "0 seconds or more")
    if duration_s is not None and duration_s > LONGEST_DURATION_S:
        raise payload_error("too-much", path, value, "a duration of a year at most")
    return duration_s


def read_milliseconds(path: str, value: Any) -> float | None:
    """Read a duration in ms and return seconds.

    >>> read_milliseconds("talkMs", "12500")
    12.5
    """
    duration_ms = read_number(path, value)
    return read_seconds(path, None if duration_ms is None else duration_ms / 1000)


def read_time(path: str, value: Any) -> str | None:
    """Check a time in RFC 3339 with a zone, and return it as written."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    read_instant_ms(path, value)
    return str(value).strip()


def read_instant_ms(path: str, value: Any, zone: tzinfo | None = None) -> int | None:
    """Read a time in RFC 3339 and return ms since the epoch. `zone` stands for a missing one.

    >>> read_instant_ms("time", "2026-11-21T11:00:00.5+01:00")
    1795255200500
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise payload_error("wrong-type", path, value, "a time as RFC 3339")
    try:
        moment = datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError):
        raise payload_error("no-time", path, value, "a time as RFC 3339 with a zone") from None
    if moment.tzinfo is None:
        if zone is None:
            raise payload_error("no-time", path, value, "a time as RFC 3339 with a zone")
        moment = moment.replace(tzinfo=zone)
    try:
        elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:
        raise payload_error("no-time", path, value, "a time of a year up to 9999") from None
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + round(elapsed.microseconds / 1000)


def read_epoch_s(path: str, value: Any) -> float | int | None:
    """Read seconds since the epoch. 0 is unknown: some sources write it for what never happened."""
    time_s = read_number(path, value)
    if time_s is None or time_s == 0:
        return None
    if not 0 < time_s < LATEST_EPOCH_S:
        raise payload_error("no-time", path, value, "seconds since the epoch of a year up to 2099")
    return time_s


def read_epoch_ms(path: str, value: Any) -> float | None:
    """Read ms since the epoch and return seconds; 0 is unknown."""
    time_ms = read_number(path, value)
    return read_epoch_s(path, None if time_ms is None else time_ms / 1000)


def read_epoch_us(path: str, value: Any) -> float | None:
    """Read microseconds since the epoch and return seconds; 0 is unknown."""
    time_us = read_number(path, value)
    return read_epoch_s(path, None if time_us is None else time_us / 1_000_000)


def epoch_seconds(time_ms: int) -> float | int:
    """Convert ms since the epoch, as in a fragment, to seconds, as in the contract."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def read_flag(path: str, value: Any) -> bool | None:
    """Read true or false, also written as text; blank is unknown."""
    if isinstance(value, str):
        value = {"true": True, "false": False, "": None}.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value
    raise payload_error("wrong-type", path, value, "true or false")


def choice_reader(words: Mapping[str, str]) -> ValueReader:
    """Return a reader that translates the source's words to the contract's, ignoring case.

    Blank is unknown. Any other word is refused, until somebody decides what it means here.

    >>> choice_reader({"web": "chat"})("channel", "WEB")
    'chat'
    """

    def reader(path: str, value: Any) -> str | None:
        word = read_text(path, value)
        if word is None:
            return None
        if (contract_word := words.get(word.lower())) is None:
            raise payload_error("unknown-value", path, value, f"one of {', '.join(words)}")
        return contract_word

    return reader


def read_score(path: str, value: Any, scale: tuple[int, int]) -> int | None:
    """Read a whole number on a scale, also written as text; blank is skipped. 6.5 is refused, not rounded."""
    points = read_number(path, value)
    if points is None:
        return None
    low, high = scale
    if points != int(points) or not low <= points <= high:
        raise payload_error("off-scale", path, value, f"an integer from {low} to {high}")
    return int(points)


def first_known(values: Iterable[Any]) -> Any:
    """Return the first value that is not None, or None."""
    return next((value for value in values if value is not None), None)


__all__ = [
    "FieldReader",
    "InvalidEventError",
    "ValueReader",
    "choice_reader",
    "epoch_seconds",
    "first_known",
    "map_fields",
    "payload_error",
    "read_epoch_ms",
    "read_epoch_s",
    "read_epoch_us",
    "read_flag",
    "read_instant_ms",
    "read_milliseconds",
    "read_number",
    "read_score",
    "read_seconds",
    "read_text",
    "read_time",
    "require_fields",
    "value_at",
]  # fmt: skip
