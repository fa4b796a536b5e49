"""Pane deltas: the counts that one commit adds to the panes of one hour, as bytes that the store keeps.

A pane is the sum of its deltas. The store adds nothing up: it keeps each delta under the commit's sequence
number, and a reader sums those that are new to it. A fine delta holds the rows of the fold, a long one their
sums by group row. The first byte is the version of the format.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.events.models import DIMENSIONS
from streamer.journeys.journey import KEY_BYTES, Key
from streamer.metrics.tally import BOUNDS, DURATIONS, FIRST_BUCKET_OF, NUMBER, Tally
from streamer.panes.integers import Integers, PackedIntegers, pack_integers, unpack_integers
from streamer.panes.pane_keys import Cell

VERSION: Final = b"\x01"
DURATION_N, DURATION_MS, DURATION_S2 = (
    np.array([NUMBER[f"{name}_{of}"] for name in DURATIONS]) for of in ("n", "ms", "s2")
)
DURATION_BUCKET: Final = np.array([FIRST_BUCKET_OF[name] for name in DURATIONS])
"""Numbers of the counts of each duration, in the order of DURATIONS: of segments, of their ms, of their
squares in s², and of the first bucket of the histogram."""
_BOUNDS: Final = np.array(BOUNDS)

_pack = msgspec.msgpack.Encoder().encode


class DeltaFormatError(ValueError):
    """Raised for a delta in a format that this version does not read."""


# Deltas as they are stored.


class FineDelta(msgspec.Struct, array_like=True, gc=False):
    """Format of the rows of one hour's 10 s panes.

    `names`: the values of all dimensions. `cells`: the codes of each cell's values (places in `names`), cell
    by cell. `counts`: the different counts of rows. `row_*`, one value for each row: pane of the hour, cell
    (its place in `cells`), counts (their place in `counts`), weight (1 or -1), and number of durations.
    `duration` and `duration_ms`, row by row: place in DURATIONS, and ms. `journey_pane` and `journeys`: the
    journeys that add rows, as pane of the hour and KEY_BYTES each; they lead from a number to its contacts.
    """

    names: list[str | None]
    cells: PackedIntegers
    counts: list[Sequence[int]]
    row_pane: PackedIntegers
    row_cell: PackedIntegers
    row_counts: PackedIntegers
    row_weight: PackedIntegers
    row_durations: PackedIntegers
    duration: PackedIntegers
    duration_ms: PackedIntegers
    journey_pane: PackedIntegers
    journeys: bytes


class LongDelta(msgspec.Struct, array_like=True, gc=False):
    """Format of the sums of one hour by group row.

    `rows`: names of the group rows. `sizes`: the first `sizes[0]` of `numbers` and `amounts` are of the first
    row, and so on. `linked[i]` answered segments of the agent's row `agents[i]` (a place in `rows`) lie under
    the row `under[i]` as well; active agents are counted over hours by these links.
    """

    rows: list[str]
    sizes: PackedIntegers
    numbers: PackedIntegers
    amounts: PackedIntegers
    agents: PackedIntegers
    under: PackedIntegers
    linked: PackedIntegers


def pack_fine(delta: FineDelta) -> bytes:
    return VERSION + _pack(delta)


_unpack_fine = msgspec.msgpack.Decoder(FineDelta).decode
_unpack_long = msgspec.msgpack.Decoder(LongDelta).decode


def _body(packed: bytes) -> memoryview:
    if packed[:1] != VERSION:
        raise DeltaFormatError(f"pane delta has format {packed[:1].hex()}, expected {VERSION.hex()}")
    return memoryview(packed)[1:]


class FineRows(NamedTuple):
    """Rows of a fine delta, unpacked into columns.

    `cells` has the shape (cells, dimensions) and holds places in `names`. `duration_row`: the row that each
    duration belongs to. Pane numbers are those of the hour, 0 to 359.

    >>> from streamer.panes.fold import Contribution, CommitDelta
    >>> from streamer.panes.rollup import Rollup
    >>> row = Contribution(1_750_000_000_000, ("north",) * 7, (NUMBER["offered"], 1))
    >>> deltas = Rollup(()).deltas(CommitDelta([], [row], {}))
    >>> FineRows.unpacked(deltas["fine", 486111]).tallies() == {(40, ("north",) * 7): {NUMBER["offered"]: 1}}
    True
    """

    names: list[str | None]
    cells: Integers
    counts: list[Sequence[int]]
    row_pane: Integers
    row_cell: Integers
    row_counts: Integers
    row_weight: Integers
    duration_row: Integers
    duration: Integers
    duration_ms: Integers
    journey_pane: Integers
    journeys: bytes

    def packed(self) -> bytes:
        sizes = np.bincount(self.duration_row, minlength=len(self.row_pane))
        return pack_fine(
            FineDelta(
                self.names,
                pack_integers(self.cells.ravel()),
                self.counts,
                pack_integers(self.row_pane),
                pack_integers(self.row_cell),
                pack_integers(self.row_counts),
                pack_integers(self.row_weight),
                pack_integers(sizes),
                pack_integers(self.duration),
                pack_integers(self.duration_ms),
                pack_integers(self.journey_pane),
                self.journeys,
            )
        )

    @classmethod
    def unpacked(cls, packed: bytes) -> "FineRows":
        delta = _unpack_fine(_body(packed))
        pane = unpack_integers(delta.row_pane)
        return cls(
            delta.names,
            unpack_integers(delta.cells).reshape(-1, len(DIMENSIONS)),
            [*delta.counts],
            pane,
            unpack_integers(delta.row_cell),
            unpack_integers(delta.row_counts),
            unpack_integers(delta.row_weight),
            np.repeat(np.arange(len(pane)), unpack_integers(delta.row_durations)),
            unpack_integers(delta.duration),
            unpack_integers(delta.duration_ms),
            unpack_integers(delta.journey_pane),
            delta.journeys,
        )

    def expand_counts(self) -> tuple[Integers, Integers, Integers]:
        """Return all counts but those of durations, as three columns: row, number of the count, amount."""
        sizes = np.array([len(row) // 2 for row in self.counts], np.int64)
        flat = np.fromiter(chain.from_iterable(self.counts), np.int64, 2 * int(sizes.sum()))
        row_sizes = sizes[self.row_counts]
        row = np.repeat(np.arange(len(row_sizes)), row_sizes)
        row_starts = np.concatenate(([0], np.cumsum(sizes)))[self.row_counts]
        pair_index = (
            np.arange(len(row)) - np.repeat(np.cumsum(row_sizes) - row_sizes, row_sizes) + row_starts[row]
        )
        return row, flat[2 * pair_index], flat[2 * pair_index + 1] * self.row_weight[row]

    def expand(self) -> tuple[Integers, Integers, Integers]:
        """Return all counts as three columns: row, number of the count, amount.

        A number may occur several times in a row.
        """
        row, number, amount = self.expand_counts()
        kind, ms, weight = self.duration, self.duration_ms, self.row_weight[self.duration_row]
        numbers = (
            number,
            DURATION_N[kind],
            DURATION_MS[kind],
            DURATION_S2[kind],
            DURATION_BUCKET[kind] + bucket_of(ms),
        )
        amounts = (amount, weight, weight * ms, weight * squares_s(ms), weight)
        rows = (row, *[self.duration_row] * 4)
        return np.concatenate(rows), np.concatenate(numbers), np.concatenate(amounts)

    def cell_of(self, cell: int) -> Cell:
        return tuple(self.names[code] for code in self.cells[cell].tolist())

    def tallies(self) -> dict[tuple[int, Cell], Tally]:
        """Return the counts that are not 0, by pane of the hour and cell. Slow: loops over all counts."""
        tally_by_cell: dict[tuple[int, Cell], Tally] = {}
        for row, number, amount in zip(*(column.tolist() for column in self.expand()), strict=True):
            pane_cell = int(self.row_pane[row]), self.cell_of(int(self.row_cell[row]))
            tally = tally_by_cell.setdefault(pane_cell, {})
            tally[number] = tally.get(number, 0) + amount
        return _without_zeros(tally_by_cell)

    def journeys_of(self, pane: int) -> list[Key]:
        """Return the keys of the journeys that add rows to a pane of the hour."""
        keys = split_keys(self.journeys)
        return [keys[index] for index in np.flatnonzero(self.journey_pane == pane).tolist()]


def _without_zeros(tallies: dict[tuple[int, Cell], Tally]) -> dict[tuple[int, Cell], Tally]:
    nonzero_tallies = {
        pane_cell: {number: amount for number, amount in tally.items() if amount}
        for pane_cell, tally in tallies.items()
    }
    return {pane_cell: tally for pane_cell, tally in nonzero_tallies.items() if tally}


def split_keys(joined: bytes) -> list[Key]:
    return [joined[start : start + KEY_BYTES] for start in range(0, len(joined), KEY_BYTES)]


def bucket_of(ms: Integers) -> Integers:
    """Return the histogram buckets of durations, as `tally.bucket` does for one.

    >>> from streamer.metrics.tally import bucket
    >>> bucket_of(np.array([0, 27, 60_000])).tolist() == [bucket(ms) for ms in (0, 27, 60_000)]
    True
    """
    return np.searchsorted(_BOUNDS, ms)


def squares_s(ms: Integers) -> Integers:
    """Return the squares of durations in whole seconds², as `tally.squared` does for one.

    >>> squares_s(np.array([499, 1_500, 60_000])).tolist()
    [0, 2, 3600]
    """
    return (ms * ms + 500_000) // 1_000_000


class LongSums(NamedTuple):
    """Sums of a long delta, unpacked. `row`: the row (a place in `rows`) that each number belongs to.

    >>> number, empty = NUMBER["contacts"], np.empty(0, int)
    >>> table = LongSums(["all"], np.array([0]), np.array([number]), np.array([3]), empty, empty, empty)
    >>> LongSums.unpacked(table.packed()).tallies() == {"all": {number: 3}}
    True
    """

    rows: list[str]
    row: Integers
    numbers: Integers
    amounts: Integers
    agents: Integers
    under: Integers
    linked: Integers

    def packed(self) -> bytes:
        columns = (
            np.bincount(self.row, minlength=len(self.rows)),
            self.numbers, self.amounts, self.agents, self.under, self.linked,
        )  # fmt: skip
        return VERSION + _pack(LongDelta(self.rows, *map(pack_integers, columns)))

    @classmethod
    def unpacked(cls, packed: bytes) -> "LongSums":
        delta = _unpack_long(_body(packed))
        columns = (delta.numbers, delta.amounts, delta.agents, delta.under, delta.linked)
        row = np.repeat(np.arange(len(delta.rows)), unpack_integers(delta.sizes))
        return cls(delta.rows, row, *map(unpack_integers, columns))

    def tallies(self) -> dict[str, Tally]:
        """Return the counts by row. Slow: loops over all counts."""
        tally_by_row: dict[str, Tally] = {}
        for row, number, amount in zip(
            self.row.tolist(), self.numbers.tolist(), self.amounts.tolist(), strict=True
        ):
            tally = tally_by_row.setdefault(self.rows[row], {})
            tally[number] = tally.get(number, 0) + amount
        return tally_by_row

    def links(self) -> dict[tuple[str, str], int]:
        """Return the number of answered segments by agent's row and other row that they lie under."""
        link_counts: dict[tuple[str, str], int] = {}
        columns = (self.agents.tolist(), self.under.tolist(), self.linked.tolist())
        for agent, under, amount in zip(*columns, strict=True):
            row_pair = self.rows[agent], self.rows[under]
            link_counts[row_pair] = link_counts.get(row_pair, 0) + amount
        return link_counts
