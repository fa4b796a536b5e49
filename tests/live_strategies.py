"""Hypothesis strategies for what is live: a few agents and contacts whose states often collide."""

from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND, CountingRules
from streamer.events.models import (
    AGENT_STATES,
    CONTACT_STATES,
    AgentState,
    ContactState,
    Event,
    FactIdentity,
    Segment,
    Tombstone,
)
from tests import strategies
from tests.strategies import START, maybe, weighted

AGENTS = ("anna", "ben")
_SOURCES = ("", "", "crm")
_IDS = (("k1", ""), ("k1", ""), ("k2", ""), ("k2", "s1"), ("k1", "s1"))
_versions = st.sampled_from((0, 0, 0, 1, 2))
_moments = st.builds(
    lambda hour, offset: START + hour * HOUR + offset,
    st.sampled_from((0, 0, 0, 1, 2, 12, 25, 30)),
    st.sampled_from((0, 0, 1, -1, SECOND, MINUTE, 20 * MINUTE, 59 * MINUTE)),
)
LATENESS = (0, 0, 0, SECOND, HOUR, DAY - 1, DAY, DAY + 1)


@cache
def contact_states() -> st.SearchStrategy[ContactState]:
    def build(ids: tuple[str, str], at: int, earlier: int | None, **more: object) -> ContactState:
        queued_at = None if earlier is None else at - earlier
        return ContactState(contact_id=ids[0], segment_id=ids[1], at=at, queued_at=queued_at, **more)

    return st.builds(
        build,
        st.sampled_from(_IDS),
        _moments,
        st.sampled_from((None, None, 0, MINUTE)),
        source=st.sampled_from(_SOURCES),
        version=_versions,
        state=st.sampled_from(CONTACT_STATES),
        queue=st.sampled_from(("billing", "tech")),
        agent_id=maybe(AGENTS),
        team=maybe(("red",)),
        site=maybe(("north",)),
        channel=st.sampled_from(("voice", "voice", "email")),
        reason=maybe(("bill",)),
        language=maybe(("es",)),
        priority=st.sampled_from((None, 0, 5)),
        direction=st.sampled_from(("inbound", "inbound", "outbound")),
        customer_id=maybe(("ann",)),
    )


@cache
def agent_states() -> st.SearchStrategy[AgentState]:
    def build(at: int, seen: int | None, **more: object) -> AgentState:
        return AgentState(at=at, seen_at=None if seen is None else at + seen, **more)

    return st.builds(
        build,
        _moments,
        st.sampled_from((None, None, 0, MINUTE, 3 * HOUR)),
        source=st.sampled_from(_SOURCES),
        version=_versions,
        agent_id=st.sampled_from(AGENTS),
        state=st.sampled_from(AGENT_STATES),
        reason=maybe(("lunch", "lunch", "training")),
        queues=st.sampled_from((None, None, ("billing",), ("billing", "tech"), ())),
        team=maybe(("red", "blue")),
        site=maybe(("north",)),
        channels=st.sampled_from((None, ("voice",), ("chat", "voice"))),
        contact_id=maybe(("k1", "k2")),
        heart_beat_ms=st.sampled_from((None, None, MINUTE, HOUR)),
    )


@cache
def ends() -> st.SearchStrategy[Segment]:
    def build(ids: tuple[str, str], source: str, ended_at: int) -> Segment:
        return Segment(
            contact_id=ids[0],
            segment_id=ids[1],
            source=source,
            ended_at=ended_at,
            outcome="answered",
            queue="billing",
        )

    return st.builds(build, st.sampled_from(_IDS), st.sampled_from(_SOURCES), _moments)


@cache
def tombstones() -> st.SearchStrategy[Tombstone]:
    of_segment = st.builds(
        FactIdentity, st.just("l"), st.sampled_from(_SOURCES), st.sampled_from(("k1", "k2", "s1"))
    )
    of_contact = st.builds(
        FactIdentity, st.just("s"), st.sampled_from(_SOURCES), st.sampled_from(("k2", "s1"))
    )
    of_agent = st.builds(FactIdentity, st.just("a"), st.just(""), st.sampled_from(AGENTS))
    return st.one_of(
        st.builds(Tombstone, of_contact, _versions),
        st.builds(Tombstone, st.one_of(of_segment, of_agent), _versions, st.one_of(st.none(), _moments)),
    )


@st.composite
def corrections(draw: st.DrawFn, event: ContactState | AgentState) -> list[Event]:
    """Draw what its source says of the same moment later: the same, another state, or nothing any more."""
    later = event.version + draw(st.sampled_from((0, 1, 1)))
    match draw(st.sampled_from(("same", "changed", "changed", "taken back", "all taken back", "seen"))):
        case "changed":
            words = CONTACT_STATES if isinstance(event, ContactState) else AGENT_STATES
            return [replace(event, state=draw(st.sampled_from(words)), version=later)]
        case "taken back":
            return [Tombstone(event.identity, later, event.at)]
        case "all taken back":
            return [Tombstone(event.identity, event.version)]
        case "seen" if isinstance(event, AgentState):
            return [replace(event, seen_at=event.at + 2 * HOUR, version=later)]
    return [event]


_states = st.one_of(contact_states(), *weighted(agent_states(), 2))
_rest = st.one_of(*weighted(ends(), 2), tombstones(), strategies.responses())


@st.composite
def live_events(draw: st.DrawFn, most: int = 16) -> list[Event]:
    """Draw all events of a center that has what is live, in some order."""
    size = draw(st.sampled_from((2, most // 2, most)))
    states = draw(st.lists(_states, min_size=1, max_size=size))
    corrected = draw(st.lists(st.sampled_from(states), max_size=size // 2))
    corrected_events = [event for state in corrected for event in draw(corrections(state))]
    return [*states, *corrected_events, *draw(st.lists(_rest, max_size=3))]


@cache
def live_rules() -> st.SearchStrategy[CountingRules]:
    return st.builds(
        replace,
        st.just(CountingRules()),
        agent_silence_ms=st.sampled_from((12 * HOUR, 12 * HOUR, 30 * MINUTE)),
        dimension_pairs=st.sampled_from(
            ((), (("queue", "channel"),), (("agent", "reason"), ("queue", "channel")))
        ),
    )


def record_times(events: Sequence[Event]) -> st.SearchStrategy[list[int]]:
    """Draw the timestamp of each event's record: its time or later."""
    lateness = st.lists(st.sampled_from(LATENESS), min_size=len(events), max_size=len(events))
    return lateness.map(
        lambda late: [_event_time(event) + ms for event, ms in zip(events, late, strict=True)]
    )


def _event_time(event: Event) -> int:
    if isinstance(event, Tombstone):
        return START + 2 * DAY if event.at is None else event.at
    return event.time
