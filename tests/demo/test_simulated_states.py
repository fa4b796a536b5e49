"""Tests: the simulated contacts under way and agents fit together, and fit the calls that are completed."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple, TypeVar

import pytest

from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.roster import queues_of_team
from streamer.demo.simulator import CenterPlan, Incident, SimulatedCenter
from streamer.events.counting_rules import HOUR, MINUTE, SECOND, CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import (
    AGENT_STATES,
    CONTACT_STATES,
    AgentState,
    ContactState,
    Event,
    FactIdentity,
    RejectedEvent,
    Segment,
    SurveyResponse,
)

START = 1_790_042_400_000  # a Tuesday, 4 h 40 in Madrid
LATER = START + 40 * MINUTE
INCIDENT = Incident("billing", after_s=600, lasts_s=900, every_s=100_000)
PLAN = CenterPlan(1, START, 0.8, "Europe/Madrid", incident=INCIDENT, states_s=900)
WAITING = ("queued", "offered")
IN_HAND = ("connected", "held", "wrap_up")
S = TypeVar("S", ContactState, AgentState)


class SeededDay(NamedTuple):
    """Messages of a center that closes after a while, and what they state."""

    messages: Sequence[SimulatedMessage]
    events: Sequence[Event]


def closing_day(plan: CenterPlan) -> list[SimulatedMessage]:
    center = SimulatedCenter(plan)
    messages = list(center.history(1))
    for message in center.live():
        messages.append(message)
        if message.at_ms >= LATER:
            break
    return [*messages, *center.closing()]


def read(message: SimulatedMessage) -> Event:
    record = KafkaRecord(message.topic, 0, 0, message.at_ms, message.key, message.value, message.headers)
    event = decode(record, CountingRules())
    assert not isinstance(event, RejectedEvent), (event, message)
    return event


@cache
def day() -> SeededDay:
    messages = closing_day(PLAN)
    return SeededDay(messages, [read(message) for message in messages])


def in_order(states: Sequence[S]) -> list[S]:
    """Return states as they followed each other; of equal moments the one in force."""
    words = CONTACT_STATES if isinstance(states[0], ContactState) else AGENT_STATES
    ordered = sorted(states, key=lambda state: (state.at, state.version, words.index(state.state)))
    return list({state.at: state for state in ordered}.values())


@cache
def contact_histories() -> dict[FactIdentity, list[ContactState]]:
    states = defaultdict(list)
    for event in day().events:
        if isinstance(event, ContactState):
            states[event.identity._replace(kind="s")].append(event)
    return {identity: in_order(history) for identity, history in states.items()}


@cache
def agent_histories() -> dict[str, list[AgentState]]:
    states = defaultdict(list)
    for event in day().events:
        if isinstance(event, AgentState):
            states[event.agent_id].append(event)
    return {agent: in_order(history) for agent, history in states.items()}


@cache
def calls() -> dict[FactIdentity, Segment]:
    """Return the segments that ended after the first state, as they were stated first."""
    segments: dict[FactIdentity, Segment] = {}
    for event in day().events:
        if isinstance(event, Segment) and event.version == 0 and event.ended_at >= START - 15 * MINUTE:
            segments.setdefault(event.identity, event)
    return segments


def answered_at(call: Segment) -> int:
    assert call.queued_at is not None
    return call.queued_at + (call.wait_ms or 0) if call.outcome == "answered" else call.ended_at


def waiting_at(at_ms: int) -> Counter[str | None]:
    """Return how many wait in each queue by the states; an end that is not stated is that of the call."""
    states = [
        history[bisect_right(history, at_ms, key=lambda state: state.at) - 1]
        for identity, history in contact_histories().items()
        if history[0].at <= at_ms < calls()[identity].ended_at
    ]
    return Counter(state.queue for state in states if state.state in WAITING)


def test_the_same_seed_gives_the_same_states_byte_for_byte() -> None:
    plan = PLAN._replace(rate=0.1)
    assert closing_day(plan) == closing_day(plan)
    assert closing_day(plan) != closing_day(plan._replace(seed=2))


def test_states_come_in_the_order_of_their_publication_among_the_other_events() -> None:
    topics = Counter(message.topic for message in day().messages)
    assert topics["contact-state"] > 2 * topics["call-completed"] > 0
    assert topics["agent-state"] > topics["call-completed"]
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(day().messages))


def test_at_every_moment_what_entered_has_left_or_waits() -> None:
    """Entries and exits are those of the completed calls, the waiting those of the states alone."""
    inbound = [call for call in calls().values() if call.direction == "inbound"]
    entered = sorted(call.queued_at or 0 for call in inbound)
    left = sorted(answered_at(call) for call in inbound)
    for at_ms in range(START - 14 * MINUTE, LATER + HOUR, 20 * SECOND):
        waiting = waiting_at(at_ms).total()
        assert bisect_right(entered, at_ms) == bisect_right(left, at_ms) + waiting, at_ms


def test_when_all_have_gone_home_nothing_is_left() -> None:
    completed = set(calls())
    for identity, history in contact_histories().items():
        assert history[-1].state == "ended" or identity in completed
    assert {history[-1].state for history in agent_histories().values()} == {"offline"}


def test_the_states_of_a_contact_end_with_its_call_and_wait_as_long_as_it_says() -> None:
    assert contact_histories().keys() <= calls().keys()
    for identity, history in contact_histories().items():
        call = calls()[identity]
        assert (history[-1].queue, history[-1].channel) == (call.queue, call.channel)
        if history[-1].state == "ended":
            assert history[-1].at == call.ended_at
        taken = [state for state in history if state.state in IN_HAND]
        assert bool(taken) == (call.outcome == "answered")
        if taken and taken[0].state == "connected" and history[0].state == "queued":
            assert abs(taken[0].at - answered_at(call)) <= 1
            assert {state.agent_id for state in taken} == {call.agent_id}
        if taken:
            assert abs(taken[-1].at - (call.ended_at - (call.acw_ms or 0))) <= 1


def test_an_agent_is_in_one_state_at_a_time_and_busy_with_the_calls_it_took() -> None:
    checked = 0
    for call in calls().values():
        begin = answered_at(call)
        if call.agent_id is None or begin < START - 10 * MINUTE:
            continue
        history = agent_histories()[call.agent_id]
        own = [state for state in history if begin <= state.at < call.ended_at]
        assert {state.contact_id for state in own} == {call.contact_id}
        assert {state.state for state in own} <= {"busy", "held", "wrap_up"}
        assert own[0].state == "busy"
        assert own[-1].state == "wrap_up"
        checked += 1
    assert checked > 500


def test_agents_have_shifts_breaks_lunch_and_say_what_they_serve_when_they_sign_in() -> None:
    reasons = Counter(state.reason for history in agent_histories().values() for state in history)
    assert {"break", "lunch", "training", "system outage", "no answer"} <= reasons.keys()
    for history in agent_histories().values():
        first = history[0]
        assert first.team is not None
        assert first.queues == tuple(sorted(queues_of_team(first.team)))
        assert first.channels == ("chat", "email", "message", "voice")
        assert all(state.queues is None for state in history[1:] if state.state != "available")


def test_what_was_so_before_the_first_state_is_a_snapshot() -> None:
    begin = START - 15 * MINUTE
    states = [event for event in day().events if isinstance(event, ContactState | AgentState)]
    earlier = [state for state in states if state.at < begin]
    assert Counter(map(type, earlier)).keys() == {ContactState, AgentState}
    assert {state.seen_at for state in earlier if isinstance(state, AgentState)} == {begin}
    names = Counter(state.identity for state in earlier)
    assert set(names.values()) == {1}


def test_there_are_late_repeated_shuffled_lost_and_unanswered_states() -> None:
    pairs = [
        (message, event)
        for message, event in zip(day().messages, day().events, strict=True)
        if isinstance(event, ContactState | AgentState) and event.at >= START
    ]
    late = sum(message.at_ms - event.at > 10 * SECOND for message, event in pairs)
    assert 0.003 < late / len(pairs) < 0.03
    repeated = len(pairs) - len({message[1:] for message, _ in pairs})
    assert 0.005 < repeated / len(pairs) < 0.02
    assert sum(one.at > other.at for (_, one), (_, other) in pairwise(pairs)) > 0.05 * len(pairs)
    ends = [history[-1].state == "ended" for history in contact_histories().values()]
    assert 0.97 < sum(ends) / len(ends) < 1
    offers = [pair for history in agent_histories().values() for pair in pairwise(history)]
    assert any(one.state == "offered" and other.state == "away" for one, other in offers)


def test_the_incident_is_a_growing_queue_before_it_is_a_score() -> None:
    begin = START + 600 * SECOND
    waiting = {at_ms: waiting_at(at_ms)["billing"] for at_ms in range(START, LATER + MINUTE, 10 * SECOND)}
    before = max(amount for at_ms, amount in waiting.items() if at_ms < begin)
    seen_ms = next(at_ms for at_ms, amount in waiting.items() if at_ms >= begin and amount > 2 * before)
    assert seen_ms - begin < 5 * MINUTE
    since = {call.contact_id for call in calls().values() if (call.queued_at or 0) >= begin}
    answers = [
        event
        for message, event in zip(day().messages, day().events, strict=True)
        if isinstance(event, SurveyResponse) and message.at_ms < seen_ms and event.contact_id in since
    ]
    assert len(answers) < 3
    assert waiting[LATER] < max(waiting.values()) / 2


@pytest.mark.parametrize("hour", range(0, 24, 6))
def test_at_any_hour_some_agents_are_free_and_most_are_at_work(hour: int) -> None:
    center = SimulatedCenter(PLAN._replace(start_ms=START + hour * HOUR, rate=0.5))
    latest: dict[str, AgentState] = {}
    for message in center.history(0.25):
        if message.topic == "agent-state":
            state = read(message)
            assert isinstance(state, AgentState)
            known = latest.get(state.agent_id)
            latest[state.agent_id] = state if known is None else in_order([known, state])[-1]
    found = Counter(state.state for state in latest.values())
    at_work = found.total() - found["offline"]
    assert 0.02 < found["available"] / at_work < 0.6
    assert found["busy"] / at_work > 0.3
