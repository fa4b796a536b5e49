"""One of several servers evaluates and notifies; all know the result; it is stored, and sent once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from streamer.alerts.message import Message
from streamer.alerts.rules import rules
from streamer.alerts.saying.composing import Composer
from streamer.alerts.states import Notice
from streamer.delivery.bell import Bell, Compose, Pace
from streamer.delivery.record import Acknowledgement, Record, acknowledged, silenced
from streamer.readings.reader import Reader
from streamer.settings import ReceiverSettings, Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat
from streamer.store.redis import LeasedDocument, RedisStore
from tests.alerts.simulated import NOW, PARTITION, only, read, watched
from tests.delivery.said import silence
from tests.parts.redis_server import RedisServer

QUICK = Pace(every=0.01, share=0, lease=60)
BRIEF = QUICK._replace(lease=1)
RULE = {"kind": "target", "metric": "nps_score", "window": "24h", "target": 20, "clear": 0}
SETTINGS = only(one=RULE).model_copy(
    update={"receivers": {"desk": ReceiverSettings.model_validate({"url": "http://127.0.0.1:9/"})}}
)
BAD = (0.6, 0.3, 0.1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


async def made(
    store: RedisStore,
    numbers: MemoryStore,
    settings: Settings = SETTINGS,
    pace: Pace = QUICK,
    compose: Compose | None = None,
) -> Bell:
    reader: Reader = await read(numbers, settings)
    composed = Composer(reader, settings, rules(settings)).composed
    watch = await watched(numbers, settings)
    return Bell(LeasedDocument(store, "alerts"), watch, reader, compose or composed, Clock(), pace)


@asynccontextmanager
async def running(*bells: Bell) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(bell.run()) for bell in bells]
    try:
        yield
    finally:
        for bell in bells:
            bell.end()
        await asyncio.gather(*tasks)


async def until(bell: Bell, wanted: int) -> Record:
    """Wait until so many alerts are known, and return the state."""
    news = bell.listen()
    async with asyncio.timeout(30):
        while len(bell.record.alerts) != wanted:
            await news.wait()
            news.clear()
    return bell.record


async def turns(bell: Bell, number: int) -> None:
    for _ in range(number):
        await bell._turn()


async def test_one_of_two_judges_and_both_know(store: RedisStore, numbers: MemoryStore) -> None:
    first, second = await made(store, numbers), await made(store, numbers)
    async with running(first, second):
        records = [await until(bell, 2) for bell in (first, second)]
        assert first.mine is not second.mine
    assert records[0] == records[1]
    assert [one.key for one in records[0].to("desk")] == ["billing", "sales"]


async def test_nothing_is_told_again_turn_after_turn_nor_after_a_restart(
    store: RedisStore, numbers: MemoryStore
) -> None:
    first = await made(store, numbers)
    await turns(first, 3)
    again = await made(store, numbers, pace=BRIEF)
    await store.client.delete(again._ledger._holder)
    await turns(again, 3)
    assert again.mine
    assert again.record.waiting == first.record.waiting
    assert len(again.record.messages) == 2


@pytest.mark.parametrize(
    ("beat", "patience", "judged"),
    [
        (Heartbeat(NOW, 0, NOW), 60, True),
        (Heartbeat(NOW - 3_000, 5, NOW), 60, True),
        (Heartbeat(NOW - 3_001, 5, NOW), 60, False),
        (Heartbeat(0, 5, NOW), 60, False),
        (Heartbeat(0, 5, NOW), 0, True),
    ],
    ids=["up to date", "just", "behind", "never", "for too long"],
)
async def test_while_workers_catch_up_nothing_is_judged_at_first(
    store: RedisStore, numbers: MemoryStore, beat: Heartbeat, patience: float, judged: bool
) -> None:
    await numbers.beat({PARTITION: beat})
    bell = await made(store, numbers, pace=QUICK._replace(patience=patience))
    await turns(bell, 1)
    assert (await LeasedDocument(store, "alerts").read() is not None) is judged


async def test_who_ends_hands_over_at_once(store: RedisStore, numbers: MemoryStore) -> None:
    first, second = await made(store, numbers), await made(store, numbers)
    async with running(first):
        await until(first, 2)
    await turns(second, 1)
    assert second.mine


async def test_who_is_dead_is_followed_when_its_lease_is_over(
    store: RedisStore, numbers: MemoryStore
) -> None:
    dead, other = await made(store, numbers, pace=BRIEF), await made(store, numbers)
    await turns(dead, 1)
    assert dead.mine
    await turns(other, 1)
    assert not other.mine
    async with running(other), asyncio.timeout(30):
        news = other.listen()
        while not other.mine:
            await news.wait()
            news.clear()
    assert not dead.mine


async def test_a_turn_is_void_where_another_server_took_one_meanwhile(
    store: RedisStore, numbers: MemoryStore
) -> None:
    other = await made(store, numbers)
    own = Composer(await read(numbers, SETTINGS), SETTINGS, rules(SETTINGS)).composed

    async def overtaken(notices: Sequence[Notice], known: Mapping[str, Message], now: int) -> list[Message]:
        await store.client.delete(other._ledger._holder)  # as if the lease were over
        other._clock.now -= 7  # type: ignore[attr-defined]  # its alerts bear other names
        await other._turn()
        return await own(notices, known, now)

    slow = await made(store, numbers, compose=overtaken)
    await turns(slow, 1)
    assert {alert.began_at for alert in other.record.alerts} == {NOW - 7}
    assert slow.record == other.record
    assert len(slow.record.to("desk")) == 2


async def test_what_people_do_during_a_turn_is_not_lost(store: RedisStore, numbers: MemoryStore) -> None:
    other = await made(store, numbers)
    own = Composer(await read(numbers, SETTINGS), SETTINGS, rules(SETTINGS)).composed
    quiet = silence(rule="one", key="sales")

    async def interrupted(notices: Sequence[Notice], known: Mapping[str, Message], now: int) -> list[Message]:
        await other.change(partial(silenced, silence=quiet))
        return await own(notices, known, now)

    bell = await made(store, numbers, compose=interrupted)
    await turns(bell, 1)
    assert [*bell.record.silences] == [quiet.id]
    assert [one.key for one in bell.record.to("desk")] == ["billing"]
    assert len(bell.record.held) == 1


async def test_many_who_change_at_once_all_leave_their_mark(store: RedisStore, numbers: MemoryStore) -> None:
    bells = [await made(store, numbers) for _ in range(8)]
    await turns(bells[0], 1)
    episodes = [alert.id for alert in bells[0].record.alerts]

    def seen(episode: str, by: str) -> partial[Record]:
        return partial(acknowledged, episode=episode, how=Acknowledgement(by, NOW))

    marks = [silence(f"s{number}") for number in range(8)]
    await asyncio.gather(
        *(bell.change(partial(silenced, silence=one)) for bell, one in zip(bells, marks, strict=True)),
        *(bells[0].change(seen(episode, "Ana")) for episode in episodes),
    )
    await bells[1].change(lambda record: record)
    assert sorted(bells[1].record.silences) == [f"s{number}" for number in range(8)]
    assert sorted(bells[1].record.acknowledged) == sorted(episodes)


async def test_a_store_that_was_away_costs_nothing_but_time(
    fresh_redis: RedisServer, numbers: MemoryStore
) -> None:
    store = await RedisStore.connect(fresh_redis.url, "away")
    bell = await made(store, numbers)
    news = bell.listen()
    async with running(bell), asyncio.timeout(60):
        await until(bell, 2)
        before = bell.record
        await fresh_redis.kill()
        with suppress(Exception):
            await bell.change(partial(silenced, silence=silence("lost")))
        await fresh_redis.start()
        while True:
            with suppress(Exception):
                await bell.change(partial(silenced, silence=silence("kept")))
                break
            await asyncio.sleep(0.05)
        while "kept" not in bell.record.silences or not bell.mine:
            news.clear()
            await news.wait()
    assert bell.record.waiting == before.waiting
    await store.close()
