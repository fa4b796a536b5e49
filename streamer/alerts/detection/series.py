"""Series of a grouping: its counts step by step, and their baseline.

The last days are split into steps of 5 minutes, the days before that into hours: in quiet series a drop
becomes evident over weeks. The baseline comes from the 8 weeks before those days, or, in a center that has
not run that long, from all but the last fifth: evidence and baseline share no observation.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from streamer.alerts.detection.baseline import Baseline
from streamer.alerts.detection.dependence import learn_baseline
from streamer.alerts.detection.step_counts import ColumnMap, StepCounter
from streamer.alerts.statistics.evidence import Floats, Integers
from streamer.alerts.statistics.observation_classes import (
    ABSENT,
    BINS,
    DurationBins,
    bucket_by_number,
    column_by_number,
    cut_bins,
)
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET_OF, NUMBERS
from streamer.panes.pane_keys import FINE_MS, FINE_RETENTION_MS
from streamer.readings.pane_families import QueueZones
from streamer.readings.pane_sums import SparseCounts
from streamer.readings.query import dimension_values
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings

STEP_MS: Final = 5 * MINUTE
FINE_STEPS_MS: Final = 48 * HOUR
BASELINE_DAYS: Final = 56
MEMORY_DAYS: Final = 14
LEAST_MEMORY_DAYS: Final = 2
RELEARN_SHARE: Final = 0.03
"""Share of the baseline's hours: if more than that changed, it is learned again at once. A new day brings
24."""
RELEARN_LEAST: Final = 24


class SeriesSpan(NamedTuple):
    """Edges of the time covered: `first`, `learned` and `hours` in hours since the epoch, `steps` and
    `last` in steps of STEP_MS."""

    first: int
    learned: int
    """Hours before it belong to the baseline, hours from it on to the evidence."""
    hours: int
    steps: int
    last: int

    @property
    def starts(self) -> Integers:
        """Starts of the steps of evidence, ms since the epoch: hours, then 5 minutes."""
        hours = np.arange(self.learned, self.hours, dtype=np.int64) * HOUR
        return np.concatenate((hours, np.arange(self.steps, self.last, dtype=np.int64) * STEP_MS))


class MetricSeries(NamedTuple):
    """One metric by group, as of `at` (ms). `starts` of T steps, `counts` T × G × C, `hours` of the week T
    × G; `scores` G × C, higher is better, and `values` G × C, whose mean is the metric."""

    metric: str
    keys: Sequence[str]
    at: int
    starts: Integers
    counts: Integers
    hours: Integers
    scores: Floats
    values: Floats
    baseline: Baseline
    first_ms: int
    """Start of the first hour with any data, in ms."""


class SeriesBuilder:
    """Builds the series of one grouping and keeps them up to date with a reader. Use it from one thread at
    a time."""

    def __init__(
        self,
        reader: MetricsReader,
        settings: Settings,
        by: str,
        classes_by_series: Mapping[str, ObservationClasses],
    ) -> None:
        self._reader, self._by, self._classes_by_series = reader, by, classes_by_series
        self._zones = QueueZones(settings.timezone, settings.zones())
        self._hour_counter = StepCounter(by, "long", 1)
        self._step_counter = StepCounter(by, "fine", STEP_MS // FINE_MS)
        self._columns: Mapping[str, ColumnMap] = {}
        self._bins: dict[str, tuple[Sequence[str], DurationBins]] = {}
        self._binned_span: tuple[int, int] | None = None
        self._baselines: tuple[object, Mapping[str, Baseline]] | None = None
        self._baseline_panes: Mapping[int, SparseCounts] = {}

    def build(self, at_ms: int, now_ms: int) -> dict[str, MetricSeries]:
        """Return the series by name, as of `at_ms`, with today's knowledge; empty as long as there is no
        data."""
        earliest = 24 * (at_ms // DAY - BASELINE_DAYS - MEMORY_DAYS)  # the same all day long
        hours = self._reader.kept_panes(self._by, "long", earliest, at_ms // HOUR + 1)
        if not hours.panes:
            return {}
        span = plan_span(min(hours.panes), at_ms, now_ms)
        if self._is_outdated(hours.panes, span):
            self._binned_span, self._baselines = None, None
        self._cut_bins(span)
        self._hour_counter.follow(self._reader, self._columns, span.first, span.hours)
        self._step_counter.follow(self._reader, self._columns, span.steps, span.last)
        keys = tuple(sorted({*self._hour_counter.keys, *self._step_counter.keys}))
        week_hours = self._hours_of_week(keys, span.starts)
        baselines = self._learn_baselines(keys, span)
        return {
            name: self._build_series(name, keys, at_ms, span, week_hours, baselines[name])
            for name in self._classes_by_series
        }

    def _build_series(
        self,
        name: str,
        keys: Sequence[str],
        at_ms: int,
        span: SeriesSpan,
        week_hours: Integers,
        baseline: Baseline,
    ) -> MetricSeries:
        hour_table = self._hour_counter.table(name, keys, span.learned, span.hours)
        step_table = self._step_counter.table(name, keys, span.steps, span.last)
        counts = self._count_classes(name, np.concatenate((hour_table, step_table)))
        scores, values = self._class_scores(name, keys)
        return MetricSeries(
            name, keys, at_ms, span.starts, counts, week_hours, scores, values, baseline, span.first * HOUR
        )

    def _is_outdated(self, panes: Mapping[int, SparseCounts], span: SeriesSpan) -> bool:
        """Tell whether much of the baseline's data has changed: a past was counted, all at once."""
        previous = self._baseline_panes
        changed = sum(
            1
            for hour, entries in panes.items()
            if span.first <= hour < span.learned and previous.get(hour) is not entries
        )
        return changed > max(RELEARN_LEAST, (span.learned - span.first) * RELEARN_SHARE)

    def _learn_baselines(self, keys: Sequence[str], span: SeriesSpan) -> Mapping[str, Baseline]:
        """Learn the baselines once an hour, or when much of their data changed; older data hardly changes
        otherwise."""
        cache_key = keys, span.first, span.learned, span.last * STEP_MS // HOUR, self._binned_span
        if self._baselines is None or self._baselines[0] != cache_key:
            hours = self._hours_of_week(keys, np.arange(span.first, span.learned, dtype=np.int64) * HOUR)
            self._baseline_panes = self._reader.kept_panes(self._by, "long", span.first, span.learned).panes
            self._baselines = (
                cache_key,
                {
                    name: learn_baseline(
                        self._count_classes(
                            name, self._hour_counter.table(name, keys, span.first, span.learned)
                        ),
                        hours,
                        self._class_scores(name, keys)[0],
                    )
                    for name in self._classes_by_series
                },
            )
        return self._baselines[1]

    def _cut_bins(self, span: SeriesSpan) -> None:
        """Cut the bins of durations, once a day."""
        if self._binned_span == (span.first, span.learned) and self._columns:
            return
        self._binned_span = span.first, span.learned
        self._columns = {
            name: self._column_map(name, classes, span) for name, classes in self._classes_by_series.items()
        }

    def _column_map(self, name: str, classes: ObservationClasses, span: SeriesSpan) -> ColumnMap:
        if not classes.duration:
            return ColumnMap(column_by_number(classes)[None], len(classes.counts))
        total, names = self._reader.summed_panes(self._by, "long", span.first, span.learned)
        rows, numbers = np.divmod(total.keys, NUMBERS)
        buckets = bucket_by_number(classes)[numbers]
        is_bucket = buckets != ABSENT
        histograms = np.zeros((len(names), BUCKETS), np.int64)
        histograms[rows[is_bucket], buckets[is_bucket]] = total.values[is_bucket]
        bins = cut_bins(histograms)
        self._bins[name] = tuple(names), bins
        columns = np.full((max(len(names), 2), NUMBERS), ABSENT, np.int64)
        first = FIRST_BUCKET_OF[classes.duration]
        columns[: len(names), first : first + BUCKETS] = bins.bin_by_bucket
        return ColumnMap(columns, BINS, tuple(names))

    def _count_classes(self, name: str, counts: Integers) -> Integers:
        classes = self._classes_by_series[name]
        if classes.duration:
            return counts
        return counts @ np.array(classes.weights, np.int64)

    def _class_scores(self, name: str, keys: Sequence[str]) -> tuple[Floats, Floats]:
        """Return the scores and the values of the classes, by group."""
        classes = self._classes_by_series[name]
        if not classes.duration:
            scores, values = (
                np.tile(np.array(array), (len(keys), 1)) for array in (classes.scores, classes.values)
            )
            return scores, values
        names, bins = self._bins[name]
        row_by_key = {key: number for number, key in enumerate(names)}
        scores_and_values = np.tile(np.arange(BINS, dtype=np.float64), (2, len(keys), 1))
        for row, key in enumerate(keys):
            if key in row_by_key:
                scores_and_values[:, row] = bins.scores[row_by_key[key]], bins.values[row_by_key[key]]
        return scores_and_values[0], scores_and_values[1]

    def _hours_of_week(self, keys: Sequence[str], starts: Integers) -> Integers:
        """Return the hour of the week, T × G, by the clock of each group."""
        zones = [self._zones.zone_of(queue_of(self._by, key)) for key in keys]
        hours_by_zone = {zone: hours_of_week(starts, zone) for zone in set(zones)}
        return np.stack([hours_by_zone[zone] for zone in zones], axis=1)


def queue_of(by: str, key: str) -> str:
    """Return the queue in a key; "" if the grouping has none.

    >>> queue_of("queue,channel", "billing,chat"), queue_of("site", "madrid")
    ('billing', '')
    """
    return dimension_values(by, key).get("queue", "")


def plan_span(first_hour: int, at_ms: int, now_ms: int) -> SeriesSpan:
    """Plan the span as of `at_ms`; `first_hour` is the first hour with any data."""
    memory = min(max((at_ms // DAY - first_hour * HOUR // DAY) // 5, LEAST_MEMORY_DAYS), MEMORY_DAYS)
    learned = max((at_ms // DAY - memory) * 24, first_hour)
    fine_hour = -(-max(at_ms - FINE_STEPS_MS, now_ms - FINE_RETENTION_MS + HOUR) // HOUR)
    hours = max(min(fine_hour, at_ms // HOUR), learned)
    steps = hours * HOUR // STEP_MS
    last = at_ms // STEP_MS + (at_ms >= now_ms) if fine_hour * HOUR <= at_ms else steps
    return SeriesSpan(max(first_hour, learned - BASELINE_DAYS * 24), learned, hours, steps, max(last, steps))


def hours_of_week(starts: Integers, zone: str) -> Integers:
    """Return hours of the week; 0 is Monday, 00:00 to 01:00.

    >>> hours_of_week(np.array([1_795_168_800_000]), "Europe/Madrid").tolist()  # a Friday, 10:00 UTC
    [107]
    """
    return np.array([_hour_of_week(start // HOUR * HOUR, zone) for start in starts.tolist()], np.int64)


@lru_cache(maxsize=20_000)
def _hour_of_week(start: int, zone: str) -> int:
    moment = datetime.fromtimestamp(start // 1000, UTC).astimezone(ZoneInfo(zone))
    return moment.weekday() * 24 + moment.hour
