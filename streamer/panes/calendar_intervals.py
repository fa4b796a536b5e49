"""Intervals of the calendar in a time zone: quarters of an hour, half hours, hours, days, weeks, months.

Days, weeks (from Monday) and months begin at local midnight, so a day has 23 or 25 hours twice a year.
Quarters and half hours are those of the local clock and are read from 10 s panes. All others are read from
whole hours of UTC; where a zone is no whole number of hours off, both edges snap back, so that intervals
never overlap.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final, NamedTuple

from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.catalogue import WindowLimits, WindowSpans
from streamer.panes.pane_keys import WIDTH, Family
from streamer.panes.windows import PaneRange, midnight_ms

CalendarMoment = int | date
"""ms since the epoch, or a day, which begins at the midnight of each zone."""


class IntervalLength(NamedTuple):
    """Shortest and longest of an interval, nominally, in ms, and the panes it is read from."""

    shortest_ms: int
    longest_ms: int
    family: Family


INTERVALS: Final[Mapping[str, IntervalLength]] = {
    "15m": IntervalLength(15 * MINUTE, 15 * MINUTE, "fine"),
    "30m": IntervalLength(30 * MINUTE, 30 * MINUTE, "fine"),
    "1h": IntervalLength(HOUR, HOUR, "long"),
    "1d": IntervalLength(DAY, DAY, "long"),
    "1w": IntervalLength(7 * DAY, 7 * DAY, "long"),
    "1mo": IntervalLength(28 * DAY, 31 * DAY, "long"),
}
_FIRST_DAY: Final[Mapping[str, Callable[[date], date]]] = {
    "1d": lambda day: day,
    "1w": lambda day: day - timedelta(days=day.weekday()),
    "1mo": lambda day: day.replace(day=1),
}
"""The first day of the interval that a day lies in."""


def is_read_by(limits: WindowLimits, interval: str, spans: WindowSpans) -> bool:
    """Tell whether a metric with these limits is read over such intervals.

    >>> limits = WindowLimits(at_least="fcr_ms")
    >>> [interval for interval in INTERVALS if is_read_by(limits, interval, WindowSpans())]
    ['1w', '1mo']
    """
    length = INTERVALS[interval]
    return all(limits.allows(ms, spans) for ms in (length.shortest_ms, length.longest_ms))


def moment_ms(moment: CalendarMoment, zone: tzinfo) -> int:
    """Return a moment in ms since the epoch."""
    return midnight_ms(moment, zone) if isinstance(moment, date) else moment


def calendar_panes(interval: str, start_ms: int, end_ms: int, zone: tzinfo) -> list[PaneRange]:
    """Return the panes of each interval that lies in [start, end), wholly or partly.

    >>> from zoneinfo import ZoneInfo
    >>> madrid = ZoneInfo("Europe/Madrid")
    >>> start_ms, end_ms = (moment_ms(date(2026, 10, day), madrid) for day in (24, 26))
    >>> [panes.last - panes.first for panes in calendar_panes("1d", start_ms, end_ms, madrid)]  # hours
    [24, 25]
    """
    family = INTERVALS[interval].family
    edges = [edge_ms // WIDTH[family] for edge_ms in _edges_ms(interval, start_ms, end_ms, zone)]
    return [PaneRange(family, first, last) for first, last in pairwise(edges) if first < last]


def _edges_ms(interval: str, start_ms: int, end_ms: int, zone: tzinfo) -> Iterator[int]:
    """Yield the edges from the last at or before `start_ms` to the first at or after `end_ms`."""
    if interval not in _FIRST_DAY:
        step_ms = INTERVALS[interval].shortest_ms
        offset_ms = 0 if INTERVALS[interval].family == "long" else _offset_ms(start_ms, zone)
        first_ms = (start_ms + offset_ms) // step_ms * step_ms - offset_ms
        yield from range(first_ms, end_ms + step_ms, step_ms)
        return
    first_day, day = _FIRST_DAY[interval], datetime.fromtimestamp(start_ms / 1000, zone).date()
    while True:
        day = first_day(day)
        yield (edge_ms := midnight_ms(day, zone))
        if edge_ms >= end_ms:
            return
        day += timedelta(days={"1d": 1, "1w": 7, "1mo": 31}[interval])


def _offset_ms(at_ms: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset() or timedelta()
    return round(offset.total_seconds() * 1000)
