"""Each partition goes on within a bounded time after any refusal, switch, pause, seek, loss or rebalance.

A worker's partitions run over logs and a store in memory, in an event loop whose time is made up: every call
takes as long as a seeded random says, and faults come in between. Afterwards nothing more goes wrong, and all
must be counted within BOUND_S. A task that nobody wakes ends the loop at once, as an error.
"""

import asyncio
import pickle
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final, TypeVar

import pytest
from structlog.testing import capture_logs

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.runtime.retry import retry_forever
from streamer.store.memory import GenerationData, MemoryStore
from streamer.store.port import LogPosition, Partition
from streamer.worker.log_identity import LogSnapshot, record_checkpoint
from streamer.worker.partitions import (
    NOT_SOUGHT,
    AssignedPartition,
    AssignedPartitions,
    ConsumerProgress,
    FetchCount,
    GroupShare,
    TaggedBatch,
)
from streamer.worker.pipeline import PartitionFenced, PartitionProcessor
from tests.counting import processing_context
from tests.facts import NOON, call
from tests.messages import record

PARTITIONS: Final = [Partition("call-completed", number) for number in range(3)]
RECORDS: Final = 15
TICK_S: Final = 0.05
FAULTS: Final = ("zombie", "switch", "fail over", "empty", "pause", "grow", "rebalance", "leave", "lose")
REBALANCE_PLANS: Final = (
    ("empty", "rebalance"), ("empty", "rebalance", "grow"), ("empty", "grow"), ("rebalance", "rebalance"),
    ("leave", "rebalance"), ("zombie", "rebalance"),
)  # fmt: skip
"""Faults, one soon after the other, that by themselves lose no batch: nothing needs to be fetched again."""
BOUND_S: Final = 600.0
"""Of made-up time: some hundred calls of half a second at most, and the pauses between attempts."""
SEEDS: Final = range(40)
T = TypeVar("T")


class MadeUpTime(asyncio.SelectorEventLoop):
    """Event loop that never waits: its time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._made_up_s = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout_s: float | None) -> Any:
            assert timeout_s is not None, "all tasks wait, and nothing will wake them"
            self._made_up_s += max(0.0, timeout_s)
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._made_up_s


class SlowNetwork:
    """Delays of calls: short ones, or also long ones; while `is_faulty`, some calls time out, before or after
    they took effect."""

    def __init__(self, random: Random) -> None:
        self.random, self.is_faulty = random, True
        self._delays_s = random.choice(
            ((0, 0.001, 0.02), (0, 0, 0.001, 0.02, 0.5), 4 * (0, 0.001, 0.02) + (5.0,))
        )

    async def delay(self) -> None:
        await asyncio.sleep(self.random.choice(self._delays_s))

    async def over(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await self.delay()
        if self.is_faulty and self.random.random() < 0.05:
            raise TimeoutError
        answer = await call()
        await self.delay()
        if self.is_faulty and self.random.random() < 0.05:
            raise TimeoutError
        return answer


class SlowStore:
    """Store whose calls go over the network."""

    def __init__(self, inner: MemoryStore, network: SlowNetwork) -> None:
        self._inner, self._network = inner, network

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return lambda *args: self._network.over(lambda: method(*args))


class ModelLogs:
    """Logs in memory, and the probe that reads them."""

    def __init__(self, network: SlowNetwork) -> None:
        self._network = network
        self._logs: dict[Partition, list[KafkaRecord]] = {partition: [] for partition in PARTITIONS}
        for partition in PARTITIONS:
            self.grow(partition, RECORDS)

    def __getitem__(self, partition: Partition) -> Sequence[KafkaRecord]:
        return self._logs[partition]

    def ends(self) -> dict[Partition, int]:
        return {partition: len(log) for partition, log in self._logs.items()}

    def grow(self, partition: Partition, count: int) -> None:
        log = self._logs[partition]
        for offset in range(len(log), len(log) + count):
            event = call(f"c{partition.number}-{offset}", NOON + offset * 1_000, queue="billing")
            log.append(record(event, partition.number, offset, NOON + offset * 1_000))

    async def end_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {partition: len(self._logs[partition]) for partition in partitions}

    async def probe(self, offsets: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        await self._network.delay()
        return {partition: self._snapshot(self._logs[partition]) for partition in offsets}

    def _snapshot(self, log: Sequence[KafkaRecord]) -> LogSnapshot:
        points = [record_checkpoint(one.offset, one.timestamp, one.key, one.value) for one in log]
        return LogSnapshot(0, {point.offset: point for point in points}, len(log))


class ModelConsumer:
    """Consumer as Faust's is, with its adapter.

    aiokafka holds a fetch while the group is formed, and begins each assignment at the offsets in Kafka. What
    was fetched reaches Faust's loop later, which drops it where flow is stopped, a partition is paused or the
    generation is another, and else passes it on through one short queue. After each rebalance a task of its
    own seeks and lets the flow go on, whatever has begun meanwhile; the next one cancels it."""

    def __init__(self, logs: ModelLogs, network: SlowNetwork) -> None:
        self.assigned: AssignedPartitions
        self._logs, self._network = logs, network
        self._partitions: list[Partition] = []
        self._positions: dict[Partition, int] = {}
        self._counts: dict[Partition, FetchCount] = {}
        self._generation = 0
        self._active: set[Partition] = set()
        self._queue: deque[tuple[Partition, TaggedBatch]] = deque()
        self._flow, self._is_joined, self._forming = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self.recoveries: list[asyncio.Task[None]] = []

    def share(self) -> GroupShare:
        return GroupShare(self._generation, self._partitions)

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        await self._network.delay()
        for partition, offset in offsets.items():
            if seek_id > self.fetched(partition).seek_id and partition in self._partitions:
                self._positions[partition], self._counts[partition] = offset, FetchCount(seek_id, 0)
        await self._network.delay()

    def fetched(self, partition: Partition) -> FetchCount:
        return self._counts.get(partition, NOT_SOUGHT)

    def progress(self, partition: Partition) -> ConsumerProgress | None:
        if partition not in self._positions:
            return None
        return ConsumerProgress(self._positions[partition], len(self._logs[partition]), NOON)

    async def rebalance(self, partitions: Sequence[Partition]) -> None:
        async with self._forming:
            self._is_joined.clear()
            await self.assigned.revoke()
            self._flow.clear()
            self._active.clear()
            await self._network.delay()
            self._begin_assignment(partitions)
            self._is_joined.set()
            await self._network.delay()
            self._generation += 1
            await self._network.delay()
            self.assigned.expect_share()
            self._active.clear()
            await self._network.delay()
            for recovery in self.recoveries:
                recovery.cancel()
            self.recoveries.append(asyncio.create_task(self._recover(self._generation)))

    def _begin_assignment(self, partitions: Sequence[Partition]) -> None:
        self._partitions, self._counts = list(partitions), {}
        ends = self._logs.ends()
        self._positions = {one: self._network.random.randint(0, ends[one]) for one in partitions}

    async def _recover(self, generation: int) -> None:
        await self._network.delay()
        if generation != self._generation:
            return
        self._active = {*self._partitions}
        await self.assigned.seek_to_positions()
        self._flow.set()

    async def fetch_all(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self._flow.wait()
            await self._is_joined.wait()
            await self._network.delay()
            taken = self._take()
            await self._network.delay()
            if self._flow.is_set():
                await self._pass_all(taken)
            else:
                await self.assigned.seek_to_positions()

    def _take(self) -> list[tuple[Partition, TaggedBatch]]:
        taken = []
        for partition in self._partitions:
            first = self._positions[partition]
            batch = self._logs[partition][first : first + self._network.random.randint(1, 5)]
            if batch and (not self._active or partition in self._active):
                self._positions[partition] = batch[-1].offset + 1
                taken.append((partition, self._number(partition, batch)))
        return taken

    def _number(self, partition: Partition, batch: Sequence[KafkaRecord]) -> TaggedBatch:
        seek_id, batch_count = self.fetched(partition)
        self._counts[partition] = FetchCount(seek_id, batch_count + 1)
        return TaggedBatch(*self._counts[partition], batch)

    async def _pass_all(self, taken: Sequence[tuple[Partition, TaggedBatch]]) -> None:
        generation = self._generation
        for partition, tagged in taken:
            if not self._flow.is_set() or generation != self._generation:
                return
            if partition in self._active:
                await self._pass_on(partition, tagged)

    async def _pass_on(self, partition: Partition, tagged: TaggedBatch) -> None:
        while self._flow.is_set():
            if len(self._queue) < 8:
                self._queue.append((partition, tagged))
                return
            await asyncio.sleep(TICK_S)

    async def deliver_all(self) -> None:
        while True:
            while self._queue:
                await self.assigned.enqueue(*self._queue.popleft())
                await self._network.delay()
            await asyncio.sleep(TICK_S)

    def lose(self, count: int) -> None:
        for _ in range(min(count, len(self._queue))):
            self._queue.popleft()


class ProgressModel:
    """A worker, its consumer, its store, and the faults that a seed chooses."""

    def __init__(
        self,
        seed: int,
        kind: type[AssignedPartitions],
        plans: Sequence[Sequence[str]] = (),
    ) -> None:
        """`plans`: one of them is followed; without any, faults come at random."""
        self.random = Random(f"progress {seed}")
        self.network, group_network = SlowNetwork(self.random), SlowNetwork(self.random)
        self.store = MemoryStore()
        self.logs = ModelLogs(self.network)
        self.consumer = ModelConsumer(self.logs, group_network)
        context = processing_context(SlowStore(self.store, self.network), CountingRules(), NOON)  # type: ignore[arg-type]
        self.assigned = kind(context, self.logs)
        self.assigned.consumer, self.consumer.assigned = self.consumer, self.assigned
        self._plans = plans
        self._rebalances: list[asyncio.Task[None]] = []
        self._kept = pickle.dumps(vars(self.store))

    async def run(self) -> None:
        failures: list[BaseException] = []
        self.assigned.on_failure = failures.append
        loops = (self.consumer.fetch_all(), self.consumer.deliver_all(), self._report())
        tasks = [asyncio.create_task(loop) for loop in loops]
        await self.consumer.rebalance(PARTITIONS)
        try:
            for pause_s, fault in self._plan():
                await asyncio.sleep(pause_s)
                await self._fault(fault)
            self.network.is_faulty = False
            await asyncio.gather(*self._rebalances)
            if len(self.consumer.share().partitions) < len(PARTITIONS):
                await self.consumer.rebalance(PARTITIONS)
            await asyncio.sleep(self.random.choice((0.0, 0.3, 4.0)))
            count = self.random.choice((0, 5))
            for partition in PARTITIONS:
                self.logs.grow(partition, count)
            async with asyncio.timeout(BOUND_S):
                while not self._is_all_counted():  # noqa: ASYNC110 - of made-up time
                    await asyncio.sleep(0.5)
            counters = await self.store.counters()
            assert counters["events\x1fcall-completed\x1fapplied"] == sum(self.logs.ends().values())
            assert not failures
        finally:
            tasks += [*self._rebalances, *self.consumer.recoveries]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.assigned.revoke()

    def _plan(self) -> list[tuple[float, str]]:
        """Return faults, and how long after the one before each comes."""
        random = self.random
        if self._plans:
            first, *others = random.choice(self._plans)
            return [(20.0, first), *((random.uniform(0.0, 3.0), fault) for fault in others)]
        return [
            (random.choice((0.0, 0.05, 0.3, 1.0, 4.0)), random.choice(FAULTS))
            for _ in range(random.randint(2, 10))
        ]

    async def _report(self) -> None:
        while True:
            await retry_forever(self.assigned.report_heartbeats)
            await asyncio.sleep(1.0)

    def _is_all_counted(self) -> bool:
        positions = self.store.data.positions
        return {partition: position.next for partition, position in positions.items()} == self.logs.ends()

    async def _fault(self, fault: str) -> None:
        data = self.store.data
        partition = self.random.choice(PARTITIONS)
        match fault:
            case "zombie":
                await self._count_elsewhere(partition)
            case "switch":
                data.positions = {
                    p: LogPosition("another", at.next, self.random.randbytes(8), at.checkpoints)
                    for p, at in data.positions.items()
                }
            case "fail over":
                earlier, self._kept = self._kept, pickle.dumps(vars(self.store))
                vars(self.store).update(pickle.loads(earlier))
            case "empty":
                vars(data).update(vars(GenerationData()))
            case "pause":
                self.store.paused_until_s = asyncio.get_running_loop().time() + 3.0
            case "lose":
                self.consumer.lose(self.random.randint(1, 3))
            case "rebalance":
                self._begin_rebalance(PARTITIONS)
            case "leave":
                self._begin_rebalance([one for one in PARTITIONS if one != partition])
            case "grow":
                self.logs.grow(partition, 5)

    def _begin_rebalance(self, partitions: Sequence[Partition]) -> None:
        """Begin to form the group again; other faults, and the next rebalance, come meanwhile."""
        self._rebalances.append(asyncio.create_task(self.consumer.rebalance(partitions)))

    async def _count_elsewhere(self, partition: Partition) -> None:
        """Count some records in a worker that still believes it owns the partition."""
        position = self.store.data.positions.get(partition)
        if position is None:
            return
        records = self.logs[partition][position.next :][: self.random.randint(1, 7)]
        zombie = PartitionProcessor(
            partition, position, processing_context(self.store, CountingRules(), NOON)
        )
        if records:
            with suppress(PartitionFenced):
                await zombie.count(records, records[-1].offset + 1)


def goes_on(
    seed: int,
    kind: type[AssignedPartitions] = AssignedPartitions,
    plans: Sequence[Sequence[str]] = (),
) -> bool:
    """Tell whether all is counted in time."""
    loop = MadeUpTime()
    try:
        with capture_logs():
            loop.run_until_complete(ProgressModel(seed, kind, plans).run())
    except (TimeoutError, AssertionError):
        return False
    finally:
        loop.close()
    return True


def test_all_is_counted_in_time_whatever_went_wrong_before() -> None:
    assert [seed for seed in SEEDS if not goes_on(seed)] == []


class NeverFetchesAgain(AssignedPartitions):
    """Partitions that rely on all batches to arrive."""

    async def _fetch_stuck_again(self) -> None:
        pass


def test_no_batch_is_lost_when_the_group_is_formed_again_while_partitions_are_fenced_or_sought() -> None:
    failing = [seed for seed in SEEDS if not goes_on(seed, NeverFetchesAgain, plans=REBALANCE_PLANS)]
    assert failing == []


class ForgetsToSeek(NeverFetchesAgain):
    """Fault: a batch after a gap is dropped, and nobody seeks back."""

    async def enqueue(self, partition: Partition, batch: TaggedBatch) -> None:
        assigned = self._assigned.get(partition)
        if assigned is not None and batch.sequence == assigned.queued_count + 1:
            await super().enqueue(partition, batch)


class SeeksToWhereItWas(AssignedPartitions):
    """Fault: a fenced partition seeks to where it is, not to where the store is."""

    async def _handle_fenced(self, assigned: AssignedPartition, position: LogPosition | None) -> None:
        await self._rewind(assigned, assigned.processor.position)


class KeepsItsSeekId(AssignedPartitions):
    """Fault: it waits for batches of a seek that was never made."""

    async def _rewind(self, assigned: AssignedPartition, position: LogPosition) -> None:
        await super()._rewind(assigned, position)
        assigned.seek_id += 1 if assigned.partition == PARTITIONS[0] else 0


class LeavesTheQueueFull(AssignedPartitions):
    """Fault: after a seek the numbers go on where they were."""

    async def _rewind(self, assigned: AssignedPartition, position: LogPosition) -> None:
        queued_count = assigned.queued_count
        await super()._rewind(assigned, position)
        assigned.queued_count = queued_count


class TrustsAQuietPartition(AssignedPartitions):
    """Fault: nobody looks whether the store still has what a quiet partition counted."""

    async def report_heartbeats(self) -> Any:
        return self.heartbeats()


class StopsOnARefusal(AssignedPartitions):
    """Fault: the task of a refused partition ends."""

    async def _handle_fenced(self, assigned: AssignedPartition, position: LogPosition | None) -> None:
        await super()._handle_fenced(assigned, position)
        assigned.is_revoked = True


@pytest.mark.parametrize(
    "fault",
    [
        ForgetsToSeek,
        SeeksToWhereItWas,
        KeepsItsSeekId,
        LeavesTheQueueFull,
        StopsOnARefusal,
    ],
)
def test_a_planted_fault_that_stops_a_partition_is_found(fault: type[AssignedPartitions]) -> None:
    assert not all(goes_on(seed, fault) for seed in SEEDS)


class SeeksForWhatWasRevoked(NeverFetchesAgain):
    """Fault: a heartbeat seeks for a partition that was revoked meanwhile, and has come back."""

    async def _rewind(self, assigned: AssignedPartition, position: LogPosition) -> None:
        is_revoked, assigned.is_revoked = assigned.is_revoked, False
        try:
            await super()._rewind(assigned, position)
        finally:
            assigned.is_revoked = is_revoked


class MovesUnderABatch(NeverFetchesAgain):
    """Fault: a heartbeat moves the position that a batch in work goes on from."""

    async def _rewind(self, assigned: AssignedPartition, position: LogPosition) -> None:
        assigned.processor.position = position
        await super()._rewind(assigned, position)


PLANTED_SEEDS: Final = range(60, 80)


@pytest.mark.parametrize(
    ("fault", "plan"),
    [
        (SeeksForWhatWasRevoked, ("empty", "rebalance", "grow")),
        (MovesUnderABatch, ("empty", "grow")),
        (TrustsAQuietPartition, ("empty",)),
    ],
)
def test_a_planted_fault_that_shows_after_an_emptied_store_is_found(
    fault: type[AssignedPartitions], plan: Sequence[str]
) -> None:
    assert not all(goes_on(seed, fault, plans=[plan]) for seed in PLANTED_SEEDS)


def test_a_task_that_nobody_wakes_is_found() -> None:
    loop = MadeUpTime()
    with pytest.raises(AssertionError, match="nothing will wake them"):
        loop.run_until_complete(loop.create_future())
    loop.close()
