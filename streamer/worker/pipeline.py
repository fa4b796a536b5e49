"""Process a batch: decode, read, apply, fold, one commit.

`UnitOfWork` is the part that needs no infrastructure: records go in, keys of documents come out, documents
go in, the commit comes out. `PartitionProcessor` reads and writes around it, for one partition that this
process owns. It counts batches strictly in log order, each from the offset where the one before it ended, and
never from an offset read anew: a batch after a refused one would else be counted in its place.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain
from typing import Final, Protocol

import structlog

from streamer.events.counting_rules import DAY, HOUR, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import Event, RejectedEvent
from streamer.events.topic_names import CONTRACT_NAMES, TopicNames
from streamer.journeys.apply import PlannedEvent, apply, is_forgotten
from streamer.journeys.journey import Key
from streamer.journeys.state_history import LIVE_HORIZON_MS, SLOW_HORIZON_MS
from streamer.journeys.working_set import DocumentsNotLoaded, WorkingSet
from streamer.metrics.counters import pack_counters
from streamer.panes.agent_time import AgentInterval
from streamer.panes.fold import CommitDelta, add_delta
from streamer.panes.live_fold import agent_delta, live_agent, live_contact
from streamer.panes.live_index import pack_agents, pack_contacts
from streamer.panes.live_statements import (
    AgentStatement,
    ContactStatement,
    LiveStatement,
    agent_statements,
    contact_statements,
)
from streamer.panes.pane_keys import (
    COUNTERS,
    LIVE_AGENTS,
    LIVE_CONTACTS,
    ORDERED_FAMILIES,
    PaneHour,
    oldest_pane,
)
from streamer.panes.rollup import MERGE, Rollup
from streamer.privacy.pseudonyms import NO_PSEUDONYMS, Pseudonymizer
from streamer.runtime.clock import Clock, StoreClock
from streamer.runtime.retry import retry_forever
from streamer.store.port import (
    EMPTY_STORE,
    TOKEN_BYTES,
    Checkpoint,
    Commit,
    CommitApplied,
    LogPosition,
    OffsetConflict,
    Partition,
    StateStore,
    StoreVersion,
    VersionConflict,
)
from streamer.worker.arrival_counters import ArrivalCounters
from streamer.worker.log_identity import record_checkpoint

COMMIT_EVENTS: Final = 1000
BYTES_BETWEEN_PAUSES: Final = 2_048
"""Bytes of values decoded between two pauses for the event loop: half a long comment, or some calls."""
LIVE_LIMITS_MS: Final = (4 * HOUR, 7 * DAY)
"""Time after which contacts under way are lost: by voice or chat, and by other channels."""
HOURS_PER_COMPACTION: Final = 2
"""Few, since counting goes on meanwhile."""
COMPACT_ORDERED_FROM_DELTAS: Final = 64
MOST_STATEMENTS: Final = 100_000
"""Statements of states that a partition remembers to have committed."""
SHARED_ID_COUNTERS: Final = {
    "customer": ("crowds",),
    "contact": ("shared", "contact"),
    "survey": ("shared", "survey"),
}
"""Names of the counters of shared ids, in parts, by SHARED_KINDS."""
_CHECKPOINT_BLOCKS: Final = (64, 1_024, 16_384, 262_144, 4_194_304)

log = structlog.get_logger()
DeadLetter = tuple[KafkaRecord, RejectedEvent]


class PartitionFenced(Exception):  # noqa: N818 - it is an answer
    """Raised when another worker committed: batches delivered here are void, go on at `position`."""

    def __init__(self, position: LogPosition | None) -> None:
        super().__init__(position)
        self.position = position


class DeadLetterSink(Protocol):
    """Destination of rejected records."""

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        """Return once all letters are stored safely. Raises ConnectionError."""


class PipelineObserver(Protocol):
    """Receiver of events of the pipeline itself."""

    def conflict(self) -> None: ...

    def committed(self, records: Sequence[KafkaRecord], now_ms: int) -> None: ...


class ProcessingContext:
    """State that all partitions of a worker share. `clock` is the store's clock; `watermark_ms` the oldest
    committed record timestamp over all partitions, 0 if unknown; `commit_lock` is held from the first read
    of documents to the commit."""

    def __init__(
        self,
        store: StateStore,
        rules: CountingRules,
        dead_letters: DeadLetterSink,
        observer: PipelineObserver,
        own_clock: Clock,
        *,
        pseudonymizer: Pseudonymizer = NO_PSEUDONYMS,
        names: TopicNames = CONTRACT_NAMES,
        live_limits_ms: tuple[int, int] = LIVE_LIMITS_MS,
    ) -> None:
        self.store = store
        self.rules = rules
        self.pseudonymizer = pseudonymizer
        self.names = names
        self.live_limits_ms = live_limits_ms
        self.dead_letters = dead_letters
        self.observer = observer
        self.clock = StoreClock(store.time_ms, own_clock)
        self.watermark_ms = 0
        self.rollup = Rollup(rules.dimension_pairs)
        self.commit_lock = asyncio.Lock()
        self._delta_counts: Counter[PaneHour] = Counter()

    def oldest_pane(self) -> int:
        """Return the first 10 s pane that is still kept; older ones are not written."""
        return oldest_pane("fine", self.clock(), self.rules.retention_ms)

    def pack_counters(self, amounts: Mapping[str, int]) -> bytes:
        """Return the delta that adds these amounts to the counters now."""
        now_ms = self.clock()
        return pack_counters(amounts, now_ms // HOUR, (now_ms - self.rules.retention_ms) // HOUR)

    def note_deltas(self, pane_hours: Iterable[PaneHour]) -> None:
        """Note the hours to which a commit added deltas."""
        self._delta_counts.update(pane_hours)

    async def compact(self, at_least: int) -> None:
        """Merge the deltas of hours to which this worker added `at_least` deltas. Families that are always
        read whole, and to which nearly every commit adds, are merged earlier."""
        ordered_at_least = min(at_least, COMPACT_ORDERED_FROM_DELTAS)
        due_hours = [
            pane_hour
            for pane_hour, delta_count in self._delta_counts.items()
            if delta_count >= (ordered_at_least if pane_hour[0] in ORDERED_FAMILIES else at_least)
        ]
        for pane_hour in due_hours[:HOURS_PER_COMPACTION]:
            del self._delta_counts[pane_hour]
            remaining = await self.store.compact(pane_hour, MERGE[pane_hour[0]])
            self._delta_counts[pane_hour] += remaining

    def forget_before_ms(self, records: Sequence[KafkaRecord]) -> int:
        """Return the time before which contacts are forgotten: two horizons and two FCR windows before the
        earlier of watermark and records. A contact of two horizons ago may still be taken back; then its
        neighbours within the FCR window count anew, which depends on their own neighbours. Records older
        than the watermark (a replay) need the contacts around them."""
        earliest_ms = min([self.watermark_ms, *(record.timestamp for record in records)])
        return earliest_ms - 2 * self.rules.horizon_ms - 2 * self.rules.fcr_ms

    def live_floor_ms(self, records: Sequence[KafkaRecord]) -> int:
        """Return the time before which agents' states change nothing any more, to an hour: the live horizon
        before the earlier of watermark and records."""
        earliest_ms = min([self.watermark_ms, *(record.timestamp for record in records)])
        return (earliest_ms - LIVE_HORIZON_MS) // HOUR * HOUR

    def live_deltas(
        self, documents: WorkingSet, statements: Iterable[LiveStatement]
    ) -> dict[PaneHour, bytes]:
        """Return the changes of the live index, and the groups that states are sent of. Contacts that are
        long lost, and what was not heard of for the retention, are left out of it when it is merged."""
        deltas: dict[PaneHour, bytes] = {}
        now_ms, silence_ms = self.clock(), self.rules.agent_silence_ms
        first_kept_day = (now_ms - self.rules.retention_ms) // DAY
        of_contacts = [item for item in statements if isinstance(item, ContactStatement)]
        of_agents = [item for item in statements if isinstance(item, AgentStatement)]
        if documents.changed_segments or of_contacts:
            contacts = {
                key: live_contact(documents.records[key].states) for key in documents.changed_segments
            }
            quick_ms, slow_ms = self.live_limits_ms
            deltas[LIVE_CONTACTS] = pack_contacts(
                contacts,
                (now_ms - quick_ms - LIVE_HORIZON_MS, now_ms - slow_ms - SLOW_HORIZON_MS),
                self.rollup.contact_rows(of_contacts, first_kept_day),
            )
        agents = {key: live_agent(after, silence_ms) for key, _, after in documents.changed_agents()}
        if agents:
            forget_before_ms = now_ms - self.rules.retention_ms
            deltas[LIVE_AGENTS] = pack_agents(
                agents,
                (forget_before_ms, forget_before_ms),
                self.rollup.agent_rows(of_agents, first_kept_day),
            )
        return deltas


def decode_batch(
    context: ProcessingContext, partition: Partition, records: Iterable[KafkaRecord]
) -> Iterator[Event | RejectedEvent]:
    topic = context.names.in_contract(partition.topic)
    return (decode(record, context.rules, context.pseudonymizer, topic) for record in records)


class UnitOfWork:
    """One batch of a partition on its way to a commit; does no I/O.

    Call `missing_keys` and `load` these documents until none are missing, then take the `commit`.
    """

    def __init__(
        self,
        context: ProcessingContext,
        partition: Partition,
        records: Sequence[KafkaRecord],
        events: Iterable[Event | RejectedEvent] | None = None,
        committed_statements: Set[LiveStatement] = frozenset(),
    ) -> None:
        """Take the records and what they are decoded to; without `events` they are decoded here.
        `committed_statements`: those that commits of this partition hold already."""
        self.statements: Sequence[LiveStatement] = ()
        """Those that the commit is the first of the partition to hold."""
        self._committed_statements = committed_statements
        self._context = context
        self._partition = partition
        self._records = records
        self.rejected: list[DeadLetter] = []
        self._planned: list[PlannedEvent] = []
        for record, event in zip(records, events or decode_batch(context, partition, records), strict=True):
            if isinstance(event, RejectedEvent):
                self.rejected.append((record, event))
            else:
                self._planned.append(PlannedEvent(event, record.timestamp))
        self._loaded: dict[Key, bytes | None] = {}
        self._versions: set[StoreVersion] = set()
        self._missing_keys = {
            key for planned in self._planned for key in planned.document_keys() if key is not None
        }
        self._reset()

    def _reset(self) -> None:
        """Start over with nothing applied; loaded documents stay."""
        context = self._context
        self._documents = WorkingSet(
            context.forget_before_ms(self._records),
            context.live_floor_ms(self._records),
            context.rules.agent_silence_ms,
        )
        for key, value in self._loaded.items():
            self._documents.load(key, value)
        self._counters = ArrivalCounters(self._partition.topic)
        self._applied_count = 0
        self._changing_count = 0

    def missing_keys(self) -> set[Key]:
        """Apply events as far as the loaded documents allow. Return the keys of the documents to load next;
        none once all events are applied."""
        if not self._missing_keys:
            try:
                self._apply()
            except DocumentsNotLoaded as not_loaded:
                self._missing_keys = set(not_loaded.keys) | self._lone_keys()
        return self._missing_keys

    def _apply(self) -> None:
        documents, rules = self._documents, self._context.rules
        for planned in self._planned[self._applied_count :]:
            record = documents.records.get(planned.key)
            is_applied = apply(planned, documents, rules)
            self._applied_count += 1
            self._changing_count += is_applied
            state = None if record is None else record.fact
            if is_applied and (state is None or is_forgotten(state, planned.record_ms, rules)):
                self._counters.count_first_statement(planned.event, planned.key, documents)

    def load(self, version: StoreVersion, documents: Mapping[Key, bytes | None]) -> None:
        """Add documents read at `version`."""
        self._versions.add(version)
        self._loaded |= documents
        for key, value in documents.items():
            self._documents.load(key, value)
        self._missing_keys = self._documents.references(documents) | self._lone_keys()

    def _lone_keys(self) -> set[Key]:
        """Return the keys, not loaded yet, of the groups of events that name a shared contact or survey.
        Without this each such event would ask for its own in a read of its own."""
        documents = self._documents
        waiting = self._planned[self._applied_count :]
        return {key for planned in waiting for key in planned.lone_keys(documents) if key not in documents}

    def invalidate(self, conflict: VersionConflict) -> None:
        """Drop the documents that others wrote, and start over with the rest, which are still valid."""
        self._loaded = {key: value for key, value in self._loaded.items() if key not in conflict.keys}
        self._versions = {conflict.version}
        self._missing_keys = set(conflict.keys)
        self._reset()

    def commit(self, position: LogPosition, end_offset: int) -> Commit:
        """Return the commit of all events, which starts at `position` and ends before `end_offset`."""
        context, documents = self._context, self._documents
        version, *later_versions = sorted(self._versions) or [EMPTY_STORE]
        delta = CommitDelta.empty()
        for key, previous in documents.journeys_before.items():
            add_delta(delta, key, previous, documents.journeys_after[key], context.rules)
        intervals = [
            weighted
            for _, before, after in documents.changed_agents()
            for weighted in agent_delta(before, after, context.rules.agent_silence_ms)
        ]
        self.statements = self._new_statements(interval for interval, _ in intervals)
        deltas = context.rollup.deltas(delta, context.oldest_pane())
        deltas |= context.live_deltas(documents, self.statements)
        context.rollup.add_times(deltas, intervals, context.oldest_pane())
        self._counters.count_result("rejected", len(self.rejected))
        self._counters.count_result("applied", self._changing_count)
        self._counters.count_result("unchanged", self._applied_count - self._changing_count)
        for kind, amount in documents.ids_found_shared.items():
            self._counters.add(*SHARED_ID_COUNTERS[kind], amount=amount)
        return Commit(
            partition=self._partition,
            epoch=position.epoch,
            start=position.next,
            position=position_after(position, self._records[-1], end_offset),
            version=version,
            reads=self._loaded.keys(),
            writes=documents.writes(),
            deltas=deltas | {COUNTERS: context.pack_counters(self._counters.by_name())},
            later_versions=later_versions,
        )

    def _new_statements(self, intervals: Iterable[AgentInterval]) -> list[LiveStatement]:
        """Return of what states are sent, where no commit of the partition says so yet."""
        histories = (after for _, _, after in self._documents.changed_agents())
        statements: Iterable[LiveStatement] = chain(
            contact_statements(planned.event for planned in self._planned),
            agent_statements(histories, intervals),
        )
        return [item for item in dict.fromkeys(statements) if item not in self._committed_statements]


class PartitionProcessor:
    """Processor of one partition: everything before `position` is counted.

    The statements it has committed are in the store for as long as its position is: where commits were lost,
    the next one is refused.
    """

    def __init__(self, partition: Partition, position: LogPosition, context: ProcessingContext) -> None:
        self.partition = partition
        self.position = position
        self.context = context
        self._statements: set[LiveStatement] = set()

    async def count(self, records: Sequence[KafkaRecord], end_offset: int) -> None:
        """Count a batch, in commits of at most COMMIT_EVENTS records; `end_offset` is the offset after it.
        Return once all is committed. Raises PartitionFenced."""
        for start_index in range(0, len(records), COMMIT_EVENTS):
            chunk = records[start_index : start_index + COMMIT_EVENTS]
            is_last = start_index + COMMIT_EVENTS >= len(records)
            await self._count(chunk, end_offset if is_last else chunk[-1].offset + 1)

    async def _count(self, records: Sequence[KafkaRecord], end_offset: int) -> None:
        events = await self._decode(records)
        unit = UnitOfWork(self.context, self.partition, records, events, self._statements)
        if unit.rejected:
            await retry_forever(lambda: self.context.dead_letters.send(unit.rejected))
        # Two at a time would change each other's documents, and have to be computed again.
        async with self.context.commit_lock:
            while True:
                while keys := list(unit.missing_keys()):
                    snapshot = await retry_forever(lambda keys=keys: self.context.store.read(keys))  # type: ignore[misc]
                    unit.load(snapshot.version, dict(zip(keys, snapshot.values, strict=True)))
                conflict = await self.send(unit.commit(self.position, end_offset), records)
                if conflict is None:
                    self._note_statements(unit.statements)
                    return
                unit.invalidate(conflict)

    def _note_statements(self, statements: Sequence[LiveStatement]) -> None:
        if len(self._statements) + len(statements) > MOST_STATEMENTS:
            self._statements.clear()
        self._statements.update(statements)

    async def _decode(self, records: Sequence[KafkaRecord]) -> list[Event | RejectedEvent]:
        """Decode a batch, with pauses for the event loop: comments may take milliseconds each to redact."""
        events, bytes_to_pause = [], BYTES_BETWEEN_PAUSES
        for record, event in zip(records, decode_batch(self.context, self.partition, records), strict=True):
            events.append(event)
            bytes_to_pause -= len(record.value or b"")
            if bytes_to_pause < 0:
                await asyncio.sleep(0)
                bytes_to_pause = BYTES_BETWEEN_PAUSES
        return events

    async def send(self, commit: Commit, records: Sequence[KafkaRecord]) -> VersionConflict | None:
        """Commit and advance the position; or return the conflict, whose documents are to be read again.
        Raises PartitionFenced."""
        context = self.context
        outcome = await retry_forever(lambda: context.store.commit(commit, context.clock()))
        if isinstance(outcome, VersionConflict):
            context.observer.conflict()
            return outcome
        if isinstance(outcome, OffsetConflict):
            raise PartitionFenced(outcome.position)
        assert isinstance(outcome, CommitApplied)
        self.position = commit.position
        context.note_deltas(commit.deltas.keys())
        context.observer.committed(records, context.clock())
        return None


def position_after(position: LogPosition, last: KafkaRecord, end_offset: int) -> LogPosition:
    """Return the position after a batch: `last` is its last record, `end_offset` the offset after it."""
    counted = record_checkpoint(last.offset, last.timestamp, last.key, last.value)
    checkpoints = add_checkpoint(position.checkpoints, counted)
    return LogPosition(position.epoch, end_offset, secrets.token_bytes(TOKEN_BYTES), checkpoints)


def add_checkpoint(checkpoints: Iterable[Checkpoint], last: Checkpoint) -> tuple[Checkpoint, ...]:
    """Return the checkpoints to keep: the oldest, the last, and the first known one of each block (64 to four
    million offsets) that the last one lies in.

    >>> points = [Checkpoint(offset, 0, 0) for offset in (0, 64, 70, 130)]
    >>> [point.offset for point in add_checkpoint(points, Checkpoint(150, 0, 0))]
    [0, 130, 150]
    """
    ordered = sorted({*checkpoints, last}, key=lambda point: point.offset)
    block_starts = {
        next(point for point in ordered if point.offset // block == last.offset // block)
        for block in _CHECKPOINT_BLOCKS
    }
    return tuple(sorted({ordered[0], *block_starts, last}, key=lambda point: point.offset))
