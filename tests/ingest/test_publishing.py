"""Publishing to a real broker: events that it accepts, and those it refuses."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from streamer.events.outgoing_records import OutgoingRecord
from streamer.ingest.event_publisher import KafkaEventPublisher, PublishError
from streamer.worker import kafka
from tests.parts.broker import Broker
from tests.strategies import START


def event(topic: str, value: bytes) -> OutgoingRecord:
    return OutgoingRecord(topic, b"who", value, (("ce_id", b"1"),), START)


async def test_a_record_bears_key_headers_and_the_events_own_time(broker: Broker, center: str) -> None:
    await kafka.ensure_topics(broker.settings, partitions=1, topics=[center])
    producer = await kafka.start_producer(broker.settings)
    try:
        await KafkaEventPublisher(producer).send([event(center, b"1"), event(center, b"2")])
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address)
    async with consumer:
        consumer.assign([TopicPartition(center, 0)])
        await consumer.seek_to_beginning()
        found = [await consumer.getone(), await consumer.getone()]
    assert [one.value for one in found] == [b"1", b"2"]
    assert (found[0].key, found[0].timestamp, found[0].headers) == (b"who", START, (("ce_id", b"1"),))


async def test_what_would_be_refused_again_and_again_is_an_answer(broker: Broker, center: str) -> None:
    await kafka.ensure_topics(broker.settings, partitions=1, topics=[center])
    producer = await kafka.start_producer(broker.settings)
    try:
        with pytest.raises(PublishError, match="MessageSizeTooLarge"):
            await KafkaEventPublisher(producer).send(
                [event(center, b"fits"), event(center, bytes(2_000_000))]
            )
    finally:
        await producer.stop()


async def test_a_broker_that_is_away_may_be_asked_again(fresh_broker: Broker, center: str) -> None:
    await kafka.ensure_topics(fresh_broker.settings, partitions=1, topics=[center])
    producer = AIOKafkaProducer(bootstrap_servers=fresh_broker.address, request_timeout_ms=500)
    await producer.start()
    await fresh_broker.kill()
    try:
        with pytest.raises(ConnectionError, match="publishing events"):
            await KafkaEventPublisher(producer).send([event(center, b"1")])
    finally:
        await producer.stop()
