"""Divisions of the observations by queue, team, reason …, as far as a reader knows them.

For the last 50 hours cells are kept: all dimensions of each observation. For earlier hours only groups
are: those of the whole center by each dimension, those of a group by the other dimension of a pair.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.judging.evidence import Floats, Integers
from streamer.alerts.saying.amount import NOTHING, Amount
from streamer.alerts.saying.contributors import Part
from streamer.alerts.saying.stretch import Stretch
from streamer.metrics.tally import FIRST_BUCKET, NUMBERS
from streamer.panes.pane_keys import ALL
from streamer.readings.pyramid import Entries, joined
from streamer.readings.query import key_parts
from streamer.readings.reader import Reader

DIMENSIONS: Final = ("queue", "team", "reason", "channel", "site", "language")
"""Dimensions that divide a figure; not the agent: a machine shall blame nobody."""
_CHUNK: Final = 360
"""Panes processed at a time."""


class Group(NamedTuple):
    by: str
    key: str

    def divisions(self) -> tuple[str, ...]:
        """Return the dimensions that can divide the group: not its own, within which all is one subgroup."""
        own = self.by.split(",")
        return tuple(name for name in DIMENSIONS if name not in own)


class Cells:
    """Observations of one metric in the 10 s panes [first, last). `amounts` 3 × N."""

    def __init__(self, reader: Reader, weights: Floats, first: int, last: int) -> None:
        self._views = reader.cells(first, last)
        self._rows: dict[str, Integers] = {}
        panes = self._views[ALL].panes
        order = sorted(panes)
        parts = [_weighed(order[at : at + _CHUNK], panes, weights) for at in range(0, len(order), _CHUNK)]
        self._panes = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
        self._entries = joined([part[1] for part in parts])
        self._amounts = np.concatenate([part[2] for part in parts], axis=1) if parts else np.empty((3, 0))

    def whole(self, group: Group, first: int, last: int) -> Amount:
        places = self._of(group, first, last)
        return Amount(*self._amounts[:, places].sum(axis=1).tolist())

    def divided(self, group: Group, stretch: Stretch) -> Iterator[list[Part]]:
        """Return a list of subgroups for each division."""
        before = self._of(group, stretch.first, stretch.middle)
        now = self._of(group, stretch.middle, stretch.last)
        for dimension in group.divisions():
            sums = [self._summed(dimension, places) for places in (now, before)]
            yield _parts(dimension, sums[0], sums[1])

    def _of(self, group: Group, first: int, last: int) -> Integers:
        """Return the indexes of the group's entries in these panes."""
        low, high = np.searchsorted(self._panes, [first, last]).tolist()
        if group.by == ALL:
            return np.arange(low, high)
        names = self._views[group.by].names
        row = names.index(group.key) if group.key in names else -1
        found: Integers = low + np.flatnonzero(self._row(group.by)[low:high] == row)
        return found

    def _summed(self, dimension: str, places: Integers) -> dict[str, Amount]:
        rows, names = self._row(dimension)[places], self._views[dimension].names
        sums = np.stack([np.bincount(rows, amounts[places]) for amounts in self._amounts], axis=1)
        held = np.unique(rows).tolist()
        return {names[row]: Amount(*sums[row].tolist()) for row in held}

    def _row(self, by: str) -> Integers:
        if by not in self._rows:
            self._rows[by] = self._views[by].lens(self._entries).keys // NUMBERS
        return self._rows[by]


def _weighed(
    order: Sequence[int], panes: Mapping[int, Entries], weights: Floats
) -> tuple[Integers, Entries, Floats]:
    nodes = [panes[index] for index in order]
    keys, values = joined(nodes)
    indexes = np.repeat(np.array(order, np.int64), [len(node.keys) for node in nodes])
    numbers = keys % NUMBERS
    mine = np.flatnonzero(_weighs(weights)[np.minimum(numbers, FIRST_BUCKET)])
    amounts: Floats = weights[:, numbers[mine]] * values[mine]
    return indexes[mine], Entries(keys[mine], values[mine]), amounts


def _weighs(weights: Floats) -> Integers:
    """Tell for each number whether it has a weight; FIRST_BUCKET stands for all buckets."""
    return np.append(weights.any(axis=0), False)


class Hours:
    """Observations in hours, for the groups that are counted; the methods are those of CellDivisions."""

    def __init__(self, reader: Reader, weights: Floats) -> None:
        self._reader, self._weights = reader, weights
        self._sums: dict[tuple[str, int, int], dict[str, Amount]] = {}

    def whole(self, group: Group, first: int, last: int) -> Amount:
        return self._summed(group.by, first, last).get(group.key, NOTHING)

    def divided(self, group: Group, stretch: Stretch) -> Iterator[list[Part]]:
        for dimension in group.divisions():
            by = self._grouping(group, dimension)
            if by is not None:
                now = self._within(group, dimension, by, stretch.middle, stretch.last)
                before = self._within(group, dimension, by, stretch.first, stretch.middle)
                yield _parts(dimension, now, before)

    def _grouping(self, group: Group, dimension: str) -> str | None:
        if group.by == ALL:
            return dimension
        pairs = (f"{group.by},{dimension}", f"{dimension},{group.by}")
        known = [",".join(pair) for pair in self._reader.pairs]
        return next((pair for pair in pairs if pair in known), None)

    def _within(self, group: Group, dimension: str, by: str, first: int, last: int) -> dict[str, Amount]:
        sums = self._summed(by, first, last)
        if group.by == ALL:
            return sums
        place = by.split(",").index(dimension)
        split = ((key_parts(by, key), amount) for key, amount in sums.items())
        return {parts[place]: amount for parts, amount in split if parts[1 - place] == group.key}

    def _summed(self, by: str, first: int, last: int) -> dict[str, Amount]:
        place = by, first, last
        if place not in self._sums:
            entries, names = self._reader.summed(by, "long", first, last)
            rows, numbers = np.divmod(entries.keys, NUMBERS)
            mine = np.flatnonzero(_weighs(self._weights)[np.minimum(numbers, FIRST_BUCKET)])
            amounts = self._weights[:, numbers[mine]] * entries.values[mine]
            sums = np.stack([np.bincount(rows[mine], one) for one in amounts], axis=1)
            held = np.unique(rows[mine]).tolist()
            self._sums[place] = {names[row]: Amount(*sums[row].tolist()) for row in held}
        return self._sums[place]


def _parts(dimension: str, now: Mapping[str, Amount], before: Mapping[str, Amount]) -> list[Part]:
    keys = dict.fromkeys((*now, *before))
    return [Part(dimension, key, now.get(key, NOTHING), before.get(key, NOTHING)) for key in keys]
