"""Panes of the time that an alert is about, and of the time before it for comparison."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

from streamer.alerts.rules import Rule
from streamer.events.rules import DAY, HOUR
from streamer.metrics.catalogue import Spans
from streamer.panes.pane_keys import FINE_MS, WIDTH, Family, oldest
from streamer.panes.windows import Now, Run, Shift, run

LEAST_BEFORE_MS = 6 * HOUR
"""Time before the alert for which 10 s panes must be kept, or hours are used instead."""


class Stretch(NamedTuple):
    """Panes of a family: [first, middle) before, [middle, last) now."""

    family: Family
    first: int
    middle: int
    last: int


def of_window(rule: Rule, now: Now, zone: str, spans: Spans) -> Stretch | None:
    """Return the panes of a target's window; None: none of them are kept."""
    windows = rule.metric.windows
    by_ms = spans.ms(windows.shift)
    shift = Shift(by_ms, hours=spans.ms(windows.at_least) >= DAY) if by_ms else None
    found = run(rule.window, now.ms, now, ZoneInfo(zone), shift)
    return None if found is None else _with_before(found, now)


def since(start: int, now: Now) -> Stretch | None:
    """Return the panes since a moment (ms) until now: in hours, as drops are detected, where 10 s panes
    are no longer kept."""
    fine = start - LEAST_BEFORE_MS >= oldest("fine", now.ms, now.retention_ms) * FINE_MS
    family: Family = "fine" if fine else "long"
    width = WIDTH[family]
    found = Run(family, start // width, -(-now.ms // width))
    return _with_before(found, now) if found.first < found.last else None


def _with_before(panes: Run, now: Now) -> Stretch:
    """Add the time before: equally long, at least a day, as far as it is kept."""
    width = WIDTH[panes.family]
    long = max(panes.last - panes.first, DAY // width)
    first = max(panes.first - long, oldest(panes.family, now.ms, now.retention_ms))
    return Stretch(panes.family, min(first, panes.first), panes.first, panes.last)
