"""Here are exact sums of sparse counts over runs of panes.

Entries are keys with integer values; a key is a field's number times a width plus what is counted.
`Leaves` hold each pane as it is now. A `Pyramid` looks at them through a lens, such as "by queue", and
keeps sums of whole blocks of panes, made when first asked for. A `Rolling` keeps one window's sum and
moves it along by what enters and leaves.
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
    """Values by key. As a sum: keys ascend, each once, and no value is 0."""

    keys: Integers
    values: Integers

    def only(self, mask: Bools) -> "Entries":
        return Entries(self.keys[mask], self.values[mask])

    def between(self, low: int, high: int) -> "Entries":
        """Those with low <= key < high."""
        return self.only((self.keys >= low) & (self.keys < high))


NONE: Final = Entries(np.empty(0, np.int64), np.empty(0, np.int64))
Lens = Callable[[Entries], Entries]
"""From a leaf's keys to others: which of them are one group, which are left out."""


def entries(keys: Iterable[int], values: Iterable[int]) -> Entries:
    return Entries(np.fromiter(keys, np.int64), np.fromiter(values, np.int64))


def joined(parts: Sequence[Entries]) -> Entries:
    """All of them in a row, not summed."""
    if not parts:
        return NONE
    return Entries(
        np.concatenate([part.keys for part in parts], dtype=np.int64),
        np.concatenate([part.values for part in parts], dtype=np.int64),
    )


def by_pane(parts: Sequence[tuple[Integers, Entries]]) -> dict[int, Entries]:
    """Return the entries of each pane; of each part it is said in which pane every entry lies."""
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
    """Their sum. In a dense array where the keys lie close, else by sorting: ten times as slow."""
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
    """The sum of two sums, quick where the second is short; neither is changed."""
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
    """The sum of sums."""
    return reduce(plus, sums, NONE)


def _nonzero(total: Entries) -> Entries:
    return total if total.values.all() else total.only(total.values != 0)


def _packed(total: Entries) -> Entries:
    """In 32 bits where they suffice: half the memory of what is kept."""
    keys, values = total
    if len(keys) and keys[-1] < 2**32:
        keys = keys.astype(np.uint32)
    if len(values) and values.min() >= -(2**31) and values.max() < 2**31:
        values = values.astype(np.int32)
    return Entries(keys, values)


class Leaves:
    """The panes as they are now. A key is field * width + what is counted."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.floor = 0
        """Panes before it are forgotten."""
        self._nodes: dict[int, Entries] = {}
        self._sums: WeakSet[Pyramid | Rolling] = WeakSet()

    def watch(self, total: "Pyramid | Rolling") -> None:
        """`total.add` is told of every change from now on, as long as somebody holds it."""
        self._sums.add(total)

    def put(self, pane: int, parts: Sequence[Entries], whole: bool) -> None:
        """Add to a pane; `whole`: these are all it holds, whatever it held before."""
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
        """Those of [first, last) that hold something, in no order."""
        if last - first > len(self._nodes):
            return [pane for pane in self._nodes if first <= pane < last]
        return [pane for pane in range(first, last) if pane in self._nodes]

    def joined(self, first: int, last: int) -> Entries:
        """All entries of the panes [first, last), not summed."""
        found = (self._nodes.get(pane) for pane in range(first, last))
        return joined([node for node in found if node is not None])

    def drop_before(self, pane: int) -> None:
        if pane > self.floor:
            self.floor = pane
            self._nodes = {index: node for index, node in self._nodes.items() if index >= pane}

    def size(self) -> int:
        """How many entries are kept."""
        return sum(len(node.keys) for node in self._nodes.values())


class _Block:
    """The sum of some panes, with what was added since it was last asked for."""

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
"""A sum that nobody asked for while so many changes came is forgotten, and made anew when asked for."""


class Pyramid:
    """Leaves seen through a lens, with blocks of `sizes` panes (ascending, each a multiple of the last)."""

    def __init__(self, leaves: Leaves, sizes: Sequence[int], lens: Lens) -> None:
        self.leaves = leaves
        self.lens = lens
        self._levels: list[tuple[int, dict[int, _Block]]] = [(size, {}) for size in sizes]
        leaves.watch(self)

    def add(self, pane: int, delta: Entries) -> None:
        """`delta` was added to the leaf of this pane."""
        for size, blocks in self._levels:
            block = blocks.get(pane // size)
            if block is not None:
                block.add(delta)
                if block.late > LATE_AT_MOST:
                    del blocks[pane // size]

    def parts(self, first: int, last: int) -> list[Entries]:
        """Sums that together make that of the panes [first, last): the fewest nodes."""
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
    """The sum of one window, moved along instead of made anew. `low`, `high`: only keys between them."""

    def __init__(self, pyramid: Pyramid, low: int | None = None, high: int | None = None) -> None:
        self._pyramid = pyramid
        self._bounds = None if low is None or high is None else (low, high)
        self._first = self._last = 0
        self._total = NONE
        self._late: list[Entries] = []
        self.edition = 0
        """Another one whenever the sum is another."""
        self.delta: Entries | None = None
        """What was added to the edition before this one; None: this one was made anew."""
        pyramid.leaves.watch(self)

    def add(self, pane: int, delta: Entries) -> None:
        """`delta` was added to the leaf of this pane."""
        if self._first <= pane < self._last:
            self._late.append(delta)
            if len(self._late) > LATE_AT_MOST:
                self._begin(0, 0, NONE)

    def total(self, first: int, last: int) -> Entries:
        """The sum of the panes [first, last), as it is now; what is returned never changes."""
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
