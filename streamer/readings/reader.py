"""Follow the store's panes and compute readings of now, or of the past.

Changes are published only after all of one moment is read, so a reading never sees half a commit.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.events.rules import HOUR, MINUTE, agree, written
from streamer.journeys.journey import Key
from streamer.metrics.catalogue import Spans
from streamer.metrics.formulas import Counts
from streamer.panes.pane_delta import split_keys
from streamer.panes.pane_keys import ALL, WIDTH, Family, Grouping, oldest
from streamer.readings.answers import METRIC_OF, Distribution
from streamer.readings.columns import WIDE, Numbers, Sums, View, Zones
from streamer.readings.contacts import Archive, Contact, Number, Order, Place, behind
from streamer.readings.look import Look, Part, Surroundings, ZoneRun, fresh_s
from streamer.readings.pyramid import Entries, Integers, Lens, merged
from streamer.readings.query import Query, QueryError, Reading, checked
from streamer.readings.table import EMPTY, Table
from streamer.settings import Settings
from streamer.store.port import ChangeCursor, Heartbeat, PaneChange, Partition, Store

LIVE_MS: Final = MINUTE
"""A query for a moment this close to now uses the rolling sums that the next one uses."""
POINTS: Final = 1_000
"""How many points a history may have."""
BELONGS_H: Final = 7 * 24
"""An agent belongs to each team for which they answered a segment within so many hours."""


def spans(settings: Settings) -> Spans:
    """Return the spans that the windows of metrics may refer to, in ms."""
    rules = settings.rules()
    return Spans(
        fcr_ms=rules.fcr_ms,
        horizon_ms=rules.horizon_ms,
        response_age_ms=round(settings.response_age.total_seconds() * 1000),
    )


class Slot(NamedTuple):
    """The key of a rolling sum: a window, a view (with the zone of its queues) and a pane family."""

    name: str
    view: View
    family: Family


class Kept(NamedTuple):
    """Panes by index, the projection of their keys to row * NUMBERS + number, and the rows' names."""

    panes: Mapping[int, Entries]
    lens: Lens
    names: Sequence[str]


class _Known(NamedTuple):
    """A table, the sums it was computed from, and their versions."""

    parts: list[Entries]
    editions: Mapping[Slot, int]
    table: Table


class Reader:
    """Follows a store. Call `refresh` from an event loop; `readings` and `history` from any thread."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._rules = settings.rules()
        self._written = written(self._rules)
        self.pairs: tuple[Grouping, ...] = self._rules.pairs
        self._store = store
        self._zones = Zones(settings.timezone, settings.zones())
        self.spans = spans(settings)
        self._numbers = self._empty()
        self._cursor: ChangeCursor | None = None
        self._lock = Lock()
        self.edition = 0
        """Increases whenever counts changed."""
        self._tables: dict[tuple[str, View, bool], _Known] = {}
        self.beats: Mapping[Partition, Heartbeat] = {}

    # Following the store.

    async def refresh(self, now_ms: int) -> bool:
        """Read what changed; return whether any counts did.

        Errors of the store are raised, and the last published state stays. Raises OtherRules if the counts
        in the store follow other counting rules than the settings: a rebuild may have put those in force.
        Changes are published only after all of one moment is read."""
        cursor, waiting = self._cursor, list[PaneChange]()
        fresh = self._empty() if cursor is None else None
        while True:
            changes = await self._store.changes(cursor)
            if changes.rules is not None:
                agree(changes.rules, self._written)
            cursor = changes.cursor
            if changes.reset:
                fresh, waiting = self._empty(), []
            if fresh is None:
                waiting.extend(changes.panes)
            elif changes.panes:
                await asyncio.to_thread(self._put, fresh, changes.panes, now_ms)
            if not changes.more:
                break
        has_changed = bool(waiting) or fresh is not None
        if has_changed:
            await asyncio.to_thread(self._publish, fresh, waiting, now_ms)
        self._cursor, self.beats = cursor, changes.heartbeats
        return has_changed

    def _empty(self) -> Numbers:
        return Numbers(self.pairs, self._zones)

    @property
    def counts(self) -> Mapping[str, int]:
        """The plain counters by name, as they are in the store."""
        return self._numbers.counters

    def _publish(self, fresh: Numbers | None, changes: Sequence[PaneChange], now_ms: int) -> None:
        with self._lock:
            if fresh is not None:
                self._numbers, self._tables = fresh, {}
            self._put(self._numbers, changes, now_ms)
            self.edition += 1

    def _put(self, numbers: Numbers, changes: Sequence[PaneChange], now_ms: int) -> None:
        for family in WIDTH:
            numbers.drop_before(family, oldest(family, now_ms, self._rules.retention_ms))
        for change in changes:
            numbers.put(change.place, change.deltas, change.whole)

    @property
    def ready(self) -> bool:
        """True once the store was read completely."""
        return self._cursor is not None

    def fresh_s(self, now_ms: int) -> float | None:
        """Return the seconds since all partitions were last seen caught up; None if they never were."""
        caught_up = self._caught_up()
        return None if caught_up is None else fresh_s(caught_up, now_ms)

    def _caught_up(self) -> int | None:
        return min((beat.caught_up_at for beat in self.beats.values()), default=0) or None

    # Answering.

    def readings(self, query: Query) -> list[Reading]:
        """Return the readings of a query, by window, metric, stat and key. Raises QueryError."""
        return [*self.each(query)]

    def each(self, query: Query) -> Iterator[Reading]:
        """Yield the same readings, computed one by one from the counts of this moment. Raises QueryError."""
        asked, around = checked(query, self.pairs), self._around()
        live = not query.week_before and (query.at is None or abs(query.now - query.at) < LIVE_MS)
        with self._lock:
            sums = self._numbers.live if live else Sums(self._numbers.families)
            looks = [self._look(Look(asked, window, around), sums, live) for window in query.windows]
        return (reading for look in looks for reading in look.readings())

    def samples(self, query: Query) -> list[tuple[Reading, Counts]]:
        """Return the readings of one metric over one window, each with its counts. Raises QueryError."""
        asked, live = checked(query, self.pairs), query.at is None or abs(query.now - query.at) < LIVE_MS
        look = Look(asked, query.windows[0], self._around())
        with self._lock:
            self._look(look, self._numbers.live if live else Sums(self._numbers.families), live)
        ((metric, _),) = asked.metrics
        table = look.tables.get(look.part(metric), EMPTY)
        return [(reading, table.counts(reading.key)) for reading in look.readings()]

    def history(self, query: Query, first: int, last: int, step: int) -> list[Reading]:
        """Return one metric's readings of one group at first_ms, first_ms + step_ms, …, up to last_ms. Raises
        QueryError, also for more than MAX_POINTS points."""
        if step <= 0 or last < first:
            raise QueryError("from, to, step: expected from <= to, and a step above 0")
        if (last - first) // step >= POINTS:
            raise QueryError(f"step = {step // 1000} s: expected at most {POINTS} points")
        _check_single("history", query)
        (points,) = self.histories(query, range(first, last + 1, step))
        return points

    def histories(self, query: Query, moments: range) -> list[list[Reading]]:
        """Return, for each metric of the query, its readings at all `moments_ms`. The query names one window
        and one group."""
        asked = [checked(msgspec.structs.replace(query, at=at), self.pairs) for at in moments]
        looks = [Look(one, query.windows[0], self._around()) for one in asked]
        with self._lock:
            sums = Sums(self._numbers.families, (query.by, query.key or ""))
            looks = [self._look(look, sums, live=False) for look in looks]
        return [list(points) for points in zip(*(look.readings() for look in looks), strict=True)]

    async def contacts(
        self, query: Query, order: Order, limit: int, teams: Collection[str] | None = None
    ) -> list[Contact]:
        """Return at most `limit` contacts behind one metric's reading of one group, as far back as 10 s panes
        are kept (50 h), only of these teams (None: all). Raises QueryError and errors of the store."""
        number = self._number(query, teams)
        places = await asyncio.to_thread(self._places, number, order)
        journeys = Archive(self._store, self._rules, self._zones, self._journeys_of)
        return await behind(number, places, order, limit, journeys)

    def _journeys_of(self, pane: int) -> list[Key]:
        """Return the journeys counted in a 10 s pane, the last to arrive first."""
        with self._lock:
            keys = split_keys(self._numbers.fine.journeys.get(pane, b""))
        return list(dict.fromkeys(reversed(keys)))

    def _number(self, query: Query, teams: Collection[str] | None) -> Number:
        _check_single("contacts", query)
        look = Look(checked(query, self.pairs), query.windows[0], self._around())
        return Number.of(look, teams)

    def _places(self, number: Number, order: Order) -> list[Place]:
        with self._lock:
            return number.places(self._numbers.fine, order)

    def distribution(self, query: Query, question: str) -> list[Distribution]:
        """Return the answers to a question by score, for each group of the query; `query.metrics` is ignored.
        Raises QueryError."""
        if question not in METRIC_OF:
            raise QueryError(f"question = {question!r}: expected one of {', '.join(METRIC_OF)}")
        asked = checked(msgspec.structs.replace(query, metrics=(METRIC_OF[question],)), self.pairs)
        look = Look(asked, query.windows[0], self._around())
        with self._lock:
            self._look(look, Sums(self._numbers.families), live=False)
        return [*look.distributions(question)]

    def agents_of(self, teams: Collection[str], now_ms: int) -> frozenset[str]:
        """Return the agents who belong to one of these teams."""
        last, view = now_ms // HOUR + 2, View("team", "agents")
        with self._lock:
            linked = self._numbers.live.total("belonging", view, "long", last - BELONGS_H, last).keys
            rows = self._numbers.families["long"].rows
        wanted = [number for number in map(rows["team"].get, teams) if number is not None]
        found = linked[np.isin(linked // WIDE, wanted)] % WIDE
        return frozenset(rows["agent"].names[number] for number in np.unique(found).tolist())

    def kept(self, by: str, family: Family, first: int, last: int) -> Kept:
        """Return the non-empty panes of [first_pane, end_pane), for callers that sum them themselves."""
        with self._lock:
            columns = self._numbers.families[family]
            pyramid = columns.pyramid(View(by))
            panes = {index: pyramid.leaves.pane(index) for index in pyramid.leaves.panes(first, last)}
            return Kept(panes, pyramid.lens, columns.rows[by].names)

    def cells(self, first: int, last: int) -> dict[str, Kept]:
        """Return the 10 s panes [first_pane, end_pane) by grouping: the same counts, other projections."""
        with self._lock:
            fine = self._numbers.fine
            panes = {index: fine.leaves.pane(index) for index in fine.leaves.panes(first, last)}
            rows = fine.rows.items()
            return {by: Kept(panes, fine.pyramid(View(by)).lens, known.names) for by, known in rows}

    def summed(
        self, by: str, family: Family, first: int, last: int, zone: str | None = None
    ) -> tuple[Entries, Sequence[str]]:
        """Return the sum of the panes [first_pane, end_pane), with keys row * NUMBERS + number, and the names
        of the rows. `zone`: only queues of this time zone (10 s panes only)."""
        with self._lock:
            columns = self._numbers.families[family]
            return columns.pyramid(View(by, zone=zone)).total(first, last), columns.rows[by].names

    def _around(self) -> Surroundings:
        return Surroundings(self._zones, self.spans, self._caught_up(), self._rules.retention_ms)

    def _look(self, look: Look, sums: Sums, live: bool) -> Look:
        for part, agents in look.needs().items():
            look.tables[part] = self._table(look, part, agents, sums, live)
        return look

    def _table(self, look: Look, part: Part, agents: bool, sums: Sums, live: bool) -> Table:
        runs = look.runs(part)
        if not runs:
            return EMPTY
        view = View(look.asked.query.by)
        slot = f"{look.window} {part}"
        totals = [*_totals(slot, view, runs, sums)]
        linked = [*_totals(slot, view._replace(what="agents"), runs, sums)] if agents else []
        place, parts = (slot, view, agents), [*totals, *linked]
        known = self._tables.get(place) if live else None
        if known is not None and _same(known.parts, parts):
            return known.table
        rows = self._numbers.families[runs[0].panes.family].rows[view.by]
        table = Table(merged(totals), rows, merged(linked))
        if live:
            if known is not None and (changed := _changed(sums, known.editions)) is not None:
                table.keep(known.table, changed)
            slots = [Slot(slot, view._replace(zone=zone), panes.family) for zone, panes in runs]
            self._tables[place] = _Known(parts, {one: sums.edition(*one) for one in slots}, table)
        return table


def _check_single(what: str, query: Query) -> None:
    """Require that the query asks for one figure of one group. Raises QueryError."""
    if len(query.metrics) != 1 or len(query.windows) != 1 or query.stat == "*":
        raise QueryError(f"{what}: expected one metric, one window and one stat")
    if query.by != ALL and not query.key:
        raise QueryError(f"key: expected one key of {query.by}")


def _same(parts: list[Entries], others: list[Entries]) -> bool:
    """Compare by identity: sums never change, so the same objects hold the same counts."""
    return [*map(id, parts)] == [*map(id, others)]


def _changed(sums: Sums, since: Mapping[Slot, int]) -> Integers | None:
    """Return the rows whose counts changed since these versions; None: unknown."""
    found = [sums.changed(*one, edition) for one, edition in since.items()]
    known = [rows for rows in found if rows is not None]
    return np.concatenate(known) if known and len(known) == len(found) else None


def _totals(slot: str, view: View, runs: Sequence[ZoneRun], sums: Sums) -> Iterator[Entries]:
    for zone, (family, first, last) in runs:
        yield sums.total(slot, view._replace(zone=zone), family, first, last)
