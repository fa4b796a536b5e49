"""Here is how times are written in questions: RFC 3339 with a zone, or seconds since the epoch."""

import math
from datetime import datetime

from streamer.readings.query import QueryError


def milliseconds(name: str, text: str) -> int:
    """Since the epoch. Raises QueryError, which names the parameter."""
    try:
        seconds = float(text)
    except ValueError:
        return _from_rfc3339(name, text)
    if not math.isfinite(seconds) or abs(seconds) > 1e11:
        raise _unreadable(name, text)
    return round(seconds * 1000)


def _from_rfc3339(name: str, text: str) -> int:
    try:
        # A "+" that was not escaped in a query string arrives as a space.
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise _unreadable(name, text) from None
    if moment.tzinfo is None:
        raise _unreadable(name, text)
    return round(moment.timestamp() * 1000)


def _unreadable(name: str, text: str) -> QueryError:
    return QueryError(f"{name} = {text!r}: expected a time such as 2026-11-21T10:00:00Z, or epoch seconds")
