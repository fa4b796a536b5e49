"""Put contacts under way and agents into a small center, as events of their states would."""

from collections.abc import Iterable, Mapping
from itertools import count

from streamer.events.counting_rules import DAY, HOUR, UNKNOWN
from streamer.events.models import AGENT_STATES, CONTACT_STATES
from streamer.journeys.journey import Key
from streamer.panes.agent_time import AWAY, AgentInterval, AgentProfile, TimeRows, cut_at_hours
from streamer.panes.live_index import LiveAgent, LiveContact, pack_agents, pack_contacts
from streamer.panes.live_statements import AgentStatement, ContactStatement
from streamer.panes.pane_keys import LIVE_AGENTS, LIVE_CONTACTS, PaneHour
from streamer.panes.rollup import Rollup
from tests.readings.small_center import NOW

_numbers = count()
_ROLLUP = Rollup((("queue", "channel"),))


def contact(state: str = "queued", age_s: float = 0, **fields: object) -> LiveContact:
    """Return a contact in this state since `age_s`; one that is served waited `waited_s` (10 s) before."""
    since = NOW - round(age_s * 1000)
    waited_s = fields.pop("waited_s", 10.0)
    is_waiting = state in ("queued", "offered")
    values = {
        "contact_id": f"c{next(_numbers)}",
        "segment_id": "",
        "source": "",
        "state": CONTACT_STATES.index(state),
        "since": since,
        "waiting_since": since if is_waiting else since - round(waited_s * 1000),  # type: ignore[call-overload]
        "connected_at": None if is_waiting else since,
        "queue": "billing",
        "team": None,
        "site": None,
        "agent_id": None,
        "channel": "voice",
        "reason": None,
        "language": None,
        "is_outbound": fields.pop("direction", "inbound") == "outbound",
        "priority": None,
    }
    return LiveContact(**(values | fields))  # type: ignore[arg-type]


def agent(agent_id: str, state: str = "available", age_s: float = 60, **fields: object) -> LiveAgent:
    """Return an agent in this state since `age_s`, who was heard of then."""
    since = NOW - round(age_s * 1000)
    values = {
        "agent_id": agent_id,
        "state": AGENT_STATES.index(state),
        "reason": None,
        "since": since,
        "open_from": since,
        "heard_at": since,
        "silence_ms": 12 * HOUR,
        "queues": ("billing",),
        "team": None,
        "site": None,
        "channels": (),
        "contact_id": None,
    }
    return LiveAgent(**(values | fields))  # type: ignore[arg-type]


def live_deltas(
    contacts: Iterable[LiveContact] = (),
    agents: Iterable[LiveAgent] = (),
    gone: Iterable[LiveContact | LiveAgent] = (),
    day: int = NOW // DAY,
) -> Mapping[PaneHour, bytes]:
    """Return the deltas of these contacts and agents, under keys made of their ids. `gone`: those who were
    there before; of all the states were sent on `day`."""
    contacts, agents, gone = [*contacts], [*agents], [*gone]
    of_contacts = [
        ContactStatement((c.site, c.queue, c.team, c.agent_id, c.channel, c.reason, c.language), day)
        for c in [*contacts, *(entry for entry in gone if isinstance(entry, LiveContact))]
    ]
    of_agents = [
        AgentStatement(
            AgentProfile(a.agent_id, a.team, a.site, a.queues, a.channels),
            (a.reason or UNKNOWN) if a.state == AWAY else None,
            day,
        )
        for a in [*agents, *(entry for entry in gone if isinstance(entry, LiveAgent))]
    ]
    return {
        LIVE_CONTACTS: pack_contacts(
            {_key("s", entry.contact_id): entry for entry in contacts},
            stated=_ROLLUP.contact_rows(of_contacts, 0),
        ),
        LIVE_AGENTS: pack_agents(
            {_key("a", entry.agent_id): entry for entry in agents}, stated=_ROLLUP.agent_rows(of_agents, 0)
        ),
    }


def gone_deltas(contacts: Iterable[LiveContact]) -> Mapping[PaneHour, bytes]:
    """Return the delta of contacts that have ended."""
    return {LIVE_CONTACTS: pack_contacts({_key("s", entry.contact_id): None for entry in contacts})}


def gone_agents(agents: Iterable[LiveAgent]) -> Mapping[PaneHour, bytes]:
    """Return the delta of agents who signed out."""
    return {LIVE_AGENTS: pack_agents({_key("a", entry.agent_id): None for entry in agents})}


def time_deltas(weighted: Iterable[tuple[AgentInterval, int]]) -> Mapping[PaneHour, bytes]:
    """Return the deltas of these intervals, each added (1) or taken back (-1)."""
    return {
        ("time", hour): TimeRows.from_intervals(hour, pieces).packed()
        for hour, pieces in cut_at_hours(weighted).items()
    }


def _key(letter: str, text: str) -> Key:
    return (letter + text).encode().ljust(13, b"\0")
