"""Runs `streamer ingest`: connects raw topics, partitions and Faust; starts, drains and stops them."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog

from streamer.events.adapters import SOURCES
from streamer.events.raw_topics import RAW_KEPT_MS, raw_topic
from streamer.events.rules import Rules
from streamer.ingest.finish import Finish
from streamer.ingest.kafka import KafkaEvents
from streamer.ingest.processor import Events, Inlet, RawPartitionProcessor
from streamer.privacy import ForgottenCustomersSync, veil
from streamer.settings import Settings, SettingsError
from streamer.store.redis import RedisStore
from streamer.worker.engine import App, wall_clock_ms
from streamer.worker.kafka import KafkaLetters, ensure_topics, kept_ms
from streamer.worker.partitions import AssignedPartitions
from streamer.worker.pipeline import ProcessingContext
from streamer.worker.run import drive, worker_parts

_RULES: Final = Rules(horizon_ms=RAW_KEPT_MS, fcr_ms=0)
"""Counting rules, used here only for how long an assembly is kept after its last fragment:
layout.document_ttl_ms."""

log = structlog.get_logger()


def center_of(settings: Settings) -> str:
    """Return the name in Redis under which the positions of raw topics and the assemblies are stored.

    >>> center_of(Settings(center="madrid"))
    'madrid.ingest'
    """
    return f"{settings.center}.ingest"


def chosen(settings: Settings, names: Sequence[str]) -> list[str]:
    """Return the sources to read, sorted: those named, else all of [sources].

    Raises SettingsError for an unknown source, or if there is none.

    >>> chosen(Settings(), ["zendesk", "delighted"])
    ['delighted', 'zendesk']
    """
    if unknown := sorted({*names} - SOURCES.keys()):
        raise SettingsError(f"{unknown[0]}: no such source, see `streamer sources`")
    if not (found := sorted({*names} or settings.sources)):
        raise SettingsError("sources: none configured, expected `streamer ingest NAME` or [sources.NAME]")
    return found


async def run_ingest(settings: Settings, names: Sequence[str]) -> int:
    """Publish the events of the sources until SIGTERM or SIGINT; return the exit code."""
    sources = chosen(settings, names)
    async with AsyncExitStack() as stack:
        numbers = await RedisStore.connect(settings.redis, settings.center, settings.rules())
        stack.push_async_callback(numbers.close)
        own = await RedisStore.connect(settings.redis, center_of(settings), _RULES)
        stack.push_async_callback(own.close)
        hiding = await veil(numbers, settings)
        finish = Finish(hiding, settings.directory())
        topics = list(map(raw_topic, sources))
        await _make(settings, topics)
        sender, logs, metrics = await stack.enter_async_context(worker_parts(settings))
        inlets = _inlets(settings, sources, finish, KafkaEvents(sender))
        context = ProcessingContext(own, _RULES, KafkaLetters(sender, hiding), metrics, wall_clock_ms)
        assigned = AssignedPartitions(
            context,
            logs,
            lambda partition, position: RawPartitionProcessor(
                partition, position, context, inlets[partition.topic]
            ),
        )
        app = App(settings, assigned, f"{settings.consumer_group}-ingest", topics)
        forgotten = ForgottenCustomersSync(hiding, numbers, settings.center)
        return await drive(app, assigned, metrics, forgotten)


async def _make(settings: Settings, topics: Sequence[str]) -> None:
    created = await ensure_topics(settings.kafka, retention_ms=kept_ms(settings.rules()))
    created += await ensure_topics(settings.kafka, retention_ms=RAW_KEPT_MS, topics=topics)
    for topic in created:
        log.info("topic created", topic=topic)


def _inlets(settings: Settings, names: Iterable[str], finish: Finish, out: Events) -> dict[str, Inlet]:
    return {
        raw_topic(name): Inlet(SOURCES[name], settings.source_options(name), finish, out) for name in names
    }
