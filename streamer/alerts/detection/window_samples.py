"""Counts of each group over a window that ended at some moment of the past.

Readings of short windows end where 10 s panes do. A window here is put together of whole hours for the
time where only those are kept, and of 10 s panes from there on: nothing in it is younger than its end.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from streamer.alerts.detection.series import queue_of
from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.formulas import WindowCounts
from streamer.metrics.tally import NUMBERS
from streamer.panes.pane_keys import FINE_MS, FINE_RETENTION_MS
from streamer.panes.windows import TODAY, local_midnight_ms, window_length_ms
from streamer.readings.pane_families import QueueZones
from streamer.readings.pane_sums import SparseCounts, sum_counts
from streamer.readings.reader import MetricsReader
from streamer.readings.string_table import StringTable
from streamer.readings.window_table import WindowTable


class WindowSpan(NamedTuple):
    """Panes of a window: hours [first, hour), then 10 s panes [fine, last). `exact`: they are the window,
    to ten seconds."""

    first: int
    hour: int
    fine: int
    last: int
    exact: bool


class SampledCounts(NamedTuple):
    """Counts by key."""

    counts: Mapping[str, WindowCounts]
    exact: bool


def window_span(window: str, at_ms: int, now_ms: int, zone: str) -> WindowSpan | None:
    """Return the panes of a window that ends at `at_ms`; None: it can no longer be put together from what
    is kept.

    >>> friday_10_00 = 1_795_168_800_000
    >>> panes = window_span("1h", friday_10_00, friday_10_00, "UTC")
    >>> panes.last - panes.fine, panes.exact
    (360, True)
    >>> window_span("15m", friday_10_00, friday_10_00 + 7 * DAY, "UTC") is None
    True
    """
    start = local_midnight_ms(at_ms, ZoneInfo(zone)) if window == TODAY else at_ms - window_length_ms(window)
    first_kept_hour = -(-(now_ms - FINE_RETENTION_MS) // HOUR)
    if start >= first_kept_hour * HOUR:
        return WindowSpan(
            first_kept_hour, first_kept_hour, start // FINE_MS, -(-at_ms // FINE_MS), exact=True
        )
    if window != TODAY and window_length_ms(window) < HOUR:
        return None
    hour = min(max(first_kept_hour, start // HOUR), at_ms // HOUR)
    is_whole, is_long = start % HOUR == 0, window_length_ms(window) > DAY
    fine = hour * HOUR // FINE_MS
    last = -(-at_ms // FINE_MS) if at_ms >= first_kept_hour * HOUR else fine
    return WindowSpan(start // HOUR, hour, fine, last, (is_whole or is_long) and last * FINE_MS >= at_ms)


class WindowSampler:
    """Window counts of one grouping. The last answer is cached, since several rules ask for the same
    window."""

    def __init__(self, reader: MetricsReader, zones: QueueZones, by: str) -> None:
        self._reader, self._zones, self._by = reader, zones, by
        self._last: tuple[tuple[object, ...], SampledCounts | None] | None = None

    def counts_at(self, window: str, at_ms: int, now_ms: int) -> SampledCounts | None:
        """Return the counts of a window that ended at `at_ms`; None: they are no longer kept."""
        query_key = window, at_ms, now_ms, self._reader.version
        if self._last is None or self._last[0] != query_key:
            self._last = query_key, self._sum_window(window, at_ms, now_ms)
        return self._last[1]

    def _sum_window(self, window: str, at_ms: int, now_ms: int) -> SampledCounts | None:
        if window != TODAY or not self._zones.by_queue:
            return self._sum_span(window_span(window, at_ms, now_ms, self._zones.default))
        span_by_zone = {zone: window_span(window, at_ms, now_ms, zone) for zone in self._zones.names()}
        if "queue" in self._by.split(","):
            return self._sum_by_zone(span_by_zone)
        fine_only = {zone: span for zone, span in span_by_zone.items() if span and span.first == span.hour}
        if len(fine_only) < len(span_by_zone):  # hours of other groups are not divided by zone
            sampled = self._sum_span(span_by_zone[self._zones.default])
            return sampled and sampled._replace(exact=False)
        return SampledCounts(
            self._merge_counts(
                [
                    family_sum
                    for zone_span in fine_only.items()
                    for family_sum in self._family_sums(*zone_span)
                ]
            ),
            exact=True,
        )

    def _sum_span(self, span: WindowSpan | None) -> SampledCounts | None:
        return span and SampledCounts(self._merge_counts(self._family_sums(None, span)), span.exact)

    def _sum_by_zone(self, span_by_zone: Mapping[str, WindowSpan | None]) -> SampledCounts | None:
        """Sum each queue over the day by its own clock."""
        sampled_by_zone = {
            zone: sampled for zone, span in span_by_zone.items() if (sampled := self._sum_span(span))
        }
        return SampledCounts(
            {
                key: counts
                for zone, sampled in sampled_by_zone.items()
                for key, counts in sampled.counts.items()
                if self._zones.zone_of(queue_of(self._by, key)) == zone
            },
            all(sampled.exact for sampled in sampled_by_zone.values()),
        )

    def _family_sums(self, zone: str | None, span: WindowSpan) -> "list[_FamilySum]":
        hours = self._reader.summed_panes(self._by, "long", span.first, span.hour)
        panes = self._reader.summed_panes(self._by, "fine", span.fine, span.last, zone)
        return [_FamilySum(*hours), _FamilySum(*panes)]

    def _merge_counts(self, family_sums: "Sequence[_FamilySum]") -> dict[str, WindowCounts]:
        """Merge the families' sums; each family numbers its rows in its own way."""
        rows = StringTable()
        renumbered = []
        for entries, names in family_sums:
            row_map = np.array([rows.add(name) for name in names] or [0], np.int64)
            old_rows, numbers = np.divmod(entries.keys, NUMBERS)
            renumbered.append(SparseCounts(row_map[old_rows] * NUMBERS + numbers, entries.values))
        table = WindowTable(sum_counts(renumbered), rows)
        return {key: table.counts(key) for key in table.keys}


class _FamilySum(NamedTuple):
    entries: SparseCounts
    names: Sequence[str]
