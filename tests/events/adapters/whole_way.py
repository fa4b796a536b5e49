"""Run payloads end to end: read, assemble, publish as bytes, decode, count in a memory store, and query."""

from collections.abc import Mapping, Sequence

from streamer.events.adapters import SOURCES
from streamer.events.decoding import TOPICS, Record
from streamer.events.outgoing import Outgoing, outgoing
from streamer.events.rules import HOUR
from streamer.readings.query import Query
from streamer.readings.reader import Reader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.worker.pipeline import ProcessingContext
from tests.counting import Letters, NoObserver, processor
from tests.events.adapters.assembling import published
from tests.events.adapters.told import options

Log = list[Record]
SETTINGS = Settings()


def records(name: str, payloads: Sequence[str]) -> Log:
    """Return the records on Kafka, with every version that was published on the way."""
    found: Log = []
    for offset, sent in enumerate(published(SOURCES[name], payloads, options(name))):
        out = outgoing(sent, name)
        assert isinstance(out, Outgoing), out
        found.append(Record(out.topic, 0, offset, out.timestamp_ms, out.key, out.value, out.headers))
    return found


async def counted(log: Log) -> Reader:
    """Count all records, and return a reader one hour after the last."""
    now = max(record.timestamp for record in log) + HOUR
    store, letters = MemoryStore(), Letters()
    shared = ProcessingContext(store, SETTINGS.rules(), letters, NoObserver(), lambda: now)
    for topic in TOPICS:
        own = [record for record in log if record.topic == topic]
        if own:
            await (await processor(shared, topic, 0)).count(own, own[-1].offset + 1)
    assert letters.letters == []
    await store.beat({Partition(topic, 0): Heartbeat(now, 0, now) for topic in TOPICS})
    reader = Reader(store, SETTINGS)
    await reader.refresh(now)
    return reader


def figures(reader: Reader, now: int, *metrics: str) -> Mapping[str, tuple[float | None, int]]:
    """Return value and support of each metric, over 30 days."""
    found = reader.readings(Query(now=now, metrics=metrics, windows=("30d",), stat=None))
    return {reading.metric: (reading.value, reading.support) for reading in found}
