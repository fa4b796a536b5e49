"""Own partitions: assign them, queue their batches, revoke them.

Batches are numbered since the last seek, where they are fetched. A batch of an older seek is not counted.
At a gap in the numbers, or if fetched batches do not arrive, the partition seeks back to its position.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.decoding import KafkaRecord
from streamer.runtime.retry import retry_forever
from streamer.store.port import Heartbeat, LogPosition, Partition
from streamer.worker.log_identity import LogProbe, LogSnapshot, resolve_start_position
from streamer.worker.pipeline import (
    COMMIT_EVENTS,
    PartitionFenced,
    PartitionProcessor,
    ProcessingContext,
)

BUFFERED: Final = 2
CONCURRENT_BATCHES: Final = 2
"""Batches in work at a time: while the store commits one, the next is decoded."""
HEARTBEAT_S: Final = 1.0
BEHIND_RECORDS: Final = 5_000
COMPACT_FROM_DELTAS: Final = 96
COMPACT_FROM_DELTAS_IF_BEHIND: Final = 4_096
DOCUMENTS_PER_SWEEP: Final = 500
"""Documents checked for expiry each second: ten million take six hours."""
PATIENCE_BEATS: Final = 10
"""Heartbeats after which batches that did not arrive are fetched again; twice as many each time in a row, for
they may still be on their way."""
STALE: Final = -1
"""Seek id of batches that must not be counted."""

log = structlog.get_logger()


class TaggedBatch(NamedTuple):
    """Records of one fetch of a partition. `seek_id`: the seek these records follow; `sequence`: 1 for the
    first batch after it, and so on."""

    seek_id: int
    sequence: int
    records: Sequence[KafkaRecord]


class FetchCount(NamedTuple):
    """The consumer's last seek of a partition, and the number of batches fetched since."""

    seek_id: int
    batch_count: int


NOT_SOUGHT: Final = FetchCount(STALE, 0)


class ConsumerProgress(NamedTuple):
    """The consumer's position, the end offset of the log, and when (wall clock, ms) the broker reported
    it."""

    position: int
    end: int
    fetched_ms: int


class GroupShare(NamedTuple):
    """Generation of the consumer group, and the partitions that this member has in it."""

    generation: int
    partitions: Sequence[Partition]


class PartitionConsumer(Protocol):
    """The consumer as `AssignedPartitions` needs it."""

    def share(self) -> GroupShare:
        """Return the present share."""

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        """Seek; all records fetched after that carry this id, and numbers from 1 on."""

    def fetched(self, partition: Partition) -> FetchCount:
        """Return what was fetched since the last seek, whether it has arrived or not."""

    def progress(self, partition: Partition) -> ConsumerProgress | None:
        """Return how far the consumer is; None while that is unknown."""


class AssignedPartition:
    """An owned partition: its processor and the queue of its batches."""

    def __init__(self, processor: PartitionProcessor) -> None:
        self.processor = processor
        self.seek_id = STALE
        self.is_revoked = False
        self.queued_count = 0  # batches taken into the queue
        self.queue: asyncio.Queue[TaggedBatch] = asyncio.Queue(BUFFERED)
        self.lookahead: TaggedBatch | None = None  # taken out of the queue, not begun
        self.patience_beats = PATIENCE_BEATS
        self._standing_beats = 0
        self._last_standing = (STALE, 0, 0)
        self.is_busy = False
        self.caught_up_ms = 0
        self.last_record_ms = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def partition(self) -> Partition:
        return self.processor.partition

    @property
    def is_at_rest(self) -> bool:
        """Tell whether nothing of it is queued or in work."""
        return not self.is_busy and self.is_queue_empty

    @property
    def is_queue_empty(self) -> bool:
        return self.lookahead is None and self.queue.empty()

    @property
    def arrived(self) -> FetchCount:
        return FetchCount(self.seek_id, self.queued_count)

    def is_stuck(self, fetched: FetchCount) -> bool:
        """Tell, at each heartbeat, whether fetched batches do not arrive: nothing has moved for too long."""
        standing = (self.seek_id, self.queued_count, self.processor.position.next)
        is_standing = fetched != self.arrived and self.is_at_rest and standing == self._last_standing
        self._standing_beats = self._standing_beats + 1 if is_standing else 0
        self._last_standing = standing
        return self._standing_beats >= self.patience_beats

    async def next_batch(self) -> TaggedBatch:
        if self.lookahead is None:
            return await self.queue.get()
        batch, self.lookahead = self.lookahead, None
        return batch

    def join_queued(self, batch: TaggedBatch) -> list[KafkaRecord]:
        """Return the records of a batch and of those queued behind it without a gap, up to one commit's
        worth: live batches are so small that a commit for each would be slower than they arrive."""
        records = [*batch.records]
        while not self.queue.empty():
            next_batch = self.queue.get_nowait()
            is_contiguous = (
                next_batch.seek_id == batch.seek_id and next_batch.records[0].offset == records[-1].offset + 1
            )
            if not is_contiguous or len(records) + len(next_batch.records) > COMMIT_EVENTS:
                self.lookahead = next_batch
                break
            records.extend(next_batch.records)
        return records

    def clear(self) -> None:
        """Empty the queue, which also releases a waiting `enqueue`."""
        self.lookahead = None
        while not self.queue.empty():
            self.queue.get_nowait()


class AssignedPartitions:
    """All partitions of a worker. `consumer` must be set before the first `assign`."""

    def __init__(
        self,
        context: ProcessingContext,
        logs: LogProbe,
        make_processor: Callable[[Partition, LogPosition], PartitionProcessor] | None = None,
    ) -> None:
        """`make_processor` makes the processor of each partition; None: a PartitionProcessor."""
        self.consumer: PartitionConsumer
        self.on_failure: Callable[[BaseException], None] = lambda error: None
        self._context = context
        self._make_processor = make_processor or (
            lambda partition, position: PartitionProcessor(partition, position, context)
        )
        self._logs = logs
        self.log_ends: Mapping[Partition, int] = {}
        """End offsets of the logs, where the consumer does not know them: while it does not fetch."""
        self._assigned: dict[Partition, AssignedPartition] = {}
        self._last_seek_id = 0
        self._seeking = asyncio.Lock()
        self._owned_generation: int | None = None
        self._revocation_count = 0
        self._counting = asyncio.Semaphore(CONCURRENT_BATCHES)

    @property
    def clock_ahead_ms(self) -> int:
        """Time by which this worker's clock is ahead of the store's (ms)."""
        return self._context.clock.ahead_ms

    def position(self, partition: Partition) -> int | None:
        """Return the first offset not counted."""
        assigned = self._assigned.get(partition)
        return assigned.processor.position.next if assigned is not None else None

    def partitions(self) -> list[Partition]:
        return list(self._assigned)

    def expect_share(self) -> None:
        """Note that the group was formed again: the share is taken over at the next seek."""
        self._owned_generation = None

    async def seek_to_positions(self) -> None:
        """Take over the share of a new generation, or seek back to all positions. Called whenever the flow of
        batches was stopped, also by two tasks at once. A share is taken over only once: a worker that the
        group gave up would else take back what another owns by now."""
        async with self._seeking:
            share = self.consumer.share()
            if share.generation == self._owned_generation:
                await self.resume()
                return
            await self.assign(share.partitions)
            self._owned_generation = share.generation

    async def assign(self, partitions: Iterable[Partition]) -> None:
        """Own these partitions and no others, starting at the positions in the store; if they are revoked
        meanwhile, none."""
        await self.revoke()
        revocation_count = self._revocation_count
        await retry_forever(self._context.clock.synchronize)
        positions = await self._resolve_positions(list(partitions))
        if self._revocation_count != revocation_count:
            return
        for partition, position in positions.items():
            self._assigned[partition] = AssignedPartition(self._make_processor(partition, position))
        self._last_seek_id += 1
        for assigned in self._assigned.values():
            assigned.seek_id = self._last_seek_id
            assigned.task = asyncio.create_task(self._run(assigned))
        offsets = {p: assigned.processor.position.next for p, assigned in self._assigned.items()}
        await self.consumer.seek_to(offsets, self._last_seek_id)

    async def resume(self) -> None:
        """Seek all partitions to their positions: batches fetched while the flow was stopped are lost."""
        for assigned in list(self._assigned.values()):
            await self._rewind(assigned, assigned.processor.position)

    async def revoke(self, patience_s: float = 2.0) -> None:
        """Give up all partitions; commits under way get `patience_s` to end."""
        self._revocation_count += 1
        revoked, self._assigned = self._assigned, {}
        for assigned in revoked.values():
            assigned.seek_id, assigned.is_revoked = STALE, True
            assigned.clear()
        tasks = [assigned.task for assigned in revoked.values() if assigned.task is not None]
        busy_tasks = [
            partition.task
            for partition in revoked.values()
            if partition.task is not None and partition.is_busy
        ]
        try:
            if busy_tasks:
                await asyncio.wait(busy_tasks, timeout=patience_s)
        finally:  # Faust may cancel this call too, if the group is formed again meanwhile
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def enqueue(self, partition: Partition, batch: TaggedBatch) -> None:
        """Queue a delivered batch; drop it if it is stale, seek back if one before it is missing."""
        assigned = self._assigned.get(partition)
        if assigned is None or batch.seek_id != assigned.seek_id:
            return
        if batch.sequence != assigned.queued_count + 1:
            await self._rewind(assigned, assigned.processor.position)
            return
        assigned.queued_count = batch.sequence
        await assigned.queue.put(batch)

    async def _resolve_positions(self, partitions: Sequence[Partition]) -> dict[Partition, LogPosition]:
        """Return the position to start from in each of these logs, after probing whether it is still the same
        log."""
        store = self._context.store
        stored = dict(zip(partitions, await retry_forever(lambda: store.positions(partitions)), strict=True))
        snapshots = await self._probe_logs(stored)
        resolved: dict[Partition, LogPosition] = {}
        for partition, stored_position in stored.items():
            start = resolve_start_position(partition, stored_position, snapshots[partition])
            if start.warning is not None:
                log.warning(start.warning)
            position = start.position
            if position != stored_position and not await retry_forever(
                lambda p=partition, b=stored_position, a=position: store.move(p, b, a)  # type: ignore[misc]
            ):
                (moved_position,) = await retry_forever(lambda p=partition: store.positions([p]))  # type: ignore[misc]
                # None: the store was emptied just now.
                position = moved_position or (await self._resolve_positions([partition]))[partition]
            resolved[partition] = position
        return resolved

    async def _probe_logs(
        self, stored: Mapping[Partition, LogPosition | None]
    ) -> Mapping[Partition, LogSnapshot]:
        """Read the logs at the checkpoints of the stored positions."""
        checkpoints = {
            partition: position.checkpoints if position is not None else ()
            for partition, position in stored.items()
        }
        offsets = {
            partition: [checkpoint.offset for checkpoint in partition_checkpoints]
            for partition, partition_checkpoints in checkpoints.items()
        }
        return await retry_forever(lambda: self._logs.probe(offsets))

    async def _rewind(self, assigned: AssignedPartition, position: LogPosition) -> None:
        """Empty the queue and seek to `position`. Batches fetched before carry an older id and are dropped. A
        batch in work keeps the processor it has: what it counts must not start at the new position. A
        partition that was revoked is left alone: if it came back, it has another id by now."""
        if assigned.is_revoked:
            return
        self._last_seek_id += 1
        assigned.seek_id, assigned.queued_count = self._last_seek_id, 0
        assigned.clear()
        if position is not assigned.processor.position:
            assigned.processor = self._make_processor(assigned.partition, position)
        await self.consumer.seek_to({assigned.partition: position.next}, assigned.seek_id)

    async def _run(self, assigned: AssignedPartition) -> None:
        try:
            while not assigned.is_revoked:
                batch = await assigned.next_batch()
                if batch.seek_id != assigned.seek_id:
                    continue
                assigned.is_busy = True
                try:
                    await self._count(assigned, assigned.join_queued(batch))
                finally:
                    assigned.is_busy = False
        except Exception as error:  # cannot go on: report it, do not skip records
            self.on_failure(error)

    async def _count(self, assigned: AssignedPartition, records: Sequence[KafkaRecord]) -> None:
        processor, first_offset = assigned.processor, records[0].offset
        if first_offset != processor.position.next and not await self._is_same_log(assigned, first_offset):
            return
        try:
            async with self._counting:
                await processor.count(records, records[-1].offset + 1)
        except PartitionFenced as fenced:
            if assigned.processor is processor:  # else it has sought meanwhile
                await self._handle_fenced(assigned, fenced.position)
            return
        assigned.last_record_ms = records[-1].timestamp
        assigned.patience_beats = PATIENCE_BEATS
        self._note_caught_up(assigned)

    async def _is_same_log(self, assigned: AssignedPartition, first_offset: int) -> bool:
        """Tell whether a batch that does not start at the position continues the same log; seek back if not.
        Offsets without records (transactions, compaction) are no gap; records lost by a failover are."""
        partition, processor, counted = assigned.partition, assigned.processor, assigned.processor.position
        resolved = (await self._resolve_positions([partition]))[partition]
        if assigned.processor is not processor:
            return False
        if resolved.epoch == counted.epoch and counted.next <= resolved.next <= first_offset:
            processor.position = resolved
            return True
        await self._rewind(assigned, resolved)
        return False

    async def _handle_fenced(self, assigned: AssignedPartition, position: LogPosition | None) -> None:
        partition = assigned.partition
        if position is None:
            position = (await self._resolve_positions([partition]))[partition]
        log.info("partition fenced: another worker committed", partition=str(partition), offset=position.next)
        await self._rewind(assigned, position)

    def _note_caught_up(self, assigned: AssignedPartition) -> None:
        """Record when a partition was last seen caught up with its log, by the store's clock."""
        progress = self.consumer.progress(assigned.partition)
        if progress is None or progress.position < progress.end:
            return
        if assigned.is_queue_empty and self._has_arrived(assigned):
            assigned.caught_up_ms = progress.fetched_ms - self._context.clock.ahead_ms

    def _has_arrived(self, assigned: AssignedPartition) -> bool:
        """Tell whether no fetched batch is on its way to the queue."""
        return self.consumer.fetched(assigned.partition) == assigned.arrived

    def _is_quiet(self, assigned: AssignedPartition) -> bool:
        return assigned.is_at_rest and self._has_arrived(assigned)

    async def read_log_ends(self) -> None:
        """Read `log_ends` from the broker. Raises ConnectionError."""
        self.log_ends = await self._logs.end_offsets(self.partitions())

    def heartbeats(self) -> dict[Partition, Heartbeat]:
        """Return the heartbeats of all partitions that were counted or seen caught up."""
        return {
            partition: self._heartbeat(assigned)
            for partition, assigned in self._assigned.items()
            if assigned.caught_up_ms or assigned.last_record_ms
        }

    async def report_heartbeats(self) -> dict[Partition, Heartbeat]:
        """Write the heartbeats of all partitions, check that the positions in the store are still ours, and
        update the watermark. Called every HEARTBEAT_S. Return the heartbeats."""
        store, clock = self._context.store, self._context.clock
        await clock.synchronize()
        await self._fetch_stuck_again()
        quiet_partitions = [
            (candidate, candidate.processor.position)
            for candidate in self._assigned.values()
            if self._is_quiet(candidate)
        ]
        for assigned, _ in quiet_partitions:
            self._note_caught_up(assigned)
        heartbeats = self.heartbeats()
        await store.beat(heartbeats)
        stored = await store.positions([assigned.partition for assigned, _ in quiet_partitions])
        for (assigned, counted_position), position in zip(quiet_partitions, stored, strict=True):
            is_same = assigned.processor.position is counted_position and assigned.seek_id != STALE
            if self._is_quiet(assigned) and is_same and position != counted_position:
                await self._handle_fenced(assigned, position)
        now_ms = clock()
        all_heartbeats = {p: beat.known_at(now_ms) for p, beat in (await store.heartbeats()).items()}
        is_incomplete = any(partition not in all_heartbeats for partition in self._assigned)
        self._context.watermark_ms = (
            0 if is_incomplete or not all_heartbeats else min(map(_counted_up_to_ms, all_heartbeats.values()))
        )
        return heartbeats

    async def _fetch_stuck_again(self) -> None:
        """Seek back where fetched batches do not arrive, and no later one comes that would show the gap."""
        for assigned in list(self._assigned.values()):
            partition, position = assigned.partition, assigned.processor.position
            if assigned.is_stuck(self.consumer.fetched(partition)):
                assigned.patience_beats *= 2
                log.warning("fetched records did not arrive", partition=str(partition), offset=position.next)
                await self._rewind(assigned, position)

    async def compact(self) -> None:
        """Merge pane deltas. A worker that is behind merges only hours with very many deltas."""
        is_behind = any(
            self._heartbeat(assigned).lag > BEHIND_RECORDS for assigned in self._assigned.values()
        )
        await self._context.compact(COMPACT_FROM_DELTAS_IF_BEHIND if is_behind else COMPACT_FROM_DELTAS)

    async def forget_expired(self) -> None:
        """Forget some of the documents and panes that expired."""
        await self._context.store.forget(self._context.clock(), DOCUMENTS_PER_SWEEP)

    def _heartbeat(self, assigned: AssignedPartition) -> Heartbeat:
        progress = self.consumer.progress(assigned.partition)
        end = max(progress.end if progress is not None else 0, self.log_ends.get(assigned.partition, 0))
        lag = max(0, end - assigned.processor.position.next)
        if progress is not None and progress.position >= progress.end and self._is_quiet(assigned):
            lag = 0  # transaction markers are no records
        clock = self._context.clock
        # In the future only where this machine's clock was set meanwhile.
        assigned.caught_up_ms = min(assigned.caught_up_ms, clock())
        return Heartbeat(assigned.caught_up_ms, lag, assigned.last_record_ms, clock.ahead_ms)


def _counted_up_to_ms(heartbeat: Heartbeat) -> int:
    return heartbeat.record_at if heartbeat.lag else heartbeat.caught_up_at
