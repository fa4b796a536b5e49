"""The checks find what they are there for: each fault, planted, makes a named one fail."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.events.models import Event, RejectedEvent, SurveyResponse, Tombstone
from streamer.journeys import apply as journeys_apply
from streamer.journeys.apply import PlannedEvent
from streamer.journeys.journey import FactGroup, Journey, Key, customer_key, fact_rank, own_journey_key
from streamer.journeys.working_set import Transaction, WorkingSet
from streamer.panes import rollup
from streamer.panes.fold import CommitDelta
from streamer.panes.pane_delta import LongSums
from streamer.panes.pane_keys import FINE_MS, PaneHour
from streamer.panes.rollup import Rollup
from streamer.runtime.retry import retry_forever
from streamer.store.memory import MemoryStore
from streamer.store.port import (
    ChangeCursor,
    Commit,
    CommitOutcome,
    LogPosition,
    StoreChanges,
    StoreVersion,
    VersionConflict,
)
from streamer.worker import pipeline
from streamer.worker.partitions import AssignedPartition, AssignedPartitions
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext, UnitOfWork
from tests import strategies, test_exactness
from tests.pane_deltas import row_sums
from tests.store import test_store
from tests.test_exactness import (
    SLOW,
    DeliveryOrder,
    ageing_histories,
    at_once,
    check_ageing,
    check_exact,
    crowded,
    deliveries,
)
from tests.test_interleaving import (
    FaultScenario,
    check_scenario,
    fault_scenarios,
    refused_while_buffered,
    token_comes_back,
)

Check = Callable[[], None]
Plant = Callable[[pytest.MonkeyPatch], None]


class CounterexampleError(AssertionError):
    """A check failed on something drawn; `without_fault` checks the same with no fault planted."""

    def __init__(self, without_fault: Check) -> None:
        super().__init__()
        self.without_fault = without_fault


def searched(
    examples: int,
    strategy: st.SearchStrategy[Any],
    check: Callable[[Any], None],
    check_without_fault: Callable[[Any], None] | None = None,
) -> None:
    """Look for a counterexample within a budget; always the same ones."""
    drawn: list[Any] = []

    def check_next(example: Any) -> None:
        drawn.append(example)
        check(example)

    budget = settings(
        SLOW, max_examples=examples, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False
    )
    try:
        budget(given(strategy)(check_next))()
    except AssertionError as failure:
        raise CounterexampleError(partial(check_without_fault or check, drawn[-1])) from failure


# The checks, each as the suite makes it


def exactness() -> None:
    def check(delivery: DeliveryOrder) -> None:
        at_once(check_exact(delivery, MemoryStore()))

    searched(60, deliveries(strategies.events(), strategies.rules()), check)


def shared_ids() -> None:
    def check(delivery: DeliveryOrder) -> None:
        at_once(check_exact(delivery, MemoryStore()))

    searched(60, deliveries(strategies.events(), crowded()), check)


def interleaving(
    kind: type[PartitionProcessor] = PartitionProcessor, store: type[MemoryStore] = MemoryStore
) -> None:
    def check(play: FaultScenario) -> None:
        check_scenario(play, kind, store)

    searched(250, fault_scenarios(), check, check_scenario)


def interleaving_of_processors(kind: type[PartitionProcessor]) -> None:
    interleaving(kind=kind)


def interleaving_on(store: type[MemoryStore]) -> None:
    interleaving(store=store)


def forgetting() -> None:
    searched(150, ageing_histories(), check_ageing)


def the_contact_taken_back() -> None:
    test_exactness.test_a_contact_taken_back_after_two_horizons_leaves_the_earlier_ones_as_they_were()


def the_buffered_batch(kind: type[AssignedPartitions] = AssignedPartitions) -> None:
    asyncio.run(refused_while_buffered(kind))


def of_the_store(check: Callable[..., Any], store: type[MemoryStore] = MemoryStore, **given: Any) -> None:
    """A test of the store's suite, on this one in memory."""

    async def run() -> None:
        kept = store()
        await check(kept, await test_store.Writer(kept).start(), **given)

    asyncio.run(run())


def the_store_writes_nothing(store: type[MemoryStore] = MemoryStore) -> None:
    check = test_store.test_a_commit_that_read_what_was_written_since_writes_nothing
    of_the_store(check, store, value=b"2")


def what_was_replaced(store: type[MemoryStore] = MemoryStore) -> None:
    of_the_store(test_store.test_a_commit_that_read_what_was_replaced_since_writes_nothing, store)


def what_was_forgotten(store: type[MemoryStore] = MemoryStore) -> None:
    of_the_store(test_store.test_a_commit_that_read_what_was_forgotten_since_writes_nothing, store)


def the_failover(store: type[MemoryStore] = MemoryStore) -> None:
    check = test_store.test_after_a_failover_a_commit_that_read_what_was_lost_writes_nothing
    of_the_store(check, store, url=None, center="")


def compacting(merge: Callable[[Sequence[bytes]], bytes] = rollup.merge_long) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_store, "MERGE", {**rollup.MERGE, "long": merge})
        of_the_store(test_store.test_compacting_changes_no_number, times=7)


def the_token() -> None:
    assert token_comes_back(MemoryStore())


DIRECT_CHECKS: Sequence[Check] = (
    the_contact_taken_back,
    the_buffered_batch,
    the_store_writes_nothing,
    what_was_replaced,
    what_was_forgotten,
    the_failover,
    compacting,
    the_token,
)


@pytest.mark.parametrize("check", DIRECT_CHECKS, ids=lambda one: one.__name__)
def test_without_a_fault_a_check_that_searches_nothing_passes(check: Check) -> None:
    check()


# The faults


def the_greatest_instead_of_the_sum(packed: Sequence[bytes]) -> bytes:
    found: dict[str, dict[int, int]] = {}
    for table in map(LongSums.unpacked, packed):
        for row, tally in table.tallies().items():
            known = found.setdefault(row, {})
            for number, amount in tally.items():
                known[number] = max(known.get(number, amount), amount)
    return row_sums(found)


def a_forgotten_subtraction(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.add_delta

    def add_delta(
        delta: CommitDelta, key: Key, before: Journey, after: Journey, rules: CountingRules
    ) -> None:
        whole(delta, key, Journey({}) if before is not after else after, after, rules)

    patch.setattr(pipeline, "add_delta", add_delta)


def a_sum_that_keeps_the_greatest(patch: pytest.MonkeyPatch) -> None:
    """Keep the greatest of what one batch adds to a cell and subtracts from it."""
    whole = Rollup.deltas

    def greatest(own: Rollup, delta: CommitDelta, oldest_pane: int = 0) -> dict[PaneHour, bytes]:
        gains = {(row.time_ms // FINE_MS, row.cell) for row in delta.added}
        removed = [row for row in delta.removed if (row.time_ms // FINE_MS, row.cell) not in gains]
        return whole(own, delta._replace(removed=removed), oldest_pane)

    patch.setattr(Rollup, "deltas", greatest)


def the_newest_of_several_versions(patch: pytest.MonkeyPatch) -> None:
    whole = UnitOfWork.load

    def load(own: UnitOfWork, version: StoreVersion, documents: Mapping[Key, bytes | None]) -> None:
        own._versions.clear()
        whole(own, version, documents)

    patch.setattr(UnitOfWork, "load", load)


def a_conflict_that_reads_nothing_again(patch: pytest.MonkeyPatch) -> None:
    whole = UnitOfWork.invalidate

    def invalidate(own: UnitOfWork, conflict: VersionConflict) -> None:
        whole(own, conflict._replace(keys=frozenset()))

    patch.setattr(UnitOfWork, "invalidate", invalidate)


def skipped_answers_counted_as_zero(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.decode

    def decode(record: KafkaRecord, *context: Any) -> Event | RejectedEvent:
        event = whole(record, *context)
        if isinstance(event, SurveyResponse) and event.nps is None:
            return replace(event, nps=0)
        return event

    patch.setattr(pipeline, "decode", decode)


def duplicates_known_by_their_offset_only(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.decode

    def decode(record: KafkaRecord, *context: Any) -> Event | RejectedEvent:
        event = whole(record, *context)
        if isinstance(event, SurveyResponse):
            return replace(event, response_id=f"{record.partition}:{record.offset}")
        return event

    patch.setattr(pipeline, "decode", decode)


def ties_of_versions_decided_by_arrival(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.apply

    def apply(planned: PlannedEvent, documents: WorkingSet, rules: CountingRules) -> bool:
        record = documents.records.get(planned.key)
        if record is not None and record.fact is not None and record.fact.version == planned.event.version:
            documents.records[planned.key] = replace(record, fact=replace(record.fact, digest=b""))
        return whole(planned, documents, rules)

    patch.setattr(pipeline, "apply", apply)


def a_tombstone_that_any_version_revives(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.apply

    def apply(planned: PlannedEvent, documents: WorkingSet, rules: CountingRules) -> bool:
        record = documents.records.get(planned.key)
        is_dead = record is not None and record.fact is not None and record.fact.deleted
        if record is not None and is_dead and not isinstance(planned.event, Tombstone):
            documents.records[planned.key] = replace(record, fact=replace(record.fact, version=-1))
        return whole(planned, documents, rules)

    patch.setattr(pipeline, "apply", apply)


def facts_that_left_a_contact_no_longer_counted_for_its_id(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journeys_apply, "_record_naming", lambda *_: None)


def facts_of_a_shared_contact_left_to_their_customer(patch: pytest.MonkeyPatch) -> None:
    whole = journeys_apply._home_journey_key

    def home(transaction: Transaction, group: FactGroup) -> Key:
        naming_facts = group.naming_facts()
        if not naming_facts:
            return whole(transaction, group)
        customer_id = max(naming_facts, key=fact_rank).customer_id
        assert customer_id is not None
        key = customer_key(customer_id)
        return own_journey_key(group.key) if transaction.journey(key).is_shared else key

    patch.setattr(journeys_apply, "_home_journey_key", home)


def contacts_forgotten_one_horizon_too_early(patch: pytest.MonkeyPatch) -> None:
    _forget_earlier_by(lambda rules: rules.horizon_ms, patch)


def contacts_forgotten_one_fcr_window_too_early(patch: pytest.MonkeyPatch) -> None:
    _forget_earlier_by(lambda rules: rules.fcr_ms, patch)


def _forget_earlier_by(ms: Callable[[CountingRules], int], patch: pytest.MonkeyPatch) -> None:
    exact = ProcessingContext.forget_before_ms
    assert exact is not None
    patch.setattr(
        ProcessingContext, "forget_before_ms", lambda own, records: exact(own, records) + ms(own.rules)
    )


class CommitsOffsetsEarly(PartitionProcessor):
    async def count(self, records: Sequence[KafkaRecord], end: int) -> None:
        early = replace(self.position, next=end)
        store = self.context.store
        if await retry_forever(lambda: store.move(self.partition, self.position, early)):
            self.position = early
        await super().count(records, end)


class StartsAtAFreshOffset(PartitionProcessor):
    async def count(self, records: Sequence[KafkaRecord], end: int) -> None:
        store = self.context.store
        (fresh,) = await retry_forever(lambda: store.positions([self.partition]))
        self.position = fresh or self.position
        await super().count(records, end)


class KeepsTheBufferOfAFencedBatch(AssignedPartitions):
    async def _handle_fenced(self, assigned: AssignedPartition, position: LogPosition | None) -> None:
        assigned.processor.position = position or assigned.processor.position


class WritesBeforeTheLastCheck(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        for key, value in commit.writes.items():
            if value is not None:
                self.documents[key] = value
        return await super().commit(commit, now_ms)


class ComparesNoVersions(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        return await super().commit(replace(commit, reads=()), now_ms)


class ComparesNoNonces(MemoryStore):
    def _is_known(self, version: StoreVersion | ChangeCursor) -> bool:
        return 0 <= version.sequence < len(self.data.nonces)


class LeavesNoWriteSet(MemoryStore):
    """Leave no write set for writes outside a commit."""

    async def replace(self, *args: Any, **others: Any) -> bool:
        is_written = await super().replace(*args, **others)
        self.data.writes[-1] = frozenset()
        return is_written

    async def forget(self, now_ms: int, at_most: int) -> int:
        forgotten = await super().forget(now_ms, at_most)
        self.data.writes[-1] = frozenset()
        return forgotten


class ComparesNoPositions(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        (found,) = await self.positions([commit.partition])
        start = found.next if found is not None else commit.start
        return await super().commit(replace(commit, start=start), now_ms)


class CountsACommitSentAgain(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        (found,) = await self.positions([commit.partition])
        if found is not None and found.token == commit.position.token:
            self._write(commit, now_ms)
        return await super().commit(commit, now_ms)


class HidesAPaneOfMany(MemoryStore):
    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        changes = await super().changes(since, positions=positions)
        return changes if since is None else changes._replace(panes=changes.panes[:3])


PATCHED: Sequence[tuple[Plant, Check]] = (
    (a_forgotten_subtraction, exactness),
    (a_sum_that_keeps_the_greatest, exactness),
    (the_newest_of_several_versions, interleaving),
    (a_conflict_that_reads_nothing_again, interleaving),
    (skipped_answers_counted_as_zero, exactness),
    (duplicates_known_by_their_offset_only, exactness),
    (ties_of_versions_decided_by_arrival, exactness),
    (a_tombstone_that_any_version_revives, exactness),
    (facts_that_left_a_contact_no_longer_counted_for_its_id, shared_ids),
    (facts_of_a_shared_contact_left_to_their_customer, shared_ids),
    (contacts_forgotten_one_horizon_too_early, forgetting),
    (contacts_forgotten_one_fcr_window_too_early, the_contact_taken_back),
)
REPLACED: Sequence[tuple[Any, Callable[[Any], None]]] = (
    (the_greatest_instead_of_the_sum, compacting),
    (CommitsOffsetsEarly, interleaving_of_processors),
    (StartsAtAFreshOffset, interleaving_of_processors),
    (KeepsTheBufferOfAFencedBatch, the_buffered_batch),
    (WritesBeforeTheLastCheck, the_store_writes_nothing),
    (WritesBeforeTheLastCheck, interleaving_on),
    (ComparesNoVersions, interleaving_on),
    (ComparesNoNonces, the_failover),
    (ComparesNoNonces, interleaving_on),
    (LeavesNoWriteSet, what_was_replaced),
    (LeavesNoWriteSet, what_was_forgotten),
    (ComparesNoPositions, interleaving_on),
    (CountsACommitSentAgain, interleaving_on),
    (HidesAPaneOfMany, interleaving_on),
)


@contextmanager
def must_find() -> Iterator[None]:
    """Require a check to fail here, and what it found to be right without the fault."""
    with pytest.raises(AssertionError) as failure:
        yield
    if isinstance(failure.value, CounterexampleError):
        failure.value.without_fault()


@pytest.mark.parametrize(("plant", "check"), PATCHED, ids=lambda one: one.__name__)
def test_a_fault_in_the_counting_is_found(plant: Plant, check: Check) -> None:
    with must_find(), pytest.MonkeyPatch.context() as patch:
        plant(patch)
        check()


@pytest.mark.parametrize(("fault", "check"), REPLACED, ids=lambda one: one.__name__)
def test_a_fault_in_what_is_committed_is_found(fault: Any, check: Callable[[Any], None]) -> None:
    with must_find():
        check(fault)
