"""Tests of staged generations: one suite for those in memory and in Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from streamer.events.counting_rules import CountingRules, CountingRulesMismatch, encode_rules
from streamer.metrics.counters import pack_counters
from streamer.panes.pane_keys import COUNTERS
from streamer.store.memory import MemoryGeneration, MemoryStore
from streamer.store.port import (
    EMPTY_STORE,
    Commit,
    CommitApplied,
    GenerationSuperseded,
    Heartbeat,
    LogPosition,
    OffsetConflict,
    Partition,
    StagedGeneration,
    StateStore,
)
from streamer.store.redis import RedisGeneration, RedisStore

CALLS, OTHERS = Partition("call-completed", 0), Partition("call-completed", 1)
START, NEW_START = LogPosition("ab", 0, b"01234567"), LogPosition("cd", 0, b"abcdefgh")
KEY = b"e".ljust(13, b".")
BEAT = Heartbeat(1, 2, 3)
OTHER_RULES = encode_rules(CountingRules(fcr_ms=1))


class StagedCenter(NamedTuple):
    """Store of a center in force, and what makes generations beside it."""

    live: StateStore
    stage: Callable[[], StagedGeneration]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@pytest.fixture
async def staged_center(url: str | None, center: str) -> AsyncIterator[StagedCenter]:
    """A center that counts CALLS. In Redis its generations are made over another connection."""
    async with AsyncExitStack() as stack:
        if url is None:
            store = MemoryStore()
            found = StagedCenter(store, lambda: MemoryGeneration(store, CountingRules()))
        else:
            live, other = [await RedisStore.connect(url, center) for _ in range(2)]
            stack.push_async_callback(live.close)
            stack.push_async_callback(other.close)
            found = StagedCenter(live, lambda: RedisGeneration(other, CountingRules()))
        await found.live.move(CALLS, None, START)
        yield found


@pytest.fixture
async def staged(staged_center: StagedCenter) -> StagedGeneration:
    """An open generation, to count CALLS in another epoch."""
    found = staged_center.stage()
    await found.open()
    await found.store.move(CALLS, None, NEW_START)
    return found


def commit(start: LogPosition, value: bytes = b"") -> Commit:
    after = LogPosition(start.epoch, start.next + 1, start.token[::-1])
    writes = {KEY: value} if value else {}
    counted = {COUNTERS: pack_counters({"events": 1})}
    return Commit(CALLS, start.epoch, start.next, after, EMPTY_STORE, (), writes, counted)


async def count(store: StateStore, start: LogPosition, value: bytes = b"") -> None:
    assert await store.commit(commit(start, value), 0) == CommitApplied()


async def document(store: StateStore) -> bytes | None:
    return (await store.read([KEY])).values[0]


async def test_a_staged_generation_is_beside_the_current_one_until_it_is_promoted(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged.store, NEW_START, b"new")
    assert await staged_center.live.positions([CALLS]) == [START]
    assert (await document(staged_center.live), await document(staged.store)) == (None, b"new")
    await count(staged_center.live, START, b"old")
    assert (await document(staged_center.live), await document(staged.store)) == (b"old", b"new")
    assert await staged.promote()
    assert await document(staged_center.live) == b"new"


async def test_it_is_promoted_only_at_equal_offsets_whatever_the_epochs(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged_center.live, START)
    assert not await staged.promote()
    assert await staged_center.live.positions([CALLS]) == [commit(START).position]
    assert await staged.store.positions([CALLS]) == [NEW_START]
    await count(staged.store, NEW_START)
    assert await staged.promote()
    assert await staged_center.live.positions([CALLS]) == [commit(NEW_START).position]


@pytest.mark.parametrize("is_live", [True, False])
async def test_a_partition_counts_in_the_comparison_only_if_it_was_counted(
    staged_center: StagedCenter, staged: StagedGeneration, is_live: bool
) -> None:
    store = staged_center.live if is_live else staged.store
    assert await store.move(OTHERS, None, replace(START, next=1))
    assert not await staged.promote()
    assert await store.move(OTHERS, replace(START, next=1), START)
    assert await staged.promote()


async def test_a_partition_that_no_longer_exists_is_left_out_of_the_comparison_and_of_the_new_numbers(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged_center.live, START)
    assert await staged_center.live.move(OTHERS, None, replace(START, next=7))
    await count(staged.store, NEW_START)
    assert not await staged.promote()
    assert not await staged.promote([CALLS])
    assert await staged.promote([OTHERS])
    assert await staged_center.live.positions([CALLS, OTHERS]) == [commit(NEW_START).position, None]


async def test_counters_and_heartbeats_go_over_as_they_are(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await staged_center.live.beat({CALLS: BEAT})
    await staged.store.beat({OTHERS: BEAT})
    await count(staged_center.live, START)
    assert await staged_center.live.replace(EMPTY_STORE, (), {KEY: b"more writes here than there"}, 0)
    await count(staged.store, NEW_START)
    assert await staged.promote()
    assert await staged_center.live.heartbeats() == {CALLS: BEAT}
    assert await staged_center.live.counters() == {"events": 1}
    await count(staged_center.live, commit(NEW_START).position)
    assert await staged_center.live.counters() == {"events": 2}


async def test_a_counter_that_was_counted_in_the_staged_generation_only_is_dropped(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await staged_center.live.move(CALLS, START, commit(START).position)
    await count(staged.store, NEW_START)
    assert await staged.promote()
    assert await staged_center.live.counters() == {}


async def test_a_commit_under_way_to_the_former_generation_is_refused(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await staged_center.live.positions([CALLS])
    assert await staged.promote()
    assert await staged_center.live.commit(commit(START), 0) == OffsetConflict(NEW_START)
    assert await staged_center.live.counters() == {}


async def test_what_was_read_in_the_former_generation_is_of_no_known_version(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    version = (await staged_center.live.read([KEY])).version
    assert await staged.promote()
    assert not await staged_center.live.replace(version, [KEY], {KEY: b"late"}, 0)
    assert await document(staged_center.live) is None


async def test_a_reader_of_the_former_generation_begins_anew(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged_center.live, START)
    changes = await staged_center.live.changes(None)
    while changes.more:
        changes = await staged_center.live.changes(changes.cursor)
    await count(staged.store, NEW_START)
    assert not (await staged_center.live.changes(changes.cursor)).reset
    assert await staged.promote()
    assert (await staged_center.live.changes(changes.cursor)).reset


# Which one is staged


async def require_superseded(staged: StagedGeneration) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        staged.promote,
        lambda: staged.store.commit(commit(NEW_START), 0),
        lambda: staged.store.replace(EMPTY_STORE, (), {KEY: b"late"}, 0),
        lambda: staged.store.read([KEY]),
        lambda: staged.store.move(CALLS, NEW_START, START),
        lambda: staged.store.positions([CALLS]),
        lambda: staged.store.changes(None),
        lambda: staged.store.forget(0, 1),
        lambda: staged.store.beat({CALLS: BEAT}),
        lambda: staged.store.set_rules(b"{}"),
        staged.store.counters,
    ]
    for call in calls:
        with pytest.raises(GenerationSuperseded):
            await call()


async def test_who_opens_last_is_staged_and_the_earlier_one_changes_nothing(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    second = staged_center.stage()
    await second.open()
    assert await second.store.positions([CALLS]) == [None]
    await second.store.move(CALLS, None, START)
    await require_superseded(staged)
    await staged.discard()
    assert await second.store.positions([CALLS]) == [START]
    assert await second.promote()


async def test_it_is_not_staged_before_it_is_opened(staged_center: StagedCenter) -> None:
    await require_superseded(staged_center.stage())


async def test_what_was_discarded_is_gone_and_another_begins_empty(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged.store, NEW_START, b"new")
    await staged.discard()
    await require_superseded(staged)
    assert await staged_center.live.positions([CALLS]) == [START]
    await staged.open()
    assert await staged.store.positions([CALLS]) == [None]
    assert await document(staged.store) is None


async def test_what_was_promoted_is_not_discarded(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged_center.live, START)
    await count(staged.store, NEW_START, b"new")
    assert await staged.promote()
    await staged.discard()
    assert await document(staged_center.live) == b"new"
    await require_superseded(staged)


# Pauses


async def test_commits_wait_while_they_are_paused_and_no_longer(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await staged.pause_commits(300)
    began = time.monotonic()
    await count(staged_center.live, START)
    assert time.monotonic() - began > 0.25


async def test_only_commits_that_would_be_applied_to_the_current_generation_wait(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await count(staged_center.live, START)
    await staged.pause_commits(60_000)
    async with asyncio.timeout(20):
        await count(staged.store, NEW_START)
        await count(staged_center.live, START)  # sent again
        assert await staged_center.live.commit(commit(NEW_START), 0) == OffsetConflict(commit(START).position)
        assert await staged_center.live.replace(EMPTY_STORE, (), {KEY: b"written"}, 0)


async def test_a_promotion_ends_the_pause(staged_center: StagedCenter, staged: StagedGeneration) -> None:
    await staged.pause_commits(60_000)
    waiting = asyncio.create_task(staged_center.live.commit(commit(START), 0))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert await staged.promote()
    async with asyncio.timeout(5):
        assert await waiting == OffsetConflict(NEW_START)
        await count(staged_center.live, NEW_START)


# Counting rules


async def test_a_promoted_generation_with_other_rules_is_not_counted_on(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await staged_center.live.set_rules(encode_rules(CountingRules()))
    await staged.store.set_rules(OTHER_RULES)
    assert await staged.promote()
    for _ in range(2):
        with pytest.raises(CountingRulesMismatch):
            await staged_center.live.commit(commit(NEW_START), 0)


@pytest.mark.parametrize("is_set", [True, False])
async def test_a_promoted_generation_with_the_same_rules_or_none_has_the_agreed_ones(
    staged_center: StagedCenter, staged: StagedGeneration, is_set: bool
) -> None:
    await staged_center.live.set_rules(OTHER_RULES)
    if is_set:
        await staged.store.set_rules(OTHER_RULES)
    assert await staged.promote()
    await count(staged_center.live, NEW_START)
    assert await staged_center.live.rules() == OTHER_RULES


async def test_who_agreed_on_no_rules_follows_any(
    staged_center: StagedCenter, staged: StagedGeneration
) -> None:
    await staged.store.set_rules(OTHER_RULES)
    assert await staged.promote()
    assert await staged_center.live.rules() == OTHER_RULES
