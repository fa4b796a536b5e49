"""Sum sparse counts exactly over runs of panes.

`SparseCounts` are integer values by key; a key is a field's number times a width plus the counter's number.
`PaneCounts` hold the current counts of each pane. A `PanePyramid` reads them through a projection, such as
"by queue", and caches sums of whole blocks of panes. A `RollingSum` keeps the sum of one window and updates
it by the panes that enter and leave.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Final, NamedTuple
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


class SparseCounts(NamedTuple):
    """Integer values by key, in two arrays of equal length. In a sum keys ascend, each occurs once, and no
    value is 0."""

    keys: Integers
    values: Integers

    def select(self, mask: Bools) -> "SparseCounts":
        return SparseCounts(self.keys[mask], self.values[mask])

    def between(self, low: int, high: int) -> "SparseCounts":
        """Return the entries with low <= key < high."""
        return self.select((self.keys >= low) & (self.keys < high))


NO_COUNTS: Final = SparseCounts(np.empty(0, np.int64), np.empty(0, np.int64))
Projection = Callable[[SparseCounts], SparseCounts]
"""A map from the keys of panes to keys of groups; it may leave entries out."""


def sparse_counts(keys: Iterable[int], values: Iterable[int]) -> SparseCounts:
    return SparseCounts(np.fromiter(keys, np.int64), np.fromiter(values, np.int64))


def concatenate_counts(parts: Sequence[SparseCounts]) -> SparseCounts:
    """Concatenate them, unsorted and not summed."""
    if not parts:
        return NO_COUNTS
    return SparseCounts(
        np.concatenate([counts.keys for counts in parts], dtype=np.int64),
        np.concatenate([counts.values for counts in parts], dtype=np.int64),
    )


def split_by_pane(parts: Sequence[tuple[Integers, SparseCounts]]) -> dict[int, SparseCounts]:
    """Return the entries by pane. Each part comes with the pane of each of its entries."""
    if not parts:
        return {}
    pane_of_entry = np.concatenate([panes for panes, _ in parts])
    keys, values = concatenate_counts([counts for _, counts in parts])
    if len(pane_of_entry) and pane_of_entry.min() == pane_of_entry.max():
        return {int(pane_of_entry[0]): SparseCounts(keys, values)}
    order = np.argsort(pane_of_entry, kind="stable")
    panes, starts = np.unique(pane_of_entry[order], return_index=True)
    groups = zip(np.split(keys[order], starts[1:]), np.split(values[order], starts[1:]), strict=True)
    return {
        pane_index: SparseCounts(*group) for pane_index, group in zip(panes.tolist(), groups, strict=False)
    }


def negate_counts(counts: SparseCounts) -> SparseCounts:
    return SparseCounts(counts.keys, -counts.values.astype(np.int64))


def sum_counts(parts: Sequence[SparseCounts]) -> SparseCounts:
    """Return their sum; uses a dense array if keys lie close together, else sorts, ten times as slow.

    >>> total = sum_counts([sparse_counts([1, 9], [5, 1]), sparse_counts([1, 4], [2, -3])])
    >>> total.keys.tolist(), total.values.tolist()
    ([1, 4, 9], [7, -3, 1])
    """
    keys, values = concatenate_counts(parts)
    if not len(keys):
        return NO_COUNTS
    low, high = int(keys.min()), int(keys.max())
    if high - low < 8 * len(keys):
        return _sum_dense(keys, values, low, high)
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return _drop_zeros(SparseCounts(keys[starts], np.add.reduceat(values[order], starts)))


def _sum_dense(keys: Integers, values: Integers, low: int, high: int) -> SparseCounts:
    sums = np.zeros(high - low + 1, np.int64)
    np.add.at(sums, keys - low, values)
    nonzero = np.flatnonzero(sums)
    return SparseCounts(nonzero + low, sums[nonzero])


def add_counts(base: SparseCounts, delta: SparseCounts) -> SparseCounts:
    """Add two sums; fast if the second is short. Neither is changed.

    >>> total = add_counts(sparse_counts([1, 9], [5, 1]), sparse_counts([4, 9], [3, -1]))
    >>> total.keys.tolist(), total.values.tolist()
    ([1, 4], [5, 3])
    """
    if not len(base.keys) or not len(delta.keys):
        return delta if not len(base.keys) else base
    positions = np.searchsorted(base.keys, delta.keys)
    matched = base.keys[np.minimum(positions, len(base.keys) - 1)] == delta.keys
    values = base.values.astype(np.int64)
    values[positions[matched]] += delta.values[matched]
    if matched.all():
        return _drop_zeros(SparseCounts(base.keys, values))
    unmatched = ~matched
    keys = np.insert(base.keys.astype(np.int64), positions[unmatched], delta.keys[unmatched])
    return _drop_zeros(SparseCounts(keys, np.insert(values, positions[unmatched], delta.values[unmatched])))


def merge_sums(sums: Sequence[SparseCounts]) -> SparseCounts:
    """Add any number of sums, pairwise."""
    return reduce(add_counts, sums, NO_COUNTS)


def _drop_zeros(total: SparseCounts) -> SparseCounts:
    return total if total.values.all() else total.select(total.values != 0)


def _narrow(total: SparseCounts) -> SparseCounts:
    """Store keys and values in 32 bits where they fit, which halves the memory."""
    keys, values = total
    if len(keys) and keys[-1] < 2**32:
        keys = keys.astype(np.uint32)
    if len(values) and values.min() >= -(2**31) and values.max() < 2**31:
        values = values.astype(np.int32)
    return SparseCounts(keys, values)


class PaneCounts:
    """The current counts of each pane. A key is field * width + number of the counter."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.floor = 0
        """Panes before this one were dropped."""
        self._panes: dict[int, SparseCounts] = {}
        self._dependents: WeakSet[PanePyramid | RollingSum] = WeakSet()

    def add_dependent(self, dependent: "PanePyramid | RollingSum") -> None:
        """Call `dependent.add` for every change from now on, while it is referenced elsewhere."""
        self._dependents.add(dependent)

    def put(self, pane: int, parts: Sequence[SparseCounts], whole: bool) -> None:
        """Add counts to a pane; if `whole`, they replace all it held."""
        if pane < self.floor:
            return
        current = self._panes.get(pane, NO_COUNTS)
        delta = sum_counts([*parts, negate_counts(current)] if whole else parts)
        if len(delta.keys):
            self._panes[pane] = _narrow(add_counts(current, delta))
            for dependent in self._dependents:
                dependent.add(pane, delta)

    def counts_of(self, pane: int) -> SparseCounts:
        return self._panes.get(pane, NO_COUNTS)

    def filled_panes(self, first: int, last: int) -> list[int]:
        """Return the panes of [first, last) that hold something, unordered."""
        if last - first > len(self._panes):
            return [pane for pane in self._panes if first <= pane < last]
        return [pane for pane in range(first, last) if pane in self._panes]

    def concatenated(self, first: int, last: int) -> SparseCounts:
        """Concatenate the entries of the panes [first, last), not summed."""
        stored = (self._panes.get(pane) for pane in range(first, last))
        return concatenate_counts([node for node in stored if node is not None])

    def drop_before(self, pane: int) -> None:
        if pane > self.floor:
            self.floor = pane
            self._panes = {index: node for index, node in self._panes.items() if index >= pane}

    def field_count(self) -> int:
        """Return the number of different fields in all panes."""
        fields = [np.unique(node.keys // self.width) for node in self._panes.values()]
        return len(np.unique(np.concatenate(fields))) if fields else 0

    def entry_count(self) -> int:
        """Return the number of entries in memory."""
        return sum(len(node.keys) for node in self._panes.values())


class _PaneBlock:
    """The sum of a block of panes, and the changes not yet added to it."""

    def __init__(self, total: SparseCounts) -> None:
        self._total = _narrow(total)
        self._pending: list[SparseCounts] = []

    def add(self, delta: SparseCounts) -> None:
        self._pending.append(delta)

    @property
    def pending_count(self) -> int:
        return len(self._pending)

    def total(self, projection: Projection) -> SparseCounts:
        if self._pending:
            self._total = _narrow(
                add_counts(self._total, sum_counts([projection(concatenate_counts(self._pending))]))
            )
            self._pending = []
        return self._total


MAX_PENDING: Final = 5_000
"""A cached sum is dropped after so many changes without a read, and computed anew when read."""


class PanePyramid:
    """Panes read through a projection, with cached sums of blocks of `sizes` panes (ascending, each a
    multiple of the one before).

    >>> panes = PaneCounts(width=10)
    >>> for pane, answered in ((100, 4), (101, 2), (103, 1)):
    ...     panes.put(pane, [sparse_counts([7], [answered])], whole=False)
    >>> PanePyramid(panes, (2, 4), lambda counts: counts).total(100, 104).values.tolist()
    [7]
    """

    def __init__(self, panes: PaneCounts, sizes: Sequence[int], projection: Projection) -> None:
        self.panes = panes
        self.projection = projection
        self._levels: list[tuple[int, dict[int, _PaneBlock]]] = [(size, {}) for size in sizes]
        panes.add_dependent(self)

    def add(self, pane: int, delta: SparseCounts) -> None:
        """Take note of a `delta` that was added to this pane."""
        for size, blocks in self._levels:
            block = blocks.get(pane // size)
            if block is not None:
                block.add(delta)
                if block.pending_count > MAX_PENDING:
                    del blocks[pane // size]

    def partial_sums(self, first: int, last: int) -> list[SparseCounts]:
        """Return the fewest cached sums that add up to the panes [first, last)."""
        return self._partial_sums(first, last, len(self._levels) - 1)

    def total(self, first: int, last: int) -> SparseCounts:
        return sum_counts(self.partial_sums(first, last))

    def _partial_sums(self, first: int, last: int, level: int) -> list[SparseCounts]:
        if first >= last:
            return []
        if level < 0:
            return [self.projection(self.panes.concatenated(first, last))]
        size, _ = self._levels[level]
        low, high = -(-first // size), last // size
        if low >= high:
            return self._partial_sums(first, last, level - 1)
        return [
            *self._partial_sums(first, low * size, level - 1),
            *(self._block(level, index).total(self.projection) for index in range(low, high)),
            *self._partial_sums(high * size, last, level - 1),
        ]

    def _block(self, level: int, index: int) -> _PaneBlock:
        size, blocks = self._levels[level]
        if index not in blocks:
            blocks[index] = _PaneBlock(
                sum_counts(self._partial_sums(index * size, (index + 1) * size, level - 1))
            )
        return blocks[index]

    def drop_before(self, pane: int) -> None:
        for size, blocks in self._levels:
            for index in [index for index in blocks if (index + 1) * size <= pane]:
                del blocks[index]


class RollingSum:
    """The sum of one window, moved along instead of computed anew; if given, only of low <= key < high.

    >>> panes = PaneCounts(width=10)
    >>> last_two = RollingSum(PanePyramid(panes, (6,), lambda counts: counts))
    >>> panes.put(100, [sparse_counts([7], [4])], whole=False)
    >>> last_two.total(99, 101).values.tolist()
    [4]
    >>> panes.put(101, [sparse_counts([7], [2])], whole=False)
    >>> last_two.total(100, 102).values.tolist()
    [6]
    """

    def __init__(self, pyramid: PanePyramid, low: int | None = None, high: int | None = None) -> None:
        self._pyramid = pyramid
        self._bounds = None if low is None or high is None else (low, high)
        self._first = self._last = 0
        self._total = NO_COUNTS
        self._pending: list[SparseCounts] = []
        self.version = 0
        """Increases whenever the sum changes."""
        self.delta: SparseCounts | None = None
        """The difference from the version before; None: this version was computed anew."""
        pyramid.panes.add_dependent(self)

    def add(self, pane: int, delta: SparseCounts) -> None:
        """Take note of a `delta` that was added to this pane."""
        if self._first <= pane < self._last:
            self._pending.append(delta)
            if len(self._pending) > MAX_PENDING:
                self._reset(0, 0, NO_COUNTS)

    def total(self, first: int, last: int) -> SparseCounts:
        """Return the current sum of the panes [first, last); the arrays returned never change."""
        if self._is_far(first, last):
            self._reset(first, last, self._sum_in_bounds(self._pyramid.partial_sums(first, last)))
            return self._total
        delta = self._sum_in_bounds(
            [self._pyramid.projection(concatenate_counts(self._pending)), *self._moved_panes(first, last)]
        )
        self._reset(first, last, add_counts(self._total, delta))
        if len(delta.keys):
            self.delta = delta
        return self._total

    def _reset(self, first: int, last: int, total: SparseCounts) -> None:
        if total is not self._total:
            self.version, self.delta = self.version + 1, None
        self._first, self._last, self._total, self._pending = first, last, total, []

    def _is_far(self, first: int, last: int) -> bool:
        moved = abs(first - self._first) + abs(last - self._last)
        return self._first < self._pyramid.panes.floor or 2 * moved > last - first

    def _moved_panes(self, first: int, last: int) -> list[SparseCounts]:
        entering = [
            *self._pyramid.partial_sums(self._last, last),
            *self._pyramid.partial_sums(first, self._first),
        ]
        leaving = [
            *self._pyramid.partial_sums(self._first, first),
            *self._pyramid.partial_sums(last, self._last),
        ]
        return [*entering, *(negate_counts(counts) for counts in leaving)]

    def _sum_in_bounds(self, parts: Sequence[SparseCounts]) -> SparseCounts:
        if self._bounds is not None:
            parts = [counts.between(*self._bounds) for counts in parts]
        return sum_counts(parts)
