"""A slow or dead receiver delays no other and no evaluation; of several servers one sends, once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from streamer.alerts.rules import rules
from streamer.alerts.saying.composing import Composer
from streamer.delivery.bell import Bell, Pace
from streamer.delivery.desk import TIDIED_S, Desk
from streamer.delivery.pauses import Timing
from streamer.delivery.record import Record
from streamer.events.rules import DAY
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.redis import LeasedDocument, RedisStore
from tests.alerts import simulated
from tests.alerts.simulated import only
from tests.delivery.belfry import bell as quiet_bell
from tests.delivery.belfry import ring, until
from tests.delivery.desk_process import LEASE_S, QUICK, settings
from tests.delivery.listening import Listener, status
from tests.delivery.passing import Time
from tests.delivery.said import NOW
from tests.parts.redis_server import RedisServer

RULE = {"kind": "target", "metric": "nps_score", "window": "24h", "target": 20, "clear": 0}
REAL = Timing(lambda: NOW)


class Turns:
    """A clock that counts how often it is read."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> int:
        self.number += 1
        return NOW


async def judging_bell(store: RedisStore, numbers: MemoryStore, found: Settings, turns: Turns) -> Bell:
    reader = await simulated.read(numbers, found)
    compose = Composer(reader, found, rules(found)).composed
    watch = await simulated.watched(numbers, found)
    return Bell(
        LeasedDocument(store, "alerts"), watch, reader, compose, turns, Pace(every=0.01, share=0, lease=60)
    )


@asynccontextmanager
async def running(*desks: Desk) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(desk.run()) for desk in desks]
    try:
        yield
    finally:
        for desk in desks:
            desk.end()
        await asyncio.gather(*tasks)


async def test_who_never_answers_delays_no_other_receiver_and_no_judging(
    store: RedisStore, numbers: MemoryStore
) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with Listener() as dead, Listener() as well:
        dead.answer = never
        found = only(one=RULE).model_copy(
            update={
                "receivers": Settings(
                    receivers={"dead": {"url": dead.url}, "well": {"url": well.url}}  # type: ignore[dict-item]
                ).receivers
            }
        )
        turns = Turns()
        bell = await judging_bell(store, numbers, found, turns)
        async with running(Desk(bell, found, REAL, QUICK)):
            await dead.heard(1)
            await well.heard(1)
            await until(bell, lambda record: bool(record.alerts) and not record.to("well"))
            before = turns.number
            async with asyncio.timeout(30):
                while turns.number < before + 5:  # noqa: ASYNC110 - a clock tells nobody
                    await asyncio.sleep(0.01)
        assert [len(post.ids) for post in well.posts] == [2]
        assert len(bell.record.to("dead")) == 2


async def test_of_two_servers_one_tells_and_when_it_ends_the_other_goes_on(
    store: RedisStore, numbers: MemoryStore
) -> None:
    released = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with Listener() as listener:
        listener.answer = held
        found = only(one=RULE).model_copy(update={"receivers": settings(listener.url).receivers})
        bells = [await judging_bell(store, numbers, found, Turns()) for _ in range(2)]
        first, second = (Desk(bell, found, REAL, QUICK._replace(grace=30)) for bell in bells)
        async with running(second), running(first):
            await listener.heard(1)
            ending = first if bells[0].mine else second
            other = bells[1] if bells[0].mine else bells[0]
            ending.end()
            for _ in range(50):
                await asyncio.sleep(0.01)
                await other._hold()
                assert not other.mine, "what is under way would be sent twice"
            released.set()
            await until(other, lambda record: bool(record.alerts) and not record.to("desk"))
            news = other.listen()
            async with asyncio.timeout(30):
                while not other.mine:
                    await news.wait()
                    news.clear()
        assert [len(post.ids) for post in listener.posts] == [2]


async def test_when_one_is_killed_the_other_tells_what_it_did_not_mark(
    store: RedisStore, redis_server: RedisServer, center: str
) -> None:
    async with Listener() as listener:
        found = settings(listener.url)
        arguments = ["-m", "tests.delivery.desk_process", redis_server.url, center, listener.url]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
        bell = quiet_bell(store, found, lease=LEASE_S)
        first = await ring(bell, "billing")
        await listener.heard(1)
        await _read_until(bell, lambda record: not record.to("desk"))

        async def never(request: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        listener.answer = never
        second = await ring(bell, "sales")
        await listener.heard(2)
        async with running(Desk(bell, found, REAL, QUICK)):
            assert not bell.mine
            process.kill()
            await process.wait()
            listener.answer = status(200)
            await listener.heard(3)
            await until(bell, lambda record: not record.to("desk"))
        assert listener.ids == [*first, *second, *second]
        assert len({post.headers["Idempotency-Key"] for post in listener.posts}) == 2


async def _read_until(bell: Bell, holds: Callable[[Record], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds(await bell.change(lambda record: record)):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


async def test_what_waits_for_a_receiver_that_is_no_longer_set_is_given_up_in_the_end(
    store: RedisStore,
) -> None:
    time, found = Time(), Settings()
    bell = quiet_bell(store, found, time.clock)
    async with running(Desk(bell, found, time.timing)):
        await ring(bell, "billing", to=("gone",))
        await until(bell, lambda _: bell.mine)
        await time.asleep(lambda seconds: seconds == TIDIED_S)
        time.passes(DAY / 1000)
        await time.asleep(lambda seconds: seconds == TIDIED_S)
        assert len(bell.record.to("gone")) == 1
        time.passes(TIDIED_S)
        await until(bell, lambda record: record.given_up == {"gone": 1})
    assert bell.record.to("gone") == []


async def test_a_desk_without_any_receiver_only_judges(store: RedisStore, numbers: MemoryStore) -> None:
    found = only(one=RULE)
    bell = await judging_bell(store, numbers, found, Turns())
    async with running(Desk(bell, found, REAL)):
        await until(bell, lambda record: len(record.firing()) == 2)
    assert bell.record.waiting == {}
