"""The live index and agents' time in every state store: one suite for the store in memory and the one in
Redis."""

from collections.abc import AsyncIterator, Mapping

import pytest

from streamer.events.counting_rules import HOUR
from streamer.panes.agent_time import AgentInterval, AgentProfile, TimeRows
from streamer.panes.live_index import LiveContact, add_contacts, pack_contacts, unpack_contacts
from streamer.panes.pane_keys import FINE_RETENTION_MS, LIVE_AGENTS, LIVE_CONTACTS, PaneHour
from streamer.panes.rollup import MERGE
from streamer.store.port import ChangeCursor, CommitApplied, StateStore
from tests.store.test_store import NOW, NOW_H, Writer, forget_all, opened

KEY = b"e" * 13


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def live_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@pytest.fixture
async def live_store(live_url: str | None, center: str) -> AsyncIterator[StateStore]:
    async with opened(live_url, center) as store:
        yield store


def caller(since: int) -> LiveContact:
    return LiveContact("c1", "", "", 0, since, since, None, "billing", *[None] * 6, False, None)


def shift(hour: int) -> bytes:
    interval = AgentInterval(AgentProfile("anna"), 0, None, hour * HOUR, hour * HOUR + 1_000)
    return TimeRows.from_intervals(hour, [(interval, 1)]).packed()


class LiveFollower:
    """Follows the index of contacts as a reader does."""

    def __init__(self) -> None:
        self._cursor: ChangeCursor | None = None
        self.contacts: Mapping[bytes, LiveContact] = {}

    async def follow(self, store: StateStore) -> Mapping[bytes, LiveContact]:
        while True:
            changes = await store.changes(self._cursor)
            self._cursor = changes.cursor
            if changes.reset:
                self.contacts = {}
            for change in changes.panes:
                if change.pane_hour == LIVE_CONTACTS:
                    known = {} if change.is_whole else self.contacts
                    self.contacts = add_contacts(change.deltas, known)
            if not changes.more:
                return self.contacts


async def put(writer: Writer, deltas: Mapping[PaneHour, bytes], now_ms: int = NOW) -> None:
    commit = writer.commit()
    commit.deltas.update(deltas)  # type: ignore[attr-defined]
    assert await writer.store.commit(commit, now_ms) == CommitApplied()
    writer.position = commit.position


@pytest.mark.parametrize("times", [1, 3, 60, 150])
async def test_the_order_of_commits_survives_reading_and_compacting(
    live_store: StateStore, times: int
) -> None:
    writer, follower, seldom = await Writer(live_store).start(), LiveFollower(), LiveFollower()
    for number in range(times):
        entries = {KEY: caller(number), b"%013d" % (number // 2): None if number % 2 else caller(number)}
        await put(writer, {LIVE_CONTACTS: pack_contacts(entries)})
        if number % 7 == 0:
            await follower.follow(live_store)
        if number % 40 == 0:
            await seldom.follow(live_store)
            await live_store.compact(LIVE_CONTACTS, MERGE["live"])
    expected = {KEY: caller(times - 1)}
    if times % 2:
        expected[b"%013d" % (times // 2)] = caller(times - 1)
    await live_store.compact(LIVE_CONTACTS, MERGE["live"])
    assert await follower.follow(live_store) == await seldom.follow(live_store) == expected
    assert await LiveFollower().follow(live_store) == expected


async def test_of_many_that_ended_nothing_is_left_after_compacting(live_store: StateStore) -> None:
    writer = await Writer(live_store).start()
    for number in range(20):
        await put(writer, {LIVE_CONTACTS: pack_contacts({b"%013d" % number: caller(number)})})
        await put(writer, {LIVE_CONTACTS: pack_contacts({b"%013d" % number: None})})
    await live_store.compact(LIVE_CONTACTS, MERGE["live"])
    await put(writer, {})
    deltas = [
        delta
        for change in (await live_store.changes(None)).panes
        if change.pane_hour == LIVE_CONTACTS
        for delta in change.deltas
    ]
    if not deltas:  # several steps: read whole
        assert await LiveFollower().follow(live_store) == {}
    else:
        assert unpack_contacts(deltas[0]).entries == {}


async def test_the_index_is_kept_and_agents_time_as_long_as_fine_panes(live_store: StateStore) -> None:
    writer = await Writer(live_store).start()
    oldest = (NOW - FINE_RETENTION_MS) // HOUR
    times = {("time", hour): shift(hour) for hour in (oldest - 1, oldest, NOW_H)}
    await put(writer, {**times, LIVE_CONTACTS: pack_contacts({KEY: caller(1)})})
    follower = LiveFollower()
    assert await follower.follow(live_store) == {KEY: caller(1)}
    assert await hours_of_time(live_store) == {oldest, NOW_H}
    await forget_all(live_store, NOW + HOUR)
    assert await hours_of_time(live_store) == {NOW_H}
    await forget_all(live_store, NOW + 1_000 * HOUR)
    assert await hours_of_time(live_store) == set()
    assert await LiveFollower().follow(live_store) == {KEY: caller(1)}


async def hours_of_time(store: StateStore) -> set[int]:
    cursor, hours = None, set[int]()
    while True:
        changes = await store.changes(cursor)
        hours |= {hour for (family, hour), *_ in changes.panes if family == "time"}
        if not changes.more:
            return hours
        cursor = changes.cursor


async def test_hours_of_agents_time_are_merged(live_store: StateStore) -> None:
    writer = await Writer(live_store).start()
    for _ in range(3):
        await put(writer, {("time", NOW_H): shift(NOW_H), LIVE_AGENTS: b""})
    assert await live_store.compact(("time", NOW_H), MERGE["time"]) == 1
