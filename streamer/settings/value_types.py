"""Value types of settings that are no plain text or number: durations, time zones, formulas."""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, SecretStr, WithJsonSchema

from streamer.events.event_bodies import CONTROL_CHARACTERS

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


_DURATION: Final = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)"
_DURATION_SCHEMA: Final = {
    "anyOf": [{"type": "string", "pattern": f"^{_DURATION}$"}, {"type": "number", "minimum": 0}]
}


class SettingsError(Exception):
    """A setting is wrong: one line that names it, its value and what was expected."""


def _parse_duration(value: object) -> object:
    """Parse a duration such as "90s" or a number of seconds.

    >>> _parse_duration("1.5h")
    datetime.timedelta(seconds=5400)
    """
    if isinstance(value, str) and (match := re.fullmatch(_DURATION, value.strip())):
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration such as 20s, 15m, 24h or 35d")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("a time zone of the IANA data base such as Europe/Madrid") from None
    return name


def visible_name(name: str) -> str:
    """Return a name with escapes for what it must not hold.

    >>> print(visible_name("queues.bill\u202eing"))
    queues.bill\u202eing
    """
    return CONTROL_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", name)


def _check_name(name: str) -> str:
    if CONTROL_CHARACTERS.search(name):
        raise ValueError("a name without control or invisible characters")
    return name


def check_web_address(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("an address that begins with https:// or http://")
    return url


Name = Annotated[str, AfterValidator(_check_name)]
"""Name that people read, or that events bear: of a queue, a rule, a user."""
Duration = Annotated[timedelta, BeforeValidator(_parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
Zone = Annotated[str, AfterValidator(_check_zone)]
Formula = Literal["negative", "exclude_short", "ignore", "positive", "answered_only"]


def duration_ms(duration: timedelta) -> int:
    """Return a duration in ms, rounded.

    >>> duration_ms(timedelta(seconds=1.5))
    1500
    """
    return round(duration.total_seconds() * 1000)
