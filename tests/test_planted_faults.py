"""Here is that the checks find what they are there for: each fault, planted, makes a named one fail."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer import pipeline
from streamer.events.decoding import Record
from streamer.events.models import Event, Rejected, Response, Tombstone
from streamer.events.rules import Rules
from streamer.events.veil import Veil
from streamer.journeys.desk import Desk, Draft
from streamer.journeys.journey import Key, entry_key
from streamer.lanes import Held, Lanes
from streamer.panes import posting
from streamer.panes.fold import Tallies
from streamer.pipeline import Counting, Lane
from streamer.store.memory import MemoryStore
from streamer.store.port import Changes, Commit, Document, Mark, Outcome, Position
from tests import strategies, test_exactness
from tests.store import test_store
from tests.test_exactness import SLOW, Delivery, ageings, at_once, check_ageing, check_exact, deliveries
from tests.test_interleaving import (
    Play,
    a_token_comes_back,
    check_play,
    plays,
    refused_while_buffered,
)

Check = Callable[[], None]
Plant = Callable[[pytest.MonkeyPatch], None]


def searched(examples: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Look for a counterexample within a budget; always the same ones."""
    budget = settings(
        SLOW, max_examples=examples, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False
    )
    budget(given(strategy)(lambda drawn: check(drawn)))()


# The checks, each as the suite makes it


def exactness() -> None:
    def check(delivery: Delivery) -> None:
        at_once(check_exact(delivery, MemoryStore()))

    searched(60, deliveries(strategies.events(), strategies.rules()), check)


def interleaving(kind: type[Lane] = Lane, store: type[MemoryStore] = MemoryStore) -> None:
    def check(play: Play) -> None:
        check_play(play, kind, store)

    searched(50, plays(), check)


def interleaving_of_lanes(kind: type[Lane]) -> None:
    interleaving(kind=kind)


def interleaving_on(store: type[MemoryStore]) -> None:
    interleaving(store=store)


def forgetting() -> None:
    searched(150, ageings(), check_ageing)


def the_contact_taken_back() -> None:
    test_exactness.test_a_contact_taken_back_after_two_horizons_leaves_the_earlier_ones_as_they_were()


def the_buffered_batch(kind: type[Lanes] = Lanes) -> None:
    asyncio.run(refused_while_buffered(kind))


def the_store_writes_nothing(store: type[MemoryStore] = MemoryStore) -> None:
    check = test_store.test_a_commit_that_read_what_changed_writes_nothing

    async def run() -> None:
        kept = store()
        await check(kept, await test_store.Writer(kept).start(), stored=True, read=None)

    asyncio.run(run())


def compacting(merge: Callable[[Sequence[bytes]], bytes] = posting.merge) -> None:
    async def run() -> None:
        store = MemoryStore()
        await test_store.test_compacting_changes_no_number(store, await test_store.Writer(store).start(), 7)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_store, "merge", merge)
        asyncio.run(run())


def the_token() -> None:
    assert a_token_comes_back(MemoryStore())


CHECKS: Sequence[Check] = (
    exactness,
    interleaving,
    forgetting,
    the_contact_taken_back,
    the_buffered_batch,
    the_store_writes_nothing,
    compacting,
    the_token,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.__name__)
def test_without_a_fault_each_check_passes(check: Check) -> None:
    check()


# The faults


def the_greatest_instead_of_the_sum(packed: Sequence[bytes]) -> bytes:
    found: dict[str, dict[int, int]] = {}
    for one in packed:
        for field, tally in posting.unpack(one).tallies():
            known = found.setdefault(field, {})
            for number, amount in tally.items():
                known[number] = max(known.get(number, amount), amount)
    return test_store.posting(found)


def a_forgotten_subtraction(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.delta

    def delta(key: Key, before: Draft, after: Draft, rules: Rules, into: Tallies) -> set[int]:
        return whole(key, Draft({}, (), {}, False) if before is not after else after, after, rules, into)

    patch.setattr(pipeline, "delta", delta)


def a_sum_that_keeps_the_greatest(patch: pytest.MonkeyPatch) -> None:
    """Of what one batch adds to a cell."""
    whole = pipeline.delta

    def delta(key: Key, before: Draft, after: Draft, rules: Rules, into: Tallies) -> set[int]:
        own: Tallies = {}
        touched = whole(key, before, after, rules, own)
        for place, tally in own.items():
            known = into.setdefault(place, {})
            for number, amount in tally.items():
                known[number] = max(known.get(number, amount), amount)
        return touched

    patch.setattr(pipeline, "delta", delta)


def skipped_answers_counted_as_zero(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.decode

    def decode(record: Record, rules: Rules, veil: Veil) -> Event | Rejected:
        event = whole(record, rules, veil)
        if isinstance(event, Response) and event.nps is None:
            return replace(event, nps=0)
        return event

    patch.setattr(pipeline, "decode", decode)


def duplicates_known_by_their_offset_only(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.decode

    def decode(record: Record, rules: Rules, veil: Veil) -> Event | Rejected:
        event = whole(record, rules, veil)
        if isinstance(event, Response):
            return replace(event, response_id=f"{record.partition}:{record.offset}")
        return event

    patch.setattr(pipeline, "decode", decode)


def ties_of_versions_decided_by_arrival(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.apply

    def apply(event: Event, desk: Desk, rules: Rules, record_ms: int) -> bool:
        key = entry_key(event.identity)
        entry = desk.entries.get(key)
        if entry is not None and entry.fact is not None and entry.fact.version == event.version:
            desk.entries[key] = replace(entry, fact=replace(entry.fact, digest=b""))
        return whole(event, desk, rules, record_ms)

    patch.setattr(pipeline, "apply", apply)


def a_tombstone_that_any_version_revives(patch: pytest.MonkeyPatch) -> None:
    whole = pipeline.apply

    def apply(event: Event, desk: Desk, rules: Rules, record_ms: int) -> bool:
        key = entry_key(event.identity)
        entry = desk.entries.get(key)
        is_dead = entry is not None and entry.fact is not None and entry.fact.deleted
        if is_dead and not isinstance(event, Tombstone):
            desk.entries[key] = replace(entry, fact=replace(entry.fact, version=-1))
        return whole(event, desk, rules, record_ms)

    patch.setattr(pipeline, "apply", apply)


def contacts_forgotten_one_horizon_too_early(patch: pytest.MonkeyPatch) -> None:
    _forget_earlier_by(lambda rules: rules.horizon_ms, patch)


def contacts_forgotten_one_fcr_window_too_early(patch: pytest.MonkeyPatch) -> None:
    _forget_earlier_by(lambda rules: rules.fcr_ms, patch)


def _forget_earlier_by(ms: Callable[[Rules], int], patch: pytest.MonkeyPatch) -> None:
    exact = Counting.forget_before
    assert exact is not None
    patch.setattr(Counting, "forget_before", lambda own, records: exact(own, records) + ms(own.rules))


class CommitsOffsetsEarly(Lane):
    async def count(self, records: Sequence[Record], end: int) -> None:
        early = replace(self.position, next=end)
        store = self._counting.store
        if await pipeline.persist(lambda: store.move(self.partition, self.position, early)):
            self.position = early
        await super().count(records, end)


class StartsAtAFreshOffset(Lane):
    async def count(self, records: Sequence[Record], end: int) -> None:
        store = self._counting.store
        (fresh,) = await pipeline.persist(lambda: store.positions([self.partition]))
        self.position = fresh or self.position
        await super().count(records, end)


class KeepsTheBufferOfARefusedBatch(Lanes):
    async def _moved(self, held: Held, position: Position | None) -> None:
        held.lane.position = position or held.lane.position


class WritesBeforeTheLastCheck(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        known = {key: document for key in commit.reads if (document := self.documents.get(key))}
        for key, value in commit.writes.items():
            if value is not None:
                self.documents[key] = Document(commit.position.token, value)
        (found,) = await self.positions([commit.partition])
        if found is not None and (found.epoch, found.next) == (commit.epoch, commit.start):
            for key, document in known.items():
                if key in commit.writes and document.token == commit.reads[key]:
                    self.documents[key] = document
        return await super().commit(commit, now_ms)


class ComparesNoTokens(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        return await super().commit(replace(commit, reads={}), now_ms)


class ComparesNoPositions(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        (found,) = await self.positions([commit.partition])
        start = found.next if found is not None else commit.start
        return await super().commit(replace(commit, start=start), now_ms)


class CountsACommitSentAgain(MemoryStore):
    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        (found,) = await self.positions([commit.partition])
        if found is not None and found.token == commit.position.token:
            self._write(commit, now_ms)
        return await super().commit(commit, now_ms)


class HidesAPaneOfMany(MemoryStore):
    async def changes(self, since: Mark | None) -> Changes:
        changes = await super().changes(since)
        return changes if since is None else changes._replace(panes=changes.panes[:3])


PATCHED: Sequence[tuple[Plant, Check]] = (
    (a_forgotten_subtraction, exactness),
    (a_sum_that_keeps_the_greatest, exactness),
    (skipped_answers_counted_as_zero, exactness),
    (duplicates_known_by_their_offset_only, exactness),
    (ties_of_versions_decided_by_arrival, exactness),
    (a_tombstone_that_any_version_revives, exactness),
    (contacts_forgotten_one_horizon_too_early, forgetting),
    (contacts_forgotten_one_fcr_window_too_early, the_contact_taken_back),
)
REPLACED: Sequence[tuple[Any, Callable[[Any], None]]] = (
    (the_greatest_instead_of_the_sum, compacting),
    (CommitsOffsetsEarly, interleaving_of_lanes),
    (StartsAtAFreshOffset, interleaving_of_lanes),
    (KeepsTheBufferOfARefusedBatch, the_buffered_batch),
    (WritesBeforeTheLastCheck, the_store_writes_nothing),
    (WritesBeforeTheLastCheck, interleaving_on),
    (ComparesNoTokens, interleaving_on),
    (ComparesNoPositions, interleaving_on),
    (CountsACommitSentAgain, interleaving_on),
    (HidesAPaneOfMany, interleaving_on),
)


@pytest.mark.parametrize(("plant", "check"), PATCHED, ids=lambda one: one.__name__)
def test_a_fault_in_the_counting_is_found(plant: Plant, check: Check) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises(AssertionError):
            check()


@pytest.mark.parametrize(("fault", "check"), REPLACED, ids=lambda one: one.__name__)
def test_a_fault_in_what_is_committed_is_found(fault: Any, check: Callable[[Any], None]) -> None:
    with pytest.raises(AssertionError):
        check(fault)
