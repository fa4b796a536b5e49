"""A day of states: what a shuffled and tripled stream of a source says in the end, and intervals of it."""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, OutgoingEvent, read_payload
from streamer.events.adapters.timelines import AGENT_STATE, CONTACT_STATE, is_agent
from streamer.events.models import (
    AGENT_STATES,
    CONTACT_STATES,
    AgentState,
    ContactState,
    RejectedEvent,
    Tombstone,
)
from streamer.ingest.agent_assembly import EMPTY_AGENT
from streamer.ingest.assembly import EMPTY_ASSEMBLY
from tests.events.adapters.decoded_facts import decoded_fact

BATCH = 200
ORDER = {CONTACT_STATE: CONTACT_STATES, AGENT_STATE: AGENT_STATES}
FACTS: dict[str, type] = {CONTACT_STATE: ContactState, AGENT_STATE: AgentState}
Data = Mapping[str, Any]


class Interval(NamedTuple):
    """Time of a contact or an agent in one state, in ms."""

    whose: str
    state: str
    start: int
    end: int | None


def ingested(
    name: str, payloads: Sequence[str], options: Data, seed: int, batch_size: int = BATCH
) -> list[OutgoingEvent]:
    """Return what is published of a stream that comes three times, shuffled, in batches."""
    source, events = SOURCES[name], list[OutgoingEvent]()
    stream = [*payloads] * 3
    Random(seed).shuffle(stream)
    assemblies: dict[str, Any] = {}
    for start in range(0, len(stream), batch_size):
        fragments: dict[str, list[Fragment]] = {}
        for payload in stream[start : start + batch_size]:
            for item in read_payload(source, payload, options):
                assert not isinstance(item, RejectedEvent), (item, payload)
                if isinstance(item, Fragment):
                    fragments.setdefault(item.contact, []).append(item)
                else:
                    events.append(item)
        for whose, own in fragments.items():
            before = assemblies.get(whose, EMPTY_AGENT if is_agent(whose) else EMPTY_ASSEMBLY)
            assemblies[whose], is_new = before.with_fragments(own)
            new = [fragment.at for fragment, new in zip(own, is_new, strict=True) if new]
            if new:
                events += assemblies[whose].events(source, options, min(new))
    return events


def states_in_force(events: Iterable[OutgoingEvent], topic: str, name: str) -> dict[tuple[str, int], Data]:
    """Return the data that count of each contact or agent at each moment; they must be decodable."""
    ranked: dict[tuple[str, int], tuple[tuple[int, int], OutgoingEvent]] = {}
    for event in events:
        if event.topic == topic:
            data = event.data
            whose = str(data["agent_id" if topic == AGENT_STATE else "segment_id"])
            moment = whose, round(data["at"] * 1000)
            place = len(AGENT_STATES) if data.get("deleted") else ORDER[topic].index(data["state"])
            rank = data.get("version", 0), place
            if moment not in ranked or ranked[moment][0] < rank:
                ranked[moment] = rank, event
    for _, event in ranked.values():
        fact = decoded_fact(event, name)
        assert isinstance(fact, Tombstone if event.data.get("deleted") else FACTS[topic])
    return {
        moment: event.data for moment, (_, event) in sorted(ranked.items()) if not event.data.get("deleted")
    }


def intervals(states: Mapping[tuple[str, int], str]) -> list[Interval]:
    """Return the time in each state; equal states that touch are one interval."""
    found: list[Interval] = []
    for (whose, at_ms), state in sorted(states.items()):
        last = found[-1] if found and found[-1].whose == whose else None
        if last is not None and last.state == state:
            continue
        if last is not None:
            found[-1] = last._replace(end=at_ms)
        found.append(Interval(whose, state, at_ms, None))
    return found


def state_words(states: Mapping[tuple[str, int], Data]) -> dict[tuple[str, int], str]:
    return {moment: data["state"] for moment, data in states.items()}
