"""Here is the way of a batch of raw records: read, assemble, publish, one commit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from streamer.events.adapters.source import Note, Options, Sent, Source, read
from streamer.events.decoding import Record
from streamer.events.models import Rejected
from streamer.events.outgoing import Outgoing
from streamer.ingest.assembly import EMPTY, Assembly, assembly_key, pack, unpack
from streamer.ingest.finish import Finish
from streamer.pipeline import Counting, Lane, Letter, Refused, Tallier, persist
from streamer.store.port import Applied, Changed, Commit, Moved, Partition, Position

DROPPED: Final = "notes_dropped"

log = structlog.get_logger()


class Events(Protocol):
    async def send(self, events: Sequence[Outgoing]) -> None:
        """Returns once they are safe."""


class Told(NamedTuple):
    """What a raw record says, whatever else is known."""

    record: Record
    events: Sequence[Outgoing]
    notes: Sequence[Note]
    rejected: Rejected | None


class Inlet(NamedTuple):
    """Where the records of one source come in, and where its events go out."""

    source: Source
    options: Options
    finish: Finish
    out: Events

    def told(self, record: Record) -> Told:
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


class Draft:
    """What a batch comes to, by the assemblies as they were read."""

    def __init__(self, told: Sequence[Told], inlet: Inlet, tokens: Mapping[bytes, bytes | None]) -> None:
        self.tokens = tokens
        self.writes: dict[bytes, bytes | None] = {}
        self.letters: list[Letter] = []
        self.events = [event for one in told for event in one.events]
        self.dropped = 0
        self._inlet = inlet
        self._said = {one.record.offset for one in told if one.events}
        self._rejected = {one.record.offset for one in told if one.rejected is not None}

    def assemble(self, key: bytes, before: Assembly, said: Sequence[tuple[Record, Note]]) -> None:
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
            self.letters.append((last, event))
            self._rejected.add(last.offset)

    def result(self, record: Record) -> str:
        if record.offset in self._rejected:
            return "rejected"
        return "applied" if record.offset in self._said else "unchanged"


class RawLane(Lane):
    """One partition of a raw topic. What is published is safe before the position moves beyond it, and
    recognized as the same where that happens twice."""

    def __init__(self, partition: Partition, position: Position, counting: Counting, inlet: Inlet) -> None:
        super().__init__(partition, position, counting)
        self._inlet = inlet

    async def _count(self, records: Sequence[Record], end: int) -> None:
        counting = self._counting
        told = [self._inlet.told(record) for record in records]
        await self._bury([(one.record, one.rejected) for one in told if one.rejected is not None])
        while True:
            draft = await self._draft(told)
            await self._bury(draft.letters)
            events = list(dict.fromkeys(draft.events))
            await persist(lambda sent=events: self._inlet.out.send(sent))  # type: ignore[misc]
            commit = self._commit(records, end, draft)
            outcome = await persist(lambda sent=commit: counting.store.commit(sent, counting.clock()))  # type: ignore[misc]
            if not isinstance(outcome, Changed):
                break
            counting.watch.conflict()
        if isinstance(outcome, Moved):
            raise Refused(outcome.position)
        assert isinstance(outcome, Applied)
        self.position = commit.position
        counting.watch.committed(records, counting.clock())

    async def _bury(self, letters: Sequence[Letter]) -> None:
        if letters:
            await persist(lambda: self._counting.dead.send(letters))

    async def _draft(self, told: Sequence[Told]) -> Draft:
        said = _by_assembly(self._inlet.source.name, told)
        keys = sorted(said)
        found = await persist(lambda: self._counting.store.read(keys)) if keys else []
        documents = dict(zip(keys, found, strict=True))
        draft = Draft(told, self._inlet, {key: one.token if one else None for key, one in documents.items()})
        for key, document in documents.items():
            draft.assemble(key, unpack(document.value) if document else EMPTY, said[key])
        if draft.dropped:
            log.warning("a contact has more notes than are kept", source=self._inlet.source.name)
        return draft

    def _commit(self, records: Sequence[Record], end: int, draft: Draft) -> Commit:
        tally = Tallier(self.partition.topic, self._counting.rules)
        tally.add(DROPPED, draft.dropped)
        for record in records:
            tally.result(draft.result(record), 1)
        return Commit(
            partition=self.partition,
            epoch=self.position.epoch,
            start=self.position.next,
            position=self._after(records[-1], end),
            reads=draft.tokens,
            writes=draft.writes,
            fine={},
            long={},
            counts=tally.counts,
        )


def _by_assembly(source: str, told: Iterable[Told]) -> dict[bytes, list[tuple[Record, Note]]]:
    found: dict[bytes, list[tuple[Record, Note]]] = {}
    for one in told:
        for note in one.notes:
            found.setdefault(assembly_key(source, note.contact), []).append((one.record, note))
    return found
