"""Publishes events to Kafka and tells permanent errors from those worth a retry."""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    TopicAuthorizationFailedError,
)

from streamer.events.outgoing_records import OutgoingRecord
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames

_PERMANENT_ERRORS: Final = (
    ClusterAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    TopicAuthorizationFailedError,
)
"""Errors of the broker after which sending the same again would not help."""


class PublishError(Exception):
    """The broker refuses an event for good. The message holds its reason."""


class KafkaEventPublisher:
    """Event publisher on a Kafka producer."""

    def __init__(self, producer: AIOKafkaProducer, names: TopicNames = CONTRACT_NAMES) -> None:
        self._producer, self._names = producer, names

    async def send(self, events: Sequence[OutgoingRecord]) -> None:
        """Publish the events; return when the brokers have acknowledged them.

        Raises ConnectionError if a retry may help (some events are then published twice), else PublishError.
        """
        futures: list[asyncio.Future[object]] = []
        try:
            for event in events:
                futures.append(await self._send(event))  # noqa: PERF401 - events already sent are awaited in any case
            await asyncio.gather(*futures)
        except _PERMANENT_ERRORS as error:
            raise PublishError(f"publishing events: {type(error).__name__}: {error}") from error
        except KafkaError as error:
            raise ConnectionError(f"publishing events: {error}") from error
        finally:
            await asyncio.gather(*futures, return_exceptions=True)

    async def _send(self, event: OutgoingRecord) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = await self._producer.send(
            self._names.on_broker(event.topic),
            event.value,
            event.key,
            timestamp_ms=event.timestamp_ms,
            headers=list(event.headers),
        )
        return future
