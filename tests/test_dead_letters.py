"""Tests: rejected events are listed, edited, sent again and counted once; letters hide the customer."""

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from streamer.dead_letters import commands, erase_letters
from streamer.dead_letters.dead_letter import (
    DeadLetter,
    DeadLetterError,
    RecordCoordinates,
    parse_letter,
)
from streamer.dead_letters.edit import edit_record, parse_edit, recheck_record
from streamer.dead_letters.kafka import open_letters, retry_producer
from streamer.dead_letters.letter_filter import LetterFilter, parse_letter_filter, require_letter_filter
from streamer.dead_letters.letter_index import LetterPlaces, OpenLetterIndex
from streamer.events.asyncapi import LETTER_HEADERS
from streamer.events.counting_rules import DAY, CountingRules
from streamer.events.decoding import DEAD_LETTER_TOPIC, KafkaRecord, decode
from streamer.events.models import RejectedEvent, SurveyResponse
from streamer.events.raw_topics import raw_topic
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.readings.query import MetricQuery, QueryError
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, load_settings
from streamer.store.redis import RedisStore
from streamer.worker import kafka
from tests.faults.worker import Worker
from tests.parts.broker import Broker

WHO, WHAT = "customer-4711", "the agent was rude"
NOW = time.time_ns() // 1_000_000
PSEUDONYMIZER = Pseudonymizer({"k": b"a secret of thirty-two characters"}, "k")
SURVEY = {
    "response_id": "r1",
    "customer_id": WHO,
    "answered_at": NOW / 1000 - 60,
    "answers": {"nps": 11},
    "comment": WHAT,
}
CALL = {
    "contact_id": "c1",
    "customer_id": "another-12",
    "queue": "billing",
    "outcome": "lost",
    "ended_at": NOW / 1000 - 60,
}
ENVELOPE = {"specversion": "1.0", "id": "1", "type": "t", "source": "/crm"}
HEADERS = [(f"ce_{name}", value.encode()) for name, value in ENVELOPE.items()]
Headers = Sequence[tuple[str, bytes]]


def record(topic: str, value: Any, offset: int = 0, headers: Headers = (), at: int = NOW) -> KafkaRecord:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return KafkaRecord(topic, 0, offset, at, b"key", raw, headers)


class LetterBroker:
    """A broker, and the operations on dead letters in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def publish(self, *records: KafkaRecord) -> list[KafkaRecord]:
        """Return the records as they are in the log then."""
        producer = await kafka.start_producer(self.settings.kafka)
        try:
            return [await self._publish(producer, source_record) for source_record in records]
        finally:
            await producer.stop()

    async def _publish(self, producer: Any, source_record: KafkaRecord) -> KafkaRecord:
        headers = list(source_record.headers)
        metadata = await producer.send_and_wait(
            source_record.topic,
            source_record.value,
            source_record.key,
            timestamp_ms=source_record.timestamp,
            headers=headers,
        )
        return source_record._replace(partition=metadata.partition, offset=metadata.offset)

    async def write_letters(
        self, *records: KafkaRecord, pseudonymizer: Pseudonymizer = PSEUDONYMIZER
    ) -> None:
        """Write letters about these records."""
        rejections = [
            (
                source_record,
                decode(source_record, CountingRules())
                if source_record.topic in kafka.TOPICS
                else RejectedEvent("off-scale", ""),
            )
            for source_record in records
        ]
        assert all(isinstance(why, RejectedEvent) for _, why in rejections)
        producer = await kafka.start_producer(self.settings.kafka)
        try:
            await kafka.KafkaDeadLetterSink(producer, pseudonymizer).send(rejections)  # type: ignore[arg-type]
        finally:
            await producer.stop()

    async def publish_rejected(self, *records: KafkaRecord) -> list[KafkaRecord]:
        published = await self.publish(*records)
        await self.write_letters(*published)
        return published

    async def open_letters(self) -> list[DeadLetter]:
        async with open_letters(self.settings.kafka) as letters:
            return sorted([one async for one in letters], key=lambda one: (one.timestamp_ms, one.coordinates))

    async def retry(
        self,
        *sets: str,
        chosen_records: Sequence[KafkaRecord] = (),
        force: bool = False,
        dry_run: bool = False,
    ) -> int:
        chosen = LetterFilter(
            [
                RecordCoordinates(source_record.topic, source_record.partition, source_record.offset)
                for source_record in chosen_records
            ]
        )
        return await commands.retry(self.settings, chosen, sets, force, dry_run)

    async def topic_log(self, topic: str) -> list[KafkaRecord]:
        """Return all records of this topic."""
        partitions = [kafka.Partition(topic, number) for number in range(4)]
        records = kafka.KafkaRecordReader(self.settings.kafka)
        try:
            begins = await records.start(partitions)
            log_records = []
            for partition in partitions:
                reached, before = begins[partition], -1
                while reached != before:
                    before = reached
                    fetched, reached = await records.read_next(partition, 2**60)
                    log_records += fetched
            return log_records
        finally:
            await records.stop()


@pytest.fixture
async def letter_broker(fresh_broker: Broker, store_url: str, center: str) -> LetterBroker:
    settings = load_settings(kafka=fresh_broker.address, redis=store_url, center=center)
    await kafka.ensure_topics(fresh_broker.settings)
    return LetterBroker(settings)


def coordinates_of(source_record: KafkaRecord) -> str:
    return f"{source_record.topic}:{source_record.partition}:{source_record.offset}"


# The whole way, with a worker that counts.


class CountingWorker(NamedTuple):
    letter_broker: LetterBroker
    worker: Worker
    store: RedisStore

    async def wait_until_counted(self, topic: str, **expected: int) -> None:
        async with asyncio.timeout(60):
            while await self._counts(topic) != expected:
                assert self.worker.runs, self.worker.log()
                await asyncio.sleep(0.1)

    async def _counts(self, topic: str) -> dict[str, int]:
        names = {tuple(name.split("\x1f")): amount for name, amount in (await self.store.counters()).items()}
        return {name[2]: amount for name, amount in names.items() if name[:2] == ("events", topic)}

    async def read_metric(self, metric: str) -> tuple[float | None, int]:
        now = time.time_ns() // 1_000_000
        reader = MetricsReader(self.store, self.letter_broker.settings)
        await reader.refresh(now)
        (reading,) = reader.readings(MetricQuery(now=now, metrics=(metric,), windows=("1h",)))
        return reading.value, reading.support


@pytest.fixture
async def counting_worker(letter_broker: LetterBroker, tmp_path: Path) -> AsyncIterator[CountingWorker]:
    settings = letter_broker.settings
    store = await RedisStore.connect(settings.redis_url(), settings.center)
    address, url = settings.kafka.bootstrap_servers, settings.redis_url()
    names = {"kafka": address, "redis": url, "center": settings.center}
    worker = Worker(names, tmp_path / "worker.log")
    try:
        yield CountingWorker(letter_broker, worker, store)
    finally:
        worker.kill()
        await store.close()


async def test_a_rejected_answer_is_mended_sent_again_and_counted_once(
    counting_worker: CountingWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    letter_broker, topic = counting_worker.letter_broker, "survey-completed"
    (bad, _) = await letter_broker.publish(
        record(topic, SURVEY), record(topic, {**SURVEY, "response_id": "r2", "answers": {"nps": 9}})
    )
    await counting_worker.wait_until_counted(topic, applied=1, rejected=1)
    await commands.show_all(letter_broker.settings, parse_letter_filter(), as_json=True)
    (group,) = json.loads(capsys.readouterr().out)
    assert (group["reason"], group["topic"], group["letters"]) == ("off-scale", topic, 1)
    assert (group["example"], group["error"]) == (
        coordinates_of(bad),
        "answers.nps is 11, expected an integer from 0 to 10",
    )

    assert await letter_broker.retry() == 1
    assert f"{coordinates_of(bad)}  not sent: would be rejected: off-scale" in capsys.readouterr().out
    assert await letter_broker.retry("answers.nps=10", chosen_records=[bad]) == 0
    assert f"{coordinates_of(bad)}  sent again" in capsys.readouterr().out
    await counting_worker.wait_until_counted(topic, applied=2, rejected=1)
    assert await counting_worker.read_metric("nps_score") == (100, 2)
    assert await letter_broker.open_letters() == []

    with pytest.raises(DeadLetterError, match="there is no open dead letter for this record"):
        await letter_broker.retry("answers.nps=10", chosen_records=[bad])
    assert await letter_broker.retry("answers.nps=10") == 0  # of all that are open, none
    (_, again) = [one for one in await letter_broker.topic_log(topic) if b'"r1"' in (one.value or b"")]
    async with retry_producer(
        letter_broker.settings.kafka
    ) as to:  # as a retry does that broke off before it closed the letter
        await to.resend([again])
    await counting_worker.wait_until_counted(topic, applied=2, rejected=1, unchanged=1)
    assert await counting_worker.read_metric("nps_score") == (100, 2)


@pytest.mark.embedded
async def test_the_pseudonym_in_a_workers_letter_is_the_one_by_which_it_is_erased(
    counting_worker: CountingWorker,
) -> None:
    letter_broker = counting_worker.letter_broker
    await letter_broker.publish(record("survey-completed", SURVEY), record("call-completed", CALL))
    await counting_worker.wait_until_counted("survey-completed", rejected=1)
    await counting_worker.wait_until_counted("call-completed", rejected=1)
    first, second = await letter_broker.open_letters()
    assert first.customer != second.customer
    assert None not in (first.customer, second.customer)
    assert await erase_letters(letter_broker.settings, lambda customer: customer == first.customer) == 1
    assert await letter_broker.open_letters() == [second]


# Without a worker.


async def test_what_is_sent_again_has_the_partition_key_headers_and_time_it_had(
    letter_broker: LetterBroker,
) -> None:
    old = NOW - 3 * DAY
    body = {**SURVEY, "answers": {"nps": 9}, "answered_at": old / 1000}
    (one,) = await letter_broker.publish(record("survey-completed", body, headers=HEADERS, at=old))
    to = await kafka.start_producer(letter_broker.settings.kafka)
    await kafka.KafkaDeadLetterSink(to).send([(one, RejectedEvent("unknown-value", "since mended"))])
    await to.stop()
    assert await letter_broker.retry() == 0
    first, second = await letter_broker.topic_log("survey-completed")
    assert (second.partition, second.key, second.value) == (one.partition, b"key", one.value)
    assert (list(second.headers), second.timestamp) == (list(HEADERS), old)
    assert second.offset > first.offset


@pytest.mark.embedded
async def test_a_dry_run_sends_nothing_and_closes_nothing(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    await letter_broker.publish_rejected(record("survey-completed", SURVEY))
    before = await letter_broker.open_letters()
    assert await letter_broker.retry("answers.nps=9", dry_run=True) == 0
    assert "would be sent again, would be accepted" in capsys.readouterr().out
    assert await letter_broker.open_letters() == before
    assert len(await letter_broker.topic_log("survey-completed")) == 1


@pytest.mark.embedded
async def test_what_would_be_rejected_again_is_sent_by_force_alone(letter_broker: LetterBroker) -> None:
    await letter_broker.publish_rejected(record("survey-completed", SURVEY))
    assert await letter_broker.retry("answers.nps=12") == 1
    assert len(await letter_broker.topic_log("survey-completed")) == 1
    assert await letter_broker.retry("answers.nps=12", force=True) == 0
    assert [
        b'"nps":12' in (found.value or b"") for found in await letter_broker.topic_log("survey-completed")
    ] == [
        False,
        True,
    ]
    assert await letter_broker.open_letters() == []


@pytest.mark.embedded
async def test_a_retry_may_follow_a_changed_setting(
    letter_broker: LetterBroker, fresh_broker: Broker
) -> None:
    await letter_broker.publish_rejected(
        record("customer-valued", {"customer_id": "k1", "value": 1, "currency": "USD", "as_of": NOW / 1000})
    )
    assert await letter_broker.retry() == 1
    dollars = load_settings(kafka=fresh_broker.address, currency="USD")
    assert await commands.retry(dollars, parse_letter_filter(), [], False, False) == 0


@pytest.mark.embedded
async def test_a_letter_whose_original_is_gone_stays_and_says_so(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    (there,) = await letter_broker.publish_rejected(record("survey-completed", SURVEY))
    never = there._replace(offset=there.offset + 1_000)
    nowhere = there._replace(partition=17)
    another = there._replace(partition=there.partition, offset=there.offset, topic="survey-sent")
    await letter_broker.write_letters(never, nowhere)
    await letter_broker.write_letters(another._replace(value=b"{}"))
    assert await letter_broker.retry("answers.nps=9") == 1
    told = capsys.readouterr().out
    for gone in (never, nowhere, another):
        assert f"{coordinates_of(gone)}  not sent: Kafka no longer has this record" in told
    assert f"{coordinates_of(there)}  sent again" in told
    assert {str(letter.coordinates) for letter in await letter_broker.open_letters()} == {
        coordinates_of(one) for one in (never, nowhere, another)
    }


@pytest.mark.embedded
async def test_a_record_that_stands_where_another_stood_is_not_sent(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case of a topic that was deleted and created again."""
    (now,) = await letter_broker.publish(record("survey-completed", {**SURVEY, "answers": {"nps": 9}}))
    await letter_broker.write_letters(
        now._replace(timestamp=now.timestamp - 1, value=json.dumps(SURVEY).encode())
    )
    assert await letter_broker.retry() == 1
    assert "has another one in its place" in capsys.readouterr().out
    assert len(await letter_broker.topic_log("survey-completed")) == 1


@pytest.mark.apache
async def test_of_a_trimmed_log_what_is_left_is_sent(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    survey = record("survey-completed", SURVEY)
    first, second = await letter_broker.publish_rejected(survey, survey)
    admin = AIOKafkaAdminClient(bootstrap_servers=letter_broker.settings.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(first.topic, first.partition): RecordsToDelete(second.offset)})
    await admin.close()
    assert await letter_broker.retry("answers.nps=9") == 1
    told = capsys.readouterr().out
    assert f"{coordinates_of(first)}  not sent: Kafka no longer has" in told
    assert f"{coordinates_of(second)}  sent again" in told


@pytest.mark.apache
async def test_the_letters_topic_is_compacted_and_the_others_are_not(letter_broker: LetterBroker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=letter_broker.settings.kafka.bootstrap_servers)
    await admin.start()
    topics = (DEAD_LETTER_TOPIC, "call-completed")
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": None}) for topic in topics]
    policies: dict[str, str] = {}
    async with asyncio.timeout(10):
        while len(policies) < len(topics):  # the broker knows what it created a moment later
            answers = await admin.describe_configs(asked)
            found = [one for answer in answers for one in answer.to_object()["resources"]]
            policies = {
                one["resource_name"]: entry["config_value"]
                for one in found
                for entry in one["config_entries"]
            }
    await admin.close()
    assert policies == {DEAD_LETTER_TOPIC: "compact,delete", "call-completed": "delete"}


async def test_a_letter_written_twice_is_one_and_closed_it_is_none(letter_broker: LetterBroker) -> None:
    (one,) = await letter_broker.publish_rejected(record("survey-completed", SURVEY))
    await letter_broker.write_letters(one)
    assert [str(letter.coordinates) for letter in await letter_broker.open_letters()] == [coordinates_of(one)]
    await commands.close(letter_broker.settings, parse_letter_filter())
    assert await letter_broker.open_letters() == []
    assert len(await letter_broker.topic_log("survey-completed")) == 1
    await letter_broker.write_letters(one)  # rejected again, after a rebuild of the log
    assert len(await letter_broker.open_letters()) == 1


@pytest.mark.embedded
async def test_a_letter_about_a_record_of_long_ago_has_a_time_of_its_own(letter_broker: LetterBroker) -> None:
    old = record("call-completed", CALL, at=NOW - 300 * DAY)
    await letter_broker.write_letters(old)
    (letter,) = await letter_broker.open_letters()
    assert letter.timestamp_ms == old.timestamp
    (written,) = await letter_broker.topic_log(DEAD_LETTER_TOPIC)
    assert written.timestamp >= NOW - 60_000


async def test_hundreds_of_letters_of_all_partitions_are_sent_again(letter_broker: LetterBroker) -> None:
    surveys = [
        record("survey-completed", {**SURVEY, "response_id": f"r{n}"})._replace(key=b"%d" % n)
        for n in range(700)
    ]
    await letter_broker.publish_rejected(*surveys)
    assert await letter_broker.retry("answers.nps=9") == 0
    assert await letter_broker.open_letters() == []
    values = [json.loads(one.value or b"") for one in await letter_broker.topic_log("survey-completed")]
    mended = [value["response_id"] for value in values if value["answers"]["nps"] == 9]
    assert sorted(mended) == sorted(f"r{n}" for n in range(700))


@pytest.mark.embedded
async def test_a_raw_record_goes_back_to_its_raw_topic(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = raw_topic("delighted")
    await kafka.ensure_topics(letter_broker.settings.kafka, topics=[topic])
    sent = {
        "id": "r1",
        "survey_type": "nps",
        "score": 11,
        "created_at": NOW // 1000,
        "updated_at": NOW // 1000,
    }
    (one,) = await letter_broker.publish(record(topic, sent))
    await letter_broker.write_letters(one)
    assert await letter_broker.retry() == 1
    assert "score" in capsys.readouterr().out
    assert await letter_broker.retry("score=9") == 0
    assert [json.loads(found.value or b"")["score"] for found in await letter_broker.topic_log(topic)] == [
        11,
        9,
    ]


# What is shown, and to whom.


@pytest.mark.embedded
async def test_a_letter_tells_nothing_of_the_customer_and_the_original_all(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = await letter_broker.publish_rejected(record("survey-completed", SURVEY))
    assert (
        await commands.show(
            letter_broker.settings, parse_letter_filter([coordinates_of(one)]), with_original=False
        )
        == 0
    )
    told = capsys.readouterr()
    assert "answers.nps is 11" in told.out
    assert PSEUDONYMIZER.pseudonym_at(WHO, NOW) in told.out
    assert WHO not in told.out
    assert WHAT not in told.out
    assert (
        await commands.show(
            letter_broker.settings, parse_letter_filter([coordinates_of(one)]), with_original=True
        )
        == 0
    )
    told = capsys.readouterr()
    assert WHO in told.out
    assert told.err == "the original record follows: it holds personal data\n"


@pytest.mark.embedded
async def test_letters_are_listed_by_reason_and_topic_with_an_example_of_each(
    letter_broker: LetterBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    surveys = [record("survey-completed", SURVEY, at=NOW - 1_000), record("survey-completed", SURVEY)]
    _, survey, call = await letter_broker.publish_rejected(*surveys, record("call-completed", CALL))
    await commands.show_all(letter_broker.settings, parse_letter_filter(), as_json=False)
    first, last = (time.strftime("%FT%TZ", time.gmtime(at // 1000)) for at in (NOW - 1_000, NOW))
    assert capsys.readouterr().out.splitlines() == [
        f"off-scale  survey-completed  2 letters, {first} to {last}",
        f"    {coordinates_of(survey)}  answers.nps is 11, expected an integer from 0 to 10",
        f"unknown-value  call-completed  1 letter, {last}",
        f'    {coordinates_of(call)}  outcome is "lost", expected one of answered, abandoned, timeout, '
        "voicemail, overflow, callback",
        "3 open; to see one: `streamer dead-letters show "
        f"{(await letter_broker.open_letters())[-1].coordinates}`",
    ]


@pytest.mark.embedded
async def test_letters_are_exported_with_their_originals_for_nobody_else_to_read(
    letter_broker: LetterBroker, tmp_path: Path
) -> None:
    survey, call = await letter_broker.publish_rejected(
        record("survey-completed", SURVEY), record("call-completed", CALL)
    )
    await letter_broker.write_letters(call._replace(offset=call.offset + 50))
    shown, full = tmp_path / "letters.json", tmp_path / "originals.json"
    await commands.export(letter_broker.settings, parse_letter_filter(), str(shown), with_originals=False)
    await commands.export(letter_broker.settings, parse_letter_filter(), str(full), with_originals=True)
    assert WHO not in shown.read_text()
    lines = [json.loads(line) for line in shown.read_text().splitlines()]
    assert {line["record"] for line in lines} >= {coordinates_of(survey), coordinates_of(call)}
    assert [line["letter"]["customer_id"] for line in lines] == ["[redacted]"] * 3
    found = {line["record"]: line["original"] for line in map(json.loads, full.read_text().splitlines())}
    assert found[coordinates_of(survey)] == {"key": "key", "headers": {}, "value": SURVEY}
    assert found[coordinates_of(call._replace(offset=call.offset + 50))] is None
    assert stat.S_IMODE(full.stat().st_mode) == 0o600


@pytest.mark.embedded
async def test_a_rejected_state_is_shown_without_its_customer_mended_and_sent_again(
    letter_broker: LetterBroker,
) -> None:
    waiting = {"contact_id": "c1", "customer_id": WHO, "state": "waiting", "at": NOW / 1000, "queue": "q"}
    free = {"agent_id": "anna", "state": "available", "at": NOW / 1000, "queues": "billing"}
    contact, agent = await letter_broker.publish_rejected(
        record("contact-state", waiting), record("agent-state", free)
    )
    letters = {letter.coordinates.topic: letter for letter in await letter_broker.open_letters()}
    assert json.loads(letters["contact-state"].redacted_value) == {
        **waiting,
        "customer_id": "[redacted]",
        "state": "[redacted]",
    }
    assert json.loads(letters["agent-state"].redacted_value) == free
    assert letters["contact-state"].customer == PSEUDONYMIZER.pseudonym_at(WHO, NOW)
    assert await letter_broker.retry('state="queued"', chosen_records=[contact]) == 0
    assert await letter_broker.retry('queues=["billing"]', chosen_records=[agent]) == 0
    assert await letter_broker.open_letters() == []
    for topic in ("contact-state", "agent-state"):
        assert not isinstance(
            decode((await letter_broker.topic_log(topic))[-1], CountingRules()), RejectedEvent
        )


@pytest.mark.embedded
async def test_forgetting_a_customer_closes_the_letters_of_contacts_under_way(
    letter_broker: LetterBroker,
) -> None:
    state = {"contact_id": "c1", "state": "waiting", "at": NOW / 1000, "queue": "q"}
    _, other = await letter_broker.publish_rejected(
        record("contact-state", {**state, "customer_id": WHO}),
        record("contact-state", {**state, "customer_id": "another-12"}),
    )
    names = {name for names in PSEUDONYMIZER.pseudonyms_by_key(WHO) for name in names}
    assert await erase_letters(letter_broker.settings, names.__contains__) == 1
    (left,) = await letter_broker.open_letters()
    assert str(left.coordinates) == coordinates_of(other)


@pytest.mark.embedded
async def test_erasing_a_customer_closes_their_letters_and_nobody_elses(letter_broker: LetterBroker) -> None:
    _, call = await letter_broker.publish_rejected(
        record("survey-completed", SURVEY), record("call-completed", CALL)
    )
    names = {name for names in PSEUDONYMIZER.pseudonyms_by_key(WHO) for name in names}
    assert await erase_letters(letter_broker.settings, names.__contains__) == 1
    assert [str(letter.coordinates) for letter in await letter_broker.open_letters()] == [
        coordinates_of(call)
    ]
    assert await erase_letters(letter_broker.settings, names.__contains__) == 0


@pytest.mark.embedded
async def test_a_letter_names_its_customer_by_a_pseudonym_or_not_at_all(letter_broker: LetterBroker) -> None:
    envelope = {**ENVELOPE, "data": SURVEY}
    hidden = {**ENVELOPE, "data_base64": base64.b64encode(json.dumps(SURVEY).encode()).decode()}
    records = [record("survey-completed", body, n) for n, body in enumerate((SURVEY, envelope, hidden))]
    records.append(record("survey-completed", SURVEY, 3, HEADERS))
    records.append(record("survey-completed", b"no JSON at all", 4))
    await letter_broker.write_letters(*records)
    told = {letter.coordinates.offset: letter.customer for letter in await letter_broker.open_letters()}
    assert told == {**dict.fromkeys(range(4), PSEUDONYMIZER.pseudonym_at(WHO, NOW)), 4: None}
    await letter_broker.write_letters(
        *[one._replace(topic="survey-sent") for one in records], pseudonymizer=Pseudonymizer({}, "")
    )
    assert {
        one.customer for one in await letter_broker.open_letters() if one.coordinates.topic == "survey-sent"
    } == {None}
    for one in await letter_broker.topic_log(DEAD_LETTER_TOPIC):
        assert {name for name, _ in one.headers} - {"customer"} == set(LETTER_HEADERS) - {"customer"}
        assert WHO.encode() not in b"".join([one.value or b"", *(value for _, value in one.headers)])


def test_the_commands_say_it_in_lines(command_environment: Mapping[str, str]) -> None:
    done = run_command(command_environment, "list")
    assert (done.returncode, done.stdout) == (0, "there are no open dead letters\n")
    done = run_command(command_environment, "retry")  # nothing chosen is not all
    assert (done.returncode, done.stderr) == (
        2,
        "streamer: nothing selected: give coordinates, --reason, --topic, --since or --all\n",
    )
    done = run_command(command_environment, "show", "call-completed:0:17")
    assert (done.returncode, done.stderr) == (
        1,
        "streamer: call-completed:0:17: there is no open dead letter for this record\n",
    )


@pytest.fixture
def command_environment(letter_broker: LetterBroker) -> Mapping[str, str]:
    return os.environ | {"STREAMER_KAFKA": letter_broker.settings.kafka.bootstrap_servers}


def run_command(env: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streamer", "dead-letters", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


# Without Kafka.


ENCODED = {**ENVELOPE, "data_base64": base64.b64encode(json.dumps(SURVEY).encode()).decode()}
ENVELOPES = [
    ("bare", SURVEY, (), ""),
    ("structured", {**ENVELOPE, "data": SURVEY}, (), "/crm"),
    (
        "structured, by its content type",
        {**ENVELOPE, "data": SURVEY},
        (("content-type", b"application/cloudevents+json"),),
        "/crm",
    ),
    ("structured in base64", ENCODED, (), "/crm"),
    ("binary", SURVEY, HEADERS, "/crm"),
]


@pytest.mark.parametrize(("sentence", "body", "headers", "source"), ENVELOPES)
def test_data_are_changed_in_the_envelope_they_came_in(
    sentence: str, body: Any, headers: Headers, source: str
) -> None:
    before = record("survey-completed", body, headers=headers)
    after = edit_record(before, [parse_edit("answers.nps=9"), parse_edit('queue="billing"')])
    assert after._replace(value=None) == before._replace(value=None)
    fact = decode(after, CountingRules())
    assert isinstance(fact, SurveyResponse)
    assert (fact.source, fact.nps, fact.queue, fact.customer_id) == (source, 9, "billing", WHO)


def test_nothing_is_changed_where_nothing_is_set() -> None:
    before = record("survey-completed", b'{ "nps" : 1e0 }')
    assert edit_record(before, []) is before


def test_what_is_not_finite_can_be_set() -> None:
    call = json.dumps({**CALL, "outcome": "answered", "talk_s": float("nan")}).encode()
    fact = decode(edit_record(record("call-completed", call), [parse_edit("talk_s=12.5")]), CountingRules())
    assert getattr(fact, "talk_ms", None) == 12_500


UNCHANGEABLE = [
    ("no JSON", b"{", "answers.nps=9", "not a JSON object"),
    ("a list", b"[1]", "answers.nps=9", "not a JSON object"),
    ("data that are a text", {**ENVELOPE, "data": "x"}, "nps=9", "data is not a JSON object"),
    ("base64 that is none", {**ENVELOPE, "data_base64": "%"}, "nps=9", "cannot be decoded"),
    ("a field in a text", {"answers": "x"}, "answers.nps=9", "answers is not a JSON object"),
    ("another that is not finite", b'{"talk_s":NaN}', "wait_s=1", "not finite"),
]


@pytest.mark.parametrize(("sentence", "value", "text", "why"), UNCHANGEABLE)
def test_what_cannot_be_changed_says_so(sentence: str, value: Any, text: str, why: str) -> None:
    with pytest.raises(DeadLetterError, match=why):
        edit_record(record("survey-completed", value), [parse_edit(text)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nps", "expected FIELD=JSON"),
        ("=9", "expected FIELD=JSON"),
        ("answers..nps=9", "expected FIELD=JSON"),
        ("queue=billing", """--set 'queue="billing"'"""),
    ],
)
def test_a_change_that_cannot_be_read_says_what_was_expected(text: str, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        parse_edit(text)


def test_a_record_of_a_topic_that_nobody_reads_has_no_verdict() -> None:
    for topic in ("orders", "ingest-nobody"):
        with pytest.raises(DeadLetterError, match=f"streamer does not read the topic {topic}"):
            recheck_record(record(topic, {}), load_settings())


def test_letters_are_found_in_every_partition_and_others_records_are_none() -> None:
    headers = [("reason", b"empty"), ("error", b"it is"), ("bytes", b"x")]
    letter = KafkaRecord(DEAD_LETTER_TOPIC, 1, 0, NOW, b"survey-sent:0:7", b"{}", headers)
    again = letter._replace(partition=3, offset=4)  # when there were more partitions
    index = OpenLetterIndex()
    for one in [
        letter,
        again,
        letter._replace(key=b"survey-sent:0:8", offset=1),
        letter._replace(key=b"survey-sent:0:8", offset=2, value=None, headers=()),
        letter._replace(key=b"somebody else's"),
        letter._replace(key=None),
        letter._replace(key=b"survey-sent:0:9", headers=()),
    ]:
        index.add(one)
    places = index.places()
    assert offsets_of(places) == {3: [4]}
    found = parse_letter(again, places.partitions_of(again))
    assert (str(found.coordinates), found.partitions, found.size_bytes) == ("survey-sent:0:7", (1, 3), None)


@pytest.mark.parametrize("merged_rows", [1, 3, 100_000])
def test_letters_written_and_closed_in_any_order_are_as_open_as_their_last_record(
    merged_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.dead_letters.letter_index._MERGED_ROWS", merged_rows)
    random = Random(f"letters {merged_rows}")
    for _ in range(30):
        index, last = OpenLetterIndex(), dict[tuple[str, int], tuple[int, bool]]()
        for offset in range(60):
            key, partition = f"{random.choice('ab')}:{random.randrange(2)}:{random.randrange(8)}", offset % 2
            value = random.choice([b"{}", None])
            index.add(KafkaRecord("", partition, offset, NOW, key.encode(), value, [("reason", b"empty")]))
            last[key, partition] = (offset, value is not None)
        open_places = {key_place: offset for key_place, (offset, is_open) in last.items() if is_open}
        keys = {key for key, _ in open_places}
        places = index.places()
        found = {(number, offset) for number, offsets in offsets_of(places).items() for offset in offsets}
        assert len(found) == len(keys)
        assert found <= {(partition, offset) for (_, partition), offset in open_places.items()}
        twice = {key for key in keys if {(key, 0), (key, 1)} <= open_places.keys()}
        assert places.partitions == {(1, open_places[key, 1]): (0, 1) for key in twice}


def offsets_of(places: LetterPlaces) -> dict[int, list[int]]:
    return {number: offsets.tolist() for number, offsets in places.offsets_by_partition.items()}


@pytest.mark.parametrize(
    "text", ["", "call-completed", "call-completed:0", "call-completed:a:1", ":0:1", "a:0:-1"]
)
def test_coordinates_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(QueryError, match="expected coordinates such as call-completed:0:17"):
        parse_letter_filter([text])


def test_nothing_chosen_is_not_all() -> None:
    with pytest.raises(QueryError):
        require_letter_filter(everything=False, coordinates=(), reason=None, topic=None, since=None)
    assert require_letter_filter(
        everything=True, coordinates=(), reason=None, topic=None, since=None
    ) == LetterFilter([])


def test_letters_are_chosen_by_reason_topic_and_time() -> None:
    letters = [
        DeadLetter(RecordCoordinates(topic, 0, at), reason, "", at, None, None, b"{}", (0,))
        for at, (topic, reason) in enumerate(
            [("survey-sent", "empty"), ("survey-sent", "future"), ("call-completed", "empty")]
        )
    ]

    def places(chosen: LetterFilter) -> list[int]:
        return [letter.timestamp_ms for letter in chosen.select(letters)]

    assert places(parse_letter_filter()) == [0, 1, 2]
    assert places(parse_letter_filter(reason="empty")) == [0, 2]
    assert places(parse_letter_filter(topic="survey-sent", reason="empty")) == [0]
    assert places(parse_letter_filter(since="0.001")) == [1, 2]
    with pytest.raises(QueryError, match="expected one of empty"):
        parse_letter_filter(reason="bad")
