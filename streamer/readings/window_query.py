"""Answer one window of a query: say which panes it needs, and compute its readings from their sums."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.catalogue import Metric, WindowSpans, evaluate_metric
from streamer.metrics.formulas import NO_DATA, MetricFigure, ReadingContext
from streamer.panes.windows import (
    TODAY,
    PaneRange,
    QueryClock,
    WindowShift,
    is_read_over,
    local_midnight_ms,
    week_before_panes,
    window_length_ms,
    window_panes,
)
from streamer.readings.live_state import LiveGroups
from streamer.readings.pane_families import QueueZones
from streamer.readings.query import Reading, ValidatedQuery, dimension_values
from streamer.readings.score_distribution import ScoreDistribution, score_counts
from streamer.readings.window_table import WindowTable

NO_CONTEXT: Final = ReadingContext(window_s=0)
STALE_MS: Final = MINUTE
"""A count of nothing is 0 up to this long after the data was last complete; later it is no data."""


class WindowVariant(NamedTuple):
    """The part of a window that a metric reads: all of it, the window `shift` earlier, or (`mature_ms`) only
    what ended at least that many ms before the window's end. `agent_time`: agents' time instead of panes'
    counts."""

    shift: WindowShift | None = None
    mature_ms: int = 0
    agent_time: bool = False


class ZoneRun(NamedTuple):
    """The panes of a window, for the queues of one zone (None: all queues)."""

    zone: str | None
    panes: PaneRange


class QueryContext(NamedTuple):
    """All that a window query depends on beside the question. Times in ms; `caught_up_ms` None: never."""

    zones: QueueZones
    spans: WindowSpans
    caught_up_ms: int | None
    retention_ms: int

    def is_counted_until(self, moment_ms: int) -> bool:
        """Tell whether everything before this moment is counted, so that a count of nothing means 0."""
        return self.caught_up_ms is not None and moment_ms <= self.caught_up_ms + STALE_MS


class WindowQuery:
    """One window of a validated query. Fill `tables` for all `required_variants`, then call `readings`."""

    def __init__(self, validated: ValidatedQuery, window: str, context: QueryContext) -> None:
        self.validated, self.window, self._query_context = validated, window, context
        self.tables: dict[WindowVariant, WindowTable] = {}
        self.live_groups: LiveGroups | None = None
        """What is going on now, if `needs_live`."""
        self._zone_runs: dict[WindowVariant, list[ZoneRun]] = {}
        self._by = validated.query.by
        self._edges: dict[tuple[WindowVariant, str | None], tuple[int, int]] = {}
        self._edge_texts: dict[tuple[WindowVariant, str | None], tuple[str, str]] = {}
        caught_up_ms = context.caught_up_ms
        self._data_age_s = None if caught_up_ms is None else data_age_s(caught_up_ms, validated.query.now)

    @property
    def needs_live(self) -> bool:
        """Tell whether a stat needs what is going on now. Only windows that end now have it."""
        return self.validated.query.ends_now and any(
            metric.measure.formulas[stat].needs == "live"
            for metric, stats in self.validated.metrics for stat in stats
            if self._serves(metric)
        )  # fmt: skip

    def required_variants(self) -> Mapping[WindowVariant, bool]:
        """Return the variants to read, and for each whether its agents must be counted."""
        agents_by_variant: dict[WindowVariant, bool] = {WindowVariant(): False}
        for metric, _ in self.validated.metrics:
            if not self._serves(metric):
                continue
            variant = self.variant_of(metric)
            agents_by_variant[variant] = (
                agents_by_variant.get(variant, False) or metric.formula.needs == "agents"
            )
            if metric.formula.needs == "mature":
                agents_by_variant[self._mature_variant()] = False
        return agents_by_variant

    def zone_runs(self, variant: WindowVariant) -> list[ZoneRun]:
        """Return the panes of a variant by zone; empty where there is no data."""
        if variant not in self._zone_runs:
            pane_runs = [
                (zone, self._pane_run(variant, zone or self._default_zone()))
                for zone in self._separate_zones(variant)
            ]
            self._zone_runs[variant] = [
                ZoneRun(zone, panes) for zone, panes in pane_runs if panes is not None
            ]
        return self._zone_runs[variant]

    def readings(self) -> Iterator[Reading]:
        keys = self._keys()
        for metric, stats in self.validated.metrics:
            if self._serves(metric):
                for stat in stats:
                    yield from self._readings_of(metric, stat, keys)
            elif self.validated.query.metrics and not metric.windows.now:
                for stat in stats:
                    yield from (
                        self._new_reading(metric, stat, key, NO_DATA, self.variant_of(metric)) for key in keys
                    )

    def distributions(self, question: str) -> Iterator[ScoreDistribution]:
        for key in self._keys():
            counted_scores = score_counts(question, self.tables[WindowVariant()].counts(key))
            start, end = map(rfc3339_from_ms, self.edges_ms(WindowVariant(), key))
            answers = sum(score.count for score in counted_scores)
            yield ScoreDistribution(
                question, self.window, self.validated.query.by, key, start, end, answers, counted_scores
            )

    def _serves(self, metric: Metric) -> bool:
        return is_read_over(metric.windows, self.window, self._query_context.spans)

    def variant_of(self, metric: Metric) -> WindowVariant:
        if metric.formula.needs == "time":
            return WindowVariant(agent_time=True)
        by_ms = self._query_context.spans.ms(metric.windows.shift)
        if not by_ms:
            return WindowVariant()
        return WindowVariant(
            WindowShift(by_ms, hours=self._query_context.spans.ms(metric.windows.at_least) >= DAY)
        )

    def _mature_variant(self) -> WindowVariant:
        return WindowVariant(mature_ms=self._query_context.spans.fcr_ms)

    def _separate_zones(self, variant: WindowVariant) -> list[str | None]:
        """Return the zones to read one by one. Hour panes of groups cannot be separated by zone, nor can
        agents' time but by queue."""
        zones = self._query_context.zones.names()
        split = self.window == TODAY and len(zones) > 1 and not self.validated.query.week_before
        split = split and (not variant.agent_time or "queue" in self._by.split(","))
        return [*zones] if split else [None]

    def _default_zone(self) -> str:
        """Return the zone whose clock applies where panes are not separated by zone."""
        queue_zone = (
            self._queue_zone(self.validated.key)
            if self.validated.query.week_before and self.validated.key
            else None
        )
        return queue_zone or self._query_context.zones.default

    def _pane_run(self, variant: WindowVariant, zone: str) -> PaneRange | None:
        validated = self.validated
        find_run = week_before_panes if validated.query.week_before else window_panes
        now = QueryClock(validated.query.now, self._query_context.retention_ms)
        panes = find_run(self.window, validated.at, now, ZoneInfo(zone), variant.shift)
        if panes is None or not variant.mature_ms:
            return panes
        assert panes.family == "long"
        mature_hour = max(panes.first, (validated.at - variant.mature_ms) // HOUR)
        return panes._replace(last=min(panes.last, mature_hour))

    def _keys(self) -> list[str]:
        if self.validated.key is not None:
            return [self.validated.key]
        keys, selection = (
            {key for table in self.tables.values() for key in table.keys},
            self.validated.query.keys,
        )
        if self.live_groups is not None:
            keys |= self.live_groups.keys
        return sorted(keys if selection is None else keys & selection)

    def _readings_of(self, metric: Metric, stat: str, keys: Sequence[str]) -> Iterator[Reading]:
        variant = self.variant_of(metric)
        table = self.tables[variant] if self.zone_runs(variant) else None
        for key in keys:
            figure = NO_DATA if table is None else self._known_figure(metric, stat, key, table, variant)
            yield self._new_reading(metric, stat, key, figure, variant)

    def _known_figure(
        self, metric: Metric, stat: str, key: str, table: WindowTable, variant: WindowVariant
    ) -> MetricFigure:
        """Return the figure; no data for a count of nothing before all is counted."""
        figure = self._figure(metric, stat, key, table, variant)
        if (
            metric.unit == "count"
            and not figure.value
            and not self._query_context.is_counted_until(self._elapsed_end_ms(variant, key))
        ):
            return NO_DATA
        return figure

    def _figure(
        self, metric: Metric, stat: str, key: str, table: WindowTable, variant: WindowVariant
    ) -> MetricFigure:
        counts = table.counts(key)
        if metric.measure.formulas[stat].needs not in ("counts", "time"):
            return evaluate_metric(metric, stat, counts, self._context(variant, key))
        cached_figure = counts.figures.get((metric.name, stat))
        if cached_figure is None:
            cached_figure = counts.figures[metric.name, stat] = evaluate_metric(
                metric, stat, counts, NO_CONTEXT
            )
        return cached_figure

    def _context(self, variant: WindowVariant, key: str) -> ReadingContext:
        mature = self.tables.get(self._mature_variant())
        return ReadingContext(
            window_s=max(0, self._elapsed_end_ms(variant, key) - self.edges_ms(variant, key)[0]) / 1000,
            active_agents=self.tables[variant].agents(key),
            mature=None if mature is None else mature.counts(key),
            live=None if self.live_groups is None else self.live_groups.group(key),
        )

    def _elapsed_end_ms(self, variant: WindowVariant, key: str) -> int:
        """Return the window's end or now, whichever is earlier, in ms."""
        return min(self.edges_ms(variant, key)[1], self.validated.query.now)

    def edges_ms(self, variant: WindowVariant, key: str) -> tuple[int, int]:
        """Return start and end in ms. `today` of several zones starts with the earliest, except for a queue
        that has its own zone."""
        queue_zone = self._queue_zone(key) if self._query_context.zones.by_queue else None
        if (variant, queue_zone) not in self._edges:
            self._edges[variant, queue_zone] = self._edges_of_runs(variant, queue_zone)
        return self._edges[variant, queue_zone]

    def _edges_of_runs(self, variant: WindowVariant, queue_zone: str | None) -> tuple[int, int]:
        runs = self.zone_runs(variant)
        zone_panes = [panes for zone, panes in runs if zone == queue_zone] or [panes for _, panes in runs]
        if zone_panes:
            return min(panes.start_ms for panes in zone_panes), max(panes.end_ms for panes in zone_panes)
        return self._nominal_edges(variant, queue_zone or self._query_context.zones.default)

    def _queue_zone(self, key: str) -> str | None:
        """Return the time zone of the queue in the key; None if the key has no queue."""
        queue = dimension_values(self.validated.query.by, key).get("queue")
        return None if queue is None else self._query_context.zones.zone_of(queue)

    def _nominal_edges(self, variant: WindowVariant, zone: str) -> tuple[int, int]:
        """Return the edges, in ms, of a window that has no panes."""
        at_ms = self.validated.at
        start = (
            local_midnight_ms(at_ms, ZoneInfo(zone))
            if self.window == TODAY
            else at_ms - window_length_ms(self.window)
        )
        by_ms = variant.shift.by_ms if variant.shift else 0
        return start - by_ms, at_ms - by_ms

    def _new_reading(
        self, metric: Metric, stat: str, key: str, figure: MetricFigure, variant: WindowVariant
    ) -> Reading:
        # Positional arguments are faster: there may be a hundred thousand readings.
        return Reading(
            metric.name, stat, metric.unit, metric.better, self.window, self._by, key,
            *figure, *self._edge_texts_of(variant, key), self._data_age_s, self._data_age_s,
        )  # fmt: skip

    def _edge_texts_of(self, variant: WindowVariant, key: str) -> tuple[str, str]:
        """Return start and end in RFC 3339."""
        queue_zone = self._queue_zone(key) if self._query_context.zones.by_queue else None
        if (variant, queue_zone) not in self._edge_texts:
            start, end = self.edges_ms(variant, key)
            self._edge_texts[variant, queue_zone] = rfc3339_from_ms(start), rfc3339_from_ms(end)
        return self._edge_texts[variant, queue_zone]


def data_age_s(caught_up_ms: int, now_ms: int) -> float:
    """Return the age of the data in seconds, given the moment it was complete, and now, in ms.

    >>> data_age_s(1_795_255_200_500, 1_795_255_203_000)
    2.5
    """
    return max(0, now_ms - caught_up_ms) / 1000


@lru_cache(maxsize=1024)
def rfc3339_from_ms(ms: int) -> str:
    """Return a time in ms since the epoch as RFC 3339 in UTC, whole seconds.

    >>> rfc3339_from_ms(1_795_255_203_000)
    '2026-11-21T10:00:03Z'
    """
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
