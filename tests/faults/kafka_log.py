"""Kafka as a test sees it: publishing while brokers come and go, reading all that a log has."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain, islice
from random import Random

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from streamer.demo.event_encoding import SimulatedMessage
from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.settings import KafkaSettings
from streamer.worker import kafka
from tests.faults.traffic import PARTITIONS

_TICK_S = 0.05
_QUIET_MS = 1_500


class Publisher:
    """Publishes messages at a rate, in the background. What could not be published while the broker
    was away is published at once when it is back."""

    def __init__(self, address: str, messages: Iterator[SimulatedMessage]) -> None:
        self.published = 0
        self.partitions = PARTITIONS
        """Partitions of each topic to publish to."""
        self.left_out: set[str] = set()
        """Topics that nothing is published to."""
        self._address = address
        self._messages = messages

    @asynccontextmanager
    async def load(self, per_s: float) -> AsyncIterator[None]:
        enough = asyncio.Event()
        publishing = asyncio.create_task(self._publish(per_s, enough))
        try:
            yield
        finally:
            enough.set()
            await publishing

    async def _publish(self, per_s: float, enough: asyncio.Event) -> None:
        producer = await kafka.start_producer(KafkaSettings(bootstrap_servers=self._address))
        start, before = time.monotonic(), self.published
        try:
            while not enough.is_set():
                due = int((time.monotonic() - start) * per_s) - (self.published - before)
                messages = [m for m in islice(self._messages, due) if m.topic not in self.left_out]
                await send(producer, messages, self.partitions)
                self.published += len(messages)
                await asyncio.sleep(_TICK_S)
        finally:
            await producer.stop()


async def send(
    producer: AIOKafkaProducer, messages: Sequence[SimulatedMessage], partitions: int = PARTITIONS
) -> None:
    """To any partition: what belongs together does not come together."""
    random = Random(repr(messages[:1]))
    await asyncio.gather(*(_send(producer, message, random.randrange(partitions)) for message in messages))


async def _send(producer: AIOKafkaProducer, message: SimulatedMessage, partition: int) -> None:
    headers = list(message.headers)
    while True:
        try:
            await producer.send_and_wait(
                message.topic,
                message.value,
                message.key,
                partition=partition,
                timestamp_ms=message.at_ms,
                headers=headers,
            )
        except KafkaError:
            await asyncio.sleep(_TICK_S)
        else:
            return


async def records(address: str, topics: Sequence[str]) -> AsyncIterator[KafkaRecord]:
    """All that these logs have. Nobody may be publishing."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, fetch_max_wait_ms=50, isolation_level="read_committed"
    )
    counts = await kafka.count_all_partitions(KafkaSettings(bootstrap_servers=address))
    async with consumer:
        consumer.assign([TopicPartition(topic, n) for topic in topics for n in range(counts.get(topic, 0))])
        await consumer.seek_to_beginning()
        while batches := await consumer.getmany(timeout_ms=_QUIET_MS):
            for one in chain.from_iterable(batches.values()):
                yield KafkaRecord(
                    one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers
                )


async def make_anew(address: str, partitions: int = PARTITIONS) -> None:
    """Delete the topics that are counted, and create them again, empty."""
    await delete(address, TOPICS)
    await kafka.ensure_topics(KafkaSettings(bootstrap_servers=address), partitions)


async def delete(address: str, topics: Sequence[str]) -> None:
    async with admin(address) as client:
        await client.delete_topics(list(topics))
        while set(topics) & set(await client.list_topics()):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(_TICK_S)


@asynccontextmanager
async def admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
