"""Runs `streamer ingest`: connects raw topics, partitions and Faust; starts, drains and stops them."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog

from streamer.events.adapters import SOURCES
from streamer.events.counting_rules import CountingRules
from streamer.events.raw_topics import RAW_RETENTION_MS, raw_topic
from streamer.ingest.enricher import Enricher
from streamer.ingest.event_publisher import KafkaEventPublisher
from streamer.ingest.raw_processor import EventPublisher, RawPartitionProcessor, SourcePipeline
from streamer.runtime.choices import expected_choice
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.retry import retry_forever, retry_refused
from streamer.settings import Settings, SettingsError
from streamer.store.redis import RedisRegistry, RedisStore
from streamer.worker.engine import WorkerApp
from streamer.worker.forgotten_customers import ForgottenCustomersSync, load_pseudonymizer
from streamer.worker.heartbeat_retirement import HeartbeatRetirement
from streamer.worker.kafka import (
    KafkaDeadLetterSink,
    KafkaPartitionDirectory,
    ensure_topics,
    topic_retention_ms,
)
from streamer.worker.kafka_rights import ingest_rights, require_rights
from streamer.worker.partitions import AssignedPartitions
from streamer.worker.pipeline import ProcessingContext
from streamer.worker.run import run_until_stopped, worker_resources

_RULES: Final = CountingRules(horizon_ms=RAW_RETENTION_MS, fcr_ms=0)
"""Counting rules, used here only for how long an assembly is kept after its last fragment:
layout.document_ttl_ms."""

log = structlog.get_logger()


def ingest_center(settings: Settings) -> str:
    """Return the name in Redis under which the positions of raw topics and the assemblies are stored.

    >>> ingest_center(Settings(center="madrid"))
    'madrid.ingest'
    """
    return f"{settings.center}.ingest"


def select_sources(settings: Settings, names: Sequence[str]) -> list[str]:
    """Return the sources to read, sorted: those named, else all of [sources].

    Raises SettingsError for an unknown source, or if there is none.

    >>> select_sources(Settings(), ["zendesk", "delighted"])
    ['delighted', 'zendesk']
    """
    if unknown := sorted({*names} - SOURCES.keys()):
        raise SettingsError(f"{unknown[0]}: no such source, {expected_choice(unknown[0], SOURCES)}")
    if not (selected := sorted({*names} or settings.sources)):
        raise SettingsError("sources: none configured, expected `streamer ingest NAME` or [sources.NAME]")
    return selected


async def run_ingest(settings: Settings, names: Sequence[str]) -> int:
    """Publish the events of the sources until SIGTERM or SIGINT; return the exit code."""
    sources = select_sources(settings, names)
    url = settings.redis_url()
    async with AsyncExitStack() as stack:
        main_store = await retry_refused(
            lambda: RedisStore.connect(url, settings.center, settings.counting_rules())
        )
        stack.push_async_callback(main_store.close)
        ingest_store = await retry_refused(lambda: RedisStore.connect(url, ingest_center(settings), _RULES))
        stack.push_async_callback(ingest_store.close)
        registry = RedisRegistry(main_store, settings.center)
        pseudonyms = await retry_forever(lambda: load_pseudonymizer(registry, settings))
        enricher = Enricher(pseudonyms, settings.directory())
        await require_rights(settings.kafka, ingest_rights(settings, sources))
        await _create_topics(settings, list(map(raw_topic, sources)))
        sender, logs, metrics = await stack.enter_async_context(worker_resources(settings))
        topic_names = settings.kafka.names
        pipelines = _source_pipelines(settings, sources, enricher, KafkaEventPublisher(sender, topic_names))
        dead_letters = KafkaDeadLetterSink(sender, pseudonyms, topic_names)
        context = ProcessingContext(ingest_store, _RULES, dead_letters, metrics, wall_clock_ms)
        assigned = AssignedPartitions(
            context,
            logs,
            lambda partition, position: RawPartitionProcessor(
                partition, position, context, pipelines[partition.topic]
            ),
        )
        app = WorkerApp(settings, assigned, f"{settings.consumer_group}-ingest", list(pipelines))
        forgotten = ForgottenCustomersSync(pseudonyms, main_store, registry)
        retirement = HeartbeatRetirement(ingest_store, KafkaPartitionDirectory(settings.kafka))
        return await run_until_stopped(app, assigned, metrics, forgotten, retirement)


async def _create_topics(settings: Settings, topics: Sequence[str]) -> None:
    created = await ensure_topics(settings.kafka, retention_ms=topic_retention_ms(settings.counting_rules()))
    created += await ensure_topics(settings.kafka, retention_ms=RAW_RETENTION_MS, topics=topics)
    for topic in created:
        log.info("topic created", topic=topic)


def _source_pipelines(
    settings: Settings, names: Iterable[str], enricher: Enricher, publisher: EventPublisher
) -> dict[str, SourcePipeline]:
    """Return the pipelines by the name of the raw topic on the broker."""
    return {
        settings.kafka.names.on_broker(raw_topic(name)): SourcePipeline(
            SOURCES[name], settings.source_options(name), enricher, publisher
        )
        for name in names
    }
