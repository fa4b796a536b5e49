"""Divisions of the observations by queue, team, reason …, as far as a reader knows them.

For the last 50 hours cells are kept: all dimensions of each observation. For earlier hours only groups
are: those of the whole center by each dimension, those of a group by the other dimension of a pair.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.messages.compared_panes import ComparedPanes
from streamer.alerts.messages.contributors import SubgroupSums
from streamer.alerts.messages.observation_sum import NO_OBSERVATIONS, ObservationSum
from streamer.alerts.statistics.evidence import Floats, Integers
from streamer.metrics.tally import FIRST_BUCKET, NUMBERS
from streamer.panes.pane_keys import ALL
from streamer.readings.pane_sums import SparseCounts, concatenate_counts
from streamer.readings.query import key_values
from streamer.readings.reader import MetricsReader

DIVIDING_DIMENSIONS: Final = ("queue", "team", "reason", "channel", "site", "language")
"""Dimensions that divide a figure; not the agent: a machine shall blame nobody."""
_CHUNK_PANES: Final = 360
"""Panes processed at a time."""


class AlertGroup(NamedTuple):
    by: str
    key: str

    def divisions(self) -> tuple[str, ...]:
        """Return the dimensions that can divide the group: not its own, within which all is one subgroup."""
        own_dimensions = self.by.split(",")
        return tuple(name for name in DIVIDING_DIMENSIONS if name not in own_dimensions)


class CellDivisions:
    """Observations of one metric in the 10 s panes [first, last). `amounts` 3 × N."""

    def __init__(self, reader: MetricsReader, weights: Floats, first: int, last: int) -> None:
        self._views = reader.panes_by_grouping(first, last)
        self._rows: dict[str, Integers] = {}
        panes = self._views[ALL].panes
        order = sorted(panes)
        chunks = [
            _weigh_panes(order[start : start + _CHUNK_PANES], panes, weights)
            for start in range(0, len(order), _CHUNK_PANES)
        ]
        self._panes = np.concatenate([chunk[0] for chunk in chunks]) if chunks else np.empty(0, np.int64)
        self._entries = concatenate_counts([chunk[1] for chunk in chunks])
        self._amounts = np.concatenate([chunk[2] for chunk in chunks], axis=1) if chunks else np.empty((3, 0))

    def total(self, group: AlertGroup, first: int, last: int) -> ObservationSum:
        indexes = self._entry_indexes(group, first, last)
        return ObservationSum(*self._amounts[:, indexes].sum(axis=1).tolist())

    def divide(self, group: AlertGroup, stretch: ComparedPanes) -> Iterator[list[SubgroupSums]]:
        """Return a list of subgroups for each division."""
        before = self._entry_indexes(group, stretch.first, stretch.middle)
        now = self._entry_indexes(group, stretch.middle, stretch.last)
        for dimension in group.divisions():
            sums = [self._sum_by_key(dimension, indexes) for indexes in (now, before)]
            yield _pair_subgroups(dimension, sums[0], sums[1])

    def _entry_indexes(self, group: AlertGroup, first: int, last: int) -> Integers:
        """Return the indexes of the group's entries in these panes."""
        low, high = np.searchsorted(self._panes, [first, last]).tolist()
        if group.by == ALL:
            return np.arange(low, high)
        names = self._views[group.by].names
        row = names.index(group.key) if group.key in names else -1
        indexes: Integers = low + np.flatnonzero(self._row_numbers(group.by)[low:high] == row)
        return indexes

    def _sum_by_key(self, dimension: str, indexes: Integers) -> dict[str, ObservationSum]:
        rows, names = self._row_numbers(dimension)[indexes], self._views[dimension].names
        sums = np.stack([np.bincount(rows, amounts[indexes]) for amounts in self._amounts], axis=1)
        filled_rows = np.unique(rows).tolist()
        return {names[row]: ObservationSum(*sums[row].tolist()) for row in filled_rows}

    def _row_numbers(self, by: str) -> Integers:
        if by not in self._rows:
            self._rows[by] = self._views[by].projection(self._entries).keys // NUMBERS
        return self._rows[by]


def _weigh_panes(
    order: Sequence[int], panes: Mapping[int, SparseCounts], weights: Floats
) -> tuple[Integers, SparseCounts, Floats]:
    nodes = [panes[index] for index in order]
    keys, values = concatenate_counts(nodes)
    indexes = np.repeat(np.array(order, np.int64), [len(node.keys) for node in nodes])
    numbers = keys % NUMBERS
    is_weighed = np.flatnonzero(_has_weight(weights)[np.minimum(numbers, FIRST_BUCKET)])
    amounts: Floats = weights[:, numbers[is_weighed]] * values[is_weighed]
    return indexes[is_weighed], SparseCounts(keys[is_weighed], values[is_weighed]), amounts


def _has_weight(weights: Floats) -> Integers:
    """Tell for each number whether it has a weight; FIRST_BUCKET stands for all buckets."""
    return np.append(weights.any(axis=0), False)


class HourDivisions:
    """Observations in hours, for the groups that are counted; the methods are those of CellDivisions."""

    def __init__(self, reader: MetricsReader, weights: Floats) -> None:
        self._reader, self._weights = reader, weights
        self._sums: dict[tuple[str, int, int], dict[str, ObservationSum]] = {}

    def total(self, group: AlertGroup, first: int, last: int) -> ObservationSum:
        return self._sum_by_key(group.by, first, last).get(group.key, NO_OBSERVATIONS)

    def divide(self, group: AlertGroup, stretch: ComparedPanes) -> Iterator[list[SubgroupSums]]:
        for dimension in group.divisions():
            by = self._pair_grouping(group, dimension)
            if by is not None:
                now = self._sum_within(group, dimension, by, stretch.middle, stretch.last)
                before = self._sum_within(group, dimension, by, stretch.first, stretch.middle)
                yield _pair_subgroups(dimension, now, before)

    def _pair_grouping(self, group: AlertGroup, dimension: str) -> str | None:
        if group.by == ALL:
            return dimension
        pairs = (f"{group.by},{dimension}", f"{dimension},{group.by}")
        known_pairs = [",".join(pair) for pair in self._reader.pairs]
        return next((pair for pair in pairs if pair in known_pairs), None)

    def _sum_within(
        self, group: AlertGroup, dimension: str, by: str, first: int, last: int
    ) -> dict[str, ObservationSum]:
        sums = self._sum_by_key(by, first, last)
        if group.by == ALL:
            return sums
        position = by.split(",").index(dimension)
        split_keys = ((key_values(by, key), amount) for key, amount in sums.items())
        return {
            group_values[position]: amount
            for group_values, amount in split_keys
            if group_values[1 - position] == group.key
        }

    def _sum_by_key(self, by: str, first: int, last: int) -> dict[str, ObservationSum]:
        cache_key = by, first, last
        if cache_key not in self._sums:
            entries, names = self._reader.summed_panes(by, "long", first, last)
            rows, numbers = np.divmod(entries.keys, NUMBERS)
            is_weighed = np.flatnonzero(_has_weight(self._weights)[np.minimum(numbers, FIRST_BUCKET)])
            amounts = self._weights[:, numbers[is_weighed]] * entries.values[is_weighed]
            sums = np.stack([np.bincount(rows[is_weighed], weighted) for weighted in amounts], axis=1)
            filled_rows = np.unique(rows[is_weighed]).tolist()
            self._sums[cache_key] = {names[row]: ObservationSum(*sums[row].tolist()) for row in filled_rows}
        return self._sums[cache_key]


def _pair_subgroups(
    dimension: str, now: Mapping[str, ObservationSum], before: Mapping[str, ObservationSum]
) -> list[SubgroupSums]:
    keys = dict.fromkeys((*now, *before))
    return [
        SubgroupSums(dimension, key, now.get(key, NO_OBSERVATIONS), before.get(key, NO_OBSERVATIONS))
        for key in keys
    ]
