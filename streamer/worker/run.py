"""Run a worker: connect store, partitions and Faust; start, watch, drain and stop them."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer

from streamer.events.counting_rules import encode_rules, require_same_rules
from streamer.events.decoding import TOPICS
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.gc_tuning import freeze_startup_objects
from streamer.runtime.ports import require_free_port
from streamer.runtime.redis_errors import redis_error_text
from streamer.runtime.retry import OUTAGES, retry_forever, retry_refused
from streamer.settings import CENTER_KEY_ID, Settings
from streamer.store.redis import RedisRegistry, RedisStore
from streamer.worker.engine import WorkerApp
from streamer.worker.forgotten_customers import ForgottenCustomersSync, load_pseudonymizer
from streamer.worker.heartbeat_retirement import HeartbeatRetirement
from streamer.worker.kafka import (
    KafkaDeadLetterSink,
    KafkaLogProbe,
    KafkaPartitionDirectory,
    ensure_topics,
    start_producer,
    topic_retention_ms,
)
from streamer.worker.kafka_rights import name_missing_right, require_rights, worker_rights
from streamer.worker.maintenance import MaintenanceLoop, MaintenanceStep
from streamer.worker.metrics import WorkerMetrics
from streamer.worker.metrics_server import metrics_server
from streamer.worker.partitions import HEARTBEAT_S, AssignedPartitions
from streamer.worker.pipeline import ProcessingContext

DRAIN_TIMEOUT_S = 8.0
ERASE_EVERY_ROUNDS = 600
"""Rounds of maintenance between erasing forgotten customers that late events brought back."""

log = structlog.get_logger()


async def run_worker(settings: Settings) -> int:
    """Count until SIGTERM or SIGINT; return the exit code."""
    async with AsyncExitStack() as stack:
        rules = settings.counting_rules()
        url = settings.redis_url()
        store = await retry_refused(lambda: RedisStore.connect(url, settings.center, rules))
        stack.push_async_callback(store.close)
        stored_rules = await retry_forever(lambda: store.set_rules(encode_rules(rules)))
        require_same_rules(stored_rules, encode_rules(rules))
        await require_rights(settings.kafka, worker_rights(settings))
        for topic in await ensure_topics(settings.kafka, retention_ms=topic_retention_ms(rules)):
            log.info("topic created", topic=topic)
        dead_letter_producer, logs, metrics = await stack.enter_async_context(worker_resources(settings))
        registry = RedisRegistry(store, settings.center)
        pseudonymizer = await retry_forever(lambda: load_pseudonymizer(registry, settings))
        if (center_key := pseudonymizer.secret_of(CENTER_KEY_ID)) is not None:
            await retry_forever(lambda: store.set_customer_key(center_key))
        context = ProcessingContext(
            store,
            rules,
            KafkaDeadLetterSink(dead_letter_producer, pseudonymizer, settings.kafka.names),
            metrics,
            wall_clock_ms,
            pseudonymizer=pseudonymizer,
            names=settings.kafka.names,
            live_limits_ms=settings.live_limits_ms(),
        )
        assigned = AssignedPartitions(context, logs)
        forgotten = ForgottenCustomersSync(pseudonymizer, store, registry)
        topics = list(map(settings.kafka.names.on_broker, TOPICS))
        retirement = HeartbeatRetirement(store, KafkaPartitionDirectory(settings.kafka, topics))
        app = WorkerApp(settings, assigned, settings.consumer_group, topics)
        return await run_until_stopped(app, assigned, metrics, forgotten, retirement)


class WorkerResources(NamedTuple):
    """Resources of every process that owns partitions."""

    producer: AIOKafkaProducer
    logs: KafkaLogProbe
    metrics: WorkerMetrics


@asynccontextmanager
async def worker_resources(settings: Settings) -> AsyncIterator[WorkerResources]:
    """Start and yield the resources; open the metrics port if one is set."""
    async with AsyncExitStack() as stack:
        producer = await start_producer(settings.kafka)
        stack.push_async_callback(producer.stop)
        logs = KafkaLogProbe(settings.kafka)
        await logs.start()
        stack.push_async_callback(logs.stop)
        metrics = WorkerMetrics()
        if settings.metrics_port is not None:
            require_free_port(settings.host, settings.metrics_port)
            stack.enter_context(metrics_server(metrics.registry, settings.host, settings.metrics_port))
        yield WorkerResources(producer, logs, metrics)


async def run_until_stopped(
    app: WorkerApp,
    assigned: AssignedPartitions,
    metrics: WorkerMetrics,
    forgotten: ForgottenCustomersSync,
    retirement: HeartbeatRetirement,
) -> int:
    """Run until SIGTERM, SIGINT or an error; then drain and stop. Return the exit code: 1 after an error."""
    stopped = asyncio.Event()
    errors: list[BaseException] = []

    def stop_with(error: BaseException) -> None:
        errors.append(error)
        stopped.set()

    assigned.on_failure = stop_with
    freeze_startup_objects()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopped.set)
    steps = {
        "compact": MaintenanceStep(assigned.compact),
        "forget": MaintenanceStep(assigned.forget_expired),
        "retire": MaintenanceStep(retirement.run_once),
        "erase": MaintenanceStep(forgotten.erase_returned, ERASE_EVERY_ROUNDS),
    }
    await app.start()
    app_task = asyncio.create_task(app.wait_until_stopped())
    app_task.add_done_callback(lambda _: stopped.set())
    background_tasks = [
        asyncio.create_task(_lag_loop(assigned, metrics)),
        asyncio.create_task(_heartbeat_loop(assigned, forgotten)),
        asyncio.create_task(MaintenanceLoop(steps, metrics, wall_clock_ms, HEARTBEAT_S).run()),
    ]
    await stopped.wait()
    for task in background_tasks:
        task.cancel()
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            await assigned.revoke()
            await app.stop()
    except TimeoutError:
        log.warning("Faust did not stop in time; exiting anyway, no counts are lost")
    app_task.cancel()
    if app.crash_reason is not None:
        errors.append(app.crash_reason)
    if errors:  # the others follow from the first
        first_error = name_missing_right(errors[0], app.kafka)
        log.error("worker stops after an error", error=redis_error_text(first_error))
    return 1 if errors else 0


async def _lag_loop(assigned: AssignedPartitions, metrics: WorkerMetrics) -> None:
    """Show the lag. While the store is unavailable nothing is fetched: then the broker is asked how far the
    logs are."""
    while True:
        if OUTAGES.reasons():
            with suppress(OSError):
                await assigned.read_log_ends()
        else:
            assigned.log_ends = {}
        metrics.heartbeats(assigned.heartbeats())
        metrics.clock_ahead(assigned.clock_ahead_ms)
        await asyncio.sleep(HEARTBEAT_S)


async def _heartbeat_loop(assigned: AssignedPartitions, forgotten: ForgottenCustomersSync) -> None:
    try:
        while True:
            # Before the heartbeat: `streamer forget` waits for a heartbeat that follows this.
            await retry_forever(forgotten.refresh)
            await retry_forever(assigned.report_heartbeats)
            await asyncio.sleep(HEARTBEAT_S)
    except Exception as error:  # such as CountingRulesMismatch, after a rebuild
        assigned.on_failure(error)
