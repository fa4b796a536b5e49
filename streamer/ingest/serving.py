"""Runs `streamer serve`: the web server, and a Kafka producer for the webhooks that it receives."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streamer.events.outgoing import Outgoing
from streamer.events.raw_topics import RAW_KEPT_MS, raw_topic
from streamer.ingest.kafka import KafkaEvents, PublishError
from streamer.settings import Settings
from streamer.web.server import serve
from streamer.worker.kafka import TopicError, ensure_topics, producer

_STOP_S = 1.0

log = structlog.get_logger()


async def run_serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError, and what connecting to the store raises."""
    named = [name for name, source in settings.sources.items() if source.secret is not None]
    if not named:
        await serve(settings)
        return
    door = Door(settings.kafka, [raw_topic(name) for name in named])
    try:
        await serve(settings, door.publish)
    finally:
        await door.close()


class Door:
    """Producer that connects with the first record, so that the server runs while Kafka is unavailable.

    It publishes one record at a time, and reconnects after an error that a retry would not help.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap, self._topics = bootstrap, topics
        self._connecting = asyncio.Lock()
        self._to: AIOKafkaProducer | None = None
        self._shut = False

    async def publish(self, record: Outgoing) -> None:
        """Publish a record; return once all in-sync replicas have it. Raises ConnectionError."""
        to = None
        try:
            to = await self._connected()
            await KafkaEvents(to).send([record])
        except (OSError, KafkaError, PublishError, TopicError) as error:
            self._say(f"{error}" or type(error).__name__)
            if to is not None and isinstance(error, PublishError):
                await self._let_go(to)
            raise ConnectionError(f"{record.topic}: {error}") from error
        self._say(None)

    async def close(self) -> None:
        if self._to is not None:
            await self._let_go(self._to)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._to is None:
                await ensure_topics(self._bootstrap, retention_ms=RAW_KEPT_MS, topics=self._topics)
                self._to = await producer(self._bootstrap)
            return self._to

    async def _let_go(self, to: AIOKafkaProducer) -> None:
        current = self._to is to
        if not current:
            return
        self._to = None
        with suppress(TimeoutError):  # stop() waits for records that Kafka does not accept
            async with asyncio.timeout(_STOP_S):
                await to.stop()

    def _say(self, error: str | None) -> None:
        """Log the first failure and the first success after it, not each webhook."""
        if (error is not None) is not self._shut:
            self._shut = error is not None
            if error:
                log.warning("publishing webhooks to Kafka failed, answering 503", error=error)
            else:
                log.info("publishing webhooks to Kafka works again")
