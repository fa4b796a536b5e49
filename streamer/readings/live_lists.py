"""List contacts under way and agents, each as it is at this moment."""

from datetime import UTC, datetime

import msgspec

from streamer.events.models import AGENT_STATES, CONTACT_STATES
from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.readings.live_state import LiveState, contact_start_ms, is_silent

UNDER_WAY_STATES = tuple(state for state in CONTACT_STATES if state != "ended")
SIGNED_IN_STATES = (*(state for state in AGENT_STATES if state != "offline"), "unknown")


class ContactUnderWay(msgspec.Struct, frozen=True):
    """A contact under way, one of its segments. `state` since `since`. `age_s`: for how long it has waited,
    or been served. `over_target`: it waits for longer than its queue's T. Times are RFC 3339."""

    contact_id: str
    segment_id: str
    state: str
    since: str
    waiting_since: str | None
    connected_at: str | None
    age_s: float
    over_target: bool
    queue: str | None
    team: str | None
    site: str | None
    channel: str | None
    agent_id: str | None
    reason: str | None
    language: str | None
    direction: str
    priority: int | None

    @classmethod
    def as_of(cls, contact: LiveContact, live: LiveState, now_ms: int) -> "ContactUnderWay":
        return cls(
            contact.contact_id,
            contact.segment_id or contact.contact_id,
            CONTACT_STATES[contact.state],
            rfc3339_ms(contact.since),
            None if contact.waiting_since is None else rfc3339_ms(contact.waiting_since),
            None if contact.connected_at is None else rfc3339_ms(contact.connected_at),
            max(0, now_ms - contact_start_ms(contact)) / 1000,
            live.is_over_target(contact, now_ms),
            contact.queue,
            contact.team,
            contact.site,
            contact.channel,
            contact.agent_id,
            contact.reason,
            contact.language,
            contact.direction,
            contact.priority,
        )


class SignedInAgent(msgspec.Struct, frozen=True):
    """An agent, in `state` since `since`; "unknown" once nothing was heard of the agent for too long.
    `reason`: why away. `age_s`: for how long in that state. `heard_at`: last sign of the agent. Times are RFC
    3339."""

    agent_id: str
    state: str
    reason: str | None
    since: str
    age_s: float
    heard_at: str
    queues: tuple[str, ...]
    team: str | None
    site: str | None
    channels: tuple[str, ...]
    contact_id: str | None

    @classmethod
    def as_of(cls, agent: LiveAgent, now_ms: int) -> "SignedInAgent":
        return cls(
            agent.agent_id,
            live_agent_state(agent, now_ms),
            agent.reason,
            rfc3339_ms(agent.since),
            max(0, now_ms - agent.since) / 1000,
            rfc3339_ms(agent.heard_at),
            agent.queues,
            agent.team,
            agent.site,
            agent.channels,
            agent.contact_id,
        )


def live_agent_state(agent: LiveAgent, now_ms: int) -> str:
    """Return the name of an agent's state; "unknown" for one who fell silent."""
    return "unknown" if is_silent(agent, now_ms) else AGENT_STATES[agent.state]


def rfc3339_ms(ms: int) -> str:
    """Return a time in ms since the epoch as RFC 3339 in UTC, with ms.

    >>> rfc3339_ms(1_795_255_203_250)
    '2026-11-21T10:00:03.250Z'
    """
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
