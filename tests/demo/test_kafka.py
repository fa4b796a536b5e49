"""Topics and producer, on the embedded broker."""

import asyncio
import logging

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import InvalidConfigurationError, KafkaError, PolicyViolationError

from streamer.demo.embedded import embedded_broker
from streamer.settings import KafkaSettings
from streamer.worker import kafka

ALL = {
    "call-completed",
    "survey-sent",
    "survey-completed",
    "contact-evaluated",
    "customer-valued",
    "contact-state",
    "agent-state",
    "streamer-dead-letters",
}


def settings_of(bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=bootstrap)


async def partitions(bootstrap: str) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()


async def test_topics_are_created_once() -> None:
    async with embedded_broker() as bootstrap:
        assert set(await kafka.ensure_topics(settings_of(bootstrap), partitions=3)) == ALL
        assert await kafka.ensure_topics(settings_of(bootstrap), partitions=5) == []
        assert await partitions(bootstrap) == dict.fromkeys(ALL, 3)


async def test_a_topic_that_is_there_is_left_alone() -> None:
    async with embedded_broker() as bootstrap:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("survey-sent", 7, 1)])
        await admin.close()
        assert "survey-sent" not in await kafka.ensure_topics(settings_of(bootstrap), partitions=2)
        assert await partitions(bootstrap) == dict.fromkeys(ALL, 2) | {"survey-sent": 7}


async def test_any_number_may_create_topics_at_once() -> None:
    async with embedded_broker() as bootstrap:
        created = await asyncio.gather(*(kafka.ensure_topics(settings_of(bootstrap)) for _ in range(8)))
        assert sorted(name for names in created for name in names) == sorted(ALL)
        assert await partitions(bootstrap) == dict.fromkeys(ALL, 4)


async def test_a_broker_that_refuses_our_configuration_gets_the_topics_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = kafka._create

    async def picky(admin: AIOKafkaAdminClient, topic: NewTopic) -> KafkaError | None:
        return InvalidConfigurationError("no") if topic.topic_configs else await create(admin, topic)

    monkeypatch.setattr(kafka, "_create", picky)
    async with embedded_broker() as bootstrap:
        assert set(await kafka.ensure_topics(settings_of(bootstrap))) == ALL
        assert set(await partitions(bootstrap)) == ALL


async def test_a_refused_topic_is_named_with_the_brokers_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(admin: AIOKafkaAdminClient, topic: NewTopic) -> KafkaError | None:
        return PolicyViolationError("not on a Sunday")

    monkeypatch.setattr(kafka, "_create", refuses)
    async with embedded_broker() as bootstrap:
        with pytest.raises(kafka.TopicError, match=r"call-completed.*not on a Sunday"):
            await kafka.ensure_topics(settings_of(bootstrap))


async def test_the_producer_works_quietly_on_a_broker_that_does_not_number_records(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with embedded_broker() as bootstrap:
        await kafka.ensure_topics(settings_of(bootstrap))
        producer = await kafka.start_producer(settings_of(bootstrap))
        await producer.send_and_wait("survey-sent", b"{}", timestamp_ms=1_700_000_000_000)
        await producer.stop()
        consumer = AIOKafkaConsumer("survey-sent", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        async with consumer:
            record = await asyncio.wait_for(consumer.getone(), 10)
    assert (record.value, record.timestamp) == (b"{}", 1_700_000_000_000)
    assert caplog.records == []
