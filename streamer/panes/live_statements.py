"""Read from states which groups they are sent of: of any other, a count of nothing now is unknown."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streamer.events.counting_rules import DAY, UNKNOWN
from streamer.events.models import ContactState
from streamer.journeys.state_history import AgentHistory
from streamer.panes.agent_time import AWAY, AgentInterval, AgentProfile
from streamer.panes.live_fold import agent_profile
from streamer.panes.pane_keys import Cell


class ContactStatement(NamedTuple):
    """Dimensions of a contact's state, and its day."""

    cell: Cell
    day: int


class AgentStatement(NamedTuple):
    """What an agent's state counts under, why away (None: the agent is not), and its day."""

    profile: AgentProfile
    away_reason: str | None
    day: int


LiveStatement = ContactStatement | AgentStatement


def contact_statements(events: Iterable[object]) -> Iterator[ContactStatement]:
    """Yield what the contact states among these events are stated of."""
    for event in events:
        if isinstance(event, ContactState) and event.queue is not None:
            cell = (
                event.site, event.queue, event.team, event.agent_id,
                event.channel, event.reason, event.language,
            )  # fmt: skip
            yield ContactStatement(cell, event.at // DAY)


def agent_statements(
    histories: Iterable[AgentHistory], intervals: Iterable[AgentInterval]
) -> Iterator[AgentStatement]:
    """Yield what agents' last states, and their closed intervals, are stated of."""
    for history in histories:
        if history.moments:
            moment = history.moments[-1]
            profile = agent_profile(history, history.profile_before(len(history.moments)))
            yield _agent_statement(profile, moment.state, history.name(moment.reason), moment.at)
    for profile, state, reason, start_ms, _ in intervals:
        yield _agent_statement(profile, state, reason, start_ms)


def _agent_statement(profile: AgentProfile, state: int, reason: str | None, at: int) -> AgentStatement:
    return AgentStatement(profile, (reason or UNKNOWN) if state == AWAY else None, at // DAY)
