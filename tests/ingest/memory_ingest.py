"""Ingestion without Kafka: raw logs in memory, the events published of them, and their tallies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import (
    Fragment,
    OutgoingEvent,
    SourceAdapter,
    read_payload,
)
from streamer.events.adapters.timelines import assemble_events
from streamer.events.agent_directory import EMPTY_DIRECTORY
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import Event, RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord
from streamer.ingest.enricher import Enricher
from streamer.ingest.raw_processor import RawPartitionProcessor, SourcePipeline
from streamer.privacy.pseudonyms import NO_PSEUDONYMS
from streamer.store.memory import MemoryStore
from streamer.store.port import Partition, StateStore
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext
from tests.counting import (
    FIRST,
    NullObserver,
    RecordedDeadLetters,
    Tallies,
    partition_processor,
    stored_tallies,
)
from tests.strategies import START

PLAIN = Enricher(NO_PSEUDONYMS, EMPTY_DIRECTORY)


class CollectedEvents:
    """Event publisher that keeps the events in memory."""

    def __init__(self) -> None:
        self.events: list[OutgoingRecord] = []

    async def send(self, events: Sequence[OutgoingRecord]) -> None:
        self.events.extend(events)


class MemoryIngest:
    """Process that reads one partition of a source's raw topic, on a store of its own or a given one."""

    def __init__(
        self,
        source: SourceAdapter,
        store: StateStore | None = None,
        finish: Enricher = PLAIN,
        number: int = 0,
    ) -> None:
        self.store = store or MemoryStore()
        self.letters, self.published = RecordedDeadLetters(), CollectedEvents()
        self._counting = ProcessingContext(
            self.store, CountingRules(), self.letters, NullObserver(), lambda: START
        )
        self._inlet = SourcePipeline(source, source.options, finish, self.published)
        self._partition = Partition(f"ingest-{source.name}", number)
        self._next = 0

    async def take(self, *payloads: bytes, at: int = START) -> list[OutgoingRecord]:
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


def raw(place: Partition, payloads: Iterable[bytes], at: int, first: int = 0) -> list[KafkaRecord]:
    return [
        KafkaRecord(place.topic, place.number, first + number, at, None, payload, ())
        for number, payload in enumerate(payloads)
    ]


async def counted(published: Iterable[OutgoingRecord], rules: CountingRules) -> Tallies:
    """Return the tallies of a worker that processes the events one after another."""
    store, logs = MemoryStore(), logs_of(published)
    shared = ProcessingContext(store, rules, RecordedDeadLetters(), NullObserver(), lambda: START)
    for topic, log in logs.items():
        own: PartitionProcessor = await partition_processor(shared, topic, 0)
        await own.count(log, len(log))
    return await stored_tallies(store)


def logs_of(published: Iterable[OutgoingRecord]) -> Mapping[str, list[KafkaRecord]]:
    logs: dict[str, list[KafkaRecord]] = {}
    for one in published:
        log = logs.setdefault(one.topic, [])
        log.append(KafkaRecord(one.topic, 0, len(log), one.timestamp_ms, one.key, one.value, one.headers))
    return logs


def stated(published: Iterable[OutgoingRecord], rules: CountingRules) -> list[Event]:
    """Return the decoded events; none may be rejected."""
    found = [decode(record, rules) for log in logs_of(published).values() for record in log]
    assert not [one for one in found if isinstance(one, RejectedEvent)]
    return [one for one in found if not isinstance(one, RejectedEvent)]


def clean(source: SourceAdapter, payloads: Iterable[bytes]) -> list[OutgoingRecord]:
    """Return the events to expect if all payloads came at once: each contact once, with all its fragments."""
    events: list[OutgoingEvent] = []
    notes: dict[str, list[Fragment]] = {}
    for payload in payloads:
        for one in read_payload(source, payload, {}):
            if isinstance(one, Fragment):
                notes.setdefault(one.contact, []).append(one)
            elif isinstance(one, OutgoingEvent):
                events.append(one)
    events += [event for of_contact in notes.values() for event in assemble_events(source, of_contact, {})]
    found: list[Any] = [PLAIN.enrich_event(event, source.name, START) for event in events]
    return found


QUEUE_LOG = SOURCES["asterisk-queue-log"]
