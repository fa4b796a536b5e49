"""Send records to Kafka in whole batches per partition, partitioned as Kafka's clients do."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from streamer.events.outgoing import Outgoing

_FLIGHTS: Final = 4
"""Flushes not yet acknowledged, at most."""
_PATIENCE_S = 10.0


class Publisher:
    """Sink that collects records, sends them in batches, and reports up to which all are acknowledged."""

    def __init__(self, to: AIOKafkaProducer) -> None:
        self._to = to
        self._filling: dict[tuple[str, int], Any] = {}
        self._full: list[tuple[tuple[str, int], Any]] = []
        self._partitions: dict[str, int] = {}
        self._flights: deque[tuple[Callable[[], None], Sequence[asyncio.Future[Any]]]] = deque()

    async def know(self, topics: Sequence[str]) -> None:
        """Load the partition counts of the topics. Call it before the first record."""
        for topic in topics:
            self._partitions[topic] = len(await self._to.partitions_for(topic))

    def put(self, record: Outgoing) -> None:
        number = (murmur2(record.key) & 0x7FFFFFFF) % self._partitions[record.topic]
        place = (record.topic, number)
        if place in self._filling and self._append(self._filling[place], record):
            return
        if place in self._filling:
            self._full.append((place, self._filling[place]))
        self._filling[place] = self._to.create_batch()
        fits = self._append(self._filling[place], record)
        assert fits, "an empty batch takes any record"

    async def hand_over(self, acknowledged: Callable[[], None]) -> None:
        """Send all records put so far. Calls `on_acknowledged` once these and all before them are
        acknowledged. Raises KafkaError."""
        batches = [*self._full, *self._filling.items()]
        self._full, self._filling = [], {}
        sent = [await self._to.send_batch(batch, topic, partition=at) for (topic, at), batch in batches]
        self._flights.append((acknowledged, sent))  # not before: if interrupted above, not all is sent
        while len(self._flights) > _FLIGHTS:
            await self._land()
        await asyncio.sleep(0)  # lets the sender work and Ctrl-C through

    async def settle(self) -> None:
        """Wait until all flushed records are acknowledged. Raises KafkaError."""
        while self._flights:
            await self._land()

    async def give_up(self) -> None:
        """Wait up to 10 s for flushed records, ignoring failures."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self.settle()
        except (TimeoutError, KafkaError):
            pass

    async def _land(self) -> None:
        acknowledged, sent = self._flights[0]
        if sent:
            await asyncio.wait(sent)  # unlike gather it does not cancel them if interrupted
        for one in sent:
            one.result()
        self._flights.popleft()
        acknowledged()

    def _append(self, batch: Any, record: Outgoing) -> bool:
        found = batch.append(
            timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=list(record.headers)
        )
        return found is not None
