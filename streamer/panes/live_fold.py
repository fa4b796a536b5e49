"""Fold of what is live: the entry of a segment or an agent in the live index, and an agent's closed
intervals.

As for journeys, what a commit adds is fold(after) − fold(before). The last state of an agent is open: it is
in the index, and never among the intervals.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from streamer.events.models import AGENT_STATES, CHANNELS, CONTACT_STATES
from streamer.journeys.state_history import (
    AgentHistory,
    ContactHistory,
    StatedProfile,
    TimedAgentState,
    TimedContactState,
    heard_until,
    run_start,
)
from streamer.panes.agent_time import UNANSWERED, AgentInterval, AgentProfile
from streamer.panes.live_index import FormerState, LiveAgent, LiveContact

_QUEUED, _OFFERED, _CONNECTED, _HELD, _WRAP_UP, _ENDED = range(len(CONTACT_STATES))
_WAITING: Final = frozenset({_QUEUED, _OFFERED})
_SERVED: Final = frozenset({_CONNECTED, _HELD, _WRAP_UP})
_AGENT_OFFERED, _AGENT_AWAY, _AGENT_OFFLINE = map(AGENT_STATES.index, ("offered", "away", "offline"))
_ANSWERED: Final = frozenset(map(AGENT_STATES.index, ("busy", "held")))

_at: Final = attrgetter("at")


# Contacts.


def live_contact(history: ContactHistory | None) -> LiveContact | None:
    """Return the entry of a segment in the index; None: it is not under way.

    >>> from streamer.events.models import ContactState
    >>> history = ContactHistory("c1", "")
    >>> for state, at in (("queued", 1_000), ("offered", 5_000), ("connected", 9_000)):
    ...     history = history.with_state(ContactState(contact_id="c1", state=state, at=at, queue="billing"))
    >>> entry = live_contact(history)
    >>> CONTACT_STATES[entry.state], entry.since, entry.waiting_since, entry.connected_at
    ('connected', 9000, 1000, 9000)
    """
    if history is None or not history.moments or history.moments[-1].state == _ENDED:
        return None
    moments = history.moments
    last = moments[-1]
    served = _trailing(moments, _SERVED)
    waiting = _trailing(moments[: len(moments) - len(served)], _WAITING)
    began = [moment.queued_at for moment in (*waiting, *served) if moment.queued_at is not None]
    if waiting:
        began.append(waiting[0].at)
    contact_id = history.name(last.contact_id) or history.id
    stated = [moments[-1 - back] for back in range(len(moments))]
    holding_agent = [last] if last.state == _QUEUED else [*_until_queued(stated)]
    return LiveContact(
        contact_id,
        "" if contact_id == history.id else history.id,
        history.source,
        last.state,
        _contact_since(moments),
        min(began, default=None),
        served[0].at if served else None,
        history.name(last.queue),
        _latest_name(history, stated, "team"),
        _latest_name(history, stated, "site"),
        _latest_name(history, holding_agent, "agent_id"),
        CHANNELS[last.channel - 1] if last.channel else None,
        _latest_name(history, stated, "reason"),
        _latest_name(history, stated, "language"),
        last.is_outbound,
        next((moment.priority for moment in stated if moment.priority is not None), None),
    )


def _trailing(moments: Sequence[TimedContactState], states: frozenset[int]) -> Sequence[TimedContactState]:
    """Return the last moments that all have one of these states."""
    first = len(moments)
    while first and moments[first - 1].state in states:
        first -= 1
    return moments[first:]


def _contact_since(moments: Sequence[TimedContactState]) -> int:
    """Return when the present state, with the present agent, began."""
    index = len(moments) - 1
    while index and (moments[index - 1].state, moments[index - 1].agent_id) == (
        moments[index].state,
        moments[index].agent_id,
    ):
        index -= 1
    return moments[index].at


def _until_queued(stated: Sequence[TimedContactState]) -> Iterator[TimedContactState]:
    for moment in stated:
        if moment.state == _QUEUED:
            return
        yield moment


def _latest_name(history: ContactHistory, stated: Sequence[TimedContactState], field: str) -> str | None:
    """Return the last known value of a field, the latest moment first."""
    return history.name(next(filter(None, (getattr(moment, field) for moment in stated)), 0))


# Agents.


def live_agent(history: AgentHistory, silence_ms: int) -> LiveAgent | None:
    """Return the entry of an agent in the index; None: offline, or nothing is known.

    >>> from streamer.events.models import AgentState
    >>> history = AgentHistory("anna")
    >>> for at in (1_000, 61_000):
    ...     state = AgentState(agent_id="anna", state="available", at=at, heart_beat_ms=60_000)
    ...     history = history.with_state(state, at)
    >>> entry = live_agent(history, silence_ms=3_600_000)
    >>> entry.since, entry.open_from, entry.heard_at, entry.silence_ms
    (1000, 61000, 61000, 180000)
    """
    moments = history.moments
    if not moments or moments[-1].state == _AGENT_OFFLINE:
        return None
    last = moments[-1]
    profile = history.profile_before(len(moments))
    heard_at = last.at + last.seen_ms
    return LiveAgent(
        history.agent_id,
        last.state,
        history.name(last.reason),
        run_start(history, len(moments) - 1, silence_ms),
        last.at,
        heard_at,
        heard_until(last, silence_ms) - heard_at,
        profile.queues or (),
        profile.team,
        profile.site,
        profile.channels or (),
        history.name(last.contact_id),
        _former_state(history, silence_ms),
    )


def _former_state(history: AgentHistory, silence_ms: int) -> FormerState | None:
    """Return what the agent did before the last state; None: nothing is known of it, or offline."""
    index = len(history.moments) - 2
    if index < 0 or history.moments[index].state == _AGENT_OFFLINE:
        return None
    moment = history.moments[index]
    return FormerState(
        moment.state,
        history.name(moment.reason),
        run_start(history, index, silence_ms),
        moment.at,
        history.name(moment.contact_id),
    )


def agent_intervals(
    history: AgentHistory | None, silence_ms: int, from_ms: int = 0
) -> Iterator[AgentInterval]:
    """Yield the closed intervals of an agent, from the one that holds at `from_ms` on, and the offers that
    were not answered."""
    if history is None:
        return
    moments = history.moments
    first = max(0, bisect_left(moments, from_ms, key=_at) - 1)
    stated = history.profile_before(first)
    profile = agent_profile(history, stated)
    for index in range(first, len(moments) - 1):
        moment, following = moments[index], moments[index + 1]
        if moment.profile:
            stated = stated.updated(history.profile(moment.profile))
            profile = agent_profile(history, stated)
        if moment.state == _AGENT_OFFLINE:
            continue
        end_ms = min(following.at, heard_until(moment, silence_ms))
        reason = history.name(moment.reason) if moment.state == _AGENT_AWAY else None
        yield AgentInterval(profile, moment.state, reason, moment.at, end_ms)
        if moment.state == _AGENT_OFFERED and not _is_answered_or_repeated(moment, following):
            yield AgentInterval(profile, UNANSWERED, None, end_ms, end_ms)


def agent_profile(history: AgentHistory, stated: StatedProfile) -> AgentProfile:
    """Return what an agent's time counts under."""
    return AgentProfile(
        history.agent_id, stated.team, stated.site, stated.queues or (), stated.channels or ()
    )


def _is_answered_or_repeated(offer: TimedAgentState, following: TimedAgentState) -> bool:
    """Tell whether an offer was answered, or is the same as the next one, which may be answered yet."""
    if following.state in _ANSWERED:
        return True
    is_other_contact = offer.contact_id and following.contact_id and offer.contact_id != following.contact_id
    return following.state == _AGENT_OFFERED and not is_other_contact


def agent_delta(
    before: AgentHistory | None, after: AgentHistory, silence_ms: int
) -> list[tuple[AgentInterval, int]]:
    """Return the intervals that a commit adds and takes away, with their weights.

    Those before the first state that differs are the same on both sides, and left out.
    """
    from_ms = _first_difference_ms(before, after)
    weights: dict[AgentInterval, int] = {}
    for weight, history in ((-1, before), (1, after)):
        for interval in agent_intervals(history, silence_ms, from_ms):
            weights[interval] = weights.get(interval, 0) + weight
    return [(interval, weight) for interval, weight in weights.items() if weight]


def _first_difference_ms(before: AgentHistory | None, after: AgentHistory) -> int:
    if before is None:
        return 0
    pairs = zip(before.moments, after.moments, strict=False)
    index = next((index for index, (old, new) in enumerate(pairs) if old is not new), None)
    if index is None:
        index = min(len(before.moments), len(after.moments))
    rest = [*before.moments[index : index + 1], *after.moments[index : index + 1]]
    return min((moment.at for moment in rest), default=0)
