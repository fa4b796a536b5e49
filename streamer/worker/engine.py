"""Adapter to Faust: pass whole batches through its consumer, and take the offsets from Redis.

Faust joins the group, fetches, delivers and rebalances. All records of one fetch of a partition are one
message to it. Its own commits to Kafka are for information only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from tempfile import gettempdir
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.objects import cached_property
from mode.utils.queues import FlowControlEvent

from streamer.events.decoding import KafkaRecord
from streamer.settings import KafkaSettings, Settings
from streamer.store.port import Partition
from streamer.worker.kafka_connection import connection_options
from streamer.worker.partitions import (
    NOT_SOUGHT,
    AssignedPartitions,
    ConsumerProgress,
    FetchCount,
    GroupShare,
    TaggedBatch,
)

FETCH_WAIT_MS = 50
POLL_S = 0.1
"""A fetch that began while Faust paused a partition, since a buffer was full, does not see it resumed."""
POLL_RECORDS = 1_000
MAX_METADATA_AGE_MS = 10_000
"""Time until a recreated topic or a new partition is noticed."""


class FetchedRecords(list[Any]):
    """Records of one fetch of a partition, with the seek they follow and their number since."""

    def __init__(self, count: FetchCount, records: Iterable[Any]) -> None:
        super().__init__(records)
        self.seek_id, self.sequence = count


class NoReadOffsets(dict[TP, int | None]):
    """Replacement for Faust's map of read offsets, by which it drops records that come again: after a seek
    they come again on purpose. Every lookup gives None."""

    def __getitem__(self, tp: TP) -> int | None:
        return None


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with options its driver cannot set, which numbers what it fetches. Seeks
    and fetches overlap; only here is it known which fetch follows which seek, since nothing runs between
    taking records out and numbering them. What Faust drops later leaves a gap in the numbers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sought_assignment: object = None
        self._counts: dict[TP, FetchCount] = {}

    async def seek_to(self, offsets: Mapping[TP, int], seek_id: int) -> None:
        """Seek in the consumer's own thread. An id that is not newer than the last one is ignored."""
        await self.call_thread(self._seek_to, offsets, seek_id)

    async def _seek_to(self, offsets: Mapping[TP, int], seek_id: int) -> None:
        counts = self._present_counts()
        for tp, offset in offsets.items():
            if seek_id > counts.get(tp, NOT_SOUGHT).seek_id and tp in self.assignment():
                self._ensure_consumer().seek(TopicPartition(*tp), offset)
                counts[tp] = FetchCount(seek_id, 0)

    def fetched(self, tp: TP) -> FetchCount:
        return self._counts.get(tp, NOT_SOUGHT)

    def _present_counts(self) -> dict[TP, FetchCount]:
        """Return what was fetched since each seek in the present assignment. Each assignment begins at the
        offsets in Kafka: records fetched from there follow none of our seeks."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription and subscription.assignment
        if assignment is not self._sought_assignment:
            self._sought_assignment, self._counts = assignment, {}
        return self._counts

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        records = await super()._fetch_records(*args, **{**kwargs, "timeout": POLL_S})
        return {tp: [self._count_fetched(TP(*tp), batch)] for tp, batch in (records or {}).items() if batch}

    def _count_fetched(self, tp: TP, records: Iterable[Any]) -> FetchedRecords:
        counts = self._present_counts()
        seek_id, batch_count = counts.get(tp, NOT_SOUGHT)
        counts[tp] = FetchCount(seek_id, batch_count + 1)
        return FetchedRecords(counts[tp], records)

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = "read_committed"
        consumer._partition_assignment_strategy = [RangePartitionAssignor]
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Information only: an unreachable broker must not end the worker.
        assigned_offsets = {
            TopicPartition(*tp): offset for tp, offset in offsets.items() if tp in self.assignment()
        }
        try:
            await self._ensure_consumer().commit(assigned_offsets)
        except KafkaError:
            return False
        return True


class FaustConsumer(driver.Consumer):
    """Faust's consumer: it delivers each fetch of a partition as one message, and starts at the offsets in
    Redis."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assigned: AssignedPartitions = self.app.assigned  # type: ignore[attr-defined]
        self._assigned.consumer = self
        self._read_offset = NoReadOffsets()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._assigned.expect_share()
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self._assigned.revoke()
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        # Faust's own method would seek to the offsets in Kafka first, and records fetched from there would
        # carry the id of our last seek.
        await self._assigned.seek_to_positions()

    def share(self) -> GroupShare:
        generation = self.app.consumer_generation_id
        return GroupShare(generation, [Partition(*tp) for tp in self.assignment()])

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        tp_offsets = {TP(*partition): offset for partition, offset in offsets.items()}
        await self._thread.seek_to(tp_offsets, seek_id)
        for tp, offset in tp_offsets.items():
            self._committed_offset[tp] = offset or None

    def fetched(self, partition: Partition) -> FetchCount:
        return self._thread.fetched(TP(*partition))

    def progress(self, partition: Partition) -> ConsumerProgress | None:
        kafka_consumer: Any = self._thread._consumer
        subscription = kafka_consumer and kafka_consumer._subscription.subscription
        assignment = subscription and subscription.assignment
        state = assignment and assignment.state_value(TopicPartition(*partition))
        if not state or not state.has_valid_position or state.highwater is None or state.timestamp is None:
            return None
        return ConsumerProgress(state.position, state.highwater, state.timestamp)

    def _to_message(self, tp: TP, record: FetchedRecords) -> ConsumerMessage:
        records = [
            KafkaRecord(
                fetched.topic,
                fetched.partition,
                fetched.offset,
                fetched.timestamp,
                fetched.key,
                fetched.value,
                fetched.headers,
            )
            for fetched in record
        ]
        batch: Any = TaggedBatch(record.seek_id, record.sequence, records)
        last = record[-1]
        return ConsumerMessage(
            last.topic, last.partition, last.offset, last.timestamp / 1000, last.timestamp_type,
            [], None, batch, None, 0, 0, tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (TP(*partition) for partition in self._assigned.partitions())

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._assigned.position(Partition(*tp))

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: offsets are kept in Redis, gaps need no bookkeeping."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust's warning mixes two clocks; `AssignedPartitions.report_heartbeats` watches
        instead."""


class FaustTransport(driver.Transport):
    Consumer = FaustConsumer


class UnclearedFlow(FlowControlEvent):
    """Faust's flow control, without its clearing of the streams' queues. It clears them not only when the
    flow stops, but also when it starts again: then batches fetched after the seek may be in them. What was
    fetched before is known by its seek id."""

    def clear(self) -> None:
        """Do nothing."""


class UndecodedSchema(faust.Schema):  # type: ignore[type-arg]
    """Faust schema that passes a batch through unchanged."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, message.headers, message)

        return decode


def faust_credentials(kafka: KafkaSettings) -> faust.auth.Credentials | None:
    """Return the same for Faust. Raises SettingsError."""
    options = connection_options(kafka)
    if options["sasl_oauth_token_provider"] is not None:
        return faust.auth.OAuthCredentials(
            oauth_cb=options["sasl_oauth_token_provider"], ssl_context=options["ssl_context"]
        )
    if kafka.sasl_mechanism is not None:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            ssl_context=options["ssl_context"],
            mechanism=kafka.sasl_mechanism,
        )
    return None if options["ssl_context"] is None else faust.SSLCredentials(options["ssl_context"])


class WorkerApp(faust.App):
    """Faust application with one agent per topic, which queues batches at their partitions."""

    def __init__(
        self,
        settings: Settings,
        assigned: AssignedPartitions,
        consumer_group: str,
        topics: Sequence[str],
    ) -> None:
        """`topics`: names on the broker."""
        self.assigned, self.kafka = assigned, settings.kafka
        session_s = settings.session_timeout.total_seconds()
        addresses = settings.kafka.bootstrap_servers.split(",")
        super().__init__(
            settings.kafka.group_id(consumer_group),
            broker=";".join(f"kafka://{address.strip()}" for address in addresses),
            broker_credentials=faust_credentials(settings.kafka),
            store="memory://",
            datadir=f"{gettempdir()}/streamer",
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=16,
            broker_max_poll_records=POLL_RECORDS,
            broker_session_timeout=session_s,
            broker_heartbeat_interval=session_s / 4,
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="earliest",
            consumer_metadata_max_age_ms=MAX_METADATA_AGE_MS,
        )
        for name in topics:
            channel = self.topic(name, schema=UndecodedSchema())
            self.agent(channel, name=f"enqueue.{name}")(self._enqueue)

    async def _enqueue(self, stream: Any) -> None:
        async for event in stream.events():
            batch: TaggedBatch = event.value
            await self.assigned.enqueue(Partition(event.message.topic, event.message.partition), batch)

    @cached_property
    def flow_control(self) -> FlowControlEvent:
        return UnclearedFlow(loop=self.loop)

    def _new_transport(self) -> FaustTransport:
        return FaustTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Do nothing: nothing is kept on disk."""
