"""Here is how values are written for people: the only place where they are rounded."""

from streamer.readings.query import Reading

NO_DATA = "–"


def value(number: float | None, unit: str, currency: str) -> str:
    """A value with its unit; "–" for no data."""
    if number is None:
        return NO_DATA
    match unit:
        case "ratio":
            return f"{100 * number:.1f} %"
        case "seconds":
            return _seconds(number)
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


def interval(reading: Reading, currency: str) -> str:
    if reading.lower is None or reading.upper is None:
        return NO_DATA
    ends = (value(end, reading.unit, currency) for end in (reading.lower, reading.upper))
    return " … ".join(ends)


def freshness(fresh_s: float | None) -> str:
    if fresh_s is None:
        return "not known to be complete: no worker has caught up yet"
    return f"complete as of {fresh_s:.0f} s ago"


def _seconds(number: float) -> str:
    if number < 60:
        return f"{number:.1f} s"
    minutes, seconds = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes}:{seconds:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} h"
