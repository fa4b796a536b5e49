"""The comparison of a trial with the oracle misses nothing."""

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.operations.comparison import read_store_state
from streamer.store.memory import MemoryStore
from tests.counting import differing_tallies, partition_processor, processing_context, stored_tallies
from tests.strategies import START


async def test_a_count_that_is_wrong_missing_or_too_many_is_a_difference() -> None:
    store = MemoryStore()
    processor = await partition_processor(processing_context(store, CountingRules()), "survey-completed", 0)
    answer = b'{"response_id":"r1","answered_at":%d,"queue":"billing","answers":{"nps":9}}' % (START // 1000)
    await processor.count([KafkaRecord("survey-completed", 0, 0, START, None, answer, ())], 1)
    state, right = await read_store_state(store), await stored_tallies(store)
    place, tally = next(iter(right.items()))
    nowhere = ("fine", 1, "nowhere")
    assert list(differing_tallies(state, right)) == []
    assert list(differing_tallies(state, right | {place: {}})) == [(place, tally, {})]
    assert list(differing_tallies(state, right | {nowhere: tally})) == [(nowhere, None, tally)]
    others = {other: found for other, found in right.items() if other != place}
    assert list(differing_tallies(state, others)) == [(place, tally, None)]
