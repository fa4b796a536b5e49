"""Logs that are not the ones that were counted."""

import asyncio
import re
from collections.abc import Sequence

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from streamer.events.decoding import KafkaRecord
from streamer.runtime.clock import wall_clock_ms
from streamer.store.port import LogPosition, Partition
from streamer.worker.log_identity import LogSnapshot, record_checkpoint, resolve_start_position
from tests.faults import kafka_log
from tests.faults.trial import Trial
from tests.faults.worker import Worker, said


@pytest.mark.apache
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
    assert_said_once(worker, before)


@pytest.mark.apache
async def test_logs_that_start_over_under_a_running_worker_are_recognized_and_counted(trial: Trial) -> None:
    worker = trial.worker()
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
    verdict = resolve_start_position(Partition("survey-sent", 0), position, LogSnapshot(0, log, 6))
    assert verdict.position.next == 0
    assert "recreated" in (verdict.warning or "")
    trimmed = LogSnapshot(5, {5: log[5]}, 6)
    assert resolve_start_position(Partition("survey-sent", 0), position, trimmed).position == position


@pytest.mark.apache  # the embedded broker knows no DeleteRecords
async def test_what_was_deleted_before_it_was_counted_is_said(trial: Trial) -> None:
    worker = trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    await trial.settle()
    before = await trial.records()
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


@pytest.mark.apache
async def test_a_log_restored_from_a_backup_that_ends_earlier_is_recognized_and_nothing_is_counted_twice(
    trial: Trial,
) -> None:
    worker = trial.worker()
    async with trial.load(per_s=30):  # so that not only the end of each log is known
        await trial.progress()
    async with trial.load(per_s=300):
        await trial.progress(900)
    await trial.settle()
    before = await trial.records()
    assert await worker.stop() == 0
    ends = {place_of(one): one.offset + 1 for one in before}
    restored = [one for one in before if one.offset < ends[place_of(one)] * 2 // 3]
    restored_ends = {place_of(one): one.offset + 1 for one in restored}
    await kafka_log.make_anew(trial.broker.address)
    await kafka_log.restore(trial.broker.address, restored)
    worker = trial.worker()
    await trial.until(lambda: len(said(worker, f"{CUT}|the topic was recreated")) >= len(ends))
    resumed = dict.fromkeys(ends, 0) | {
        (found[1], int(found[2])): int(found[3])
        for line in said(worker, CUT)
        if (found := re.search(r"([a-z-]+):(\d+): the log .* counting again from (\d+)", line))
    }
    for place, end in restored_ends.items():
        assert resumed[place] <= end
        assert resumed[place] > 0 or place[0] != "call-completed", "of long logs the beginning is known"
    async with trial.load(per_s=300):
        await trial.progress(300)
    counted_again = [one for one in restored if one.offset >= resumed[place_of(one)]]
    new = [one for one in await trial.records() if one.offset >= restored_ends.get(place_of(one), 0)]
    await trial.settle([*before, *counted_again, *new])


@pytest.mark.apache  # as are the following: the embedded broker neither compacts nor has transactions
async def test_a_compacted_topic_is_the_same_log_at_each_start_and_no_record_is_counted_again(
    trial: Trial,
) -> None:
    worker = trial.worker()
    customers = [f"c-{number}" for number in range(40)]
    await kafka_log.value_customers(trial.broker.address, customers, 1)
    await trial.settle()
    counted = {place_of(one): one.offset for one in await trial.records()}
    assert await worker.stop() == 0
    await kafka_log.set_configs(trial.broker.address, VALUES, COMPACTED)
    rounds = 1
    async with asyncio.timeout(60):
        while any(one.offset <= counted[place_of(one)] for one in await trial.records()):
            rounds += 1
            await kafka_log.value_customers(trial.broker.address, customers, rounds)
    for _ in range(2):
        worker = trial.worker()
        rounds += 1
        await kafka_log.value_customers(trial.broker.address, customers, rounds)
        at_ms = wall_clock_ms()
        async with asyncio.timeout(60):
            while any(beat.caught_up_at < at_ms for beat in (await trial.store.heartbeats()).values()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert await worker.stop() == 0
        assert not said(worker, ANOTHER)
        assert (await trial.counted()).total() <= rounds * len(customers)


@pytest.mark.apache
async def test_markers_and_aborted_records_of_transactions_are_neither_gaps_nor_lag(trial: Trial) -> None:
    worker = trial.worker()
    async with kafka_log.transactions(trial.broker.address) as publish:
        for number in range(12):
            await publish([f"c-{number}-{k}" for k in range(5)], is_aborted=number % 3 == 2)
        await trial.settle()
        assert await worker.stop() == 0
        worker = trial.worker()
        await publish(["c-last"], is_aborted=False)
        await publish(["c-none"], is_aborted=True)
    await trial.settle()
    assert len(await trial.records()) == 41
    assert not said(worker, ANOTHER)
    async with asyncio.timeout(30):
        while any(beat.lag for beat in (await trial.store.heartbeats()).values()):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.1)


@pytest.mark.apache
async def test_a_foreign_member_of_the_group_takes_partitions_but_no_record(trial: Trial) -> None:
    worker = trial.worker()
    async with trial.load(per_s=200):
        await trial.progress(200)
        async with kafka_log.foreign_member(trial.broker.address, "faults"):
            before = trial.published
            await trial.until(lambda: trial.published > before + 400)
        await trial.progress(200)
    await trial.settle()
    assert worker.runs


CUT = "it was restored from a backup or cut"
ANOTHER = "not the log|restored|deleted before"
VALUES = "customer-valued"
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "message.timestamp.type": "CreateTime",
}


def place_of(record: KafkaRecord) -> tuple[str, int]:
    return record.topic, record.partition


def assert_said_once(worker: Worker, counted: Sequence[KafkaRecord]) -> None:
    for topic, number in {(record.topic, record.partition) for record in counted}:
        assert len(said(worker, f"{topic}:{number}: .* the topic was recreated")) == 1
