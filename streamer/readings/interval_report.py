"""Report metrics by intervals of the calendar, each for itself: every hour of a week, every day of a month.

A group's queue decides the time zone, else the center's does. Metrics whose window ends some time before now
(`response_ratio`, `fcr_final_ratio`) are reported for the interval itself, up to that time before now.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from streamer.metrics.catalogue import CATALOGUE, Metric, WindowSpans
from streamer.metrics.formulas import NO_DATA, MetricFigure
from streamer.panes.calendar_intervals import (
    INTERVALS,
    CalendarMoment,
    calendar_panes,
    is_read_by,
    moment_ms,
)
from streamer.panes.pane_keys import WIDTH, Family, Grouping, oldest_pane
from streamer.panes.windows import PaneRange
from streamer.readings.pauses import Pause, no_pause
from streamer.readings.query import (
    MetricQuery,
    QueryError,
    Reading,
    ValidatedQuery,
    dimension_values,
    require_known,
    validate_query,
)
from streamer.readings.query_times import parse_calendar_moment
from streamer.readings.window_query import (
    QueryContext,
    WindowQuery,
    WindowVariant,
    ZoneRun,
    rfc3339_from_ms,
)
from streamer.readings.window_table import EMPTY_TABLE

MAX_INTERVAL_READINGS: Final = 100_000
"""Most readings of one report: 90 days of hours of 46 queues."""

TargetOf = Callable[[str, str | None], float | None]
"""The target of a metric, for a queue or (None) for all."""


class IntervalQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query for readings over each interval that lies in [start, end), wholly or partly. `metrics` says of
    which metrics, stats and groups; its windows do not matter."""

    metrics: MetricQuery
    interval: str
    start: CalendarMoment
    end: CalendarMoment


class IntervalReading(Reading, frozen=True, gc=False, rename={"from_": "from"}):
    """A reading over one interval, whose name is its `window`. `target`: None where there is none.
    `complete`: false while the interval is under way, where its beginning is no longer kept, and while a
    metric that looks some time back does not know all of it; `from` and `to` say which part is read."""

    target: float | None
    complete: bool


class IntervalReport:
    """The intervals of a query. Load the tables of each of `windows` and let it compute, then call
    `readings`. `target`: settings' targets. Raises QueryError."""

    def __init__(
        self, query: IntervalQuery, pairs: tuple[Grouping, ...], context: QueryContext, target: TargetOf
    ) -> None:
        self._query, self._context = query, context
        self._validated = validate_interval_query(query, pairs, context.spans)
        self.family: Family = INTERVALS[query.interval].family
        self._target = target
        self._windows_by_zone = {zone: [*self._zone_windows(zone)] for zone in self._zones()}

    @property
    def windows(self) -> "Iterator[IntervalWindow]":
        for windows in self._windows_by_zone.values():
            yield from windows

    @property
    def group(self) -> tuple[str, str] | None:
        """The grouping and key of a report of one group; None: of several."""
        key = self._validated.key
        return None if key is None else (self._validated.query.by, key)

    def require_room(self, known_keys: Iterable[str]) -> None:
        """Raise QueryError if these groups would have too many readings."""
        selection = self._validated.query.keys
        keys = {*known_keys} if selection is None else selection.intersection(known_keys)
        group_count = len(keys) if self.group is None else 1
        stat_count = sum(len(stats) for _, stats in self._validated.metrics)
        longest = max(map(len, self._windows_by_zone.values()))
        if group_count * stat_count * longest > MAX_INTERVAL_READINGS:
            raise QueryError(
                f"interval = {self._query.interval!r}: expected at most {MAX_INTERVAL_READINGS} readings, "
                f"not {group_count} groups × {stat_count} figures × {longest} intervals: ask for "
                "a shorter time, longer intervals, fewer metrics, or one key"
            )

    def readings(self, pause: Pause) -> Iterator[IntervalReading]:
        """Yield the readings by metric, stat, key and time, of groups that have counts in any interval."""
        zone_of_key = {
            key: zone for zone, windows in self._windows_by_zone.items() for key in self._keys(zone, windows)
        }
        for metric, stats in self._validated.metrics:
            for stat in stats:
                cells_by_zone = {
                    zone: [window.cells(metric, stat) for window in windows]
                    for zone, windows in self._windows_by_zone.items()
                }
                for key in sorted(zone_of_key):
                    yield from self._series(metric, stat, key, cells_by_zone[zone_of_key[key]], pause)

    def _series(
        self, metric: Metric, stat: str, key: str, cells: "Iterable[IntervalCells]", pause: Pause
    ) -> Iterator[IntervalReading]:
        name, unit, better, interval, by = (
            metric.name,
            metric.unit,
            metric.better,
            self._query.interval,
            self._by,
        )
        target = self._target(name, dimension_values(by, key).get("queue"))
        for figures, nothing, start, end, age_s, complete in cells:
            pause()
            # Positional arguments are faster: there may be a hundred thousand readings.
            yield IntervalReading(
                name, stat, unit, better, interval, by, key, *figures.get(key, nothing), start, end,
                age_s, age_s, target, complete,
            )  # fmt: skip

    @property
    def _by(self) -> str:
        return self._validated.query.by

    def _zones(self) -> list[str]:
        zones, key = self._context.zones, self._validated.key
        if "queue" not in self._by.split(","):
            return [zones.default]
        return zones.names() if key is None else [self._zone_of(key)]

    def _zone_of(self, key: str) -> str:
        zones, queue = self._context.zones, dimension_values(self._by, key).get("queue")
        return zones.default if queue is None else zones.zone_of(queue)

    def _zone_windows(self, zone: str) -> "Iterator[IntervalWindow]":
        now_ms, zone_info = self._validated.query.now, ZoneInfo(zone)
        oldest = oldest_pane(self.family, now_ms, self._context.retention_ms)
        start_ms, end_ms = (moment_ms(moment, zone_info) for moment in (self._query.start, self._query.end))
        self._require_kept(start_ms, end_ms, oldest * WIDTH[self.family])
        start_ms, end_ms = max(start_ms, oldest * WIDTH[self.family]), min(end_ms, now_ms)
        for panes in calendar_panes(self._query.interval, start_ms, end_ms, zone_info):
            yield IntervalWindow(self._validated, self._query.interval, panes, oldest, self._context)

    def _require_kept(self, start_ms: int, end_ms: int, oldest_ms: int) -> None:
        """Require a time of which anything is kept; all of it, where longer intervals are kept longer."""
        interval, now_ms = self._query.interval, self._validated.query.now
        if not start_ms < end_ms or start_ms >= now_ms:
            raise QueryError("from, to: expected from < to, and from before now")
        if end_ms <= oldest_ms or (self.family == "fine" and start_ms < oldest_ms):
            longer = "; 1h and longer ones are kept for longer" if self.family == "fine" else ""
            raise QueryError(
                f"from: expected a time since {rfc3339_from_ms(oldest_ms)}: intervals of {interval} are not "
                f"kept from before{longer}"
            )

    def _keys(self, zone: str, windows: "list[IntervalWindow]") -> Iterator[str]:
        if self._validated.key is not None:
            yield self._validated.key
            return
        keys, selection = {key for window in windows for key in window.keys}, self._validated.query.keys
        for key in keys if selection is None else keys & selection:
            if self._zone_of(key) == zone:
                yield key


def parse_interval_query(
    metrics: MetricQuery, interval: str, from_text: str | None, to_text: str | None
) -> IntervalQuery:
    """Parse the times of an interval query; without `to_text` it ends now. Raises QueryError."""
    if not from_text:
        raise QueryError("from: required, such as 2026-11-21")
    end = parse_calendar_moment("to", to_text) if to_text else metrics.now
    return IntervalQuery(
        metrics=metrics, interval=interval, start=parse_calendar_moment("from", from_text), end=end
    )


def validate_interval_query(
    query: IntervalQuery, pairs: tuple[Grouping, ...], spans: WindowSpans
) -> ValidatedQuery:
    """Validate an interval query and resolve its defaults, but for its times. Raises QueryError."""
    require_known("interval", query.interval, tuple(INTERVALS))
    for name in query.metrics.metrics:
        if name in CATALOGUE:
            _require_interval(CATALOGUE[name], query.interval, spans)
    validated = validate_query(
        msgspec.structs.replace(query.metrics, windows=("1h",), at=None, week_before=False), pairs
    )
    read_metrics = tuple(
        (metric, read_stats)
        for metric, stats in validated.metrics
        if is_read_by(metric.windows, query.interval, spans)
        and (read_stats := tuple(stat for stat in stats if metric.measure.formulas[stat].needs != "live"))
    )
    if not read_metrics:
        raise QueryError(f"stat = {query.metrics.stat!r}: what is going on now belongs to no interval")
    return msgspec.structs.replace(validated, metrics=read_metrics)


def _require_interval(metric: Metric, interval: str, spans: WindowSpans) -> None:
    if metric.windows.now:
        raise QueryError(f"metric = {metric.name!r}: what is going on now belongs to no interval")
    names = [name for name in INTERVALS if is_read_by(metric.windows, name, spans)]
    if interval not in names:
        expected = ", ".join(names) or "none"
        raise QueryError(f"interval = {interval!r}: {metric.name} is read by {expected}")


class IntervalCells(NamedTuple):
    """Figures of one metric in one interval by key, that of a group without counts, and what all share."""

    figures: Mapping[str, MetricFigure]
    nothing: MetricFigure
    start: str
    end: str
    data_age_s: float | None
    complete: bool


class IntervalWindow(WindowQuery):
    """One interval: a window whose panes are given. `oldest`: the first pane that is kept."""

    needs_live = False

    def __init__(
        self, validated: ValidatedQuery, interval: str, panes: PaneRange, oldest: int, context: QueryContext
    ) -> None:
        super().__init__(validated, interval, context)
        now_ms = validated.query.now
        self._complete = panes.first >= oldest and panes.end_ms <= now_ms
        last = min(panes.last, -(-now_ms // WIDTH[panes.family]))
        self._panes = panes._replace(first=max(panes.first, oldest), last=last)
        self._figures: dict[tuple[str, str], dict[str, MetricFigure]] = {}
        self.keys: frozenset[str] = frozenset()
        """Groups that have counts in it."""

    def compute(self, pause: Pause) -> None:
        """Compute the figures of all groups that have counts, and let the tables go."""
        keys = self._keys()
        for metric, stats in self.validated.metrics:
            for stat in stats:
                self._figures[metric.name, stat] = self._figures_of(metric, stat, keys, pause)
        self.keys, self.tables = frozenset(keys), dict.fromkeys(self.tables, EMPTY_TABLE)

    def _figures_of(
        self, metric: Metric, stat: str, keys: Iterable[str], pause: Pause
    ) -> dict[str, MetricFigure]:
        variant, figures = self.variant_of(metric), {}
        table = self.tables[variant] if self.zone_runs(variant) else None
        for key in keys:
            pause()
            figures[key] = NO_DATA if table is None else self._known_figure(metric, stat, key, table, variant)
        return figures

    def cells(self, metric: Metric, stat: str) -> "IntervalCells":
        """Return what a row of a table shows of the interval, for all groups."""
        (nothing,) = self._figures_of(metric, stat, ("",), no_pause).values()
        runs = self.zone_runs(self.variant_of(metric))
        complete = self._complete and [run.panes for run in runs] == [self._panes]
        start, end = map(rfc3339_from_ms, self.edges_ms(self.variant_of(metric), ""))
        return IntervalCells(
            self._figures[metric.name, stat], nothing, start, end, self._data_age_s, complete
        )

    def _serves(self, metric: Metric) -> bool:
        return True

    def variant_of(self, metric: Metric) -> WindowVariant:
        """Return the part to read: of a metric that lies some time back, only what is that old now."""
        if metric.formula.needs == "time":
            return WindowVariant(agent_time=True)
        return WindowVariant(mature_ms=self._query_context.spans.ms(metric.windows.shift))

    def zone_runs(self, variant: WindowVariant) -> list[ZoneRun]:
        panes = self._panes
        if variant.mature_ms:
            mature_ms = self.validated.query.now - variant.mature_ms
            panes = panes._replace(last=min(panes.last, mature_ms // WIDTH[panes.family]))
        return [ZoneRun(None, panes)] if panes.first < panes.last else []

    def edges_ms(self, variant: WindowVariant, key: str) -> tuple[int, int]:
        panes = run[0].panes if (run := self.zone_runs(variant)) else self._panes
        return panes.start_ms, panes.end_ms
