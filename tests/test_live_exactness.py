"""What is live, and agents' time: in any order, with any repetition and lateness they equal the oracle's."""

import json
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from streamer.events.counting_rules import DAY, HOUR, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import (
    AGENT_STATES,
    CONTACT_STATES,
    AgentState,
    ContactState,
    Event,
    RejectedEvent,
    Tombstone,
)
from streamer.journeys.state_history import agent_key, unpack_agent
from streamer.operations.comparison import StoreState, diff_states, read_store_state
from streamer.panes.agent_time import UNANSWERED, TimeRows
from streamer.panes.live_index import add_agents, add_contacts
from streamer.panes.pane_keys import LIVE_AGENTS, LIVE_CONTACTS
from streamer.panes.rollup import MERGE
from streamer.store.memory import MemoryStore
from streamer.store.port import StateStore
from streamer.store.redis import RedisStore
from tests import live_oracle
from tests.counting import Tallies, partition_processor, processing_context, stored_tallies
from tests.live_oracle import AgentSpan, TimedEvent
from tests.live_strategies import agent_states, contact_states, live_events, live_rules, record_times
from tests.messages import record, topic_of
from tests.strategies import START, weighted
from tests.test_exactness import AHEAD, SLOW, Logs, Place, at_once, expected_tallies, results
from tests.test_interleaving import FaultScenario, check_scenario, fault_scenarios


class LiveDelivery(NamedTuple):
    """Logs, and the turns in which their batches are counted: a log and a number of its records each."""

    rules: CountingRules
    logs: Logs
    turns: Sequence[tuple[Place, int]]


def timed_logs(publications: Iterable[tuple[Event, int, int]]) -> dict[Place, list[KafkaRecord]]:
    """Return the logs after each event was published in a partition, at a time."""
    logs: dict[Place, list[KafkaRecord]] = {}
    for event, partition, record_ms in publications:
        log = logs.setdefault((topic_of(event), partition), [])
        log.append(record(event, partition, len(log), record_ms))
    return logs


@st.composite
def live_deliveries(draw: st.DrawFn) -> LiveDelivery:
    events = draw(live_events())
    order = draw(st.permutations([*events, *draw(st.lists(st.sampled_from(events), max_size=4))]))
    times = draw(record_times(order))
    publications = [(event, draw(st.integers(0, 1)), time) for event, time in zip(order, times, strict=True)]
    logs = timed_logs(publications)
    turns: list[tuple[Place, int]] = []
    for partition, log in logs.items():
        size = draw(st.integers(1, 5))
        turns += [(partition, len(log[first : first + size])) for first in range(0, len(log), size)]
    return LiveDelivery(draw(live_rules()), logs, draw(st.permutations(turns)))


def timed_events(records: Iterable[KafkaRecord], rules: CountingRules) -> list[TimedEvent]:
    decoded = [(decode(record, rules), record.timestamp) for record in records]
    return [TimedEvent(event, ms) for event, ms in decoded if not isinstance(event, RejectedEvent)]


def stored_contacts(state: StoreState) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the index of contacts, by source and id of the segment."""
    entries = add_contacts(state.panes.get(LIVE_CONTACTS, ())).values()
    return {
        (entry.source, entry.segment_id or entry.contact_id): asdict(entry)
        | {"state": CONTACT_STATES[entry.state]}
        for entry in entries
    }


def stored_agents(state: StoreState) -> dict[str, dict[str, Any]]:
    entries = add_agents(state.panes.get(LIVE_AGENTS, ())).values()
    return {
        entry.agent_id: asdict(entry)
        | {"state": AGENT_STATES[entry.state], "former": entry.former and asdict(entry.former)}
        for entry in entries
    }


def stored_spans(state: StoreState) -> list[AgentSpan]:
    """Return agents' time of all hours, joined where it touches."""
    spans, unanswered = [], []
    names = (*AGENT_STATES, "unanswered")
    for (family, hour), deltas in state.panes.items():
        if family != "time":
            continue
        rows = TimeRows.unpacked(MERGE["time"](deltas))
        for (profile, number, reason, start, length), weight in rows.amounts().items():
            begin = hour * HOUR + start
            assert weight == 1, "counted twice, or taken away without being there"
            assert 0 <= start < HOUR
            assert start + length <= HOUR
            agent, team, site, queues, channels = profile
            span = AgentSpan(
                agent, team, site, queues, channels, names[number], reason, begin, begin + length
            )
            (unanswered if number == UNANSWERED else spans).append(span)
    return sorted([*live_oracle.merged_spans(spans), *unanswered], key=repr)


def expected_numbers(events: Sequence[TimedEvent], rules: CountingRules) -> Tallies:
    """Return the tallies of what is over, with agents' time in the hourly ones."""
    tallies = expected_tallies([event for event, _ in events if live_oracle.is_of_journeys(event)], rules)
    spans = live_oracle.agent_spans(events, rules)
    for (hour, row), counts in live_oracle.hour_rows(spans, rules).items():
        place = ("long", hour, row)
        tallies[place] = tallies.get(place, {}) | counts
    return tallies


def check_index(state: StoreState, events: Sequence[TimedEvent], rules: CountingRules) -> None:
    contacts, agents = stored_contacts(state), stored_agents(state)
    assert contacts == live_oracle.live_contacts(events)
    expected = live_oracle.live_agents(events, rules)
    latest_ms = max((ms for _, ms in events), default=0)
    for name, entry in agents.items():
        former = expected.get(name, {}).get("former")
        if entry["former"] is None and former and former["open_from"] < latest_ms - DAY:
            expected[name]["former"] = None  # forgotten, since it can hold no more
    assert agents == expected


async def check_live(delivery: LiveDelivery, store: StateStore, now_ms: int = START) -> None:
    """Check the property: count all events, compare the index at every moment, and all numbers in the end."""
    shared = processing_context(store, delivery.rules, now_ms)
    processors = {place: await partition_processor(shared, *place) for place in delivery.logs}
    counted: list[KafkaRecord] = []
    for number, (place, size) in enumerate(delivery.turns):
        first = processors[place].position.next
        batch = delivery.logs[place][first : first + size]
        await processors[place].count(batch, first + size)
        counted += batch
        if number % 3 == 2:
            await compact_live(store)
        state = await read_store_state(store)
        check_index(state, timed_events(counted, delivery.rules), delivery.rules)
    events = timed_events(counted, delivery.rules)
    await check_numbers(store, events, delivery.rules)
    counts = await store.counters()
    for topic in {topic for topic, _ in delivery.logs}:
        assert results(counts, topic) == sum(
            len(log) for (name, _), log in delivery.logs.items() if name == topic
        )


async def check_numbers(store: StateStore, events: Sequence[TimedEvent], rules: CountingRules) -> None:
    assert await stored_tallies(store) == expected_numbers(events, rules)
    check_live_state(await read_store_state(store), events, rules)


def check_live_state(state: StoreState, events: Sequence[TimedEvent], rules: CountingRules) -> None:
    """Check the index and agents' time."""
    assert stored_spans(state) == live_oracle.agent_spans(events, rules)
    check_index(state, events, rules)


async def compact_live(store: StateStore) -> None:
    state = await read_store_state(store)
    for pane_hour in state.panes:
        await store.compact(pane_hour, MERGE[pane_hour[0]])


@settings(SLOW, max_examples=60)
@given(live_deliveries())
def test_any_order_repetition_lateness_and_batching_gives_the_oracles_index_and_time(
    delivery: LiveDelivery,
) -> None:
    at_once(check_live(delivery, MemoryStore()))


# Old states.


@st.composite
def ageing_deliveries(draw: st.DrawFn) -> list[TimedEvent]:
    """Draw states of some days, stated as late as is accepted and later, in the order of their records."""
    events: list[Event] = []
    for _ in range(draw(st.integers(2, 14))):
        days = draw(st.integers(0, 4)) * DAY
        shifted = draw(st.one_of(*weighted(agent_states(), 2), contact_states()))
        times = {"at": shifted.at + days}
        if isinstance(shifted, AgentState) and shifted.seen_at is not None:
            times["seen_at"] = shifted.seen_at + days
        if isinstance(shifted, ContactState) and shifted.queued_at is not None:
            times["queued_at"] = shifted.queued_at + days
        moved = replace(shifted, **times)
        events.append(moved)
        if draw(st.integers(0, 3)) == 0:
            events.append(Tombstone(moved.identity, moved.version, moved.at))
    times = draw(record_times(events))
    return sorted(
        (TimedEvent(*pair) for pair in zip(events, times, strict=True)), key=lambda one: one.record_ms
    )


async def count_ageing(timed: Sequence[TimedEvent], store: StateStore, rules: CountingRules) -> None:
    """Count each event when it is published; the watermark follows as closely as it may."""
    shared = processing_context(store, rules, START - 100 * DAY)
    for number, (event, record_ms) in enumerate(timed):
        shared.watermark_ms = record_ms
        at = await partition_processor(shared, topic_of(event), 0)
        await at.count([record(event, 0, at.position.next, record_ms)], at.position.next + 1)
        check_index(await read_store_state(store), timed[: number + 1], rules)


def check_live_ageing(timed: Sequence[TimedEvent]) -> None:
    store, rules = MemoryStore(), CountingRules()
    at_once(count_ageing(timed, store, rules))
    at_once(check_numbers(store, timed, rules))


@settings(SLOW, max_examples=40)
@given(ageing_deliveries())
def test_what_is_past_the_live_horizon_is_left_out_and_changes_no_number(timed: list[TimedEvent]) -> None:
    check_live_ageing(timed)


def test_a_state_repeated_for_days_began_when_it_began_and_keeps_its_profile() -> None:
    first = AgentState(agent_id="anna", state="available", at=START, queues=("billing",), team="red")
    repeats = [replace(first, at=START + hour * HOUR, queues=None, team=None) for hour in range(1, 100)]
    timed = [TimedEvent(event, event.at) for event in (first, *repeats)]
    check_live_ageing(timed)
    store = MemoryStore()
    at_once(count_ageing(timed, store, CountingRules()))
    (entry,) = stored_agents(at_once(read_store_state(store))).values()
    assert (entry["since"], entry["queues"], entry["team"]) == (START, ("billing",), "red")
    history = unpack_agent(store.documents[agent_key("anna")], 0, 0)
    assert len(history.moments) < 30


# A rebuild


@settings(SLOW, max_examples=40)
@given(live_deliveries(), st.randoms(use_true_random=False))
def test_what_is_counted_again_in_another_order_compares_as_equal(
    delivery: LiveDelivery, draw: random.Random
) -> None:
    live, rebuilt = MemoryStore(), MemoryStore()
    at_once(check_live(delivery, live))
    in_order = sorted(delivery.logs.items(), key=lambda _: draw.random())
    at_once(check_live(delivery._replace(turns=[(place, len(log)) for place, log in in_order]), rebuilt))
    states = at_once(read_store_state(live)), at_once(read_store_state(rebuilt))
    assert not [*diff_states(*states, START, delivery.rules.retention_ms)]


def test_what_is_live_on_one_side_alone_is_named() -> None:
    store, rules = MemoryStore(), CountingRules()
    waiting = ContactState(contact_id="k1", state="queued", at=START, queue="billing", channel="voice")
    states = [
        AgentState(agent_id="anna", state=state, at=START + number * HOUR)
        for number, state in enumerate(("busy", "away"))
    ]
    at_once(count_ageing([TimedEvent(event, event.at) for event in (waiting, *states)], store, rules))
    found = diff_states(at_once(read_store_state(store)), StoreState({}, {}), START, rules.retention_ms)
    named = [
        (one.family, one.group, one.name, one.live, one.rebuilt) for one in found if one.family != "long"
    ]
    assert named == [
        ("time", "agent anna", "busy  for 3600 s", 1, 0),
        ("live", "contact k1", "under way", 1, 0),
        ("live", "agent anna", "signed in", 1, 0),
    ]


def test_nothing_that_is_kept_of_a_contact_under_way_names_its_customer() -> None:
    """So there is nothing to erase when a customer is forgotten."""
    store = MemoryStore()
    waiting = ContactState(
        contact_id="k1", state="queued", at=START, queue="billing", channel="voice", customer_id="Ann Miller"
    )
    at_once(count_ageing([TimedEvent(waiting, START)], store, CountingRules()))
    deltas = at_once(read_store_state(store)).panes.values()
    kept = [*store.documents.values(), *(delta for of_hour in deltas for delta in of_hour)]
    assert any(b"k1" in value for value in kept)
    assert not any(b"Miller" in value for value in kept)


# Kills


def check_live_scenario(scenario: FaultScenario, store: Callable[[], MemoryStore] = MemoryStore) -> None:
    check_scenario(scenario, store=store, check_numbers=_check_scenario_numbers)


def _check_scenario_numbers(store: MemoryStore, scenario: FaultScenario) -> None:
    records = [one for log in scenario.logs.values() for one in log]
    at_once(check_numbers(store, timed_events(records, scenario.rules), scenario.rules))


@settings(SLOW, max_examples=30)
@given(fault_scenarios(live_events(), live_rules()))
def test_kills_and_failovers_at_any_await_leave_the_oracles_index_and_time(scenario: FaultScenario) -> None:
    check_live_scenario(scenario)


# Redis


@pytest.mark.parts
@settings(SLOW, max_examples=15)
@given(delivery=live_deliveries())
async def test_redis_holds_the_oracles_index_and_time_too(store_url: str, delivery: LiveDelivery) -> None:
    """Redis leaves out hours past their time by its own clock, which these never are."""
    ahead = {place: [ahead_record(one) for one in log] for place, log in delivery.logs.items()}
    store = await RedisStore.connect(store_url, f"live-{uuid.uuid4().hex}", delivery.rules)
    try:
        await check_live(delivery._replace(logs=ahead), store, START + AHEAD)
    finally:
        await store.close()


def ahead_record(one: KafkaRecord) -> KafkaRecord:
    body = json.loads(one.value or b"")
    data = body.get("data", body)
    for name in ("at", "seen_at", "queued_at", "ended_at", "answered_at"):
        if name in data:
            data[name] = round(data[name] + AHEAD / 1000, 3)
    return one._replace(value=json.dumps(body).encode(), timestamp=one.timestamp + AHEAD)
