"""Publish records to Kafka, and measure a consumer that does nothing with them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.runtime.clock import wall_clock_ms
from streamer.settings import KafkaSettings
from streamer.worker.kafka import start_producer
from tests.benchmarks.center import Message

_IN_FLIGHT = 5_000
_PULSE_S = 0.005


async def create(address: str, topic: str, partitions: int) -> None:
    """A topic that is none of the contract's."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def publish(address: str, sent: Sequence[Message], topic: str | None = None) -> None:
    """Publish as fast as possible; to `topic` if given, else to each record's own."""
    to = await start_producer(KafkaSettings(bootstrap_servers=address), linger_ms=20)
    try:
        for first in range(0, len(sent), _IN_FLIGHT):
            for written in [await _send(to, one, topic) for one in sent[first : first + _IN_FLIGHT]]:
                await written
    finally:
        await to.stop()


async def publish_in_time(address: str, sent: Sequence[Message]) -> list[float]:
    """Each when its own time has come, looked at every 5 ms. Returns when each was handed to the
    producer, by the monotonic clock, in s."""
    to = await start_producer(KafkaSettings(bootstrap_servers=address))
    published: list[float] = []
    written: list[asyncio.Future[Any]] = []
    try:
        for one in sent:
            while one.at_ms > wall_clock_ms():  # noqa: ASYNC110 - it is the clock that is waited for
                await asyncio.sleep(_PULSE_S)
            published.append(time.monotonic())
            written.append(await _send(to, one))
        await asyncio.gather(*written)
    finally:
        await to.stop()
    return published


async def _send(to: AIOKafkaProducer, one: Message, topic: str | None = None) -> asyncio.Future[Any]:
    return await to.send(
        topic or one.topic, one.value, key=one.key, partition=one.partition, timestamp_ms=one.at_ms
    )


class Bare(NamedTuple):
    """One reading of all records: how fast, and the CPU time of this process for each."""

    records_per_s: float
    cpu_us_per_record: float


async def bare(address: str, topic: str, partitions: int, total: int) -> Bare:
    """aiokafka's getmany in a loop, nothing decoded, no group; timed from the first fetch to the last."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    async with consumer:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        for place in places:
            await consumer.position(place)
        seen, began, cpu = 0, time.perf_counter(), time.process_time()
        while seen < total:
            seen += sum(map(len, (await consumer.getmany(timeout_ms=1_000)).values()))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Bare(round(seen / seconds), round(cpu / seen * 1e6, 2))
