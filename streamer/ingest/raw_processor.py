"""Processing of a batch of raw records: parse, assemble, publish, one commit."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter, read_payload
from streamer.events.adapters.timelines import (
    EVERYONE,
    is_agent,
    relevant_sweeps,
    states_under_way,
)
from streamer.events.decoding import KafkaRecord
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord
from streamer.ingest.agent_assembly import (
    EMPTY_AGENT,
    AgentAssembly,
    decode_agent_assembly,
    encode_agent_assembly,
)
from streamer.ingest.assembly import (
    EMPTY_ASSEMBLY,
    ContactAssembly,
    assembly_key,
    decode_assembly,
    encode_assembly,
)
from streamer.ingest.enricher import Enricher
from streamer.ingest.source_roll import EMPTY_ROLL, SourceRoll, decode_roll, encode_roll, roll_key
from streamer.panes.pane_keys import COUNTERS
from streamer.runtime.retry import retry_forever
from streamer.store.port import Commit, DocumentSnapshot, LogPosition, Partition, StoreVersion
from streamer.worker.arrival_counters import ArrivalCounters
from streamer.worker.pipeline import (
    DeadLetter,
    PartitionProcessor,
    ProcessingContext,
    position_after,
)

DROPPED: Final = "notes_dropped"

log = structlog.get_logger()


class EventPublisher(Protocol):
    """Destination of events: Kafka, or memory in tests."""

    async def send(self, events: Sequence[OutgoingRecord]) -> None:
        """Publish the events; return once the brokers have them."""


class ParsedRecord(NamedTuple):
    """Content of one raw record, read without any other: events, fragments, or why it is rejected."""

    record: KafkaRecord
    events: Sequence[OutgoingRecord]
    fragments: Sequence[Fragment]
    rejected: RejectedEvent | None


class SourcePipeline(NamedTuple):
    """Steps of one source: its parser and options, the enricher, and the publisher of its events."""

    source: SourceAdapter
    options: Options
    enricher: Enricher
    publisher: EventPublisher

    def parse(self, record: KafkaRecord) -> ParsedRecord:
        """Parse a record and enrich everything in it."""
        results = [
            self._enrich(item, record)
            for item in read_payload(self.source, record.value or b"", self.options)
        ]
        return ParsedRecord(
            record,
            [item for item in results if isinstance(item, OutgoingRecord)],
            [item for item in results if isinstance(item, Fragment)],
            next((item for item in results if isinstance(item, RejectedEvent)), None),
        )

    def _enrich(
        self, item: OutgoingEvent | Fragment | RejectedEvent, record: KafkaRecord
    ) -> OutgoingRecord | Fragment | RejectedEvent:
        if isinstance(item, OutgoingEvent):
            return self.enricher.enrich_event(item, self.source.name, record.timestamp)
        return self.enricher.enrich_fragment(item, record.timestamp) if isinstance(item, Fragment) else item


class RawBatch:
    """Result of one batch given the assemblies as they were read: writes, events, dead letters."""

    def __init__(
        self,
        parsed_records: Sequence[ParsedRecord],
        pipeline: SourcePipeline,
        roll: SourceRoll = EMPTY_ROLL,
    ) -> None:
        self.writes: dict[bytes, bytes | None] = {}
        self.rejected: list[DeadLetter] = []
        self.events = [event for parsed in parsed_records for event in parsed.events]
        self.dropped = 0
        self._pipeline = pipeline
        self._changed_offsets = {parsed.record.offset for parsed in parsed_records if parsed.events}
        self._rejected_offsets = {
            parsed.record.offset for parsed in parsed_records if parsed.rejected is not None
        }
        sweeps = [(record, sweep) for record, sweep in _sweeps_in(parsed_records) if sweep not in roll.sweeps]
        self._sweep_record = sweeps[-1][0] if sweeps else None
        self._changed_offsets.update(record.offset for record, _ in sweeps)
        self.roll = roll.with_sweeps([sweep for _, sweep in sweeps]) if sweeps else roll

    def assemble(
        self,
        key: bytes,
        contact: str,
        stored: bytes | None,
        own_fragments: Sequence[tuple[KafkaRecord, Fragment]],
    ) -> None:
        """Add fragments and sweeps to the assembly of a contact or an agent, and its events to the batch.
        Known ones change nothing."""
        before = _stored_assembly(stored, contact)
        fragments = [*own_fragments, *self._sweeps_for(before, own_fragments)]
        if not fragments:
            return
        after, is_new_fragment = before.with_fragments(
            [fragment for _, fragment in fragments], self._pipeline.source.minor_kinds
        )
        new_fragments = [found for found, is_new in zip(fragments, is_new_fragment, strict=True) if is_new]
        if not new_fragments:
            return
        self.writes[key] = (
            encode_agent_assembly(after) if isinstance(after, AgentAssembly) else encode_assembly(after)
        )
        self.dropped += after.dropped - before.dropped
        self._changed_offsets.update(record.offset for record, _ in new_fragments)
        since_ms = min(fragment.at for _, fragment in new_fragments)
        for outgoing_event in after.events(self._pipeline.source, self._pipeline.options, since_ms):
            self._add_event(outgoing_event, new_fragments[-1][0])
        if self._pipeline.source.sweeps:
            is_under_way = is_agent(contact) or bool(
                states_under_way(self._pipeline.source, after.notes, self._pipeline.options)
            )
            self.roll = self.roll.with_sign(contact, after.outline[-1].at, is_under_way=is_under_way)

    def _sweeps_for(
        self,
        before: ContactAssembly | AgentAssembly,
        own_fragments: Sequence[tuple[KafkaRecord, Fragment]],
    ) -> list[tuple[KafkaRecord, Fragment]]:
        """Return the sweeps that concern a contact or agent, each with a record to account for it."""
        fragments = [*before.outline, *(fragment for _, fragment in own_fragments)]
        record = own_fragments[-1][0] if own_fragments else self._sweep_record
        if not self.roll.sweeps or not fragments or record is None:
            return []
        sweeps = relevant_sweeps(self._pipeline.source, fragments, self.roll.sweeps, self._pipeline.options)
        return [(record, sweep) for sweep in sweeps]

    def _add_event(self, outgoing_event: OutgoingEvent, last_record: KafkaRecord) -> None:
        event = self._pipeline.enricher.enrich_event(
            outgoing_event, self._pipeline.source.name, last_record.timestamp
        )
        if isinstance(event, OutgoingRecord):
            self.events.append(event)
        else:
            self.rejected.append((last_record, event))
            self._rejected_offsets.add(last_record.offset)

    def outcome(self, record: KafkaRecord) -> str:
        """Return "applied", "unchanged" or "rejected", under which the record is counted."""
        if record.offset in self._rejected_offsets:
            return "rejected"
        return "applied" if record.offset in self._changed_offsets else "unchanged"


def _stored_assembly(stored: bytes | None, contact: str) -> ContactAssembly | AgentAssembly:
    if is_agent(contact):
        return decode_agent_assembly(stored) if stored else EMPTY_AGENT
    return decode_assembly(stored) if stored else EMPTY_ASSEMBLY


class RawPartitionProcessor(PartitionProcessor):
    """Processor of one partition of a raw topic.

    Events are safe in Kafka before the position moves beyond their records. Events that are published twice
    are recognized as the same.
    """

    def __init__(
        self,
        partition: Partition,
        position: LogPosition,
        context: ProcessingContext,
        pipeline: SourcePipeline,
    ) -> None:
        super().__init__(partition, position, context)
        self._pipeline = pipeline

    async def _count(self, records: Sequence[KafkaRecord], end: int) -> None:
        parsed_records = [self._pipeline.parse(record) for record in records]
        await self._send_dead_letters(
            [(parsed.record, parsed.rejected) for parsed in parsed_records if parsed.rejected is not None]
        )
        fragments = _group_by_assembly(self._pipeline.source.name, parsed_records)
        roll_keys = [roll_key(self._pipeline.source.name)] if self._pipeline.source.sweeps else []
        while True:
            keys = [*fragments, *roll_keys]
            snapshot = await retry_forever(lambda read_keys=keys: self.context.store.read(read_keys))  # type: ignore[misc]
            if unread := self._swept_contacts(parsed_records, snapshot).keys() - fragments.keys():
                fragments = {**fragments, **{key: [] for key in sorted(unread)}}
                continue
            batch = self._assemble_batch(parsed_records, fragments, snapshot)
            await self._send_dead_letters(batch.rejected)
            events = list(dict.fromkeys(batch.events))
            await retry_forever(lambda batch_events=events: self._pipeline.publisher.send(batch_events))  # type: ignore[misc]
            commit = self._commit(records, end, batch, snapshot.version, keys)
            if await self.send(commit, records) is None:
                return

    async def _send_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        if dead_letters:
            await retry_forever(lambda: self.context.dead_letters.send(dead_letters))

    def _assemble_batch(
        self, parsed_records: Sequence[ParsedRecord], fragments: "FragmentsByKey", snapshot: DocumentSnapshot
    ) -> RawBatch:
        roll = self._roll(snapshot)
        swept_contacts = self._swept_contacts(parsed_records, snapshot)
        batch = RawBatch(parsed_records, self._pipeline, roll)
        for key, value in zip(fragments, snapshot.values, strict=False):
            own = fragments[key]
            batch.assemble(key, own[0][1].contact if own else swept_contacts[key], value, own)
        if batch.roll is not roll:
            batch.writes[roll_key(self._pipeline.source.name)] = encode_roll(batch.roll)
        if batch.dropped:
            log.warning("dropped fragments of a contact that has too many", source=self._pipeline.source.name)
        return batch

    def _roll(self, snapshot: DocumentSnapshot) -> SourceRoll:
        """Return the source's roll, whose document is read last."""
        value = snapshot.values[-1] if self._pipeline.source.sweeps else None
        return EMPTY_ROLL if value is None else decode_roll(value)

    def _swept_contacts(
        self, parsed_records: Sequence[ParsedRecord], snapshot: DocumentSnapshot
    ) -> dict[bytes, str]:
        """Return the contacts and agents that sweeps of this batch may concern, by the keys of their
        assemblies."""
        sweeps = [sweep for _, sweep in _sweeps_in(parsed_records)]
        concerned = self._roll(snapshot).concerned(sweeps) if sweeps else []
        return {assembly_key(self._pipeline.source.name, name): name for name in concerned}

    def _commit(
        self,
        records: Sequence[KafkaRecord],
        end: int,
        batch: RawBatch,
        version: StoreVersion,
        keys: Collection[bytes],
    ) -> Commit:
        counters = ArrivalCounters(self.partition.topic)
        counters.add(DROPPED, amount=batch.dropped)
        for record in records:
            counters.count_result(batch.outcome(record))
        return Commit(
            partition=self.partition,
            epoch=self.position.epoch,
            start=self.position.next,
            position=position_after(self.position, records[-1], end),
            version=version,
            reads=keys,
            writes=batch.writes,
            deltas={COUNTERS: self.context.pack_counters(counters.by_name())},
        )


FragmentsByKey = Mapping[bytes, Sequence[tuple[KafkaRecord, Fragment]]]
"""Fragments of each contact with their records, by the key of its assembly."""


def _group_by_assembly(source: str, parsed_records: Iterable[ParsedRecord]) -> FragmentsByKey:
    fragments: dict[bytes, list[tuple[KafkaRecord, Fragment]]] = {}
    for parsed in parsed_records:
        for fragment in parsed.fragments:
            if fragment.contact != EVERYONE:
                key = assembly_key(source, fragment.contact)
                fragments.setdefault(key, []).append((parsed.record, fragment))
    return fragments


def _sweeps_in(parsed_records: Iterable[ParsedRecord]) -> list[tuple[KafkaRecord, Fragment]]:
    return [
        (parsed.record, fragment)
        for parsed in parsed_records
        for fragment in parsed.fragments
        if fragment.contact == EVERYONE
    ]
