"""Format values for people. Values are rounded here and nowhere else."""

from datetime import datetime
from zoneinfo import ZoneInfo

from streamer.readings.query import Reading

NO_DATA = "–"


def format_value(number: float | None, unit: str, currency: str) -> str:
    """Return a value with its unit; "–" for no data.

    >>> format_value(0.8254, "ratio", "EUR")
    '82.5 %'
    >>> format_value(245.4, "seconds", "EUR")
    '4:05 min'
    >>> format_value(None, "count", "EUR")
    '–'
    """
    if number is None:
        return NO_DATA
    match unit:
        case "ratio":
            return f"{100 * number:.1f} %"
        case "seconds":
            return _format_seconds(number)
        case "count":
            return f"{number:,.0f}"
        case "points":
            return f"{number:.1f}"
        case "currency":
            return f"{number:,.2f} {currency}"
        case "erlangs":
            return f"{number:.1f} erl"
        case _:
            return f"{number:.2f}"


def format_interval(reading: Reading, currency: str) -> str:
    """Return the ends of a reading's 95 % interval; "–" if it has none."""
    if reading.lower is None or reading.upper is None:
        return NO_DATA
    ends = (format_value(end, reading.unit, currency) for end in (reading.lower, reading.upper))
    return " … ".join(ends)


def format_data_age(data_age_s: float | None) -> str:
    """Return how old complete data is, given its age in seconds; None: no worker has caught up yet.

    >>> format_data_age(2.4)
    'complete as of 2 s ago'
    """
    if data_age_s is None:
        return "data age unknown: no worker has caught up yet"
    return f"complete as of {data_age_s:.0f} s ago"


def format_local_time(rfc3339: str, zone: str) -> str:
    """Return a time of RFC 3339 as a clock in `zone` shows it.

    >>> format_local_time("2026-11-21T10:00:00Z", "Europe/Madrid")
    'Sat 2026-11-21 11:00'
    """
    return f"{datetime.fromisoformat(rfc3339).astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"


def _format_seconds(number: float) -> str:
    if number < 60:
        return f"{number:.1f} s"
    minutes, seconds = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes}:{seconds:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} h"
