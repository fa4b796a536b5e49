"""Run payloads end to end: read, assemble, publish as bytes, decode, count in a memory store, and query."""

from collections.abc import Mapping, Sequence

from streamer.events.adapters import SOURCES
from streamer.events.counting_rules import HOUR
from streamer.events.decoding import TOPICS, KafkaRecord
from streamer.events.outgoing_records import OutgoingRecord, outgoing_record
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.worker.pipeline import ProcessingContext
from tests.counting import NullObserver, RecordedDeadLetters, partition_processor
from tests.events.adapters.published_events import published_events
from tests.events.adapters.sample_payloads import sample_options

Log = list[KafkaRecord]
SETTINGS = Settings()


def published_records(name: str, payloads: Sequence[str]) -> Log:
    """Return the records on Kafka, with every version that was published on the way."""
    log: Log = []
    for offset, event in enumerate(published_events(SOURCES[name], payloads, sample_options(name))):
        kafka_event = outgoing_record(event, name)
        assert isinstance(kafka_event, OutgoingRecord), kafka_event
        log.append(
            KafkaRecord(
                kafka_event.topic,
                0,
                offset,
                kafka_event.timestamp_ms,
                kafka_event.key,
                kafka_event.value,
                kafka_event.headers,
            )
        )
    return log


async def counted_reader(log: Log) -> MetricsReader:
    """Count all records, and return a reader one hour after the last."""
    now = max(record.timestamp for record in log) + HOUR
    store, letters = MemoryStore(), RecordedDeadLetters()
    shared = ProcessingContext(store, SETTINGS.counting_rules(), letters, NullObserver(), lambda: now)
    for topic in TOPICS:
        topic_records = [record for record in log if record.topic == topic]
        if topic_records:
            await (await partition_processor(shared, topic, 0)).count(
                topic_records, topic_records[-1].offset + 1
            )
    assert letters.letters == []
    await store.beat({Partition(topic, 0): Heartbeat(now, 0, now) for topic in TOPICS})
    reader = MetricsReader(store, SETTINGS)
    await reader.refresh(now)
    return reader


def read_figures(reader: MetricsReader, now: int, *metrics: str) -> Mapping[str, tuple[float | None, int]]:
    """Return value and support of each metric, over 30 days."""
    readings = reader.readings(MetricQuery(now=now, metrics=metrics, windows=("30d",), stat=None))
    return {reading.metric: (reading.value, reading.support) for reading in readings}
