"""Agent directory: the team and site of each agent over time."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.envelopes import InvalidEventError
from streamer.events.kinds import KINDS
from streamer.events.outgoing_records import event_time_ms

_ENRICHED_FIELDS: Final = ("team", "site")
_ENRICHED_TOPICS: Final = frozenset(
    topic for topic, kind in KINDS.items() if kind.fields.keys() >= set(_ENRICHED_FIELDS)
)
"""Topics whose events may name a team and a site."""


class TeamMembership(NamedTuple):
    """An agent's time with a team at a site: [start, end) in ms since the epoch. None: unknown, or open."""

    team: str | None = None
    site: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None


class AgentDirectory:
    """Team memberships by agent id. Memberships of one agent do not overlap.

    >>> red, blue = TeamMembership("red", end_ms=1_000), TeamMembership("blue", start_ms=1_000)
    >>> directory = AgentDirectory({"anna": [red, blue]})
    >>> directory.membership_at("anna", 999).team, directory.membership_at("anna", 1_000).team
    ('red', 'blue')
    """

    def __init__(self, memberships_by_agent: Mapping[str, Iterable[TeamMembership]]) -> None:
        self._memberships_by_agent = {
            agent_id: sorted(memberships, key=_start_or_minus_infinity)
            for agent_id, memberships in memberships_by_agent.items()
        }
        self._starts_by_agent = {
            agent_id: [_start_or_minus_infinity(membership) for membership in memberships]
            for agent_id, memberships in self._memberships_by_agent.items()
        }

    def membership_at(self, agent_id: str, time_ms: int) -> TeamMembership:
        """Return the membership at that time, or an empty one where none is known."""
        membership_index = bisect_right(self._starts_by_agent.get(agent_id, ()), time_ms) - 1
        if membership_index < 0:
            return TeamMembership()
        membership = self._memberships_by_agent[agent_id][membership_index]
        return membership if membership.end_ms is None or time_ms < membership.end_ms else TeamMembership()

    def with_membership(self, event: OutgoingEvent) -> OutgoingEvent:
        """Add the team and site its agent had at the time of the event, unless the event names its own."""
        agent_id = event.data.get("agent_id")
        if (
            event.topic not in _ENRICHED_TOPICS
            or agent_id is None
            or str(agent_id) not in self._memberships_by_agent
        ):
            return event
        missing = [name for name in _ENRICHED_FIELDS if event.data.get(name) in (None, "")]
        try:
            membership = (
                self.membership_at(str(agent_id), event_time_ms(event)) if missing else TeamMembership()
            )
        except InvalidEventError:  # no time: reported when the event is sent
            return event
        additions = {name: value for name in missing if (value := getattr(membership, name)) is not None}
        return OutgoingEvent(event.topic, {**event.data, **additions}) if additions else event


EMPTY_DIRECTORY: Final = AgentDirectory({})


def memberships_overlap(memberships: Sequence[TeamMembership]) -> bool:
    """Tell whether two memberships of one agent cover the same time."""
    ordered = sorted(memberships, key=_start_or_minus_infinity)
    return any(
        earlier.end_ms is None or earlier.end_ms > _start_or_minus_infinity(later)
        for earlier, later in pairwise(ordered)
    )


def _start_or_minus_infinity(membership: TeamMembership) -> float:
    return float("-inf") if membership.start_ms is None else membership.start_ms
