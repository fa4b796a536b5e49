"""An id that many share costs no more than any other, however many events name it."""

import gc
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from statistics import median
from time import thread_time

import pytest

from streamer.events.counting_rules import SECOND, CountingRules
from streamer.events.models import Event, QualityEvaluation, Segment, SurveyResponse, SurveySent
from streamer.store.memory import MemoryStore
from streamer.store.port import Partition, StateStore
from streamer.store.redis import RedisStore
from streamer.worker.pipeline import UnitOfWork
from tests.counting import partition_processor, processing_context
from tests.messages import record, topic_of
from tests.strategies import START
from tests.test_exactness import at_once

BATCH = 100
FACTOR = 4
"""Nothing grows with the number of events; at 2,000 events of one contact O(n) costs 20 times as much."""
LONGEST_DOCUMENT = 300
"""Bytes: those of an event that stands alone."""
RULES = CountingRules()
LIMIT = RULES.shared_id_limit


def segment(number: int, **named: str) -> Event:
    fields = {"contact_id": f"c{number}", "customer_id": f"p{number}", "queue": "billing", "agent_id": "anna"}
    return Segment(
        segment_id=f"s{number}",
        ended_at=START + number * SECOND,
        outcome="answered",
        channel="voice",
        wait_ms=5_000,
        talk_ms=60_000,
        **(fields | named),
    )


def usual(number: int) -> Event:
    return segment(number, queue=f"q{number % 20}", agent_id=f"a{number % 200}")


def of_one_contact(number: int) -> Event:
    return segment(number, contact_id="N/A")


def of_one_contact_and_customer(number: int) -> Event:
    return segment(number, contact_id="N/A", customer_id="0")


def of_one_customer(number: int) -> Event:
    return segment(number, customer_id="0")


def of_one_survey(number: int) -> Event:
    return SurveyResponse(response_id=f"r{number}", survey_id="0", answered_at=START + number, nps=9)


def invited_to_one_contact(number: int) -> Event:
    return SurveySent(survey_id=f"v{number}", contact_id="unknown", sent_at=START + number)


def evaluating_one_contact(number: int) -> Event:
    return QualityEvaluation(
        evaluation_id=f"e{number}", contact_id="N/A", score=8_000, evaluated_at=START + number
    )


def skewed(number: int) -> Event:
    """95 % of events of one customer, one queue and one agent."""
    named = {} if number % 20 == 0 else {"queue": "billing", "agent_id": "anna", "customer_id": "0"}
    return segment(number, **({"queue": f"q{number}", "agent_id": f"a{number}"} | named))


async def costs(
    store: StateStore, make: Callable[[int], Event], count: int, now_ms: int = START
) -> list[float]:
    """Count events. Return the CPU seconds of each batch.

    No cycles are collected meanwhile: one look through all objects of a process that ran thousands of tests
    costs as much as twenty batches, and would be a batch's that has no part in it.
    """
    shared = processing_context(store, RULES)
    at = await partition_processor(shared, topic_of(make(0)), 0)
    seconds = []
    gc.disable()
    try:
        for first in range(0, count, BATCH):
            numbers = range(first, first + BATCH)
            batch = [record(make(number), 0, number, START + number * SECOND) for number in numbers]
            began = thread_time()
            await at.count(batch, first + BATCH)
            seconds.append(thread_time() - began)
    finally:
        gc.enable()
    return seconds


def cost_at(seconds: Sequence[float], count: int) -> float:
    """Return the cost of a batch around that number of events."""
    return median(seconds[count // BATCH - 5 : count // BATCH])


@cache
def usual_cost() -> float:
    return cost_at(at_once(costs(MemoryStore(RULES), usual, 1_500)), 1_500)


SKEWS = (
    of_one_contact_and_customer,
    of_one_customer,
    of_one_survey,
    invited_to_one_contact,
    evaluating_one_contact,
    skewed,
)


def test_events_of_one_contact_cost_the_same_at_3_000_and_at_10_000() -> None:
    seconds = at_once(costs(MemoryStore(RULES), of_one_contact, 10_000))
    assert cost_at(seconds, 10_000) < 3 * cost_at(seconds, 3_000)
    assert cost_at(seconds, 10_000) < FACTOR * usual_cost()
    assert max(seconds[: LIMIT // BATCH + 1]) < 40 * usual_cost(), "on the way, and the split"


@pytest.mark.parametrize("make", SKEWS, ids=lambda make: make.__name__)
def test_skewed_events_cost_a_constant_factor_more_than_usual_ones(make: Callable[[int], Event]) -> None:
    store = MemoryStore(RULES)
    assert cost_at(at_once(costs(store, make, 2_000)), 2_000) < FACTOR * usual_cost()
    assert max(map(len, store.documents.values())) < LONGEST_DOCUMENT


@pytest.mark.parts
@pytest.mark.parametrize("make", [of_one_contact, skewed], ids=lambda make: make.__name__)
async def test_skewed_events_cost_a_constant_factor_more_in_redis_too(
    store_url: str, make: Callable[[int], Event]
) -> None:
    cost_by_kind = {}
    for kind in (make, usual):
        store = await RedisStore.connect(store_url, f"skew-{uuid.uuid4().hex}", RULES)
        try:
            cost_by_kind[kind] = cost_at(await costs(store, kind, 1_500), 1_500)
        finally:
            await store.close()
    assert cost_by_kind[make] < FACTOR * cost_by_kind[usual]


@pytest.mark.parametrize("make", [of_one_contact, *SKEWS], ids=lambda make: make.__name__)
async def test_a_batch_of_a_shared_id_asks_for_its_documents_four_times_at_most(
    make: Callable[[int], Event],
) -> None:
    """Each event on its own would ask for the journey of its own, a round trip each."""
    store = MemoryStore(RULES)
    await costs(store, make, LIMIT + BATCH)
    numbers = range(LIMIT + BATCH, LIMIT + 2 * BATCH)
    batch = [record(make(number), 0, number, START + number * SECOND) for number in numbers]
    unit = UnitOfWork(processing_context(store, RULES), Partition(topic_of(make(0)), 0), batch)
    read_count = 0
    while keys := [*unit.missing_keys()]:
        read_count += 1
        snapshot = await store.read(keys)
        unit.load(snapshot.version, dict(zip(keys, snapshot.values, strict=True)))
    assert read_count <= 4
