"""Timelines of contacts and agents: the states that the fragments of one of them add up to.

A state at a moment follows from the fragments up to that moment alone, and its version is the number of
these. So a fragment that comes late changes only what is later than itself: states are published again from
there on, with a higher version, and what was said of fewer fragments gives way.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, Protocol

from streamer.events.adapters.fields import epoch_seconds, known_values
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.counting_rules import DAY
from streamer.events.models import SLOW_CHANNELS

CONTACT_STATE: Final = "contact-state"
AGENT_STATE: Final = "agent-state"
AGENT: Final = "\x1fagent\x1f"
"""What the `contact` of an agent's fragments begins with; no contact's id does."""
EVERYONE: Final = "\x1feveryone"
"""The `contact` of fragments that concern all contacts and agents under way: sweeps."""
RESTART: Final = "restart"
"""Kind of a sweep after which no call goes on; in an agent's timeline its slot."""
WAITING_LIST: Final = "waiting list"
"""Kind of a sweep after which only those still wait in its `queue` of whom something was heard since the list
was begun, `LIST_MS` before."""
LIST_MS: Final = 10_000
CONTACT_SLOT: Final = "contact "
"""What the slots of contacts in an agent's hands begin with."""
ANSWER_SLOT: Final = f"{CONTACT_SLOT}answer "
"""What the slots of answers to offers begin with, of use while the contact is in the agent's hands."""
_HANDLING: Final = ("busy", "held", "offered", "wrap_up")
"""What an agent with several contacts does: the first of these that fits one of them."""


def agent_fragment(agent_id: str, slot: str, at_ms: int, step: int = 0, **data: Any) -> Fragment:
    """Return a fragment of an agent's timeline: from `at_ms` on, `slot` of the agent holds the data.

    A slot is one of the things that an agent's state is made of: the status, the place in one queue, one
    contact. `step` orders fragments of the same moment.
    """
    return Fragment(f"{AGENT}{agent_id}", slot, at_ms, ({"step": step} if step else {}) | known_values(data))


def agent_contact_fragment(
    agent_id: str, contact_id: str, at_ms: int, state: str | None, /, step: int = 0, **data: Any
) -> Fragment:
    """Return a fragment of one contact of an agent: offered, busy, held, wrap_up; None: no longer theirs."""
    return agent_fragment(agent_id, f"{CONTACT_SLOT}{contact_id}", at_ms, step, state=state, **data)


def expected_fragment(agent_id: str, slot: str, at_ms: int, step: int = 0, **data: Any) -> Fragment:
    """Return a fragment of what is expected, such as the end of wrap-up: it may lie up to an hour ahead."""
    return agent_fragment(agent_id, slot, at_ms, step, expected=True, **data)


def is_expected(fragment: Fragment) -> bool:
    """Tell whether a fragment says what is expected to happen."""
    return is_agent(fragment.contact) and fragment.data.get("expected") is True


def sweep_fragment(kind: str, at_ms: int, **data: Any) -> Fragment:
    """Return a fragment that concerns all contacts and agents under way: RESTART or WAITING_LIST."""
    return Fragment(EVERYONE, kind, at_ms, data)


def relevant_sweeps(
    source: SourceAdapter, fragments: Sequence[Fragment], sweeps: Iterable[Fragment], options: Options
) -> list[Fragment]:
    """Return the sweeps that concern a contact or agent with these fragments, as fragments of its own.

    A restart concerns agents, and contacts that nothing else has ended, a list those that wait. What is later
    than the sweep that ended a contact does not.
    """
    contact, first_ms = fragments[0].contact, min(fragment.at for fragment in fragments)
    later_sweeps = [sweep for sweep in sweeps if sweep.at > first_ms]
    if later_sweeps and not is_agent(contact):
        states = states_under_way(source, fragments, options)
        is_waiting = bool(states & {"queued", "offered"})
        limit_ms = _ended_by_sweep_ms(source, fragments, options)
        later_sweeps = [
            sweep
            for sweep in later_sweeps
            if (is_waiting or (states and sweep.kind == RESTART)) and sweep.at < limit_ms
        ]
    return [
        Fragment(contact, sweep.kind, sweep.at, sweep.data)
        for sweep in later_sweeps
        if sweep.kind == RESTART or not is_agent(contact)
    ]


def states_under_way(source: SourceAdapter, fragments: Iterable[Fragment], options: Options) -> set[str]:
    """Return the states that segments of a contact are in, but those that have ended. Sweeps are left out:
    they end only what nothing else has."""
    own_fragments = [fragment for fragment in fragments if not _is_sweep(fragment)]
    latest = _latest_states(source, own_fragments, options).values() if own_fragments else ()
    return {state for _, state in latest} - {"ended"}


def _ended_by_sweep_ms(source: SourceAdapter, fragments: Sequence[Fragment], options: Options) -> float:
    """Return when sweeps ended the last segment of a contact; never is infinite."""
    if not any(map(_is_sweep, fragments)):
        return math.inf
    latest = _latest_states(source, fragments, options).values()
    return math.inf if any(state != "ended" for _, state in latest) else 1000 * max(latest)[0]


def _is_sweep(fragment: Fragment) -> bool:
    return fragment.kind in (RESTART, WAITING_LIST)


def _latest_states(
    source: SourceAdapter, fragments: Iterable[Fragment], options: Options
) -> dict[str, tuple[float, str]]:
    """Return the latest state of each segment of a contact, after its time."""
    latest: dict[str, tuple[float, str]] = {}
    for event in assemble_events(source, fragments, options):
        if event.topic == CONTACT_STATE and not event.data.get("deleted"):
            segment = event.data.get("segment_id", "")
            latest[segment] = max(latest.get(segment, (0, "")), (event.data["at"], event.data["state"]))
    return latest


class ContactWalk(Protocol):
    """Walk along the fragments of one contact: it takes each, and tells the states of all segments."""

    def take(self, fragment: Fragment) -> None: ...

    def states(self, at_ms: int) -> Iterator[OutgoingEvent]:
        """Yield the state of each segment at a moment, also of those of which nothing was said then: fewer
        events may have said something else of them."""


def walk_states(
    walk: ContactWalk, fragments: Iterable[Fragment], steps: Sequence[str]
) -> Iterator[OutgoingEvent]:
    """Yield the states of each moment at which one of these events was. `steps`: kinds of events in the order
    in which they follow each other, where two have the same time."""
    told = (fragment for fragment in fragments if fragment.kind in steps)
    ordered = sorted(told, key=lambda fragment: (fragment.at, steps.index(fragment.kind)))
    for at_ms, group in groupby(ordered, key=lambda fragment: fragment.at):
        for fragment in group:
            walk.take(fragment)
        yield from walk.states(at_ms)


def contact_state_event(at_ms: int, queued_ms: int | None, **data: Any) -> OutgoingEvent:
    """Return the event of a state from `at_ms` on; what is None is left out, and so is the time of queueing
    where it is not earlier."""
    queued_at = None if queued_ms is None or queued_ms >= at_ms else epoch_seconds(queued_ms)
    return OutgoingEvent(
        CONTACT_STATE, known_values({**data, "at": epoch_seconds(at_ms), "queued_at": queued_at})
    )


class AgentMoment(NamedTuple):
    """All that is known of an agent at a moment: the last fragment of each slot."""

    at_ms: int
    slots: Mapping[str, Fragment]

    def data(self, slot: str) -> Mapping[str, Any]:
        """Return what a slot holds: nothing, if nothing was said of it yet."""
        return self.slots[slot].data if slot in self.slots else {}

    def named(self, start: str) -> Iterator[tuple[str, Fragment]]:
        """Yield the slots whose name starts so: the rest of the name, and the fragment."""
        for slot, fragment in self.slots.items():
            if slot.startswith(start):
                yield slot.removeprefix(start), fragment

    def last_ms(self, slot: str) -> int:
        """Return when a slot was last said something of, 0 for never."""
        return self.slots[slot].at if slot in self.slots else 0

    def handling(self, limit_ms: int, since_ms: int = 0) -> tuple[str, str] | None:
        """Return what the agent does with the contacts in hand, and one of these; None without any.

        A contact of which nothing was heard for `limit_ms`, or since `since_ms`, is over, as its end was
        lost; for one of a slow channel the limit is a week.
        """
        contacts = [
            (_HANDLING.index(fragment.data["state"]), -fragment.at, contact_id)
            for contact_id, fragment in self.named(CONTACT_SLOT)
            if fragment.data.get("state") in _HANDLING
            and self.at_ms - fragment.at < _limit_ms(fragment.data.get("channel"), limit_ms)
            and fragment.at >= since_ms
        ]
        if not contacts:
            return None
        place, _, contact_id = min(contacts)
        return _HANDLING[place], contact_id


def _limit_ms(channel: str | None, limit_ms: int) -> int:
    return 7 * DAY if channel in SLOW_CHANNELS else limit_ms


def is_agent(contact: str) -> bool:
    """Tell whether fragments of this `contact` are an agent's."""
    return contact.startswith(AGENT)


def assemble_events(
    source: SourceAdapter, fragments: Iterable[Fragment], options: Options, since_ms: int | None = None
) -> list[OutgoingEvent]:
    """Return the events to publish for one contact or agent, from all its fragments in any order, repeated or
    not.

    The version of each event is the number of distinct fragments it is made of, so that events from more
    fragments replace events from fewer. States are those from `since_ms` on, where it is given.
    """
    fragments_by_encoding = {fragment.encode(): fragment for fragment in fragments}
    ordered = sorted(fragments_by_encoding.items(), key=lambda item: (item[1].at, item[1].kind, item[0]))
    distinct = [fragment for _, fragment in ordered]
    options = {**source.options, **options}
    if distinct[0].contact == EVERYONE:
        return []
    if is_agent(distinct[0].contact):
        return list(agent_timeline(source, sorted(distinct, key=agent_order), options, since_ms))
    events = [] if source.assemble is None else source.assemble(distinct, options)
    return [
        *(OutgoingEvent(event.topic, {**event.data, "version": len(distinct)}) for event in events),
        *_contact_timeline(source, distinct, options, since_ms),
    ]


def _contact_timeline(
    source: SourceAdapter, fragments: Sequence[Fragment], options: Options, since_ms: int | None
) -> Iterator[OutgoingEvent]:
    """Yield the states of one contact from a moment on; the fragments are distinct and in order."""
    if source.contact_states is None:
        return
    for event in source.contact_states(fragments, options):
        at_ms = round(event.data["at"] * 1000)
        if since_ms is None or at_ms >= since_ms:
            version = sum(fragment.at <= at_ms for fragment in fragments)
            yield OutgoingEvent(event.topic, {**event.data, "version": version})


def agent_timeline(
    source: SourceAdapter,
    fragments: Iterable[Fragment],
    options: Options,
    since_ms: int | None = None,
    former_count: int = 0,
) -> Iterator[OutgoingEvent]:
    """Yield the states of one agent from a moment on: one of each moment at which something was said.

    `fragments` are distinct, all of one agent, and in order. `former_count`: number of fragments that are not
    among them any more, all earlier than `since_ms`.
    """
    assert source.agent_state is not None
    slots: dict[str, Fragment] = {}
    version = former_count
    for at_ms, group in groupby(fragments, key=lambda fragment: fragment.at):
        for fragment in group:
            slots[fragment.kind] = fragment
            version += 1
        if since_ms is not None and at_ms < since_ms:
            continue
        moment = {"agent_id": fragment.contact.removeprefix(AGENT), "at": epoch_seconds(at_ms)}
        state = source.agent_state(AgentMoment(at_ms, slots), options)
        if state is not None:
            yield OutgoingEvent(AGENT_STATE, {**known_values(state), **moment, "version": version})
        elif version > 1:  # a state may have been published of fewer fragments
            yield OutgoingEvent(AGENT_STATE, {**moment, "deleted": True, "version": version})


def agent_order(fragment: Fragment) -> tuple[int, int, bytes]:
    """Return the sorting key of an agent's fragments."""
    return fragment.at, fragment.data.get("step", 0), fragment.encode()
