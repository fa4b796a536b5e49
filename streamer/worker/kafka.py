"""Kafka access: create and describe topics, read logs outside of groups, write dead letters, make
producers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NoError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from streamer.events.counting_rules import DAY, CountingRules
from streamer.events.decoding import DEAD_LETTER_TOPIC, TOPICS, KafkaRecord
from streamer.events.envelopes import customer_id_of
from streamer.events.models import RejectedEvent
from streamer.events.record_redaction import redact_record
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames
from streamer.privacy.pseudonyms import NO_PSEUDONYMS, Pseudonymizer
from streamer.settings import KafkaSettings
from streamer.store.port import Checkpoint, Partition
from streamer.worker.kafka_connection import connection_options, open_admin, start_client
from streamer.worker.log_identity import LogSnapshot, record_checkpoint

ALL_TOPICS = (*TOPICS, DEAD_LETTER_TOPIC)
MIN_RETENTION_MS = 100 * DAY
"""Shortest retention of a topic: longer than every usual horizon."""
_REPLICAS = 3
_POLL_TIMEOUT_MS = 500
_PROBE_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 1.0
_MAX_POLL_RECORDS = 2_000
_TOPIC_CONFIGS = {DEAD_LETTER_TOPIC: {"cleanup.policy": "compact,delete"}}
"""Compaction lets a closed letter go before its retention ends."""
_REPORTED_CONFIGS = ("message.timestamp.type", "retention.ms")


class TopicError(Exception):
    """The broker did not create a topic. The message names it and says why."""


def topic_retention_ms(rules: CountingRules) -> int:
    """Return the retention for topics: as long as hourly panes are kept, so that a rebuild can fill them.

    >>> topic_retention_ms(CountingRules(retention_ms=365 * DAY)) // DAY
    365
    """
    return max(MIN_RETENTION_MS, rules.retention_ms)


async def ensure_topics(
    kafka: KafkaSettings,
    partitions: int = 4,
    retention_ms: int = MIN_RETENTION_MS,
    topics: Sequence[str] = ALL_TOPICS,
) -> list[str]:
    """Create those of `topics`, named as in the contract, that are missing, and return their names on the
    broker; leave the others unchanged. Any number of processes may do so at once. Raises TopicError."""
    # Timestamps are the events' own: the broker must not replace them by the time of arrival.
    config = {"message.timestamp.type": "CreateTime", "retention.ms": str(retention_ms)}
    async with open_admin(kafka) as admin:
        existing = await admin.list_topics()
        replicas = min(_REPLICAS, len((await admin.describe_cluster())["brokers"]))
        configs = {kafka.names.on_broker(topic): config | _TOPIC_CONFIGS.get(topic, {}) for topic in topics}
        return [
            name
            for name, topic_config in configs.items()
            if name not in existing
            and await _create_if_missing(admin, name, partitions, replicas, topic_config)
        ]


async def count_partitions(kafka: KafkaSettings) -> dict[str, int]:
    """Return the number of partitions of each of ALL_TOPICS, by name on the broker; 0 for a missing topic.
    Raises KafkaError."""
    counts = await count_all_partitions(kafka)
    return {name: counts.get(name, 0) for name in map(kafka.names.on_broker, ALL_TOPICS)}


async def count_all_partitions(kafka: KafkaSettings) -> dict[str, int]:
    """Return the number of partitions of every topic of the broker. Raises KafkaError."""
    async with open_admin(kafka) as admin:
        # All topics: some brokers create a topic whose name is asked for.
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


async def describe_topic_configs(kafka: KafkaSettings, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return timestamp type and retention of the topics of these names on the broker. Left out: topics that
    this user may not describe, and all if the broker cannot describe topics. Raises KafkaError."""
    async with open_admin(kafka) as admin:
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_REPORTED_CONFIGS)) for name in names
        ]
        try:
            answers = await admin.describe_configs(resources)
        except KafkaConnectionError:  # from a broker that does not know the request
            return {}
    answered = [resource for answer in answers for resource in answer.to_object()["resources"]]
    return {
        resource["resource_name"]: {
            entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
        }
        for resource in answered
        if not resource["error_code"]
    }


async def _create_if_missing(
    admin: AIOKafkaAdminClient, topic: str, partitions: int, replicas: int, config: dict[str, str]
) -> bool:
    """Create a topic; return False if another process created it first. Raises TopicError."""
    error = await _create(admin, NewTopic(topic, partitions, replicas, topic_configs=config))
    if error and not isinstance(error, TopicAlreadyExistsError):
        # Some brokers do not know these settings, and need none of them.
        error = await _create(admin, NewTopic(topic, partitions, replicas))
    if error and not isinstance(error, TopicAlreadyExistsError):
        raise TopicError(
            f"topic {topic}: the broker refused to create it ({error}); create it by hand"
        ) from error
    return error is None


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> KafkaError | None:
    # One at a time: a broker that refuses one topic of a request may drop the others.
    response = await admin.create_topics([topic])
    _, code, message = response.topic_errors[0]
    return for_code(code)(message) if code else None


class KafkaDeadLetterSink:
    """Dead letter sink that writes to the dead letter topic. The key is the coordinates of the rejected
    record, so that a letter written twice can be recognized."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        pseudonymizer: Pseudonymizer = NO_PSEUDONYMS,
        names: TopicNames = CONTRACT_NAMES,
    ) -> None:
        self._producer = producer
        self._pseudonymizer = pseudonymizer
        self._topic = names.on_broker(DEAD_LETTER_TOPIC)

    async def send(self, letters: Sequence[tuple[KafkaRecord, RejectedEvent]]) -> None:
        try:
            for delivery in [await self._send(*letter) for letter in letters]:
                await delivery
        except KafkaError as error:
            raise ConnectionError(f"dead letters: {error}") from error

    async def _send(self, record: KafkaRecord, rejected: RejectedEvent) -> Awaitable[object]:
        coordinates = (record.topic, str(record.partition), str(record.offset))
        coordinate_headers = zip(("topic", "partition", "offset"), coordinates, strict=True)
        headers = [("reason", rejected.reason), ("error", rejected.error), *coordinate_headers]
        headers += [("timestamp", str(record.timestamp)), ("bytes", str(len(record.value or b"")))]
        headers += self._customer_header(record)
        await asyncio.sleep(0)  # a letter takes milliseconds to redact
        # With the current time: under the record's own, a letter about an old record would expire at once.
        delivery: Awaitable[object] = await self._producer.send(
            self._topic,
            redact_record(record),
            key=":".join(coordinates).encode(),
            headers=[(name, value.encode()) for name, value in headers],
        )
        return delivery

    def _customer_header(self, record: KafkaRecord) -> list[tuple[str, str]]:
        """Return a header with the customer's pseudonym; none if there is no key: never the id itself."""
        customer = customer_id_of(record)
        pseudonym = None if customer is None else self._pseudonymizer.pseudonym_at(customer, record.timestamp)
        return (
            [("customer", pseudonym)]
            if pseudonym is not None and self._pseudonymizer.is_pseudonym(pseudonym)
            else []
        )


class KafkaLogProbe:
    """Log probe that reads single records of the logs, outside of any group."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._consumer = standalone_consumer(
            kafka,
            max_partition_fetch_bytes=64 * 1024,  # one record is enough
        )
        self._probe_lock = asyncio.Lock()  # a consumer has one assignment: one probe at a time

    async def start(self) -> None:
        await start_client(self._kafka, self._consumer.start)

    async def stop(self) -> None:
        await stop_consumer(self._consumer)

    async def probe(
        self, offsets_by_partition: Mapping[Partition, Sequence[int]]
    ) -> Mapping[Partition, LogSnapshot]:
        async with self._probe_lock:
            return await self._probe(offsets_by_partition)

    async def end_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        try:
            ends = await self._consumer.end_offsets([TopicPartition(*partition) for partition in partitions])
        except KafkaError as error:
            raise ConnectionError(f"reading the ends of the logs: {error}") from error
        return {Partition(*tp): offset for tp, offset in ends.items()}

    async def _probe(
        self, offsets_by_partition: Mapping[Partition, Sequence[int]]
    ) -> Mapping[Partition, LogSnapshot]:
        topic_partitions = {partition: TopicPartition(*partition) for partition in offsets_by_partition}
        self._consumer.assign(list(topic_partitions.values()))
        try:
            begin_offsets = await self._consumer.beginning_offsets(list(topic_partitions.values()))
            end_offsets = await self._consumer.end_offsets(list(topic_partitions.values()))
            records: dict[Partition, dict[int, Checkpoint]] = {
                partition: {} for partition in offsets_by_partition
            }
            for offset_index in range(max(map(len, offsets_by_partition.values()), default=0)):
                offsets = {
                    topic_partitions[partition]: partition_offsets[offset_index]
                    for partition, partition_offsets in offsets_by_partition.items()
                    if offset_index < len(partition_offsets)
                }
                offsets = {tp: offset for tp, offset in offsets.items() if begin_offsets[tp] <= offset}
                for tp, read_checkpoint in (await self._read_checkpoints(offsets)).items():
                    records[Partition(*tp)][read_checkpoint.offset] = read_checkpoint
            return {
                partition: LogSnapshot(
                    begin_offsets[tp], records[partition], max(end_offsets[tp], self._stable_offset(tp))
                )
                for partition, tp in topic_partitions.items()
            }
        except KafkaError as error:
            raise ConnectionError(f"probing the logs: {error}") from error
        finally:
            self._consumer.unsubscribe()

    def _stable_offset(self, tp: TopicPartition) -> int:
        """Return the offset after the last committed record as the last fetch told it; -1 if none did. The
        embedded broker's own answer on the ends of logs is too low."""
        offset = self._consumer.last_stable_offset(tp)
        return -1 if offset is None else offset

    async def _read_checkpoints(
        self, offsets: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Checkpoint]:
        """Return the checkpoints of the records at these offsets, for all partitions at once; left out where
        there is no record. Raises ConnectionError if the broker does not say: that is no missing record."""
        checkpoints, missing_offsets = {}, dict(offsets)
        for tp, offset in offsets.items():
            self._consumer.seek(tp, offset)
        deadline_s = time.monotonic() + _PROBE_TIMEOUT_S
        while missing_offsets:
            try:
                fetched = await self._consumer.getmany(*missing_offsets, timeout_ms=_POLL_TIMEOUT_MS)
            except OffsetOutOfRangeError as error:
                for tp in error.args[0]:
                    missing_offsets.pop(tp, None)
                continue
            for tp, (record, *_) in fetched.items():
                if record.offset == missing_offsets.pop(tp):
                    checkpoints[tp] = record_checkpoint(
                        record.offset, record.timestamp, record.key, record.value
                    )
            for tp, offset in [*missing_offsets.items()]:
                # Only markers of transactions follow, or nothing.
                if await self._consumer.position(tp) > offset or 0 <= self._stable_offset(tp) <= offset:
                    del missing_offsets[tp]
            if missing_offsets and time.monotonic() > deadline_s:
                raise ConnectionError(f"probing the logs: nothing came of {[*missing_offsets]}")
        return checkpoints


class KafkaPartitionDirectory:
    """Directory of the partitions that exist. `counted_topics`: partitions of other topics do not count as
    existing (None: of all topics they do)."""

    def __init__(self, kafka: KafkaSettings, counted_topics: Collection[str] | None = None) -> None:
        self._kafka, self._counted_topics = kafka, counted_topics

    async def existing(self, partitions: Collection[Partition]) -> set[Partition]:
        try:
            by_topic = await self._describe({*(p.topic for p in partitions), *(self._counted_topics or ())})
        except KafkaError as error:
            raise ConnectionError(f"describing topics: {error}") from error
        counted_topics = by_topic.keys() if self._counted_topics is None else {*self._counted_topics}
        if not any(by_topic[topic] for topic in counted_topics):
            raise ConnectionError("the broker has none of the topics: is it the right one?")
        return {p for p in partitions if p.topic in counted_topics and p.number in by_topic[p.topic]}

    async def _describe(self, topics: Iterable[str]) -> dict[str, set[int]]:
        """Return the numbers of the partitions of each of these topics, none of a topic that does not exist.
        Asked by name, since a list of all topics leaves out those that may not be described."""
        async with open_admin(self._kafka) as admin:
            request = MetadataRequest(sorted(topics), allow_auto_topic_creation=False)
            described = (await admin._send_request(request)).to_object()["topics"]
        numbers: dict[str, set[int]] = {}
        for topic in described:
            if topic["error_code"] not in (NoError.errno, UnknownTopicOrPartitionError.errno):
                raise for_code(topic["error_code"])(topic["topic"])
            numbers[topic["topic"]] = {partition["partition"] for partition in topic["partitions"]}
        return numbers


class KafkaRecordReader:
    """Reader of the logs of all topics from their beginnings, outside of any group."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka, self.names = kafka, kafka.names
        self._consumer = standalone_consumer(kafka)

    async def start(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Start reading at the first offset of each partition. Return these offsets."""
        await start_client(self._kafka, self._consumer.start)
        topic_partitions = [TopicPartition(*partition) for partition in partitions]
        self._consumer.assign(topic_partitions)
        begin_offsets = await self._consumer.beginning_offsets(topic_partitions)
        for tp, begin_offset in begin_offsets.items():
            self._consumer.seek(tp, begin_offset)
        return {Partition(*tp): begin_offset for tp, begin_offset in begin_offsets.items()}

    async def stop(self) -> None:
        await stop_consumer(self._consumer)

    async def read_next(self, partition: Partition, end_offset: int) -> tuple[list[KafkaRecord], int]:
        """Return the next records before `end_offset`, and the offset to go on from: everything before it is
        read, even where offsets have no record. The offset is unchanged if nothing came yet. Raises
        OffsetOutOfRangeError if the broker deleted the records to be read, ConnectionError if it fails."""
        tp = TopicPartition(*partition)
        try:
            fetched = await self._consumer.getmany(
                tp, timeout_ms=_POLL_TIMEOUT_MS, max_records=_MAX_POLL_RECORDS
            )
            next_offset = await self._consumer.position(tp)
        except OffsetOutOfRangeError:
            raise
        except KafkaError as error:
            raise ConnectionError(f"reading {partition}: {error}") from error
        if next_offset > end_offset:
            self._consumer.seek(tp, end_offset)
        records = [
            KafkaRecord(
                message.topic,
                message.partition,
                message.offset,
                message.timestamp,
                message.key,
                message.value,
                message.headers,
            )
            for message in fetched.get(tp, ())
            if message.offset < end_offset
        ]
        return records, min(next_offset, end_offset)


def standalone_consumer(kafka: KafkaSettings, **options: int) -> AIOKafkaConsumer:
    """Return a consumer outside of any group; it reads committed records only."""
    return AIOKafkaConsumer(
        **connection_options(kafka),
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
        isolation_level="read_committed",
        **options,
    )


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    await asyncio.sleep(0)  # `stop` fails on a task of aiokafka that has not begun
    # While aiokafka's fetcher releases an assignment it does not notice that it is stopped, and `stop` would
    # wait for ever; the second call succeeds.
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await consumer.stop()


async def start_producer(
    kafka: KafkaSettings, linger_ms: int = 0, batch_bytes: int = 16_384
) -> AIOKafkaProducer:
    """Return a started producer; the caller stops it. A record counts as sent when all in-sync replicas have
    it. It is idempotent if the broker supports that (Tansu does not)."""
    options = connection_options(kafka) | {
        "acks": "all",
        "linger_ms": linger_ms,
        "max_batch_size": batch_bytes,
    }
    idempotent_producer = AIOKafkaProducer(**options, enable_idempotence=True)
    try:
        with _refusal_not_logged():
            await start_client(kafka, idempotent_producer.start)
    except UnknownError:
        await idempotent_producer.stop()
        plain_producer = AIOKafkaProducer(**options)
        await _start_or_stop(kafka, plain_producer)
        return plain_producer
    except BaseException:
        await idempotent_producer.stop()
        raise
    return idempotent_producer


async def _start_or_stop(kafka: KafkaSettings, plain_producer: AIOKafkaProducer) -> None:
    try:
        await start_client(kafka, plain_producer.start)
    except BaseException:
        await plain_producer.stop()
        raise


@contextmanager
def _refusal_not_logged() -> Iterator[None]:
    """Suppress the log line for a refusal that aiokafka raises too."""
    log = logging.getLogger("aiokafka.producer.sender")

    def is_logged(record: logging.LogRecord) -> bool:
        return "InitProducerId" not in record.getMessage()

    log.addFilter(is_logged)
    try:
        yield
    finally:
        log.removeFilter(is_logged)
