"""Ingestion without Kafka: raw logs in memory, the events published of them, and their tallies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Note, Sent, Source, known, read
from streamer.events.decoding import Record, decode
from streamer.events.directory import NOBODY
from streamer.events.models import Event, Rejected
from streamer.events.outgoing import Outgoing
from streamer.events.rules import Rules
from streamer.events.veil import CLEAR
from streamer.ingest.finish import Finish
from streamer.ingest.processor import Inlet, RawPartitionProcessor
from streamer.store.memory import MemoryStore
from streamer.store.port import Partition, Store
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext
from tests.counting import FIRST, Letters, NoObserver, Tallies, held, processor
from tests.strategies import START

PLAIN = Finish(CLEAR, NOBODY)


class Published:
    """Event publisher that keeps the events in memory."""

    def __init__(self) -> None:
        self.events: list[Outgoing] = []

    async def send(self, events: Sequence[Outgoing]) -> None:
        self.events.extend(events)


class Intake:
    """Process that reads one partition of a source's raw topic, on a store of its own or a given one."""

    def __init__(
        self, source: Source, store: Store | None = None, finish: Finish = PLAIN, number: int = 0
    ) -> None:
        self.store = store or MemoryStore()
        self.letters, self.published = Letters(), Published()
        self._counting = ProcessingContext(self.store, Rules(), self.letters, NoObserver(), lambda: START)
        self._inlet = Inlet(source, source.options, finish, self.published)
        self._partition = Partition(f"ingest-{source.name}", number)
        self._next = 0

    async def take(self, *payloads: bytes, at: int = START) -> list[Outgoing]:
        """Process the payloads as one batch; return the events published of them."""
        records = raw(self._partition, payloads, at, self._next)
        self._next += len(payloads)
        before = len(self.published.events)
        (position,) = await self.store.positions([self._partition])
        if position is None:
            await self.store.move(self._partition, None, FIRST)
        own = RawPartitionProcessor(self._partition, position or FIRST, self._counting, self._inlet)
        await own.count(records, records[-1].offset + 1)
        return self.published.events[before:]

    async def results(self) -> dict[str, int]:
        """Return the number of records by result."""
        counts = await self.store.counters()
        start = f"events\x1f{self._partition.topic}\x1f"
        return {name.removeprefix(start): found for name, found in counts.items() if name.startswith(start)}


def raw(place: Partition, payloads: Iterable[bytes], at: int, first: int = 0) -> list[Record]:
    return [
        Record(place.topic, place.number, first + number, at, None, payload, ())
        for number, payload in enumerate(payloads)
    ]


async def counted(published: Iterable[Outgoing], rules: Rules) -> Tallies:
    """Return the tallies of a worker that processes the events one after another."""
    store, logs = MemoryStore(), logs_of(published)
    shared = ProcessingContext(store, rules, Letters(), NoObserver(), lambda: START)
    for topic, log in logs.items():
        own: PartitionProcessor = await processor(shared, topic, 0)
        await own.count(log, len(log))
    return await held(store)


def logs_of(published: Iterable[Outgoing]) -> Mapping[str, list[Record]]:
    logs: dict[str, list[Record]] = {}
    for one in published:
        log = logs.setdefault(one.topic, [])
        log.append(Record(one.topic, 0, len(log), one.timestamp_ms, one.key, one.value, one.headers))
    return logs


def stated(published: Iterable[Outgoing], rules: Rules) -> list[Event]:
    """Return the decoded events; none may be rejected."""
    found = [decode(record, rules) for log in logs_of(published).values() for record in log]
    assert not [one for one in found if isinstance(one, Rejected)]
    return [one for one in found if not isinstance(one, Rejected)]


def clean(source: Source, payloads: Iterable[bytes]) -> list[Outgoing]:
    """Return the events to expect if all payloads came at once: each contact once, with all its fragments."""
    events: list[Sent] = []
    notes: dict[str, list[Note]] = {}
    for payload in payloads:
        for one in read(source, payload, {}):
            if isinstance(one, Note):
                notes.setdefault(one.contact, []).append(one)
            elif isinstance(one, Sent):
                events.append(one)
    events += [event for of_contact in notes.values() for event in known(source, of_contact, {})]
    found: list[Any] = [PLAIN.outgoing(event, source.name, START) for event in events]
    return found


QUEUE_LOG = SOURCES["asterisk-queue-log"]
