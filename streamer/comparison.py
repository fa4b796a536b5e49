"""Compare the tallies of two stores, each as of one moment, and report where they differ."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from streamer.events.models import DIMENSIONS
from streamer.metrics.tally import BUCKETS, COUNTS, DURATIONS, FIRST_BUCKET, bucket_value
from streamer.panes.pane_delta import FineRows, LongSums
from streamer.panes.pane_keys import (
    PANES_PER_HOUR,
    WIDTH,
    Cell,
    Family,
    PaneHour,
    StoredFamily,
    is_kept,
    oldest,
    row_of,
)
from streamer.store.port import ChangeCursor, Changes, Partition, Position

Group = str | Cell
"""A group row, or a cell."""
HourTallies = Mapping[tuple[int, Group], Mapping[int | str, int]]
"""Counts of one hour by pane (of its family, since the epoch) and group; links of agents are counts named by
the row they lead to."""


class StoreState(NamedTuple):
    """Pane deltas by family and hour, and the position of each partition at that moment."""

    panes: Mapping[PaneHour, Sequence[bytes]]
    positions: Mapping[Partition, Position]

    def tallies(self, family: Family, hour: int) -> HourTallies:
        """Return the tallies of one hour (hours since the epoch)."""
        return hour_tallies(family, hour, self.panes.get((family, hour), ()))


class Difference(NamedTuple):
    """One count that differs. `time` is the pane's start (UTC, RFC 3339)."""

    family: Family
    time: str
    group: str
    name: str
    live: int
    rebuilt: int


class ChangeSource(Protocol):
    """Anything whose changes can be read: a store, or numbers in the layout of an earlier release."""

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> Changes: ...


async def state(store: ChangeSource) -> StoreState:
    """Return all pane deltas and positions of one moment, read in as many steps as that takes."""
    panes: dict[PaneHour, list[bytes]] = {}
    cursor: ChangeCursor | None = None
    while True:
        changes = await store.changes(cursor, positions=True)
        if changes.reset:
            panes = {}
        for place, whole, deltas in changes.panes:
            panes[place] = [*([] if whole else panes.get(place, [])), *deltas]
        if not changes.more:
            return StoreState(panes, changes.positions)
        cursor = changes.cursor


def hour_tallies(family: StoredFamily, hour: int, deltas: Sequence[bytes]) -> HourTallies:
    """Sum up the deltas of one hour in plain Python: slow, but independent of the readers' code."""
    found: dict[tuple[int, Group], dict[int | str, int]] = {}

    def add(pane: int, group: Group, tally: Mapping[int, int] | Mapping[str, int]) -> None:
        known = found.setdefault((pane, group), {})
        for number, amount in tally.items():
            known[number] = known.get(number, 0) + amount

    if family == "fine":
        for rows in map(FineRows.unpacked, deltas):
            for (pane, cell), tally in rows.tallies().items():
                add(hour * PANES_PER_HOUR + pane, cell, tally)
    else:
        for table in map(LongSums.unpacked, deltas):
            for row, tally in table.tallies().items():
                add(hour, row, tally)
            for (agent, under), amount in table.links().items():
                add(hour, agent, {under: amount})
    return found


def differences(
    live: StoreState, rebuilt: StoreState, now_ms: int, retention_ms: int
) -> Iterator[Difference]:
    """Yield the differences of all panes that are kept at `now_ms`; a pane that expired since is no
    difference."""
    for family in WIDTH:
        hours = {hour for of, hour in (*live.panes, *rebuilt.panes) if of == family}
        first = oldest(family, now_ms, retention_ms)
        for hour in sorted(hour for hour in hours if is_kept((family, hour), now_ms, retention_ms)):
            yield from _differences(family, first, live.tallies(family, hour), rebuilt.tallies(family, hour))


def _differences(family: Family, first: int, live: HourTallies, rebuilt: HourTallies) -> Iterator[Difference]:
    nothing: Mapping[int | str, int] = {}
    for pane, group in sorted(live.keys() | rebuilt.keys(), key=str):
        if pane < first:
            continue
        was, now = live.get((pane, group), nothing), rebuilt.get((pane, group), nothing)
        start = datetime.fromtimestamp(pane * WIDTH[family] / 1000, UTC)
        for count in sorted(was.keys() | now.keys(), key=str):
            before, after = was.get(count, 0), now.get(count, 0)
            if before != after:
                time = f"{start:%Y-%m-%dT%H:%M:%SZ}"
                yield Difference(family, time, _group_name(group), _count_name(count), before, after)


def _group_name(group: Group) -> str:
    if isinstance(group, str):
        return " ".join(row_of(group)).strip()
    cell = zip(DIMENSIONS, group, strict=True)
    return " ".join(f"{name}={value}" for name, value in cell if value is not None) or "unknown"


def _count_name(count: int | str) -> str:
    if isinstance(count, str):
        return f"answered under {' '.join(row_of(count)).strip()}"
    if count < FIRST_BUCKET:
        return COUNTS[count]
    duration, bucket = divmod(count - FIRST_BUCKET, BUCKETS)
    return f"{DURATIONS[duration]} of about {bucket_value(bucket) / 1000:.3g} s"
