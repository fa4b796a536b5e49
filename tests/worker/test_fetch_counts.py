"""Numbers of fetched batches: by seek and assignment; Faust's queues keep what was fetched."""

from types import SimpleNamespace
from typing import Any

from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import TopicPartition
from faust.types import TP
from mode.utils.queues import FlowControlQueue

from streamer.worker.engine import ConsumerThread, UnclearedFlow
from streamer.worker.partitions import NOT_SOUGHT, FetchCount

CALLS, OTHERS = TP("call-completed", 0), TP("call-completed", 1)


class KafkaConsumer:
    """Stand-in for aiokafka's consumer: its assignment, and where it was sought to."""

    def __init__(self, *assigned: TP) -> None:
        self.seeks: list[tuple[int, int]] = []
        self.assign(*assigned)

    def assign(self, *assigned: TP) -> None:
        self._assigned = {TopicPartition(*tp) for tp in assigned}
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=object()))

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.seeks.append((tp.partition, offset))


class UnreachableConsumer(KafkaConsumer):
    """Its group cannot be told offsets; `committed` were tried."""

    committed: Any = None

    async def commit(self, offsets: Any) -> None:
        self.committed = offsets
        raise KafkaConnectionError


async def test_offsets_that_kafka_does_not_take_end_nothing_and_others_partitions_are_not_told() -> None:
    consumer = UnreachableConsumer(CALLS)
    assert await thread_of(consumer)._commit({CALLS: 5, OTHERS: 7}) is False
    assert consumer.committed == {TopicPartition(*CALLS): 5}


def thread_of(consumer: KafkaConsumer) -> Any:
    thread = object.__new__(ConsumerThread)
    vars(thread).update(_consumer=consumer, _sought_assignment=None, _counts={})
    return thread


async def test_batches_are_numbered_from_each_seek_on() -> None:
    thread = thread_of(KafkaConsumer(CALLS, OTHERS))
    await thread._seek_to({CALLS: 5, OTHERS: 7}, 1)
    batches = [thread._count_fetched(tp, []) for tp in (CALLS, CALLS, OTHERS)]
    await thread._seek_to({CALLS: 6}, 2)
    batches.append(thread._count_fetched(CALLS, []))
    assert [(batch.seek_id, batch.sequence) for batch in batches] == [(1, 1), (1, 2), (1, 1), (2, 1)]
    assert (thread.fetched(CALLS), thread.fetched(OTHERS)) == (FetchCount(2, 1), FetchCount(1, 1))


async def test_a_seek_that_comes_late_or_to_a_partition_of_another_member_is_ignored() -> None:
    consumer = KafkaConsumer(CALLS)
    thread = thread_of(consumer)
    await thread._seek_to({CALLS: 5, OTHERS: 7}, 2)
    await thread._seek_to({CALLS: 3}, 1)
    assert consumer.seeks == [(0, 5)]
    assert (thread.fetched(CALLS), thread.fetched(OTHERS)) == (FetchCount(2, 0), NOT_SOUGHT)


async def test_what_a_new_assignment_fetches_before_it_is_sought_follows_no_seek() -> None:
    consumer = KafkaConsumer(CALLS)
    thread = thread_of(consumer)
    await thread._seek_to({CALLS: 5}, 1)
    consumer.assign(CALLS)  # aiokafka goes on at the offset in Kafka
    assert thread._count_fetched(CALLS, []).seek_id == NOT_SOUGHT.seek_id
    await thread._seek_to({CALLS: 5}, 2)
    assert thread._count_fetched(CALLS, []).seek_id == 2


async def test_a_batch_in_a_queue_of_faust_is_still_there_when_the_flow_starts_again() -> None:
    flow = UnclearedFlow()
    queue: Any = FlowControlQueue(flow_control=flow, clear_on_resume=True)
    queue.force_put_nowait("batch")
    flow.resume()
    assert queue.get_nowait() == "batch"
