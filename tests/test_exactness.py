"""Exact numbers: in any order, with any repetition and over any partitions they equal the oracle's."""

import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.counting_rules import DAY, SECOND, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import (
    CustomerValuation,
    Event,
    QualityEvaluation,
    RejectedEvent,
    Segment,
    SurveyResponse,
    Tombstone,
)
from streamer.journeys.journey import Journey, customer_key
from streamer.panes.pane_keys import LONG_MS, groupings, row_field
from streamer.store.layout import document_ttl_ms
from streamer.store.memory import MemoryStore
from streamer.store.port import Commit, CommitOutcome, DocumentSnapshot, StateStore
from streamer.store.redis import RedisStore
from streamer.worker.pipeline import ProcessingContext
from tests import oracle, strategies
from tests.counting import Tallies, cell_field, partition_processor, processing_context, stored_tallies
from tests.messages import logs, record, topic_of
from tests.strategies import START

SLOW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
Place = tuple[str, int]
Logs = Mapping[Place, Sequence[KafkaRecord]]
T = TypeVar("T")


class DeliveryOrder(NamedTuple):
    """Logs, and the turns in which their batches are counted: a log and a number of its records each."""

    rules: CountingRules
    logs: Logs
    turns: Sequence[tuple[Place, int]]


def published(event: Event) -> int:
    """Return the record time of an event: its own. Late and forgotten events are tested elsewhere."""
    return START if isinstance(event, Tombstone) else event.time


@st.composite
def deliveries(
    draw: st.DrawFn,
    events: st.SearchStrategy[list[Event]],
    rules: st.SearchStrategy[CountingRules],
    when: Callable[[Event], int] = published,
) -> DeliveryOrder:
    stated_events = draw(events)
    again = draw(st.lists(st.sampled_from(stated_events), max_size=4)) if stated_events else []
    order = draw(st.permutations([*stated_events, *again]))
    written = logs([(event, draw(st.integers(0, 1))) for event in order], when)
    turns: list[tuple[Place, int]] = []
    for partition, log in written.items():
        size = draw(st.integers(1, 5))
        turns += [(partition, len(log[first : first + size])) for first in range(0, len(log), size)]
    return DeliveryOrder(draw(rules), written, draw(st.permutations(turns)))


def decoded_events(written: Logs, rules: CountingRules) -> list[Event]:
    """Decode all records that can be read, for the oracle."""
    events = [decode(record, rules) for log in written.values() for record in log]
    return [event for event in events if not isinstance(event, RejectedEvent)]


def expected_tallies(events: Sequence[Event], rules: CountingRules) -> Tallies:
    """Return the tallies that the store must hold, computed by the oracle."""
    fine = oracle.tallies(events, rules).items()
    long = oracle.by_hour_and_row(events, rules).items()
    tallies = {("fine", pane, cell_field(cell)): tally for (pane, cell), tally in fine} | {
        ("long", hour, row): tally for (hour, row), tally in long
    }
    for key, presence in _agent_links(events, rules).items():
        tallies[key] = tallies[key] | presence
    return tallies


def _agent_links(events: Iterable[Event], rules: CountingRules) -> Tallies:
    """Return how often each agent answered under other rows, by the agent's own row."""
    links: Tallies = {}
    for fact in oracle.facts_in_force(events, rules):
        if not isinstance(fact, Segment) or fact.agent_id is None:
            continue
        if (fact.direction, fact.outcome) != ("inbound", "answered"):
            continue
        cell = oracle.cell_of(fact)
        agent_row = row_field(("agent",), cell)
        rows = links.setdefault(("long", fact.ended_at // LONG_MS, agent_row), {})
        for name in (row_field(by, cell) for by in groupings(rules.dimension_pairs)):
            if name != agent_row:
                rows[name] = rows.get(name, 0) + 1
    return links


async def check_exact(delivery: DeliveryOrder, store: StateStore, now_ms: int = START) -> None:
    """Check the property: count all events, then compare with the oracle."""
    shared = processing_context(store, delivery.rules, now_ms)
    processors = {partition: await partition_processor(shared, *partition) for partition in delivery.logs}
    for partition, size in delivery.turns:
        first = processors[partition].position.next
        await processors[partition].count(delivery.logs[partition][first : first + size], first + size)
    events = decoded_events(delivery.logs, delivery.rules)
    counts = await store.counters()
    assert await stored_tallies(store) == expected_tallies(events, delivery.rules)
    names = oracle.shared_names(events, delivery.rules)
    assert counts.get("crowds", 0) == len(oracle.shared_ids(events, delivery.rules))
    assert counts.get("shared\x1fcontact", 0) == len(names.contacts)
    assert counts.get("shared\x1fsurvey", 0) == len(names.surveys)
    for topic in {topic for topic, _ in delivery.logs}:
        written = sum(len(log) for (name, _), log in delivery.logs.items() if name == topic)
        assert results(counts, topic) == written == len([e for e in events if topic_of(e) == topic])


def results(counts: Mapping[str, int], topic: str) -> int:
    """Return the number of a topic's records, summed over their results."""
    return sum(
        counts.get(f"events\x1f{topic}\x1f{result}", 0) for result in ("applied", "unchanged", "rejected")
    )


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing but its turn, as with a store in memory."""
    try:
        while work.send(None) is None:
            pass
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("the coroutine waits")


@settings(SLOW, max_examples=120)
@given(deliveries(strategies.events(), strategies.rules()))
def test_any_order_duplication_and_batching_gives_the_oracles_tallies(delivery: DeliveryOrder) -> None:
    at_once(check_exact(delivery, MemoryStore()))


def crowded() -> st.SearchStrategy[CountingRules]:
    return st.builds(replace, strategies.rules(), shared_id_limit=st.integers(1, 4))


@settings(SLOW, max_examples=50)
@given(deliveries(strategies.events(), crowded()))
def test_crowds_are_told_from_customers_in_any_order(delivery: DeliveryOrder) -> None:
    at_once(check_exact(delivery, MemoryStore()))


# Redis sweeps past panes by its own clock: here all events lie in the future.

AHEAD = 20 * 365 * DAY
_TIMES = ("queued_at", "ended_at", "sent_at", "answered_at", "evaluated_at", "as_of")


def ahead(event: Event) -> Event:
    times = {name: getattr(event, name, None) for name in _TIMES}
    moved = {name: time + AHEAD for name, time in times.items() if time is not None}
    if isinstance(event, CustomerValuation):
        moved["version"] = moved["as_of"]
    return replace(event, **moved)


def published_ahead(event: Event) -> int:
    return START + AHEAD if isinstance(event, Tombstone) else event.time


def worlds_ahead(max_facts: int = 20) -> st.SearchStrategy[list[Event]]:
    return strategies.events(max_facts).map(lambda told: [ahead(event) for event in told])


@pytest.mark.parts
@settings(SLOW, max_examples=25)
@given(delivery=deliveries(worlds_ahead(), strategies.rules(), published_ahead))
async def test_redis_holds_the_oracles_tallies_too(store_url: str, delivery: DeliveryOrder) -> None:
    store = await RedisStore.connect(store_url, f"exact-{uuid.uuid4().hex}", delivery.rules)
    try:
        await check_exact(delivery, store, START + AHEAD)
    finally:
        await store.close()


# Old events.


class AgeingHistory(NamedTuple):
    """Events with the time each is published at, in that order; the last one at `end`. Times in ms."""

    rules: CountingRules
    timed_events: Sequence[tuple[int, Event]]
    end: int


@st.composite
def ageing_histories(draw: st.DrawFn) -> AgeingHistory:
    """Draw contacts whose facts lie within one horizon and are corrected as late as is accepted.

    Their ages lie around all boundaries.
    """
    horizon, fcr = draw(st.sampled_from(((12 * DAY, 7 * DAY), (12 * DAY, DAY), (35 * DAY, 7 * DAY))))
    rules = CountingRules(horizon_ms=horizon, fcr_ms=fcr)
    end = START + 5 * horizon
    timed_events: list[tuple[int, Event]] = []
    age = 0
    for number in range(draw(st.integers(2, 7))):
        if draw(st.integers(0, 2)):
            age += fcr + draw(st.sampled_from((0, 0, 0, -1, 1)))
        else:
            age = draw(st.integers(0, 3)) * horizon + draw(st.integers(-1, 1))
        first = Segment(
            contact_id=f"k{number}",
            customer_id=draw(st.sampled_from(("ann", "ann", "ann", "bob", None))),
            agent_id=draw(st.sampled_from(("anna", "ben"))),
            queue="billing",
            channel="voice",
            ended_at=end - max(age, 0),
            outcome="answered",
        )
        timed_events.append((first.time + draw(st.sampled_from((0, 0, horizon))), first))
        timed_events += draw(_later_events(first, horizon))
    timed_events = [(min(when, end), event) for when, event in timed_events if event_fits(event, end)]
    last = visit("last", end)
    return AgeingHistory(rules, [*sorted(timed_events, key=lambda timed: timed[0]), (end, last)], end)


def event_fits(event: Event, end: int) -> bool:
    return isinstance(event, Tombstone) or event.time <= end


@st.composite
def _later_events(draw: st.DrawFn, first: Segment, horizon: int) -> list[tuple[int, Event]]:
    """Draw later events of a contact, none of them later than two horizons after the contact began."""
    what = draw(st.sampled_from(("nothing", "corrected", "deleted", "deleted", "answered", "evaluated")))
    later = first.time + draw(st.sampled_from((0, 1, DAY, horizon - 1, horizon)))
    published_ms = later + draw(st.sampled_from((0, horizon - 1, horizon)))
    whose = draw(st.sampled_from(("ann", "bob", None)))
    name = first.contact_id
    match what:
        case "corrected":
            return [(published_ms, replace(first, version=1, ended_at=later, customer_id=whose))]
        case "deleted":
            past = draw(st.sampled_from((0, horizon, 2 * horizon - 1, 2 * horizon, 2 * horizon)))
            return [(first.time + past, Tombstone(first.identity, 1))]
        case "answered":
            response = SurveyResponse(
                response_id=name, contact_id=name, customer_id=whose, answered_at=later, nps=3, channel="chat"
            )
            return [(published_ms, response)]
        case "evaluated":
            return [
                (
                    published_ms,
                    QualityEvaluation(evaluation_id=name, contact_id=name, score=50, evaluated_at=later),
                )
            ]
    return []


async def count_as_published(ageing: AgeingHistory, store: StateStore) -> ProcessingContext:
    """Count each event when it is published; the watermark follows as closely as it may."""
    shared = processing_context(store, ageing.rules, START - 100 * DAY)  # no pane has expired
    for when, event in ageing.timed_events:
        shared.watermark_ms = when
        at = await partition_processor(shared, topic_of(event), 0)
        await at.count([record(event, 0, at.position.next, when)], at.position.next + 1)
    return shared


def check_ageing(ageing: AgeingHistory) -> None:
    store = MemoryStore()
    at_once(count_as_published(ageing, store))
    assert at_once(stored_tallies(store)) == expected_tallies(
        [event for _, event in ageing.timed_events], ageing.rules
    )


@settings(SLOW, max_examples=150)
@given(ageing_histories())
def test_forgetting_changes_no_number_that_an_accepted_event_can_reach(ageing: AgeingHistory) -> None:
    check_ageing(ageing)


def visit(contact_id: str, ended_at: int) -> Segment:
    return Segment(
        contact_id=contact_id,
        customer_id="ann",
        agent_id="anna",
        queue="billing",
        channel="voice",
        ended_at=ended_at,
        outcome="answered",
    )


def contacts_kept(store: MemoryStore) -> set[str]:
    journey = Journey.unpacked(store.documents[customer_key("ann")], 0)
    return {segment.contact_id for group in journey.groups.values() for segment in group.facts.segments}


@pytest.mark.parametrize(("older_by", "kept"), [(0, {"old", "new", "newest"}), (1, {"new", "newest"})])
def test_contacts_far_behind_the_watermark_leave_the_journey_but_not_the_numbers(
    older_by: int, kept: set[str]
) -> None:
    rules, store = CountingRules(), MemoryStore()
    shared = processing_context(store, rules)
    shared.watermark_ms = START + 100 * DAY
    limit = shared.forget_before_ms(())
    visits = [visit("old", limit - older_by), visit("new", START + 100 * DAY)]
    ageing = AgeingHistory(rules, [(event.time, event) for event in visits], START)
    shared = at_once(count_as_published(ageing, store))
    at = at_once(partition_processor(shared, "call-completed", 0))
    newest = visit("newest", START + 100 * DAY + SECOND)
    at_once(at.count([record(newest, 0, 2, newest.time - SECOND)], 3))
    assert contacts_kept(store) == kept
    assert at_once(stored_tallies(store)) == expected_tallies([*visits, newest], rules)


def test_a_contact_taken_back_after_two_horizons_leaves_the_earlier_ones_as_they_were() -> None:
    """The last of three visits, an FCR window apart, is deleted: the second stays a repeat of the first."""
    rules = CountingRules()
    end = START + 5 * rules.horizon_ms
    visits = [visit(f"k{n}", end - 2 * rules.horizon_ms - n * rules.fcr_ms) for n in (2, 1, 0)]
    taken_back = Tombstone(visits[-1].identity, 1)
    check_ageing(AgeingHistory(rules, [*((event.time, event) for event in visits), (end, taken_back)], end))


class ExpiringStore(MemoryStore):
    """Store that deletes expired documents before each read. `now_ms`: the time of a commit."""

    def __init__(self, rules: CountingRules) -> None:
        super().__init__(rules)
        self.now_ms = 0
        self.forgotten = 0

    async def read(self, keys: Sequence[bytes]) -> DocumentSnapshot:
        panes = self.panes.copy()  # none of these shall expire
        self.forgotten += await self.forget(self.now_ms, len(self.documents))
        self.panes.update(panes)
        return await super().read(keys)

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        outcome = await super().commit(commit, now_ms)
        self.data.written_ms.update(dict.fromkeys(commit.writes, self.now_ms))
        return outcome


def test_a_contact_that_goes_on_for_longer_than_documents_live_keeps_its_numbers() -> None:
    rules = CountingRules()
    store = ExpiringStore(rules)
    weeks = [
        replace(visit("ticket", START + week * 7 * DAY), segment_id=f"week {week}") for week in range(30)
    ]
    for offset, event in enumerate(weeks):
        store.now_ms = event.time
        shared = processing_context(store, rules, START)
        shared.watermark_ms = event.time
        at = at_once(partition_processor(shared, "call-completed", 0))
        at_once(at.count([record(event, 0, offset, event.time)], offset + 1))
    assert at_once(stored_tallies(store)) == expected_tallies(weeks, rules)
    assert document_ttl_ms(rules) < 29 * 7 * DAY
    assert store.forgotten > 0


def test_records_older_than_the_watermark_keep_what_is_around_them() -> None:
    """The records are replayed into a center that is caught up."""
    store = MemoryStore()
    shared = processing_context(store, CountingRules(), START)
    shared.watermark_ms = START + 100 * DAY
    visits = [visit(f"k{day}", START + day * DAY) for day in range(5)]

    async def replay() -> None:
        for offset, event in enumerate(visits):
            at = await partition_processor(shared, "call-completed", 0)
            await at.count([record(event, 0, offset, event.time)], offset + 1)

    at_once(replay())
    assert at_once(stored_tallies(store)) == expected_tallies(visits, CountingRules())
