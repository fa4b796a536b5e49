"""A seeded day of a center: who entered has left or is under way, at any moment, and in the evening nobody is
left."""

import random
from collections.abc import AsyncIterator, Sequence

import pytest

from streamer.events.counting_rules import HOUR, MINUTE, SECOND, CountingRules
from streamer.events.models import AgentState, ContactState, Event, Segment
from streamer.journeys.journey import NO_RECORD, unpack_record
from streamer.operations.comparison import read_store_state
from streamer.panes.live_index import add_agents, add_contacts
from streamer.panes.pane_keys import LIVE_AGENTS, LIVE_CONTACTS
from streamer.panes.rollup import MERGE
from streamer.store.port import StateStore
from tests.counting import partition_processor, processing_context
from tests.store.test_store import opened
from tests.strategies import START
from tests.test_exactness import AHEAD
from tests.test_live_exactness import check_numbers, timed_events, timed_logs

MORNING = START + AHEAD + 8 * HOUR
"""Ahead of any clock, since Redis forgets what is past."""


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.parts)])
def day_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("store_url")


@pytest.fixture
async def day_store(day_url: str | None, center: str) -> AsyncIterator[StateStore]:
    async with opened(day_url, center) as store:
        yield store


def contact_events(number: int, draw: random.Random) -> list[Event]:
    """Return what happens to a contact: it waits and is served or gives up; some ends are stated twice or
    once."""
    contact_id, queue = f"c{number}", draw.choice(("billing", "tech", "sales"))
    at = MORNING + draw.randrange(8 * HOUR)

    def state(name: str, at: int, **more: object) -> ContactState:
        return ContactState(contact_id=contact_id, state=name, at=at, queue=queue, channel="voice", **more)

    wait, talk = draw.randrange(1, 3 * MINUTE), draw.randrange(1, 10 * MINUTE)
    events: list[Event] = [state("queued", at)]
    answered = draw.random() < 0.8
    end = at + wait + (talk if answered else 0)
    if answered:
        agent = f"agent {draw.randrange(10)}"
        events += [
            state("offered", at + wait // 2, agent_id=agent),
            state("connected", at + wait, agent_id=agent),
        ]
    over = Segment(
        contact_id=contact_id, queue=queue, ended_at=end, outcome="answered" if answered else "abandoned"
    )
    return [*events, *draw.choice(([state("ended", end)], [over], [state("ended", end), over]))]


def agent_events(number: int, draw: random.Random) -> list[Event]:
    """Return an agent's shift, to its end."""
    at, events = MORNING + draw.randrange(HOUR), list[Event]()
    while at < MORNING + 8 * HOUR:
        state = draw.choice(("available", "offered", "busy", "held", "wrap_up", "away"))
        reason = "lunch" if state == "away" else None
        events.append(AgentState(agent_id=f"agent {number}", state=state, at=at, reason=reason))
        at += draw.randrange(SECOND, 30 * MINUTE)
    return [*events, AgentState(agent_id=f"agent {number}", state="offline", at=at)]


def is_end(event: Event) -> bool:
    return isinstance(event, Segment) or (isinstance(event, ContactState) and event.state == "ended")


@pytest.mark.parametrize("seed", [1, 2])
async def test_at_any_moment_who_entered_has_left_or_is_under_way_and_in_the_evening_nobody_is(
    day_store: StateStore, seed: int
) -> None:
    draw = random.Random(seed)
    contacts = [event for number in range(150) for event in contact_events(number, draw)]
    agents = [event for number in range(10) for event in agent_events(number, draw)]
    events = sorted([*contacts, *agents], key=lambda event: event.time + draw.randrange(5 * MINUTE))
    events += draw.sample(events, 40)
    logs = timed_logs([(event, draw.randrange(2), event.time + 5 * MINUTE) for event in events])
    shared = processing_context(day_store, CountingRules(), MORNING)
    processors = {place: await partition_processor(shared, *place) for place in logs}
    entered, left = set[str](), set[str]()
    counted = []
    while rest := [place for place, log in logs.items() if processors[place].position.next < len(log)]:
        place = draw.choice(rest)
        first = processors[place].position.next
        batch = logs[place][first : first + draw.randrange(1, 60)]
        await processors[place].count(batch, first + len(batch))
        counted += batch
        for event, _ in timed_events(batch, CountingRules()):
            if isinstance(event, ContactState | Segment):
                # what is first stated as over never enters the index
                entered.add(event.contact_id)
                left |= {event.contact_id} if is_end(event) else set()
        await shared.compact(3)
        under_way = await waiting_or_served(day_store)
        assert under_way == entered - left
        assert len(entered) == len(left) + len(under_way)
    assert await waiting_or_served(day_store) == set()
    await check_numbers(day_store, timed_events(counted, CountingRules()), CountingRules())
    await check_nobody_is_left(day_store, counted_ids=sorted(entered))


async def waiting_or_served(store: StateStore) -> set[str]:
    state = await read_store_state(store)
    return {entry.contact_id for entry in add_contacts(state.panes.get(LIVE_CONTACTS, ())).values()}


async def check_nobody_is_left(store: StateStore, counted_ids: Sequence[str]) -> None:
    """Check that the index is empty, and that what was completed keeps no states."""
    for place in (LIVE_CONTACTS, LIVE_AGENTS):
        await store.compact(place, MERGE["live"])
        await store.compact(place, MERGE["live"])
    state = await read_store_state(store)
    assert add_contacts(state.panes[LIVE_CONTACTS]) == {}
    assert add_agents(state.panes[LIVE_AGENTS]) == {}
    records = [unpack_record(packed) async for documents in store.scan("e") for packed in documents.values()]
    assert len(records) == len(counted_ids)
    assert NO_RECORD not in records
    assert all(record.states is None for record in records if record.fact is not None)
