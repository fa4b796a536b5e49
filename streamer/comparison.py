"""Here is the comparison of two states: all tallies of each as of one moment, and where they differ."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from streamer.events.models import DIMENSIONS
from streamer.metrics.tally import BUCKETS, COUNTS, DURATIONS, FIRST_BUCKET, bucket_value
from streamer.panes.grid import WIDTH, Family, cell_of, kept, row_of
from streamer.panes.posting import unpack
from streamer.store.port import Changes, Mark, Pane, Partition, Position, Store

Place = tuple[Family, int]


class State(NamedTuple):
    """Postings by pane, and how far each partition was counted then."""

    panes: Mapping[Place, Sequence[bytes]]
    positions: Mapping[Partition, Position]


class Difference(NamedTuple):
    """One count that is not the same. `time` is the pane's beginning."""

    family: Family
    time: str
    group: str
    name: str
    live: int
    rebuilt: int


async def state(store: Store, partitions: Sequence[Partition]) -> State:
    """Of one moment: positions are asked for between two looks that show no commit between them."""
    panes: dict[Place, list[bytes]] = {}
    mark: Mark | None = None
    positions: list[Position | None] = []
    while True:
        changes = await _changes(store, mark)
        if changes.reset:
            panes.clear()
        for pane in changes.panes:
            panes[pane.family, pane.index] = _now(panes, pane)
        if changes.mark == mark:
            return State(panes, {p: at for p, at in zip(partitions, positions, strict=True) if at})
        mark, positions = changes.mark, await store.positions(partitions)


async def _changes(store: Store, mark: Mark | None) -> Changes:
    """All, where they come in several steps: the last giving of a pane counts."""
    changes = await store.changes(mark)
    panes, reset = {(pane.family, pane.index): pane for pane in changes.panes}, changes.reset
    while changes.more:
        changes = await store.changes(changes.mark)
        if changes.reset:
            panes, reset = {}, True
        panes |= {(pane.family, pane.index): pane for pane in changes.panes}
    return Changes(changes.mark, reset, False, [*panes.values()])


def _now(panes: Mapping[Place, list[bytes]], pane: Pane) -> list[bytes]:
    before = [] if pane.whole else panes.get((pane.family, pane.index), [])
    return [*before, *pane.postings]


def differences(live: State, rebuilt: State, now_ms: int, retention_ms: int) -> Iterator[Difference]:
    """Of all panes that are kept at this moment: what lapses meanwhile is none."""
    for place in sorted(live.panes.keys() | rebuilt.panes.keys()):
        if kept(*place, now_ms, retention_ms):
            yield from _differences(place, live.panes.get(place, ()), rebuilt.panes.get(place, ()))


def _differences(place: Place, live: Sequence[bytes], rebuilt: Sequence[bytes]) -> Iterator[Difference]:
    was, now = _total(live), _total(rebuilt)
    family, index = place
    start = datetime.fromtimestamp(index * WIDTH[family] / 1000, UTC)
    for field, count in sorted(was.keys() | now.keys(), key=str):
        before, after = was.get((field, count), 0), now.get((field, count), 0)
        if before != after:
            group = _group(family, field)
            yield Difference(family, f"{start:%Y-%m-%dT%H:%M:%SZ}", group, _named(count), before, after)


def _total(postings: Sequence[bytes]) -> dict[tuple[str, int | str], int]:
    """By field and count; agents' links are counts named by the row they lead to."""
    found: dict[tuple[str, int | str], int] = {}
    for posting in map(unpack, postings):
        for field, tally in posting.tallies():
            for number, amount in tally.items():
                found[field, number] = found.get((field, number), 0) + amount
        for agent, row, amount in zip(posting.agents, posting.under, posting.linked, strict=True):
            link = posting.fields[agent], posting.fields[row]
            found[link] = found.get(link, 0) + amount
    return found


def _group(family: Family, field: str) -> str:
    if family == "long":
        return " ".join(row_of(field)).strip()
    cell = zip(DIMENSIONS, cell_of(field.encode()), strict=True)
    return " ".join(f"{name}={value}" for name, value in cell if value is not None) or "unknown"


def _named(count: int | str) -> str:
    if isinstance(count, str):
        return f"answered under {' '.join(row_of(count)).strip()}"
    if count < FIRST_BUCKET:
        return COUNTS[count]
    duration, bucket = divmod(count - FIRST_BUCKET, BUCKETS)
    return f"{DURATIONS[duration]} of about {bucket_value(bucket) / 1000:.3g} s"
