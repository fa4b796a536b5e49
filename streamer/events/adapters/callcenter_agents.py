"""States of agents of FreeSWITCH's mod_callcenter, by their status, their work and their calls."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import FieldReader, read_number, read_seconds, read_text, require_fields
from streamer.events.adapters.source import Fragment, Options
from streamer.events.adapters.timelines import (
    AGENT,
    CONTACT_SLOT,
    AgentMoment,
    agent_contact_fragment,
    agent_fragment,
)
from streamer.events.counting_rules import HOUR, MINUTE

AGENT_ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "agent-status-change": ("status", "CC-Agent-Status"),
    "agent-state-change": ("state", "CC-Agent-State"),
}
"""Slot and field of what is reported of an agent alone."""
_STATES_OF_CONTACT: Final[Mapping[str, str | None]] = {
    "agent-offering": "offered",
    "bridge-agent-fail": None,
    "bridge-agent-start": "busy",
    "bridge-agent-end": None,
}
_AGENT_ID: Final = FieldReader(read_text, "CC-Agent")
_SEQUENCE: Final = FieldReader(read_number, "Event-Sequence")
_IDLE: Final = frozenset({"waiting", "idle"})
_REST: Final = "at rest"
"""Slot that says when the agent last was in no call."""
_LONGEST_CONTACT_MS: Final = 12 * HOUR
_LONGEST_WRAP_UP_MS: Final = HOUR - 5 * MINUTE
"""A longer wrap-up is ignored: its end could not be foretold, and the agent would never be free."""


def read_agent_action(action: str, payload: Any, at_ms: int) -> Iterator[Fragment]:
    slot, path = AGENT_ACTIONS[action]
    agent_id, word = _AGENT_ID(payload), read_text(path, payload.get(path))
    require_fields({"CC-Agent": agent_id, path: word}, "CC-Agent", path)
    assert word is not None
    step = int(_SEQUENCE(payload) or 0)
    yield agent_fragment(agent_id, slot, at_ms, step=step, word=word.lower())
    if slot == "state" and word.lower() in _IDLE:
        yield agent_fragment(agent_id, _REST, at_ms, step=step)


def read_agent_member(
    action: str, contact: str, data: Mapping[str, Any], at_ms: int, options: Options
) -> Iterator[Fragment]:
    """Yield what an event of a caller says of the agent: offered, busy, or no longer; and of wrap-up."""
    if action not in _STATES_OF_CONTACT or (agent_id := data.get("agent_id")) is None:
        return
    step, wrap_up_ms = int(data.get("sequence", 0)), _wrap_up_ms(agent_id, options)
    has_talked = action == "bridge-agent-end" and data.get("bridged") is not False
    if has_talked and 0 < wrap_up_ms <= _LONGEST_WRAP_UP_MS:
        yield agent_contact_fragment(agent_id, contact, at_ms, "wrap_up", step=step)
        yield agent_contact_fragment(agent_id, contact, at_ms + wrap_up_ms, None, step=step, expected=True)
    else:
        yield agent_contact_fragment(agent_id, contact, at_ms, _STATES_OF_CONTACT[action], step=step)


def _wrap_up_ms(agent_id: str, options: Options) -> int:
    times_s = options["wrap_up_s"]
    return round((read_seconds("wrap_up_s", times_s.get(agent_id, times_s.get("*"))) or 0) * 1000)


def callcenter_agent_state(moment: AgentMoment, options: Options) -> Mapping[str, Any] | None:
    """Return an agent's state: available is who has an Available status and waits for calls."""
    status, work = moment.data("status").get("word"), moment.data("state").get("word", "waiting")
    contact_state, contact_id = _contact_in_hand(moment)
    if status is None and contact_state is None and work in _IDLE and not any(moment.named(CONTACT_SLOT)):
        return None
    reason = None
    if contact_state == "busy" or work == "in a queue call":
        state = "busy"
    elif status == "logged out":
        state = "offline"
    elif status == "on break":
        state = "away"
    elif contact_state == "offered" or work in ("receiving", "reserved"):
        state = "offered"
    elif contact_state == "wrap_up" or (work == "idle" and status == "available (on demand)"):
        state = "wrap_up"
    elif work == "idle":
        state, reason = "away", "Idle"
    else:
        state = "available"
    agent_id = next(iter(moment.slots.values())).contact.removeprefix(AGENT)
    return {
        "state": state,
        "reason": reason,
        "contact_id": contact_id if contact_state == state else None,
        "queues": options["tiers"].get(agent_id),
    }


def _contact_in_hand(moment: AgentMoment) -> tuple[str | None, str | None]:
    """Return the state of the contact in hand and its id. An agent who was at rest since has none."""
    rest_ms = moment.last_ms(_REST)
    contacts = [
        (fragment.data["state"], -fragment.at, contact_id)
        for contact_id, fragment in moment.named(CONTACT_SLOT)
        if fragment.data.get("state") is not None
        and moment.at_ms - fragment.at < _LONGEST_CONTACT_MS
        and (fragment.at >= rest_ms or fragment.data["state"] == "wrap_up")
    ]
    state, _, contact_id = min(contacts, default=(None, 0, None))  # busy before offered before wrap_up
    return state, contact_id
