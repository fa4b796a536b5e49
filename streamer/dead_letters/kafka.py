"""Read dead letters and their original records from Kafka, resend records and close letters."""

import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from streamer.dead_letters.dead_letter import DeadLetter, RecordCoordinates, fold_open_letters
from streamer.events.decoding import DEAD_LETTER_TOPIC, KafkaRecord
from streamer.worker.kafka import count_all_partitions, standalone_consumer, start_producer, stop_consumer

_POLL_TIMEOUT_MS: Final = 500
_IDLE_TIMEOUT_S: Final = 20.0
_MAX_POLL_RECORDS: Final = 2_000
_SEEK_DISTANCE: Final = 5_000
"""Offsets: a record further ahead than this is sought, a nearer one is read up to."""
_SEND_BATCH: Final = 500


async def open_letters(bootstrap: str) -> list[DeadLetter]:
    """Return all open letters, oldest record first; none if the topic does not exist. Raise KafkaError."""
    partition_count = (await count_all_partitions(bootstrap)).get(DEAD_LETTER_TOPIC, 0)
    if not partition_count:
        return []
    async with _consumer(bootstrap) as consumer:
        partitions = [TopicPartition(DEAD_LETTER_TOPIC, partition) for partition in range(partition_count)]
        return fold_open_letters([record async for record in _read_to_end(consumer, partitions)])


async def fetch_originals(
    bootstrap: str, letters: Iterable[DeadLetter]
) -> dict[RecordCoordinates, KafkaRecord]:
    """Return the rejected records that Kafka still has, by coordinates. Raise KafkaError."""
    partition_counts = await count_all_partitions(bootstrap)
    coordinates = sorted(
        letter.coordinates
        for letter in letters
        if letter.coordinates.partition < partition_counts.get(letter.coordinates.topic, 0)
    )
    records: dict[RecordCoordinates, KafkaRecord] = {}
    async with _consumer(bootstrap) as consumer:
        for (topic, partition), topic_coordinates in groupby(
            coordinates, key=lambda coordinate: coordinate[:2]
        ):
            for record in await _records_at(
                consumer,
                TopicPartition(topic, partition),
                [coordinate.offset for coordinate in topic_coordinates],
            ):
                records[RecordCoordinates(record.topic, record.partition, record.offset)] = record
    return {
        letter.coordinates: records[letter.coordinates]
        for letter in letters
        if letter.coordinates in records and letter.is_about(records[letter.coordinates])
    }


class RetryProducer:
    """Writes records back to their partitions, and closes letters."""

    def __init__(self, kafka_producer: AIOKafkaProducer) -> None:
        self._kafka_producer = kafka_producer

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
                DEAD_LETTER_TOPIC,
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
async def retry_producer(bootstrap: str) -> AsyncIterator[RetryProducer]:
    kafka_producer = await start_producer(bootstrap)
    try:
        yield RetryProducer(kafka_producer)
    finally:
        await kafka_producer.stop()


@asynccontextmanager
async def _consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = standalone_consumer(bootstrap)
    try:
        await consumer.start()
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


async def _records_at(
    consumer: AIOKafkaConsumer, partition: TopicPartition, offsets: Sequence[int]
) -> list[KafkaRecord]:
    """Return the records at these ascending offsets; missing ones are left out."""
    consumer.assign([partition])
    begin = (await consumer.beginning_offsets([partition]))[partition]
    missing = [offset for offset in offsets if offset >= begin]
    records_found: list[KafkaRecord] = []
    position: int | None = None
    while missing:
        if position is None or missing[0] > position + _SEEK_DISTANCE:
            consumer.seek(partition, missing[0])
        try:
            fetched = await consumer.getmany(
                partition, timeout_ms=_POLL_TIMEOUT_MS, max_records=_MAX_POLL_RECORDS
            )
        except OffsetOutOfRangeError:
            return records_found
        records = fetched.get(partition, [])
        if not records:
            return records_found
        missing_offsets, position = set(missing), records[-1].offset + 1
        records_found += [_to_kafka_record(record) for record in records if record.offset in missing_offsets]
        missing = [offset for offset in missing if offset >= position]
    return records_found


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
