"""Partitions of a worker: the batches it counts, where it seeks, and what is left once they are revoked."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from streamer.events.counting_rules import DAY, HOUR, CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.panes.pane_keys import PaneHour
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock, StoreClock
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, LogPosition, Partition
from streamer.worker.log_identity import LogSnapshot, record_checkpoint
from streamer.worker.partitions import (
    NOT_SOUGHT,
    PATIENCE_BEATS,
    STALE,
    AssignedPartitions,
    ConsumerProgress,
    FetchCount,
    GroupShare,
    TaggedBatch,
)
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext
from tests.counting import partition_processor, processing_context
from tests.facts import NOON, call
from tests.messages import record

CALLS, OTHERS = Partition("call-completed", 0), Partition("call-completed", 1)
FETCHED_MS = NOON + DAY


def log_of(partition: Partition, count: int, first_offset: int = 0) -> list[KafkaRecord]:
    """Return a log of calls, a second apart, each of its own contact."""
    times = [(offset, NOON + offset * 1_000) for offset in range(first_offset, first_offset + count)]
    return [
        record(
            call(f"c{partition.number}-{offset}", time_ms, queue="billing"), partition.number, offset, time_ms
        )
        for offset, time_ms in times
    ]


class LogConsumer:
    """Consumer and log probe over logs in memory. `seeks`: offsets and seek id of each seek; probes wait for
    `is_probed`."""

    def __init__(self, logs: Mapping[Partition, Sequence[KafkaRecord]]) -> None:
        self.logs = dict(logs)
        self.seeks: list[tuple[dict[Partition, int], int]] = []
        self.progress_of: dict[Partition, ConsumerProgress] = {}
        self.group_share = GroupShare(1, [CALLS])
        self.is_probed = asyncio.Event()
        self.is_probed.set()
        self._counts: dict[Partition, FetchCount] = {}

    def share(self) -> GroupShare:
        return self.group_share

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        self.seeks.append((dict(offsets), seek_id))
        self._counts |= dict.fromkeys(offsets, FetchCount(seek_id, 0))

    def fetched(self, partition: Partition) -> FetchCount:
        return self._counts.get(partition, NOT_SOUGHT)

    def fetch(self, first: int, last: int) -> TaggedBatch:
        """Fetch the records [first, last) of CALLS."""
        seek_id, batch_count = self.fetched(CALLS)
        self._counts[CALLS] = FetchCount(seek_id, batch_count + 1)
        return TaggedBatch(seek_id, batch_count + 1, self.logs[CALLS][first:last])

    def progress(self, partition: Partition) -> ConsumerProgress | None:
        return self.progress_of.get(partition)

    async def probe(self, offsets: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        await self.is_probed.wait()
        return {partition: self._snapshot(self.logs[partition]) for partition in offsets}

    def _snapshot(self, log: Sequence[KafkaRecord]) -> LogSnapshot:
        checkpoints = [record_checkpoint(r.offset, r.timestamp, r.key, r.value) for r in log]
        end_offset = log[-1].offset + 1 if log else 0
        records = {point.offset: point for point in checkpoints}
        return LogSnapshot(log[0].offset if log else 0, records, end_offset)


class HeldProcessor(PartitionProcessor):
    """Processor that counts once `released` is set, or raises `failure`."""

    def __init__(
        self, partition: Partition, position: LogPosition, context: ProcessingContext, released: asyncio.Event
    ) -> None:
        super().__init__(partition, position, context)
        self.begun, self.released = asyncio.Event(), released
        self.failure: BaseException | None = None

    async def count(self, records: Sequence[KafkaRecord], end_offset: int) -> None:
        self.begun.set()
        await self.released.wait()
        if self.failure is not None:
            raise self.failure
        await super().count(records, end_offset)


class ManualClock:
    """Clock that a test sets."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms


class MemoryWorker:
    """Partitions over logs and a store in memory. `is_held`: its processors wait until they are released."""

    def __init__(
        self,
        *counts: int,
        store: MemoryStore | None = None,
        is_held: bool = False,
        own_clock: Clock = lambda: FETCHED_MS,
    ) -> None:
        self.store = store or MemoryStore()
        self.consumer = LogConsumer(
            {
                partition: log_of(partition, count)
                for partition, count in zip((CALLS, OTHERS), counts, strict=False)
            }
        )
        self.context = processing_context(self.store, CountingRules(), FETCHED_MS)
        self.context.clock = StoreClock(self.store.time_ms, own_clock)
        self.processors: dict[Partition, HeldProcessor] = {}
        self.partitions = AssignedPartitions(
            self.context, self.consumer, self._held_processor if is_held else None
        )
        self.partitions.consumer = self.consumer

    def _held_processor(self, partition: Partition, position: LogPosition) -> PartitionProcessor:
        earlier = self.processors.get(partition)
        released = asyncio.Event() if earlier is None else earlier.released
        self.processors[partition] = HeldProcessor(partition, position, self.context, released)
        return self.processors[partition]

    async def deliver(self, first: int, last: int) -> None:
        await self.partitions.enqueue(CALLS, self.consumer.fetch(first, last))
        await settle()

    async def counted_contacts(self) -> int:
        return (await self.store.counters()).get("events\x1fcall-completed\x1fapplied", 0)


async def settle() -> None:
    """Let all other tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


# Queueing


@pytest.mark.parametrize(
    ("sentence", "order", "position", "seeks"),
    [
        ("batches in order are counted", [0, 1, 2], 3, []),
        ("a missing first one: back to the beginning", [1], 0, [0]),
        ("a missing one in between: back to its offset", [0, 2], 1, [1]),
        ("what follows the gap is of an older seek and dropped", [0, 2, 1], 1, [1]),
        ("a batch that comes twice is a gap too", [0, 0], 1, [1]),
        ("nothing comes", [], 0, []),
    ],
)
async def test_batches_are_counted_up_to_the_first_gap(
    sentence: str, order: Sequence[int], position: int, seeks: Sequence[int]
) -> None:
    worker = MemoryWorker(3)
    await worker.partitions.assign([CALLS])
    batches = [worker.consumer.fetch(offset, offset + 1) for offset in range(3)]
    for number in order:
        await worker.partitions.enqueue(CALLS, batches[number])
        await settle()
    assert worker.partitions.position(CALLS) == position == await worker.counted_contacts()
    assert [offsets[CALLS] for offsets, _ in worker.consumer.seeks[1:]] == seeks
    await worker.partitions.revoke()


async def test_after_a_gap_the_records_are_fetched_again_and_counted_once() -> None:
    worker = MemoryWorker(4)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    worker.consumer.fetch(1, 2)  # lost on its way
    await worker.deliver(2, 3)
    assert worker.consumer.seeks[1:] == [({CALLS: 1}, 2)]
    await worker.deliver(1, 3)
    await worker.deliver(3, 4)
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (4, 4)
    assert len(worker.consumer.seeks) == 2
    await worker.partitions.revoke()


@pytest.mark.parametrize(
    ("sentence", "partition"),
    [("a stale batch", CALLS), ("a batch of a partition that is not owned", OTHERS)],
)
async def test_a_batch_that_is_not_counted_moves_nothing(sentence: str, partition: Partition) -> None:
    worker = MemoryWorker(3)
    await worker.partitions.assign([CALLS])
    await worker.partitions.enqueue(partition, TaggedBatch(STALE, 0, log_of(partition, 1)))
    await settle()
    assert (worker.partitions.position(CALLS), len(worker.consumer.seeks)) == (0, 1)
    await worker.partitions.revoke()


async def test_the_queue_holds_two_batches_and_the_next_waits() -> None:
    worker = MemoryWorker(4, is_held=True)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    await worker.processors[CALLS].begun.wait()
    await worker.deliver(1, 2)
    await worker.deliver(2, 3)
    waiting = asyncio.create_task(worker.partitions.enqueue(CALLS, worker.consumer.fetch(3, 4)))
    await settle()
    assert not waiting.done()
    worker.processors[CALLS].released.set()
    await waiting
    await settle()
    assert await worker.counted_contacts() == 4
    await worker.partitions.revoke()


# Assigning and revoking


@pytest.mark.parametrize(
    ("sentence", "stored", "first_offset", "expected"),
    [
        ("a new partition begins at the log's first record", None, 0, 0),
        ("even where that is not 0", None, 7, 7),
        ("one that was counted goes on where the store is", 2, 0, 2),
        ("one whose next records were deleted goes on behind them", 2, 3, 3),
    ],
)
async def test_assigned_partitions_start_where_the_store_is(
    sentence: str, stored: int | None, first_offset: int, expected: int
) -> None:
    worker = MemoryWorker(0)
    if stored is not None:
        counted = await partition_processor(worker.context, *CALLS)
        await counted.count(log_of(CALLS, stored), stored)
    worker.consumer.logs[CALLS] = log_of(CALLS, 5, first_offset)
    with capture_logs():
        await worker.partitions.assign([CALLS])
    assert worker.consumer.seeks == [({CALLS: expected}, 1)]
    assert worker.partitions.position(CALLS) == expected
    (position,) = await worker.store.positions([CALLS])
    assert position is not None
    assert position.next == expected
    await worker.partitions.revoke()


async def test_assigning_owns_these_partitions_and_no_others() -> None:
    worker = MemoryWorker(3, 3)
    await worker.partitions.assign([CALLS])
    batch = worker.consumer.fetch(0, 1)
    await worker.partitions.assign([OTHERS])
    assert worker.partitions.partitions() == [OTHERS]
    assert worker.consumer.seeks == [({CALLS: 0}, 1), ({OTHERS: 0}, 2)]
    await worker.partitions.enqueue(CALLS, batch)
    await worker.partitions.assign([])
    assert worker.partitions.partitions() == []
    assert await worker.counted_contacts() == 0


async def test_a_partition_that_comes_back_does_not_count_what_was_fetched_before() -> None:
    worker = MemoryWorker(3)
    await worker.partitions.assign([CALLS])
    batch = worker.consumer.fetch(0, 2)
    await worker.partitions.assign([CALLS])
    await worker.partitions.enqueue(CALLS, batch)
    await worker.deliver(0, 3)
    assert await worker.counted_contacts() == 3
    assert len(worker.consumer.seeks) == 2
    await worker.partitions.revoke()


async def test_resuming_seeks_each_partition_to_its_position() -> None:
    worker = MemoryWorker(3, 3)
    await worker.partitions.assign([CALLS, OTHERS])
    await worker.deliver(0, 2)
    batch = worker.consumer.fetch(2, 3)
    await worker.partitions.resume()
    assert worker.consumer.seeks[1:] == [({CALLS: 2}, 2), ({OTHERS: 0}, 3)]
    await worker.partitions.enqueue(CALLS, batch)
    await settle()
    assert worker.partitions.position(CALLS) == 2
    await worker.partitions.revoke()


async def test_a_revoked_partition_counts_nothing_more() -> None:
    worker = MemoryWorker(3)
    await worker.partitions.assign([CALLS])
    batch = worker.consumer.fetch(0, 1)
    await worker.partitions.revoke()
    assert (worker.partitions.partitions(), worker.partitions.position(CALLS)) == ([], None)
    await worker.partitions.enqueue(CALLS, batch)
    await worker.partitions.revoke()
    assert await worker.counted_contacts() == 0


@pytest.mark.parametrize(
    ("sentence", "is_released", "counted"),
    [
        ("a commit under way may end, what is queued behind it is not begun", True, 1),
        ("one that does not end in time is given up", False, 0),
    ],
)
async def test_revoking_waits_for_a_commit_under_way(sentence: str, is_released: bool, counted: int) -> None:
    worker = MemoryWorker(3, is_held=True)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    await worker.deliver(1, 2)
    revoking = asyncio.create_task(worker.partitions.revoke(patience_s=60.0 if is_released else 0.0))
    await settle()
    assert revoking.done() != is_released
    if is_released:
        worker.processors[CALLS].released.set()
    await revoking
    worker.processors[CALLS].released.set()
    await settle()
    assert await worker.counted_contacts() == counted


async def test_revoking_releases_a_batch_that_waits_for_room_in_the_queue() -> None:
    worker = MemoryWorker(4, is_held=True)
    await worker.partitions.assign([CALLS])
    for offset in range(3):
        await worker.deliver(offset, offset + 1)
    waiting = asyncio.create_task(worker.partitions.enqueue(CALLS, worker.consumer.fetch(3, 4)))
    await settle()
    assert not waiting.done()
    await worker.partitions.revoke(patience_s=0.0)
    await asyncio.wait_for(waiting, 5.0)
    assert await worker.counted_contacts() == 0


# Fencing


async def count_elsewhere(store: MemoryStore, first: int, last: int) -> None:
    """Count records of CALLS in another worker, which goes on where the store is."""
    other = await partition_processor(processing_context(store, CountingRules(), FETCHED_MS), *CALLS)
    await other.count(log_of(CALLS, last)[first:], last)


@pytest.mark.parametrize(
    ("sentence", "others_end", "seek"),
    [
        ("another worker counted the same batch", 2, 2),
        ("it counted a part of it", 1, 1),
        ("it counted more", 3, 3),
    ],
)
async def test_a_fenced_partition_goes_on_where_the_other_worker_is(
    sentence: str, others_end: int, seek: int
) -> None:
    worker = MemoryWorker(4, is_held=True)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    await worker.deliver(2, 3)  # queued behind the batch that will be fenced
    await count_elsewhere(worker.store, 0, others_end)
    worker.processors[CALLS].released.set()
    with capture_logs() as logs:
        await settle()
    assert [entry["event"] for entry in logs] == ["partition fenced: another worker committed"]
    assert worker.consumer.seeks[1:] == [({CALLS: seek}, 2)]
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (seek, seek)
    await worker.deliver(seek, 4)
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (4, 4)
    await worker.partitions.revoke()


async def test_a_partition_that_the_store_forgot_is_counted_again_from_the_beginning() -> None:
    worker = MemoryWorker(3)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    vars(worker.store).update(vars(MemoryStore()))
    with capture_logs():
        await worker.deliver(2, 3)
    assert worker.consumer.seeks[1:] == [({CALLS: 0}, 2)]
    await worker.deliver(0, 3)
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (3, 3)
    await worker.partitions.revoke()


async def test_a_quiet_partition_notices_at_the_next_heartbeat_that_another_worker_counted() -> None:
    worker = MemoryWorker(3)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    await count_elsewhere(worker.store, 1, 2)
    with capture_logs():
        await worker.partitions.report_heartbeats()
    assert worker.consumer.seeks[1:] == [({CALLS: 2}, 2)]
    await worker.partitions.report_heartbeats()
    assert len(worker.consumer.seeks) == 2
    await worker.partitions.revoke()


async def test_a_partition_whose_batch_cannot_be_counted_stops_and_says_so() -> None:
    worker = MemoryWorker(3, is_held=True)
    failures: list[BaseException] = []
    worker.partitions.on_failure = failures.append
    await worker.partitions.assign([CALLS])
    worker.processors[CALLS].failure = error = ValueError("script error")
    worker.processors[CALLS].released.set()
    await worker.deliver(0, 1)
    worker.processors[CALLS].failure = None
    await worker.deliver(1, 2)
    assert failures == [error]
    assert await worker.counted_contacts() == 0, "nothing behind it is counted"
    await worker.partitions.revoke()


async def test_a_batch_that_begins_while_the_store_is_found_empty_does_not_skip_what_comes_before_it() -> (
    None
):
    worker = MemoryWorker(3, is_held=True)
    await worker.partitions.assign([CALLS])
    worker.processors[CALLS].released.set()
    await worker.deliver(0, 2)
    vars(worker.store).update(vars(MemoryStore()))
    worker.processors[CALLS].released.clear()
    worker.consumer.is_probed.clear()
    with capture_logs():
        beating = asyncio.create_task(worker.partitions.report_heartbeats())
        await settle()
        await worker.deliver(2, 3)
        worker.consumer.is_probed.set()
        await beating
        worker.processors[CALLS].released.set()
        await settle()
    assert worker.partitions.position(CALLS) == 0 == await worker.counted_contacts()
    assert [offsets[CALLS] for offsets, _ in worker.consumer.seeks[1:]] == [0]
    await worker.deliver(0, 3)
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (3, 3)
    await worker.partitions.revoke()


async def test_a_heartbeat_that_finds_the_store_empty_leaves_a_partition_alone_that_came_back_meanwhile() -> (
    None
):
    worker = MemoryWorker(4)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    vars(worker.store).update(vars(MemoryStore()))
    worker.consumer.is_probed.clear()
    with capture_logs():
        beating = asyncio.create_task(worker.partitions.report_heartbeats())
        await settle()
        await worker.partitions.revoke()
        coming_back = asyncio.create_task(worker.partitions.assign([CALLS]))
        worker.consumer.is_probed.set()
        await asyncio.gather(coming_back, beating)
    assert worker.consumer.seeks[1:] == [({CALLS: 0}, 2)]
    await worker.deliver(0, 4)
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (4, 4)
    await worker.partitions.revoke()


async def test_a_store_emptied_between_a_move_and_the_look_who_moved_is_no_error() -> None:
    store = MemoryStore()

    async def lose_the_move(*_: object) -> bool:
        vars(store).pop("move")
        return False

    vars(store)["move"] = lose_the_move
    worker = MemoryWorker(2, store=store)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    assert (worker.partitions.position(CALLS), await worker.counted_contacts()) == (2, 2)
    await worker.partitions.revoke()


# Batches that do not arrive


@pytest.mark.parametrize(
    ("sentence", "lost", "beats", "seeks"),
    [
        ("the last batch is lost: it is fetched again", 1, PATIENCE_BEATS + 1, [1]),
        ("not before patience ends", 1, PATIENCE_BEATS, []),
        ("all fetched batches arrived", 0, 5 * PATIENCE_BEATS, []),
        ("it is lost again: twice the patience", 2, 3 * PATIENCE_BEATS + 2, [1, 1]),
    ],
)
async def test_what_was_fetched_last_and_did_not_arrive_is_fetched_again(
    sentence: str, lost: int, beats: int, seeks: list[int]
) -> None:
    worker = MemoryWorker(2)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    with capture_logs() as logs:
        for _ in range(beats):
            if lost and worker.consumer.fetched(CALLS).batch_count < 2:
                worker.consumer.fetch(1, 2)
            await worker.partitions.report_heartbeats()
    assert [offsets[CALLS] for offsets, _ in worker.consumer.seeks[1:]] == seeks, sentence
    assert [line["event"] for line in logs] == ["fetched records did not arrive"] * len(seeks)
    await worker.partitions.revoke()


# Shares


async def test_a_share_is_taken_over_once_and_then_only_sought_back() -> None:
    worker = MemoryWorker(2)
    for _ in range(2):
        await worker.partitions.seek_to_positions()
    assert worker.consumer.seeks == [({CALLS: 0}, 1), ({CALLS: 0}, 2)]
    await worker.partitions.revoke()
    await worker.partitions.seek_to_positions()
    assert not worker.partitions.partitions(), "the group gave it up"
    worker.partitions.expect_share()
    await worker.partitions.seek_to_positions()
    assert worker.partitions.partitions() == [CALLS]
    await worker.partitions.revoke()


async def test_a_share_that_is_revoked_while_it_is_taken_over_is_not_owned() -> None:
    worker = MemoryWorker(2)
    worker.consumer.is_probed.clear()
    taking_over = asyncio.create_task(worker.partitions.seek_to_positions())
    await settle()
    await worker.partitions.revoke()
    worker.consumer.is_probed.set()
    await taking_over
    assert (worker.partitions.partitions(), worker.consumer.seeks) == ([], [])


# Gaps in the log


@pytest.mark.parametrize(
    ("sentence", "log", "seek", "said"),
    [
        ("offsets without records are no gap", log_of(CALLS, 2) + log_of(CALLS, 2, 4), None, []),
        ("records deleted before they were counted are said", log_of(CALLS, 2, 4), None, ["deleted"]),
        ("another log that is longer", log_of(OTHERS, 6), 0, ["recreated"]),
        ("the same log, cut after its first record, that grew", log_of(CALLS, 1) + log_of(OTHERS, 6)[1:], 1,
         ["restored from a backup or cut"]),
    ],
)  # fmt: skip
async def test_a_gap_in_the_log_is_looked_at_before_what_follows_it_is_counted(
    sentence: str, log: list[KafkaRecord], seek: int | None, said: list[str]
) -> None:
    worker = MemoryWorker(2)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    await worker.deliver(1, 2)
    worker.consumer.logs[CALLS] = log
    batch = worker.consumer.fetch(4, 6)._replace(records=[one for one in log if one.offset >= 4])
    with capture_logs() as lines:
        await worker.partitions.enqueue(CALLS, batch)
        await settle()
    assert [offsets[CALLS] for offsets, _ in worker.consumer.seeks[1:]] == ([] if seek is None else [seek])
    assert worker.partitions.position(CALLS) == (log[-1].offset + 1 if seek is None else seek), sentence
    assert all(text in line["event"] for text, line in zip(said, lines, strict=True))
    await worker.partitions.revoke()


# Heartbeats


LAST_MS = NOON + 1_000
"""Timestamp of the second record."""


@pytest.mark.parametrize(
    ("sentence", "progress", "expected", "watermark_ms"),
    [
        (
            "all is counted: caught up when the broker last said so",
            ConsumerProgress(2, 2, FETCHED_MS),
            Heartbeat(FETCHED_MS, 0, LAST_MS),
            FETCHED_MS,
        ),
        ("one record is left", ConsumerProgress(2, 3, FETCHED_MS), Heartbeat(0, 1, LAST_MS), LAST_MS),
        (
            "offsets behind the last record hold none: markers of transactions",
            ConsumerProgress(3, 3, FETCHED_MS),
            Heartbeat(FETCHED_MS, 0, LAST_MS),
            FETCHED_MS,
        ),
        ("how far the broker is, is not known", None, Heartbeat(0, 0, LAST_MS), 0),
    ],
)
async def test_a_heartbeat_says_how_far_a_partition_is(
    sentence: str, progress: ConsumerProgress | None, expected: Heartbeat, watermark_ms: int
) -> None:
    worker = MemoryWorker(2)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    if progress is not None:
        worker.consumer.progress_of[CALLS] = progress
    assert await worker.partitions.report_heartbeats() == {CALLS: expected}
    assert await worker.store.heartbeats() == {CALLS: expected}
    assert worker.context.watermark_ms == watermark_ms
    await worker.partitions.revoke()


async def test_the_watermark_is_unknown_until_each_partition_has_a_heartbeat() -> None:
    worker = MemoryWorker(2, 2)
    await worker.partitions.assign([CALLS, OTHERS])
    await worker.deliver(0, 2)
    worker.consumer.progress_of[CALLS] = ConsumerProgress(2, 2, FETCHED_MS)
    await worker.partitions.report_heartbeats()
    assert worker.context.watermark_ms == 0
    worker.consumer.progress_of[OTHERS] = ConsumerProgress(0, 0, FETCHED_MS - 5)
    await worker.partitions.report_heartbeats()
    assert worker.context.watermark_ms == FETCHED_MS - 5, "the earliest of all"
    await worker.partitions.revoke()


# Clocks


MINUTES_10 = 600_000


@pytest.mark.parametrize("ahead_ms", [MINUTES_10, -MINUTES_10, 0])
async def test_a_worker_whose_clock_is_wrong_tells_ages_by_the_clock_of_the_store(ahead_ms: int) -> None:
    store_ms = FETCHED_MS - ahead_ms
    worker = MemoryWorker(2, store=MemoryStore(clock=lambda: store_ms))
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    worker.consumer.progress_of[CALLS] = ConsumerProgress(2, 2, FETCHED_MS - 300)
    with capture_logs() as logs:
        heartbeats = await worker.partitions.report_heartbeats()
    assert heartbeats == {CALLS: Heartbeat(store_ms - 300, 0, LAST_MS, ahead_ms)}
    assert worker.context.watermark_ms == store_ms - 300
    assert worker.partitions.clock_ahead_ms == ahead_ms
    assert not logs, "said once, when the partitions were assigned"
    await worker.partitions.revoke()
    reader = MetricsReader(worker.store, Settings())
    await reader.refresh(store_ms + 70_000)
    assert reader.data_age_s(store_ms + 70_000) == 70.3, "the worker died"


async def test_a_clock_that_is_set_forward_between_two_heartbeats_makes_none_from_the_future() -> None:
    own, shared = ManualClock(FETCHED_MS), ManualClock(FETCHED_MS)
    worker = MemoryWorker(2, store=MemoryStore(clock=lambda: shared.now_ms), own_clock=lambda: own.now_ms)
    await worker.partitions.assign([CALLS])
    own.now_ms += MINUTES_10
    worker.consumer.progress_of[CALLS] = ConsumerProgress(2, 2, own.now_ms)
    await worker.deliver(0, 2)
    worker.consumer.progress_of[CALLS] = ConsumerProgress(2, 3, own.now_ms)
    for passed_ms in (0, 1_000, 69_000):
        own.now_ms += passed_ms
        shared.now_ms += passed_ms
        with capture_logs():
            heartbeats = await worker.partitions.report_heartbeats()
        assert heartbeats[CALLS].caught_up_at == FETCHED_MS
    await worker.partitions.revoke()


async def test_a_heartbeat_from_the_future_does_not_move_the_watermark() -> None:
    worker = MemoryWorker(2, store=MemoryStore(clock=lambda: FETCHED_MS))
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 2)
    worker.consumer.progress_of[CALLS] = ConsumerProgress(2, 2, FETCHED_MS)
    await worker.store.beat({OTHERS: Heartbeat(FETCHED_MS + MINUTES_10, 0, LAST_MS)})
    await worker.partitions.report_heartbeats()
    assert worker.context.watermark_ms == 0
    await worker.partitions.revoke()


@pytest.mark.parametrize(
    ("sentence", "deltas", "lag", "is_merged"),
    [
        ("an hour with 95 deltas is left", 95, 0, False),
        ("one with 96 is merged", 96, 0, True),
        ("also by a worker that is 5,000 records behind", 96, 5_000, True),
        ("not by one that is further behind", 96, 5_001, False),
        ("nor with 4,095 deltas", 4_095, 5_001, False),
        ("only with 4,096", 4_096, 5_001, True),
    ],
)
async def test_hours_with_many_deltas_are_merged(
    sentence: str, deltas: int, lag: int, is_merged: bool
) -> None:
    hour: PaneHour = ("long", NOON // HOUR)
    worker = MemoryWorker(2)
    await worker.partitions.assign([CALLS])
    await worker.deliver(0, 1)
    await worker.deliver(1, 2)
    worker.consumer.progress_of[CALLS] = ConsumerProgress(2, 2 + lag, FETCHED_MS)
    worker.context.note_deltas([hour] * (deltas - 2))
    await worker.partitions.compact()
    assert len(worker.store.panes[hour]) == (1 if is_merged else 2)
    await worker.partitions.revoke()
