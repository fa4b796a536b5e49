"""Read the fields of payloads: paths into a payload, and readers that give values in the contract's form.

A reader takes the field's path, for error messages, and the value there. It returns None for an unknown
value, and raises InvalidEventError for an invalid one.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from streamer.events.envelopes import WrongError

Reader = Callable[[str, Any], Any]
LATEST_S: Final = 4_102_444_800  # 2100
LONGEST_S: Final = 366 * 86_400
"""Limits of times and durations. A larger number may be a customer's number in the wrong field: it is
refused here, where the error does not show it."""


def wrong(reason: str, path: str, value: Any, expected: str) -> WrongError:
    """Return the error for a field of a payload: the field, its value, what was expected.

    Shows only a small number, or a single plain word where one of several words was expected. Anything else
    may be a customer's number, address, name or text.

    >>> wrong("off-scale", "score", 11, "an integer from 0 to 10").error
    'score is 11, expected an integer from 0 to 10'
    >>> wrong("wrong-type", "score", "Ann Smith", "a number").error
    'score is a text that is not shown, expected a number'
    """
    return WrongError(reason, f"{path} is {_shown(value, reason == 'unknown-value')}, expected {expected}")


def _shown(value: Any, word: bool) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and abs(value) < 100_000:
        return str(value)
    if word and isinstance(value, str) and len(value) <= 24 and value.isascii() and value.isidentifier():
        return value
    names = {str: "a text", dict: "an object", list: "an array", int: "a number", float: "a number"}
    return f"{names[type(value)]} that is not shown"


def at(body: Any, path: str) -> Any:
    """Return the value at a path such as `Queue.Name`, or None if there is none. A number is a list index.

    >>> at({"Queue": {"Name": "billing"}, "tags": ["vip"]}, "tags.0")
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


class Field:
    """Reads the value at the first of several paths that has a known one.

    >>> customer_id = Field(text, "external_id", "id")
    >>> customer_id({"external_id": " ", "id": 4711})
    '4711'
    """

    def __init__(self, reader: Reader, *paths: str) -> None:
        self.reader = reader
        self.paths = paths

    def __call__(self, body: Any) -> Any:
        for path in self.paths:
            if (value := self.reader(path, at(body, path))) is not None:
                return value
        return None


def mapped(body: Any, fields: Mapping[str, Field], **more: Any) -> dict[str, Any]:
    """Return the contract's data: a table of fields read from the body, and more values. None is left out."""
    found = {name: field(body) for name, field in fields.items()} | more
    return {name: value for name, value in found.items() if value is not None}


def required(data: Mapping[str, Any], *names: str) -> None:
    """Raise InvalidEventError for the first of these names without a value."""
    for name in names:
        if data.get(name) is None:
            raise wrong("missing", name, None, "a value")


def text(path: str, value: Any) -> str | None:
    """Read a text or a whole number as text; blank is unknown."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**40:
        return str(value)
    raise wrong("wrong-type", path, value, "text")


def number(path: str, value: Any) -> float | int | None:
    """Read a finite number, also one written as text; blank is unknown."""
    if isinstance(value, str):
        value = _number(path, value.strip()) if value.strip() else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong("wrong-type", path, value, "a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong("not-finite", path, value, "a finite number")
    if abs(value) >= 10**18:
        raise wrong("too-much", path, value, "a number of at most 18 digits")
    return value


def _number(path: str, value: str) -> float | int:
    try:
        return int(value) if len(value) < 20 and value.lstrip("+-").isdecimal() else float(value)
    except ValueError:
        raise wrong("wrong-type", path, value, "a number") from None


def seconds(path: str, value: Any) -> float | int | None:
    """Read a duration in seconds, of a year at most."""
    found = number(path, value)
    if found is not None and found < 0:
        raise wrong("negative", path, value, "0 seconds or more")
    if found is not None and found > LONGEST_S:
        raise wrong("too-much", path, value, "a duration of a year at most")
    return found


def milliseconds(path: str, value: Any) -> float | None:
    """Read a duration in ms and return seconds.

    >>> milliseconds("talkMs", "12500")
    12.5
    """
    found = number(path, value)
    return seconds(path, None if found is None else found / 1000)


def time(path: str, value: Any) -> str | None:
    """Check a time in RFC 3339 with a zone, and return it as written."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    instant(path, value)
    return str(value).strip()


def instant(path: str, value: Any, zone: tzinfo | None = None) -> int | None:
    """Read a time in RFC 3339 and return ms since the epoch. `zone` stands for a missing one.

    >>> instant("time", "2026-11-21T11:00:00.5+01:00")
    1795255200500
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise wrong("wrong-type", path, value, "a time as RFC 3339")
    try:
        moment = datetime.fromisoformat(value.strip())
    except (ValueError, OverflowError):
        raise wrong("no-time", path, value, "a time as RFC 3339 with a zone") from None
    if moment.tzinfo is None:
        if zone is None:
            raise wrong("no-time", path, value, "a time as RFC 3339 with a zone")
        moment = moment.replace(tzinfo=zone)
    try:
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:
        raise wrong("no-time", path, value, "a time of a year up to 9999") from None
    return (since.days * 86_400 + since.seconds) * 1000 + round(since.microseconds / 1000)


def epoch_s(path: str, value: Any) -> float | int | None:
    """Read seconds since the epoch. 0 is unknown: some sources write it for what never happened."""
    found = number(path, value)
    if found is None or found == 0:
        return None
    if not 0 < found < LATEST_S:
        raise wrong("no-time", path, value, "seconds since the epoch of a year up to 2099")
    return found


def epoch_ms(path: str, value: Any) -> float | None:
    """Read ms since the epoch and return seconds; 0 is unknown."""
    found = number(path, value)
    return epoch_s(path, None if found is None else found / 1000)


def epoch_us(path: str, value: Any) -> float | None:
    """Read microseconds since the epoch and return seconds; 0 is unknown."""
    found = number(path, value)
    return epoch_s(path, None if found is None else found / 1_000_000)


def since_epoch(ms: int) -> float | int:
    """Convert ms since the epoch, as in a fragment, to seconds, as in the contract."""
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def flag(path: str, value: Any) -> bool | None:
    """Read true or false, also written as text; blank is unknown."""
    if isinstance(value, str):
        value = {"true": True, "false": False, "": None}.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value
    raise wrong("wrong-type", path, value, "true or false")


def one_of(words: Mapping[str, str]) -> Reader:
    """Return a reader that translates the source's words to the contract's, ignoring case.

    Blank is unknown. Any other word is refused, until somebody decides what it means here.

    >>> one_of({"web": "chat"})("channel", "WEB")
    'chat'
    """

    def reader(path: str, value: Any) -> str | None:
        word = text(path, value)
        if word is None:
            return None
        if (found := words.get(word.lower())) is None:
            raise wrong("unknown-value", path, value, f"one of {', '.join(words)}")
        return found

    return reader


def score(path: str, value: Any, scale: tuple[int, int]) -> int | None:
    """Read a whole number on a scale, also written as text; blank is skipped. 6.5 is refused, not rounded."""
    found = number(path, value)
    if found is None:
        return None
    low, high = scale
    if found != int(found) or not low <= found <= high:
        raise wrong("off-scale", path, value, f"an integer from {low} to {high}")
    return int(found)


def first(values: Iterable[Any]) -> Any:
    """Return the first value that is not None, or None."""
    return next((value for value in values if value is not None), None)


__all__ = [
    "Field", "Reader", "WrongError", "at", "epoch_ms", "epoch_s", "epoch_us", "first", "flag",
    "instant", "mapped", "milliseconds", "number", "one_of", "required", "score", "seconds", "since_epoch",
    "text", "time", "wrong",
]  # fmt: skip
