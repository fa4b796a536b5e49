"""Counts by time step, kept up to date with a reader; only changed steps are counted again."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from streamer.alerts.statistics.evidence import Integers
from streamer.alerts.statistics.observation_classes import ABSENT
from streamer.metrics.tally import NUMBERS
from streamer.panes.pane_keys import WIDTH, Family
from streamer.readings.pane_sums import SparseCounts, concatenate_counts, sum_counts
from streamer.readings.reader import KeptPanes, MetricsReader


class ColumnMap(NamedTuple):
    """Column of a table by number of a tally, for all rows (1 × NUMBERS) or by row. `keys` of the rows,
    where they differ; other keys count nothing."""

    column_by_number: Integers
    width: int
    keys: tuple[str, ...] = ()


class _StepCounts(NamedTuple):
    """Panes of a step, by table their entries (key: row * width + column), and the rows that count
    anything."""

    nodes: Sequence[SparseCounts]
    counts: Mapping[str, SparseCounts]
    rows: Integers


class StepCounter:
    """Counts of one grouping in one family of panes, by step (a fixed number of panes), group and column.
    A step whose panes are unchanged is not counted again."""

    def __init__(self, by: str, family: Family, panes: int) -> None:
        self._by, self._family, self._panes = by, family, panes
        self.width = panes * WIDTH[family]
        """Width of a step, in ms."""
        self._columns: Mapping[str, ColumnMap] = {}
        self._steps: dict[int, _StepCounts] = {}
        self._names: Sequence[str] = ()
        self._row_numbers_by_table: dict[str, list[int]] = {}

    def follow(self, reader: MetricsReader, columns: Mapping[str, ColumnMap], first: int, last: int) -> None:
        """Count the steps [first, last), and forget all others. `columns` by table."""
        kept_panes = reader.kept_panes(self._by, self._family, first * self._panes, last * self._panes)
        if columns is not self._columns or kept_panes.names is not self._names:  # rows are numbered anew
            self._columns, self._steps, self._row_numbers_by_table = columns, {}, {}
        self._names = kept_panes.names
        nodes: dict[int, list[SparseCounts]] = {}
        for index in sorted(kept_panes.panes):
            nodes.setdefault(index // self._panes, []).append(kept_panes.panes[index])
        self._steps = {
            step: self._count_step(step, step_nodes, kept_panes) for step, step_nodes in nodes.items()
        }

    def _count_step(self, step: int, nodes: Sequence[SparseCounts], kept_panes: KeptPanes) -> _StepCounts:
        previous = self._steps.get(step)
        if previous is not None and [*map(id, previous.nodes)] == [*map(id, nodes)]:
            return previous
        rows, numbers = np.divmod((entries := kept_panes.projection(concatenate_counts(nodes))).keys, NUMBERS)
        return _StepCounts(
            nodes,
            {name: self._table_entries(name, rows, numbers, entries) for name in self._columns},
            np.unique(rows),
        )

    def _table_entries(
        self, name: str, rows: Integers, numbers: Integers, entries: SparseCounts
    ) -> SparseCounts:
        by_number, width, _ = self._columns[name]
        column = by_number[0][numbers] if len(by_number) == 1 else self._columns_by_row(name, rows, numbers)
        is_counted = column != ABSENT
        total = sum_counts([SparseCounts((rows * width + column)[is_counted], entries.values[is_counted])])
        return SparseCounts(total.keys.astype(np.uint32), total.values.astype(np.int32))

    def _columns_by_row(self, name: str, rows: Integers, numbers: Integers) -> Integers:
        by_number, _, keys = self._columns[name]
        row_numbers = self._row_numbers_by_table.setdefault(name, [])
        row_by_key = {key: number for number, key in enumerate(keys)}
        row_numbers.extend(row_by_key.get(key, ABSENT) for key in self._names[len(row_numbers) :])
        map_rows = np.array(row_numbers, np.int64)[rows]
        return np.where(map_rows == ABSENT, ABSENT, by_number[map_rows, numbers])

    @property
    def keys(self) -> Sequence[str]:
        """Keys of the groups that count anything in these steps; the reader knows others of long ago."""
        if not self._steps:
            return ()
        rows = np.unique(np.concatenate([step_counts.rows for step_counts in self._steps.values()]))
        return [self._names[row] for row in rows.tolist()]

    def table(self, name: str, keys: Sequence[str], first: int, last: int) -> Integers:
        """Return the counts as an array, steps × groups × columns."""
        width = self._columns[name].width
        shape = last - first, len(keys), width
        row_by_key = {key: number for number, key in enumerate(keys)}
        row_of = np.array([row_by_key.get(key, ABSENT) for key in self._names] or [ABSENT], np.int64)
        places, values = self._join_steps(name, first, last)
        steps, rows, columns = places
        is_selected = row_of[rows] != ABSENT
        cells = (steps * len(keys) + row_of[rows]) * width + columns
        totals = np.bincount(cells[is_selected], values[is_selected], shape[0] * shape[1] * width)
        return totals.astype(np.int64).reshape(shape)

    def _join_steps(self, name: str, first: int, last: int) -> tuple[tuple[Integers, ...], Integers]:
        step_entries = [
            (step, step_counts.counts[name])
            for step, step_counts in self._steps.items()
            if first <= step < last
        ]
        steps = np.repeat(
            [step - first for step, _ in step_entries], [len(entries.keys) for _, entries in step_entries]
        )
        keys, values = concatenate_counts([entries for _, entries in step_entries])
        rows, columns = np.divmod(keys, self._columns[name].width)
        return (steps.astype(np.int64), rows, columns), values
