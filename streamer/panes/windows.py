"""Windows over panes: the range of panes that a window such as "the last hour" covers at a given time.

Windows up to 24 h and `today` are read from fine panes while their end lies in the last day. Longer windows,
and 24 h further back, are read from whole hours; a shorter one further back has no data. Edges snap outward
to panes; the end of a window that was shifted into the past snaps back, so that nothing younger is in it.
"""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from streamer.events.rules import DAY, HOUR, MINUTE, Rules
from streamer.panes.pane_keys import FINE_KEPT_MS, WIDTH, Family, oldest

TODAY: Final = "today"
LENGTHS: Final = {
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


class Run(NamedTuple):
    """Range of the panes [first, last) of a family, counted since the epoch."""

    family: Family
    first: int
    last: int

    @property
    def start(self) -> int:
        """Start in ms since the epoch; belongs to the window."""
        return self.first * WIDTH[self.family]

    @property
    def end(self) -> int:
        """End in ms since the epoch; no longer belongs to the window."""
        return self.last * WIDTH[self.family]


class Now(NamedTuple):
    """Current time of a query, and the time that hours are kept; both in ms."""

    ms: int
    retention_ms: int = Rules().retention_ms


class Shift(NamedTuple):
    """Shift of a window by `by_ms` into the past. `hours`: only for windows from 24 h, in whole hours."""

    by_ms: int
    hours: bool


def length(window: str) -> int:
    """Return the length of a window in ms; 0 for `today`, which has no fixed length.

    >>> length("15m"), length("today")
    (900000, 0)
    """
    return LENGTHS.get(window, 0)


def run(window: str, at: int, now: Now, zone: tzinfo = UTC, shift: Shift | None = None) -> Run | None:
    """Return the panes of the window that ends at `at_ms`; None where they are no longer kept.

    >>> now = Now(1_750_000_003_000)
    >>> panes = run("1h", now.ms, now)
    >>> panes.family, panes.start, panes.end  # from whole 10 s to whole 10 s
    ('fine', 1749996400000, 1750000010000)
    """
    start = midnight(at, zone) if window == TODAY else at - LENGTHS[window]
    if shift is None:
        family = _family(window, at, now)
        return family and _snapped(family, start, at, now)
    family = _shifted_family(window, start - shift.by_ms, at, now, shift)
    return family and _snapped(family, start - shift.by_ms, at - shift.by_ms, now, inward=True)


def week_before(window: str, at: int, now: Now, zone: tzinfo = UTC, shift: Shift | None = None) -> Run | None:
    """Return the whole hours that the window which ends at `at_ms` touches, a week earlier.

    That is the same time of the same weekday by the clock of `zone`, to compare the window with. None where
    these hours are no longer kept.
    """
    start = midnight(at, zone) if window == TODAY else at - LENGTHS[window]
    by_ms = shift.by_ms if shift is not None else 0
    return _snapped("long", week_earlier(start - by_ms, zone), week_earlier(at - by_ms, zone), now)


def week_earlier(at: int, zone: tzinfo) -> int:
    """Return the time in ms, a week before, at which a clock of `zone` showed the same time of day."""
    moment = datetime.fromtimestamp(at // 1000, zone) - timedelta(days=7)
    return round(moment.timestamp()) * 1000 + at % 1000


def midnight(at: int, zone: tzinfo) -> int:
    """Return the first instant, in ms, of the local day in `zone` that `at_ms` lies in.

    Where the clock skips midnight (Cairo, Havana) zoneinfo reads midnight with the offset before the change:
    that is the instant of the change itself.

    >>> from zoneinfo import ZoneInfo
    >>> midnight(1_750_000_000_000, ZoneInfo("Europe/Madrid"))  # 2025-06-15, two hours ahead of UTC
    1749938400000
    """
    day = datetime.fromtimestamp(at / 1000, zone).date()
    return round(datetime.combine(day, time.min, zone).timestamp() * 1000)


def _family(window: str, at: int, now: Now) -> Family | None:
    if length(window) > DAY:
        return "long"
    if now.ms - at <= DAY:
        return "fine"
    return "long" if window == "24h" else None


def _shifted_family(window: str, start: int, at: int, now: Now, shift: Shift) -> Family | None:
    if shift.hours:
        return "long" if length(window) >= DAY else None
    family = _family(window, at, now)
    if family == "fine" and start < now.ms - FINE_KEPT_MS:
        return None if window == TODAY else "long"
    return family


def _snapped(family: Family, start: int, end: int, now: Now, inward: bool = False) -> Run | None:
    step = WIDTH[family]
    first = start // step
    if first < oldest(family, *now):
        return None
    return Run(family, first, end // step if inward else -(-end // step))
