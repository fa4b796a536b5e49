"""Here is the worker put together: store, lanes, Faust; started, watched, drained, ended."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from prometheus_client import start_http_server

from streamer import collector
from streamer.engine import App, wall_clock_ms
from streamer.events.rules import agree, written
from streamer.kafka import KafkaLetters, KafkaLogs, ensure_topics, kept_ms, producer
from streamer.lanes import BEAT_S, Lanes
from streamer.meters import Meters
from streamer.pipeline import Counting, persist
from streamer.privacy import Keeper, veil
from streamer.settings import Settings
from streamer.store.redis import RedisStore

DRAIN_S = 8.0
SWEEP_TURNS = 600
"""Ten minutes."""

log = structlog.get_logger()


async def run_worker(settings: Settings) -> int:
    """Count until SIGTERM or SIGINT; returns the exit code."""
    async with AsyncExitStack() as stack:
        rules = settings.rules()
        store = await RedisStore.connect(settings.redis, settings.center, rules)
        stack.push_async_callback(store.close)
        agree(await store.set_rules(written(rules)), written(rules))
        for topic in await ensure_topics(settings.kafka, retention_ms=kept_ms(rules)):
            log.info("topic created", topic=topic)
        letters, logs, meters = await stack.enter_async_context(parts(settings))
        hiding = await veil(store, settings)
        counting = Counting(store, rules, KafkaLetters(letters, hiding), meters, wall_clock_ms, veil=hiding)
        lanes = Lanes(counting, logs)
        return await drive(App(settings, lanes), lanes, meters, Keeper(hiding, store, settings.center))


class Parts(NamedTuple):
    """What every process with lanes needs."""

    producer: AIOKafkaProducer
    logs: KafkaLogs
    meters: Meters


@asynccontextmanager
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    """Started; the meters' port is open if it is to be."""
    async with AsyncExitStack() as stack:
        sender = await producer(settings.kafka)
        stack.push_async_callback(sender.stop)
        logs = KafkaLogs(settings.kafka)
        await logs.start()
        stack.push_async_callback(logs.stop)
        meters = Meters()
        if settings.metrics_port is not None:
            server, thread = start_http_server(settings.metrics_port, settings.host, meters.registry)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield Parts(sender, logs, meters)


async def drive(app: App, lanes: Lanes, meters: Meters, keeper: Keeper | None = None) -> int:
    """Until SIGTERM or SIGINT: then drain and stop. Returns the exit code."""
    stopped = asyncio.Event()
    errors: list[BaseException] = []

    def failed(error: BaseException) -> None:
        errors.append(error)
        stopped.set()

    lanes.failed = failed
    collector.calm()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await app.start()
    ended = asyncio.create_task(app.wait_until_stopped())
    ended.add_done_callback(lambda _: stopped.set())
    aside = [asyncio.create_task(_beat(lanes, meters, keeper)), asyncio.create_task(_tidy(lanes, keeper))]
    await stopped.wait()
    for task in aside:
        task.cancel()
    try:
        async with asyncio.timeout(DRAIN_S):
            await lanes.give_up()
            await app.stop()
    except TimeoutError:
        log.warning("Faust did not stop in time; nothing is lost by that")
    ended.cancel()
    if app.crash_reason is not None:
        errors.append(app.crash_reason)
    for error in errors:
        log.error("the worker ends", error=str(error) or type(error).__name__)
    return 1 if errors else 0


async def _beat(lanes: Lanes, meters: Meters, keeper: Keeper | None) -> None:
    try:
        while True:
            if keeper is not None:
                await persist(keeper.refresh)  # before the beat: `streamer forget` waits for one to know that
            meters.beats(await persist(lanes.beat))
            await asyncio.sleep(BEAT_S)
    except Exception as error:  # such as other rules, put in force by a rebuild
        lanes.failed(error)


async def _tidy(lanes: Lanes, keeper: Keeper | None) -> None:
    for turn in itertools.count():
        await persist(lanes.tidy)
        if keeper is not None and turn % SWEEP_TURNS == 0:
            await persist(keeper.sweep)
        await asyncio.sleep(BEAT_S)
