"""A slow or dead receiver delays no other and no evaluation; of several servers one sends, once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.composer import MessageComposer
from streamer.delivery.alert_coordinator import AlertCoordinator, EvaluationSchedule
from streamer.delivery.alert_state import AlertState
from streamer.delivery.notification_dispatcher import CLEANUP_INTERVAL_S, NotificationDispatcher
from streamer.delivery.timing import DeliveryTiming
from streamer.events.counting_rules import DAY
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.memory_documents import MemoryDocument
from streamer.store.port import LeasedDocument
from streamer.store.redis import RedisDocument, RedisStore
from tests.alerts import simulated
from tests.alerts.simulated import only
from tests.delivery.alert_samples import NOW
from tests.delivery.coordinators import fire_alerts, wait_for_state
from tests.delivery.coordinators import make_quiet_coordinator as quiet_bell
from tests.delivery.dispatcher_process import LEASE_S, QUICK, settings
from tests.delivery.http_listener import HttpListener, status
from tests.delivery.manual_time import ManualTime
from tests.parts.redis_server import RedisServer

RULE = {"kind": "threshold", "metric": "nps_score", "window": "24h", "target": 20, "keep_firing_for": 0}
REAL = DeliveryTiming(lambda: NOW)


class CountingClock:
    """A clock that counts how often it is read."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> int:
        self.number += 1
        return NOW


async def evaluating_coordinator(
    document: LeasedDocument, numbers: MemoryStore, found: Settings, turns: CountingClock
) -> AlertCoordinator:
    reader = await simulated.read(numbers, found)
    compose = MessageComposer(reader, found, load_alert_rules(found)).compose
    watch = await simulated.watched(numbers, found)
    return AlertCoordinator(
        document,
        watch,
        reader,
        compose,
        turns,
        EvaluationSchedule(interval_s=0.01, duration_factor=0, lease_s=60),
    )


@asynccontextmanager
async def running(*desks: NotificationDispatcher) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(desk.run()) for desk in desks]
    try:
        yield
    finally:
        for desk in desks:
            desk.stop()
        await asyncio.gather(*tasks)


async def test_who_never_answers_delays_no_other_receiver_and_no_judging(
    document: MemoryDocument, numbers: MemoryStore
) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with HttpListener() as dead, HttpListener() as well:
        dead.answer = never
        found = only(one=RULE).model_copy(
            update={
                "receivers": Settings(
                    receivers={"dead": {"url": dead.url}, "well": {"url": well.url}}  # type: ignore[dict-item]
                ).receivers
            }
        )
        turns = CountingClock()
        bell = await evaluating_coordinator(document, numbers, found, turns)
        async with running(NotificationDispatcher(bell, found, REAL, QUICK)):
            await dead.heard(1)
            await well.heard(1)
            await wait_for_state(bell, lambda record: bool(record.alerts) and not record.messages_for("well"))
            before = turns.number
            async with asyncio.timeout(30):
                while turns.number < before + 5:  # noqa: ASYNC110 - a clock tells nobody
                    await asyncio.sleep(0.01)
        assert [len(post.ids) for post in well.posts] == [2]
        assert len(bell.state.messages_for("dead")) == 2


async def test_of_two_servers_one_tells_and_when_it_ends_the_other_goes_on(
    document: MemoryDocument, numbers: MemoryStore
) -> None:
    released = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with HttpListener() as listener:
        listener.answer = held
        found = only(one=RULE).model_copy(update={"receivers": settings(listener.url).receivers})
        bells = [await evaluating_coordinator(document, numbers, found, CountingClock()) for _ in range(2)]
        first, second = (
            NotificationDispatcher(bell, found, REAL, QUICK._replace(grace_s=30)) for bell in bells
        )
        async with running(second), running(first):
            await listener.heard(1)
            ending = first if bells[0].is_leader else second
            other = bells[1] if bells[0].is_leader else bells[0]
            ending.stop()
            for _ in range(50):
                await asyncio.sleep(0.01)
                await other._acquire_lease()
                assert not other.is_leader, "what is under way would be sent twice"
            released.set()
            await wait_for_state(
                other, lambda record: bool(record.alerts) and not record.messages_for("desk")
            )
            news = other.subscribe()
            async with asyncio.timeout(30):
                while not other.is_leader:
                    await news.wait()
                    news.clear()
        assert [len(post.ids) for post in listener.posts] == [2]


async def test_when_one_is_killed_the_other_tells_what_it_did_not_mark(
    store: RedisStore, redis_server: RedisServer, center: str
) -> None:
    async with HttpListener() as listener:
        found = settings(listener.url)
        arguments = ["-m", "tests.delivery.dispatcher_process", redis_server.url, center, listener.url]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
        bell = quiet_bell(RedisDocument(store, "alerts"), found, lease_s=LEASE_S)
        first = await fire_alerts(bell, "billing")
        await listener.heard(1)
        await _read_until(bell, lambda record: not record.messages_for("desk"))

        async def never(request: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        listener.answer = never
        second = await fire_alerts(bell, "sales")
        await listener.heard(2)
        async with running(NotificationDispatcher(bell, found, REAL, QUICK)):
            assert not bell.is_leader
            process.kill()
            await process.wait()
            listener.answer = status(200)
            await listener.heard(3)
            await wait_for_state(bell, lambda record: not record.messages_for("desk"))
        assert listener.ids == [*first, *second, *second]
        assert len({post.headers["Idempotency-Key"] for post in listener.posts}) == 2


async def _read_until(bell: AlertCoordinator, holds: Callable[[AlertState], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds(await bell.update(lambda record: record)):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


async def test_what_waits_for_a_receiver_that_is_no_longer_set_is_given_up_in_the_end(
    document: MemoryDocument,
) -> None:
    time, found = ManualTime(), Settings()
    bell = quiet_bell(document, found, time.clock)
    async with running(NotificationDispatcher(bell, found, time.timing)):
        await fire_alerts(bell, "billing", to=("gone",))
        await wait_for_state(bell, lambda _: bell.is_leader)
        await time.wait_for_sleep(lambda seconds: seconds == CLEANUP_INTERVAL_S)
        time.advance(DAY / 1000)
        await time.wait_for_sleep(lambda seconds: seconds == CLEANUP_INTERVAL_S)
        assert len(bell.state.messages_for("gone")) == 1
        time.advance(CLEANUP_INTERVAL_S)
        await wait_for_state(bell, lambda record: record.given_up == {"gone": 1})
    assert bell.state.messages_for("gone") == []


async def test_a_desk_without_any_receiver_only_judges(
    document: MemoryDocument, numbers: MemoryStore
) -> None:
    found = only(one=RULE)
    bell = await evaluating_coordinator(document, numbers, found, CountingClock())
    async with running(NotificationDispatcher(bell, found, REAL)):
        await wait_for_state(bell, lambda record: len(record.firing_messages()) == 2)
    assert bell.state.waiting == {}
