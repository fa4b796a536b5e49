"""Rollup of the rows that a commit changes into its pane deltas, and merging of many deltas into one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeVar

import numpy as np

from streamer.events.models import DIMENSIONS
from streamer.events.rules import UNKNOWN
from streamer.journeys.journey import Key
from streamer.metrics.counters import merge_counters
from streamer.metrics.tally import NUMBER, NUMBERS
from streamer.panes.fold import CountRow, Delta
from streamer.panes.integers import Integers, numbered, pack_integers, sums
from streamer.panes.pane_delta import (
    FIRST_BUCKET,
    MS,
    S2,
    FineDelta,
    FineRows,
    LongSums,
    N,
    bucket_of,
    pack_fine,
    squares_s,
)
from streamer.panes.pane_keys import (
    ALL,
    FINE_MS,
    PANES_PER_HOUR,
    SEPARATOR,
    Grouping,
    PaneHour,
    StoredFamily,
    groupings,
)

_AGENT: Final = DIMENSIONS.index("agent")
_ANSWERED: Final = NUMBER["answered"]
T = TypeVar("T")


def batch_rows(delta: Delta) -> FineRows:
    """Return all rows of a commit as columns; panes are counted since the epoch, removed rows weigh -1."""
    rows = [*delta.removed, *delta.added]
    weight = np.ones(len(rows), np.int64)
    weight[: len(delta.removed)] = -1
    cell, cells = _coded([row.cell for row in rows])
    row_counts, counts = _coded([row.counts for row in rows])
    codes, names = _coded(chain.from_iterable(cells))
    durations = [row.durations for row in rows]
    sizes = np.array([len(some) // 2 for some in durations], np.int64)
    flat = np.array([*chain.from_iterable(durations)], np.int64)
    return FineRows(
        names,
        np.array(codes, np.int64).reshape(-1, len(DIMENSIONS)),
        [*counts],
        np.array([row.time_ms for row in rows], np.int64) // FINE_MS,
        np.array(cell, np.int64),
        np.array(row_counts, np.int64),
        weight,
        np.repeat(np.arange(len(rows)), sizes),
        flat[::2],
        flat[1::2],
        np.empty(0, np.int64),
        b"",
    )


def _coded(values: Iterable[T]) -> tuple[list[int], list[T]]:
    """Return a code for each value, and the different values in the order of their codes."""
    codes: dict[T, int] = {}
    return [codes.setdefault(value, len(codes)) for value in values], [*codes]


class GroupRows(NamedTuple):
    """Group rows of all groupings. `of_cell`, shape (groupings, cells): the group row of each cell."""

    names: list[str]
    of_cell: Integers


class Rollup:
    r"""Rollup of a commit into its pane deltas: fine ones by hour, long ones by hour and group row.

    >>> from streamer.panes.fold import Contribution
    >>> cell = (None, "billing", None, None, "voice", None, None)
    >>> row = Contribution(1_750_000_000_000, cell, (NUMBER["offered"], 1))
    >>> deltas = Rollup(()).deltas(Delta([], [row], {}))
    >>> sorted(deltas)  # hours since the epoch
    [('fine', 486111), ('long', 486111)]
    >>> tallies = LongSums.unpacked(deltas["long", 486111]).tallies()
    >>> tallies["all"] == tallies["queue\x1fbilling"] == {NUMBER["offered"]: 1}
    True
    """

    def __init__(self, pairs: tuple[Grouping, ...]) -> None:
        self._groupings: tuple[Grouping, ...] = groupings(pairs)
        self._agent = self._groupings.index(("agent",))
        self._dimensions = [[DIMENSIONS.index(name) for name in by] for by in self._groupings]

    def deltas(self, delta: Delta, oldest_pane: int = 0) -> dict[PaneHour, bytes]:
        """Return the packed deltas by family and hour.

        Fine ones are made from the 10 s pane `oldest_pane` on, since older panes are no longer kept.
        """
        if not delta:
            return {}
        batch = batch_rows(delta)
        deltas: dict[PaneHour, bytes] = {}
        for hour, packed in _fine(batch, delta.journeys, oldest_pane):
            deltas["fine", hour] = packed
        for hour, table in self._long(batch):
            deltas["long", hour] = table.packed()
        return deltas

    def _long(self, batch: FineRows) -> Iterable[tuple[int, LongSums]]:
        """Yield the sums of each hour, all computed at once.

        A commit of a backfill touches many hours, with few rows in each.
        """
        if not len(batch.row_pane):
            return
        hours, hour = numbered(batch.row_pane // PANES_PER_HOUR)
        groups = self._group_rows(batch)
        width = len(groups.names)
        used, row = numbered(hour * width + groups.of_cell[:, batch.row_cell])
        of, number, amount = _group_counts(batch, row, len(used))
        agents, under, linked = self._links(batch, row, len(used))
        edges = np.searchsorted(used, np.arange(len(hours) + 1) * width)
        bounds = zip(
            hours.tolist(),
            pairwise(edges.tolist()),
            pairwise(np.searchsorted(of, edges).tolist()),
            pairwise(np.searchsorted(agents, edges).tolist()),
            strict=True,
        )
        for at, (first, last), (low, high), (begin, end) in bounds:
            names = [groups.names[place] for place in (used[first:last] % width).tolist()]
            links = (agents[begin:end] - first, under[begin:end] - first, linked[begin:end])
            yield at, LongSums(names, of[low:high] - first, number[low:high], amount[low:high], *links)

    def _group_rows(self, batch: FineRows) -> GroupRows:
        names: list[str] = []
        lines = []
        for by, dimensions in zip(self._groupings, self._dimensions, strict=True):
            code = np.zeros(len(batch.cells), np.int64)
            for dimension in dimensions:
                code = code * len(batch.names) + batch.cells[:, dimension]
            used, place = numbered(code)
            lines.append(place + len(names))
            first = np.zeros(len(used), np.int64)
            first[place] = np.arange(len(place))  # any cell of each row
            names += [_row_name(by, dimensions, batch, cell) for cell in first.tolist()]
        return GroupRows(names, np.array(lines))

    def _links(self, batch: FineRows, row: Integers, width: int) -> tuple[Integers, Integers, Integers]:
        """Return the links of agents as three columns, ascending by agent.

        These are: the agent's group row, another row that its answered segments lie under, and their number.
        """
        answered = np.array([_amount(counts, _ANSWERED) for counts in batch.counts], np.int64)
        unknown = np.array([name is None for name in batch.names], bool)
        amount = batch.row_weight * answered[batch.row_counts]
        amount[unknown[batch.cells[batch.row_cell, _AGENT]]] = 0
        of = np.flatnonzero(amount)
        under = np.delete(row[:, of], self._agent, axis=0)
        links, place = numbered(row[self._agent, of] * width + under)
        linked = sums(place.ravel(), np.broadcast_to(amount[of], under.shape).ravel(), len(links))
        kept = np.flatnonzero(linked)
        return links[kept] // width, links[kept] % width, linked[kept]


def _row_name(by: Grouping, dimensions: Sequence[int], batch: FineRows, cell: int) -> str:
    """Return the name of the group row that a cell belongs to, as `pane_keys.row_field` does."""
    values = (batch.names[batch.cells[cell, at]] or UNKNOWN for at in dimensions)
    return SEPARATOR.join([",".join(by), *values]) if by else ALL


def _amount(counts: Sequence[int], number: int) -> int:
    return next((amount for at, amount in zip(counts[::2], counts[1::2], strict=True) if at == number), 0)


class GroupCounts(NamedTuple):
    """Counts that are not 0, as columns: group row, number of the count, amount."""

    row: Integers
    number: Integers
    amount: Integers


def _group_counts(batch: FineRows, row: Integers, width: int) -> GroupCounts:
    """Return the sums of `width` group rows, ascending by row.

    `row`, shape (groupings, rows of the batch): the group row that each row of the batch counts in.
    """
    of_row, number, amount = batch.counts_spelled_out()
    known, code = numbered(number)
    counts = _spread(row[:, of_row] * len(known) + code, amount, width * len(known))
    of, ms, unit = batch.duration, batch.duration_ms, batch.row_weight[batch.duration_row]
    under, kinds = row[:, batch.duration_row], len(N)
    place, size = under * kinds + of, width * kinds
    buckets, bucket = numbered(under * NUMBERS + FIRST_BUCKET[of] + bucket_of(ms))
    in_bucket = _spread(bucket, unit, len(buckets))
    kept = np.flatnonzero(in_bucket)
    parts = (
        _filled(counts, known),
        _filled(_spread(place, unit, size), N),
        _filled(_spread(place, unit * ms, size), MS),
        _filled(_spread(place, unit * squares_s(ms), size), S2),
        GroupCounts(buckets[kept] // NUMBERS, buckets[kept] % NUMBERS, in_bucket[kept]),
    )
    found = GroupCounts(*map(np.concatenate, zip(*parts, strict=True)))
    order = np.argsort(found.row, kind="stable")
    return GroupCounts(*(column[order] for column in found))


def _spread(places: Integers, amounts: Integers, size: int) -> Integers:
    """Return `size` sums of amounts by index; `indices` has several lines, and each amount counts in all."""
    return sums(places.ravel(), np.broadcast_to(amounts, places.shape).ravel(), size)


def _filled(table: Integers, numbers: Integers) -> GroupCounts:
    """Return the values that are not 0 in a table with a line for each row and a column for each number."""
    where = np.flatnonzero(table != 0)
    return GroupCounts(where // len(numbers), numbers[where % len(numbers)], table[where])


def _fine(
    batch: FineRows, journeys: Mapping[int, Sequence[Key]], oldest_pane: int
) -> Iterable[tuple[int, bytes]]:
    """Yield each hour with its packed rows, from the 10 s pane `oldest_pane` on.

    Where a commit has many hours, each has few rows: lists are faster there than arrays.
    """
    hours: dict[int, list[int]] = {}
    panes = batch.row_pane.tolist()
    for row, pane in enumerate(panes):
        if pane >= oldest_pane:
            hours.setdefault(pane // PANES_PER_HOUR, []).append(row)
    anew: dict[int, list[int]] = {}
    for pane in journeys:
        if pane >= oldest_pane:
            anew.setdefault(pane // PANES_PER_HOUR, []).append(pane)
    columns = FineColumns.of(batch)
    for hour in hours.keys() | anew.keys():
        keys = {pane - hour * PANES_PER_HOUR: journeys[pane] for pane in anew.get(hour, ())}
        yield hour, columns.packed(hours.get(hour, []), hour * PANES_PER_HOUR, keys)


class FineColumns(NamedTuple):
    """Columns of the rows of a batch as lists, to pack some of the rows."""

    batch: FineRows
    panes: list[int]
    cells: list[int]
    values: list[list[int]]
    """Codes of each cell's values."""
    counts: list[int]
    weights: list[int]
    durations: list[int]
    """Index of each row's first duration, and behind them the number of all durations."""
    kinds: list[int]
    ms: list[int]

    @classmethod
    def of(cls, batch: FineRows) -> "FineColumns":
        columns = (batch.row_pane, batch.row_cell, batch.cells, batch.row_counts, batch.row_weight)
        first = np.searchsorted(batch.duration_row, np.arange(len(batch.row_pane) + 1))
        return cls(batch, *(some.tolist() for some in (*columns, first, batch.duration, batch.duration_ms)))

    def packed(self, rows: Sequence[int], first_pane: int, journeys: Mapping[int, Sequence[Key]]) -> bytes:
        """Pack these rows, with only those names, cells and counts that they use."""
        cell, cells = _coded([self.cells[row] for row in rows])
        count, counts = _coded([self.counts[row] for row in rows])
        codes, values = _coded(chain.from_iterable([self.values[of] for of in cells]))
        spans = [(self.durations[row], self.durations[row + 1]) for row in rows]
        return pack_fine(
            FineDelta(
                [self.batch.names[value] for value in values],
                pack_integers(codes),
                [self.batch.counts[of] for of in counts],
                pack_integers([self.panes[row] - first_pane for row in rows]),
                pack_integers(cell),
                pack_integers(count),
                pack_integers([self.weights[row] for row in rows]),
                pack_integers([end - begin for begin, end in spans]),
                pack_integers([kind for begin, end in spans for kind in self.kinds[begin:end]]),
                pack_integers([ms for begin, end in spans for ms in self.ms[begin:end]]),
                pack_integers([pane for pane, keys in journeys.items() for _ in keys]),
                b"".join(chain.from_iterable(journeys.values())),
            )
        )


# One delta of many.


def merge_fine(packed: Sequence[bytes]) -> bytes:
    """Merge fine deltas of one hour into one with the rows of all.

    Nothing is added up, since hardly any two rows share pane and cell.

    >>> from streamer.panes.fold import Contribution
    >>> row = Contribution(1_750_000_000_000, (None,) * 7, (NUMBER["offered"], 1))
    >>> deltas = Rollup(()).deltas(Delta([], [row], {}))
    >>> merged = FineRows.unpacked(merge_fine([deltas["fine", 486111]] * 2))
    >>> len(merged.row_pane), [*merged.tallies().values()] == [{NUMBER["offered"]: 2}]
    (2, True)
    """
    parts = [FineRows.unpacked(one) for one in packed]
    names: dict[str | None, int] = {}
    counts: dict[CountRow, int] = {}
    cells, count = [], []
    for part in parts:
        code = np.array([names.setdefault(name, len(names)) for name in part.names], np.int64)
        cells.append(code[part.cells])
        own = [counts.setdefault(tuple(row), len(counts)) for row in part.counts]
        count.append(np.array(own, np.int64)[part.row_counts])
    first_cells = np.cumsum([0, *(len(part.cells) for part in parts)])
    first_rows = np.cumsum([0, *(len(part.row_pane) for part in parts)])
    return FineRows(
        [*names],
        np.concatenate(cells),
        [*counts],
        np.concatenate([part.row_pane for part in parts]),
        np.concatenate([part.row_cell + first for part, first in zip(parts, first_cells, strict=False)]),
        np.concatenate(count),
        np.concatenate([part.row_weight for part in parts]),
        np.concatenate([part.duration_row + first for part, first in zip(parts, first_rows, strict=False)]),
        np.concatenate([part.duration for part in parts]),
        np.concatenate([part.duration_ms for part in parts]),
        np.concatenate([part.journey_pane for part in parts]),
        b"".join(part.journeys for part in parts),
    ).packed()


def merge_long(packed: Sequence[bytes]) -> bytes:
    """Merge long deltas of one hour into one with the sums of all.

    >>> from streamer.panes.fold import Contribution
    >>> row = Contribution(1_750_000_000_000, (None,) * 7, (NUMBER["offered"], 1))
    >>> added, removed = Delta([], [row], {}), Delta([row], [], {})
    >>> packed = [Rollup(()).deltas(delta)["long", 486111] for delta in (added, added, removed)]
    >>> LongSums.unpacked(merge_long(packed)).tallies()["all"] == {NUMBER["offered"]: 1}
    True
    """
    parts = [LongSums.unpacked(one) for one in packed]
    codes: dict[str, int] = {}
    rows = [np.array([codes.setdefault(row, len(codes)) for row in part.rows], np.int64) for part in parts]
    both = [*zip(rows, parts, strict=True)]
    places, place = numbered(np.concatenate([own[part.row] * NUMBERS + part.numbers for own, part in both]))
    amounts = sums(place, np.concatenate([part.amounts for part in parts]), len(places))
    width = len(codes)
    links, link = numbered(np.concatenate([own[part.agents] * width + own[part.under] for own, part in both]))
    linked = sums(link, np.concatenate([part.linked for part in parts]), len(links))
    kept, held = np.flatnonzero(amounts), np.flatnonzero(linked)
    return LongSums(
        [*codes],
        places[kept] // NUMBERS,
        places[kept] % NUMBERS,
        amounts[kept],
        links[held] // width,
        links[held] % width,
        linked[held],
    ).packed()


MERGE: Final[Mapping[StoredFamily, Callable[[Sequence[bytes]], bytes]]] = {
    "fine": merge_fine,
    "long": merge_long,
    "counters": merge_counters,
}
