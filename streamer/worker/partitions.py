"""The partitions this worker owns: assigning them, queueing their batches, revoking them.

What is delivered is numbered since the last seek. A batch of an older seek, or one after a gap in the
numbers, is not counted: the partition seeks back to where counting stands.
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
"""Batches under way at a time: while the store has one, the next is decoded."""
HEARTBEAT_S: Final = 1.0
BEHIND: Final = 5_000
COMPACTED_FROM: Final = 96
COMPACTED_FROM_IF_BEHIND: Final = 4_096
FORGOTTEN_AT_ONCE: Final = 500
"""Documents looked at each second: ten million are through in six hours."""
STALE: Final = -1
"""The seek id of what must not be counted."""

log = structlog.get_logger()


class Batch(NamedTuple):
    """Records of one partition as they were fetched. `seek_id`: the seek these records follow; `sequence`: 1
    for the first batch after it, and so on."""

    seek_id: int
    sequence: int
    records: Sequence[Record]


class Progress(NamedTuple):
    """The consumer's position, the end of the log, and when (wall clock, ms) the broker said so."""

    position: int
    end: int
    fetched_at: int


class Consumer(Protocol):
    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        """Seek; all that is fetched from there on bears this id, from the first record on."""

    def progress(self, partition: Partition) -> Progress | None: ...


class AssignedPartition:
    """A partition with what was delivered of it."""

    def __init__(self, processor: PartitionProcessor) -> None:
        self.processor = processor
        self.seek_id = STALE
        self.is_revoked = False
        self.tagged = 0  # numbers given out
        self.queued = 0  # numbers taken into the queue
        self.queue: asyncio.Queue[Batch] = asyncio.Queue(BUFFERED)
        self.ahead: Batch | None = None  # taken out of the queue, but not begun
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
        """Tell whether nothing waits to be counted, here or on its way here."""
        return self.ahead is None and self.queue.empty() and self.tagged == self.queued

    async def next(self) -> Batch:
        if self.ahead is None:
            return await self.queue.get()
        ahead, self.ahead = self.ahead, None
        return ahead

    def joined(self, batch: Batch) -> list[Record]:
        """Return the records of a batch and of what waits behind it without a gap, as much as one commit
        takes: live records come in batches so small that a commit for each would be slower than they come."""
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
        """Empty the queue. Whoever waits to put a batch in is let go."""
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
        """`processor` makes one for each partition assigned; None: such as count."""
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
        """Take over these partitions, and no others, from where the store says."""
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
        """Deliver from where counting stands: what was fetched meanwhile is lost."""
        for assigned in list(self._assigned.values()):
            await self._rewind(assigned, assigned.processor.position)

    async def revoke(self, patience_s: float = 2.0) -> None:
        """Let go of all partitions; a commit under way may end."""
        revoked, self._assigned = self._assigned, {}
        for assigned in revoked.values():
            assigned.seek_id, assigned.is_revoked = STALE, True
            assigned.clear()
        tasks = [assigned.task for assigned in revoked.values() if assigned.task is not None]
        busy = [one.task for one in revoked.values() if one.task is not None and one.is_busy]
        try:
            if busy:
                await asyncio.wait(busy, timeout=patience_s)
        finally:  # Faust may cancel us too, when the group is formed anew meanwhile
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def enqueue(self, partition: Partition, batch: Batch) -> None:
        """Queue a batch that was delivered."""
        assigned = self._assigned.get(partition)
        if assigned is None or batch.seek_id != assigned.seek_id:
            return
        if batch.sequence != assigned.queued + 1:
            await self._rewind(assigned, assigned.processor.position)
            return
        assigned.queued = batch.sequence
        await assigned.queue.put(batch)

    async def _positions(self, partitions: Sequence[Partition]) -> dict[Partition, Position]:
        """Return where to go on in each of these logs, after a look whether it is the one we know."""
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
        """Return what the logs have where they were counted."""
        points = {p: at.checkpoints if at is not None else () for p, at in stored.items()}
        asked = {p: [point.offset for point in known] for p, known in points.items()}
        return await retry_forever(lambda: self._logs.probe(asked))

    async def _rewind(self, assigned: AssignedPartition, position: Position) -> None:
        """Empty the buffer and deliver from `position`. What was fetched before the seek bears an older id
        and is dropped."""
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
        except Exception as error:  # an answer we cannot go on with: say so, do not skip
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
        """Tell whether a log that goes on elsewhere than it ended is still the one we know. Offsets without
        records (transactions, compaction) are no gap; what a failover took back is one."""
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
        """Note when a partition was last seen caught up with its log."""
        progress = self.consumer.progress(assigned.partition)
        if progress is None or progress.position < progress.end:
            return
        if assigned.is_idle:
            assigned.caught_up_at = max(assigned.caught_up_at, progress.fetched_at)

    async def beat(self) -> dict[Partition, Heartbeat]:
        """Say once a second how far each partition is, see whether the store still agrees, and note the
        watermark."""
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
        """Merge pane deltas, while there is much to count only where they become too many to read; and
        forget documents."""
        is_behind = any(self._heartbeat(assigned).lag > BEHIND for assigned in self._assigned.values())
        await self._context.compact(COMPACTED_FROM_IF_BEHIND if is_behind else COMPACTED_FROM)
        await self._context.store.forget(self._context.clock(), FORGOTTEN_AT_ONCE)

    def _heartbeat(self, assigned: AssignedPartition) -> Heartbeat:
        progress = self.consumer.progress(assigned.partition)
        lag = max(0, progress.end - assigned.processor.position.next) if progress is not None else 0
        if progress is not None and progress.position >= progress.end and assigned.is_quiet:
            lag = 0  # markers of transactions are no records
        return Heartbeat(assigned.caught_up_at, lag, assigned.record_at)


def _oldest(heartbeat: Heartbeat) -> int:
    return heartbeat.record_at if heartbeat.lag else heartbeat.caught_up_at
