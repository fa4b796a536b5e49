"""Counts by time step, kept up to date with a reader; only changed steps are counted again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from streamer.alerts.judging.classes import NONE
from streamer.alerts.judging.evidence import Integers
from streamer.metrics.tally import NUMBERS
from streamer.panes.pane_keys import WIDTH, Family
from streamer.readings.pyramid import Entries, joined, summed
from streamer.readings.reader import Kept, Reader


class Columns(NamedTuple):
    """Column of a table by number of a tally, for all rows (1 × NUMBERS) or by row. `keys` of the rows,
    where they differ; other keys count nothing."""

    of: Integers
    width: int
    keys: tuple[str, ...] = ()


class _Step(NamedTuple):
    """Panes of a step, and by table their entries (key: row * width + column)."""

    nodes: Sequence[Entries]
    counts: Mapping[str, Entries]


class Counted:
    """Counts of one grouping in one family of panes, by step (a fixed number of panes), group and column.
    A step whose panes are unchanged is not counted again."""

    def __init__(self, by: str, family: Family, panes: int) -> None:
        self._by, self._family, self._panes = by, family, panes
        self.width = panes * WIDTH[family]
        """Width of a step, in ms."""
        self._columns: Mapping[str, Columns] = {}
        self._steps: dict[int, _Step] = {}
        self._names: Sequence[str] = ()
        self._place: dict[str, list[int]] = {}

    def follow(self, reader: Reader, columns: Mapping[str, Columns], first: int, last: int) -> None:
        """Count the steps [first, last), and forget all others. `columns` by table."""
        if columns is not self._columns:
            self._columns, self._steps, self._place = columns, {}, {}
        kept = reader.kept(self._by, self._family, first * self._panes, last * self._panes)
        self._names = kept.names
        nodes: dict[int, list[Entries]] = {}
        for index in sorted(kept.panes):
            nodes.setdefault(index // self._panes, []).append(kept.panes[index])
        self._steps = {step: self._step(step, found, kept) for step, found in nodes.items()}

    def _step(self, step: int, nodes: Sequence[Entries], kept: Kept) -> _Step:
        known = self._steps.get(step)
        if known is not None and [*map(id, known.nodes)] == [*map(id, nodes)]:
            return known
        rows, numbers = np.divmod((entries := kept.lens(joined(nodes))).keys, NUMBERS)
        return _Step(nodes, {name: self._told(name, rows, numbers, entries) for name in self._columns})

    def _told(self, name: str, rows: Integers, numbers: Integers, entries: Entries) -> Entries:
        of, width, _ = self._columns[name]
        column = of[0][numbers] if len(of) == 1 else self._by_row(name, rows, numbers)
        mine = column != NONE
        found = summed([Entries((rows * width + column)[mine], entries.values[mine])])
        return Entries(found.keys.astype(np.uint32), found.values.astype(np.int32))

    def _by_row(self, name: str, rows: Integers, numbers: Integers) -> Integers:
        of, _, keys = self._columns[name]
        place = self._place.setdefault(name, [])
        known = {key: number for number, key in enumerate(keys)}
        place.extend(known.get(key, NONE) for key in self._names[len(place) :])
        where = np.array(place, np.int64)[rows]
        return np.where(where == NONE, NONE, of[where, numbers])

    @property
    def keys(self) -> Sequence[str]:
        """Keys of all known groups."""
        return self._names

    def table(self, name: str, keys: Sequence[str], first: int, last: int) -> Integers:
        """Return the counts as an array, steps × groups × columns."""
        width = self._columns[name].width
        shape = last - first, len(keys), width
        known = {key: number for number, key in enumerate(keys)}
        row_of = np.array([known.get(key, NONE) for key in self._names] or [NONE], np.int64)
        places, values = self._joined(name, first, last)
        steps, rows, columns = places
        mine = row_of[rows] != NONE
        at = (steps * len(keys) + row_of[rows]) * width + columns
        found = np.bincount(at[mine], values[mine], shape[0] * shape[1] * width)
        return found.astype(np.int64).reshape(shape)

    def _joined(self, name: str, first: int, last: int) -> tuple[tuple[Integers, ...], Integers]:
        parts = [*self._between(name, first, last)]
        steps = np.repeat([step - first for step, _ in parts], [len(part.keys) for _, part in parts])
        keys, values = joined([part for _, part in parts])
        rows, columns = np.divmod(keys, self._columns[name].width)
        return (steps.astype(np.int64), rows, columns), values

    def _between(self, name: str, first: int, last: int) -> Iterator[tuple[int, Entries]]:
        for step, found in self._steps.items():
            if first <= step < last:
                yield step, found.counts[name]
