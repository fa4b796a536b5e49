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
from streamer.worker.partitions import AssignedPartition, AssignedPartitions, ConsumerProgress, TaggedBatch
from streamer.worker.pipeline import PartitionFenced, PartitionProcessor
from tests.counting import processing_context
from tests.facts import NOON, call
from tests.messages import record

PARTITIONS: Final = [Partition("call-completed", number) for number in range(3)]
RECORDS: Final = 15
TICK_S: Final = 0.05
FAULTS: Final = ("zombie", "switch", "fail over", "empty", "pause", "lose", "flow", "rebalance", "grow")
BOUND_S: Final = 120.0
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
    """Delays of calls; while `is_faulty`, some time out, before or after they took effect."""

    def __init__(self, random: Random) -> None:
        self.random, self.is_faulty = random, True

    async def delay(self) -> None:
        await asyncio.sleep(self.random.choice((0, 0, 0, 0.001, 0.02, 0.5)))

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


class ModelBroker:
    """Logs, and a consumer of them as Faust's is: it fetches, tags each batch, and delivers batch after batch
    by one task, through a short queue."""

    def __init__(self, network: SlowNetwork) -> None:
        self.logs: dict[Partition, list[KafkaRecord]] = {partition: [] for partition in PARTITIONS}
        self.assigned: AssignedPartitions
        self._network = network
        self._positions: dict[Partition, int] = {}
        self._seek_ids: dict[Partition, int] = {}
        self._fetched: deque[tuple[Partition, TaggedBatch]] = deque()
        for partition in PARTITIONS:
            self.grow(partition, RECORDS)

    def grow(self, partition: Partition, count: int) -> None:
        log = self.logs[partition]
        for offset in range(len(log), len(log) + count):
            event = call(f"c{partition.number}-{offset}", NOON + offset * 1_000, queue="billing")
            log.append(record(event, partition.number, offset, NOON + offset * 1_000))

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        await self._network.delay()
        for partition, offset in offsets.items():
            if seek_id > self._seek_ids.get(partition, -1):
                self._positions[partition], self._seek_ids[partition] = offset, seek_id

    def progress(self, partition: Partition) -> ConsumerProgress | None:
        if partition not in self._positions:
            return None
        return ConsumerProgress(self._positions[partition], len(self.logs[partition]), NOON)

    async def end_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {partition: len(self.logs[partition]) for partition in partitions}

    async def probe(self, offsets: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        await self._network.delay()
        return {partition: self._snapshot(self.logs[partition]) for partition in offsets}

    def _snapshot(self, log: Sequence[KafkaRecord]) -> LogSnapshot:
        points = [record_checkpoint(one.offset, one.timestamp, one.key, one.value) for one in log]
        return LogSnapshot(0, {point.offset: point for point in points}, len(log))

    async def fetch_all(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for partition in self.assigned.partitions():
                first = self._positions.get(partition, 0)
                batch = self.logs[partition][first : first + self._network.random.randint(1, 5)]
                if batch and len(self._fetched) < 8:
                    self._positions[partition] = batch[-1].offset + 1
                    tagged = self.assigned.tag_batch(partition, self._seek_ids.get(partition), batch)
                    self._fetched.append((partition, tagged))

    async def deliver_all(self) -> None:
        while True:
            while self._fetched:
                await self.assigned.enqueue(*self._fetched.popleft())
                await self._network.delay()
            await asyncio.sleep(TICK_S)

    def lose(self, count: int) -> None:
        for _ in range(min(count, len(self._fetched))):
            self._fetched.popleft()


class ProgressModel:
    """A worker, its broker, its store, and the faults that a seed chooses."""

    def __init__(self, seed: int, kind: type[AssignedPartitions]) -> None:
        self.random = Random(f"progress {seed}")
        self.network = SlowNetwork(self.random)
        self.store = MemoryStore()
        self.broker = ModelBroker(self.network)
        context = processing_context(SlowStore(self.store, self.network), CountingRules(), NOON)  # type: ignore[arg-type]
        self.assigned = kind(context, self.broker)
        self.assigned.consumer = self.broker
        self.broker.assigned = self.assigned
        self._kept = pickle.dumps(vars(self.store))

    async def run(self) -> None:
        failures: list[BaseException] = []
        self.assigned.on_failure = failures.append
        await self.assigned.assign(PARTITIONS)
        loops = (self.broker.fetch_all(), self.broker.deliver_all(), self._report())
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            for _ in range(self.random.randint(1, 8)):
                await asyncio.sleep(self.random.choice((0.05, 0.3, 1.0, 4.0)))
                await self._fault(self.random.choice(FAULTS))
            self.network.is_faulty = False
            async with asyncio.timeout(BOUND_S):
                while not self._is_all_counted():  # noqa: ASYNC110 - of made-up time
                    await asyncio.sleep(0.5)
            assert not failures
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.assigned.revoke()

    async def _report(self) -> None:
        while True:
            await retry_forever(self.assigned.report_heartbeats)
            await asyncio.sleep(1.0)

    def _is_all_counted(self) -> bool:
        positions = self.store.data.positions
        ends = {partition: len(log) for partition, log in self.broker.logs.items()}
        return {partition: position.next for partition, position in positions.items()} == ends

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
                self.broker.lose(self.random.randint(1, 3))
            case "flow":
                self.broker.lose(8)
                await self.assigned.resume()
            case "rebalance":
                await self.assigned.assign(PARTITIONS)
            case "grow":
                self.broker.grow(partition, 5)

    async def _count_elsewhere(self, partition: Partition) -> None:
        """Count some records in a worker that still believes it owns the partition."""
        position = self.store.data.positions.get(partition)
        if position is None:
            return
        records = self.broker.logs[partition][position.next :][: self.random.randint(1, 7)]
        zombie = PartitionProcessor(
            partition, position, processing_context(self.store, CountingRules(), NOON)
        )
        if records:
            with suppress(PartitionFenced):
                await zombie.count(records, records[-1].offset + 1)


def goes_on(seed: int, kind: type[AssignedPartitions] = AssignedPartitions) -> bool:
    """Tell whether all is counted in time."""
    loop = MadeUpTime()
    try:
        with capture_logs():
            loop.run_until_complete(ProgressModel(seed, kind).run())
    except (TimeoutError, AssertionError):
        return False
    finally:
        loop.close()
    return True


def test_all_is_counted_in_time_whatever_went_wrong_before() -> None:
    assert [seed for seed in SEEDS if not goes_on(seed)] == []


class ForgetsToSeek(AssignedPartitions):
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
        TrustsAQuietPartition,
        StopsOnARefusal,
    ],
)
def test_a_planted_fault_that_stops_a_partition_is_found(fault: type[AssignedPartitions]) -> None:
    assert not all(goes_on(seed, fault) for seed in SEEDS)


def test_a_task_that_nobody_wakes_is_found() -> None:
    loop = MadeUpTime()
    with pytest.raises(AssertionError, match="nothing will wake them"):
        loop.run_until_complete(loop.create_future())
    loop.close()
