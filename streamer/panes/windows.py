"""Here are the windows: which run of panes answers for "the last hour" as of a moment.

Up to 24 h and `today` are read from fine panes while the moment lies in the last day; longer windows,
and 24 h further back, from whole hours; a shorter one further back has no data. Edges snap outward;
the end of a window that was shifted into the past snaps back, so that nothing younger is in it.
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
    """The panes [first, last) of a family."""

    family: Family
    first: int
    last: int

    @property
    def start(self) -> int:
        """In ms since the epoch; belongs to the window."""
        return self.first * WIDTH[self.family]

    @property
    def end(self) -> int:
        """In ms since the epoch; no longer belongs to the window."""
        return self.last * WIDTH[self.family]


class Now(NamedTuple):
    """The moment of a question, and how long hours are kept; both in ms."""

    ms: int
    retention_ms: int = Rules().retention_ms


class Shift(NamedTuple):
    """A window moved `by_ms` into the past; `hours`: only from 24 h, always in whole hours."""

    by_ms: int
    hours: bool


def length(window: str) -> int:
    """In ms; 0 for `today`, which has no fixed one."""
    return LENGTHS.get(window, 0)


def run(window: str, at: int, now: Now, zone: tzinfo = UTC, shift: Shift | None = None) -> Run | None:
    """The panes of the window that ends `at`, or None where none are kept. Times in ms."""
    start = midnight(at, zone) if window == TODAY else at - LENGTHS[window]
    if shift is None:
        family = _family(window, at, now)
        return family and _snapped(family, start, at, now)
    family = _shifted_family(window, start - shift.by_ms, at, now, shift)
    return family and _snapped(family, start - shift.by_ms, at - shift.by_ms, now, inward=True)


def week_before(window: str, at: int, now: Now, zone: tzinfo = UTC, shift: Shift | None = None) -> Run | None:
    """The whole hours that the window which ends `at` touches, on the same weekday a week earlier by the
    clock of `zone`: to compare with, where the window itself is no longer kept."""
    start = midnight(at, zone) if window == TODAY else at - LENGTHS[window]
    by_ms = shift.by_ms if shift is not None else 0
    return _snapped("long", week_earlier(start - by_ms, zone), week_earlier(at - by_ms, zone), now)


def week_earlier(at: int, zone: tzinfo) -> int:
    """What a clock of `zone` showed the same time a week before; in ms."""
    moment = datetime.fromtimestamp(at // 1000, zone) - timedelta(days=7)
    return round(moment.timestamp()) * 1000 + at % 1000


def midnight(at: int, zone: tzinfo) -> int:
    """The first instant of `at`'s local day. Where the clock skips midnight (Cairo, Havana) zoneinfo
    reads it with the offset before the change: the instant of the change itself."""
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
