"""Here is what every store must do: one suite for the store in memory and the one in Redis."""

import asyncio
import pickle
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis as blocking_redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

import streamer.store.redis as redis_store
from streamer.events.rules import DAY, HOUR, Rules
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.grid import WIDTH, Family, kept_ms
from streamer.panes.posting import Posting, merge, pack, unpack
from streamer.store.layout import document_ttl_s
from streamer.store.memory import MemoryStore
from streamer.store.port import (
    TOKEN_BYTES,
    Applied,
    Beat,
    Changed,
    Checkpoint,
    Commit,
    Document,
    Mark,
    Moved,
    Pane,
    Partition,
    Position,
    Store,
)
from streamer.store.redis import RedisStore, StoreUnfit
from tests.parts.redis_cluster import RedisCluster
from tests.parts.redis_server import RedisServer
from tests.strategies import START

NOW = START + 20 * 365 * DAY
"""Ahead of any clock: Redis sweeps by its own what is past."""
FINE, LONG = NOW // WIDTH["fine"], NOW // WIDTH["long"]
CALLS = Partition("call-completed", 0)
OTHERS = Partition("call-completed", 1)
FIRST = Position("e1", 0, b"-" * TOKEN_BYTES)

Field = tuple[Family, int, str]
Sums = dict[Field, Tally]


class Follower:
    """Reads what changes, as a reader does: `sums` is what it had when last all was of one moment."""

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self.sums: Sums = {}
        self._panes: dict[tuple[Family, int], Sums] = {}

    async def read(self, store: Store) -> bool:
        """One step; whether all that was read belongs to one moment."""
        changes = await store.changes(self.mark)
        self.mark = changes.mark
        if changes.reset:
            self._panes = {}
        for pane in changes.panes:
            self._put(pane)
        if not changes.more:
            self.sums = {place: kept for sums in self._panes.values() for place, kept in _clean(sums)}
        return not changes.more

    async def follow(self, store: Store) -> Sums:
        while not await self.read(store):
            pass
        return self.sums

    def _put(self, pane: Pane) -> None:
        place = pane.family, pane.index
        sums = {} if pane.whole else self._panes.get(place, {})
        self._panes[place] = sums
        for packed in pane.postings:
            for field, tally in unpack(packed).tallies():
                known = sums.setdefault((*place, field), {})
                for number, amount in tally.items():
                    known[number] = known.get(number, 0) + amount


def _clean(sums: Sums) -> Iterator[tuple[Field, Tally]]:
    for place, tally in sums.items():
        if kept := {number: amount for number, amount in tally.items() if amount}:
            yield place, kept


async def whole(store: Store) -> Sums:
    return await Follower().follow(store)


def posting(tallies: Mapping[str, Tally]) -> bytes:
    numbers = [number for tally in tallies.values() for number in tally]
    amounts = [amount for tally in tallies.values() for amount in tally.values()]
    return pack(Posting(list(tallies), [len(tally) for tally in tallies.values()], numbers, amounts))


def key(name: str, letter: str = "e") -> bytes:
    return letter.encode() + name.encode().ljust(12, b".")


class Writer:
    """Commits to one partition of a store, one after the other."""

    def __init__(self, store: Store, partition: Partition = CALLS) -> None:
        self.store = store
        self.partition = partition
        self.position = FIRST

    async def start(self) -> "Writer":
        assert await self.store.move(self.partition, None, FIRST)
        return self

    def commit(self, **parts: Any) -> Commit:
        """The next one, of these parts. Parts of panes are tallies by field, by index."""
        for family in ("fine", "long"):
            parts[family] = {index: posting(fields) for index, fields in parts.get(family, {}).items()}
        after = Position("e1", self.position.next + 1, secrets.token_bytes(TOKEN_BYTES))
        usual = {"reads": {}, "writes": {}, "counts": {}, "start": self.position.next, "epoch": "e1"}
        return Commit(partition=self.partition, position=after, **(usual | parts))

    async def write(self, **parts: Any) -> Position:
        commit = self.commit(**parts)
        assert await self.store.commit(commit, NOW) == Applied()
        self.position = commit.position
        return commit.position


EVERYTHING: dict[str, Any] = {
    "writes": {key("a"): b"journey", key("b", "c"): b"other"},
    "fine": {FINE: {"cell": {1: 1}}},
    "long": {LONG: {"all": {1: 1}}},
    "counts": {"events": 1},
}


async def state(store: Store) -> tuple[Any, ...]:
    """All there is."""
    return (
        await store.positions([CALLS, OTHERS]),
        await store.read([key("a"), key("b", "c")]),
        await whole(store),
        await store.counts(),
    )


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@asynccontextmanager
async def opened(url: str | None, center: str, rules: Rules | None = None) -> AsyncIterator[Store]:
    store = MemoryStore() if url is None else await RedisStore.connect(url, center, rules)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(url: str | None, center: str) -> AsyncIterator[Store]:
    async with opened(url, center) as store:
        yield store


@pytest.fixture
async def writer(store: Store) -> Writer:
    return await Writer(store).start()


# One commit


async def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert await store.read([]) == []
    assert await store.read([key("a"), key("b")]) == [None, None]
    assert await store.positions([]) == []
    assert await store.positions([CALLS]) == [None]
    assert await store.counts() == {}
    assert await store.beats() == {}
    assert await store.rules() is None
    assert await whole(store) == {}


async def test_a_commit_moves_numbers_documents_and_position_together(store: Store, writer: Writer) -> None:
    position = await writer.write(**EVERYTHING)
    assert await state(store) == (
        [position, None],
        [Document(position.token, b"journey"), Document(position.token, b"other")],
        {("fine", FINE, "cell"): {1: 1}, ("long", LONG, "all"): {1: 1}},
        {"events": 1},
    )


async def test_a_position_is_kept_with_its_checkpoints(store: Store) -> None:
    points = (Checkpoint(0, NOW, 0), Checkpoint(2**40, NOW, 2**32 - 1))
    position = Position("f00d", 2**40 + 1, b":\x00\xff\r\n:::", points)
    assert await store.move(CALLS, None, position)
    assert await store.positions([OTHERS, CALLS]) == [None, position]


async def test_the_same_commit_sent_again_is_applied_once(store: Store, writer: Writer) -> None:
    commit = writer.commit(**EVERYTHING)
    assert await store.commit(commit, NOW) == Applied()
    once = await state(store)
    assert await store.commit(commit, NOW) == Applied()
    assert await state(store) == once


async def test_a_commit_sent_again_after_the_next_one_is_refused(store: Store, writer: Writer) -> None:
    late = writer.commit(**EVERYTHING)
    await store.commit(late, NOW)
    writer.position = late.position
    present = await writer.write(counts={"events": 1})
    before = await state(store)
    assert await store.commit(late, NOW) == Moved(present)
    assert await state(store) == before


async def test_a_commit_without_a_position_writes_nothing(store: Store) -> None:
    assert await store.commit(Writer(store).commit(**EVERYTHING), NOW) == Moved(None)
    assert await state(store) == ([None, None], [None, None], {}, {})


@pytest.mark.parametrize("other", [{"epoch": "e2"}, {"start": 0}, {"start": 2}])
async def test_a_commit_that_starts_elsewhere_writes_nothing(
    store: Store, writer: Writer, other: dict[str, Any]
) -> None:
    present = await writer.write()
    before = await state(store)
    assert await store.commit(writer.commit(**EVERYTHING | other), NOW) == Moved(present)
    assert await state(store) == before


@pytest.mark.parametrize(
    ("stored", "read"),
    [(True, None), (True, b"anothers"), (False, b"anothers")],
    ids=["present, read as absent", "of another token", "absent, read as present"],
)
async def test_a_commit_that_read_what_changed_writes_nothing(
    store: Store, writer: Writer, stored: bool, read: bytes | None
) -> None:
    same = (await writer.write(writes={key("same"): b"1"})).token
    if stored:
        await writer.write(writes={key("a"): b"1"})
    before = await state(store)
    reads = {key("same"): same, key("a"): read, key("never"): None}
    outcome = await store.commit(writer.commit(**EVERYTHING, reads=reads), NOW)
    assert outcome == Changed((key("a"),))
    assert await state(store) == before


async def test_all_keys_that_changed_are_named(store: Store, writer: Writer) -> None:
    await writer.write(writes={key("a"): b"1", key("b"): b"1"})
    outcome = await store.commit(writer.commit(reads={key("a"): None, key("b"): None, key("c"): None}), NOW)
    assert isinstance(outcome, Changed)
    assert set(outcome.keys) == {key("a"), key("b")}


async def test_a_commit_that_read_what_is_there_is_applied(store: Store, writer: Writer) -> None:
    token = (await writer.write(writes={key("a"): b"1"})).token
    after = await writer.write(reads={key("a"): token, key("b"): None}, writes={key("a"): b"2"})
    assert await store.read([key("a")]) == [Document(after.token, b"2")]


async def test_a_deleted_document_is_absent(store: Store, writer: Writer) -> None:
    await writer.write(writes={key("a"): b"1", key("b"): b"1"})
    await writer.write(writes={key("a"): None, key("never"): None})
    assert [document and document.value for document in await store.read([key("a"), key("b")])] == [
        None,
        b"1",
    ]
    await writer.write(reads={key("a"): None})


async def test_documents_are_replaced_without_counting(store: Store, writer: Writer) -> None:
    position = await writer.write(**EVERYTHING)
    reads = {key("a"): position.token, key("n"): None}
    assert await store.replace(
        b"newtoken", reads, {key("a"): b"less", key("b", "c"): None, key("n"): b"seal"}
    )
    assert await store.read([key("a"), key("b", "c"), key("n")]) == [
        Document(b"newtoken", b"less"),
        None,
        Document(b"newtoken", b"seal"),
    ]
    assert await store.positions([CALLS]) == [position]
    assert await store.counts() == {"events": 1}


@pytest.mark.parametrize("seen", [None, b"anothert"])
async def test_nothing_is_replaced_where_something_changed(
    store: Store, writer: Writer, seen: bytes | None
) -> None:
    await writer.write(**EVERYTHING)
    before = await state(store)
    assert not await store.replace(b"newtoken", {key("n"): None, key("a"): seen}, {key("a"): None})
    assert await state(store) == before


async def test_a_commit_that_read_what_was_replaced_meanwhile_writes_nothing(
    store: Store, writer: Writer
) -> None:
    position = await writer.write(**EVERYTHING)
    assert await store.replace(b"newtoken", {}, {key("a"): b"less"})
    commit = writer.commit(reads={key("a"): position.token}, writes={key("a"): b"more"})
    assert await store.commit(commit, NOW) == Changed((key("a"),))


async def test_keys_are_found_by_their_letters(store: Store, writer: Writer) -> None:
    many = {key(f"{number}", letter): b"x" for number in range(700) for letter in "ceo"}
    await writer.write(writes=many, counts={"events": 1}, fine={FINE: {"cell": {1: 1}}})
    found = {one async for keys in store.keys("co") for one in keys}
    assert found == {one for one in many if one[:1] != b"e"}


async def test_documents_are_read_in_the_order_asked_for(store: Store, writer: Writer) -> None:
    await writer.write(writes={key("a"): b"1", key("b"): b"\x00\xff" * 5})
    assert await values(store, "b", "never", "a", "b") == [b"\x00\xff" * 5, None, b"1", b"\x00\xff" * 5]


async def values(store: Store, *names: str) -> list[bytes | None]:
    return [document and document.value for document in await store.read([key(name) for name in names])]


async def test_more_than_any_script_can_unpack_at_once(store: Store, writer: Writer) -> None:
    keys = [key(f"{number:05}") for number in range(2_101)]
    fields = {f"cell {number}": {number % 200: number} for number in range(1, 1_200)}
    fine = {FINE + number: {"cell": {1: number}} for number in range(1, 700)}
    written = await writer.write(
        writes=dict.fromkeys(keys, b"v"),
        fine={FINE: fields, **fine},
        counts={f"count {number}": number for number in range(1_100)},
    )
    assert await store.read(keys) == [Document(written.token, b"v")] * len(keys)
    assert len(await whole(store)) == len(fields) + len(fine)
    assert (await store.counts())["count 1099"] == 1099
    outcome = await store.commit(writer.commit(reads=dict.fromkeys(keys)), NOW)
    assert isinstance(outcome, Changed)
    assert set(outcome.keys) == set(keys)
    await writer.write(reads=dict.fromkeys(keys, written.token), writes=dict.fromkeys(keys))
    assert await store.read(keys) == [None] * len(keys)


# Numbers


async def test_tallies_add_up_and_come_back_to_nothing(store: Store, writer: Writer) -> None:
    await writer.write(fine={FINE: {"a": {1: 2, 2: 3}, "b": {7: 1}}})
    await writer.write(fine={FINE: {"a": {1: 1, 3: -4}, "b": {7: -1}}})
    assert await whole(store) == {("fine", FINE, "a"): {1: 3, 2: 3, 3: -4}}
    await writer.write(fine={FINE: {"a": {1: -3, 2: -3, 3: 4}}})
    assert await whole(store) == {}


@pytest.mark.parametrize("amount", [1, -1, 127, 128, -33, 2**31, 2**32, 2**53, -(2**53)])
async def test_large_and_negative_numbers_are_exact(store: Store, writer: Writer, amount: int) -> None:
    await writer.write(long={LONG: {"all": {0: amount - 1, 4000: amount}}})
    await writer.write(long={LONG: {"all": {0: 1}}}, counts={"ms": abs(amount)})
    await writer.write(counts={"ms": 1})
    assert await whole(store) == {("long", LONG, "all"): {0: amount, 4000: amount}}
    assert await store.counts() == {"ms": abs(amount) + 1}


@pytest.mark.parametrize("size", [1, 15, 16, 17, 300])
async def test_a_tally_of_consecutive_numbers_from_one_is_no_list(
    store: Store, writer: Writer, size: int
) -> None:
    tally = {number: number for number in range(1, size + 1)}
    await writer.write(fine={FINE: {"a": tally}})
    await writer.write(fine={FINE: {"a": tally}})
    assert await whole(store) == {("fine", FINE, "a"): {number: 2 * number for number in tally}}


@pytest.mark.parametrize("family", ["fine", "long"])
async def test_panes_past_their_time_to_live_are_left_out(
    store: Store, writer: Writer, family: Family
) -> None:
    width, keep = WIDTH[family], kept_ms(family, Rules().retention_ms)
    oldest = (NOW - keep) // width
    panes = {index: {"a": {1: 1}} for index in (oldest - 1, oldest, oldest + 1)}
    now_ms = (oldest + 1) * width + keep - 1  # the last millisecond in which the oldest is kept
    assert await store.commit(writer.commit(**{family: panes}, counts={"events": 1}), now_ms) == Applied()
    assert await whole(store) == {(family, index, "a"): {1: 1} for index in (oldest, oldest + 1)}
    assert await store.counts() == {"events": 1}


@pytest.mark.parametrize("times", [1, 2, 7])
async def test_compacting_changes_no_number(store: Store, writer: Writer, times: int) -> None:
    follower = Follower()
    for number in range(1, times + 1):
        await writer.write(
            long={LONG: {"all": {1: number}, f"queue {number}": {2: 1}}, LONG + 1: {"all": {1: 1}}}
        )
        await follower.follow(store)
    before = await whole(store)
    await store.compact("long", LONG, merge)
    await store.compact("long", LONG + 2, merge)
    assert await whole(store) == before
    await writer.write(long={LONG: {"all": {1: 1}}})
    assert await follower.follow(store) == await whole(store)
    assert follower.sums["long", LONG, "all"] == {1: times * (times + 1) // 2 + 1}


async def test_a_panes_postings_come_in_the_order_of_their_commits(store: Store, writer: Writer) -> None:
    for number in (1, 2, 3):
        await writer.write(fine={FINE: {"a": {number: 1}}})
    assert [[*unpack(one).numbers] for one in await store.postings("fine", FINE)] == [[1], [2], [3]]
    assert list(await store.postings("fine", FINE + 1)) == []


# Around it


async def test_a_position_moves_only_from_where_it_is(store: Store, writer: Writer) -> None:
    other = Position("e2", 7, b"otherone")
    assert not await store.move(CALLS, None, other)
    assert not await store.move(CALLS, Position("e1", 0, b"different"[:8]), other)
    assert await store.positions([CALLS]) == [FIRST]
    assert await store.move(CALLS, FIRST, other)
    assert not await store.move(CALLS, FIRST, FIRST)
    assert await store.positions([CALLS]) == [other]


async def test_moving_a_position_changes_no_number(store: Store, writer: Writer) -> None:
    await writer.write(**EVERYTHING)
    follower = Follower()
    before = await follower.follow(store)
    await store.move(CALLS, writer.position, Position("e2", 0, b"otherone"))
    assert await follower.follow(store) == before == await whole(store)


async def test_beats_are_the_last_said_of_each_partition(store: Store) -> None:
    await store.beat({})
    await store.beat({CALLS: Beat(1, 2, 3), OTHERS: Beat(NOW, 0, NOW)})
    await store.beat({CALLS: Beat(4, 5, 6)})
    assert await store.beats() == {CALLS: Beat(4, 5, 6), OTHERS: Beat(NOW, 0, NOW)}


async def test_the_first_rules_stay(store: Store) -> None:
    assert await store.set_rules(b"first") == b"first"
    assert await store.set_rules(b"second") == b"first"
    assert await store.rules() == b"first"


# Following what changes


async def test_only_what_changed_is_read_again(store: Store, writer: Writer) -> None:
    await writer.write(fine={FINE: {"a": {1: 1}}, FINE + 1: {"a": {1: 1}}})
    changes = await store.changes(None)
    assert changes.reset
    await writer.write(fine={FINE: {"b": {1: 1}}})
    changes = await store.changes(changes.mark)
    assert not changes.reset
    assert changes.panes == [Pane("fine", FINE, False, [posting({"b": {1: 1}})])]
    nothing = await store.changes(changes.mark)
    assert nothing == (changes.mark, False, False, [])


async def test_following_from_before_the_first_commit_misses_nothing(store: Store) -> None:
    follower = Follower()
    assert await follower.follow(store) == {}
    writer = await Writer(store).start()
    await writer.write(**EVERYTHING)
    assert await follower.follow(store) == await whole(store) != {}


@pytest.mark.parametrize(
    "mark", [Mark(1, b"unknown!"), Mark(2, b"unknown!"), Mark(1_000, b"unknown!"), Mark(0, b"unknown!")]
)
async def test_an_unknown_mark_is_answered_from_the_beginning(
    store: Store, writer: Writer, mark: Mark
) -> None:
    await writer.write(fine={FINE: {"a": {1: 1}}})
    await writer.write(fine={FINE: {"a": {1: 1}}})
    changes = await store.changes(mark)
    assert changes.reset
    assert [pane.postings for pane in changes.panes] == [[posting({"a": {1: 1}})] * 2]


async def test_a_mark_of_a_known_commit_with_a_later_number_is_unknown(store: Store, writer: Writer) -> None:
    await writer.write(fine={FINE: {"a": {1: 1}}})
    mark = (await store.changes(None)).mark
    assert (await store.changes(Mark(mark.sequence + 1, mark.nonce))).reset


async def test_a_center_that_comes_back_empty_is_read_anew(
    redis_kept: Store, store_url: str, center: str
) -> None:
    store = redis_kept
    writer = await Writer(store).start()
    await writer.write(**EVERYTHING)
    follower = Follower()
    await follower.follow(store)
    async with Redis.from_url(store_url) as client:
        await client.delete(*[name async for name in client.scan_iter(f"*{center}*")])
    assert await follower.follow(store) == {}
    await (await Writer(store).start()).write(fine={FINE: {"other": {1: 1}}})
    assert await follower.follow(store) == {("fine", FINE, "other"): {1: 1}}


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
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
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
                    fine = {FINE + index: {"a": {1: amount}} for index, amount in of}
                    await writer.write(fine=fine, long={LONG + index: {"all": {2: 1}} for index, _ in of})
                case "compact":
                    await store.compact("long", LONG + of, merge)
                case "back up":
                    backup = Backup(writer, url, center)
                case "fail over":
                    backup.restore()
        for follower in followers:
            assert await follower.follow(store) == await whole(store)


# In Redis


@pytest.fixture
async def redis_kept(store_url: str, center: str) -> AsyncIterator[Store]:
    async with opened(store_url, center) as store:
        yield store


async def test_a_large_state_is_read_in_several_chunks(
    redis_kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "CHUNK_BYTES", 60)
    writer = await Writer(redis_kept).start()
    for number in range(20):
        await writer.write(fine={FINE + number: {"a": {1: 1}}})
    follower, steps = Follower(), 1
    while not await follower.read(redis_kept):
        assert follower.sums == {}
        steps += 1
    assert 2 < steps < 20
    assert len(follower.sums) == 20


async def test_merging_what_came_back_different_after_a_failover_loses_nothing(
    redis_kept: Store, store_url: str, center: str
) -> None:
    """The numbers of commits count, and so come back; between reading and filing there may be others."""
    store = redis_kept
    writer = await Writer(store).start()
    for _ in range(2):
        await writer.write(long={LONG: {"all": {NUMBER["answered"]: 1}}})
    backup = Backup(writer, store_url, center)
    for _ in range(2):
        await writer.write(long={LONG: {"all": {NUMBER["answered"]: 1}}})

    def interrupted(postings: list[bytes]) -> bytes:
        backup.restore()
        asyncio.run(again())
        return merge(postings)

    async def again() -> None:
        async with opened(store_url, center) as other:
            late = Writer(other)
            late.position = writer.position
            for _ in range(2):
                await late.write(long={LONG: {"all": {NUMBER["abandoned"]: 1}}})

    await store.compact("long", LONG, interrupted)
    assert await whole(store) == {("long", LONG, "all"): {NUMBER["answered"]: 2, NUMBER["abandoned"]: 2}}


async def test_documents_and_panes_expire_and_nothing_else_does(store_url: str, center: str) -> None:
    rules = Rules(horizon_ms=10 * DAY, retention_ms=200 * DAY, fcr_ms=DAY)
    async with opened(store_url, center, rules) as store:
        await serves_all(store)
    found = {"document": 0, "pane": 0, "lasting": 0}
    async with Redis.from_url(store_url) as client:
        async for name in client.scan_iter(f"*{center}*"):
            ttl_s, expires_at_s = await client.ttl(name), await client.expiretime(name)
            if name.endswith((key("a"), key("b", "c"))):
                found["document"] += 1
                assert document_ttl_s(rules) - 60 < ttl_s <= document_ttl_s(rules)
            elif name.endswith((b":%d" % FINE, b":%d" % LONG)):
                found["pane"] += 1
                keep = kept_ms("fine" if name.endswith(b":%d" % FINE) else "long", rules.retention_ms)
                assert NOW + keep < expires_at_s * 1000 <= NOW + keep + 4 * HOUR
            else:
                found["lasting"] += 1
                assert ttl_s == -1, name
    assert found == {"document": 2, "pane": 2, "lasting": 8}


async def test_two_centers_do_not_see_each_other(redis_kept: Store, store_url: str, center: str) -> None:
    await serves_all(redis_kept)
    async with opened(store_url, f"{center}0") as other:
        await test_an_empty_store_holds_nothing(other)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_store_that_would_evict_numbers_is_refused(fresh_redis: RedisServer, policy: str) -> None:
    async with fresh_redis.client() as client:
        await client.config_set("maxmemory-policy", policy)
    with pytest.raises(StoreUnfit, match=f"maxmemory-policy is {policy}.*expected noeviction"):
        await RedisStore.connect(fresh_redis.url, "center")


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


async def holds(node: RedisServer, center: str) -> bool:
    async with node.client() as client:
        return bool([name async for name in client.scan_iter(f"*{center}}}*")])


async def serves_all(store: Store) -> None:
    writer = await Writer(store).start()
    await writer.write(**EVERYTHING)
    await writer.write(fine={FINE: {"cell": {1: 2}}}, long={LONG: {"all": {1: 2}}}, counts={"events": 1})
    await store.compact("long", LONG, merge)
    await store.beat({CALLS: Beat(1, 2, 3)})
    await store.set_rules(b"rules")
    assert await store.rules() == b"rules"
    assert await store.beats() == {CALLS: Beat(1, 2, 3)}
    assert await state(store) == (
        [writer.position, None],
        await store.read([key("a"), key("b", "c")]),
        {("fine", FINE, "cell"): {1: 3}, ("long", LONG, "all"): {1: 3}},
        {"events": 2},
    )
