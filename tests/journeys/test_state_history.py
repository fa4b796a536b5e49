"""Histories of states: what they keep, and how much."""

import msgspec

from streamer.events.counting_rules import HOUR
from streamer.events.models import AgentState, ContactState
from streamer.journeys.journey import FactState, IdentityRecord, pack_record, unpack_record
from streamer.journeys.state_history import (
    MOST_AGENT_STATES,
    MOST_CONTACT_STATES,
    AgentHistory,
    ContactHistory,
    pack_agent,
    unpack_agent,
)
from streamer.panes.live_fold import live_agent, live_contact
from tests.strategies import START

LIMIT_BYTES = 300_000


def test_a_record_of_before_there_were_states_is_read_as_it_is() -> None:
    fact = FactState(1, b"12345678", False, None, START)
    former = msgspec.msgpack.encode((fact, b"c" * 13, None, None))
    assert unpack_record(former) == IdentityRecord(fact, b"c" * 13)
    states = ContactHistory("c1", "").with_state(
        ContactState(contact_id="c1", state="queued", at=START, queue="billing")
    )
    record = IdentityRecord(journey=b"c" * 13, states=states)
    assert unpack_record(pack_record(record)) == record


def test_a_segment_id_that_many_contacts_share_fills_no_memory() -> None:
    history = ContactHistory("1", "")
    for number in range(3 * MOST_CONTACT_STATES):
        state = ContactState(
            contact_id=f"c{number}", segment_id="1", state="queued", at=START + number, queue=f"q{number}"
        )
        history = history.with_state(state) or history
        history = history.without(START - number, 1) or history
    assert MOST_CONTACT_STATES / 2 <= len(history.moments) <= MOST_CONTACT_STATES
    assert len(pack_record(IdentityRecord(states=history)) or b"") < LIMIT_BYTES
    entry = live_contact(history)
    assert entry is not None
    assert (entry.contact_id, entry.segment_id, entry.queue) == (f"c{number}", "1", f"q{number}")


def test_an_agent_id_that_many_share_fills_no_memory() -> None:
    history = AgentHistory("N/A")
    for number in range(2 * MOST_AGENT_STATES):
        at = START + number
        state = AgentState(
            agent_id="N/A", state="busy" if number % 2 else "away", at=at, contact_id=f"c{number}", team="red"
        )
        history = history.with_state(state, at) or history
        if number % 1_000 == 999:
            history = unpack_agent(pack_agent(history) or b"", 0, HOUR)
    assert len(history.moments) <= MOST_AGENT_STATES
    assert len(pack_agent(history) or b"") < LIMIT_BYTES
    late = AgentState(agent_id="N/A", state="held", at=START + 1)
    assert history.with_state(late, late.at) is None  # before what is kept
    entry = live_agent(history, HOUR)
    assert entry is not None
    assert (entry.team, entry.contact_id) == ("red", f"c{number}")
