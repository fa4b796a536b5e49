"""Hold the two families of panes in memory: entries in numpy columns, group rows by number.

A `PaneView` selects from a family: by which grouping, which quantity ("counts", or "agents" with an
answered segment), and optionally only the queues of one time zone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from streamer.events.models import DIMENSIONS
from streamer.events.rules import UNKNOWN
from streamer.metrics.counters import pack_counters, sum_counters
from streamer.metrics.tally import NUMBER, NUMBERS, Tally
from streamer.panes.pane_delta import FineRows, LongSums
from streamer.panes.pane_keys import (
    ALL,
    PANES_PER_HOUR,
    Cell,
    Family,
    Grouping,
    PaneHour,
    groupings,
    row_field,
    row_of,
)
from streamer.readings.pyramid import (
    NONE,
    Bools,
    Entries,
    Integers,
    Leaves,
    Lens,
    Pyramid,
    Rolling,
    by_pane,
)

WIDE: Final = 1 << 32
NO_ROWS: Final = np.empty(0, np.int64)
_ANSWERED: Final = NUMBER["answered"]
_QUEUE: Final = DIMENSIONS.index("queue")
_AGENT: Final = DIMENSIONS.index("agent")


class View(NamedTuple):
    """A selection from a pane family: a grouping, a quantity, and the queues of one zone (None: all)."""

    by: str
    what: Literal["counts", "agents"] = "counts"
    zone: str | None = None


class Zones(NamedTuple):
    """Names of time zones: the default, and those of the queues that have their own.

    >>> zones = Zones("Europe/Madrid", {"tokyo-billing": "Asia/Tokyo"})
    >>> zones.of("tokyo-billing"), zones.of("sales")
    ('Asia/Tokyo', 'Europe/Madrid')
    """

    default: str
    own: Mapping[str, str]

    def of(self, queue: str | None) -> str:
        return self.own.get(queue or UNKNOWN, self.default)

    def all(self) -> list[str]:
        return sorted({self.default, *self.own.values()})


class Numbered:
    """Names numbered from 0 in the order in which they were first added.

    >>> queues = Numbered(["billing", "sales"])
    >>> queues.add("tech"), queues.add("billing"), queues.get("unheard of")
    (2, 0, None)
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def get(self, name: str) -> int | None:
        return self._numbers.get(name)


class Column:
    """A growing array of integers, one for each field or cell."""

    def __init__(self) -> None:
        self._array = np.empty(64, np.int64)
        self._length = 0

    def append(self, value: int) -> None:
        if self._length == len(self._array):
            self._array = np.resize(self._array, 2 * self._length)
        self._array[self._length] = value
        self._length += 1

    def array(self) -> Integers:
        return self._array[: self._length]


class Columns(Protocol):
    """The panes of one family.

    `put` adds the packed deltas of one hour; if `whole`, they replace all the hour held. `rows` are the
    group keys of each grouping by number. A key of counts is row * NUMBERS + number, a key of agents is
    row * AGENT_WIDTH + agent."""

    @property
    def rows(self) -> Mapping[str, Numbered]: ...

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None: ...

    def pyramid(self, view: View) -> Pyramid: ...

    def drop_before(self, index: int) -> None: ...


class Fine:
    """10 s panes of cells. `journeys` holds, by pane, the concatenated keys of the journeys counted in it."""

    def __init__(self, pairs: tuple[Grouping, ...], zones: Zones) -> None:
        self._groupings = {",".join(by) or ALL: by for by in groupings(pairs)}
        self._zones = zones
        self._zone_numbers = Numbered(zones.all())
        self.rows = {name: Numbered() for name in self._groupings}
        self._values = dict[str | None, int]()
        self._cells: dict[bytes, int] = {}
        """Numbers of cells by the packed int32 codes of their dimension values."""
        self._row_of = {name: Column() for name in self._groupings}
        self._agent_of, self._zone_of = Column(), Column()
        self.leaves = Leaves(NUMBERS)
        self.journeys: dict[int, bytes] = {}
        self._pyramids: dict[View, Pyramid] = {}

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None:
        first = hour * PANES_PER_HOUR
        found = [FineRows.unpacked(delta) for delta in deltas]
        parts = by_pane([self._entries(rows) for rows in found])
        held = self.leaves.panes(first, first + PANES_PER_HOUR) if whole else []
        for pane in {*parts, *(pane - first for pane in held)}:
            self.leaves.put(first + pane, [parts.get(pane, NONE)], whole)
        if whole:
            for pane in range(first, first + PANES_PER_HOUR):
                self.journeys.pop(pane, None)
        for rows in found:
            self._add_journeys(first, rows)

    def _entries(self, rows: FineRows) -> tuple[Integers, Entries]:
        """Return the pane of each entry (relative to the hour) and the entries."""
        cells = self._numbers_of(rows)
        row, number, amount = rows.spelled_out()
        return rows.row_pane[row], Entries(cells[rows.row_cell[row]] * NUMBERS + number, amount)

    def _add_journeys(self, first: int, rows: FineRows) -> None:
        panes = np.unique(rows.journey_pane)
        if len(panes) == 1:  # the common case: events arrive as they happen
            pane = first + int(panes[0])
            if pane >= self.leaves.floor:
                self.journeys[pane] = self.journeys.get(pane, b"") + rows.journeys
            return
        for pane in panes.tolist():
            if first + pane >= self.leaves.floor:
                keys = b"".join(rows.journeys_of(pane))
                self.journeys[first + pane] = self.journeys.get(first + pane, b"") + keys

    def _numbers_of(self, rows: FineRows) -> Integers:
        """Return the number of each cell of a delta."""
        known, width = self._values, 4 * len(DIMENSIONS)
        codes = np.array([known.setdefault(name, len(known)) for name in rows.names], np.int32)
        packed = codes[rows.cells].tobytes()
        numbers = []
        for cell, at in enumerate(range(0, len(packed), width)):
            code = packed[at : at + width]
            number = self._cells.get(code)
            numbers.append(self._add(code, rows.cell_of(cell)) if number is None else number)
        return np.array(numbers, np.int64)

    def _add(self, code: bytes, cell: Cell) -> int:
        for name, by in self._groupings.items():
            _, key = row_of(row_field(by, cell))
            self._row_of[name].append(self.rows[name].add(key))
        agent = cell[_AGENT]
        self._agent_of.append(-1 if agent is None else self.rows["agent"].add(agent))
        self._zone_of.append(self._zone_numbers.add(self._zones.of(cell[_QUEUE])))
        return self._cells.setdefault(code, len(self._cells))

    def pyramid(self, view: View) -> Pyramid:
        """Return the pyramid of a view. Its blocks are hours: 10 s hold too little to sum."""
        if view not in self._pyramids:
            lens = self._counts(view) if view.what == "counts" else self._agents(view)
            self._pyramids[view] = Pyramid(self.leaves, (360,), self._of_zone(view, lens))
        return self._pyramids[view]

    def _of_zone(self, view: View, lens: Lens) -> Lens:
        if view.zone is None:
            return lens
        zone = self._zone_numbers.add(view.zone)
        return lambda part: lens(part.only(self._zone_of.array()[part.keys // NUMBERS] == zone))

    def tallies(self, index: int, view: View, key: str, teams: Collection[str] | None = None) -> list[Tally]:
        """Return the tallies of a group's cells in one pane, rarely of more than one contact each. `teams`:
        only cells of these teams (None: all)."""
        row = self.rows[view.by].get(key)
        if row is None:
            return []
        part = self.leaves.pane(index)
        part = part.only(self._row_of[view.by].array()[part.keys // NUMBERS] == row)
        if view.zone is not None:
            part = self._of_zone(view, lambda one: one)(part)
        if teams is not None:
            known = [self.rows["team"].get(team) for team in teams]
            rows = [number for number in known if number is not None]
            part = part.only(np.isin(self._row_of["team"].array()[part.keys // NUMBERS], rows))
        found: dict[int, Tally] = {}
        for place, amount in zip(part.keys.tolist(), part.values.tolist(), strict=True):
            cell, number = divmod(place, NUMBERS)
            found.setdefault(cell, {})[number] = amount
        return [*found.values()]

    def _counts(self, view: View) -> Lens:
        rows = self._row_of[view.by]

        def lens(part: Entries) -> Entries:
            cells, numbers = np.divmod(part.keys, NUMBERS)
            return Entries(rows.array()[cells] * NUMBERS + numbers, part.values)

        return lens

    def _agents(self, view: View) -> Lens:
        rows = self._row_of[view.by]

        def lens(part: Entries) -> Entries:
            cells, values = _answered(part)
            agents = self._agent_of.array()[cells]
            return Entries(rows.array()[cells] * WIDE + agents, values).only(agents >= 0)

        return lens

    def drop_before(self, index: int) -> None:
        if index > self.leaves.floor:
            self.journeys = {pane: keys for pane, keys in self.journeys.items() if pane >= index}
        _drop_before(index, [self.leaves], self._pyramids.values())


class Long:
    """One-hour panes of group rows. Deltas also count an agent's answered segments under each other row;
    these are kept as `links`, with keys agent's field * AGENT_WIDTH + field."""

    def __init__(self, pairs: tuple[Grouping, ...]) -> None:
        self._groupings = Numbered(",".join(by) or ALL for by in groupings(pairs))
        self.rows = {name: Numbered() for name in self._groupings.names}
        self._fields: dict[str, int] = {}
        self._by_of, self._row_of = Column(), Column()
        self.leaves, self.links = Leaves(NUMBERS), Leaves(WIDE)
        self._pyramids: dict[View, Pyramid] = {}

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None:
        found = [LongSums.unpacked(delta) for delta in deltas]
        fields = [np.array([self._field(row) for row in table.rows], np.int64) for table in found]
        both = [*zip(fields, found, strict=True)]
        counts = [Entries(own[table.row] * NUMBERS + table.numbers, table.amounts) for own, table in both]
        links = [Entries(own[table.agents] * WIDE + own[table.under], table.linked) for own, table in both]
        self.leaves.put(hour, counts, whole)
        self.links.put(hour, links, whole)

    def _field(self, field: str) -> int:
        number = self._fields.setdefault(field, len(self._fields))
        if number == len(self._row_of.array()):
            by, key = row_of(field)
            self._by_of.append(self._groupings.add(by))
            self._row_of.append(self.rows.setdefault(by, Numbered()).add(key))
        return number

    def pyramid(self, view: View) -> Pyramid:
        """Return the pyramid of a view, with blocks of a day and of a week."""
        if view not in self._pyramids:
            self._pyramids[view] = self._seen(view)
        return self._pyramids[view]

    def _seen(self, view: View) -> Pyramid:
        by = self._groupings.add(view.by)
        if view.what == "counts":
            return Pyramid(self.leaves, (24, 168), self._counts(by))
        if view.by == "agent":
            return Pyramid(self.leaves, (24, 168), self._own(by))
        return Pyramid(self.links, (24, 168), self._linked(by))

    def _counts(self, by: int) -> Lens:
        def lens(part: Entries) -> Entries:
            fields, numbers = np.divmod(part.keys, NUMBERS)
            mine: Bools = self._by_of.array()[fields] == by
            return Entries(self._row_of.array()[fields] * NUMBERS + numbers, part.values).only(mine)

        return lens

    def _own(self, by: int) -> Lens:
        """Map each agent's own row to that one agent; the row of unknown agents has none."""

        def lens(part: Entries) -> Entries:
            fields, values = _answered(part)
            rows = self._row_of.array()[fields]
            mine: Bools = (self._by_of.array()[fields] == by) & (rows != self.rows["agent"].add(UNKNOWN))
            return Entries(rows * WIDE + rows, values).only(mine)

        return lens

    def _linked(self, by: int) -> Lens:
        def lens(part: Entries) -> Entries:
            agents, fields = np.divmod(part.keys, WIDE)
            agents, rows = self._row_of.array()[agents], self._row_of.array()[fields]
            mine: Bools = (self._by_of.array()[fields] == by) & (agents != self.rows["agent"].add(UNKNOWN))
            return Entries(rows * WIDE + agents, part.values).only(mine)

        return lens

    def drop_before(self, index: int) -> None:
        _drop_before(index, [self.leaves, self.links], self._pyramids.values())


def _answered(part: Entries) -> Entries:
    """Return the fields with answered segments, and how many each has."""
    fields, numbers = np.divmod(part.keys, NUMBERS)
    return Entries(fields, part.values).only(numbers == _ANSWERED)


def _drop_before(index: int, leaves: Iterable[Leaves], pyramids: Iterable[Pyramid]) -> None:
    for below in leaves:
        below.drop_before(index)
    for pyramid in pyramids:
        pyramid.drop_before(index)


class Numbers:
    """All that a reader holds: both pane families, the counters, and the rolling sums of current windows."""

    def __init__(self, pairs: tuple[Grouping, ...], zones: Zones) -> None:
        self.fine = Fine(pairs, zones)
        self.families: dict[Family, Columns] = {"fine": self.fine, "long": Long(pairs)}
        self.live = Sums(self.families)
        self.counters: Mapping[str, int] = {}

    def put(self, place: PaneHour, deltas: Sequence[bytes], whole: bool) -> None:
        """Add deltas to an hour; if `whole`, they replace all it held."""
        family, hour = place
        if family == "counters":
            before = [] if whole else [pack_counters(self.counters)]
            self.counters = sum_counters([*before, *deltas])
        else:
            self.families[family].put(hour, deltas, whole)

    def drop_before(self, family: Family, index: int) -> None:
        self.families[family].drop_before(index)


class Sums:
    """Rolling sums by slot. A window that moves with time, such as "the last hour", is one slot. `group`:
    only the group of this (by, key)."""

    def __init__(self, families: Mapping[Family, Columns], row: tuple[str, str] | None = None) -> None:
        self._families = families
        self._row = row
        self._slots: dict[tuple[str, Family, View], Rolling] = {}

    def total(self, slot: str, view: View, family: Family, first: int, last: int) -> Entries:
        place = (slot, family, view)
        if place not in self._slots:
            pyramid = self._families[family].pyramid(view)
            self._slots[place] = Rolling(pyramid, *self._bounds(family, view))
        return self._slots[place].total(first, last)

    def edition(self, slot: str, view: View, family: Family) -> int:
        """Return the version of a slot's last sum."""
        return self._slots[slot, family, view].edition

    def changed(self, slot: str, view: View, family: Family, since: int) -> Integers | None:
        """Return the rows in which a slot's last sum differs from version `since_version`; None: unknown."""
        rolling = self._slots[slot, family, view]
        if since == rolling.edition:
            return NO_ROWS
        if since != rolling.edition - 1 or rolling.delta is None:
            return None
        return np.unique(rolling.delta.keys // (NUMBERS if view.what == "counts" else WIDE))

    def _bounds(self, family: Family, view: View) -> tuple[int, int] | tuple[()]:
        if self._row is None:
            return ()
        row = self._families[family].rows[view.by].get(self._row[1])
        width = NUMBERS if view.what == "counts" else WIDE
        return () if row is None else (row * width, (row + 1) * width)
