"""Read dead letters and their original records from Kafka, resend records and close letters."""

import gc
import time
from bisect import bisect_left
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from itertools import groupby
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition
from numpy.typing import NDArray

from streamer.dead_letters.dead_letter import DeadLetter, RecordCoordinates, parse_letter
from streamer.dead_letters.letter_index import LetterPlaces, OpenLetterIndex
from streamer.events.decoding import DEAD_LETTER_TOPIC, KafkaRecord
from streamer.events.topic_names import TopicNames
from streamer.settings import KafkaSettings
from streamer.worker.kafka import count_all_partitions, standalone_consumer, start_producer, stop_consumer
from streamer.worker.kafka_connection import start_client

_POLL_TIMEOUT_MS: Final = 500
_IDLE_TIMEOUT_S: Final = 20.0
_MAX_POLL_RECORDS: Final = 2_000
_SEEK_DISTANCE: Final = 5_000
"""Offsets: a record further ahead than this is sought, a nearer one is read up to."""
_UNREAD_FETCHES: Final = 32
"""Fetches left before all was read, after which Python's collector frees them."""
_SEND_BATCH: Final = 500
_CHUNK_LETTERS: Final = 5_000
_CHUNK_BYTES: Final = 16 * 1024 * 1024


@asynccontextmanager
async def open_letters(
    kafka: KafkaSettings, coordinates: Sequence[RecordCoordinates] = ()
) -> AsyncIterator[AsyncIterator[DeadLetter]]:
    """Open an iterator over all open letters, or those about the records at `coordinates`; there are none if
    the topic does not exist. Raise KafkaError.

    The topic is read twice: to find which letters are open, and to read these. So no more is held in memory
    than where they are.
    """
    topic = kafka.names.on_broker(DEAD_LETTER_TOPIC)
    partition_count = (await count_all_partitions(kafka)).get(topic, 0)
    async with _consumer(kafka) as consumer:
        index = OpenLetterIndex(coordinates)
        if partition_count:
            partitions = [TopicPartition(topic, number) for number in range(partition_count)]
            async for record in _read_to_end(consumer, partitions):
                index.add(record)
        async with aclosing(_read_letters(OffsetReader(consumer), topic, index.places())) as letters:
            yield letters


async def _read_letters(
    reader: "OffsetReader", topic: str, places: LetterPlaces
) -> AsyncGenerator[DeadLetter]:
    for partition, offsets in places.offsets_by_partition.items():
        async for record in reader.read(TopicPartition(topic, partition), offsets):
            yield parse_letter(record, places.partitions_of(record))


async def letter_chunks(letters: AsyncIterable[DeadLetter]) -> AsyncIterator[list[DeadLetter]]:
    """Yield letters in chunks whose originals fit into memory."""
    chunk: list[DeadLetter] = []
    chunk_bytes = 0
    async for letter in letters:
        chunk.append(letter)
        chunk_bytes += letter.size_bytes or 0
        if len(chunk) == _CHUNK_LETTERS or chunk_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, chunk_bytes = [], 0
    if chunk:
        yield chunk


class OriginalReader:
    """Reads the rejected records that letters are about."""

    def __init__(self, consumer: AIOKafkaConsumer, partition_counts: Mapping[str, int]) -> None:
        self._reader = OffsetReader(consumer)
        self._partition_counts = partition_counts

    async def fetch(self, letters: Iterable[DeadLetter]) -> dict[RecordCoordinates, KafkaRecord]:
        """Return the rejected records that Kafka still has, by coordinates. Raise KafkaError."""
        letters_by_coordinates = {
            letter.coordinates: letter
            for letter in letters
            if letter.coordinates.partition < self._partition_counts.get(letter.coordinates.topic, 0)
        }
        originals: dict[RecordCoordinates, KafkaRecord] = {}
        by_partition = groupby(sorted(letters_by_coordinates), key=lambda coordinates: coordinates[:2])
        for topic_partition, coordinates_of_partition in by_partition:
            offsets = [coordinates.offset for coordinates in coordinates_of_partition]
            async for record in self._reader.read(TopicPartition(*topic_partition), offsets):
                coordinates = RecordCoordinates(record.topic, record.partition, record.offset)
                if letters_by_coordinates[coordinates].is_about(record):
                    originals[coordinates] = record
        return originals


@asynccontextmanager
async def original_reader(kafka: KafkaSettings) -> AsyncIterator[OriginalReader]:
    partition_counts = await count_all_partitions(kafka)
    async with _consumer(kafka) as consumer:
        yield OriginalReader(consumer, partition_counts)


class RetryProducer:
    """Writes records back to their partitions, and closes letters."""

    def __init__(self, kafka_producer: AIOKafkaProducer, names: TopicNames) -> None:
        self._kafka_producer = kafka_producer
        self._letter_topic = names.on_broker(DEAD_LETTER_TOPIC)

    async def resend(self, records: Sequence[KafkaRecord]) -> None:
        """Send each record to the partition it was in, with its original timestamp."""
        await self._send_in_batches(
            lambda record: self._kafka_producer.send(
                record.topic,
                record.value,
                key=record.key,
                partition=record.partition,
                timestamp_ms=record.timestamp,
                headers=list(record.headers),
            ),
            records,
        )

    async def close(self, letters: Iterable[DeadLetter]) -> None:
        """Close letters by a record without value, in every partition that holds the letter."""
        letter_partitions = [(letter, partition) for letter in letters for partition in letter.partitions]
        await self._send_in_batches(
            lambda letter_partition: self._kafka_producer.send(
                self._letter_topic,
                None,
                key=str(letter_partition[0].coordinates).encode(),
                partition=letter_partition[1],
            ),
            letter_partitions,
        )

    async def _send_in_batches(self, send: Any, items: Sequence[Any]) -> None:
        for batch_start in range(0, len(items), _SEND_BATCH):
            pending_sends: list[Awaitable[object]] = [
                await send(item) for item in items[batch_start : batch_start + _SEND_BATCH]
            ]
            for pending_send in pending_sends:
                await pending_send


@asynccontextmanager
async def retry_producer(kafka: KafkaSettings) -> AsyncIterator[RetryProducer]:
    kafka_producer = await start_producer(kafka)
    try:
        yield RetryProducer(kafka_producer, kafka.names)
    finally:
        await kafka_producer.stop()


@asynccontextmanager
async def _consumer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = standalone_consumer(kafka)
    try:
        await start_client(kafka, consumer.start)
        yield consumer
    finally:
        await stop_consumer(consumer)


async def _read_to_end(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> AsyncIterator[KafkaRecord]:
    """Yield all records that these partitions hold by now."""
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    for partition, begin in (await consumer.beginning_offsets(partitions)).items():
        consumer.seek(partition, begin)
    deadline_s = time.monotonic() + _IDLE_TIMEOUT_S
    while True:
        fetched = await consumer.getmany(
            *partitions, timeout_ms=_POLL_TIMEOUT_MS, max_records=_MAX_POLL_RECORDS
        )
        for records in fetched.values():
            for fetched_record in records:
                yield _to_kafka_record(fetched_record)
        # Some brokers count batches in the end offset, so also wait until nothing more arrives.
        if fetched:
            deadline_s = time.monotonic() + _IDLE_TIMEOUT_S
        elif time.monotonic() > deadline_s or not [
            partition for partition in partitions if await consumer.position(partition) < ends[partition]
        ]:
            return


class OffsetReader:
    """Reads the records at given offsets, partition by partition.

    What aiokafka has fetched for a place that is left before all is read belongs to a reference cycle: up to
    a megabyte in a few objects, which Python's collector hardly notices. So it is told every so often.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._unread_fetches = 0

    async def read(
        self, partition: TopicPartition, offsets: Sequence[int] | NDArray[np.int64]
    ) -> AsyncGenerator[KafkaRecord]:
        """Yield the records at these ascending offsets; missing ones are left out."""
        consumer = self._consumer
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        index = bisect_left(offsets, await self._begin_offset(partition))
        position: int | None = None
        deadline_s = time.monotonic() + _IDLE_TIMEOUT_S
        while index < len(offsets):
            if position is None or offsets[index] > position + _SEEK_DISTANCE:
                position = int(offsets[index])
                self._seek(partition, position)
            try:
                fetched = await consumer.getmany(
                    partition, timeout_ms=_POLL_TIMEOUT_MS, max_records=_MAX_POLL_RECORDS
                )
            except OffsetOutOfRangeError:  # behind the end, or deleted meanwhile
                if (begin := await self._begin_offset(partition)) <= position:
                    return
                index, position = bisect_left(offsets, begin, index), None
                continue
            for record in fetched.get(partition, ()):
                index = bisect_left(offsets, record.offset, index)
                if index < len(offsets) and offsets[index] == record.offset:
                    yield _to_kafka_record(record)
            position = await consumer.position(partition)
            index = bisect_left(offsets, position, index)
            if fetched:
                deadline_s = time.monotonic() + _IDLE_TIMEOUT_S
            elif position >= end or time.monotonic() > deadline_s:
                return

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        self._consumer.seek(partition, offset)
        self._unread_fetches += 1
        if self._unread_fetches == _UNREAD_FETCHES:
            gc.collect()
            self._unread_fetches = 0

    async def _begin_offset(self, partition: TopicPartition) -> int:
        begin: int = (await self._consumer.beginning_offsets([partition]))[partition]
        return begin


def _to_kafka_record(record: ConsumerRecord) -> KafkaRecord:
    return KafkaRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )
