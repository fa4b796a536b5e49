"""Rollup of the rows that a commit changes into its pane deltas, and merging of many deltas into one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeVar

import numpy as np

from streamer.events.counting_rules import UNKNOWN
from streamer.events.models import DIMENSIONS
from streamer.journeys.journey import Key
from streamer.metrics.counters import merge_counters
from streamer.metrics.tally import NUMBER, NUMBERS
from streamer.panes.agent_time import AgentInterval, TimeRows, cut_at_hours, merge_time
from streamer.panes.fold import CommitDelta, CountRow
from streamer.panes.group_times import GroupTimes
from streamer.panes.integers import Integers, pack_integers, sum_by_index, unique_codes
from streamer.panes.live_index import StatedGroups, merge_live, merge_stated_groups
from streamer.panes.live_statements import AgentStatement, ContactStatement
from streamer.panes.pane_delta import (
    DURATION_BUCKET,
    DURATION_MS,
    DURATION_N,
    DURATION_S2,
    FineDelta,
    FineRows,
    LongSums,
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
    row_field,
)

_AGENT: Final = DIMENSIONS.index("agent")
_ANSWERED: Final = NUMBER["answered"]
T = TypeVar("T")


def batch_rows(delta: CommitDelta) -> FineRows:
    """Return all rows of a commit as columns; panes are counted since the epoch, removed rows weigh -1."""
    rows = [*delta.removed, *delta.added]
    weight = np.ones(len(rows), np.int64)
    weight[: len(delta.removed)] = -1
    cell, cells = _encode_values([row.cell for row in rows])
    row_counts, counts = _encode_values([row.counts for row in rows])
    codes, names = _encode_values(chain.from_iterable(cells))
    durations = [row.durations for row in rows]
    sizes = np.array([len(row_durations) // 2 for row_durations in durations], np.int64)
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


def _encode_values(values: Iterable[T]) -> tuple[list[int], list[T]]:
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
    >>> deltas = Rollup(()).deltas(CommitDelta([], [row], {}))
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
        self._times = GroupTimes(self._groupings)

    def deltas(self, delta: CommitDelta, oldest_pane: int = 0) -> dict[PaneHour, bytes]:
        """Return the packed deltas by family and hour.

        Fine ones are made from the 10 s pane `oldest_pane` on, since older panes are no longer kept.
        """
        if not delta:
            return {}
        batch = batch_rows(delta)
        deltas: dict[PaneHour, bytes] = {}
        for hour, packed in _fine_deltas(batch, delta.journeys, oldest_pane):
            deltas["fine", hour] = packed
        for hour, table in self._hourly_sums(batch):
            deltas["long", hour] = table.packed()
        return deltas

    def contact_rows(self, statements: Iterable[ContactStatement], first_kept_day: int) -> StatedGroups:
        """Return the groups that contact states are sent of."""
        return merge_stated_groups(
            [
                StatedGroups({row_field(by, cell): day for by in self._groupings}, first_kept_day)
                for cell, day in statements
            ]
        )

    def agent_rows(self, statements: Iterable[AgentStatement], first_kept_day: int) -> StatedGroups:
        """Return the groups that agent states are sent of."""
        return merge_stated_groups(
            [
                StatedGroups(dict.fromkeys(self._times.row_names(profile, reason), day), first_kept_day)
                for profile, reason, day in statements
            ]
        )

    def add_times(
        self,
        deltas: dict[PaneHour, bytes],
        weighted: Iterable[tuple[AgentInterval, int]],
        oldest_pane: int = 0,
    ) -> None:
        """Add agents' intervals, each with its weight, to the packed deltas: their rows, from the hour of the
        10 s pane `oldest_pane` on, and their sums by group row."""
        for hour, pieces in cut_at_hours(weighted).items():
            if hour >= oldest_pane // PANES_PER_HOUR:
                deltas["time", hour] = TimeRows.from_intervals(hour, pieces).packed()
            sums = self._times.sums(pieces).packed()
            known_sums = deltas.get(("long", hour))
            deltas["long", hour] = sums if known_sums is None else merge_long([known_sums, sums])

    def _hourly_sums(self, batch: FineRows) -> Iterable[tuple[int, LongSums]]:
        """Yield the sums of each hour, all computed at once.

        A commit of a backfill touches many hours, with few rows in each.
        """
        if not len(batch.row_pane):
            return
        hours, hour_index = unique_codes(batch.row_pane // PANES_PER_HOUR)
        groups = self._group_rows(batch)
        width = len(groups.names)
        used, row = unique_codes(hour_index * width + groups.of_cell[:, batch.row_cell])
        count_row, number, amount = _group_counts(batch, row, len(used))
        agents, under, linked = self._links(batch, row, len(used))
        edges = np.searchsorted(used, np.arange(len(hours) + 1) * width)
        bounds = zip(
            hours.tolist(),
            pairwise(edges.tolist()),
            pairwise(np.searchsorted(count_row, edges).tolist()),
            pairwise(np.searchsorted(agents, edges).tolist()),
            strict=True,
        )
        for epoch_hour, (first, last), (low, high), (begin, end) in bounds:
            names = [groups.names[name_index] for name_index in (used[first:last] % width).tolist()]
            links = (agents[begin:end] - first, under[begin:end] - first, linked[begin:end])
            yield (
                epoch_hour,
                LongSums(names, count_row[low:high] - first, number[low:high], amount[low:high], *links),
            )

    def _group_rows(self, batch: FineRows) -> GroupRows:
        names: list[str] = []
        row_lines = []
        for by, dimensions in zip(self._groupings, self._dimensions, strict=True):
            code = np.zeros(len(batch.cells), np.int64)
            for dimension in dimensions:
                code = code * len(batch.names) + batch.cells[:, dimension]
            used, row_index = unique_codes(code)
            row_lines.append(row_index + len(names))
            first_cell = np.zeros(len(used), np.int64)
            first_cell[row_index] = np.arange(len(row_index))  # any cell of each row
            names += [_row_name(by, dimensions, batch, cell) for cell in first_cell.tolist()]
        return GroupRows(names, np.array(row_lines))

    def _links(self, batch: FineRows, row: Integers, width: int) -> tuple[Integers, Integers, Integers]:
        """Return the links of agents as three columns, ascending by agent.

        These are: the agent's group row, another row that its answered segments lie under, and their number.
        """
        answered = np.array([_amount(counts, _ANSWERED) for counts in batch.counts], np.int64)
        unknown = np.array([name is None for name in batch.names], bool)
        amount = batch.row_weight * answered[batch.row_counts]
        amount[unknown[batch.cells[batch.row_cell, _AGENT]]] = 0
        answered_rows = np.flatnonzero(amount)
        under = np.delete(row[:, answered_rows], self._agent, axis=0)
        links, link_index = unique_codes(row[self._agent, answered_rows] * width + under)
        linked = sum_by_index(
            link_index.ravel(), np.broadcast_to(amount[answered_rows], under.shape).ravel(), len(links)
        )
        nonzero_links = np.flatnonzero(linked)
        return links[nonzero_links] // width, links[nonzero_links] % width, linked[nonzero_links]


def _row_name(by: Grouping, dimensions: Sequence[int], batch: FineRows, cell: int) -> str:
    """Return the name of the group row that a cell belongs to, as `pane_keys.row_field` does."""
    values = (batch.names[batch.cells[cell, dimension]] or UNKNOWN for dimension in dimensions)
    return SEPARATOR.join([",".join(by), *values]) if by else ALL


def _amount(counts: Sequence[int], number: int) -> int:
    return next(
        (
            amount
            for count_number, amount in zip(counts[::2], counts[1::2], strict=True)
            if count_number == number
        ),
        0,
    )


class GroupCounts(NamedTuple):
    """Counts that are not 0, as columns: group row, number of the count, amount."""

    row: Integers
    number: Integers
    amount: Integers


def _group_counts(batch: FineRows, row: Integers, width: int) -> GroupCounts:
    """Return the sums of `width` group rows, ascending by row.

    `row`, shape (groupings, rows of the batch): the group row that each row of the batch counts in.
    """
    batch_row, number, amount = batch.expand_counts()
    count_numbers, code = unique_codes(number)
    counts = _sum_all_lines(row[:, batch_row] * len(count_numbers) + code, amount, width * len(count_numbers))
    kind, ms, weight = batch.duration, batch.duration_ms, batch.row_weight[batch.duration_row]
    under, kinds = row[:, batch.duration_row], len(DURATION_N)
    kind_index, size = under * kinds + kind, width * kinds
    buckets, bucket = unique_codes(under * NUMBERS + DURATION_BUCKET[kind] + bucket_of(ms))
    in_bucket = _sum_all_lines(bucket, weight, len(buckets))
    nonzero_buckets = np.flatnonzero(in_bucket)
    tables = (
        _nonzero_counts(counts, count_numbers),
        _nonzero_counts(_sum_all_lines(kind_index, weight, size), DURATION_N),
        _nonzero_counts(_sum_all_lines(kind_index, weight * ms, size), DURATION_MS),
        _nonzero_counts(_sum_all_lines(kind_index, weight * squares_s(ms), size), DURATION_S2),
        GroupCounts(
            buckets[nonzero_buckets] // NUMBERS,
            buckets[nonzero_buckets] % NUMBERS,
            in_bucket[nonzero_buckets],
        ),
    )
    group_counts = GroupCounts(*map(np.concatenate, zip(*tables, strict=True)))
    order = np.argsort(group_counts.row, kind="stable")
    return GroupCounts(*(column[order] for column in group_counts))


def _sum_all_lines(indices: Integers, amounts: Integers, size: int) -> Integers:
    """Return `size` sums of amounts by index; `indices` has several lines, and each amount counts in all."""
    return sum_by_index(indices.ravel(), np.broadcast_to(amounts, indices.shape).ravel(), size)


def _nonzero_counts(table: Integers, numbers: Integers) -> GroupCounts:
    """Return the values that are not 0 in a table with a line for each row and a column for each number."""
    flat_index = np.flatnonzero(table != 0)
    return GroupCounts(flat_index // len(numbers), numbers[flat_index % len(numbers)], table[flat_index])


def _fine_deltas(
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
    journey_panes: dict[int, list[int]] = {}
    for pane in journeys:
        if pane >= oldest_pane:
            journey_panes.setdefault(pane // PANES_PER_HOUR, []).append(pane)
    columns = FineColumns.from_rows(batch)
    for hour in hours.keys() | journey_panes.keys():
        keys = {pane - hour * PANES_PER_HOUR: journeys[pane] for pane in journey_panes.get(hour, ())}
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
    def from_rows(cls, batch: FineRows) -> "FineColumns":
        columns = (batch.row_pane, batch.row_cell, batch.cells, batch.row_counts, batch.row_weight)
        duration_starts = np.searchsorted(batch.duration_row, np.arange(len(batch.row_pane) + 1))
        return cls(
            batch,
            *(column.tolist() for column in (*columns, duration_starts, batch.duration, batch.duration_ms)),
        )

    def packed(self, rows: Sequence[int], first_pane: int, journeys: Mapping[int, Sequence[Key]]) -> bytes:
        """Pack these rows, with only those names, cells and counts that they use."""
        cell, cells = _encode_values([self.cells[row] for row in rows])
        count, counts = _encode_values([self.counts[row] for row in rows])
        codes, values = _encode_values(chain.from_iterable([self.values[code] for code in cells]))
        spans = [(self.durations[row], self.durations[row + 1]) for row in rows]
        return pack_fine(
            FineDelta(
                [self.batch.names[value] for value in values],
                pack_integers(codes),
                [self.batch.counts[code] for code in counts],
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
    >>> deltas = Rollup(()).deltas(CommitDelta([], [row], {}))
    >>> merged = FineRows.unpacked(merge_fine([deltas["fine", 486111]] * 2))
    >>> len(merged.row_pane), [*merged.tallies().values()] == [{NUMBER["offered"]: 2}]
    (2, True)
    """
    tables = [FineRows.unpacked(delta) for delta in packed]
    names: dict[str | None, int] = {}
    counts: dict[CountRow, int] = {}
    cells, count = [], []
    for table in tables:
        code = np.array([names.setdefault(name, len(names)) for name in table.names], np.int64)
        cells.append(code[table.cells])
        count_codes = [counts.setdefault(tuple(row), len(counts)) for row in table.counts]
        count.append(np.array(count_codes, np.int64)[table.row_counts])
    first_cells = np.cumsum([0, *(len(table.cells) for table in tables)])
    first_rows = np.cumsum([0, *(len(table.row_pane) for table in tables)])
    return FineRows(
        [*names],
        np.concatenate(cells),
        [*counts],
        np.concatenate([table.row_pane for table in tables]),
        np.concatenate([table.row_cell + first for table, first in zip(tables, first_cells, strict=False)]),
        np.concatenate(count),
        np.concatenate([table.row_weight for table in tables]),
        np.concatenate(
            [table.duration_row + first for table, first in zip(tables, first_rows, strict=False)]
        ),
        np.concatenate([table.duration for table in tables]),
        np.concatenate([table.duration_ms for table in tables]),
        np.concatenate([table.journey_pane for table in tables]),
        b"".join(table.journeys for table in tables),
    ).packed()


def merge_long(packed: Sequence[bytes]) -> bytes:
    """Merge long deltas of one hour into one with the sums of all.

    >>> from streamer.panes.fold import Contribution
    >>> row = Contribution(1_750_000_000_000, (None,) * 7, (NUMBER["offered"], 1))
    >>> added, removed = CommitDelta([], [row], {}), CommitDelta([row], [], {})
    >>> packed = [Rollup(()).deltas(delta)["long", 486111] for delta in (added, added, removed)]
    >>> LongSums.unpacked(merge_long(packed)).tallies()["all"] == {NUMBER["offered"]: 1}
    True
    """
    tables = [LongSums.unpacked(delta) for delta in packed]
    codes: dict[str, int] = {}
    codes_by_table = [
        np.array([codes.setdefault(row, len(codes)) for row in table.rows], np.int64) for table in tables
    ]
    coded_tables = [*zip(codes_by_table, tables, strict=True)]
    count_keys, count_index = unique_codes(
        np.concatenate([row_codes[table.row] * NUMBERS + table.numbers for row_codes, table in coded_tables])
    )
    amounts = sum_by_index(count_index, np.concatenate([table.amounts for table in tables]), len(count_keys))
    width = len(codes)
    links, link_index = unique_codes(
        np.concatenate(
            [row_codes[table.agents] * width + row_codes[table.under] for row_codes, table in coded_tables]
        )
    )
    linked = sum_by_index(link_index, np.concatenate([table.linked for table in tables]), len(links))
    nonzero_counts, nonzero_links = np.flatnonzero(amounts), np.flatnonzero(linked)
    return LongSums(
        [*codes],
        count_keys[nonzero_counts] // NUMBERS,
        count_keys[nonzero_counts] % NUMBERS,
        amounts[nonzero_counts],
        links[nonzero_links] // width,
        links[nonzero_links] % width,
        linked[nonzero_links],
    ).packed()


MERGE: Final[Mapping[StoredFamily, Callable[[Sequence[bytes]], bytes]]] = {
    "fine": merge_fine,
    "long": merge_long,
    "counters": merge_counters,
    "live": merge_live,
    "time": merge_time,
}
