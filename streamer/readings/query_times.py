"""Parse times in queries: RFC 3339 with a time zone, or seconds since the epoch."""

import math
from datetime import date, datetime

from streamer.panes.calendar_intervals import CalendarMoment
from streamer.readings.query import QueryError


def parse_query_time_ms(name: str, text: str) -> int:
    """Return ms since the epoch. `name` is the parameter named in errors. Raises QueryError.

    >>> parse_query_time_ms("at", "2026-11-21T10:00:03Z")
    1795255203000
    >>> parse_query_time_ms("at", "1795255203.5")
    1795255203500
    """
    try:
        seconds = float(text)
    except ValueError:
        return _from_rfc3339(name, text)
    if not math.isfinite(seconds) or abs(seconds) > 1e11:
        raise _time_error(name, text)
    return round(seconds * 1000)


def parse_calendar_moment(name: str, text: str) -> CalendarMoment:
    """Return a day if the text is one, which begins at local midnight, else ms since the epoch. Raises
    QueryError.

    >>> parse_calendar_moment("from", "2026-11-21"), parse_calendar_moment("from", "2026-11-21T10:00:03Z")
    (datetime.date(2026, 11, 21), 1795255203000)
    """
    try:
        return date.fromisoformat(text) if "-" in text else parse_query_time_ms(name, text)
    except ValueError:
        return parse_query_time_ms(name, text)


def _from_rfc3339(name: str, text: str) -> int:
    try:
        # An unescaped "+" in a query string arrives as a space.
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise _time_error(name, text) from None
    if moment.tzinfo is None:
        raise _time_error(name, text)
    return round(moment.timestamp() * 1000)


def _time_error(name: str, text: str) -> QueryError:
    return QueryError(f"{name} = {text!r}: expected a time such as 2026-11-21T10:00:00Z, or epoch seconds")
