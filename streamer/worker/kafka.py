"""Kafka access: create and describe topics, read logs outside of groups, write dead letters, make
producers."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownError,
    for_code,
)
from aiokafka.structs import TopicPartition

from streamer.events.decoding import DEAD_LETTERS, TOPICS, Record, redact
from streamer.events.envelopes import customer_of
from streamer.events.models import Rejected
from streamer.events.rules import DAY, Rules
from streamer.events.veil import CLEAR, Veil
from streamer.store.port import Checkpoint, Partition
from streamer.worker.log_identity import LogSnapshot, checkpoint

ALL_TOPICS = (*TOPICS, DEAD_LETTERS)
RETENTION_MS = 100 * DAY
"""Shortest retention of a topic: longer than every usual horizon."""
_REPLICAS = 3
_PROBE_MS = 500
_STOP_S = 1.0
_POLLED = 2_000
_CLEANUP = {DEAD_LETTERS: {"cleanup.policy": "compact,delete"}}
"""Compaction lets a closed letter go before its retention ends."""
_CONFIGURED = ("message.timestamp.type", "retention.ms")


class TopicError(Exception):
    """The broker did not create a topic. The message names it and says why."""


def kept_ms(rules: Rules) -> int:
    """Return the retention for topics: as long as hourly panes are kept, so that a rebuild can fill them.

    >>> kept_ms(Rules(retention_ms=365 * DAY)) // DAY
    365
    """
    return max(RETENTION_MS, rules.retention_ms)


async def ensure_topics(
    bootstrap: str,
    partitions: int = 4,
    retention_ms: int = RETENTION_MS,
    topics: Sequence[str] = ALL_TOPICS,
) -> list[str]:
    """Create those of `topics` that are missing, and return their names; leave the others unchanged. Any
    number of processes may do so at once. Raises TopicError."""
    # Timestamps are the events' own: the broker must not replace them by the time of arrival.
    config = {"message.timestamp.type": "CreateTime", "retention.ms": str(retention_ms)}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        known = await admin.list_topics()
        missing = [topic for topic in topics if topic not in known]
        replicas = min(_REPLICAS, len((await admin.describe_cluster())["brokers"]))
        configs = {topic: config | _CLEANUP.get(topic, {}) for topic in missing}
        return [t for t, own in configs.items() if await _created(admin, t, partitions, replicas, own)]
    finally:
        await admin.close()


async def partitions(bootstrap: str) -> dict[str, int]:
    """Return the number of partitions of each of ALL_TOPICS; 0 for a missing topic. Raises KafkaError."""
    found = await every_topic(bootstrap)
    return {topic: found.get(topic, 0) for topic in ALL_TOPICS}


async def every_topic(bootstrap: str) -> dict[str, int]:
    """Return the number of partitions of every topic of the broker. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        # All topics: some brokers create a topic whose name is asked for.
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()


async def configuration(bootstrap: str, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return timestamp type and retention of these topics; {} if the broker cannot describe topics. Raises
    KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        wanted = [
            ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(_CONFIGURED)) for topic in topics
        ]
        answers = await admin.describe_configs(wanted)
    except KafkaConnectionError:  # from a broker that does not know the request
        return {}
    finally:
        await admin.close()
    found = [resource for answer in answers for resource in answer.to_object()["resources"]]
    return {
        resource["resource_name"]: {
            entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
        }
        for resource in found
    }


async def _created(
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


class KafkaLetters:
    """Dead letter sink that writes to the dead letter topic. The key is the coordinates of the rejected
    record, so that a letter written twice can be recognized."""

    def __init__(self, to: AIOKafkaProducer, veil: Veil = CLEAR) -> None:
        self._to = to
        self._veil = veil

    async def send(self, letters: Sequence[tuple[Record, Rejected]]) -> None:
        try:
            for sent in [await self._send(*letter) for letter in letters]:
                await sent
        except KafkaError as error:
            raise ConnectionError(f"dead letters: {error}") from error

    async def _send(self, record: Record, rejected: Rejected) -> Awaitable[object]:
        place = (record.topic, str(record.partition), str(record.offset))
        named = zip(("topic", "partition", "offset"), place, strict=True)
        headers = [("reason", rejected.reason), ("error", rejected.error), *named]
        headers += [("timestamp", str(record.timestamp)), ("bytes", str(len(record.value or b"")))]
        headers += self._customer(record)
        # With the current time: under the record's own, a letter about an old record would expire at once.
        sent: Awaitable[object] = await self._to.send(
            DEAD_LETTERS,
            redact(record),
            key=":".join(place).encode(),
            headers=[(name, value.encode()) for name, value in headers],
        )
        return sent

    def _customer(self, record: Record) -> list[tuple[str, str]]:
        """Return a header with the customer's pseudonym; none if there is no key: never the id itself."""
        customer = customer_of(record)
        hidden = None if customer is None else self._veil.customer(customer, record.timestamp)
        return [("customer", hidden)] if hidden is not None and self._veil.hides(hidden) else []


class KafkaLogs:
    """Log probe that reads single records of the logs, outside of any group."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = standalone_consumer(
            bootstrap,
            max_partition_fetch_bytes=64 * 1024,  # one record is enough
        )
        self._probing = asyncio.Lock()  # a consumer has one assignment: one probe at a time

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await stop(self._consumer)

    async def probe(self, asked: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        async with self._probing:
            return await self._probe(asked)

    async def _probe(self, asked: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        places = {partition: TopicPartition(*partition) for partition in asked}
        self._consumer.assign(list(places.values()))
        try:
            begins = await self._consumer.beginning_offsets(list(places.values()))
            records: dict[Partition, dict[int, Checkpoint]] = {partition: {} for partition in asked}
            for turn in range(max(map(len, asked.values()), default=0)):
                offsets = {places[p]: known[turn] for p, known in asked.items() if turn < len(known)}
                for place, point in (await self._points(offsets)).items():
                    records[Partition(*place)][point.offset] = point
            return {p: LogSnapshot(begins[place], records[p]) for p, place in places.items()}
        except KafkaError as error:
            raise ConnectionError(f"probing the logs: {error}") from error
        finally:
            self._consumer.unsubscribe()

    async def _points(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Checkpoint]:
        """Return the checkpoints of the records at these offsets, for all partitions at once; left out where
        there is no record."""
        found, missing = {}, dict(offsets)
        for place, offset in offsets.items():
            self._consumer.seek(place, offset)
        while missing:
            try:
                fetched = await self._consumer.getmany(*missing, timeout_ms=_PROBE_MS)
            except OffsetOutOfRangeError as error:
                for place in error.args[0]:
                    missing.pop(place, None)
                continue
            if not fetched:
                break
            for place, (record, *_) in fetched.items():
                if record.offset == missing.pop(place):
                    found[place] = checkpoint(record.offset, record.timestamp, record.key, record.value)
        return found


class KafkaRecords:
    """Reader of the logs of all topics from their beginnings, outside of any group."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = standalone_consumer(bootstrap)

    async def start(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Start reading at the first offset of each partition. Return these offsets."""
        await self._consumer.start()
        places = [TopicPartition(*partition) for partition in partitions]
        self._consumer.assign(places)
        begins = await self._consumer.beginning_offsets(places)
        for place, begin in begins.items():
            self._consumer.seek(place, begin)
        return {Partition(*place): begin for place, begin in begins.items()}

    async def stop(self) -> None:
        await stop(self._consumer)

    async def next(self, partition: Partition, end: int) -> tuple[list[Record], int]:
        """Return the next records before `end_offset`, and the offset to go on from: everything before it is
        read, even where offsets have no record. The offset is unchanged if nothing came yet. Raises
        OffsetOutOfRangeError if the broker deleted the records to be read, ConnectionError if it fails."""
        place = TopicPartition(*partition)
        try:
            fetched = await self._consumer.getmany(place, timeout_ms=_PROBE_MS, max_records=_POLLED)
            reached = await self._consumer.position(place)
        except OffsetOutOfRangeError:
            raise
        except KafkaError as error:
            raise ConnectionError(f"reading {partition}: {error}") from error
        if reached > end:
            self._consumer.seek(place, end)
        records = [
            Record(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers)
            for one in fetched.get(place, ())
            if one.offset < end
        ]
        return records, min(reached, end)


def standalone_consumer(bootstrap: str, **options: int) -> AIOKafkaConsumer:
    """Return a consumer outside of any group; it reads committed records only."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
        isolation_level="read_committed",
        **options,
    )


async def stop(consumer: AIOKafkaConsumer) -> None:
    # While aiokafka's fetcher releases an assignment it does not notice that it is stopped, and `stop` would
    # wait for ever; the second call succeeds.
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await consumer.stop()


async def producer(bootstrap: str, linger_ms: int = 0, batch_bytes: int = 16_384) -> AIOKafkaProducer:
    """Return a started producer; the caller stops it. A record counts as sent when all in-sync replicas have
    it. It is idempotent if the broker supports that (Tansu does not)."""
    options = {"bootstrap_servers": bootstrap, "acks": "all", "linger_ms": linger_ms}
    options["max_batch_size"] = batch_bytes
    numbered = AIOKafkaProducer(**options, enable_idempotence=True)
    try:
        with _unlogged():
            await numbered.start()
    except UnknownError:
        await numbered.stop()
        plain = AIOKafkaProducer(**options)
        await _start(plain)
        return plain
    except BaseException:
        await numbered.stop()
        raise
    return numbered


async def _start(plain: AIOKafkaProducer) -> None:
    try:
        await plain.start()
    except BaseException:
        await plain.stop()
        raise


@contextmanager
def _unlogged() -> Iterator[None]:
    """Suppress the log line for a refusal that aiokafka raises too."""
    log = logging.getLogger("aiokafka.producer.sender")

    def keep(record: logging.LogRecord) -> bool:
        return "InitProducerId" not in record.getMessage()

    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)
