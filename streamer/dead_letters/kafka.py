"""Read dead letters and their original records from Kafka, resend records and close letters."""

import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from streamer.dead_letters.letter import Letter, Place, opened
from streamer.events.decoding import DEAD_LETTERS, Record
from streamer.worker.kafka import every_topic, producer, standalone_consumer, stop

_LOOK_MS: Final = 500
_PATIENCE_S: Final = 20.0
_POLLED: Final = 2_000
_FAR: Final = 5_000
"""Offsets: a record further ahead than this is sought, a nearer one is read up to."""
_AT_ONCE: Final = 500


async def open_letters(bootstrap: str) -> list[Letter]:
    """Return all open letters, oldest record first; none if the topic does not exist. Raise KafkaError."""
    numbers = (await every_topic(bootstrap)).get(DEAD_LETTERS, 0)
    if not numbers:
        return []
    async with _consumer(bootstrap) as consumer:
        places = [TopicPartition(DEAD_LETTERS, number) for number in range(numbers)]
        return opened([record async for record in _all(consumer, places)])


async def originals(bootstrap: str, letters: Iterable[Letter]) -> dict[Place, Record]:
    """Return the rejected records that Kafka still has, by coordinates. Raise KafkaError."""
    known = await every_topic(bootstrap)
    wanted = sorted(one.place for one in letters if one.place.partition < known.get(one.place.topic, 0))
    found: dict[Place, Record] = {}
    async with _consumer(bootstrap) as consumer:
        for (topic, number), places in groupby(wanted, key=lambda place: place[:2]):
            for record in await _these(consumer, TopicPartition(topic, number), [p.offset for p in places]):
                found[Place(record.topic, record.partition, record.offset)] = record
    return {
        one.place: found[one.place]
        for one in letters
        if one.place in found and one.is_about(found[one.place])
    }


class Post:
    """Writes records back to their partitions, and closes letters."""

    def __init__(self, to: AIOKafkaProducer) -> None:
        self._to = to

    async def resend(self, records: Sequence[Record]) -> None:
        """Send each record to the partition it was in, with its original timestamp."""
        await self._all(
            lambda record: self._to.send(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                timestamp_ms=record.timestamp,
                headers=list(record.headers),
            ),
            records,
        )

    async def close(self, letters: Iterable[Letter]) -> None:
        """Close letters by a record without value, in every partition that holds the letter."""
        lying = [(letter, partition) for letter in letters for partition in letter.partitions]
        await self._all(
            lambda one: self._to.send(DEAD_LETTERS, None, key=str(one[0].place).encode(), partition=one[1]),
            lying,
        )

    async def _all(self, send: Any, items: Sequence[Any]) -> None:
        for first in range(0, len(items), _AT_ONCE):
            sent: list[Awaitable[object]] = [await send(item) for item in items[first : first + _AT_ONCE]]
            for one in sent:
                await one


@asynccontextmanager
async def post(bootstrap: str) -> AsyncIterator[Post]:
    to = await producer(bootstrap)
    try:
        yield Post(to)
    finally:
        await to.stop()


@asynccontextmanager
async def _consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = standalone_consumer(bootstrap)
    try:
        await consumer.start()
        yield consumer
    finally:
        await stop(consumer)


async def _all(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> AsyncIterator[Record]:
    """Yield all records that these partitions hold by now."""
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    for place, begin in (await consumer.beginning_offsets(places)).items():
        consumer.seek(place, begin)
    until = time.monotonic() + _PATIENCE_S
    while True:
        fetched = await consumer.getmany(*places, timeout_ms=_LOOK_MS, max_records=_POLLED)
        for records in fetched.values():
            for one in records:
                yield _record(one)
        # Some brokers count batches in the end offset, so also wait until nothing more arrives.
        if fetched:
            until = time.monotonic() + _PATIENCE_S
        elif time.monotonic() > until or not [p for p in places if await consumer.position(p) < ends[p]]:
            return


async def _these(consumer: AIOKafkaConsumer, place: TopicPartition, offsets: Sequence[int]) -> list[Record]:
    """Return the records at these ascending offsets; missing ones are left out."""
    consumer.assign([place])
    begin = (await consumer.beginning_offsets([place]))[place]
    missing = [offset for offset in offsets if offset >= begin]
    found: list[Record] = []
    at: int | None = None
    while missing:
        if at is None or missing[0] > at + _FAR:
            consumer.seek(place, missing[0])
        try:
            fetched = await consumer.getmany(place, timeout_ms=_LOOK_MS, max_records=_POLLED)
        except OffsetOutOfRangeError:
            return found
        records = fetched.get(place, [])
        if not records:
            return found
        wanted, at = set(missing), records[-1].offset + 1
        found += [_record(one) for one in records if one.offset in wanted]
        missing = [offset for offset in missing if offset >= at]
    return found


def _record(one: ConsumerRecord) -> Record:
    return Record(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers)
