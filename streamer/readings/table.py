"""Split the sum of one window into counts by group."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

import numpy as np

from streamer.metrics.formulas import Figure
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET, FIRST_BUCKET_OF, NUMBER, NUMBERS
from streamer.readings.columns import WIDE, Numbered
from streamer.readings.pyramid import NONE, Entries, Integers


class RowCounts:
    """The counts of one group: counter numbers, ascending, and their values.

    >>> counts = RowCounts([NUMBER["answered"]], [7])
    >>> counts["answered"], counts["offered"]
    (7, 0)
    """

    def __init__(self, numbers: list[int], values: list[int]) -> None:
        self.figures: dict[tuple[str, str], Figure] = {}
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


NOTHING: Final = RowCounts([], [])


class Table:
    """Counts by key of the group, and the number of its agents with an answered segment."""

    def __init__(self, total: Entries, rows: Numbered, agents: Entries = NONE) -> None:
        self._total, self._rows = total, rows
        self._found, self._begins, self._ends = _slices(total.keys)
        self._counts: dict[str, RowCounts] = {}
        self._agents = _agents(agents, rows)

    def keep(self, before: "Table", changed: Integers) -> None:
        """Reuse the row counts, with their cached figures, that `earlier` has of rows not `changed`."""
        self._counts = before._counts.copy()
        for row in changed.tolist():
            self._counts.pop(self._rows.names[row], None)

    @property
    def keys(self) -> list[str]:
        return [self._rows.names[row] for row in self._found]

    def counts(self, key: str) -> RowCounts:
        found = self._counts.get(key)
        if found is None and (row := self._rows.get(key)) is not None:
            at = bisect_left(self._found, row)
            if at < len(self._found) and self._found[at] == row:
                found = self._counts[key] = self._cut(row, slice(self._begins[at], self._ends[at]))
        return NOTHING if found is None else found

    def _cut(self, row: int, where: slice) -> RowCounts:
        numbers, values = self._total.keys[where] - row * NUMBERS, self._total.values[where]
        return RowCounts(numbers.tolist(), values.tolist())

    def agents(self, key: str) -> int:
        return self._agents.get(key, 0)


def _slices(keys: Integers) -> tuple[list[int], list[int], list[int]]:
    """Return the non-empty rows, ascending, and where each begins and ends in `keys`. Searching for the edges
    is faster than dividing all keys."""
    if not len(keys):
        return [], [], []
    first, last = int(keys[0]) // NUMBERS, int(keys[-1]) // NUMBERS
    edges = np.searchsorted(keys, np.arange(first, last + 2) * NUMBERS)
    found = np.flatnonzero(edges[1:] > edges[:-1])
    return (found + first).tolist(), edges[found].tolist(), edges[found + 1].tolist()


def _agents(agents: Entries, rows: Numbered) -> Mapping[str, int]:
    found, counts = np.unique(agents.keys // WIDE, return_counts=True)
    return {rows.names[row]: count for row, count in zip(found.tolist(), counts.tolist(), strict=True)}


EMPTY: Final = Table(NONE, Numbered())
