"""Panes of the time that an alert is about, and of the time before it for comparison."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

from streamer.alerts.alert_rule import AlertRule
from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.catalogue import WindowSpans
from streamer.panes.pane_keys import FINE_MS, WIDTH, Family, oldest_pane
from streamer.panes.windows import PaneRange, QueryClock, WindowShift, window_panes

LEAST_BEFORE_MS = 6 * HOUR
"""Time before the alert for which 10 s panes must be kept, or hours are used instead."""


class ComparedPanes(NamedTuple):
    """Panes of a family: [first, middle) before, [middle, last) now."""

    family: Family
    first: int
    middle: int
    last: int


def panes_of_window(rule: AlertRule, now: QueryClock, zone: str, spans: WindowSpans) -> ComparedPanes | None:
    """Return the panes of a target's window; None: none of them are kept."""
    windows = rule.metric.windows
    shift_ms = spans.ms(windows.shift)
    shift = WindowShift(shift_ms, hours=spans.ms(windows.at_least) >= DAY) if shift_ms else None
    panes = window_panes(rule.window, now.ms, now, ZoneInfo(zone), shift)
    return None if panes is None else _with_before(panes, now)


def panes_since(start_ms: int, now: QueryClock) -> ComparedPanes | None:
    """Return the panes since a moment (ms) until now: in hours, as drops are detected, where 10 s panes
    are no longer kept."""
    is_fine = start_ms - LEAST_BEFORE_MS >= oldest_pane("fine", now.ms, now.retention_ms) * FINE_MS
    family: Family = "fine" if is_fine else "long"
    width = WIDTH[family]
    panes = PaneRange(family, start_ms // width, -(-now.ms // width))
    return _with_before(panes, now) if panes.first < panes.last else None


def _with_before(panes: PaneRange, now: QueryClock) -> ComparedPanes:
    """Add the time before: equally long, at least a day, as far as it is kept."""
    width = WIDTH[panes.family]
    length = max(panes.last - panes.first, DAY // width)
    first = max(panes.first - length, oldest_pane(panes.family, now.ms, now.retention_ms))
    return ComparedPanes(panes.family, min(first, panes.first), panes.first, panes.last)
