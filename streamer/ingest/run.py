"""Here is `streamer ingest` put together: raw topics, lanes, Faust; started, watched, drained, ended."""

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog

from streamer.app import drive, parts
from streamer.engine import App, wall_clock_ms
from streamer.events.adapters import SOURCES
from streamer.events.raw_topics import RAW_KEPT_MS, raw_topic
from streamer.events.rules import Rules
from streamer.ingest.finish import Finish
from streamer.ingest.kafka import KafkaEvents
from streamer.ingest.lane import Events, Inlet, RawLane
from streamer.kafka import KafkaLetters, ensure_topics, kept_ms
from streamer.lanes import Lanes
from streamer.pipeline import Counting
from streamer.privacy import Keeper, veil
from streamer.settings import Settings, SettingsError
from streamer.store.redis import RedisStore

_RULES: Final = Rules(horizon_ms=RAW_KEPT_MS, fcr_ms=0)
"""All they decide here is how long an assembly is kept after its last note: layout.document_ttl_s."""

log = structlog.get_logger()


def center_of(settings: Settings) -> str:
    """The name in Redis under which the raw topics' positions and the assemblies are kept."""
    return f"{settings.center}.ingest"


def chosen(settings: Settings, names: Sequence[str]) -> list[str]:
    """The sources to be read: those named, else all of [sources]. Raises SettingsError."""
    if unknown := sorted({*names} - SOURCES.keys()):
        raise SettingsError(f"{unknown[0]}: there is no such source: see `streamer sources`")
    if not (found := sorted({*names} or settings.sources)):
        raise SettingsError("sources: none is named, expected `streamer ingest NAME` or [sources.NAME]")
    return found


async def run_ingest(settings: Settings, names: Sequence[str]) -> int:
    """Publish what the sources say until SIGTERM or SIGINT; returns the exit code."""
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
        sender, logs, meters = await stack.enter_async_context(parts(settings))
        inlets = _inlets(settings, sources, finish, KafkaEvents(sender))
        counting = Counting(own, _RULES, KafkaLetters(sender, hiding), meters, wall_clock_ms)
        lanes = Lanes(
            counting,
            logs,
            lambda partition, position: RawLane(partition, position, counting, inlets[partition.topic]),
        )
        app = App(settings, lanes, f"{settings.consumer_group}-ingest", topics)
        return await drive(app, lanes, meters, Keeper(hiding, numbers, settings.center))


async def _make(settings: Settings, topics: Sequence[str]) -> None:
    created = await ensure_topics(settings.kafka, retention_ms=kept_ms(settings.rules()))
    created += await ensure_topics(settings.kafka, retention_ms=RAW_KEPT_MS, topics=topics)
    for topic in created:
        log.info("topic created", topic=topic)


def _inlets(settings: Settings, names: Iterable[str], finish: Finish, out: Events) -> dict[str, Inlet]:
    return {
        raw_topic(name): Inlet(SOURCES[name], settings.source_options(name), finish, out) for name in names
    }
