"""Assemblies of agents: any order, doubles and batches say in the end what a plain replay says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter, read_payload
from streamer.events.adapters.timelines import (
    AgentMoment,
    agent_contact_fragment,
    agent_fragment,
    assemble_events,
    is_agent,
)
from streamer.events.counting_rules import DAY, HOUR
from streamer.ingest import agent_assembly
from streamer.ingest.agent_assembly import (
    EMPTY_AGENT,
    MOST_FRAGMENTS,
    SPAN_MS,
    AgentAssembly,
    decode_agent_assembly,
    encode_agent_assembly,
)
from tests.events.adapters.test_genesys_states import STREAM as GENESYS_DAY
from tests.events.adapters.test_twilio_states import STREAM as TWILIO_DAY

NOON = 1_795_255_200_000
QUEUES = ["billing", "sales"]


def state_of(moment: AgentMoment, options: Options) -> Mapping[str, Any] | None:
    handling = moment.handling(4 * HOUR)
    if handling is not None:
        return {"state": handling[0], "contact_id": handling[1]}
    status = moment.data("status")
    return {"state": status["state"], "queues": status.get("queues")} if status else None


SOURCE = SourceAdapter("acme", "", "", lambda payload, options: [], agent_state=state_of)
FRAGMENTS = st.lists(
    st.one_of(
        st.builds(
            lambda second, state: agent_fragment(
                "17", "status", NOON + second * 1000, state=state, queues=QUEUES
            ),
            st.integers(0, 20),
            st.sampled_from(("available", "away")),
        ),
        st.builds(
            lambda second, contact, step_and_state: agent_contact_fragment(
                "17", contact, NOON + second * 1000, step_and_state[1], step_and_state[0]
            ),
            st.integers(0, 20),
            st.sampled_from(("c1", "c2")),
            st.sampled_from(list(enumerate(("offered", "busy", "wrap_up", None)))),
        ),
    ),
    min_size=1,
    max_size=12,
)


def published(batches: Sequence[Sequence[Fragment]], source: SourceAdapter = SOURCE) -> list[OutgoingEvent]:
    assembly, events = EMPTY_AGENT, list[OutgoingEvent]()
    for batch in batches:
        assembly, is_new = assembly.with_fragments(batch)
        new = [fragment.at for fragment, new in zip(batch, is_new, strict=True) if new]
        if new:
            assembly = decode_agent_assembly(encode_agent_assembly(assembly))
            events += assembly.events(source, {}, min(new))
    return events


def in_force(events: Sequence[OutgoingEvent]) -> dict[float, Mapping[str, Any]]:
    """Return the state of each moment: that with the greatest version, of which there is one."""
    newest: dict[float, int] = {}
    for event in events:
        newest[event.data["at"]] = max(event.data["version"], newest.get(event.data["at"], 0))
    states: dict[float, Mapping[str, Any]] = {}
    for event in events:
        if event.data["version"] == newest[event.data["at"]]:
            assert states.setdefault(event.data["at"], event.data) == event.data
    return {at: data for at, data in states.items() if "deleted" not in data}


@given(FRAGMENTS, st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from((2, 6, 64)))
def test_in_any_order_doubles_and_batches_each_moment_has_the_state_of_the_replay(
    fragments: list[Fragment], chance: Any, batch_size: int, most_open: int
) -> None:
    doubled = fragments * 2
    chance.shuffle(doubled)
    batches = [doubled[index : index + batch_size] for index in range(0, len(doubled), batch_size)]
    with patch.object(agent_assembly, "MOST_OPEN", most_open):
        states = in_force(published(batches))
    assert states == in_force(assemble_events(SOURCE, fragments, {}))


@given(FRAGMENTS, FRAGMENTS, st.integers(0, 12))
def test_what_a_process_published_before_it_died_gives_way(
    fragments: list[Fragment], others: list[Fragment], place: int
) -> None:
    """A process publishes, but does not commit; another one commits other fragments, then the same."""
    died = published([fragments[:place], fragments[place:]])
    lived = published([fragments[:place], others, fragments])
    assert in_force([*died, *lived]) == in_force(assemble_events(SOURCE, [*fragments, *others], {}))


def status(ms: int, state: str = "available") -> Fragment:
    return agent_fragment("17", "status", NOON + ms, state=state)


def test_what_was_in_force_a_day_ago_stays_and_what_comes_later_than_a_day_is_passed_over() -> None:
    contact = agent_contact_fragment("17", "c1", NOON + 1, "busy")
    over = agent_contact_fragment("17", "c1", NOON + 2, None)
    assembly, _ = EMPTY_AGENT.with_fragments([status(0), contact, over])
    assembly, _ = assembly.with_fragments([agent_contact_fragment("17", "c2", NOON + SPAN_MS + 10, "busy")])
    assert [fragment.kind for fragment in assembly.notes] == ["status", "contact c2"]
    (state,) = assembly.events(SOURCE, {}, NOON)
    assert (state.data["state"], state.data["version"]) == ("busy", 4)
    same, is_new = assembly.with_fragments([status(9, "away"), over])
    assert (is_new, same) == ([False, False], assembly)


def test_a_contact_whose_end_was_lost_ends_with_its_limit() -> None:
    fragments = [status(0), agent_contact_fragment("17", "c1", NOON + 1, "busy"), status(4 * HOUR + 1)]
    assert [event.data["state"] for event in assemble_events(SOURCE, fragments, {})] == [
        "available",
        "busy",
        "available",
    ]


def test_a_busy_day_of_a_chat_agent_takes_little_memory() -> None:
    contacts = [
        agent_contact_fragment("17", f"{number:032}", NOON + second, state, queues=QUEUES)
        for number in range(200)
        for second, state in enumerate(("offered", "busy", "wrap_up", None), number * DAY // 400)
    ]
    assembly, _ = AgentAssembly().with_fragments(contacts)
    assert len(assembly.notes) == 800
    assert len(encode_agent_assembly(assembly)) < 800 * 80


@pytest.mark.parametrize(("name", "stream"), [("genesys-cloud", GENESYS_DAY), ("twilio", TWILIO_DAY)])
def test_sealing_the_older_fragments_changes_nothing_of_a_day_that_comes_event_by_event(
    name: str, stream: Sequence[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in forty comes up to 200 events late; sealed as early as may be, and never."""
    order = sorted(range(len(stream)), key=lambda index: index + (200 if index % 40 == 0 else 0))
    agents: dict[str, list[Fragment]] = {}
    for index in order:
        for item in read_payload(SOURCES[name], json.dumps(stream[index]), {}):
            if isinstance(item, Fragment) and is_agent(item.contact):
                agents.setdefault(item.contact, []).append(item)
    for fragments in [*agents.values()][:2]:
        events = []
        for most_open in (4, MOST_FRAGMENTS):
            monkeypatch.setattr(agent_assembly, "MOST_OPEN", most_open)
            events.append(published([[fragment] for fragment in fragments], SOURCES[name]))
        assert events[0] == events[1]
        assert in_force(events[0]) == in_force(assemble_events(SOURCES[name], fragments, {}))
