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


class Entries(NamedTuple):
    """Integer values by key, in two arrays of equal length. In a sum keys ascend, each occurs once, and no
    value is 0."""

    keys: Integers
    values: Integers

    def only(self, mask: Bools) -> "Entries":
        return Entries(self.keys[mask], self.values[mask])

    def between(self, low: int, high: int) -> "Entries":
        """Return the entries with low <= key < high."""
        return self.only((self.keys >= low) & (self.keys < high))


NONE: Final = Entries(np.empty(0, np.int64), np.empty(0, np.int64))
Lens = Callable[[Entries], Entries]
"""A map from the keys of panes to keys of groups; it may leave entries out."""


def entries(keys: Iterable[int], values: Iterable[int]) -> Entries:
    return Entries(np.fromiter(keys, np.int64), np.fromiter(values, np.int64))


def joined(parts: Sequence[Entries]) -> Entries:
    """Concatenate them, unsorted and not summed."""
    if not parts:
        return NONE
    return Entries(
        np.concatenate([part.keys for part in parts], dtype=np.int64),
        np.concatenate([part.values for part in parts], dtype=np.int64),
    )


def by_pane(parts: Sequence[tuple[Integers, Entries]]) -> dict[int, Entries]:
    """Return the entries by pane. Each part comes with the pane of each of its entries."""
    if not parts:
        return {}
    pane = np.concatenate([panes for panes, _ in parts])
    keys, values = joined([part for _, part in parts])
    if len(pane) and pane.min() == pane.max():
        return {int(pane[0]): Entries(keys, values)}
    order = np.argsort(pane, kind="stable")
    panes, starts = np.unique(pane[order], return_index=True)
    groups = zip(np.split(keys[order], starts[1:]), np.split(values[order], starts[1:]), strict=True)
    return {at: Entries(*group) for at, group in zip(panes.tolist(), groups, strict=False)}


def negative(part: Entries) -> Entries:
    return Entries(part.keys, -part.values.astype(np.int64))


def summed(parts: Sequence[Entries]) -> Entries:
    """Return their sum; uses a dense array if keys lie close together, else sorts, ten times as slow.

    >>> total = summed([entries([1, 9], [5, 1]), entries([1, 4], [2, -3])])
    >>> total.keys.tolist(), total.values.tolist()
    ([1, 4, 9], [7, -3, 1])
    """
    keys, values = joined(parts)
    if not len(keys):
        return NONE
    low, high = int(keys.min()), int(keys.max())
    if high - low < 8 * len(keys):
        return _summed_dense(keys, values, low, high)
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return _nonzero(Entries(keys[starts], np.add.reduceat(values[order], starts)))


def _summed_dense(keys: Integers, values: Integers, low: int, high: int) -> Entries:
    sums = np.zeros(high - low + 1, np.int64)
    np.add.at(sums, keys - low, values)
    found = np.flatnonzero(sums)
    return Entries(found + low, sums[found])


def plus(base: Entries, delta: Entries) -> Entries:
    """Add two sums; fast if the second is short. Neither is changed.

    >>> total = plus(entries([1, 9], [5, 1]), entries([4, 9], [3, -1]))
    >>> total.keys.tolist(), total.values.tolist()
    ([1, 4], [5, 3])
    """
    if not len(base.keys) or not len(delta.keys):
        return delta if not len(base.keys) else base
    at = np.searchsorted(base.keys, delta.keys)
    known = base.keys[np.minimum(at, len(base.keys) - 1)] == delta.keys
    values = base.values.astype(np.int64)
    values[at[known]] += delta.values[known]
    if known.all():
        return _nonzero(Entries(base.keys, values))
    new = ~known
    keys = np.insert(base.keys.astype(np.int64), at[new], delta.keys[new])
    return _nonzero(Entries(keys, np.insert(values, at[new], delta.values[new])))


def merged(sums: Sequence[Entries]) -> Entries:
    """Add any number of sums, pairwise."""
    return reduce(plus, sums, NONE)


def _nonzero(total: Entries) -> Entries:
    return total if total.values.all() else total.only(total.values != 0)


def _packed(total: Entries) -> Entries:
    """Store keys and values in 32 bits where they fit, which halves the memory."""
    keys, values = total
    if len(keys) and keys[-1] < 2**32:
        keys = keys.astype(np.uint32)
    if len(values) and values.min() >= -(2**31) and values.max() < 2**31:
        values = values.astype(np.int32)
    return Entries(keys, values)


class Leaves:
    """The current counts of each pane. A key is field * width + number of the counter."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.floor = 0
        """Panes before this one were dropped."""
        self._nodes: dict[int, Entries] = {}
        self._sums: WeakSet[Pyramid | Rolling] = WeakSet()

    def watch(self, total: "Pyramid | Rolling") -> None:
        """Call `dependent.add` for every change from now on, while it is referenced elsewhere."""
        self._sums.add(total)

    def put(self, pane: int, parts: Sequence[Entries], whole: bool) -> None:
        """Add counts to a pane; if `whole`, they replace all it held."""
        if pane < self.floor:
            return
        node = self._nodes.get(pane, NONE)
        delta = summed([*parts, negative(node)] if whole else parts)
        if len(delta.keys):
            self._nodes[pane] = _packed(plus(node, delta))
            for total in self._sums:
                total.add(pane, delta)

    def pane(self, pane: int) -> Entries:
        return self._nodes.get(pane, NONE)

    def panes(self, first: int, last: int) -> list[int]:
        """Return the panes of [first, last) that hold something, unordered."""
        if last - first > len(self._nodes):
            return [pane for pane in self._nodes if first <= pane < last]
        return [pane for pane in range(first, last) if pane in self._nodes]

    def joined(self, first: int, last: int) -> Entries:
        """Concatenate the entries of the panes [first, last), not summed."""
        found = (self._nodes.get(pane) for pane in range(first, last))
        return joined([node for node in found if node is not None])

    def drop_before(self, pane: int) -> None:
        if pane > self.floor:
            self.floor = pane
            self._nodes = {index: node for index, node in self._nodes.items() if index >= pane}

    def size(self) -> int:
        """Return the number of entries in memory."""
        return sum(len(node.keys) for node in self._nodes.values())


class _Block:
    """The sum of a block of panes, and the changes not yet added to it."""

    def __init__(self, total: Entries) -> None:
        self._total = _packed(total)
        self._late: list[Entries] = []

    def add(self, delta: Entries) -> None:
        self._late.append(delta)

    @property
    def late(self) -> int:
        return len(self._late)

    def total(self, lens: Lens) -> Entries:
        if self._late:
            self._total = _packed(plus(self._total, summed([lens(joined(self._late))])))
            self._late = []
        return self._total


LATE_AT_MOST: Final = 5_000
"""A cached sum is dropped after so many changes without a read, and computed anew when read."""


class Pyramid:
    """Panes read through a projection, with cached sums of blocks of `sizes` panes (ascending, each a
    multiple of the one before).

    >>> panes = Leaves(width=10)
    >>> for pane, answered in ((100, 4), (101, 2), (103, 1)):
    ...     panes.put(pane, [entries([7], [answered])], whole=False)
    >>> Pyramid(panes, (2, 4), lambda counts: counts).total(100, 104).values.tolist()
    [7]
    """

    def __init__(self, leaves: Leaves, sizes: Sequence[int], lens: Lens) -> None:
        self.leaves = leaves
        self.lens = lens
        self._levels: list[tuple[int, dict[int, _Block]]] = [(size, {}) for size in sizes]
        leaves.watch(self)

    def add(self, pane: int, delta: Entries) -> None:
        """Take note of a `delta` that was added to this pane."""
        for size, blocks in self._levels:
            block = blocks.get(pane // size)
            if block is not None:
                block.add(delta)
                if block.late > LATE_AT_MOST:
                    del blocks[pane // size]

    def parts(self, first: int, last: int) -> list[Entries]:
        """Return the fewest cached sums that add up to the panes [first, last)."""
        return self._parts(first, last, len(self._levels) - 1)

    def total(self, first: int, last: int) -> Entries:
        return summed(self.parts(first, last))

    def _parts(self, first: int, last: int, level: int) -> list[Entries]:
        if first >= last:
            return []
        if level < 0:
            return [self.lens(self.leaves.joined(first, last))]
        size, _ = self._levels[level]
        low, high = -(-first // size), last // size
        if low >= high:
            return self._parts(first, last, level - 1)
        return [
            *self._parts(first, low * size, level - 1),
            *(self._block(level, index).total(self.lens) for index in range(low, high)),
            *self._parts(high * size, last, level - 1),
        ]

    def _block(self, level: int, index: int) -> _Block:
        size, blocks = self._levels[level]
        if index not in blocks:
            blocks[index] = _Block(summed(self._parts(index * size, (index + 1) * size, level - 1)))
        return blocks[index]

    def drop_before(self, pane: int) -> None:
        for size, blocks in self._levels:
            for index in [index for index in blocks if (index + 1) * size <= pane]:
                del blocks[index]


class Rolling:
    """The sum of one window, moved along instead of computed anew; if given, only of low <= key < high.

    >>> panes = Leaves(width=10)
    >>> last_two = Rolling(Pyramid(panes, (6,), lambda counts: counts))
    >>> panes.put(100, [entries([7], [4])], whole=False)
    >>> last_two.total(99, 101).values.tolist()
    [4]
    >>> panes.put(101, [entries([7], [2])], whole=False)
    >>> last_two.total(100, 102).values.tolist()
    [6]
    """

    def __init__(self, pyramid: Pyramid, low: int | None = None, high: int | None = None) -> None:
        self._pyramid = pyramid
        self._bounds = None if low is None or high is None else (low, high)
        self._first = self._last = 0
        self._total = NONE
        self._late: list[Entries] = []
        self.edition = 0
        """Increases whenever the sum changes."""
        self.delta: Entries | None = None
        """The difference from the version before; None: this version was computed anew."""
        pyramid.leaves.watch(self)

    def add(self, pane: int, delta: Entries) -> None:
        """Take note of a `delta` that was added to this pane."""
        if self._first <= pane < self._last:
            self._late.append(delta)
            if len(self._late) > LATE_AT_MOST:
                self._begin(0, 0, NONE)

    def total(self, first: int, last: int) -> Entries:
        """Return the current sum of the panes [first, last); the arrays returned never change."""
        if self._far(first, last):
            self._begin(first, last, self._sum(self._pyramid.parts(first, last)))
            return self._total
        delta = self._sum([self._pyramid.lens(joined(self._late)), *self._moves(first, last)])
        self._begin(first, last, plus(self._total, delta))
        if len(delta.keys):
            self.delta = delta
        return self._total

    def _begin(self, first: int, last: int, total: Entries) -> None:
        if total is not self._total:
            self.edition, self.delta = self.edition + 1, None
        self._first, self._last, self._total, self._late = first, last, total, []

    def _far(self, first: int, last: int) -> bool:
        moved = abs(first - self._first) + abs(last - self._last)
        return self._first < self._pyramid.leaves.floor or 2 * moved > last - first

    def _moves(self, first: int, last: int) -> list[Entries]:
        entered = [*self._pyramid.parts(self._last, last), *self._pyramid.parts(first, self._first)]
        left = [*self._pyramid.parts(self._first, first), *self._pyramid.parts(last, self._last)]
        return [*entered, *(negative(part) for part in left)]

    def _sum(self, parts: Sequence[Entries]) -> Entries:
        if self._bounds is not None:
            parts = [part.between(*self._bounds) for part in parts]
        return summed(parts)
