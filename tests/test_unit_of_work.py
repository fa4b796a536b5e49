"""Number of reads that a batch needs for its documents, each a round trip to Redis, and its pauses."""

import asyncio
import json
from collections import Counter
from itertools import islice

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.store.memory import MemoryStore
from streamer.store.port import LogPosition, Partition, StoreVersion
from streamer.worker.pipeline import UnitOfWork
from tests.counting import partition_processor, processing_context
from tests.faults import traffic
from tests.strategies import START

BATCH = 300


async def test_a_batch_of_any_topic_asks_for_its_documents_three_times_at_most() -> None:
    logs = traffic.logs(islice(traffic.messages(START, seed=1), 6_000))
    store, rounds = MemoryStore(CountingRules()), Counter[int]()
    shared = processing_context(store, CountingRules())
    for partition, log in logs.items():
        at = await partition_processor(shared, *partition)
        for first in range(0, len(log), BATCH):
            some = log[first : first + BATCH]
            unit, read_count = UnitOfWork(shared, partition, some), 0
            while keys := [*unit.missing_keys()]:
                read_count += 1
                snapshot = await store.read(keys)
                unit.load(snapshot.version, dict(zip(keys, snapshot.values, strict=True)))
            rounds[read_count] += 1
            await at.count(some, some[-1].offset + 1)
    assert rounds.total() > 15
    assert max(rounds) <= 3, rounds


async def test_the_oldest_version_counts_whichever_was_read_first() -> None:
    """A failover may lead back to an older state between two reads, and another one forth again."""
    shared = processing_context(MemoryStore(CountingRules()), CountingRules())
    record = KafkaRecord("call-completed", 0, 0, START, None, b"{", ())
    unit = UnitOfWork(shared, Partition("call-completed", 0), [record])
    newer, older = StoreVersion(5, b"newer"), StoreVersion(3, b"older")
    unit.load(newer, {b"ea": None})
    unit.load(older, {b"eb": None})
    unit.load(newer, {b"ec": None})
    commit = unit.commit(LogPosition("e1", 0, b"token"), 1)
    assert (commit.version, commit.later_versions) == (older, [newer])


async def test_a_batch_of_long_comments_leaves_the_event_loop_to_others() -> None:
    shared = processing_context(MemoryStore(CountingRules()), CountingRules())
    comment = {"comment": "1-" * 2_000, "answers": {"nps": 9}, "answered_at": START // 1000}
    values = [json.dumps({"response_id": f"r{number}", **comment}).encode() for number in range(50)]
    records = [
        KafkaRecord("survey-completed", 0, number, START, None, value, ())
        for number, value in enumerate(values)
    ]
    processor = await partition_processor(shared, "survey-completed", 0)
    counting = asyncio.create_task(processor.count(records, len(records)))
    turns = 0
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    await counting
    assert processor.position.next == len(records)
    assert turns >= len(records)
