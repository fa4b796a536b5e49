"""Exact numbers: in any order, with any repetition and over any partitions they equal the oracle's."""

import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.decoding import Record, decode
from streamer.events.models import Evaluation, Event, Rejected, Response, Segment, Tombstone, Valuation
from streamer.events.rules import DAY, SECOND, Rules
from streamer.journeys.journey import Journey, customer_key
from streamer.panes.pane_keys import LONG_MS, groupings, row_field
from streamer.store.layout import document_ttl_ms
from streamer.store.memory import MemoryStore
from streamer.store.port import Commit, Outcome, Snapshot, Store
from streamer.store.redis import RedisStore
from streamer.worker.pipeline import ProcessingContext
from tests import oracle, strategies
from tests.counting import Tallies, cell_field, context, held, processor
from tests.messages import logs, record, topic_of
from tests.strategies import START

SLOW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
Place = tuple[str, int]
Logs = Mapping[Place, Sequence[Record]]
T = TypeVar("T")


class Delivery(NamedTuple):
    """Logs, and the turns in which their batches are counted: a log and a number of its records each."""

    rules: Rules
    logs: Logs
    turns: Sequence[tuple[Place, int]]


def published(event: Event) -> int:
    """Return the record time of an event: its own. Late and forgotten events are tested elsewhere."""
    return START if isinstance(event, Tombstone) else event.time


@st.composite
def deliveries(
    draw: st.DrawFn,
    events: st.SearchStrategy[list[Event]],
    rules: st.SearchStrategy[Rules],
    when: Callable[[Event], int] = published,
) -> Delivery:
    told = draw(events)
    again = draw(st.lists(st.sampled_from(told), max_size=4)) if told else []
    order = draw(st.permutations([*told, *again]))
    written = logs([(event, draw(st.integers(0, 1))) for event in order], when)
    turns: list[tuple[Place, int]] = []
    for place, log in written.items():
        size = draw(st.integers(1, 5))
        turns += [(place, len(log[first : first + size])) for first in range(0, len(log), size)]
    return Delivery(draw(rules), written, draw(st.permutations(turns)))


def stated(written: Logs, rules: Rules) -> list[Event]:
    """Decode all records that can be read, for the oracle."""
    events = [decode(one, rules) for log in written.values() for one in log]
    return [event for event in events if not isinstance(event, Rejected)]


def wanted(events: Sequence[Event], rules: Rules) -> Tallies:
    """Return the tallies that the store must hold, computed by the oracle."""
    fine = oracle.tallies(events, rules).items()
    long = oracle.by_hour_and_row(events, rules).items()
    found = {("fine", pane, cell_field(cell)): tally for (pane, cell), tally in fine} | {
        ("long", hour, row): tally for (hour, row), tally in long
    }
    for place, presence in _presence(events, rules).items():
        found[place] = found[place] | presence
    return found


def _presence(events: Iterable[Event], rules: Rules) -> Tallies:
    """Return how often each agent answered under other rows, by the agent's own row."""
    found: Tallies = {}
    for fact in oracle.standing(events):
        if not isinstance(fact, Segment) or fact.agent_id is None:
            continue
        if (fact.direction, fact.outcome) != ("inbound", "answered"):
            continue
        cell = oracle.cell_of(fact)
        own = row_field(("agent",), cell)
        rows = found.setdefault(("long", fact.ended_at // LONG_MS, own), {})
        for name in (row_field(by, cell) for by in groupings(rules.pairs)):
            if name != own:
                rows[name] = rows.get(name, 0) + 1
    return found


async def check_exact(delivery: Delivery, store: Store, now_ms: int = START) -> None:
    """Check the property: count all events, then compare with the oracle."""
    shared = context(store, delivery.rules, now_ms)
    processors = {place: await processor(shared, *place) for place in delivery.logs}
    for place, size in delivery.turns:
        first = processors[place].position.next
        await processors[place].count(delivery.logs[place][first : first + size], first + size)
    events = stated(delivery.logs, delivery.rules)
    counts = await store.counters()
    assert await held(store) == wanted(events, delivery.rules)
    assert counts.get("crowds", 0) == len(oracle.crowds(events, delivery.rules))
    for topic in {topic for topic, _ in delivery.logs}:
        written = sum(len(log) for (name, _), log in delivery.logs.items() if name == topic)
        assert results(counts, topic) == written == len([e for e in events if topic_of(e) == topic])


def results(counts: Mapping[str, int], topic: str) -> int:
    """Return the number of a topic's records, summed over their results."""
    return sum(counts.get(f"events\x1f{topic}\x1f{one}", 0) for one in ("applied", "unchanged", "rejected"))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits, as with a store in memory."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("the coroutine waits")


@settings(SLOW, max_examples=250)
@given(deliveries(strategies.events(), strategies.rules()))
def test_any_order_duplication_and_batching_gives_the_oracles_tallies(delivery: Delivery) -> None:
    at_once(check_exact(delivery, MemoryStore()))


def crowded() -> st.SearchStrategy[Rules]:
    return st.builds(replace, strategies.rules(), crowd=st.integers(1, 4))


@settings(SLOW, max_examples=60)
@given(deliveries(strategies.events(), crowded()))
def test_crowds_are_told_from_customers_in_any_order(delivery: Delivery) -> None:
    at_once(check_exact(delivery, MemoryStore()))


# Redis sweeps past panes by its own clock: here all events lie in the future.

AHEAD = 20 * 365 * DAY
_TIMES = ("queued_at", "ended_at", "sent_at", "answered_at", "evaluated_at", "as_of")


def ahead(event: Event) -> Event:
    times = {name: getattr(event, name, None) for name in _TIMES}
    moved = {name: time + AHEAD for name, time in times.items() if time is not None}
    if isinstance(event, Valuation):
        moved["version"] = moved["as_of"]
    return replace(event, **moved)


def worlds_ahead(max_facts: int = 20) -> st.SearchStrategy[list[Event]]:
    return strategies.events(max_facts).map(lambda told: [ahead(event) for event in told])


@pytest.mark.parts
@settings(SLOW, max_examples=40)
@given(delivery=deliveries(worlds_ahead(), strategies.rules(), published))
async def test_redis_holds_the_oracles_tallies_too(store_url: str, delivery: Delivery) -> None:
    store = await RedisStore.connect(store_url, f"exact-{uuid.uuid4().hex}", delivery.rules)
    try:
        await check_exact(delivery, store, START + AHEAD)
    finally:
        await store.close()


# Old events.


class Ageing(NamedTuple):
    """Events with the time each is published at, in that order; the last one at `end`. Times in ms."""

    rules: Rules
    told: Sequence[tuple[int, Event]]
    end: int


@st.composite
def ageings(draw: st.DrawFn) -> Ageing:
    """Draw contacts whose facts lie within one horizon and are corrected as late as is accepted.

    Their ages lie around all boundaries.
    """
    horizon, fcr = draw(st.sampled_from(((12 * DAY, 7 * DAY), (12 * DAY, DAY), (35 * DAY, 7 * DAY))))
    rules = Rules(horizon_ms=horizon, fcr_ms=fcr)
    end = START + 5 * horizon
    told: list[tuple[int, Event]] = []
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
        told.append((first.time + draw(st.sampled_from((0, 0, horizon))), first))
        told += draw(_aftermath(first, horizon))
    told = [(min(when, end), event) for when, event in told if event_fits(event, end)]
    last = visit("last", end)
    return Ageing(rules, [*sorted(told, key=lambda one: one[0]), (end, last)], end)


def event_fits(event: Event, end: int) -> bool:
    return isinstance(event, Tombstone) or event.time <= end


@st.composite
def _aftermath(draw: st.DrawFn, first: Segment, horizon: int) -> list[tuple[int, Event]]:
    """Draw later events of a contact, none of them later than two horizons after the contact began."""
    what = draw(st.sampled_from(("nothing", "corrected", "deleted", "deleted", "answered", "evaluated")))
    later = first.time + draw(st.sampled_from((0, 1, DAY, horizon - 1, horizon)))
    heard = later + draw(st.sampled_from((0, horizon - 1, horizon)))
    whose = draw(st.sampled_from(("ann", "bob", None)))
    name = first.contact_id
    match what:
        case "corrected":
            return [(heard, replace(first, version=1, ended_at=later, customer_id=whose))]
        case "deleted":
            past = draw(st.sampled_from((0, horizon, 2 * horizon - 1, 2 * horizon, 2 * horizon)))
            return [(first.time + past, Tombstone(first.identity, 1))]
        case "answered":
            said = Response(
                response_id=name, contact_id=name, customer_id=whose, answered_at=later, nps=3, channel="chat"
            )
            return [(heard, said)]
        case "evaluated":
            return [(heard, Evaluation(evaluation_id=name, contact_id=name, score=50, evaluated_at=later))]
    return []


async def as_time_goes(ageing: Ageing, store: Store) -> ProcessingContext:
    """Count each event when it is published; the watermark follows as closely as it may."""
    shared = context(store, ageing.rules, START - 100 * DAY)  # no pane has expired
    for when, event in ageing.told:
        shared.watermark = when
        at = await processor(shared, topic_of(event), 0)
        await at.count([record(event, 0, at.position.next, when)], at.position.next + 1)
    return shared


def check_ageing(ageing: Ageing) -> None:
    store = MemoryStore()
    at_once(as_time_goes(ageing, store))
    assert at_once(held(store)) == wanted([event for _, event in ageing.told], ageing.rules)


@settings(SLOW, max_examples=300)
@given(ageings())
def test_forgetting_changes_no_number_that_an_accepted_event_can_reach(ageing: Ageing) -> None:
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
    return {one.contact_id for group in journey.groups.values() for one in group.facts.segments}


@pytest.mark.parametrize(("older_by", "kept"), [(0, {"old", "new", "newest"}), (1, {"new", "newest"})])
def test_contacts_far_behind_the_watermark_leave_the_journey_but_not_the_numbers(
    older_by: int, kept: set[str]
) -> None:
    rules, store = Rules(), MemoryStore()
    shared = context(store, rules)
    shared.watermark = START + 100 * DAY
    limit = shared.forget_before(())
    told = [visit("old", limit - older_by), visit("new", START + 100 * DAY)]
    ageing = Ageing(rules, [(event.time, event) for event in told], START)
    shared = at_once(as_time_goes(ageing, store))
    at = at_once(processor(shared, "call-completed", 0))
    newest = visit("newest", START + 100 * DAY + SECOND)
    at_once(at.count([record(newest, 0, 2, newest.time - SECOND)], 3))
    assert contacts_kept(store) == kept
    assert at_once(held(store)) == wanted([*told, newest], rules)


def test_a_contact_taken_back_after_two_horizons_leaves_the_earlier_ones_as_they_were() -> None:
    """The last of three visits, an FCR window apart, is deleted: the second stays a repeat of the first."""
    rules = Rules()
    end = START + 5 * rules.horizon_ms
    visits = [visit(f"k{n}", end - 2 * rules.horizon_ms - n * rules.fcr_ms) for n in (2, 1, 0)]
    taken_back = Tombstone(visits[-1].identity, 1)
    check_ageing(Ageing(rules, [*((one.time, one) for one in visits), (end, taken_back)], end))


class Forgetful(MemoryStore):
    """Store that deletes expired documents before each read. `now_ms`: the time of a commit."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.now_ms = 0
        self.forgotten = 0

    async def read(self, keys: Sequence[bytes]) -> Snapshot:
        panes = self.panes.copy()  # none of these shall expire
        self.forgotten += await self.forget(self.now_ms, len(self.documents))
        self.panes.update(panes)
        return await super().read(keys)

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        outcome = await super().commit(commit, now_ms)
        self._written_ms.update(dict.fromkeys(commit.writes, self.now_ms))
        return outcome


def test_a_contact_that_goes_on_for_longer_than_documents_live_keeps_its_numbers() -> None:
    rules = Rules()
    store = Forgetful(rules)
    weeks = [
        replace(visit("ticket", START + week * 7 * DAY), segment_id=f"week {week}") for week in range(30)
    ]
    for offset, event in enumerate(weeks):
        store.now_ms = event.time
        shared = context(store, rules, START)
        shared.watermark = event.time
        at = at_once(processor(shared, "call-completed", 0))
        at_once(at.count([record(event, 0, offset, event.time)], offset + 1))
    assert at_once(held(store)) == wanted(weeks, rules)
    assert document_ttl_ms(rules) < 29 * 7 * DAY
    assert store.forgotten > 0


def test_records_older_than_the_watermark_keep_what_is_around_them() -> None:
    """The records are replayed into a center that is caught up."""
    store = MemoryStore()
    shared = context(store, Rules(), START)
    shared.watermark = START + 100 * DAY
    visits = [visit(f"k{day}", START + day * DAY) for day in range(5)]

    async def replay() -> None:
        for offset, one in enumerate(visits):
            at = await processor(shared, "call-completed", 0)
            await at.count([record(one, 0, offset, one.time)], offset + 1)

    at_once(replay())
    assert at_once(held(store)) == wanted(visits, Rules())
