"""Kafka as we use it: our topics, and a producer that loses nothing."""

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
"""Of a topic at least; beyond every horizon in sight."""
_REPLICAS = 3
_PROBE_MS = 500
_STOP_S = 1.0
_POLLED = 2_000
_CLEANUP = {DEAD_LETTERS: {"cleanup.policy": "compact,delete"}}
"""A letter that is closed goes before its time."""
_CONFIGURED = ("message.timestamp.type", "retention.ms")


class TopicError(Exception):
    """The broker did not create a topic. The message names it and says why."""


def kept_ms(rules: Rules) -> int:
    """How long records must be kept: as far back as hourly panes reach, so that a rebuild can fill them."""
    return max(RETENTION_MS, rules.retention_ms)


async def ensure_topics(
    bootstrap: str,
    partitions: int = 4,
    retention_ms: int = RETENTION_MS,
    topics: Sequence[str] = ALL_TOPICS,
) -> list[str]:
    """Creates those of `topics` that are missing, and returns their names; leaves the others as they
    are. Any number may run at once. Raises TopicError."""
    # Our times are the events' own: the broker must not put the time of arrival in their place.
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
    """How many partitions each of ALL_TOPICS has; 0 where it does not exist. Raises KafkaError."""
    found = await every_topic(bootstrap)
    return {topic: found.get(topic, 0) for topic in ALL_TOPICS}


async def every_topic(bootstrap: str) -> dict[str, int]:
    """How many partitions every topic of the broker has. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        # Of all: there are brokers that create a topic whose name is asked for.
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()


async def configuration(bootstrap: str, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    """What the broker says of how it keeps these topics; nothing where it does not say. Raises
    KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        wanted = [
            ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(_CONFIGURED)) for topic in topics
        ]
        answers = await admin.describe_configs(wanted)
    except KafkaConnectionError:  # so says a broker that does not know the question
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
    """False where another created it first."""
    error = await _create(admin, NewTopic(topic, partitions, replicas, topic_configs=config))
    if error and not isinstance(error, TopicAlreadyExistsError):
        # There are brokers that know no such configuration, and need none of it.
        error = await _create(admin, NewTopic(topic, partitions, replicas))
    if error and not isinstance(error, TopicAlreadyExistsError):
        raise TopicError(f"topic {topic}: the broker refused to create it: {error}") from error
    return error is None


async def _create(admin: AIOKafkaAdminClient, topic: NewTopic) -> KafkaError | None:
    # One at a time: a broker that refuses one of a request may drop the others.
    response = await admin.create_topics([topic])
    _, code, message = response.topic_errors[0]
    return for_code(code)(message) if code else None


class KafkaLetters:
    """The dead letters' topic. The key is the coordinates of the rejected record, so that a letter
    written twice can be recognized."""

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
        # Under its own time: a letter about a record of long ago would else be deleted at once.
        sent: Awaitable[object] = await self._to.send(
            DEAD_LETTERS,
            redact(record),
            key=":".join(place).encode(),
            headers=[(name, value.encode()) for name, value in headers],
        )
        return sent

    def _customer(self, record: Record) -> list[tuple[str, str]]:
        """Never the id itself: without a key there is no pseudonym."""
        customer = customer_of(record)
        hidden = None if customer is None else self._veil.customer(customer, record.timestamp)
        return [("customer", hidden)] if hidden is not None and self._veil.hides(hidden) else []


class KafkaLogs:
    """A look at single records of the logs, outside of any group."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = standalone_consumer(
            bootstrap,
            max_partition_fetch_bytes=64 * 1024,  # one record is wanted
        )
        self._probing = asyncio.Lock()  # one consumer has one assignment: lanes look one after another

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
            raise ConnectionError(f"looking at the logs: {error}") from error
        finally:
            self._consumer.unsubscribe()

    async def _points(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Checkpoint]:
        """The records at these offsets, where there are any; of all places at once."""
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
    """The logs of all topics from their beginnings, outside of any group."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = standalone_consumer(bootstrap)

    async def start(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offset of each; from there on records come."""
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
        """What comes next before the offset `end`, and the offset after that: records or not, there is
        nothing to be read up to there. Where nothing came yet, the same offset as before. Raises
        OffsetOutOfRangeError where the log lost its beginning since it was started."""
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
    """A consumer outside of any group."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=50,
        isolation_level="read_committed",
        **options,
    )


async def stop(consumer: AIOKafkaConsumer) -> None:
    # aiokafka's fetcher does not notice that it is ended while it lets go of an assignment, and would be
    # waited for without end; the second time it notices.
    with suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            await consumer.stop()


async def producer(bootstrap: str, linger_ms: int = 0, batch_bytes: int = 16_384) -> AIOKafkaProducer:
    """Started; to be stopped by the caller. A record is sent when all replicas in sync have it, and
    once where the broker numbers what it gets (Tansu does not)."""
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
    """aiokafka logs the broker's refusal as an error and raises it too. Once is enough."""
    log = logging.getLogger("aiokafka.producer.sender")

    def keep(record: logging.LogRecord) -> bool:
        return "InitProducerId" not in record.getMessage()

    log.addFilter(keep)
    try:
        yield
    finally:
        log.removeFilter(keep)
