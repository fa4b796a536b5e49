"""Own partitions: assign them, queue their batches, revoke them.

Batches are numbered since the last seek. A batch of an older seek, or after a gap in the numbers, is not
counted: the partition seeks back to its position.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.decoding import Record
from streamer.store.port import Heartbeat, Partition, Position
from streamer.worker.log_identity import LogProbe, LogSnapshot, resolve_start_position
from streamer.worker.pipeline import (
    COMMIT_EVENTS,
    PartitionFenced,
    PartitionProcessor,
    ProcessingContext,
)
from streamer.worker.retry import retry_forever

BUFFERED: Final = 2
COUNTED_AT_ONCE: Final = 2
"""Batches in work at a time: while the store commits one, the next is decoded."""
HEARTBEAT_S: Final = 1.0
BEHIND: Final = 5_000
COMPACTED_FROM: Final = 96
COMPACTED_FROM_IF_BEHIND: Final = 4_096
FORGOTTEN_AT_ONCE: Final = 500
"""Documents checked for expiry each second: ten million take six hours."""
STALE: Final = -1
"""Seek id of batches that must not be counted."""

log = structlog.get_logger()


class Batch(NamedTuple):
    """Records of one fetch of a partition. `seek_id`: the seek these records follow; `sequence`: 1 for the
    first batch after it, and so on."""

    seek_id: int
    sequence: int
    records: Sequence[Record]


class Progress(NamedTuple):
    """The consumer's position, the end offset of the log, and when (wall clock, ms) the broker reported
    it."""

    position: int
    end: int
    fetched_at: int


class Consumer(Protocol):
    """The consumer as `AssignedPartitions` needs it."""

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        """Seek; all records fetched after that carry this id."""

    def progress(self, partition: Partition) -> Progress | None:
        """Return how far the consumer is; None while that is unknown."""


class AssignedPartition:
    """An owned partition: its processor and the queue of its batches."""

    def __init__(self, processor: PartitionProcessor) -> None:
        self.processor = processor
        self.seek_id = STALE
        self.is_revoked = False
        self.tagged = 0  # batches numbered
        self.queued = 0  # batches taken into the queue
        self.queue: asyncio.Queue[Batch] = asyncio.Queue(BUFFERED)
        self.ahead: Batch | None = None  # taken out of the queue, not begun
        self.is_busy = False
        self.caught_up_at = 0
        self.record_at = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def partition(self) -> Partition:
        return self.processor.partition

    @property
    def is_quiet(self) -> bool:
        return not self.is_busy and self.is_idle

    @property
    def is_idle(self) -> bool:
        """Tell whether no batch waits to be counted, in the queue or on its way to it."""
        return self.ahead is None and self.queue.empty() and self.tagged == self.queued

    async def next(self) -> Batch:
        if self.ahead is None:
            return await self.queue.get()
        ahead, self.ahead = self.ahead, None
        return ahead

    def joined(self, batch: Batch) -> list[Record]:
        """Return the records of a batch and of those queued behind it without a gap, up to one commit's
        worth: live batches are so small that a commit for each would be slower than they arrive."""
        records = [*batch.records]
        while not self.queue.empty():
            ahead = self.queue.get_nowait()
            goes_on = ahead.seek_id == batch.seek_id and ahead.records[0].offset == records[-1].offset + 1
            if not goes_on or len(records) + len(ahead.records) > COMMIT_EVENTS:
                self.ahead = ahead
                break
            records.extend(ahead.records)
        return records

    def clear(self) -> None:
        """Empty the queue, which also releases a waiting `enqueue`."""
        self.ahead = None
        while not self.queue.empty():
            self.queue.get_nowait()


class AssignedPartitions:
    """All partitions of a worker. `consumer` must be set before the first `assign`."""

    def __init__(
        self,
        context: ProcessingContext,
        logs: LogProbe,
        processor: Callable[[Partition, Position], PartitionProcessor] | None = None,
    ) -> None:
        """`make_processor` makes the processor of each partition; None: a PartitionProcessor."""
        self.consumer: Consumer
        self.failed: Callable[[BaseException], None] = lambda error: None
        self._context = context
        self._processor = processor or (
            lambda partition, position: PartitionProcessor(partition, position, context)
        )
        self._logs = logs
        self._assigned: dict[Partition, AssignedPartition] = {}
        self._seeks = 0
        self._counting = asyncio.Semaphore(COUNTED_AT_ONCE)

    def position(self, partition: Partition) -> int | None:
        """Return the first offset not counted."""
        assigned = self._assigned.get(partition)
        return assigned.processor.position.next if assigned is not None else None

    def partitions(self) -> list[Partition]:
        return list(self._assigned)

    def tag_batch(self, partition: Partition, seek_id: int | None, records: Sequence[Record]) -> Batch:
        """Number a fetched batch."""
        assigned = self._assigned.get(partition)
        if assigned is None or assigned.seek_id != seek_id:
            return Batch(STALE, 0, records)
        assigned.tagged += 1
        return Batch(assigned.seek_id, assigned.tagged, records)

    async def assign(self, partitions: Iterable[Partition]) -> None:
        """Own these partitions and no others, starting at the positions in the store."""
        await self.revoke()
        for partition, position in (await self._positions(list(partitions))).items():
            self._assigned[partition] = AssignedPartition(self._processor(partition, position))
        self._seeks += 1
        for assigned in self._assigned.values():
            assigned.seek_id = self._seeks
            assigned.task = asyncio.create_task(self._run(assigned))
        offsets = {p: assigned.processor.position.next for p, assigned in self._assigned.items()}
        await self.consumer.seek_to(offsets, self._seeks)

    async def resume(self) -> None:
        """Seek all partitions to their positions: batches fetched while the flow was stopped are lost."""
        for assigned in list(self._assigned.values()):
            await self._rewind(assigned, assigned.processor.position)

    async def revoke(self, patience_s: float = 2.0) -> None:
        """Give up all partitions; commits under way get `patience_s` to end."""
        revoked, self._assigned = self._assigned, {}
        for assigned in revoked.values():
            assigned.seek_id, assigned.is_revoked = STALE, True
            assigned.clear()
        tasks = [assigned.task for assigned in revoked.values() if assigned.task is not None]
        busy = [one.task for one in revoked.values() if one.task is not None and one.is_busy]
        try:
            if busy:
                await asyncio.wait(busy, timeout=patience_s)
        finally:  # Faust may cancel this call too, if the group is formed again meanwhile
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def enqueue(self, partition: Partition, batch: Batch) -> None:
        """Queue a delivered batch; drop it if it is stale, seek back if one before it is missing."""
        assigned = self._assigned.get(partition)
        if assigned is None or batch.seek_id != assigned.seek_id:
            return
        if batch.sequence != assigned.queued + 1:
            await self._rewind(assigned, assigned.processor.position)
            return
        assigned.queued = batch.sequence
        await assigned.queue.put(batch)

    async def _positions(self, partitions: Sequence[Partition]) -> dict[Partition, Position]:
        """Return the position to start from in each of these logs, after probing whether it is still the same
        log."""
        store = self._context.store
        stored = dict(zip(partitions, await retry_forever(lambda: store.positions(partitions)), strict=True))
        probed = await self._probed(stored)
        resolved: dict[Partition, Position] = {}
        for partition, before in stored.items():
            start = resolve_start_position(partition, before, probed[partition])
            if start.sentence is not None:
                log.warning(start.sentence)
            after = start.position
            if after != before and not await retry_forever(
                lambda p=partition, b=before, a=after: store.move(p, b, a)  # type: ignore[misc]
            ):
                (moved,) = await retry_forever(lambda p=partition: store.positions([p]))  # type: ignore[misc]
                assert moved is not None
                after = moved
            resolved[partition] = after
        return resolved

    async def _probed(self, stored: Mapping[Partition, Position | None]) -> Mapping[Partition, LogSnapshot]:
        """Read the logs at the checkpoints of the stored positions."""
        points = {p: at.checkpoints if at is not None else () for p, at in stored.items()}
        asked = {p: [point.offset for point in known] for p, known in points.items()}
        return await retry_forever(lambda: self._logs.probe(asked))

    async def _rewind(self, assigned: AssignedPartition, position: Position) -> None:
        """Empty the queue and seek to `position`. Batches fetched before carry an older id and are
        dropped."""
        self._seeks += 1
        assigned.seek_id, assigned.tagged, assigned.queued = self._seeks, 0, 0
        assigned.clear()
        assigned.processor.position = position
        await self.consumer.seek_to({assigned.partition: position.next}, assigned.seek_id)

    async def _run(self, assigned: AssignedPartition) -> None:
        try:
            while not assigned.is_revoked:
                batch = await assigned.next()
                if batch.seek_id != assigned.seek_id:
                    continue
                assigned.is_busy = True
                try:
                    await self._count(assigned, assigned.joined(batch))
                finally:
                    assigned.is_busy = False
        except Exception as error:  # cannot go on: report it, do not skip records
            log.error("partition stopped", partition=str(assigned.partition), error=str(error))
            self.failed(error)

    async def _count(self, assigned: AssignedPartition, records: Sequence[Record]) -> None:
        processor, first = assigned.processor, records[0].offset
        if first != processor.position.next and not await self._continues(assigned, first):
            return
        try:
            async with self._counting:
                await processor.count(records, records[-1].offset + 1)
        except PartitionFenced as fenced:
            await self._fenced(assigned, fenced.position)
            return
        assigned.record_at = records[-1].timestamp
        self._note_caught_up(assigned)

    async def _continues(self, assigned: AssignedPartition, first: int) -> bool:
        """Tell whether a batch that does not start at the position continues the same log; seek back if not.
        Offsets without records (transactions, compaction) are no gap; records lost by a failover are."""
        partition, before = assigned.partition, assigned.processor.position
        after = (await self._positions([partition]))[partition]
        if after.epoch == before.epoch and before.next <= after.next <= first:
            assigned.processor.position = after
            return True
        await self._rewind(assigned, after)
        return False

    async def _fenced(self, assigned: AssignedPartition, position: Position | None) -> None:
        partition = assigned.partition
        if position is None:
            position = (await self._positions([partition]))[partition]
        log.info("partition fenced: another worker committed", partition=str(partition), offset=position.next)
        await self._rewind(assigned, position)

    def _note_caught_up(self, assigned: AssignedPartition) -> None:
        """Record when a partition was last seen caught up with its log."""
        progress = self.consumer.progress(assigned.partition)
        if progress is None or progress.position < progress.end:
            return
        if assigned.is_idle:
            assigned.caught_up_at = max(assigned.caught_up_at, progress.fetched_at)

    async def beat(self) -> dict[Partition, Heartbeat]:
        """Write the heartbeats of all partitions, check that the positions in the store are still ours, and
        update the watermark. Called every HEARTBEAT_S. Return the heartbeats."""
        store = self._context.store
        quiet = [(one, one.processor.position) for one in self._assigned.values() if one.is_quiet]
        for assigned, _ in quiet:
            self._note_caught_up(assigned)
        heartbeats = {
            partition: self._heartbeat(assigned)
            for partition, assigned in self._assigned.items()
            if assigned.caught_up_at or assigned.record_at
        }
        await store.beat(heartbeats)
        stored = await store.positions([assigned.partition for assigned, _ in quiet])
        for (assigned, own), position in zip(quiet, stored, strict=True):
            is_same = assigned.processor.position is own and assigned.seek_id != STALE
            if assigned.is_quiet and is_same and position != own:
                await self._fenced(assigned, position)
        known = await store.heartbeats()
        is_silent = any(partition not in known for partition in self._assigned)
        self._context.watermark = 0 if is_silent or not known else min(map(_oldest, known.values()))
        return heartbeats

    async def tidy(self) -> None:
        """Merge pane deltas, and forget expired documents. A worker that is behind merges only hours with
        very many deltas."""
        is_behind = any(self._heartbeat(assigned).lag > BEHIND for assigned in self._assigned.values())
        await self._context.compact(COMPACTED_FROM_IF_BEHIND if is_behind else COMPACTED_FROM)
        await self._context.store.forget(self._context.clock(), FORGOTTEN_AT_ONCE)

    def _heartbeat(self, assigned: AssignedPartition) -> Heartbeat:
        progress = self.consumer.progress(assigned.partition)
        lag = max(0, progress.end - assigned.processor.position.next) if progress is not None else 0
        if progress is not None and progress.position >= progress.end and assigned.is_quiet:
            lag = 0  # transaction markers are no records
        return Heartbeat(assigned.caught_up_at, lag, assigned.record_at)


def _oldest(heartbeat: Heartbeat) -> int:
    return heartbeat.record_at if heartbeat.lag else heartbeat.caught_up_at
