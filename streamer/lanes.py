"""Here are the partitions this worker owns: taking them, queueing their batches, giving them up.

What is delivered is numbered since the last seek. A batch of an older stamp, or one after a gap in the
numbers, is not counted: the lane seeks back to where counting stands.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.decoding import Record
from streamer.pipeline import COMMIT_EVENTS, Counting, Lane, Refused, persist
from streamer.recognition import Found, Log, judge
from streamer.store.port import Beat, Partition, Position

BUFFERED: Final = 4
ABREAST: Final = 2
"""Batches under way at a time: while the store has one, the next is computed. More would only change
each other's journeys, and be computed again."""
BEAT_S: Final = 1.0
BEHIND: Final = 5_000
POSTINGS: Final = 64
POSTINGS_AT_MOST: Final = 4_096
VOID: Final = -1
"""The stamp of what must not be counted."""

log = structlog.get_logger()


class Batch(NamedTuple):
    """Records of one partition as they were fetched. `stamp`: after which seek; `number`: the how
    manieth since."""

    stamp: int
    number: int
    records: Sequence[Record]


class Progress(NamedTuple):
    """How far the consumer has read, how far the log goes, and when (wall clock, ms) the broker said so."""

    position: int
    end: int
    fetched_at: int


class Consumer(Protocol):
    async def seek_to(self, offsets: Mapping[Partition, int], stamp: int) -> None:
        """What is fetched from there on bears this stamp, from the first record on."""

    def progress(self, partition: Partition) -> Progress | None: ...


class Held:
    """A lane with what was delivered to it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.stamp = VOID
        self.given_up = False
        self.handed = 0  # numbers given out
        self.taken = 0  # numbers taken into the queue
        self.queue: asyncio.Queue[Batch] = asyncio.Queue(BUFFERED)
        self.ahead: Batch | None = None  # taken out of the queue, but not begun
        self.busy = False
        self.caught_up_at = 0
        self.record_at = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def quiet(self) -> bool:
        return not self.busy and self.idle

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be counted, here or on its way here."""
        return self.ahead is None and self.queue.empty() and self.handed == self.taken

    async def next(self) -> Batch:
        if self.ahead is None:
            return await self.queue.get()
        ahead, self.ahead = self.ahead, None
        return ahead

    def joined(self, batch: Batch) -> list[Record]:
        """A batch and what waits behind it without a gap, as much as one commit takes: live records come in
        batches so small that a commit for each would be slower than they come."""
        records = [*batch.records]
        while not self.queue.empty():
            ahead = self.queue.get_nowait()
            goes_on = ahead.stamp == batch.stamp and ahead.records[0].offset == records[-1].offset + 1
            if not goes_on or len(records) + len(ahead.records) > COMMIT_EVENTS:
                self.ahead = ahead
                break
            records.extend(ahead.records)
        return records

    def empty(self) -> None:
        """Whoever waits to put a batch in is let go."""
        self.ahead = None
        while not self.queue.empty():
            self.queue.get_nowait()


class Lanes:
    """All lanes of a worker. `consumer` must be set before the first `own`."""

    def __init__(
        self, counting: Counting, logs: Log, lane: Callable[[Partition, Position], Lane] | None = None
    ) -> None:
        """`lane` makes one for each partition taken; None: such as count."""
        self.consumer: Consumer
        self.failed: Callable[[BaseException], None] = lambda error: None
        self._counting = counting
        self._lane = lane or (lambda partition, position: Lane(partition, position, counting))
        self._logs = logs
        self._held: dict[Partition, Held] = {}
        self._stamps = 0
        self._abreast = asyncio.Semaphore(ABREAST)

    def position(self, partition: Partition) -> int | None:
        """The first offset not counted."""
        held = self._held.get(partition)
        return held.lane.position.next if held is not None else None

    def partitions(self) -> list[Partition]:
        return list(self._held)

    def hand(self, partition: Partition, stamp: int | None, records: Sequence[Record]) -> Batch:
        """Number a fetched batch."""
        held = self._held.get(partition)
        if held is None or held.stamp != stamp:
            return Batch(VOID, 0, records)
        held.handed += 1
        return Batch(held.stamp, held.handed, records)

    async def own(self, partitions: Iterable[Partition]) -> None:
        """Take over these partitions, and no others, from where the store says."""
        await self.give_up()
        for partition, position in (await self._positions(list(partitions))).items():
            self._held[partition] = Held(self._lane(partition, position))
        self._stamps += 1
        for held in self._held.values():
            held.stamp = self._stamps
            held.task = asyncio.create_task(self._run(held))
        offsets = {p: held.lane.position.next for p, held in self._held.items()}
        await self.consumer.seek_to(offsets, self._stamps)

    async def again(self) -> None:
        """Deliver from where counting stands: what was fetched meanwhile is lost."""
        for held in list(self._held.values()):
            await self._rewind(held, held.lane.position)

    async def give_up(self, patience_s: float = 2.0) -> None:
        """Let go of all partitions; a commit under way may end."""
        held, self._held = self._held, {}
        for one in held.values():
            one.stamp, one.given_up = VOID, True
            one.empty()
        tasks = [one.task for one in held.values() if one.task is not None]
        busy = [one.task for one in held.values() if one.task is not None and one.busy]
        try:
            if busy:
                await asyncio.wait(busy, timeout=patience_s)
        finally:  # Faust may cancel us too, when the group is formed anew meanwhile
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def take(self, partition: Partition, batch: Batch) -> None:
        """Queue a batch that was delivered."""
        held = self._held.get(partition)
        if held is None or batch.stamp != held.stamp:
            return
        if batch.number != held.taken + 1:
            await self._rewind(held, held.lane.position)
            return
        held.taken = batch.number
        await held.queue.put(batch)

    async def _positions(self, partitions: Sequence[Partition]) -> dict[Partition, Position]:
        """Where to go on in each of these logs, after a look whether it is the one we know."""
        store = self._counting.store
        stored = dict(zip(partitions, await persist(lambda: store.positions(partitions)), strict=True))
        looked = await self._looked(stored)
        taken: dict[Partition, Position] = {}
        for partition, before in stored.items():
            verdict = judge(partition, before, looked[partition])
            if verdict.sentence is not None:
                log.warning(verdict.sentence)
            after = verdict.position
            if after != before and not await persist(
                lambda p=partition, b=before, a=after: store.move(p, b, a)  # type: ignore[misc]
            ):
                (moved,) = await persist(lambda p=partition: store.positions([p]))  # type: ignore[misc]
                assert moved is not None
                after = moved
            taken[partition] = after
        return taken

    async def _looked(self, stored: Mapping[Partition, Position | None]) -> Mapping[Partition, Found]:
        """What the logs have where they were counted."""
        points = {p: at.checkpoints if at is not None else () for p, at in stored.items()}
        asked = {p: [point.offset for point in known] for p, known in points.items()}
        return await persist(lambda: self._logs.look(asked))

    async def _rewind(self, held: Held, position: Position) -> None:
        """Empty the buffer and deliver from `position`. What was fetched before the seek bears an older
        stamp and is dropped."""
        self._stamps += 1
        held.stamp, held.handed, held.taken = self._stamps, 0, 0
        held.empty()
        held.lane.position = position
        await self.consumer.seek_to({held.lane.partition: position.next}, held.stamp)

    async def _run(self, held: Held) -> None:
        try:
            while not held.given_up:
                batch = await held.next()
                if batch.stamp != held.stamp:
                    continue
                held.busy = True
                try:
                    await self._count(held, held.joined(batch))
                finally:
                    held.busy = False
        except Exception as error:  # an answer we cannot go on with: say so, do not skip
            log.error("partition stopped", partition=str(held.lane.partition), error=str(error))
            self.failed(error)

    async def _count(self, held: Held, records: Sequence[Record]) -> None:
        lane = held.lane
        if records[0].offset != lane.position.next and not await self._continues(held, records[0].offset):
            return
        try:
            async with self._abreast:
                await lane.count(records, records[-1].offset + 1)
        except Refused as refused:
            await self._moved(held, refused.position)
            return
        held.record_at = records[-1].timestamp
        self._look(held)

    async def _continues(self, held: Held, first: int) -> bool:
        """Whether a log that goes on elsewhere than it ended is still the one we know. Offsets without
        records (transactions, compaction) are no gap; what a failover took back is one."""
        partition, before = held.lane.partition, held.lane.position
        after = (await self._positions([partition]))[partition]
        if after.epoch == before.epoch and before.next <= after.next <= first:
            held.lane.position = after
            return True
        await self._rewind(held, after)
        return False

    async def _moved(self, held: Held, position: Position | None) -> None:
        partition = held.lane.partition
        if position is None:
            position = (await self._positions([partition]))[partition]
        log.info("another owner counted here", partition=str(partition), offset=position.next)
        await self._rewind(held, position)

    def _look(self, held: Held) -> None:
        """Note when a lane was last seen caught up with its log."""
        progress = self.consumer.progress(held.lane.partition)
        if progress is None or progress.position < progress.end:
            return
        if held.idle:
            held.caught_up_at = max(held.caught_up_at, progress.fetched_at)

    async def beat(self) -> dict[Partition, Beat]:
        """Once a second: say how far each lane is, see whether the store still agrees, and note the
        watermark."""
        store = self._counting.store
        quiet = [(one, one.lane.position) for one in self._held.values() if one.quiet]
        for one, _ in quiet:
            self._look(one)
        beats = {p: self._beat(one) for p, one in self._held.items() if one.caught_up_at or one.record_at}
        await store.beat(beats)
        stored = await store.positions([one.lane.partition for one, _ in quiet])
        for (one, own), position in zip(quiet, stored, strict=True):
            if one.quiet and one.stamp != VOID and one.lane.position is own and position != own:
                await self._moved(one, position)
        known = await store.beats()
        silent = any(partition not in known for partition in self._held)
        self._counting.watermark = 0 if silent or not known else min(map(_oldest, known.values()))
        return beats

    async def tidy(self) -> None:
        """Merge postings; while there is much to count only where they become too many to read."""
        behind = any(self._beat(held).lag > BEHIND for held in self._held.values())
        await self._counting.compact(POSTINGS_AT_MOST if behind else POSTINGS)

    def _beat(self, held: Held) -> Beat:
        progress = self.consumer.progress(held.lane.partition)
        lag = max(0, progress.end - held.lane.position.next) if progress is not None else 0
        if progress is not None and progress.position >= progress.end and held.quiet:
            lag = 0  # markers of transactions are no records
        return Beat(held.caught_up_at, lag, held.record_at)


def _oldest(beat: Beat) -> int:
    return beat.record_at if beat.lag else beat.caught_up_at
