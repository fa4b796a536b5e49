"""Compare the tallies of two stores, each as of one moment, and report where they differ."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple, Protocol

from streamer.events.counting_rules import HOUR
from streamer.events.models import AGENT_STATES, DIMENSIONS
from streamer.metrics.tally import BUCKETS, COUNTS, DURATIONS, FIRST_BUCKET, bucket_value
from streamer.panes.agent_time import UNANSWERED, AgentProfile, TimeRows
from streamer.panes.live_index import (
    LiveAgent,
    LiveContact,
    add_agents,
    add_contacts,
    latest_limits,
    merge_live,
)
from streamer.panes.pane_delta import FineRows, LongSums
from streamer.panes.pane_keys import (
    LIVE_AGENTS,
    LIVE_CONTACTS,
    PANES_PER_HOUR,
    WIDTH,
    Cell,
    Family,
    PaneHour,
    StoredFamily,
    is_hour_kept,
    oldest_pane,
    parse_row_field,
)
from streamer.store.port import ChangeCursor, LogPosition, Partition, StoreChanges

TallyGroup = str | Cell
"""A group row, or a cell."""
HourTallies = Mapping[tuple[int, TallyGroup], Mapping[int | str, int]]
"""Counts of one hour by pane (of its family, since the epoch) and group; links of agents are counts named by
the row they lead to."""


class StoreState(NamedTuple):
    """Pane deltas by family and hour, and the position of each partition at that moment."""

    panes: Mapping[PaneHour, Sequence[bytes]]
    positions: Mapping[Partition, LogPosition]

    def tallies(self, family: Family, hour: int) -> HourTallies:
        """Return the tallies of one hour (hours since the epoch)."""
        return sum_hour_tallies(family, hour, self.panes.get((family, hour), ()))


class CountDifference(NamedTuple):
    """One count that differs. `time` is the pane's start (UTC, RFC 3339); "" for what is live."""

    family: StoredFamily
    time: str
    group: str
    name: str
    live: int
    rebuilt: int


class ChangeSource(Protocol):
    """Anything whose changes can be read: a store, or numbers in the layout of an earlier release."""

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges: ...


async def read_store_state(store: ChangeSource) -> StoreState:
    """Return all pane deltas and positions of one moment, read in as many steps as that takes."""
    panes: dict[PaneHour, list[bytes]] = {}
    cursor: ChangeCursor | None = None
    while True:
        changes = await store.changes(cursor, positions=True)
        if changes.reset:
            panes = {}
        for pane_hour, whole, deltas in changes.panes:
            panes[pane_hour] = [*([] if whole else panes.get(pane_hour, [])), *deltas]
        if not changes.more:
            return StoreState(panes, changes.positions)
        cursor = changes.cursor


def sum_hour_tallies(family: StoredFamily, hour: int, deltas: Sequence[bytes]) -> HourTallies:
    """Sum up the deltas of one hour in plain Python: slow, but independent of the readers' code."""
    tallies: dict[tuple[int, TallyGroup], dict[int | str, int]] = {}

    def add_tally(pane: int, group: TallyGroup, tally: Mapping[int, int] | Mapping[str, int]) -> None:
        counts = tallies.setdefault((pane, group), {})
        for count_id, amount in tally.items():
            counts[count_id] = counts.get(count_id, 0) + amount

    if family == "fine":
        for rows in map(FineRows.unpacked, deltas):
            for (pane, cell), tally in rows.tallies().items():
                add_tally(hour * PANES_PER_HOUR + pane, cell, tally)
    else:
        for table in map(LongSums.unpacked, deltas):
            for row, tally in table.tallies().items():
                add_tally(hour, row, tally)
            for (agent, under), amount in table.links().items():
                add_tally(hour, agent, {under: amount})
    return tallies


def diff_states(
    live: StoreState, rebuilt: StoreState, now_ms: int, retention_ms: int
) -> Iterator[CountDifference]:
    """Yield the differences of all panes that are kept at `now_ms`; a pane that expired since is no
    difference."""
    for family in WIDTH:
        hours = {hour for pane_family, hour in (*live.panes, *rebuilt.panes) if pane_family == family}
        first_pane = oldest_pane(family, now_ms, retention_ms)
        for hour in sorted(hour for hour in hours if is_hour_kept((family, hour), now_ms, retention_ms)):
            yield from _diff_hour(
                family, first_pane, live.tallies(family, hour), rebuilt.tallies(family, hour)
            )

    yield from _diff_agent_times(live, rebuilt, now_ms, retention_ms)
    yield from _diff_live(live, rebuilt)


def _diff_agent_times(
    live: StoreState, rebuilt: StoreState, now_ms: int, retention_ms: int
) -> Iterator[CountDifference]:
    """Yield the rows of agents' time that one side has more often than the other."""
    hours = {hour for family, hour in (*live.panes, *rebuilt.panes) if family == "time"}
    for hour in sorted(hour for hour in hours if is_hour_kept(("time", hour), now_ms, retention_ms)):
        live_rows, rebuilt_rows = (
            _sum_time_rows(state.panes.get(("time", hour), ())) for state in (live, rebuilt)
        )
        for row in sorted(live_rows.keys() | rebuilt_rows.keys(), key=str):
            if live_rows.get(row, 0) != rebuilt_rows.get(row, 0):
                profile, state, reason, start_ms, length_ms = row
                name = "offer unanswered" if state == UNANSWERED else AGENT_STATES[state]
                yield CountDifference(
                    "time",
                    _format_ms(hour * HOUR + start_ms),
                    f"agent {profile.agent_id}",
                    f"{name} {reason or ''} for {length_ms / 1000:g} s",
                    live_rows.get(row, 0),
                    rebuilt_rows.get(row, 0),
                )


TimeRow = tuple[AgentProfile, int, str | None, int, int]


def _sum_time_rows(deltas: Sequence[bytes]) -> Mapping[TimeRow, int]:
    weights: dict[TimeRow, int] = {}
    for delta in deltas:
        for row, weight in TimeRows.unpacked(delta).amounts().items():
            weights[row] = weights.get(row, 0) + weight
    return {row: weight for row, weight in weights.items() if weight}


def _diff_live(live: StoreState, rebuilt: StoreState) -> Iterator[CountDifference]:
    """Yield the contacts and agents of which only one side has an entry, or both have different ones."""
    contacts, rebuilt_contacts = map(add_contacts, _comparable_indexes(live, rebuilt, LIVE_CONTACTS))
    agents, rebuilt_agents = map(add_agents, _comparable_indexes(live, rebuilt, LIVE_AGENTS))
    for name, entries, rebuilt_entries in (
        ("under way", contacts, rebuilt_contacts),
        ("signed in", agents, rebuilt_agents),
    ):
        for key in sorted(entries.keys() | rebuilt_entries.keys()):
            entry, rebuilt_entry = entries.get(key), rebuilt_entries.get(key)
            if entry != rebuilt_entry:
                sides = int(entry is not None), int(rebuilt_entry is not None)
                yield CountDifference("live", "", _entry_name(entry or rebuilt_entry), name, *sides)


def _comparable_indexes(live: StoreState, rebuilt: StoreState, pane_hour: PaneHour) -> Iterator[list[bytes]]:
    """Yield both sides' deltas of an index, without what either would leave out as too old."""
    sides = [[*state.panes.get(pane_hour, ())] for state in (live, rebuilt)]
    limits = [latest_limits([*chain.from_iterable(sides)])] if any(sides) else []
    for deltas in sides:
        yield [merge_live([*deltas, *limits])] if limits else []


def _entry_name(entry: LiveContact | LiveAgent | None) -> str:
    if isinstance(entry, LiveAgent):
        return f"agent {entry.agent_id}"
    return "" if entry is None else f"contact {entry.contact_id}"


def _diff_hour(
    family: Family, first_pane: int, live: HourTallies, rebuilt: HourTallies
) -> Iterator[CountDifference]:
    no_counts: Mapping[int | str, int] = {}
    for pane, group in sorted(live.keys() | rebuilt.keys(), key=str):
        if pane < first_pane:
            continue
        live_tally, rebuilt_tally = live.get((pane, group), no_counts), rebuilt.get((pane, group), no_counts)
        for count_id in sorted(live_tally.keys() | rebuilt_tally.keys(), key=str):
            live_count, rebuilt_count = live_tally.get(count_id, 0), rebuilt_tally.get(count_id, 0)
            if live_count != rebuilt_count:
                pane_time = _format_ms(pane * WIDTH[family])
                yield CountDifference(
                    family, pane_time, _group_name(group), _count_name(count_id), live_count, rebuilt_count
                )


def _format_ms(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _group_name(group: TallyGroup) -> str:
    if isinstance(group, str):
        return " ".join(parse_row_field(group)).strip()
    cell = zip(DIMENSIONS, group, strict=True)
    return " ".join(f"{name}={value}" for name, value in cell if value is not None) or "unknown"


def _count_name(count_id: int | str) -> str:
    if isinstance(count_id, str):
        return f"answered under {' '.join(parse_row_field(count_id)).strip()}"
    if count_id < FIRST_BUCKET:
        return COUNTS[count_id]
    duration, bucket = divmod(count_id - FIRST_BUCKET, BUCKETS)
    return f"{DURATIONS[duration]} of about {bucket_value(bucket) / 1000:.3g} s"
