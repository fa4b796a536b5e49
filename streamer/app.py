"""Here is the worker put together: store, lanes, Faust; started, watched, drained, ended."""

import asyncio
import signal
from contextlib import AsyncExitStack

import msgspec
import structlog
from prometheus_client import start_http_server

from streamer.engine import App, wall_clock_ms
from streamer.events.rules import Rules
from streamer.kafka import KafkaLetters, KafkaLogs, ensure_topics, producer
from streamer.lanes import BEAT_S, Lanes
from streamer.meters import Meters
from streamer.pipeline import Counting, persist
from streamer.settings import Settings
from streamer.store.port import Store
from streamer.store.redis import RedisStore

DRAIN_S = 8.0

log = structlog.get_logger()


class OtherRules(Exception):  # noqa: N818 - names the state, like the message
    """The stored numbers were made with other rules; the message says what differs."""


async def agree(store: Store, rules: Rules) -> None:
    """Raises OtherRules where the numbers in the store mean something else."""
    own = msgspec.json.encode(rules, order="deterministic")
    stored = await store.set_rules(own)
    if stored == own:
        return
    was, now = msgspec.json.decode(stored), msgspec.json.decode(own)
    differing = [
        f"{name}: stored {was.get(name)}, set {now[name]}" for name in now if was.get(name) != now[name]
    ]
    raise OtherRules(
        "the settings that change numbers are not those of the stored numbers "
        f"({'; '.join(differing)}); set them back, or run `streamer rebuild`"
    )


async def run_worker(settings: Settings) -> int:
    """Count until SIGTERM or SIGINT; returns the exit code."""
    async with AsyncExitStack() as stack:
        rules = settings.rules()
        store = await RedisStore.connect(settings.redis, settings.center, rules)
        stack.push_async_callback(store.close)
        await agree(store, rules)
        for topic in await ensure_topics(settings.kafka):
            log.info("topic created", topic=topic)
        letters = await producer(settings.kafka)
        stack.push_async_callback(letters.stop)
        logs = KafkaLogs(settings.kafka)
        await logs.start()
        stack.push_async_callback(logs.stop)
        meters = Meters()
        if settings.metrics_port is not None:
            server, thread = start_http_server(settings.metrics_port, settings.host, meters.registry)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        lanes = Lanes(Counting(store, rules, KafkaLetters(letters), meters, wall_clock_ms), logs)
        return await _run(App(settings, lanes), lanes, meters)


async def _run(app: App, lanes: Lanes, meters: Meters) -> int:
    stopped = asyncio.Event()
    errors: list[BaseException] = []

    def failed(error: BaseException) -> None:
        errors.append(error)
        stopped.set()

    lanes.failed = failed
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await app.start()
    ended = asyncio.create_task(app.wait_until_stopped())
    ended.add_done_callback(lambda _: stopped.set())
    aside = [asyncio.create_task(_beat(lanes, meters)), asyncio.create_task(_tidy(lanes))]
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


async def _beat(lanes: Lanes, meters: Meters) -> None:
    while True:
        meters.beats(await persist(lanes.beat))
        await asyncio.sleep(BEAT_S)


async def _tidy(lanes: Lanes) -> None:
    while True:
        await persist(lanes.tidy)
        await asyncio.sleep(BEAT_S)
