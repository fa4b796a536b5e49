"""Run a worker: connect store, partitions and Faust; start, watch, drain and stop them."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from prometheus_client import start_http_server

from streamer.events.rules import agree, written
from streamer.gc_tuning import freeze_startup_objects
from streamer.privacy import ForgottenCustomersSync, veil
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.worker.engine import App, wall_clock_ms
from streamer.worker.kafka import KafkaLetters, KafkaLogs, ensure_topics, kept_ms, producer
from streamer.worker.metrics import WorkerMetrics
from streamer.worker.partitions import HEARTBEAT_S, AssignedPartitions
from streamer.worker.pipeline import ProcessingContext
from streamer.worker.retry import retry_forever

DRAIN_S = 8.0
ERASED_EVERY = 600
"""Interval of erasing forgotten customers that late events brought back."""

log = structlog.get_logger()


async def run_worker(settings: Settings) -> int:
    """Count until SIGTERM or SIGINT; return the exit code."""
    async with AsyncExitStack() as stack:
        rules = settings.rules()
        store = await RedisStore.connect(settings.redis, settings.center, rules)
        stack.push_async_callback(store.close)
        agree(await store.set_rules(written(rules)), written(rules))
        for topic in await ensure_topics(settings.kafka, retention_ms=kept_ms(rules)):
            log.info("topic created", topic=topic)
        letters, logs, metrics = await stack.enter_async_context(worker_parts(settings))
        hiding = await veil(store, settings)
        context = ProcessingContext(
            store, rules, KafkaLetters(letters, hiding), metrics, wall_clock_ms, veil=hiding
        )
        assigned = AssignedPartitions(context, logs)
        forgotten = ForgottenCustomersSync(hiding, store, settings.center)
        return await drive(App(settings, assigned), assigned, metrics, forgotten)


class WorkerParts(NamedTuple):
    """Resources of every process that owns partitions."""

    producer: AIOKafkaProducer
    logs: KafkaLogs
    metrics: WorkerMetrics


@asynccontextmanager
async def worker_parts(settings: Settings) -> AsyncIterator[WorkerParts]:
    """Start and yield the resources; open the metrics port if one is set."""
    async with AsyncExitStack() as stack:
        sender = await producer(settings.kafka)
        stack.push_async_callback(sender.stop)
        logs = KafkaLogs(settings.kafka)
        await logs.start()
        stack.push_async_callback(logs.stop)
        metrics = WorkerMetrics()
        if settings.metrics_port is not None:
            server, thread = start_http_server(settings.metrics_port, settings.host, metrics.registry)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield WorkerParts(sender, logs, metrics)


async def drive(
    app: App,
    assigned: AssignedPartitions,
    metrics: WorkerMetrics,
    forgotten: ForgottenCustomersSync | None = None,
) -> int:
    """Run until SIGTERM, SIGINT or an error; then drain and stop. Return the exit code: 1 after an error."""
    stopped = asyncio.Event()
    errors: list[BaseException] = []

    def failed(error: BaseException) -> None:
        errors.append(error)
        stopped.set()

    assigned.failed = failed
    freeze_startup_objects()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await app.start()
    ended = asyncio.create_task(app.wait_until_stopped())
    ended.add_done_callback(lambda _: stopped.set())
    aside = [
        asyncio.create_task(_beat(assigned, metrics, forgotten)),
        asyncio.create_task(_tidy(assigned, forgotten)),
    ]
    await stopped.wait()
    for task in aside:
        task.cancel()
    try:
        async with asyncio.timeout(DRAIN_S):
            await assigned.revoke()
            await app.stop()
    except TimeoutError:
        log.warning("Faust did not stop in time; exiting anyway, no counts are lost")
    ended.cancel()
    if app.crash_reason is not None:
        errors.append(app.crash_reason)
    for error in errors:
        log.error("worker stops after an error", error=str(error) or type(error).__name__)
    return 1 if errors else 0


async def _beat(
    assigned: AssignedPartitions, metrics: WorkerMetrics, forgotten: ForgottenCustomersSync | None
) -> None:
    try:
        while True:
            if forgotten is not None:
                # Before the heartbeat: `streamer forget` waits for a heartbeat that follows this.
                await retry_forever(forgotten.refresh)
            metrics.heartbeats(await retry_forever(assigned.beat))
            await asyncio.sleep(HEARTBEAT_S)
    except Exception as error:  # such as OtherRules, when a rebuild put other counting rules in force
        assigned.failed(error)


async def _tidy(assigned: AssignedPartitions, forgotten: ForgottenCustomersSync | None) -> None:
    try:
        for turn in itertools.count():
            await retry_forever(assigned.tidy)
            if forgotten is not None and turn % ERASED_EVERY == 0:
                await retry_forever(forgotten.erase)
            await asyncio.sleep(HEARTBEAT_S)
    except Exception as error:  # if this task died unnoticed, deltas and documents would pile up
        assigned.failed(error)
