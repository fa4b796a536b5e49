"""Logs that are not the ones that were counted."""

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from tests.faults import kafka_log
from tests.faults.trial import Trial
from tests.faults.worker import said


async def test_topics_made_anew_under_a_stopped_worker_are_recognized_and_counted(trial: Trial) -> None:
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    before = await trial.settle()
    assert await worker.stop() == 0
    await kafka_log.make_anew(trial.broker.address)
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(300)
    await trial.settle([*before, *await trial.records()])
    for topic, number in {(record.topic, record.partition) for record in before}:
        assert len(said(worker, f"{topic}:{number}: .* the topic was made anew")) == 1


async def test_logs_that_start_over_under_a_running_worker_are_counted(trial: Trial) -> None:
    trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    before = await trial.settle()
    if trial.broker.keeps_records:
        await kafka_log.make_anew(trial.broker.address)
    else:
        await trial.broker.kill()
        await trial.broker.start()
        await trial.make_topics()
    async with trial.load(per_s=300):
        print(f"counted again after {await trial.progress():.1f} s")
        await trial.progress(300)
    await trial.settle([*before, *await trial.records()])


async def test_what_was_deleted_before_it_was_counted_is_said(trial: Trial) -> None:
    if not trial.broker.keeps_records:
        pytest.skip("the embedded broker knows no DeleteRecords; it closes the connection")
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    before = await trial.settle()
    assert await worker.stop() == 0
    async with trial.load(per_s=300):
        await trial.until(lambda: trial.published > len(before) + 500)
    ends = {(record.topic, record.partition): record.offset + 1 for record in before}
    counted, lost = TopicPartition("call-completed", 0), TopicPartition("call-completed", 1)
    async with kafka_log.admin(trial.broker.address) as admin:
        deleted = {counted: ends[counted] - 5, lost: ends[lost] + 5}
        await admin.delete_records({tp: RecordsToDelete(before_offset=at) for tp, at in deleted.items()})
    worker = trial.worker()
    records = [*before, *await trial.records()]
    await trial.settle(list({(one.topic, one.partition, one.offset): one for one in records}.values()))
    assert len(said(worker, f"call-completed:1: 5 records from offset {ends[lost]} on were deleted")) == 1
    assert not said(worker, "call-completed:0: ")
