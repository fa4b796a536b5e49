"""Kafka as a test sees it: publishing while brokers come and go, reading all that a log has."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain, islice
from random import Random

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from streamer.demo.event_encoding import SimulatedMessage
from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.settings import KafkaSettings
from streamer.worker import kafka
from tests.faults.traffic import PARTITIONS

_TICK_S = 0.05
_MOST_AT_ONCE = 500
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
                # Few at a time, so that `published` keeps up with what the log has.
                messages = [
                    message for message in islice(self._messages, min(due, _MOST_AT_ONCE))
                    if message.topic not in self.left_out
                ]  # fmt: skip
                await send(producer, messages, self.partitions)
                self.published += len(messages)
                if due <= _MOST_AT_ONCE:
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


async def restore(address: str, restored: Sequence[KafkaRecord]) -> None:
    """Publish records again as they were, in the order of their offsets: to empty logs, at the same ones."""
    async with producer(address, is_idempotent=False) as sender:
        deliveries = [
            await sender.send(one.topic, one.value, one.key, one.partition, one.timestamp, [*one.headers])
            for one in sorted(restored, key=lambda one: one.offset)
        ]
        await asyncio.gather(*deliveries)


async def set_configs(address: str, topic: str, configs: Mapping[str, str]) -> None:
    async with admin(address) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(configs))])


async def value_customers(address: str, customers: Sequence[str], value: int) -> None:
    """Publish this value of each customer; only the last one of each is left where a topic is compacted."""
    async with producer(address) as sender:
        for customer in customers:
            await sender.send_and_wait(*valuation(customer, value))


def valuation(customer: str, value: int) -> tuple[str, bytes, bytes]:
    """Return topic, value and key of a record."""
    as_of = int(time.time()) - 60 + value  # noqa: TID251 - of now, as records are
    body = {"customer_id": customer, "value": value, "as_of": as_of}
    return "customer-valued", json.dumps(body).encode(), customer.encode()


@asynccontextmanager
async def producer(
    address: str, *, is_idempotent: bool = True, **options: str
) -> AsyncIterator[AIOKafkaProducer]:
    sender = AIOKafkaProducer(
        bootstrap_servers=address, acks="all", enable_idempotence=is_idempotent, **options
    )
    async with sender:
        yield sender


@asynccontextmanager
async def transactions(address: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Yield what publishes valuations of some customers in one transaction, committed or aborted."""
    async with producer(address, transactional_id="faults") as sender:

        async def publish(customers: Sequence[str], *, is_aborted: bool) -> None:
            await sender.begin_transaction()
            for customer in customers:
                await sender.send_and_wait(*valuation(customer, 7))
            await (sender.abort_transaction() if is_aborted else sender.commit_transaction())

        yield publish


@asynccontextmanager
async def foreign_member(address: str, group: str) -> AsyncIterator[None]:
    """Be a member of the group that reads its share and commits the offsets, once it has one."""
    consumer = AIOKafkaConsumer(
        *TOPICS, bootstrap_servers=address, group_id=group, auto_offset_reset="latest",
        session_timeout_ms=6_000, partition_assignment_strategy=[RangePartitionAssignor],
    )  # fmt: skip
    async with consumer:
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=200)
        yield
        await consumer.getmany(timeout_ms=200)
        await consumer.commit()


@asynccontextmanager
async def admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
