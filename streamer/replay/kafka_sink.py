"""Send records to Kafka in whole batches per partition, partitioned as Kafka's clients do."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from streamer.events.outgoing_records import OutgoingRecord
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames

_MAX_IN_FLIGHT: Final = 4
"""Flushes not yet acknowledged, at most."""
_DRAIN_TIMEOUT_S = 10.0


class KafkaSink:
    """Sink that collects records, sends them in batches, and reports up to which all are acknowledged."""

    def __init__(self, producer: AIOKafkaProducer, names: TopicNames = CONTRACT_NAMES) -> None:
        self._producer, self._names = producer, names
        self._open_batches: dict[tuple[str, int], Any] = {}
        self._full_batches: list[tuple[tuple[str, int], Any]] = []
        self._partition_counts: dict[str, int] = {}
        self._in_flight: deque[tuple[Callable[[], None], Sequence[asyncio.Future[Any]]]] = deque()

    async def load_partitions(self, topics: Sequence[str]) -> None:
        """Load the partition counts of the topics, named as in the contract. Call it before the first
        record."""
        for topic in topics:
            name = self._names.on_broker(topic)
            self._partition_counts[topic] = len(await self._producer.partitions_for(name))

    def put(self, record: OutgoingRecord) -> None:
        partition_index = (murmur2(record.key) & 0x7FFFFFFF) % self._partition_counts[record.topic]
        partition = (record.topic, partition_index)
        if partition in self._open_batches and self._append(self._open_batches[partition], record):
            return
        if partition in self._open_batches:
            self._full_batches.append((partition, self._open_batches[partition]))
        self._open_batches[partition] = self._producer.create_batch()
        fits = self._append(self._open_batches[partition], record)
        assert fits, "an empty batch takes any record"

    async def flush(self, on_acknowledged: Callable[[], None]) -> None:
        """Send all records put so far. Calls `on_acknowledged` once these and all before them are
        acknowledged. Raises KafkaError."""
        batches = [*self._full_batches, *self._open_batches.items()]
        self._full_batches, self._open_batches = [], {}
        deliveries = [
            await self._producer.send_batch(batch, self._names.on_broker(topic), partition=partition_index)
            for (topic, partition_index), batch in batches
        ]
        self._in_flight.append(
            (on_acknowledged, deliveries)
        )  # not before: if interrupted above, not all is sent
        while len(self._in_flight) > _MAX_IN_FLIGHT:
            await self._await_oldest()
        await asyncio.sleep(0)  # lets the sender work and Ctrl-C through

    async def drain(self) -> None:
        """Wait until all flushed records are acknowledged. Raises KafkaError."""
        while self._in_flight:
            await self._await_oldest()

    async def drain_or_abandon(self) -> None:
        """Wait up to 10 s for flushed records, ignoring failures."""
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await self.drain()
        except (TimeoutError, KafkaError):
            pass

    async def _await_oldest(self) -> None:
        on_acknowledged, deliveries = self._in_flight[0]
        if deliveries:
            await asyncio.wait(deliveries)  # unlike gather it does not cancel them if interrupted
        for delivery in deliveries:
            delivery.result()
        self._in_flight.popleft()
        on_acknowledged()

    def _append(self, batch: Any, record: OutgoingRecord) -> bool:
        metadata = batch.append(
            timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=list(record.headers)
        )
        return metadata is not None
