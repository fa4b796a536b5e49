"""Runs `streamer serve`: the web server, and a Kafka producer for the webhooks that it receives."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streamer.events.outgoing_records import OutgoingRecord
from streamer.events.raw_topics import RAW_RETENTION_MS, raw_topic
from streamer.ingest.event_publisher import KafkaEventPublisher, PublishError
from streamer.settings import KafkaSettings, Settings
from streamer.web.server import run_server
from streamer.worker.kafka import TopicError, ensure_topics, start_producer

_STOP_S = 1.0

log = structlog.get_logger()


async def run_serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises what connecting to the store raises."""
    webhook_names = [name for name, source in settings.sources.items() if source.secret is not None]
    if not webhook_names:
        await run_server(settings)
        return
    lazy_producer = LazyProducer(settings.kafka, [raw_topic(name) for name in webhook_names])
    try:
        await run_server(settings, lazy_producer.publish)
    finally:
        await lazy_producer.close()


class LazyProducer:
    """Producer that connects with the first record, so that the server runs while Kafka is unavailable.

    It publishes one record at a time, and reconnects after an error that a retry would not help.
    """

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str]) -> None:
        self._kafka, self._topics = kafka, topics
        self._connecting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._is_failing = False

    async def publish(self, record: OutgoingRecord) -> None:
        """Publish a record; return once all in-sync replicas have it. Raises ConnectionError."""
        kafka_producer = None
        try:
            kafka_producer = await self._connect()
            await KafkaEventPublisher(kafka_producer, self._kafka.names).send([record])
        except (OSError, KafkaError, PublishError, TopicError) as error:
            self._log_change(f"{error}" or type(error).__name__)
            if kafka_producer is not None and isinstance(error, PublishError):
                await self._disconnect(kafka_producer)
            raise ConnectionError(f"{self._kafka.names.on_broker(record.topic)}: {error}") from error
        self._log_change(None)

    async def close(self) -> None:
        if self._producer is not None:
            await self._disconnect(self._producer)

    async def _connect(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                await ensure_topics(self._kafka, retention_ms=RAW_RETENTION_MS, topics=self._topics)
                self._producer = await start_producer(self._kafka)
            return self._producer

    async def _disconnect(self, kafka_producer: AIOKafkaProducer) -> None:
        is_current = self._producer is kafka_producer
        if not is_current:
            return
        self._producer = None
        with suppress(TimeoutError):  # stop() waits for records that Kafka does not accept
            async with asyncio.timeout(_STOP_S):
                await kafka_producer.stop()

    def _log_change(self, error: str | None) -> None:
        """Log the first failure and the first success after it, not each webhook."""
        if (error is not None) is not self._is_failing:
            self._is_failing = error is not None
            if error:
                log.warning("publishing webhooks to Kafka failed, answering 503", error=error)
            else:
                log.info("publishing webhooks to Kafka works again")
