"""A probe finds the records and the end of a log, also where records were published in batches."""

from aiokafka.structs import TopicPartition

from streamer.settings import KafkaSettings
from streamer.store.port import Partition
from streamer.worker.kafka import KafkaLogProbe, ensure_topics
from tests.faults.kafka_log import producer
from tests.parts.broker import Broker

CALLS = Partition("call-completed", 0)


async def test_a_probe_tells_records_and_the_end_of_a_log_of_batches(fresh_broker: Broker) -> None:
    settings = KafkaSettings(bootstrap_servers=fresh_broker.address)
    await ensure_topics(settings, 1)
    probe = KafkaLogProbe(settings)
    await probe.start()
    try:
        nothing = (await probe.probe({CALLS: [5]}))[CALLS]
        assert (nothing.begin_offset, nothing.end_offset, [*nothing.records]) == (0, 0, [])
        async with producer(fresh_broker.address, is_idempotent=False) as sender:
            sent = [await sender.send(CALLS.topic, b"%d" % n, partition=0) for n in range(60)]
            last = [await delivery for delivery in sent][-1]
        assert (TopicPartition(last.topic, last.partition), last.offset) == (TopicPartition(*CALLS), 59)
        found = (await probe.probe({CALLS: [0, 30, 59, 60, 200]}))[CALLS]
        assert (found.begin_offset, found.end_offset, [*found.records]) == (0, 60, [0, 30, 59])
    finally:
        await probe.stop()
