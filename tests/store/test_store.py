"""Tests of every state store: one suite for the store in memory and the one in Redis."""

import asyncio
import pickle
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis as blocking_redis
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError

import streamer.store.redis.store as redis_store
from streamer.events.counting_rules import DAY, HOUR, CountingRules, CountingRulesMismatch, encode_rules
from streamer.events.models import DIMENSIONS
from streamer.metrics.counters import add_counters, pack_counters
from streamer.metrics.tally import NUMBER, Tally
from streamer.operations.comparison import sum_hour_tallies
from streamer.panes.agent_time import TimeRows
from streamer.panes.live_index import LiveAgent, LiveContact, add_agents, add_contacts
from streamer.panes.pane_keys import (
    COUNTERS,
    LIVE_CONTACTS,
    PANES_PER_HOUR,
    Family,
    PaneHour,
    StoredFamily,
    pane_retention_ms,
)
from streamer.panes.rollup import MERGE, merge_long
from streamer.runtime.retry import retry_forever
from streamer.store.layout import (
    CUSTOMER_KEY_NAME,
    KEPT_WRITES,
    RULES,
    document_ttl_ms,
    layout_key,
    shared_key,
)
from streamer.store.memory import GenerationData, MemoryStore
from streamer.store.port import (
    EMPTY_STORE,
    TOKEN_BYTES,
    ChangeCursor,
    Checkpoint,
    Commit,
    CommitApplied,
    CustomerKeyMismatch,
    Heartbeat,
    LogPosition,
    OffsetConflict,
    PaneChange,
    Partition,
    StateStore,
    StoreVersion,
    VersionConflict,
)
from streamer.store.redis import RedisStore, StoreUnfit
from tests.pane_deltas import deltas, row_sums
from tests.parts.redis_cluster import RedisCluster
from tests.parts.redis_server import RedisServer
from tests.strategies import START

NOW = START + 20 * 365 * DAY
"""Ahead of any clock: Redis drops by its own what is past."""
NOW_H = NOW // HOUR
CALLS = Partition("call-completed", 0)
OTHERS = Partition("call-completed", 1)
FIRST = LogPosition("e1", 0, b"-" * TOKEN_BYTES)

Field = tuple[str, int, Any]
"""Family, pane and group; of the counters nothing else."""
Sums = dict[Field, dict[Any, int]]


class Follower:
    """Reads what changes, as a reader does: `sums` is what it had when last all was of one moment."""

    def __init__(self) -> None:
        self.cursor: ChangeCursor | None = None
        self.sums: Sums = {}
        self._hours: dict[PaneHour, Sums] = {}
        self._live: dict[PaneHour, Mapping[bytes, LiveContact] | Mapping[bytes, LiveAgent]] = {}

    async def read(self, store: StateStore) -> bool:
        """One step; whether all that was read belongs to one moment."""
        changes = await store.changes(self.cursor)
        self.cursor = changes.cursor
        if changes.reset:
            self._hours, self._live = {}, {}
        for change in changes.panes:
            if change.pane_hour[0] == "live":
                self._put_live(change)
            else:
                self._put(change)
        if not changes.more:
            self.sums = {place: kept for sums in self._hours.values() for place, kept in _clean(sums)}
        return not changes.more

    async def follow(self, store: StateStore) -> Sums:
        while not await self.read(store):
            pass
        return self.sums

    def _put_live(self, change: PaneChange) -> None:
        """Keep the entries of an index: each place has one, of amount 1."""
        place, add = change.pane_hour, add_contacts if change.pane_hour == LIVE_CONTACTS else add_agents
        self._live[place] = add(change.deltas, {} if change.is_whole else self._live.get(place))
        self._hours[place] = {(*place, key): {str(entry): 1} for key, entry in self._live[place].items()}

    def _put(self, change: PaneChange) -> None:
        family, hour = change.pane_hour
        sums = {} if change.is_whole else self._hours.get(change.pane_hour, {})
        self._hours[change.pane_hour] = sums
        for (pane, group), tally in tallies_of(family, hour, change.deltas).items():
            known = sums.setdefault((family, pane, group), {})
            for number, amount in tally.items():
                known[number] = known.get(number, 0) + amount


def tallies_of(family: StoredFamily, hour: int, deltas: Sequence[bytes]) -> Mapping[tuple[int, Any], Any]:
    if family == "counters":
        return {(0, ""): add_counters(deltas).counts}
    if family == "time":
        rows = [row for delta in deltas for row in TimeRows.unpacked(delta).amounts().items()]
        return {(hour, row): {"rows": sum(n for other, n in rows if other == row)} for row, _ in rows}
    return sum_hour_tallies(family, hour, deltas)


def _clean(sums: Sums) -> Iterator[tuple[Field, dict[Any, int]]]:
    for place, tally in sums.items():
        if kept := {number: amount for number, amount in tally.items() if amount}:
            yield place, kept


async def whole(store: StateStore) -> Sums:
    return await Follower().follow(store)


def key(name: str, letter: str = "e") -> bytes:
    return letter.encode() + name.encode().ljust(12, b".")


def cell(name: str) -> tuple[str | None, ...]:
    return (name, *[None] * (len(DIMENSIONS) - 1))


def changed(
    fine: Mapping[int, Mapping[str, Tally]] | None = None,
    long: Mapping[int, Mapping[str, Tally]] | None = None,
    counts: Mapping[str, int] | None = None,
) -> dict[PaneHour, bytes]:
    """Deltas: tallies by hour, of cells in its first pane or of rows; and counters."""
    found: dict[PaneHour, bytes] = {}
    for hour, cells in (fine or {}).items():
        tallies = {(hour * PANES_PER_HOUR, cell(name)): tally for name, tally in cells.items()}
        found["fine", hour] = deltas(tallies)["fine", hour]
    for hour, rows in (long or {}).items():
        found["long", hour] = row_sums(rows)
    if counts is not None:
        found[COUNTERS] = pack_counters(counts)
    return found


def in_fine(name: str, hour: int = NOW_H) -> Field:
    return ("fine", hour * PANES_PER_HOUR, cell(name))


def in_long(row: str, hour: int = NOW_H) -> Field:
    return ("long", hour, row)


IN_COUNTERS: Field = ("counters", 0, "")


class Writer:
    """Commits to one partition of a store, one after the other."""

    def __init__(self, store: StateStore, partition: Partition = CALLS) -> None:
        self.store = store
        self.partition = partition
        self.position = FIRST

    async def start(self) -> "Writer":
        assert await self.store.move(self.partition, None, FIRST)
        return self

    def commit(self, **parts: Any) -> Commit:
        """The next one, of these parts."""
        after = LogPosition("e1", self.position.next + 1, secrets.token_bytes(TOKEN_BYTES))
        panes = {name: parts.pop(name) for name in ("fine", "long", "counts") if name in parts}
        usual = {
            "version": EMPTY_STORE,
            "reads": (),
            "writes": {},
            "start": self.position.next,
            "epoch": "e1",
        }
        return Commit(partition=self.partition, position=after, deltas=changed(**panes), **(usual | parts))

    async def write(self, **parts: Any) -> LogPosition:
        commit = self.commit(**parts)
        assert await self.store.commit(commit, NOW) == CommitApplied()
        self.position = commit.position
        return commit.position


EVERYTHING: dict[str, Any] = {
    "writes": {key("a"): b"journey", key("b", "c"): b"other"},
    "fine": {NOW_H: {"cell": {1: 1}}},
    "long": {NOW_H: {"all": {1: 1}}},
    "counts": {"events": 1},
}


async def values(store: StateStore, *names: bytes) -> list[bytes | None]:
    return [*(await store.read(names)).values]


async def version(store: StateStore) -> StoreVersion:
    return (await store.read(())).version


async def state(store: StateStore) -> tuple[Any, ...]:
    """All there is."""
    return (
        await store.positions([CALLS, OTHERS]),
        await values(store, key("a"), key("b", "c")),
        await whole(store),
        await store.counters(),
    )


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@asynccontextmanager
async def opened(
    url: str | None, center: str, rules: CountingRules | None = None
) -> AsyncIterator[StateStore]:
    store = MemoryStore(rules) if url is None else await RedisStore.connect(url, center, rules)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(url: str | None, center: str) -> AsyncIterator[StateStore]:
    async with opened(url, center) as store:
        yield store


@pytest.fixture
async def writer(store: StateStore) -> Writer:
    return await Writer(store).start()


# One commit


async def test_an_empty_store_holds_nothing(store: StateStore) -> None:
    assert await values(store) == []
    assert await values(store, key("a"), key("b")) == [None, None]
    assert await store.positions([]) == []
    assert await store.positions([CALLS]) == [None]
    assert await store.counters() == {}
    assert await store.heartbeats() == {}
    assert await store.rules() is None
    assert await whole(store) == {}


async def test_a_commit_moves_numbers_documents_and_position_together(
    store: StateStore, writer: Writer
) -> None:
    position = await writer.write(**EVERYTHING)
    assert await state(store) == (
        [position, None],
        [b"journey", b"other"],
        {in_fine("cell"): {1: 1}, in_long("all"): {1: 1}, IN_COUNTERS: {"events": 1}},
        {"events": 1},
    )


async def test_a_position_is_kept_with_its_checkpoints(store: StateStore) -> None:
    points = (Checkpoint(0, NOW, 0), Checkpoint(2**40, NOW, 2**32 - 1))
    position = LogPosition("f00d", 2**40 + 1, b":\x00\xff\r\n:::", points)
    assert await store.move(CALLS, None, position)
    assert await store.positions([OTHERS, CALLS]) == [None, position]


async def test_the_same_commit_sent_again_is_applied_once(store: StateStore, writer: Writer) -> None:
    commit = writer.commit(**EVERYTHING)
    assert await store.commit(commit, NOW) == CommitApplied()
    once = await state(store)
    assert await store.commit(commit, NOW) == CommitApplied()
    assert await state(store) == once


async def test_a_commit_sent_again_after_the_next_one_is_refused(store: StateStore, writer: Writer) -> None:
    late = writer.commit(**EVERYTHING)
    await store.commit(late, NOW)
    writer.position = late.position
    present = await writer.write(counts={"events": 1})
    before = await state(store)
    assert await store.commit(late, NOW) == OffsetConflict(present)
    assert await state(store) == before


async def test_a_commit_without_a_position_writes_nothing(store: StateStore) -> None:
    assert await store.commit(Writer(store).commit(**EVERYTHING), NOW) == OffsetConflict(None)
    assert await state(store) == ([None, None], [None, None], {}, {})


@pytest.mark.parametrize("other", [{"epoch": "e2"}, {"start": 0}, {"start": 2}])
async def test_a_commit_that_starts_elsewhere_writes_nothing(
    store: StateStore, writer: Writer, other: dict[str, Any]
) -> None:
    present = await writer.write()
    before = await state(store)
    assert await store.commit(writer.commit(**EVERYTHING | other), NOW) == OffsetConflict(present)
    assert await state(store) == before


# What was read, and written by others since


@pytest.mark.parametrize("value", [b"2", None], ids=["written", "deleted"])
async def test_a_commit_that_read_what_was_written_since_writes_nothing(
    store: StateStore, writer: Writer, value: bytes | None
) -> None:
    await writer.write(writes={key("same"): b"1", key("a"): b"1"})
    read = await version(store)
    await writer.write(writes={key("a"): value})
    before, now = await state(store), await version(store)
    reads = [key("same"), key("a"), key("never")]
    outcome = await store.commit(writer.commit(**EVERYTHING, version=read, reads=reads), NOW)
    assert outcome == VersionConflict(frozenset([key("a")]), now)
    assert await state(store) == before


async def test_a_commit_that_read_as_absent_what_was_created_since_writes_nothing(
    store: StateStore, writer: Writer
) -> None:
    read = await version(store)
    await writer.write(writes={key("a"): b"1"})
    outcome = await store.commit(writer.commit(version=read, reads=[key("a"), key("b")]), NOW)
    assert outcome == VersionConflict(frozenset([key("a")]), await version(store))


async def test_a_commit_of_several_reads_needs_each_of_their_versions(
    store: StateStore, writer: Writer
) -> None:
    """A failover between two reads may take back what one of them saw, though nothing changed since."""
    await writer.write(writes={key("a"): b"1"})
    read = await version(store)
    taken_back = StoreVersion(read.sequence + 1, b"lost")
    reads = [key("a"), key("b")]
    outcome = await store.commit(
        writer.commit(version=read, later_versions=[taken_back], reads=reads, **EVERYTHING), NOW
    )
    assert outcome == VersionConflict(frozenset(reads), read)
    assert not await store.replace(read, reads, {key("a"): b"2"}, NOW, [taken_back])
    assert await store.replace(read, reads, {key("d"): b"1"}, NOW, [read])
    await writer.write(writes={key("c"): b"1"})
    later = await version(store)
    commit = writer.commit(version=read, later_versions=[later], reads=reads, **EVERYTHING)
    assert await store.commit(commit, NOW) == CommitApplied()


async def test_two_writes_have_two_nonces_though_the_commit_is_the_same(
    store: StateStore, writer: Writer
) -> None:
    """A commit that a failover took back and that is sent again makes another state than before."""
    commit = writer.commit(**EVERYTHING)
    assert await store.commit(commit, NOW) == CommitApplied()
    assert (await version(store)).nonce != commit.position.token


async def test_all_documents_that_changed_are_named(store: StateStore, writer: Writer) -> None:
    read = await version(store)
    await writer.write(writes={key("a"): b"1"})
    await writer.write(writes={key("b"): b"1"})
    reads = [key("a"), key("b"), key("c")]
    outcome = await store.commit(writer.commit(version=read, reads=reads), NOW)
    assert outcome == VersionConflict(frozenset([key("a"), key("b")]), await version(store))


async def test_a_commit_that_read_what_nobody_wrote_since_is_applied(
    store: StateStore, writer: Writer
) -> None:
    await writer.write(writes={key("a"): b"1"})
    read = await version(store)
    await writer.write(writes={key("other"): b"1"})
    await writer.write(version=read, reads=[key("a"), key("b")], writes={key("a"): b"2"})
    assert await values(store, key("a")) == [b"2"]


async def test_a_conflict_says_since_when_the_others_hold(store: StateStore, writer: Writer) -> None:
    read = await version(store)
    await writer.write(writes={key("a"): b"1"})
    reads = [key("a"), key("b")]
    conflict = await store.commit(writer.commit(version=read, reads=reads), NOW)
    assert isinstance(conflict, VersionConflict)
    await writer.write(version=conflict.version, reads=reads)


async def test_of_several_reads_the_oldest_version_counts(store: StateStore, writer: Writer) -> None:
    """Between them another commit wrote what was read first."""
    first = await store.read([key("a")])
    await writer.write(writes={key("a"): b"1"})
    second = await store.read([key("b")])
    reads = [key("a"), key("b")]
    outcome = await store.commit(writer.commit(version=first.version, reads=reads), NOW)
    assert isinstance(outcome, VersionConflict)
    assert outcome.keys == {key("a")}
    await writer.write(version=second.version, reads=[key("b")])


async def test_values_and_version_of_a_reading_are_of_one_moment(store: StateStore, writer: Writer) -> None:
    for number in range(3):
        await writer.write(writes={key("a"): b"%d" % number})
        snapshot = await store.read([key("a")])
        assert snapshot.values == [b"%d" % number]
        assert (await store.changes(None)).cursor[:2] == snapshot.version


async def test_a_version_older_than_what_is_remembered_is_of_before_everything(
    store: StateStore, writer: Writer
) -> None:
    """No write is taken for none."""
    await writer.write(writes={key("a"): b"1"})
    read = await version(store)
    await writer.write(writes={key("a"): b"2"})
    for _ in range(KEPT_WRITES + 2):
        await writer.write()
    outcome = await store.commit(writer.commit(version=read, reads=[key("a")]), NOW)
    assert isinstance(outcome, VersionConflict)
    assert outcome.keys == {key("a")}
    await writer.write(version=outcome.version, reads=[key("a")])


@pytest.mark.parametrize("sequence", [1, 2, 3, 1_000])
async def test_under_a_version_that_is_not_known_everything_changed(
    store: StateStore, writer: Writer, sequence: int
) -> None:
    """The case after a failover: the number came back, the nonce did not."""
    await writer.write(writes={key("a"): b"1"})
    await writer.write()
    unknown = StoreVersion(sequence, b"unknown!")
    outcome = await store.commit(writer.commit(version=unknown, reads=[key("a"), key("b")]), NOW)
    assert outcome == VersionConflict(frozenset([key("a"), key("b")]), await version(store))


async def test_after_a_failover_a_commit_that_read_what_was_lost_writes_nothing(
    store: StateStore, writer: Writer, url: str | None, center: str
) -> None:
    backup = Backup(writer, url, center)
    await writer.write(writes={key("a"): b"lost"})
    read = await version(store)
    backup.restore()
    await writer.write(writes={key("b"): b"1"})
    assert (await version(store)).sequence == read.sequence
    outcome = await store.commit(writer.commit(version=read, reads=[key("a")]), NOW)
    assert outcome == VersionConflict(frozenset([key("a")]), await version(store))


async def test_a_deleted_document_is_absent(store: StateStore, writer: Writer) -> None:
    await writer.write(writes={key("a"): b"1", key("b"): b"1"})
    await writer.write(writes={key("a"): None, key("never"): None})
    assert await values(store, key("a"), key("b")) == [None, b"1"]


async def test_documents_are_replaced_without_counting(store: StateStore, writer: Writer) -> None:
    position = await writer.write(**EVERYTHING)
    writes = {key("a"): b"less", key("b", "c"): None, key("n"): b"seal"}
    assert await store.replace(await version(store), [key("a"), key("n")], writes, NOW)
    assert await values(store, key("a"), key("b", "c"), key("n")) == [b"less", None, b"seal"]
    assert await store.positions([CALLS]) == [position]
    assert await store.counters() == {"events": 1}


async def test_nothing_is_replaced_where_something_changed(store: StateStore, writer: Writer) -> None:
    read = await version(store)
    await writer.write(**EVERYTHING)
    before = await state(store)
    assert not await store.replace(read, [key("n"), key("a")], {key("a"): None}, NOW)
    assert await state(store) == before


# What is written outside a commit refuses a commit that read it before


async def test_a_commit_that_read_what_was_replaced_since_writes_nothing(
    store: StateStore, writer: Writer
) -> None:
    await writer.write(**EVERYTHING)
    read = await version(store)
    assert await store.replace(read, [], {key("a"): b"less"}, NOW)
    commit = writer.commit(version=read, reads=[key("a")], writes={key("a"): b"more"})
    assert await store.commit(commit, NOW) == VersionConflict(frozenset([key("a")]), await version(store))


async def test_a_commit_that_read_what_was_forgotten_since_writes_nothing(
    store: StateStore, writer: Writer
) -> None:
    await writer.write(**EVERYTHING)
    read = await version(store)
    assert await forget_all(store, NOW + document_ttl_ms(CountingRules()) + 1_000) == 2
    commit = writer.commit(version=read, reads=[key("a")], writes={key("a"): b"more"})
    assert await store.commit(commit, NOW) == VersionConflict(frozenset([key("a")]), await version(store))


async def test_moving_a_position_is_a_write_too(store: StateStore, writer: Writer) -> None:
    before = await version(store)
    assert await store.move(CALLS, FIRST, LogPosition("e2", 0, b"otherone"))
    assert await version(store) != before


async def forget_all(store: StateStore, now_ms: int) -> int:
    """One round over all documents."""
    return sum([await store.forget(now_ms, 1_000) for _ in range(32)])


@pytest.mark.parametrize(("later_ms", "left"), [(0, 2), (2_000, 1)])
async def test_documents_are_forgotten_when_they_outlived_their_time(
    store: StateStore, writer: Writer, later_ms: int, left: int
) -> None:
    ttl_ms = document_ttl_ms(CountingRules())
    await writer.write(writes={key("old"): b"1", key("again"): b"1"})
    commit = writer.commit(writes={key("again"): b"2"})
    await store.commit(commit, NOW + 60_000)
    assert await forget_all(store, NOW + ttl_ms + later_ms) == 2 - left
    assert len([one for one in await values(store, key("old"), key("again")) if one]) == left
    assert await values(store, key("again")) == [b"2"]


async def test_months_of_forgetting_leave_as_much_as_lives(store: StateStore, writer: Writer) -> None:
    """Forty new documents and an hour of panes a day: what is held grows until the first of them outlived
    their time, and no more."""
    lives_days = document_ttl_ms(CountingRules()) // DAY
    held: list[tuple[int, int]] = []
    for day in range(lives_days + 64):
        now_ms = NOW + day * DAY
        writes = {key(f"{day} {number}"): b"journey" for number in range(40)}
        hour = now_ms // HOUR
        commit = writer.commit(writes=writes, fine={hour: {"a": {1: 1}}}, long={hour: {"all": {1: 1}}})
        assert await store.commit(commit, now_ms) == CommitApplied()
        writer.position = commit.position
        for _ in range(32):
            await store.forget(now_ms, 1_000)
        if day % 28 == 0:
            documents = sum([len(some) async for some in store.scan("e")])
            held.append((documents, len(await whole(store))))
    most = 40 * (lives_days + 1), 3 + 101
    assert held[-2:] == [most, most]
    assert max(held) == most


# Documents


async def test_documents_are_found_by_their_letters(store: StateStore, writer: Writer) -> None:
    many = {key(f"{number}", letter): letter.encode() for number in range(700) for letter in "ceo"}
    await writer.write(writes=many, counts={"events": 1}, fine={NOW_H: {"cell": {1: 1}}})
    found: dict[bytes, bytes] = {}
    async for documents in store.scan("co"):
        found |= documents
    assert found == {name: value for name, value in many.items() if name[:1] != b"e"}


async def test_documents_are_read_in_the_order_asked_for(store: StateStore, writer: Writer) -> None:
    await writer.write(writes={key("a"): b"1", key("b"): b"\x00\xff" * 5})
    names = [key(name) for name in ("b", "never", "a", "b")]
    assert await values(store, *names) == [b"\x00\xff" * 5, None, b"1", b"\x00\xff" * 5]


async def test_more_than_any_script_can_unpack_at_once(store: StateStore, writer: Writer) -> None:
    keys = [key(f"{number:05}") for number in range(9_001)]
    fine = {NOW_H + number: {"cell": {1: number + 1}} for number in range(300)}
    read = await version(store)
    await writer.write(writes=dict.fromkeys(keys, b"v"), fine=fine)
    assert await values(store, *keys) == [b"v"] * len(keys)
    assert len(await whole(store)) == len(fine)
    outcome = await store.commit(writer.commit(version=read, reads=keys), NOW)
    assert isinstance(outcome, VersionConflict)
    assert outcome.keys == set(keys)
    await writer.write(version=await version(store), reads=keys, writes=dict.fromkeys(keys))
    assert await values(store, *keys) == [None] * len(keys)


# Numbers


async def test_tallies_add_up_and_come_back_to_nothing(store: StateStore, writer: Writer) -> None:
    await writer.write(fine={NOW_H: {"a": {1: 2, 2: 3}, "b": {7: 1}}})
    await writer.write(fine={NOW_H: {"a": {1: 1, 3: -4}, "b": {7: -1}}})
    assert await whole(store) == {in_fine("a"): {1: 3, 2: 3, 3: -4}}
    await writer.write(fine={NOW_H: {"a": {1: -3, 2: -3, 3: 4}}})
    assert await whole(store) == {}


@pytest.mark.parametrize("amount", [1, -1, 127, 128, -33, 2**31, 2**32, 2**53, -(2**53)])
async def test_large_and_negative_numbers_are_exact(store: StateStore, writer: Writer, amount: int) -> None:
    await writer.write(long={NOW_H: {"all": {0: amount - 1, 4000: amount}}})
    await writer.write(long={NOW_H: {"all": {0: 1}}}, counts={"ms": abs(amount)})
    await writer.write(counts={"ms": 1})
    assert (await whole(store))[in_long("all")] == {0: amount, 4000: amount}
    assert await store.counters() == {"ms": abs(amount) + 1}


@pytest.mark.parametrize("family", ["fine", "long"])
async def test_hours_past_their_time_to_live_are_left_out(
    store: StateStore, writer: Writer, family: Family
) -> None:
    keep = pane_retention_ms(family, CountingRules().retention_ms)
    oldest = (NOW - keep) // HOUR
    panes = {hour: {"a": {1: 1}} for hour in (oldest - 1, oldest, oldest + 1)}
    now_ms = (oldest + 1) * HOUR + keep - 1  # the last millisecond in which the oldest is kept
    assert (
        await store.commit(writer.commit(**{family: panes}, counts={"events": 1}), now_ms) == CommitApplied()
    )
    place = in_fine if family == "fine" else in_long
    kept = {place("a", hour): {1: 1} for hour in (oldest, oldest + 1)}
    assert await whole(store) == kept | {IN_COUNTERS: {"events": 1}}


@pytest.mark.parametrize("times", [1, 2, 7, 200])
async def test_compacting_changes_no_number(store: StateStore, writer: Writer, times: int) -> None:
    follower = Follower()
    for number in range(1, times + 1):
        await writer.write(
            fine={NOW_H: {"all": {1: number}, f"cell {number % 5}": {2: 1}}},
            long={NOW_H: {"all": {1: number}, f"queue {number % 5}": {2: 1}}, NOW_H + 1: {"all": {1: 1}}},
            counts={"events": number, f"queue {number % 5}": 1},
        )
        await follower.follow(store)
    before = await whole(store)
    for family in MERGE:
        place = (family, NOW_H) if family != "counters" else COUNTERS
        assert await store.compact(place, MERGE[family]) < max(2, times)
        await store.compact((family, NOW_H + 2), MERGE[family])
    assert await whole(store) == before
    await writer.write(long={NOW_H: {"all": {1: 1}}})
    assert await follower.follow(store) == await whole(store)
    assert follower.sums[in_long("all")] == {1: times * (times + 1) // 2 + 1}


# Around it


async def test_a_position_moves_only_from_where_it_is(store: StateStore, writer: Writer) -> None:
    other = LogPosition("e2", 7, b"otherone")
    assert not await store.move(CALLS, None, other)
    assert not await store.move(CALLS, LogPosition("e1", 0, b"different"[:8]), other)
    assert await store.positions([CALLS]) == [FIRST]
    assert await store.move(CALLS, FIRST, other)
    assert not await store.move(CALLS, FIRST, FIRST)
    assert await store.positions([CALLS]) == [other]


async def test_moving_a_position_changes_no_number(store: StateStore, writer: Writer) -> None:
    await writer.write(**EVERYTHING)
    follower = Follower()
    before = await follower.follow(store)
    await store.move(CALLS, writer.position, LogPosition("e2", 0, b"otherone"))
    assert await follower.follow(store) == before == await whole(store)


async def test_heartbeats_are_the_last_said_of_each_partition(store: StateStore) -> None:
    await store.beat({})
    await store.beat({CALLS: Heartbeat(1, 2, 3), OTHERS: Heartbeat(NOW, 0, NOW)})
    await store.beat({CALLS: Heartbeat(4, 5, 6)})
    known = {CALLS: Heartbeat(4, 5, 6), OTHERS: Heartbeat(NOW, 0, NOW)}
    assert await store.heartbeats() == known
    assert (await store.changes(None)).heartbeats == known


async def test_only_a_store_with_a_clock_of_its_own_tells_the_time(store: StateStore) -> None:
    now_ms = await store.time_ms()
    if isinstance(store, RedisStore):
        assert now_ms is not None
        assert now_ms <= ((await store.time_ms()) or 0) <= now_ms + 60_000
    else:
        assert now_ms is None


async def test_a_heartbeat_is_retired_only_if_nobody_renewed_it(store: StateStore) -> None:
    await store.beat({CALLS: Heartbeat(1, 2, 3), OTHERS: Heartbeat(NOW, 0, NOW)})
    await store.retire({CALLS: Heartbeat(1, 2, 2), OTHERS: Heartbeat(NOW, 0, NOW)})
    assert await store.heartbeats() == {CALLS: Heartbeat(1, 2, 3)}
    await store.retire({OTHERS: Heartbeat(NOW, 0, NOW)})
    await store.retire({})
    assert await store.heartbeats() == {CALLS: Heartbeat(1, 2, 3)}


async def empty(store: StateStore) -> None:
    """Delete all that a center has, under the store's feet."""
    if isinstance(store, RedisStore):
        keys = [key async for key in store.client.scan_iter(match=f"s*{{{store.center}}}*")]
        await store.client.delete(*keys)
    else:
        assert isinstance(store, MemoryStore)
        vars(store.current).update(vars(GenerationData()))
        store.customer_key = None


async def set_terms(store: StateStore, rules: bytes | None, customer_key: bytes | None) -> None:
    """Set what the center counts by, as another process does."""
    if isinstance(store, RedisStore):
        values = {store.prefix + RULES: rules, shared_key(store.center, CUSTOMER_KEY_NAME): customer_key}
        for name, value in values.items():
            await (store.client.delete(name) if value is None else store.client.set(name, value))
    else:
        assert isinstance(store, MemoryStore)
        store.data.rules, store.customer_key = rules, customer_key


async def terms(store: StateStore) -> tuple[bytes | None, bytes | None]:
    if isinstance(store, RedisStore):
        return await store.rules(), await store.client.get(shared_key(store.center, CUSTOMER_KEY_NAME))
    assert isinstance(store, MemoryStore)
    return await store.rules(), store.customer_key


RULES_AGREED, RULES_OTHER = encode_rules(CountingRules()), encode_rules(CountingRules(fcr_ms=DAY))


@pytest.fixture
async def agreed(store: StateStore) -> StateStore:
    """A store whose rules and customer key are agreed on, with a position."""
    await store.set_rules(RULES_AGREED)
    await store.set_customer_key(b"our key")
    assert await store.move(CALLS, None, FIRST)
    return store


async def test_a_store_that_was_emptied_has_rules_and_key_again_with_the_first_position(
    agreed: StateStore,
) -> None:
    await empty(agreed)
    assert await terms(agreed) == (None, None)
    assert await agreed.commit(Writer(agreed).commit(**EVERYTHING), NOW) == OffsetConflict(None)
    assert await agreed.move(CALLS, None, FIRST)
    assert await terms(agreed) == (RULES_AGREED, b"our key")
    assert await agreed.commit(Writer(agreed).commit(**EVERYTHING), NOW) == CommitApplied()


@pytest.mark.parametrize("lost", ["rules", "key"])
async def test_what_is_missing_beside_the_positions_is_there_again_after_a_commit(
    agreed: StateStore, lost: str
) -> None:
    await set_terms(agreed, *((None, b"our key") if lost == "rules" else (RULES_AGREED, None)))
    assert await agreed.commit(Writer(agreed).commit(**EVERYTHING), NOW) == CommitApplied()
    assert await terms(agreed) == (RULES_AGREED, b"our key")


@pytest.mark.parametrize(
    ("sentence", "rules", "customer_key", "error"),
    [
        ("another customer key", RULES_AGREED, b"their key", CustomerKeyMismatch),
        ("other rules", RULES_OTHER, b"our key", CountingRulesMismatch),
    ],
)
async def test_nothing_is_written_to_a_store_that_another_process_began_anew(
    agreed: StateStore, sentence: str, rules: bytes, customer_key: bytes, error: type[Exception]
) -> None:
    for position in (None, FIRST):
        await empty(agreed)
        await set_terms(agreed, rules, customer_key)
        with pytest.raises(error):
            await agreed.move(CALLS, position, FIRST)
        with pytest.raises(error):
            await agreed.commit(Writer(agreed).commit(**EVERYTHING), NOW)
        assert await agreed.positions([CALLS]) == [None]
        assert await terms(agreed) == (rules, customer_key)


async def test_a_store_of_another_key_is_not_agreed_on(store: StateStore) -> None:
    await store.set_customer_key(b"our key")
    with pytest.raises(CustomerKeyMismatch):
        await store.set_customer_key(b"their key")
    assert await terms(store) == (None, b"our key")


async def test_the_first_rules_stay(store: StateStore) -> None:
    assert await store.set_rules(b"first") == b"first"
    assert await store.set_rules(b"second") == b"first"
    assert await store.rules() == b"first"
    assert (await store.changes(None)).rules == b"first"


# Following what changes


async def test_only_what_changed_is_read_again(store: StateStore, writer: Writer) -> None:
    await writer.write(fine={NOW_H: {"a": {1: 1}}, NOW_H + 1: {"a": {1: 1}}})
    follower = Follower()
    await follower.follow(store)
    await writer.write(fine={NOW_H: {"b": {1: 1}}})
    changes = await store.changes(follower.cursor)
    assert not changes.reset
    assert changes.panes == [
        PaneChange(("fine", NOW_H), False, [changed({NOW_H: {"b": {1: 1}}})["fine", NOW_H]])
    ]
    nothing = await store.changes(changes.cursor)
    assert nothing[:4] == (changes.cursor, False, False, [])


async def test_following_from_before_the_first_commit_misses_nothing(store: StateStore) -> None:
    follower = Follower()
    assert await follower.follow(store) == {}
    writer = await Writer(store).start()
    await writer.write(**EVERYTHING)
    assert await follower.follow(store) == await whole(store) != {}


@pytest.mark.parametrize("behind", [1, 200, 400])
async def test_a_follower_that_was_away_for_many_commits_misses_none(
    store: StateStore, writer: Writer, behind: int
) -> None:
    follower = Follower()
    await writer.write(**EVERYTHING)
    await follower.follow(store)
    for number in range(behind):
        await writer.write(long={NOW_H + number % 3: {"all": {1: 1}}}, counts={"events": 1})
    changes = await store.changes(follower.cursor)
    assert not changes.reset
    assert await follower.follow(store) == await whole(store)
    assert follower.sums[IN_COUNTERS] == {"events": 1 + behind}


@pytest.mark.parametrize(
    "cursor",
    [
        ChangeCursor(1, b"unknown!"),
        ChangeCursor(2, b"unknown!"),
        ChangeCursor(1_000, b"unknown!"),
        ChangeCursor(0, b"unknown!"),
    ],
)
async def test_an_unknown_cursor_is_answered_from_the_beginning(
    store: StateStore, writer: Writer, cursor: ChangeCursor
) -> None:
    await writer.write(fine={NOW_H: {"a": {1: 1}}})
    await writer.write(fine={NOW_H: {"a": {1: 1}}})
    assert (await store.changes(cursor)).reset
    follower = Follower()
    follower.cursor, follower._hours = cursor, {("fine", NOW_H): {in_fine("lost"): {1: 1}}}
    assert await follower.follow(store) == {in_fine("a"): {1: 2}}


async def test_a_cursor_of_a_known_commit_with_a_later_number_is_unknown(
    store: StateStore, writer: Writer
) -> None:
    await writer.write(fine={NOW_H: {"a": {1: 1}}})
    now = await version(store)
    assert (await store.changes(ChangeCursor(now.sequence + 1, now.nonce))).reset


async def test_a_center_that_comes_back_empty_is_read_anew(
    redis_kept: StateStore, store_url: str, center: str
) -> None:
    store = redis_kept
    writer = await Writer(store).start()
    await writer.write(**EVERYTHING)
    follower = Follower()
    await follower.follow(store)
    async with Redis.from_url(store_url) as client:
        await client.delete(*[name async for name in client.scan_iter(f"*{center}*")])
    assert await follower.follow(store) == {}
    await (await Writer(store).start()).write(fine={NOW_H: {"other": {1: 1}}})
    assert await follower.follow(store) == {in_fine("other"): {1: 1}}


class Backup:
    """All of a center as it is now, to come back to as after a failover."""

    def __init__(self, writer: Writer, url: str | None, center: str) -> None:
        self._writer, self._url, self._center = writer, url, center
        self._position = writer.position
        if url is None:
            self._kept = pickle.dumps(vars(writer.store))
            return
        with blocking_redis.Redis.from_url(url) as client:
            self._dumps = {name: client.dump(name) for name in self._names(client)}

    def restore(self) -> None:
        self._writer.position = self._position
        if self._url is None:
            vars(self._writer.store).update(pickle.loads(self._kept))
            return
        with blocking_redis.Redis.from_url(self._url) as client:
            if lost := self._names(client):
                client.delete(*lost)
            for name, dump in self._dumps.items():
                client.restore(name, 0, dump)

    def _names(self, client: Any) -> list[bytes]:
        return list(client.scan_iter(f"*{{{self._center}}}*", count=1_000))


panes = st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 3)), min_size=1, max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 1)),
        st.tuples(st.just("read"), st.integers(0, 1)),
        st.tuples(st.just("write"), panes),
        st.tuples(st.just("write"), panes),
        st.tuples(st.just("compact"), st.integers(0, 5)),
        st.tuples(st.sampled_from(("back up", "fail over")), st.none()),
    ),
    min_size=8,
    max_size=40,
)


@pytest.mark.parametrize("chunk", [0, 60])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@example(steps=[*[("read", 0)] * 3, ("write", [(0, 0)]), *[("read", 0)] * 2, ("fail over", None)])
@given(steps=steps)
async def test_reading_in_chunks_while_commits_go_on_ends_at_the_whole_of_one_moment(
    url: str | None, monkeypatch: pytest.MonkeyPatch, chunk: int, steps: list[Any]
) -> None:
    monkeypatch.setattr(redis_store, "CHUNK_BYTES", chunk)
    center = secrets.token_hex(8)
    async with opened(url, center) as store:
        writer, followers = await Writer(store).start(), [Follower(), Follower()]
        backup = Backup(writer, url, center)
        for what, of in steps:
            match what:
                case "read":
                    if await followers[of].read(store):
                        assert followers[of].sums == await whole(store)
                case "write":
                    fine = {NOW_H + index: {"a": {1: amount}} for index, amount in of}
                    long = {NOW_H + index: {"all": {2: 1}} for index, _ in of}
                    await writer.write(fine=fine, long=long, counts={"events": 1})
                case "compact":
                    await store.compact(("long", NOW_H + of), merge_long)
                case "back up":
                    backup = Backup(writer, url, center)
                case "fail over":
                    backup.restore()
        for follower in followers:
            assert await follower.follow(store) == await whole(store)


# In Redis


@pytest.fixture
async def redis_kept(store_url: str, center: str) -> AsyncIterator[RedisStore]:
    async with opened(store_url, center) as store:
        assert isinstance(store, RedisStore)
        yield store


async def test_a_large_state_is_read_in_several_chunks(
    redis_kept: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "CHUNK_BYTES", 200)
    writer = await Writer(redis_kept).start()
    for number in range(20):
        await writer.write(fine={NOW_H + number: {"a": {1: 1}}})
    follower, steps = Follower(), 1
    while not await follower.read(redis_kept):
        assert follower.sums == {}
        steps += 1
    assert 2 < steps < 20
    assert len(follower.sums) == 20


async def test_one_commit_to_many_hours_is_read_whole(redis_kept: RedisStore) -> None:
    writer = await Writer(redis_kept).start()
    await writer.write(long={NOW_H - number: {"all": {1: 1}} for number in range(700)})
    assert len(await whole(redis_kept)) == 700


async def test_merging_what_came_back_different_after_a_failover_loses_nothing(
    redis_kept: RedisStore, store_url: str, center: str
) -> None:
    """The numbers of commits count, and so come back; between reading and filing there may be others."""
    store = redis_kept
    writer = await Writer(store).start()
    for _ in range(2):
        await writer.write(long={NOW_H: {"all": {NUMBER["answered"]: 1}}})
    backup = Backup(writer, store_url, center)
    for _ in range(2):
        await writer.write(long={NOW_H: {"all": {NUMBER["answered"]: 1}}})

    def interrupted(packed: Sequence[bytes]) -> bytes:
        backup.restore()
        asyncio.run(again())
        return merge_long(packed)

    async def again() -> None:
        async with opened(store_url, center) as other:
            late = Writer(other)
            late.position = writer.position
            for _ in range(2):
                await late.write(long={NOW_H: {"all": {NUMBER["abandoned"]: 1}}})

    await store.compact(("long", NOW_H), interrupted)
    assert await whole(store) == {in_long("all"): {NUMBER["answered"]: 2, NUMBER["abandoned"]: 2}}


async def test_what_two_merge_at_once_is_merged_once(
    redis_kept: RedisStore, store_url: str, center: str
) -> None:
    writer = await Writer(redis_kept).start()
    for _ in range(5):
        await writer.write(long={NOW_H: {"all": {1: 1}}})

    def interrupted(packed: Sequence[bytes]) -> bytes:
        asyncio.run(meanwhile())
        return merge_long(packed)

    async def meanwhile() -> None:
        async with opened(store_url, center) as other:
            await other.compact(("long", NOW_H), merge_long)

    await redis_kept.compact(("long", NOW_H), interrupted)
    assert await whole(redis_kept) == {in_long("all"): {1: 5}}


async def test_lapsed_panes_are_forgotten_and_no_others(store: StateStore) -> None:
    writer = await Writer(store).start()
    for hour in range(NOW_H - 99, NOW_H + 1):
        await writer.write(long={hour: {"all": {1: 1}}})
        if hour > NOW_H - 50:
            await writer.write(fine={hour: {"a": {1: 1}}})
    before = await whole(store)
    for hours, fine, long in ((0, 50, 100), (30, 21, 100), (100 * 24 - 20, 0, 21)):
        await forget_all(store, NOW + hours * HOUR)
        left = await whole(store)
        assert left == {place: tally for place, tally in before.items() if place in left}
        assert [sum(of == family for of, *_ in left) for family in ("fine", "long")] == [fine, long]


async def test_nothing_in_redis_has_a_time_to_live(store_url: str, center: str) -> None:
    async with opened(store_url, center) as store:
        await serves_all(store)
    found = set()
    async with Redis.from_url(store_url) as client:
        async for name in client.scan_iter(f"*{center}*"):
            assert await client.ttl(name) == -1, name
            found.add(name.partition(b":")[2].partition(b":")[0])
    assert found == {
        b"d", b"f", b"l", b"c", b"sequence", b"nonces", b"writes", b"touched", b"changes", b"positions",
        b"beats", b"rules",
    }  # fmt: skip


async def test_of_a_lapsed_pane_nothing_is_left_in_redis(
    redis_kept: RedisStore, store_url: str, center: str
) -> None:
    await (await Writer(redis_kept).start()).write(**EVERYTHING)
    await forget_all(redis_kept, NOW + 60 * HOUR)
    async with Redis.from_url(store_url) as client:
        names = [name async for name in client.scan_iter(f"*{center}*")]
    assert [name for name in names if name.endswith(b":l:%d" % NOW_H)]
    assert not [name for name in names if b":f:" in name]


async def test_two_centers_do_not_see_each_other(redis_kept: StateStore, store_url: str, center: str) -> None:
    await serves_all(redis_kept)
    async with opened(store_url, f"{center}0") as other:
        await test_an_empty_store_holds_nothing(other)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_store_that_would_evict_numbers_is_refused(fresh_redis: RedisServer, policy: str) -> None:
    async with fresh_redis.client() as client:
        await client.config_set("maxmemory-policy", policy)
    with pytest.raises(StoreUnfit, match=f"maxmemory-policy is {policy}.*expected noeviction"):
        await RedisStore.connect(fresh_redis.url, "center")


# Between the check and the EXEC


class Interrupted:
    """Lets something happen once, before a commit is checked (what it is checked by is watched already), or
    after that and before it is written."""

    def __init__(self, store: RedisStore, what: Any, *, before: bool = False) -> None:
        self._call, self._what, self._before = store.call, what, before
        store.call = self  # type: ignore[method-assign]

    async def __call__(self, script: str, *args: Any, **kwargs: Any) -> Any:
        if self._before:
            await self._happen(script)
        answer = await self._call(script, *args, **kwargs)
        await self._happen(script)
        return answer

    async def _happen(self, script: str) -> None:
        if script == "check_commit" and self._what is not None:
            what, self._what = self._what, None
            await what()


async def test_what_another_writes_after_the_check_is_seen_by_the_next_one(
    redis_kept: RedisStore, store_url: str, center: str
) -> None:
    await (await Writer(redis_kept).start()).write(writes={key("a"): b"1"})
    (position,) = await redis_kept.positions([CALLS])
    mine, read = Writer(redis_kept, OTHERS), await version(redis_kept)
    await mine.start()

    async def other() -> None:
        async with opened(store_url, center) as store:
            late = Writer(store)
            late.position = position or FIRST
            await late.write(writes={key("a"): b"2"})

    Interrupted(redis_kept, other)
    outcome = await redis_kept.commit(
        mine.commit(version=read, reads=[key("a")], writes={key("a"): b"3"}), NOW
    )
    assert isinstance(outcome, VersionConflict)
    assert outcome.keys == {key("a")}
    assert await values(redis_kept, key("a")) == [b"2"]


async def test_what_another_writes_elsewhere_after_the_check_does_no_harm(
    redis_kept: RedisStore, store_url: str, center: str
) -> None:
    mine = await Writer(redis_kept).start()

    async def other() -> None:
        async with opened(store_url, center) as store:
            await (await Writer(store, OTHERS).start()).write(writes={key("b"): b"2"}, counts={"events": 1})

    Interrupted(redis_kept, other)
    await mine.write(version=await version(redis_kept), reads=[key("a")], **EVERYTHING)
    assert await store_sums(redis_kept) == {"events": 2}
    assert (await version(redis_kept)).sequence == 4  # two moves, two commits


async def store_sums(store: StateStore) -> dict[str, int]:
    return (await whole(store))[IN_COUNTERS]


async def test_another_owner_after_the_check_is_an_offset_conflict(
    redis_kept: RedisStore, store_url: str, center: str
) -> None:
    mine = await Writer(redis_kept).start()

    async def other() -> None:
        async with opened(store_url, center) as store:
            assert await store.move(CALLS, FIRST, LogPosition("e2", 7, b"otherone"))

    Interrupted(redis_kept, other)
    before = await whole(redis_kept)
    outcome = await redis_kept.commit(mine.commit(**EVERYTHING), NOW)
    assert outcome == OffsetConflict(LogPosition("e2", 7, b"otherone"))
    assert await whole(redis_kept) == before


@pytest.mark.parametrize("before", [True, False])
async def test_a_connection_lost_before_or_after_the_check_writes_nothing_and_the_commit_may_be_sent_again(
    redis_kept: RedisStore, store_url: str, center: str, before: bool
) -> None:
    """A WATCH dies with its connection: whoever goes on over a new one, without another check, would write
    over what another wrote meanwhile."""
    mine = await Writer(redis_kept).start()

    async def cut() -> None:
        async with Redis.from_url(store_url) as client:
            await client.client_kill_filter(_type="normal", skipme=True)
        async with opened(store_url, center) as store:
            assert await store.move(CALLS, FIRST, LogPosition("e2", 7, b"otherone"))

    Interrupted(redis_kept, cut, before=before)
    commit = mine.commit(**EVERYTHING)
    with pytest.raises(RedisConnectionError):
        await redis_kept.commit(commit, NOW)
    outcome = await redis_kept.commit(commit, NOW)
    assert outcome == OffsetConflict(LogPosition("e2", 7, b"otherone"))
    assert await whole(redis_kept) == {}


async def test_a_commit_whose_answer_was_lost_is_known_by_its_token(
    redis_kept: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await Writer(redis_kept).start()
    commit = writer.commit(**EVERYTHING)
    pipeline = redis_kept.client.pipeline

    def losing(**how: Any) -> Any:
        pipe = pipeline(**how)
        execute = pipe.execute

        async def lost(*args: Any, **kwargs: Any) -> Any:
            await execute(*args, **kwargs)
            raise RedisTimeoutError("the answer was lost")

        pipe.execute = lost
        return pipe

    with monkeypatch.context() as patch:
        patch.setattr(redis_kept.client, "pipeline", losing)
        with pytest.raises(RedisTimeoutError):
            await redis_kept.commit(commit, NOW)
    once = await state(redis_kept)
    assert await redis_kept.commit(commit, NOW) == CommitApplied()
    assert await state(redis_kept) == once
    assert once[0] == [commit.position, None]


async def test_a_commit_that_does_not_fit_into_memory_writes_nothing(fresh_redis: RedisServer) -> None:
    async with opened(fresh_redis.url, "full") as store:
        writer = await Writer(store).start()
        await writer.write(**EVERYTHING)
        before = await state(store)
        async with fresh_redis.client() as client:
            await client.config_set("maxmemory", "1mb")
            with pytest.raises(OutOfMemoryError):
                await store.commit(writer.commit(writes={key("a"): b"x" * 3_000_000}), NOW)
            await client.config_set("maxmemory", "0")
        assert await state(store) == before
        await writer.write(writes={key("a"): b"now"})


# On a cluster


async def test_centers_of_a_cluster_lie_on_different_nodes_each_served_whole(
    redis_cluster: RedisCluster, center: str
) -> None:
    holders: set[int] = set()
    for number in range(100):
        name = f"{center}-{number}"
        async with opened(redis_cluster.url, name) as store:
            await test_an_empty_store_holds_nothing(store)
            await serves_all(store)
        (holder,) = [node.port for node in redis_cluster.nodes if await holds(node, name)]
        holders.add(holder)
        if len(holders) == len(redis_cluster.nodes):
            return
    pytest.fail(f"all centers lie on {holders}")


async def test_a_center_whose_slot_moves_to_another_node_goes_on_there(
    redis_cluster: RedisCluster, center: str
) -> None:
    """While it moves, what is not here any more, or not yet, is there (ASK): that is waited for."""
    async with opened(redis_cluster.url, center) as store:
        writer = await Writer(store).start()
        await writer.write(**EVERYTHING)
        read = await version(store)
        moving = asyncio.create_task(redis_cluster.move_slot(key_slot(layout_key(center)), pause_s=0.3))
        written = asyncio.create_task(
            retry_forever(
                lambda: store.commit(writer.commit(version=read, reads=[key("a")], **EVERYTHING), NOW)
            )
        )
        while not moving.done():
            await retry_forever(lambda: whole(store))
            await asyncio.sleep(0.01)
        await moving
        assert await written == CommitApplied()
        assert await retry_forever(lambda: store_sums(store)) == {"events": 2}


async def test_a_slot_that_moves_between_check_and_exec_refuses_the_commit_or_takes_it_once(
    redis_cluster: RedisCluster, center: str
) -> None:
    async with opened(redis_cluster.url, center) as store:
        assert isinstance(store, RedisStore)
        writer = await Writer(store).start()
        Interrupted(store, lambda: redis_cluster.move_slot(key_slot(layout_key(center))))
        commit = writer.commit(**EVERYTHING)
        assert await retry_forever(lambda: store.commit(commit, NOW)) == CommitApplied()
        assert await retry_forever(lambda: store_sums(store)) == {"events": 1}
        assert await store.commit(commit, NOW) == CommitApplied()
        assert await store_sums(store) == {"events": 1}


async def holds(node: RedisServer, center: str) -> bool:
    async with node.client() as client:
        return bool([name async for name in client.scan_iter(f"*{center}}}*")])


async def serves_all(store: StateStore) -> None:
    writer = await Writer(store).start()
    await writer.write(**EVERYTHING)
    read = await version(store)
    await writer.write(
        version=read,
        reads=[key("a")],
        fine={NOW_H: {"cell": {1: 2}}},
        long={NOW_H: {"all": {1: 2}}},
        counts={"events": 1},
    )
    for family in MERGE:
        await store.compact((family, NOW_H) if family != "counters" else COUNTERS, MERGE[family])
    await store.beat({CALLS: Heartbeat(1, 2, 3)})
    await store.set_rules(b"rules")
    assert await store.rules() == b"rules"
    assert await store.heartbeats() == {CALLS: Heartbeat(1, 2, 3)}
    assert await store.replace(read, [key("b", "c")], {key("b", "c"): b"less"}, NOW)
    assert await store.forget(NOW, 100) == 0
    assert [name async for names in store.scan("c") for name in names] == [key("b", "c")]
    assert await state(store) == (
        [writer.position, None],
        [b"journey", b"less"],
        {in_fine("cell"): {1: 3}, in_long("all"): {1: 3}, IN_COUNTERS: {"events": 2}},
        {"events": 2},
    )
