"""Hold the two families of panes in memory: entries in numpy columns, group rows by number.

A `PaneView` selects from a family: by which grouping, which quantity ("counts", or "agents" with an
answered segment), and optionally only the queues of one time zone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from streamer.events.counting_rules import HOUR, UNKNOWN, CountingRules
from streamer.events.models import DIMENSIONS
from streamer.metrics.counters import CounterState, add_counters
from streamer.metrics.tally import NUMBER, NUMBERS, Tally
from streamer.panes.pane_delta import FineRows, LongSums
from streamer.panes.pane_keys import (
    ALL,
    FINE_MS,
    LIVE_AGENTS,
    LIVE_CONTACTS,
    PANES_PER_HOUR,
    Cell,
    Family,
    Grouping,
    PaneHour,
    groupings,
    parse_row_field,
    row_field,
)
from streamer.readings.agent_time_panes import AgentTimePanes
from streamer.readings.live_state import LiveLimits, LiveState
from streamer.readings.pane_sums import (
    NO_COUNTS,
    Bools,
    Integers,
    PaneCounts,
    PanePyramid,
    Projection,
    RollingSum,
    SparseCounts,
    split_by_pane,
)
from streamer.readings.string_table import StringTable

AGENT_WIDTH: Final = 1 << 32
NO_ROWS: Final = np.empty(0, np.int64)
_ANSWERED: Final = NUMBER["answered"]
_QUEUE: Final = DIMENSIONS.index("queue")
_AGENT: Final = DIMENSIONS.index("agent")


class PaneView(NamedTuple):
    """A selection from a pane family: a grouping, a quantity, and the queues of one zone (None: all)."""

    by: str
    quantity: Literal["counts", "agents"] = "counts"
    zone: str | None = None


class QueueZones(NamedTuple):
    """Names of time zones: the default, and those of the queues that have their own.

    >>> zones = QueueZones("Europe/Madrid", {"tokyo-billing": "Asia/Tokyo"})
    >>> zones.zone_of("tokyo-billing"), zones.zone_of("sales")
    ('Asia/Tokyo', 'Europe/Madrid')
    """

    default: str
    by_queue: Mapping[str, str]

    def zone_of(self, queue: str | None) -> str:
        return self.by_queue.get(queue or UNKNOWN, self.default)

    def names(self) -> list[str]:
        return sorted({self.default, *self.by_queue.values()})


class IntegerColumn:
    """A growing array of integers, one for each field or cell."""

    def __init__(self) -> None:
        self._array = np.empty(64, np.int64)
        self._length = 0

    def append(self, value: int) -> None:
        if self._length == len(self._array):
            self._array = np.resize(self._array, 2 * self._length)
        self._array[self._length] = value
        self._length += 1

    def values(self) -> Integers:
        return self._array[: self._length]


class PaneFamily(Protocol):
    """The panes of one family.

    `put` adds the packed deltas of one hour; if `whole`, they replace all the hour held. `rows` are the
    group keys of each grouping by number. A key of counts is row * NUMBERS + number, a key of agents is
    row * AGENT_WIDTH + agent."""

    @property
    def rows(self) -> Mapping[str, StringTable]: ...

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None: ...

    def pyramid(self, view: PaneView) -> PanePyramid: ...

    def drop_before(self, first_kept: int) -> None: ...

    def unused_names(self) -> int:
        """Return how many cells or group rows are numbered that are in no pane any more."""


class FinePanes:
    """10 s panes of cells. `journeys` holds, by pane, the concatenated keys of the journeys counted in it."""

    def __init__(self, pairs: tuple[Grouping, ...], zones: QueueZones) -> None:
        self._groupings = {",".join(by) or ALL: by for by in groupings(pairs)}
        self._zones = zones
        self._zone_numbers = StringTable(zones.names())
        self.rows = {name: StringTable() for name in self._groupings}
        self._value_codes = dict[str | None, int]()
        self._cells: dict[bytes, int] = {}
        """Numbers of cells by the packed int32 codes of their dimension values."""
        self._row_of = {name: IntegerColumn() for name in self._groupings}
        self._agent_of, self._zone_of = IntegerColumn(), IntegerColumn()
        self.panes = PaneCounts(NUMBERS)
        self.journeys: dict[int, bytes] = {}
        self._pyramids: dict[PaneView, PanePyramid] = {}

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None:
        first_pane = hour * PANES_PER_HOUR
        delta_rows = [FineRows.unpacked(delta) for delta in deltas]
        counts_by_pane = split_by_pane([self._sparse_counts(rows) for rows in delta_rows])
        held_panes = self.panes.filled_panes(first_pane, first_pane + PANES_PER_HOUR) if whole else []
        for pane in {*counts_by_pane, *(pane - first_pane for pane in held_panes)}:
            self.panes.put(first_pane + pane, [counts_by_pane.get(pane, NO_COUNTS)], whole)
        if whole:
            for pane in range(first_pane, first_pane + PANES_PER_HOUR):
                self.journeys.pop(pane, None)
        for rows in delta_rows:
            self._add_journeys(first_pane, rows)

    def _sparse_counts(self, rows: FineRows) -> tuple[Integers, SparseCounts]:
        """Return the pane of each entry (relative to the hour) and the entries."""
        cells = self._cell_numbers(rows)
        row, number, amount = rows.expand()
        return rows.row_pane[row], SparseCounts(cells[rows.row_cell[row]] * NUMBERS + number, amount)

    def _add_journeys(self, first_pane: int, rows: FineRows) -> None:
        panes = np.unique(rows.journey_pane)
        if len(panes) == 1:  # the common case: events arrive as they happen
            pane = first_pane + int(panes[0])
            if pane >= self.panes.floor:
                self.journeys[pane] = self.journeys.get(pane, b"") + rows.journeys
            return
        for pane in panes.tolist():
            if first_pane + pane >= self.panes.floor:
                keys = b"".join(rows.journeys_of(pane))
                self.journeys[first_pane + pane] = self.journeys.get(first_pane + pane, b"") + keys

    def _cell_numbers(self, rows: FineRows) -> Integers:
        """Return the number of each cell of a delta."""
        value_codes, width = self._value_codes, 4 * len(DIMENSIONS)
        codes = np.array([value_codes.setdefault(name, len(value_codes)) for name in rows.names], np.int32)
        packed = codes[rows.cells].tobytes()
        numbers = []
        for cell, offset in enumerate(range(0, len(packed), width)):
            code = packed[offset : offset + width]
            number = self._cells.get(code)
            numbers.append(self._add_cell(code, rows.cell_of(cell)) if number is None else number)
        return np.array(numbers, np.int64)

    def _add_cell(self, code: bytes, cell: Cell) -> int:
        for name, by in self._groupings.items():
            _, key = parse_row_field(row_field(by, cell))
            self._row_of[name].append(self.rows[name].add(key))
        agent = cell[_AGENT]
        self._agent_of.append(-1 if agent is None else self.rows["agent"].add(agent))
        self._zone_of.append(self._zone_numbers.add(self._zones.zone_of(cell[_QUEUE])))
        return self._cells.setdefault(code, len(self._cells))

    def pyramid(self, view: PaneView) -> PanePyramid:
        """Return the pyramid of a view. Its blocks are hours: 10 s hold too little to sum."""
        if view not in self._pyramids:
            projection = (
                self._count_projection(view) if view.quantity == "counts" else self._agent_projection(view)
            )
            self._pyramids[view] = PanePyramid(self.panes, (360,), self._within_zone(view, projection))
        return self._pyramids[view]

    def _within_zone(self, view: PaneView, projection: Projection) -> Projection:
        if view.zone is None:
            return projection
        zone = self._zone_numbers.add(view.zone)
        return lambda counts: projection(
            counts.select(self._zone_of.values()[counts.keys // NUMBERS] == zone)
        )

    def tallies(
        self, pane: int, view: PaneView, key: str, teams: Collection[str] | None = None
    ) -> list[Tally]:
        """Return the tallies of a group's cells in one pane, rarely of more than one contact each. `teams`:
        only cells of these teams (None: all)."""
        row = self.rows[view.by].get(key)
        if row is None:
            return []
        counts = self.panes.counts_of(pane)
        counts = counts.select(self._row_of[view.by].values()[counts.keys // NUMBERS] == row)
        if view.zone is not None:
            counts = self._within_zone(view, lambda all_counts: all_counts)(counts)
        if teams is not None:
            team_numbers = [self.rows["team"].get(team) for team in teams]
            rows = [number for number in team_numbers if number is not None]
            counts = counts.select(np.isin(self._row_of["team"].values()[counts.keys // NUMBERS], rows))
        tally_of_cell: dict[int, Tally] = {}
        for packed_key, amount in zip(counts.keys.tolist(), counts.values.tolist(), strict=True):
            cell, number = divmod(packed_key, NUMBERS)
            tally_of_cell.setdefault(cell, {})[number] = amount
        return [*tally_of_cell.values()]

    def _count_projection(self, view: PaneView) -> Projection:
        rows = self._row_of[view.by]

        def project(counts: SparseCounts) -> SparseCounts:
            cells, numbers = np.divmod(counts.keys, NUMBERS)
            return SparseCounts(rows.values()[cells] * NUMBERS + numbers, counts.values)

        return project

    def _agent_projection(self, view: PaneView) -> Projection:
        rows = self._row_of[view.by]

        def project(counts: SparseCounts) -> SparseCounts:
            cells, values = _answered_segments(counts)
            agents = self._agent_of.values()[cells]
            return SparseCounts(rows.values()[cells] * AGENT_WIDTH + agents, values).select(agents >= 0)

        return project

    def drop_before(self, first_kept: int) -> None:
        if first_kept > self.panes.floor:
            self.journeys = {pane: keys for pane, keys in self.journeys.items() if pane >= first_kept}
        _drop_before(first_kept, [self.panes], self._pyramids.values())

    def unused_names(self) -> int:
        return len(self._cells) - self.panes.field_count()


class LongPanes:
    """One-hour panes of group rows. Deltas also count an agent's answered segments under each other row;
    these are kept as `links`, with keys agent's field * AGENT_WIDTH + field."""

    def __init__(self, pairs: tuple[Grouping, ...]) -> None:
        self._groupings = StringTable(",".join(by) or ALL for by in groupings(pairs))
        self.rows = {name: StringTable() for name in self._groupings.names}
        self._fields: dict[str, int] = {}
        self._by_of, self._row_of = IntegerColumn(), IntegerColumn()
        self.panes, self.links = PaneCounts(NUMBERS), PaneCounts(AGENT_WIDTH)
        self._pyramids: dict[PaneView, PanePyramid] = {}

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None:
        delta_sums = [LongSums.unpacked(delta) for delta in deltas]
        fields = [np.array([self._field_number(row) for row in table.rows], np.int64) for table in delta_sums]
        numbered_sums = [*zip(fields, delta_sums, strict=True)]
        counts = [
            SparseCounts(field_numbers[table.row] * NUMBERS + table.numbers, table.amounts)
            for field_numbers, table in numbered_sums
        ]
        links = [
            SparseCounts(field_numbers[table.agents] * AGENT_WIDTH + field_numbers[table.under], table.linked)
            for field_numbers, table in numbered_sums
        ]
        self.panes.put(hour, counts, whole)
        self.links.put(hour, links, whole)

    def _field_number(self, field: str) -> int:
        number = self._fields.setdefault(field, len(self._fields))
        if number == len(self._row_of.values()):
            by, key = parse_row_field(field)
            self._by_of.append(self._groupings.add(by))
            self._row_of.append(self.rows.setdefault(by, StringTable()).add(key))
        return number

    def pyramid(self, view: PaneView) -> PanePyramid:
        """Return the pyramid of a view, with blocks of a day and of a week."""
        if view not in self._pyramids:
            self._pyramids[view] = self._new_pyramid(view)
        return self._pyramids[view]

    def _new_pyramid(self, view: PaneView) -> PanePyramid:
        by = self._groupings.add(view.by)
        if view.quantity == "counts":
            return PanePyramid(self.panes, (24, 168), self._count_projection(by))
        if view.by == "agent":
            return PanePyramid(self.panes, (24, 168), self._own_agent_projection(by))
        return PanePyramid(self.links, (24, 168), self._link_projection(by))

    def _count_projection(self, by: int) -> Projection:
        def project(counts: SparseCounts) -> SparseCounts:
            fields, numbers = np.divmod(counts.keys, NUMBERS)
            mask: Bools = self._by_of.values()[fields] == by
            return SparseCounts(self._row_of.values()[fields] * NUMBERS + numbers, counts.values).select(mask)

        return project

    def _own_agent_projection(self, by: int) -> Projection:
        """Map each agent's own row to that one agent; the row of unknown agents has none."""

        def project(counts: SparseCounts) -> SparseCounts:
            fields, values = _answered_segments(counts)
            rows = self._row_of.values()[fields]
            mask: Bools = (self._by_of.values()[fields] == by) & (rows != self.rows["agent"].add(UNKNOWN))
            return SparseCounts(rows * AGENT_WIDTH + rows, values).select(mask)

        return project

    def _link_projection(self, by: int) -> Projection:
        def project(links: SparseCounts) -> SparseCounts:
            agents, fields = np.divmod(links.keys, AGENT_WIDTH)
            agents, rows = self._row_of.values()[agents], self._row_of.values()[fields]
            mask: Bools = (self._by_of.values()[fields] == by) & (agents != self.rows["agent"].add(UNKNOWN))
            return SparseCounts(rows * AGENT_WIDTH + agents, links.values).select(mask)

        return project

    def drop_before(self, first_kept: int) -> None:
        _drop_before(first_kept, [self.panes, self.links], self._pyramids.values())

    def unused_names(self) -> int:
        return len(self._fields) - self.panes.field_count()


def _answered_segments(counts: SparseCounts) -> SparseCounts:
    """Return the fields with answered segments, and how many each has."""
    fields, numbers = np.divmod(counts.keys, NUMBERS)
    return SparseCounts(fields, counts.values).select(numbers == _ANSWERED)


def _drop_before(first_kept: int, pane_sets: Iterable[PaneCounts], pyramids: Iterable[PanePyramid]) -> None:
    for panes in pane_sets:
        panes.drop_before(first_kept)
    for pyramid in pyramids:
        pyramid.drop_before(first_kept)


class ReaderState:
    """All that a reader holds: both pane families, agents' time, what is live, the counters, and the rolling
    sums of current windows."""

    def __init__(self, rules: CountingRules, zones: QueueZones, limits: LiveLimits) -> None:
        pairs = rules.dimension_pairs
        self.fine = FinePanes(pairs, zones)
        self.families: dict[Family, PaneFamily] = {"fine": self.fine, "long": LongPanes(pairs)}
        self.agent_time = AgentTimePanes(pairs, zones.zone_of)
        self.live = LiveState(rules, limits)
        self.live_sums = WindowSums(self.families)
        self.counters = CounterState()

    def put(self, pane_hour: PaneHour, deltas: Sequence[bytes], whole: bool) -> None:
        """Add deltas to an hour; if `whole`, they replace all it held."""
        family, hour = pane_hour
        if family == "fine" or family == "long":
            self.families[family].put(hour, deltas, whole)
        elif family == "time":
            self.agent_time.put(hour, deltas, whole)
        elif pane_hour == LIVE_CONTACTS:
            self.live.put_contacts(deltas, whole)
        elif pane_hour == LIVE_AGENTS:
            self.live.put_agents(deltas, whole)
        elif family == "counters":
            self.counters = add_counters(deltas, None if whole else self.counters)

    def drop_before(self, family: Family, first_kept: int) -> None:
        self.families[family].drop_before(first_kept)
        if family == "fine":
            self.agent_time.drop_before(first_kept * FINE_MS // HOUR)

    def unused_names(self) -> int:
        """Return how many names are kept that no pane has any more: names are numbered, and never deleted."""
        return self.agent_time.unused_names() + sum(
            family.unused_names() for family in self.families.values()
        )


class WindowSums:
    """Rolling sums by slot. A window that moves with time, such as "the last hour", is one slot. `group`:
    only the group of this (by, key)."""

    def __init__(self, families: Mapping[Family, PaneFamily], group: tuple[str, str] | None = None) -> None:
        self._families = families
        self._group = group
        self._slots: dict[tuple[str, Family, PaneView], RollingSum] = {}

    def total(self, slot: str, view: PaneView, family: Family, first: int, last: int) -> SparseCounts:
        slot_key = (slot, family, view)
        if slot_key not in self._slots:
            pyramid = self._families[family].pyramid(view)
            self._slots[slot_key] = RollingSum(pyramid, *self._key_bounds(family, view))
        return self._slots[slot_key].total(first, last)

    def version(self, slot: str, view: PaneView, family: Family) -> int:
        """Return the version of a slot's last sum."""
        return self._slots[slot, family, view].version

    def changed_rows(self, slot: str, view: PaneView, family: Family, since_version: int) -> Integers | None:
        """Return the rows in which a slot's last sum differs from version `since_version`; None: unknown."""
        rolling = self._slots[slot, family, view]
        if since_version == rolling.version:
            return NO_ROWS
        if since_version != rolling.version - 1 or rolling.delta is None:
            return None
        return np.unique(rolling.delta.keys // (NUMBERS if view.quantity == "counts" else AGENT_WIDTH))

    def _key_bounds(self, family: Family, view: PaneView) -> tuple[int, int] | tuple[()]:
        if self._group is None:
            return ()
        row = self._families[family].rows[view.by].get(self._group[1])
        width = NUMBERS if view.quantity == "counts" else AGENT_WIDTH
        return () if row is None else (row * width, (row + 1) * width)
