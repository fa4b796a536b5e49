"""Windows over panes: the range of panes that a window such as "the last hour" covers at a given time.

Windows up to 24 h and `today` are read from fine panes while their end lies in the last day. Longer windows,
and 24 h further back, are read from whole hours; a shorter one further back has no data. Edges snap outward
to panes; the end of a window that was shifted into the past snaps back, so that nothing younger is in it.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from streamer.events.counting_rules import DAY, HOUR, MINUTE, CountingRules
from streamer.metrics.catalogue import WindowLimits, WindowSpans
from streamer.panes.pane_keys import FINE_RETENTION_MS, WIDTH, Family, oldest_pane

NOW: Final = "now"
"""The moment of the reading itself, for metrics of what is going on; it covers no panes."""
TODAY: Final = "today"
LENGTHS_MS: Final = {
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "24h": DAY,
    "7d": 7 * DAY,
    "30d": 30 * DAY,
    "90d": 90 * DAY,
}
WINDOWS: Final = ("5m", "15m", "30m", "1h", "4h", TODAY, "24h", "7d", "30d", "90d")
READABLE_WINDOWS: Final = (NOW, *WINDOWS)


class PaneRange(NamedTuple):
    """Range of the panes [first, last) of a family, counted since the epoch."""

    family: Family
    first: int
    last: int

    @property
    def start_ms(self) -> int:
        """Start in ms since the epoch; belongs to the window."""
        return self.first * WIDTH[self.family]

    @property
    def end_ms(self) -> int:
        """End in ms since the epoch; no longer belongs to the window."""
        return self.last * WIDTH[self.family]


class QueryClock(NamedTuple):
    """Current time of a query, and the time that hours are kept; both in ms."""

    ms: int
    retention_ms: int = CountingRules().retention_ms


class WindowShift(NamedTuple):
    """Shift of a window by `by_ms` into the past. `hours`: only for windows from 24 h, in whole hours."""

    by_ms: int
    hours: bool


def window_length_ms(window: str) -> int:
    """Return the length of a window in ms; 0 for `today`, which has no fixed length.

    >>> window_length_ms("15m"), window_length_ms("today")
    (900000, 0)
    """
    return LENGTHS_MS.get(window, 0)


def is_read_over(limits: WindowLimits, window: str, spans: WindowSpans) -> bool:
    """Tell whether a metric with these limits is read over a window.

    >>> [is_read_over(WindowLimits(now=now), NOW, WindowSpans()) for now in (True, False)]
    [True, False]
    """
    return limits.now if window == NOW else limits.allows(window_length_ms(window), spans)


def window_panes(
    window: str, at_ms: int, now: QueryClock, zone: tzinfo = UTC, shift: WindowShift | None = None
) -> PaneRange | None:
    """Return the panes of the window that ends at `at_ms`; None where they are no longer kept.

    >>> now = QueryClock(1_750_000_003_000)
    >>> panes = window_panes("1h", now.ms, now)
    >>> panes.family, panes.start_ms, panes.end_ms  # from whole 10 s to whole 10 s
    ('fine', 1749996400000, 1750000010000)
    """
    start_ms = local_midnight_ms(at_ms, zone) if window == TODAY else at_ms - LENGTHS_MS[window]
    if shift is None:
        family = _family(window, at_ms, now)
        return family and _snap_to_panes(family, start_ms, at_ms, now)
    family = _shifted_family(window, start_ms - shift.by_ms, at_ms, now, shift)
    return family and _snap_to_panes(family, start_ms - shift.by_ms, at_ms - shift.by_ms, now, inward=True)


def week_before_panes(
    window: str, at_ms: int, now: QueryClock, zone: tzinfo = UTC, shift: WindowShift | None = None
) -> PaneRange | None:
    """Return the whole hours that the window which ends at `at_ms` touches, a week earlier.

    That is the same time of the same weekday by the clock of `zone`, to compare the window with. None where
    these hours are no longer kept.
    """
    start_ms = local_midnight_ms(at_ms, zone) if window == TODAY else at_ms - LENGTHS_MS[window]
    by_ms = shift.by_ms if shift is not None else 0
    return _snap_to_panes(
        "long", week_earlier_ms(start_ms - by_ms, zone), week_earlier_ms(at_ms - by_ms, zone), now
    )


def week_earlier_ms(at_ms: int, zone: tzinfo) -> int:
    """Return the time in ms, a week before, at which a clock of `zone` showed the same time of day."""
    moment = datetime.fromtimestamp(at_ms // 1000, zone) - timedelta(days=7)
    return round(moment.timestamp()) * 1000 + at_ms % 1000


def local_midnight_ms(at_ms: int, zone: tzinfo) -> int:
    """Return the first instant, in ms, of the local day in `zone` that `at_ms` lies in.

    Where the clock skips midnight (Cairo, Havana) zoneinfo reads midnight with the offset before the change:
    that is the instant of the change itself.

    >>> from zoneinfo import ZoneInfo
    >>> local_midnight_ms(1_750_000_000_000, ZoneInfo("Europe/Madrid"))  # 2025-06-15, two hours ahead of UTC
    1749938400000
    """
    return midnight_ms(datetime.fromtimestamp(at_ms / 1000, zone).date(), zone)


def midnight_ms(day: date, zone: tzinfo) -> int:
    """Return the first instant of a day in `zone`, in ms."""
    return round(datetime.combine(day, time.min, zone).timestamp() * 1000)


def _family(window: str, at_ms: int, now: QueryClock) -> Family | None:
    if window_length_ms(window) > DAY:
        return "long"
    if now.ms - at_ms <= DAY:
        return "fine"
    return "long" if window == "24h" else None


def _shifted_family(
    window: str, start_ms: int, at_ms: int, now: QueryClock, shift: WindowShift
) -> Family | None:
    if shift.hours:
        return "long" if window_length_ms(window) >= DAY else None
    family = _family(window, at_ms, now)
    if family == "fine" and start_ms < now.ms - FINE_RETENTION_MS:
        return None if window == TODAY else "long"
    return family


def _snap_to_panes(
    family: Family, start_ms: int, end_ms: int, now: QueryClock, inward: bool = False
) -> PaneRange | None:
    step = WIDTH[family]
    first = start_ms // step
    if first < oldest_pane(family, *now):
        return None
    return PaneRange(family, first, end_ms // step if inward else -(-end_ms // step))
