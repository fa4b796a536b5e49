"""Logs that are not the ones that were counted."""

from collections.abc import Sequence

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from streamer.events.decoding import KafkaRecord
from streamer.store.port import LogPosition, Partition
from streamer.worker.log_identity import LogSnapshot, record_checkpoint, resolve_start_position
from tests.faults import kafka_log
from tests.faults.trial import Trial
from tests.faults.worker import Worker, said


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
    assert_said_once(worker, before)


async def test_logs_that_start_over_under_a_running_worker_are_recognized_and_counted(trial: Trial) -> None:
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    before = await trial.settle()
    if trial.broker.keeps_records:
        await kafka_log.make_anew(trial.broker.address)
    else:
        await trial.broker.kill()
        await trial.broker.start()
        await trial.make_topics()
    partitions = {(record.topic, record.partition) for record in before}
    await trial.until(lambda: len(said(worker, "the topic was recreated")) >= len(partitions))
    async with trial.load(per_s=300):
        await trial.progress(300)
    await trial.settle([*before, *await trial.records()])
    assert_said_once(worker, before)


def test_a_log_that_grew_past_its_own_beginning_before_it_was_recognized_starts_over() -> None:
    counted = [record_checkpoint(offset, 0, None, b"old") for offset in range(4)]
    position = LogPosition("epoch", 6, b"--------", (*counted, record_checkpoint(5, 0, None, b"new")))
    log = {offset: record_checkpoint(offset, 0, None, b"new") for offset in range(6)}
    verdict = resolve_start_position(Partition("survey-sent", 0), position, LogSnapshot(0, log))
    assert verdict.position.next == 0
    assert "recreated" in (verdict.warning or "")
    trimmed = LogSnapshot(5, {5: log[5]})
    assert resolve_start_position(Partition("survey-sent", 0), position, trimmed).position == position


@pytest.mark.apache  # the embedded broker knows no DeleteRecords
async def test_what_was_deleted_before_it_was_counted_is_said(trial: Trial) -> None:
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


def assert_said_once(worker: Worker, counted: Sequence[KafkaRecord]) -> None:
    for topic, number in {(record.topic, record.partition) for record in counted}:
        assert len(said(worker, f"{topic}:{number}: .* the topic was recreated")) == 1
