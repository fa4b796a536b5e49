"""Here are the counts of one window by group: its sum, cut into rows once."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

import numpy as np

from streamer.metrics.tally import BUCKETS, FIRST_BUCKET, FIRST_BUCKET_OF, NUMBER, NUMBERS
from streamer.readings.columns import WIDE, Numbered
from streamer.readings.pyramid import NONE, Entries, Integers


class RowCounts:
    """The counts of one row; numbers ascend."""

    def __init__(self, numbers: list[int], values: list[int]) -> None:
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
    """Counts by key, and the number of agents with an answered segment."""

    def __init__(self, total: Entries, rows: Numbered, agents: Entries = NONE) -> None:
        numbers, starts = np.divmod(total.keys, NUMBERS)[1], _starts(total.keys // NUMBERS)
        found = (total.keys[starts] // NUMBERS).tolist()
        self._numbers, self._values = numbers, total.values
        self._slices: dict[str, tuple[int, int]] = {
            rows.names[row]: cut
            for row, cut in zip(found, zip(starts.tolist(), _ends(starts, total), strict=True), strict=True)
        }
        self._counts: dict[str, RowCounts] = {}
        self._agents = _agents(agents, rows)

    @property
    def keys(self) -> list[str]:
        return list(self._slices)

    def counts(self, key: str) -> RowCounts:
        if key not in self._counts and key in self._slices:
            low, high = self._slices[key]
            self._counts[key] = RowCounts(self._numbers[low:high].tolist(), self._values[low:high].tolist())
        return self._counts.get(key, NOTHING)

    def agents(self, key: str) -> int:
        return self._agents.get(key, 0)


def _starts(rows: Integers) -> Integers:
    """Where each row begins."""
    if not len(rows):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))


def _ends(starts: Integers, total: Entries) -> list[int]:
    return [*starts[1:].tolist(), len(total.keys)] if len(starts) else []


def _agents(agents: Entries, rows: Numbered) -> Mapping[str, int]:
    found, counts = np.unique(agents.keys // WIDE, return_counts=True)
    return {rows.names[row]: count for row, count in zip(found.tolist(), counts.tolist(), strict=True)}


EMPTY: Final = Table(NONE, Numbered())
