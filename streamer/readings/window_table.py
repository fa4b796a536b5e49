"""Split the sum of one window into counts by group."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

import numpy as np

from streamer.metrics.formulas import MetricFigure
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET, FIRST_BUCKET_OF, NUMBER, NUMBERS
from streamer.readings.pane_families import AGENT_WIDTH
from streamer.readings.pane_sums import NO_COUNTS, Integers, SparseCounts, sum_counts
from streamer.readings.string_table import StringTable


class RowCounts:
    """The counts of one group: counter numbers, ascending, and their values.

    >>> counts = RowCounts([NUMBER["answered"]], [7])
    >>> counts["answered"], counts["offered"]
    (7, 0)
    """

    def __init__(self, numbers: list[int], values: list[int]) -> None:
        self.figures: dict[tuple[str, str], MetricFigure] = {}
        """Cached figures by metric and stat, if they depend on these counts alone, which do not change."""
        self._numbers, self._values = numbers, values
        plain = bisect_left(numbers, FIRST_BUCKET)
        self._plain = dict(zip(numbers[:plain], values, strict=False))

    def __getitem__(self, name: str, /) -> int:
        return self._plain.get(NUMBER[name], 0)

    def histogram(self, duration: str, /) -> list[tuple[int, int]]:
        first = FIRST_BUCKET_OF[duration]
        low = bisect_left(self._numbers, first)
        high = bisect_left(self._numbers, first + BUCKETS, low)
        return [(number - first, self._values[low + at]) for at, number in enumerate(self._numbers[low:high])]


NO_ROW_COUNTS: Final = RowCounts([], [])


class WindowTable:
    """Counts by key of the group, and the number of its agents with an answered segment."""

    def __init__(self, total: SparseCounts, rows: StringTable, agents: SparseCounts = NO_COUNTS) -> None:
        self._total, self._rows = total, rows
        self._row_numbers, self._begins, self._ends = _row_slices(total.keys)
        self._counts: dict[str, RowCounts] = {}
        self._agents = _agent_counts(agents, rows)

    def reuse_rows(self, earlier: "WindowTable", changed: Integers) -> None:
        """Reuse the row counts, with their cached figures, that `earlier` has of rows not `changed`."""
        self._counts = earlier._counts.copy()
        for row in changed.tolist():
            self._counts.pop(self._rows.names[row], None)

    @property
    def keys(self) -> list[str]:
        return [self._rows.names[row] for row in self._row_numbers]

    def counts(self, key: str) -> RowCounts:
        row_counts = self._counts.get(key)
        if row_counts is None and (row := self._rows.get(key)) is not None:
            position = bisect_left(self._row_numbers, row)
            if position < len(self._row_numbers) and self._row_numbers[position] == row:
                row_counts = self._counts[key] = self._cut_row(
                    row, slice(self._begins[position], self._ends[position])
                )
        return NO_ROW_COUNTS if row_counts is None else row_counts

    def _cut_row(self, row: int, row_slice: slice) -> RowCounts:
        numbers, values = self._total.keys[row_slice] - row * NUMBERS, self._total.values[row_slice]
        return RowCounts(numbers.tolist(), values.tolist())

    def agents(self, key: str) -> int:
        return self._agents.get(key, 0)


def renumber_rows(counts: SparseCounts, rows: StringTable, other_rows: StringTable) -> SparseCounts:
    """Return counts of the rows of one table by the numbers of the same names in another one, which gets what
    it lacks."""
    numbers, place = np.unique(counts.keys // NUMBERS, return_inverse=True)
    other_numbers = np.array([other_rows.add(rows.names[number]) for number in numbers.tolist()], np.int64)
    return sum_counts([SparseCounts(other_numbers[place] * NUMBERS + counts.keys % NUMBERS, counts.values)])


def _row_slices(keys: Integers) -> tuple[list[int], list[int], list[int]]:
    """Return the non-empty rows, ascending, and where each begins and ends in `keys`. Searching for the edges
    is faster than dividing all keys."""
    if not len(keys):
        return [], [], []
    first, last = int(keys[0]) // NUMBERS, int(keys[-1]) // NUMBERS
    edges = np.searchsorted(keys, np.arange(first, last + 2) * NUMBERS)
    present = np.flatnonzero(edges[1:] > edges[:-1])
    return (present + first).tolist(), edges[present].tolist(), edges[present + 1].tolist()


def _agent_counts(agents: SparseCounts, rows: StringTable) -> Mapping[str, int]:
    agent_rows, counts = np.unique(agents.keys // AGENT_WIDTH, return_counts=True)
    return {rows.names[row]: count for row, count in zip(agent_rows.tolist(), counts.tolist(), strict=True)}


EMPTY_TABLE: Final = WindowTable(NO_COUNTS, StringTable())
