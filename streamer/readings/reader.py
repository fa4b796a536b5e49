"""Follow the store's panes and compute readings of now, or of the past.

Changes are published only after all of one moment is read, so a reading never sees half a commit.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from threading import Lock
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.events.counting_rules import HOUR, encode_rules, require_same_rules
from streamer.journeys.journey import Key
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.formulas import WindowCounts
from streamer.panes.live_index import LiveContact
from streamer.panes.pane_delta import split_keys
from streamer.panes.pane_keys import ALL, WIDTH, Family, Grouping, oldest_pane
from streamer.panes.windows import NOW
from streamer.readings.drill_down import (
    CandidatePane,
    ContactDetails,
    DrillDown,
    JourneySource,
    Order,
    RunInThread,
    drill_down,
)
from streamer.readings.interval_report import IntervalQuery, IntervalReading, IntervalReport
from streamer.readings.live_query import LiveQuery
from streamer.readings.live_state import (
    LiveContext,
    LiveLimits,
    LiveState,
    ServiceHistory,
    StatedKeys,
    is_waiting,
)
from streamer.readings.metric_spans import window_spans
from streamer.readings.pane_families import AGENT_WIDTH, PaneView, QueueZones, ReaderState, WindowSums
from streamer.readings.pane_sums import Integers, Projection, SparseCounts, merge_sums, sum_counts
from streamer.readings.pauses import Pause, no_pause
from streamer.readings.query import MetricQuery, QueryError, Reading, ValidatedQuery, validate_query
from streamer.readings.query_gaps import key_gap, window_gaps
from streamer.readings.score_distribution import METRIC_OF_QUESTION, ScoreDistribution
from streamer.readings.window_query import QueryContext, WindowQuery, WindowVariant, ZoneRun, data_age_s
from streamer.readings.window_table import EMPTY_TABLE, NO_ROW_COUNTS, WindowTable, renumber_rows
from streamer.runtime.choices import expected_choice
from streamer.settings import Settings
from streamer.store.port import ChangeCursor, Heartbeat, PaneChange, Partition, StateStore

MAX_POINTS: Final = 1_000
"""How many points a history may have."""
MAX_UNUSED_NAMES: Final = 50_000
"""Everything is read anew when so many cells and group rows of dropped panes are still in memory."""
MEMBERSHIP_H: Final = 7 * 24
"""An agent belongs to each team for which they answered a segment within so many hours."""


class RollingSlot(NamedTuple):
    """The key of a rolling sum: a window, a view (with the zone of its queues) and a pane family."""

    name: str
    view: PaneView
    family: Family


class KeptPanes(NamedTuple):
    """Panes by index, the projection of their keys to row * NUMBERS + number, and the rows' names."""

    panes: Mapping[int, SparseCounts]
    projection: Projection
    names: Sequence[str]


class _CachedTable(NamedTuple):
    """A table, the sums it was computed from, and their versions."""

    parts: list[SparseCounts]
    versions: Mapping[RollingSlot, int]
    table: WindowTable


class MetricsReader:
    """Follows a store. Call `refresh` from an event loop; `readings` and `history` from any thread."""

    def __init__(self, store: StateStore, settings: Settings) -> None:
        self._rules = settings.counting_rules()
        self._encoded_rules = encode_rules(self._rules)
        self.pairs: tuple[Grouping, ...] = self._rules.dimension_pairs
        self._store = store
        self._display_names = settings.names
        self._zones = QueueZones(settings.timezone, settings.zones())
        self._limits = LiveLimits(*settings.live_limits_ms())
        self.spans = window_spans(settings)
        self._target = settings.target
        self._state = self._empty_state()
        self._cursor: ChangeCursor | None = None
        self._is_full_read_due, self._checked_hour, self._unavoidable_names = False, 0, 0
        self._lock = Lock()
        self.version = 0
        """Increases whenever counts changed."""
        self._tables: dict[tuple[str, PaneView, bool], _CachedTable] = {}
        self.heartbeats: Mapping[Partition, Heartbeat] = {}

    # Following the store.

    async def refresh(self, now_ms: int) -> bool:
        """Read what changed; return whether any counts did.

        Errors of the store are raised, and the last published state stays. Raises CountingRulesMismatch if
        the counts in the store follow other counting rules than the settings: a rebuild may have put those in
        force.
        Changes are published only after all of one moment is read."""
        cursor, pending = None if self._is_full_read_due else self._cursor, list[PaneChange]()
        new_state = self._empty_state() if cursor is None else None
        while True:
            changes = await self._store.changes(cursor)
            if changes.rules is not None:
                require_same_rules(changes.rules, self._encoded_rules)
            cursor = changes.cursor
            if changes.reset:
                new_state, pending = self._empty_state(), []
            if new_state is None:
                pending.extend(changes.panes)
            elif changes.panes:
                await asyncio.to_thread(self._apply_changes, new_state, changes.panes, now_ms)
            if not changes.more:
                break
        has_changed = bool(pending) or new_state is not None
        if has_changed:
            await asyncio.to_thread(self._publish, new_state, pending, now_ms)
        self._cursor = cursor
        self.heartbeats = {p: beat.known_at(now_ms) for p, beat in changes.heartbeats.items()}
        await self._check_unused_names(new_state is not None, now_ms)
        return has_changed

    async def _check_unused_names(self, is_new: bool, now_ms: int) -> None:
        """Count once an hour the names that no pane has any more. If there are many, the next refresh reads
        everything anew, without them; until that is done, this state is served."""
        if is_new or now_ms // HOUR != self._checked_hour:
            self._checked_hour = now_ms // HOUR
            unused_count = await asyncio.to_thread(self._state.unused_names)
            self._unavoidable_names = unused_count if is_new else self._unavoidable_names
            self._is_full_read_due = unused_count - self._unavoidable_names > MAX_UNUSED_NAMES

    def _empty_state(self) -> ReaderState:
        return ReaderState(self._rules, self._zones, self._limits)

    @property
    def counters(self) -> Mapping[str, int]:
        """The plain counters by name, as they are in the store."""
        return self._state.counters.counts

    def _publish(self, new_state: ReaderState | None, changes: Sequence[PaneChange], now_ms: int) -> None:
        with self._lock:
            if new_state is not None:
                self._state, self._tables = new_state, {}
            self._apply_changes(self._state, changes, now_ms)
            self.version += 1

    def _apply_changes(self, state: ReaderState, changes: Sequence[PaneChange], now_ms: int) -> None:
        for family in WIDTH:
            state.drop_before(family, oldest_pane(family, now_ms, self._rules.retention_ms))
        for change in changes:
            state.put(change.pane_hour, change.deltas, change.is_whole)

    @property
    def ready(self) -> bool:
        """True once the store was read completely."""
        return self._cursor is not None

    def data_age_s(self, now_ms: int) -> float | None:
        """Return the seconds since all partitions were last seen caught up; None if they never were."""
        caught_up_ms = self._caught_up_ms()
        return None if caught_up_ms is None else data_age_s(caught_up_ms, now_ms)

    def _caught_up_ms(self) -> int | None:
        return min((heartbeat.caught_up_at for heartbeat in self.heartbeats.values()), default=0) or None

    def live_state(self) -> LiveState:
        """Return what is live as of the last read."""
        with self._lock:
            return self._state.live.copy()

    # Answering.

    def readings(self, query: MetricQuery) -> list[Reading]:
        """Return the readings of a query, by window, metric, stat and key. Raises QueryError."""
        return [*self.iter_readings(query)]

    def group_keys(self, by: str) -> list[str]:
        """Return the keys of all groups of a grouping that have any counts, in order."""
        with self._lock:
            string_tables = [columns.rows.get(by) for columns in self._state.families.values()]
            return sorted({key for table in string_tables if table is not None for key in table.names})

    def gaps(self, query: MetricQuery, is_visible: Callable[[str], bool] = bool) -> list[str]:
        """Return sentences about what a valid query asks for and no reading answers. Only visible keys are
        suggested in place of an unknown one."""
        gaps = [*window_gaps(query, self.spans)]
        if not query.key or query.key in (known_keys := self._known_keys(query)):
            return gaps
        return [*gaps, key_gap(query, [*filter(is_visible, known_keys)])]

    def _known_keys(self, query: MetricQuery) -> set[str]:
        """Return the keys of all groups that have counts or a display name; if the query's is none of them,
        also those that are live."""
        keys = {*self.group_keys(query.by), *self._display_names.get(query.by, ())}
        if query.key in keys:
            return keys
        with self._lock:
            return keys.union(self._state.live.groups(query.by, LiveContext(query.now)).keys)

    def iter_readings(self, query: MetricQuery) -> Iterator[Reading]:
        """Yield the same readings, computed one by one from the counts of this moment. Raises QueryError."""
        validated, context, live = validate_query(query, self.pairs), self._query_context(), query.ends_now
        with self._lock:
            sums = self._state.live_sums if live else WindowSums(self._state.families)
            window_queries = [
                self._live_query(validated, context)
                if window == NOW
                else self._load_tables(WindowQuery(validated, window, context), sums, live)
                for window in query.windows
            ]
        return chain.from_iterable(window_query.readings() for window_query in window_queries)

    def _live_query(self, validated: ValidatedQuery, context: QueryContext) -> LiveQuery:
        by, fine_rows = validated.query.by, self._state.fine.rows[validated.query.by]
        needs_service = any(metric.name == "expected_wait_seconds" for metric, _ in validated.metrics)
        service = self._service_history(validated, context) if needs_service else None
        groups = self._state.live.groups(by, LiveContext(validated.query.now, service))
        return LiveQuery(validated, groups, [*fine_rows.names], context)

    def waiting_contacts(self, now_ms: int) -> Iterator[LiveContact]:
        """Yield the inbound contacts that wait now, as `waiting` counts them."""
        for contact in self.live_state().under_way(now_ms):
            if contact.direction != "outbound" and is_waiting(contact):
                yield contact

    def stated_keys(self, by: str, now_ms: int) -> StatedKeys:
        """Return the keys of the groups that states were sent of within the retention."""
        return self._state.live.stated_keys(by, now_ms)

    def _service_history(self, validated: ValidatedQuery, context: QueryContext) -> ServiceHistory:
        answered = msgspec.structs.replace(validated, metrics=((CATALOGUE["answered"], ("",)),))
        window_query = self._load_tables(
            WindowQuery(answered, "30m", context), self._state.live_sums, live=True
        )
        table, agent_time = window_query.tables[WindowVariant()], self._state.agent_time
        return ServiceHistory(
            lambda key: table.counts(key)["answered"], partial(agent_time.served, validated.query.by)
        )

    def samples(self, query: MetricQuery) -> list[tuple[Reading, WindowCounts]]:
        """Return the readings of one metric over one window, each with its counts. Raises QueryError."""
        if query.windows[0] == NOW:
            return [(reading, NO_ROW_COUNTS) for reading in self.iter_readings(query)]
        validated, live = validate_query(query, self.pairs), query.ends_now
        window_query = WindowQuery(validated, query.windows[0], self._query_context())
        with self._lock:
            self._load_tables(
                window_query, self._state.live_sums if live else WindowSums(self._state.families), live
            )
        ((metric, _),) = validated.metrics
        table = window_query.tables.get(window_query.variant_of(metric), EMPTY_TABLE)
        return [(reading, table.counts(reading.key)) for reading in window_query.readings()]

    def history(self, query: MetricQuery, first_ms: int, last_ms: int, step_ms: int) -> list[Reading]:
        """Return one metric's readings of one group at first_ms, first_ms + step_ms, …, up to last_ms. Raises
        QueryError, also for more than MAX_POINTS points."""
        if step_ms <= 0 or last_ms < first_ms:
            raise QueryError("from, to, step: expected from <= to, and a step above 0")
        if (last_ms - first_ms) // step_ms >= MAX_POINTS:
            raise QueryError(f"step = {step_ms // 1000} s: expected at most {MAX_POINTS} points")
        _check_single("history", query)
        (points,) = self.histories(query, range(first_ms, last_ms + 1, step_ms))
        return points

    def histories(self, query: MetricQuery, moments_ms: range) -> list[list[Reading]]:
        """Return, for each metric of the query, its readings at all `moments_ms`. The query names one window
        and one group."""
        _require_past("history", query)
        validated_queries = [
            validate_query(msgspec.structs.replace(query, at=at), self.pairs) for at in moments_ms
        ]
        window_queries = [
            WindowQuery(validated, query.windows[0], self._query_context()) for validated in validated_queries
        ]
        with self._lock:
            sums = WindowSums(self._state.families, (query.by, query.key or ""))
            window_queries = [
                self._load_tables(window_query, sums, live=False) for window_query in window_queries
            ]
        return [
            list(points)
            for points in zip(*(window_query.readings() for window_query in window_queries), strict=True)
        ]

    def intervals(self, query: IntervalQuery, pause: Pause = no_pause) -> Iterator[IntervalReading]:
        """Yield the readings of an interval report, by metric, stat, key and time. Each interval is read by
        itself, so that whoever follows the store waits for one at most. Raises QueryError."""
        report = IntervalReport(query, self.pairs, self._query_context(), self._target)
        with self._lock:
            report.require_room(self._state.families[report.family].rows[query.metrics.by].names)
        for window in report.windows:
            with self._lock:
                sums = WindowSums(self._state.families, report.group)
                self._load_tables(window, sums, live=False)
            window.compute(pause)
        return report.readings(pause)

    async def contacts(
        self,
        query: MetricQuery,
        order: Order,
        limit: int,
        teams: Collection[str] | None = None,
        run: RunInThread = asyncio.to_thread,
    ) -> list[ContactDetails]:
        """Return at most `limit` contacts behind one metric's reading of one group, as far back as 10 s panes
        are kept (50 h), only of these teams (None: all). `run` runs what takes long in a thread. Raises
        QueryError and errors of the store."""
        drill_down_target = self._drill_down(query, teams)
        candidate_panes = await run(partial(self._candidate_panes, drill_down_target, order))
        source = JourneySource(self._store, self._rules, self._zones, self._journeys_of)
        return await drill_down(drill_down_target, candidate_panes, order, limit, source, run)

    def _journeys_of(self, pane: int) -> list[Key]:
        """Return the journeys counted in a 10 s pane, the last to arrive first."""
        with self._lock:
            keys = split_keys(self._state.fine.journeys.get(pane, b""))
        return list(dict.fromkeys(reversed(keys)))

    def _drill_down(self, query: MetricQuery, teams: Collection[str] | None) -> DrillDown:
        _check_single("contacts", query)
        validated = validate_query(query, self.pairs)
        for metric, _ in validated.metrics:
            if metric.formula.needs == "time":
                raise QueryError(f"contacts: {metric.name} is agents' time, which no contacts lie behind")
        return DrillDown.from_query(WindowQuery(validated, query.windows[0], self._query_context()), teams)

    def _candidate_panes(self, target: DrillDown, order: Order) -> list[CandidatePane]:
        with self._lock:
            return target.candidate_panes(self._state.fine, order)

    def distributions(self, query: MetricQuery, question: str) -> list[ScoreDistribution]:
        """Return the answers to a question by score, for each group of the query; `query.metrics` is ignored.
        Raises QueryError."""
        _require_past("distribution", query)
        if question not in METRIC_OF_QUESTION:
            raise QueryError(f"question = {question!r}: {expected_choice(question, METRIC_OF_QUESTION)}")
        validated = validate_query(
            msgspec.structs.replace(query, metrics=(METRIC_OF_QUESTION[question],)), self.pairs
        )
        window_query = WindowQuery(validated, query.windows[0], self._query_context())
        with self._lock:
            self._load_tables(window_query, WindowSums(self._state.families), live=False)
        return [*window_query.distributions(question)]

    def agents_of(self, teams: Collection[str], now_ms: int) -> frozenset[str]:
        """Return the agents who belong to one of these teams."""
        end_hour, view = now_ms // HOUR + 2, PaneView("team", "agents")
        with self._lock:
            links = self._state.live_sums.total(
                "belonging", view, "long", end_hour - MEMBERSHIP_H, end_hour
            ).keys
            rows = self._state.families["long"].rows
        team_rows = [number for number in map(rows["team"].get, teams) if number is not None]
        agent_rows = links[np.isin(links // AGENT_WIDTH, team_rows)] % AGENT_WIDTH
        return frozenset(rows["agent"].names[number] for number in np.unique(agent_rows).tolist())

    def kept_panes(self, by: str, family: Family, first_pane: int, end_pane: int) -> KeptPanes:
        """Return the non-empty panes of [first_pane, end_pane), for callers that sum them themselves."""
        with self._lock:
            columns = self._state.families[family]
            pyramid = columns.pyramid(PaneView(by))
            panes = {
                index: pyramid.panes.counts_of(index)
                for index in pyramid.panes.filled_panes(first_pane, end_pane)
            }
            return KeptPanes(panes, pyramid.projection, columns.rows[by].names)

    def panes_by_grouping(self, first_pane: int, end_pane: int) -> dict[str, KeptPanes]:
        """Return the 10 s panes [first_pane, end_pane) by grouping: the same counts, other projections."""
        with self._lock:
            fine = self._state.fine
            panes = {
                index: fine.panes.counts_of(index) for index in fine.panes.filled_panes(first_pane, end_pane)
            }
            rows = fine.rows.items()
            return {
                by: KeptPanes(panes, fine.pyramid(PaneView(by)).projection, string_table.names)
                for by, string_table in rows
            }

    def summed_panes(
        self, by: str, family: Family, first_pane: int, end_pane: int, zone: str | None = None
    ) -> tuple[SparseCounts, Sequence[str]]:
        """Return the sum of the panes [first_pane, end_pane), with keys row * NUMBERS + number, and the names
        of the rows. `zone`: only queues of this time zone (10 s panes only)."""
        with self._lock:
            columns = self._state.families[family]
            return columns.pyramid(PaneView(by, zone=zone)).total(first_pane, end_pane), columns.rows[
                by
            ].names

    def _query_context(self) -> QueryContext:
        return QueryContext(self._zones, self.spans, self._caught_up_ms(), self._rules.retention_ms)

    def _load_tables(self, window_query: WindowQuery, sums: WindowSums, live: bool) -> WindowQuery:
        for variant, agents in window_query.required_variants().items():
            window_query.tables[variant] = (
                self._time_table(window_query, variant, sums)
                if variant.agent_time
                else self._window_table(window_query, variant, agents, sums, live)
            )
        if window_query.needs_live:
            query = window_query.validated.query
            window_query.live_groups = self._state.live.groups(query.by, LiveContext(query.now))
        return window_query

    def _time_table(self, window_query: WindowQuery, variant: WindowVariant, sums: WindowSums) -> WindowTable:
        """Return agents' time: of closed intervals, and of those that are open."""
        runs = window_query.zone_runs(variant)
        if not runs:
            return EMPTY_TABLE
        query, agent_time = window_query.validated.query, self._state.agent_time
        open_intervals = agent_time.open_intervals(self._state.live.agents.values(), query.now)
        parts = []
        for zone, panes in runs:
            start_ms, end_ms = panes.start_ms, panes.end_ms
            present = agent_time.group(query.by, open_intervals, start_ms, end_ms)
            parts.append(agent_time.within_zone(query.by, present, zone))
            if panes.family == "fine":
                parts.append(agent_time.total(query.by, start_ms, end_ms, zone))
        rows, total = agent_time.rows[query.by], sum_counts(parts)
        if runs[0].panes.family == "fine":
            return WindowTable(total, rows)
        view, long_rows = PaneView(query.by), self._state.families["long"].rows[query.by]
        hours = [*_totals(f"{window_query.window} {WindowVariant()}", view, runs, sums)]
        return WindowTable(merge_sums([*hours, renumber_rows(total, rows, long_rows)]), long_rows)

    def _window_table(
        self, window_query: WindowQuery, variant: WindowVariant, agents: bool, sums: WindowSums, live: bool
    ) -> WindowTable:
        runs = window_query.zone_runs(variant)
        if not runs:
            return EMPTY_TABLE
        view = PaneView(window_query.validated.query.by)
        slot_name = f"{window_query.window} {variant}"
        totals = [*_totals(slot_name, view, runs, sums)]
        agent_links = [*_totals(slot_name, view._replace(quantity="agents"), runs, sums)] if agents else []
        table_key, parts = (slot_name, view, agents), [*totals, *agent_links]
        cached = self._tables.get(table_key) if live else None
        if cached is not None and _are_same_objects(cached.parts, parts):
            return cached.table
        rows = self._state.families[runs[0].panes.family].rows[view.by]
        table = WindowTable(merge_sums(totals), rows, merge_sums(agent_links))
        if live:
            if cached is not None and (changed_rows := _changed_rows(sums, cached.versions)) is not None:
                table.reuse_rows(cached.table, changed_rows)
            slots = [RollingSlot(slot_name, view._replace(zone=zone), panes.family) for zone, panes in runs]
            self._tables[table_key] = _CachedTable(
                parts, {slot: sums.version(*slot) for slot in slots}, table
            )
        return table


def _require_past(purpose: str, query: MetricQuery) -> None:
    """Require windows of time. Raises QueryError."""
    if NOW in query.windows:
        raise QueryError(
            f"{purpose}: expected a window such as 1h: {NOW} has no past, nor contacts behind it"
        )


def _check_single(purpose: str, query: MetricQuery) -> None:
    """Require that the query asks for one figure of one group. Raises QueryError."""
    _require_past(purpose, query)
    if len(query.metrics) != 1 or len(query.windows) != 1 or query.stat == "*":
        raise QueryError(f"{purpose}: expected one metric, one window and one stat")
    if query.by != ALL and not query.key:
        raise QueryError(f"key: expected one key of {query.by}")


def _are_same_objects(parts: list[SparseCounts], others: list[SparseCounts]) -> bool:
    """Compare by identity: sums never change, so the same objects hold the same counts."""
    return [*map(id, parts)] == [*map(id, others)]


def _changed_rows(sums: WindowSums, versions: Mapping[RollingSlot, int]) -> Integers | None:
    """Return the rows whose counts changed since these versions; None: unknown."""
    rows_by_slot = [sums.changed_rows(*slot, version) for slot, version in versions.items()]
    known_rows = [rows for rows in rows_by_slot if rows is not None]
    return np.concatenate(known_rows) if known_rows and len(known_rows) == len(rows_by_slot) else None


def _totals(
    slot_name: str, view: PaneView, runs: Sequence[ZoneRun], sums: WindowSums
) -> Iterator[SparseCounts]:
    for zone, (family, first, last) in runs:
        yield sums.total(slot_name, view._replace(zone=zone), family, first, last)
