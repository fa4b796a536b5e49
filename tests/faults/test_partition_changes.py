"""Partitions that are added, and topics that are deleted or made anew smaller, while workers run."""

import asyncio

import pytest
from aiokafka.admin import NewPartitions

from streamer.events.decoding import TOPICS
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import wall_clock_ms
from streamer.store.port import Partition
from streamer.worker.kafka import KafkaPartitionDirectory
from tests.faults import kafka_log
from tests.faults.traffic import PARTITIONS
from tests.faults.trial import Trial
from tests.faults.worker import said

pytestmark = pytest.mark.apache  # the embedded broker neither adds nor deletes partitions


async def test_partitions_added_while_a_worker_runs_are_counted(trial: Trial) -> None:
    trial.worker()
    async with trial.load(per_s=200):
        await trial.progress(300)
        async with kafka_log.admin(trial.broker.address) as admin:
            await admin.create_partitions({"call-completed": NewPartitions(PARTITIONS + 2)})
    trial.publisher.partitions = PARTITIONS + 2
    async with kafka_log.admin(trial.broker.address) as admin:
        await admin.create_partitions({t: NewPartitions(PARTITIONS + 2) for t in TOPICS[1:]})
    async with trial.load(per_s=200):
        await trial.progress(300)
    await trial.settle()
    records = await trial.records()
    assert {record.partition for record in records} == {*range(PARTITIONS + 2)}


async def test_a_topic_made_anew_with_fewer_partitions_and_one_deleted_leave_no_old_heartbeats(
    trial: Trial,
) -> None:
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(600)
    await trial.settle()
    before = await trial.records()
    await kafka_log.make_anew(trial.broker.address, partitions=2)
    await kafka_log.delete(trial.broker.address, ["customer-valued"])
    trial.publisher.partitions, trial.publisher.left_out = 2, {"customer-valued"}
    async with trial.load(per_s=300):
        await trial.progress(300)
    records = [*before, *await trial.records()]
    await trial.settle(records)
    left = {Partition(topic, n) for topic in TOPICS if topic != "customer-valued" for n in range(2)}
    async with asyncio.timeout(60):
        while not {*await trial.store.heartbeats()} <= left:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.1)
    assert said(worker, "partitions no longer exist")
    assert await data_age_s(trial) < 30
    await trial.settle(records)


async def data_age_s(trial: Trial) -> float:
    reader = MetricsReader(trial.store, trial.settings)
    await reader.refresh(wall_clock_ms())
    age_s = reader.data_age_s(wall_clock_ms())
    assert age_s is not None
    return age_s


async def test_a_directory_knows_what_exists_and_says_when_it_cannot(trial: Trial) -> None:
    directory = KafkaPartitionDirectory(trial.broker.settings, TOPICS)
    calls, gone = Partition("call-completed", PARTITIONS - 1), Partition("call-completed", PARTITIONS)
    renamed, letters = Partition("center-2.call-completed", 0), Partition("streamer-dead-letters", 0)
    of_all_topics = KafkaPartitionDirectory(trial.broker.settings)
    async with asyncio.timeout(30):  # a topic just created is not known to its broker at once
        while {calls, letters} - await of_all_topics.existing([calls, letters]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await directory.existing([calls, gone, renamed, letters]) == {calls}
    assert await of_all_topics.existing([calls, gone, renamed, letters]) == {calls, letters}
    await kafka_log.delete(trial.broker.address, TOPICS)
    with pytest.raises(ConnectionError, match="none of the topics"):
        await directory.existing([calls])
    await trial.broker.stop()
    with pytest.raises(ConnectionError):
        await directory.existing([calls])
