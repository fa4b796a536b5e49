"""Processing of a batch of raw records: parse, assemble, publish, one commit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.adapters.source import Note, Options, Sent, Source, read
from streamer.events.decoding import Record
from streamer.events.models import Rejected
from streamer.events.outgoing import Outgoing
from streamer.ingest.assembly import EMPTY, Assembly, assembly_key, pack, unpack
from streamer.ingest.finish import Finish
from streamer.metrics.counters import pack_counters
from streamer.panes.pane_keys import COUNTERS
from streamer.store.port import Commit, Partition, Position, Snapshot, StoreVersion
from streamer.worker.arrival_counters import ArrivalCounters
from streamer.worker.pipeline import (
    DeadLetter,
    PartitionProcessor,
    ProcessingContext,
    position_after,
)
from streamer.worker.retry import retry_forever

DROPPED: Final = "notes_dropped"

log = structlog.get_logger()


class Events(Protocol):
    """Destination of events: Kafka, or memory in tests."""

    async def send(self, events: Sequence[Outgoing]) -> None:
        """Publish the events; return once the brokers have them."""


class Told(NamedTuple):
    """Content of one raw record, read without any other: events, fragments, or why it is rejected."""

    record: Record
    events: Sequence[Outgoing]
    notes: Sequence[Note]
    rejected: Rejected | None


class Inlet(NamedTuple):
    """Steps of one source: its parser and options, the enricher, and the publisher of its events."""

    source: Source
    options: Options
    finish: Finish
    out: Events

    def told(self, record: Record) -> Told:
        """Parse a record and enrich everything in it."""
        found = [self._finished(one, record) for one in read(self.source, record.value or b"", self.options)]
        return Told(
            record,
            [one for one in found if isinstance(one, Outgoing)],
            [one for one in found if isinstance(one, Note)],
            next((one for one in found if isinstance(one, Rejected)), None),
        )

    def _finished(self, one: Sent | Note | Rejected, record: Record) -> Outgoing | Note | Rejected:
        if isinstance(one, Sent):
            return self.finish.outgoing(one, self.source.name, record.timestamp)
        return self.finish.note(one, record.timestamp) if isinstance(one, Note) else one


class RawBatch:
    """Result of one batch given the assemblies as they were read: writes, events, dead letters."""

    def __init__(self, told: Sequence[Told], inlet: Inlet) -> None:
        self.writes: dict[bytes, bytes | None] = {}
        self.rejected: list[DeadLetter] = []
        self.events = [event for one in told for event in one.events]
        self.dropped = 0
        self._inlet = inlet
        self._said = {one.record.offset for one in told if one.events}
        self._rejected = {one.record.offset for one in told if one.rejected is not None}

    def assemble(self, key: bytes, before: Assembly, said: Sequence[tuple[Record, Note]]) -> None:
        """Add fragments to a contact's assembly, and its events to the batch. Known ones change nothing."""
        after, new = before.extended([note for _, note in said])
        news = [record for (record, _), is_new in zip(said, new, strict=True) if is_new]
        if not news:
            return
        self.writes[key] = pack(after)
        self.dropped += after.dropped - before.dropped
        self._said.update(record.offset for record in news)
        for sent in after.events(self._inlet.source, self._inlet.options):
            self._publish(sent, news[-1])

    def _publish(self, sent: Sent, last: Record) -> None:
        event = self._inlet.finish.outgoing(sent, self._inlet.source.name, last.timestamp)
        if isinstance(event, Outgoing):
            self.events.append(event)
        else:
            self.rejected.append((last, event))
            self._rejected.add(last.offset)

    def result(self, record: Record) -> str:
        """Return "applied", "unchanged" or "rejected", under which the record is counted."""
        if record.offset in self._rejected:
            return "rejected"
        return "applied" if record.offset in self._said else "unchanged"


class RawPartitionProcessor(PartitionProcessor):
    """Processor of one partition of a raw topic.

    Events are safe in Kafka before the position moves beyond their records. Events that are published twice
    are recognized as the same.
    """

    def __init__(
        self, partition: Partition, position: Position, context: ProcessingContext, inlet: Inlet
    ) -> None:
        super().__init__(partition, position, context)
        self._inlet = inlet

    async def _count(self, records: Sequence[Record], end: int) -> None:
        told = [self._inlet.told(record) for record in records]
        await self._bury([(one.record, one.rejected) for one in told if one.rejected is not None])
        said = _by_assembly(self._inlet.source.name, told)
        while True:
            snapshot = await retry_forever(lambda: self.context.store.read([*said]))
            batch = self._assembled(told, said, snapshot)
            await self._bury(batch.rejected)
            events = list(dict.fromkeys(batch.events))
            await retry_forever(lambda sent=events: self._inlet.out.send(sent))  # type: ignore[misc]
            commit = self._commit(records, end, batch, snapshot.version, said)
            if await self.send(commit, records) is None:
                return

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await retry_forever(lambda: self.context.dead.send(letters))

    def _assembled(self, told: Sequence[Told], said: "Said", snapshot: Snapshot) -> RawBatch:
        batch = RawBatch(told, self._inlet)
        for key, value in zip(said, snapshot.values, strict=True):
            batch.assemble(key, unpack(value) if value else EMPTY, said[key])
        if batch.dropped:
            log.warning("dropped fragments of a contact that has too many", source=self._inlet.source.name)
        return batch

    def _commit(
        self, records: Sequence[Record], end: int, batch: RawBatch, version: StoreVersion, said: "Said"
    ) -> Commit:
        counters = ArrivalCounters(self.partition.topic)
        counters.add(DROPPED, amount=batch.dropped)
        for record in records:
            counters.result(batch.result(record))
        return Commit(
            partition=self.partition,
            epoch=self.position.epoch,
            start=self.position.next,
            position=position_after(self.position, records[-1], end),
            version=version,
            reads=said.keys(),
            writes=batch.writes,
            deltas={COUNTERS: pack_counters(counters.named())},
        )


Said = Mapping[bytes, Sequence[tuple[Record, Note]]]
"""Fragments of each contact with their records, by the key of its assembly."""


def _by_assembly(source: str, told: Iterable[Told]) -> Said:
    found: dict[bytes, list[tuple[Record, Note]]] = {}
    for one in told:
        for note in one.notes:
            found.setdefault(assembly_key(source, note.contact), []).append((one.record, note))
    return found
