"""Processing of a batch of raw records: parse, assemble, publish, one commit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter, read_payload
from streamer.events.adapters.timelines import is_agent
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

    def __init__(self, parsed_records: Sequence[ParsedRecord], pipeline: SourcePipeline) -> None:
        self.writes: dict[bytes, bytes | None] = {}
        self.rejected: list[DeadLetter] = []
        self.events = [event for parsed in parsed_records for event in parsed.events]
        self.dropped = 0
        self._pipeline = pipeline
        self._changed_offsets = {parsed.record.offset for parsed in parsed_records if parsed.events}
        self._rejected_offsets = {
            parsed.record.offset for parsed in parsed_records if parsed.rejected is not None
        }

    def assemble(
        self, key: bytes, stored: bytes | None, fragments: Sequence[tuple[KafkaRecord, Fragment]]
    ) -> None:
        """Add fragments to the assembly of a contact or an agent, and its events to the batch. Known ones
        change nothing."""
        before = _stored_assembly(stored, fragments[0][1].contact)
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
        while True:
            snapshot = await retry_forever(lambda: self.context.store.read([*fragments]))
            batch = self._assemble_batch(parsed_records, fragments, snapshot)
            await self._send_dead_letters(batch.rejected)
            events = list(dict.fromkeys(batch.events))
            await retry_forever(lambda batch_events=events: self._pipeline.publisher.send(batch_events))  # type: ignore[misc]
            commit = self._commit(records, end, batch, snapshot.version, fragments)
            if await self.send(commit, records) is None:
                return

    async def _send_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        if dead_letters:
            await retry_forever(lambda: self.context.dead_letters.send(dead_letters))

    def _assemble_batch(
        self, parsed_records: Sequence[ParsedRecord], fragments: "FragmentsByKey", snapshot: DocumentSnapshot
    ) -> RawBatch:
        batch = RawBatch(parsed_records, self._pipeline)
        for key, value in zip(fragments, snapshot.values, strict=True):
            batch.assemble(key, value, fragments[key])
        if batch.dropped:
            log.warning("dropped fragments of a contact that has too many", source=self._pipeline.source.name)
        return batch

    def _commit(
        self,
        records: Sequence[KafkaRecord],
        end: int,
        batch: RawBatch,
        version: StoreVersion,
        fragments: "FragmentsByKey",
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
            reads=fragments.keys(),
            writes=batch.writes,
            deltas={COUNTERS: self.context.pack_counters(counters.by_name())},
        )


FragmentsByKey = Mapping[bytes, Sequence[tuple[KafkaRecord, Fragment]]]
"""Fragments of each contact with their records, by the key of its assembly."""


def _group_by_assembly(source: str, parsed_records: Iterable[ParsedRecord]) -> FragmentsByKey:
    fragments: dict[bytes, list[tuple[KafkaRecord, Fragment]]] = {}
    for parsed in parsed_records:
        for fragment in parsed.fragments:
            fragments.setdefault(assembly_key(source, fragment.contact), []).append((parsed.record, fragment))
    return fragments
