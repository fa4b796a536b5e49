"""Exact numbers at any await: whichever worker owns a partition, crashes, times out, or the store fails over.

Committers, compactors and readers are coroutines that are stepped by hand over one store in memory, in the
order and with the faults that Hypothesis chooses. There is no clock and no event loop.
"""

import asyncio
import pickle
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamer.events.counting_rules import DAY, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import Event, RejectedEvent, Segment
from streamer.panes.pane_keys import PaneHour
from streamer.panes.rollup import MERGE
from streamer.runtime.retry import retry_forever
from streamer.store.memory import MemoryStore
from streamer.store.port import (
    TOKEN_BYTES,
    ChangeCursor,
    Commit,
    CommitApplied,
    CommitOutcome,
    DocumentSnapshot,
    Heartbeat,
    LogPosition,
    Partition,
    StoreChanges,
    StoreVersion,
)
from streamer.worker import partitions, pipeline
from streamer.worker.log_identity import LogSnapshot, record_checkpoint, resolve_start_position
from streamer.worker.partitions import (
    NOT_SOUGHT,
    AssignedPartitions,
    ConsumerProgress,
    FetchCount,
    GroupShare,
    TaggedBatch,
)
from streamer.worker.pipeline import DeadLetter, PartitionFenced, PartitionProcessor, ProcessingContext
from tests import strategies
from tests.counting import (
    NullObserver,
    RecordedDeadLetters,
    partition_processor,
    processing_context,
    stored_tallies,
)
from tests.messages import logs, record
from tests.store.test_store import Follower, Sums, whole
from tests.strategies import START
from tests.test_exactness import (
    SLOW,
    Logs,
    Place,
    at_once,
    decoded_events,
    expected_tallies,
    published,
    results,
    visit,
)

T = TypeVar("T")
Work = Coroutine[Any, Any, None]

GO, LOST, LATE, ARRIVE, CRASH, FAIL_OVER = "go", "lost", "late", "arrive", "crash", "fail over"
FATES = (*[GO] * 12, LOST, LOST, LATE, ARRIVE, CRASH, FAIL_OVER)
"""Fates of the next step: no fault; a time-out, before or after the call took effect; a time-out of a call
that takes effect at the next ARRIVE; a crash of the coroutine that made it; a failover."""
_KEPT = 5


class YieldPoint:
    """Point where other coroutines may run. The value sent is the fate of the next step."""

    def __await__(self) -> Generator[None, str, str]:
        return (yield)


class StepNetwork:
    """Network whose calls take two steps: one to reach the other side, one to come back."""

    def __init__(self) -> None:
        self.late: list[Callable[[], Work]] = []

    async def over(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        fate = await YieldPoint()
        if fate == LATE:
            self.late.append(call)
        if fate in (LOST, LATE):
            raise TimeoutError
        answer = at_once(call())
        if await YieldPoint() in (LOST, LATE):
            raise TimeoutError
        return answer

    def arrive(self, which: int) -> None:
        if self.late:
            at_once(self.late.pop(which % len(self.late))())


class RemoteStore:
    """Store on the other side of a network, which remembers its past states."""

    def __init__(
        self, inner: MemoryStore, network: StepNetwork, letters: "FarLetters", rejected: set[KafkaRecord]
    ):
        self.inner = inner
        self.past_sums: list[Sums] = [{}]
        self._network = network
        self._letters = letters
        self._rejected = rejected
        self._kept = [pickle.dumps(vars(inner))]

    def fail_over(self, back: int) -> None:
        vars(self.inner).update(pickle.loads(self._kept[back % len(self._kept)]))

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        return await self._network.over(lambda: self._commit(commit, now_ms))

    async def _commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        outcome = await self.inner.commit(commit, now_ms)
        if outcome == CommitApplied():
            letter_places = {
                (record.topic, record.partition, record.offset) for record, _ in self._letters.letters
            }
            counted = range(commit.start, commit.position.next)
            for record in self._rejected:
                if (record.topic, record.partition) == commit.partition and record.offset in counted:
                    assert (record.topic, record.partition, record.offset) in letter_places
            await self._remember()
        return outcome

    async def _remember(self) -> None:
        self._kept = [*self._kept, pickle.dumps(vars(self.inner))][-_KEPT:]
        self.past_sums.append(await whole(self.inner))

    async def move(self, partition: Partition, before: LogPosition | None, after: LogPosition) -> bool:
        return await self._network.over(lambda: self._move(partition, before, after))

    async def _move(self, partition: Partition, before: LogPosition | None, after: LogPosition) -> bool:
        is_moved = await self.inner.move(partition, before, after)
        await self._remember()
        return is_moved

    async def read(self, keys: Sequence[bytes]) -> DocumentSnapshot:
        return await self._network.over(lambda: self.inner.read(keys))

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]:
        return await self._network.over(lambda: self.inner.positions(partitions))

    async def compact(self, pane_hour: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        delta_count: int = await self._network.over(lambda: self.inner.compact(pane_hour, merge))
        return delta_count

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        return await self._network.over(lambda: self.inner.changes(since, positions=positions))

    async def replace(self, version: StoreVersion, reads: Any, writes: Any, now_ms: int) -> bool:
        raise NotImplementedError

    async def forget(self, now_ms: int, at_most: int) -> int:
        raise NotImplementedError

    async def time_ms(self) -> int | None:
        raise NotImplementedError

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        raise NotImplementedError

    async def beats(self) -> dict[Partition, Heartbeat]:
        raise NotImplementedError

    async def counters(self) -> dict[str, int]:
        raise NotImplementedError

    async def rules(self) -> bytes | None:
        raise NotImplementedError

    async def set_rules(self, rules: bytes) -> bytes:
        raise NotImplementedError

    async def close(self) -> None: ...


class FarLetters(RecordedDeadLetters):
    """Dead-letter queue behind the same network."""

    def __init__(self, network: StepNetwork) -> None:
        super().__init__()
        self._network = network

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        await self._network.over(lambda: RecordedDeadLetters.send(self, letters))


class FaultScenario(NamedTuple):
    """Logs to count, the owners that count them (partition and batch size each), and a schedule of faults."""

    rules: CountingRules
    logs: Logs
    owners: Sequence[tuple[Place, int]]
    schedule: Sequence[tuple[int, str]]


@st.composite
def fault_scenarios(
    draw: st.DrawFn,
    events: st.SearchStrategy[list[Event]] | None = None,
    rules: st.SearchStrategy[CountingRules] | None = None,
) -> FaultScenario:
    events = draw(strategies.events(12) if events is None else events)
    written = logs([(event, draw(st.integers(0, 1))) for event in events], published)
    bad_offsets = {partition: draw(st.integers(-3, len(log))) for partition, log in written.items()}
    scenario_logs = {
        partition: _with_bad_record(log, bad_offsets[partition]) for partition, log in written.items()
    }
    owners = [
        (partition, draw(st.integers(1, 5)))
        for partition in scenario_logs
        for _ in range(draw(st.integers(1, 3)))
    ]
    length = draw(st.sampled_from((0, 40, 120, 250)))
    steps = st.tuples(st.integers(0, 9), st.sampled_from(FATES))
    schedule = draw(st.lists(steps, min_size=length, max_size=length))
    return FaultScenario(
        draw(strategies.rules() if rules is None else rules), scenario_logs, owners, schedule
    )


def _with_bad_record(log: Sequence[KafkaRecord], at: int) -> Sequence[KafkaRecord]:
    """Return the log with an unreadable record inserted at `at`; unchanged where `at` is negative."""
    if at < 0:
        return log
    records = [*log[:at], log[0]._replace(value=b"{"), *log[at:]]
    return [record._replace(offset=offset) for offset, record in enumerate(records)]


async def count_all(
    shared: ProcessingContext,
    log: Sequence[KafkaRecord],
    size: int,
    kind: type[PartitionProcessor] = PartitionProcessor,
) -> None:
    """Run an owner of a partition until the whole log is counted."""
    partition = Partition(log[0].topic, log[0].partition)
    owner = kind(partition, await start(shared, partition, log), shared)
    while owner.position.next < len(log):
        batch = log[owner.position.next : owner.position.next + size]
        try:
            await owner.count(batch, batch[-1].offset + 1)
        except PartitionFenced as fence:
            owner.position = fence.position or await start(shared, partition, log)


async def start(shared: ProcessingContext, partition: Partition, log: Sequence[KafkaRecord]) -> LogPosition:
    """Return the position to start from, resolved as `AssignedPartitions` does."""
    while True:
        (stored,) = await retry_forever(lambda: shared.store.positions([partition]))
        after = resolve_start_position(partition, stored, _snapshot(log)).position
        if stored == after or await retry_forever(lambda: shared.store.move(partition, stored, after)):  # noqa: B023
            return after


def _snapshot(log: Sequence[KafkaRecord]) -> LogSnapshot:
    return LogSnapshot(
        0,
        {
            record.offset: record_checkpoint(record.offset, record.timestamp, record.key, record.value)
            for record in log
        },
        len(log) and log[-1].offset + 1,
    )


async def compact_all(remote: RemoteStore) -> None:
    while True:
        for pane_hour in [*remote.inner.panes]:
            await retry_forever(lambda: remote.compact(pane_hour, MERGE[pane_hour[0]]))  # noqa: B023
        await YieldPoint()


async def read_all(remote: RemoteStore, follower: Follower) -> None:
    """Run a reader, and check that each state it reads was a state of the store."""
    while True:
        if await retry_forever(lambda: follower.read(remote)):
            assert follower.sums in remote.past_sums
        await YieldPoint()


class StepScheduler:
    """Scheduler that steps coroutines; one that crashes is replaced by a new one."""

    def __init__(
        self, tasks: Sequence[Callable[[], Work]], remote: RemoteStore, network: StepNetwork
    ) -> None:
        self._tasks = tasks
        self._remote = remote
        self._network = network
        self._running: list[Work | None] = [None] * len(tasks)
        for number in range(len(tasks)):
            self._start_task(number)

    def _start_task(self, number: int) -> None:
        self._running[number] = self._tasks[number]()
        self._step(number, None)

    def _step(self, number: int, fate: str | None) -> None:
        running = self._running[number]
        try:
            if running is not None:
                running.send(fate)
        except StopIteration:
            self._running[number] = None

    def apply_fate(self, who: int, fate: str) -> None:
        number = who % len(self._tasks)
        match fate:
            case "fail over":
                self._remote.fail_over(who)
            case "arrive":
                self._network.arrive(who)
            case "crash":
                self._stop_task(number)
                self._start_task(number)
            case _ if self._running[number] is None:
                self._start_task(number)
            case _:
                self._step(number, fate)

    def _stop_task(self, number: int) -> None:
        running = self._running[number]
        if running is not None:
            running.close()

    def finish(self, numbers: Iterable[int]) -> None:
        """Restart these coroutines and step them in turn, without faults, until they end."""
        numbers = list(numbers)
        for number in numbers:
            self._stop_task(number)
            self._start_task(number)
        while any(self._running[number] is not None for number in numbers):
            for number in numbers:
                self._step(number, GO)

    def close(self) -> None:
        for number in range(len(self._tasks)):
            self._stop_task(number)


def check_scenario(
    scenario: FaultScenario,
    kind: type[PartitionProcessor] = PartitionProcessor,
    store: Callable[[], MemoryStore] = MemoryStore,
    check_numbers: Callable[[MemoryStore, FaultScenario], None] | None = None,
) -> None:
    """Check the property: run the scenario, let all owners finish, then compare with the oracle."""

    async def pause(_: float) -> None:
        await YieldPoint()

    with pytest.MonkeyPatch.context() as patch, capture_logs():
        patch.setattr(asyncio, "sleep", pause)
        patch.setattr(pipeline, "COMMIT_EVENTS", 3)
        _check_scenario(scenario, kind, store(), check_numbers or check_tallies)


def check_tallies(store: MemoryStore, scenario: FaultScenario) -> None:
    assert at_once(stored_tallies(store)) == expected_tallies(
        decoded_events(scenario.logs, scenario.rules), scenario.rules
    )


def _check_scenario(
    scenario: FaultScenario,
    kind: type[PartitionProcessor],
    inner: MemoryStore,
    check_numbers: Callable[[MemoryStore, FaultScenario], None],
) -> None:
    records = [record for log in scenario.logs.values() for record in log]
    rejected = {record for record in records if isinstance(decode(record, scenario.rules), RejectedEvent)}
    network = StepNetwork()
    letters = FarLetters(network)
    remote = RemoteStore(inner, network, letters, rejected)
    follower = Follower()

    def owner(partition: Place, size: int) -> Work:
        # each owner is a worker of its own
        shared = ProcessingContext(remote, scenario.rules, letters, NullObserver(), lambda: START)
        return count_all(shared, scenario.logs[partition], size, kind)

    owners = [
        lambda partition=partition, size=size: owner(partition, size) for partition, size in scenario.owners
    ]
    scheduler = StepScheduler(
        [*owners, lambda: compact_all(remote), lambda: read_all(remote, follower)], remote, network
    )
    try:
        for who, fate in scenario.schedule:
            scheduler.apply_fate(who, fate)
        scheduler.finish(range(len(owners)))
    finally:
        scheduler.close()
    check_numbers(inner, scenario)
    assert at_once(follower.follow(inner)) == at_once(whole(inner))
    counts = at_once(inner.counters())
    for topic in {topic for topic, _ in scenario.logs}:
        assert results(counts, topic) == len([record for record in records if record.topic == topic])
        assert counts.get(f"events\x1f{topic}\x1frejected", 0) == len(
            [r for r in rejected if r.topic == topic]
        )
    assert {record for record, _ in letters.letters} == rejected


@settings(SLOW, max_examples=60)
@given(fault_scenarios())
def test_zombies_crashes_time_outs_and_failovers_at_any_await_leave_the_oracles_tallies(
    play: FaultScenario,
) -> None:
    check_scenario(play)


# Two scenarios, step by step


class PausedStore:
    """Store whose commits wait for one step before they take effect."""

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        await YieldPoint()
        return await self._inner.commit(commit, now_ms)


class NumberedTokens(MemoryStore):
    """Faulty store: its nonces are counters, one higher at each write, and come back after a failover."""

    def _put(self, writes: Mapping[bytes, bytes | None], now_ms: int) -> None:
        super()._put(writes, now_ms)
        self.data.nonces[-1] = len(self.data.nonces).to_bytes(TOKEN_BYTES, "big")


def token_comes_back(store: MemoryStore) -> bool:
    """Tell whether the numbers are right although a token might come back.

    One of four visits of a customer is read and then lost in a failover. Another visit takes its place before
    a commit that had read the lost one.
    """
    visits = [visit(f"k{day}", START + day * DAY) for day in (0, 5, 6, 7)]
    base, lost, other, late = visits
    shared, paused = (
        processing_context(store, CountingRules()),
        processing_context(PausedStore(store), CountingRules()),
    )  # type: ignore[arg-type]
    for number in range(3):
        at_once(partition_processor(shared, "call-completed", number))

    def count(number: int, event: Segment, counted: ProcessingContext = shared) -> Work:
        at = at_once(partition_processor(shared, "call-completed", number))
        owner = PartitionProcessor(at.partition, at.position, counted)
        return owner.count([record(event, number, owner.position.next, event.time)], owner.position.next + 1)

    at_once(count(0, base))
    earlier = pickle.dumps(vars(store))
    at_once(count(1, lost))
    waiting = count(0, late, paused)
    waiting.send(None)
    vars(store).update(pickle.loads(earlier))
    at_once(count(2, other))
    with suppress(StopIteration):
        while True:
            waiting.send(None)
    at_once(count(1, lost))
    return at_once(stored_tallies(store)) == expected_tallies(visits, CountingRules())


def test_a_token_that_comes_back_after_a_failover() -> None:
    assert token_comes_back(MemoryStore())
    assert not token_comes_back(NumberedTokens())


class MemoryConsumer:
    """Consumer and log probe over one log in memory."""

    def __init__(self, records: Sequence[KafkaRecord]) -> None:
        self._records = records
        self._next = 0
        self._count = NOT_SOUGHT

    def share(self) -> GroupShare:
        return GroupShare(1, [Partition(self._records[0].topic, self._records[0].partition)])

    async def seek_to(self, offsets: Mapping[Partition, int], seek_id: int) -> None:
        (self._next,) = offsets.values()
        self._count = FetchCount(seek_id, 0)

    def fetched(self, partition: Partition) -> FetchCount:
        return self._count

    def progress(self, partition: Partition) -> ConsumerProgress:
        return ConsumerProgress(self._next, len(self._records), START)

    async def probe(self, offsets: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        return dict.fromkeys(offsets, _snapshot(self._records))

    def fetch(self, size: int) -> TaggedBatch | None:
        batch = [record for record in self._records if record.offset >= self._next][:size]
        if not batch:
            return None
        self._next = batch[-1].offset + 1
        self._count = self._count._replace(batch_count=self._count.batch_count + 1)
        return TaggedBatch(*self._count, batch)


class GatedStore(PausedStore):
    """Store whose first commit waits until `through` is set."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__(inner)
        self.reached, self.through = asyncio.Event(), asyncio.Event()
        self.commits: list[tuple[int, int]] = []

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        self.commits.append((commit.start, commit.position.next))
        self.reached.set()
        await self.through.wait()
        return await self._inner.commit(commit, now_ms)


class LogWorker:
    """AssignedPartitions over one log in memory."""

    def __init__(
        self, store: Any, log: Sequence[KafkaRecord], kind: type[AssignedPartitions] = AssignedPartitions
    ) -> None:
        self.partition = Partition(log[0].topic, log[0].partition)
        self._consumer = MemoryConsumer(log)
        self.assigned = kind(processing_context(store, CountingRules()), self._consumer)
        self.assigned.consumer = self._consumer

    async def start(self) -> None:
        await self.assigned.assign([self.partition])

    async def deliver(self, size: int = 2) -> None:
        """Enqueue the next records, then let other tasks run for a while."""
        if batch := self._consumer.fetch(size):
            await self.assigned.enqueue(self.partition, batch)
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        for _ in range(20):
            await self.deliver()
        await self.assigned.revoke()


def calls(offsets: Sequence[int]) -> tuple[list[Segment], list[KafkaRecord]]:
    """Return visits of one customer, a day apart, and the log that holds them at these offsets."""
    visits = [visit(f"k{day}", START + day * DAY) for day in range(len(offsets))]
    return visits, [record(event, 0, at, event.time) for event, at in zip(visits, offsets, strict=True)]


async def check_calls(store: MemoryStore, visits: Sequence[Segment]) -> None:
    assert results(await store.counters(), "call-completed") == len(visits)
    assert await stored_tallies(store) == expected_tallies(visits, CountingRules())


async def refused_while_buffered(kind: type[AssignedPartitions] = AssignedPartitions) -> None:
    """Count one record in a zombie while a batch of two waits to be committed and the next is buffered."""
    visits, log = calls(range(6))
    store = MemoryStore()
    gated = GatedStore(store)
    worker = LogWorker(gated, log, kind)
    await worker.start()
    await worker.deliver()
    await gated.reached.wait()
    await worker.deliver()
    zombie = await partition_processor(processing_context(store, CountingRules()), *worker.partition)
    await zombie.count(log[:1], 1)
    gated.through.set()
    await worker.finish()
    await check_calls(store, visits)


async def test_a_batch_refused_while_the_next_is_buffered() -> None:
    await refused_while_buffered()


async def test_a_failover_is_noticed_across_offsets_that_hold_no_record() -> None:
    visits, log = calls((0, 1, 2, 4, 5))
    store = MemoryStore()
    worker = LogWorker(store, log)
    await worker.start()
    await worker.deliver(1)
    earlier = pickle.dumps(vars(store))
    await worker.deliver(2)
    assert worker.assigned.position(worker.partition) == 3
    vars(store).update(pickle.loads(earlier))
    await worker.finish()
    await check_calls(store, visits)


async def test_offsets_that_hold_no_record_are_no_gap() -> None:
    visits, log = calls((3, 4, 7, 20))
    store = MemoryStore()
    worker = LogWorker(store, log)
    await worker.start()
    await worker.finish()
    await check_calls(store, visits)


async def test_batches_that_wait_are_counted_in_one_commit_but_never_across_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "BUFFERED", 4)
    visits, log = calls((0, 1, 2, 3, 9, 10))
    store = MemoryStore()
    gated = GatedStore(store)
    worker = LogWorker(gated, log)
    await worker.start()
    await worker.deliver(1)
    await gated.reached.wait()
    for _ in range(4):
        await worker.deliver(1)
    gated.through.set()
    await worker.finish()
    assert gated.commits == [(0, 1), (1, 4), (4, 10), (10, 11)]
    await check_calls(store, visits)
