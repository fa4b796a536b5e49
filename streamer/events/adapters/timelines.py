"""Timelines of contacts and agents: the states that the fragments of one of them add up to.

A state at a moment follows from the fragments up to that moment alone, and its version is the number of
these. So a fragment that comes late changes only what is later than itself: states are published again from
there on, with a higher version, and what was said of fewer fragments gives way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from streamer.events.adapters.fields import epoch_seconds
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.counting_rules import DAY

CONTACT_STATE: Final = "contact-state"
AGENT_STATE: Final = "agent-state"
AGENT: Final = "\x1fagent\x1f"
"""What the `contact` of an agent's fragments begins with; no contact's id does."""
CONTACT_SLOT: Final = "contact "
"""What the slots of contacts in an agent's hands begin with."""
_SLOW_CHANNELS: Final = ("email", "message", "task")
_HANDLING: Final = ("busy", "held", "offered", "wrap_up")
"""What an agent with several contacts does: the first of these that fits one of them."""


def agent_fragment(agent_id: str, slot: str, at_ms: int, step: int = 0, **data: Any) -> Fragment:
    """Return a fragment of an agent's timeline: from `at_ms` on, `slot` of the agent holds the data.

    A slot is one of the things that an agent's state is made of: the status, the place in one queue, one
    contact. `step` orders fragments of the same moment.
    """
    return Fragment(
        f"{AGENT}{agent_id}", slot, at_ms, ({"step": step} if step else {}) | _without_unknown(data)
    )


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


def _without_unknown(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


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

    def handling(self, limit_ms: int) -> tuple[str, str] | None:
        """Return what the agent does with the contacts in hand, and one of these; None without any.

        A contact of which nothing was heard for `limit_ms` is over, as its end was lost; for one of a slow
        channel it is a week.
        """
        contacts = [
            (_HANDLING.index(fragment.data["state"]), -fragment.at, contact_id)
            for contact_id, fragment in self.named(CONTACT_SLOT)
            if fragment.data.get("state") in _HANDLING
            and self.at_ms - fragment.at < _limit_ms(fragment.data.get("channel"), limit_ms)
        ]
        if not contacts:
            return None
        place, _, contact_id = min(contacts)
        return _HANDLING[place], contact_id


def _limit_ms(channel: str | None, limit_ms: int) -> int:
    return 7 * DAY if channel in _SLOW_CHANNELS else limit_ms


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
    if is_agent(distinct[0].contact):
        return list(agent_timeline(source, distinct, options, since_ms))
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

    `fragments` are distinct and all of one agent. `former_count`: number of fragments that are not among
    them any more, all earlier than `since_ms`.
    """
    assert source.agent_state is not None
    slots: dict[str, Fragment] = {}
    version = former_count
    for at_ms, group in groupby(sorted(fragments, key=agent_order), key=lambda fragment: fragment.at):
        for fragment in group:
            slots[fragment.kind] = fragment
            version += 1
        if since_ms is not None and at_ms < since_ms:
            continue
        moment = {"agent_id": fragment.contact.removeprefix(AGENT), "at": epoch_seconds(at_ms)}
        state = source.agent_state(AgentMoment(at_ms, slots), options)
        if state is not None:
            yield OutgoingEvent(AGENT_STATE, {**_without_unknown(state), **moment, "version": version})
        elif version > 1:  # a state may have been published of fewer fragments
            yield OutgoingEvent(AGENT_STATE, {**moment, "deleted": True, "version": version})


def agent_order(fragment: Fragment) -> tuple[int, int, bytes]:
    """Return the sorting key of an agent's fragments."""
    return fragment.at, fragment.data.get("step", 0), fragment.encode()
