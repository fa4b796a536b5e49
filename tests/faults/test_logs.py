"""Logs that are not the ones that were counted."""

from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from tests.faults import kafka_log
from tests.faults.trial import Trial
from tests.faults.worker import said


async def test_topics_made_anew_under_a_stopped_worker_are_recognized_and_counted(trial: Trial) -> None:
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    await trial.settle()
    before = await trial.records()
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
    await trial.settle()
    before = await trial.records()
    if trial.broker.keeps_records:
        await kafka_log.make_anew(trial.broker.address)
    else:
        await trial.broker.kill()
        await trial.broker.start()
        await trial.make_topics()
    async with trial.load(per_s=300):
        print("counting again after", await trial.progress())
        await trial.progress(300)
    await trial.settle([*before, *await trial.records()])


async def test_what_was_deleted_before_it_was_counted_is_said(trial: Trial) -> None:
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    await trial.settle()
    assert await worker.stop() == 0
    ends = {}
    for record in await trial.records():
        ends[TopicPartition(record.topic, record.partition)] = record.offset + 1
    counted, lost = TopicPartition("call-completed", 0), TopicPartition("call-completed", 1)
    before = await trial.records()
    async with trial.load(per_s=3000):
        while len(await trial.records()) < len(before) + 500:
            pass
    async with kafka_log.admin(trial.broker.address) as admin:
        deleted = {counted: ends[counted] - 5, lost: ends[lost] + 5}
        await admin.delete_records({tp: RecordsToDelete(before_offset=at) for tp, at in deleted.items()})
    worker = trial.worker()
    present = await trial.records()
    published = {(one.topic, one.partition, one.offset): one for one in [*before, *present]}
    await trial.settle(list(published.values()))
    assert len(said(worker, f"call-completed:1: 5 records from offset {ends[lost]} on were deleted")) == 1
    assert not said(worker, "call-completed:0: ")
