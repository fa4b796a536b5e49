"""Read Zendesk's webhooks of agents' availability: the unified status, and that of each channel."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import FieldReader, payload_error, read_instant_ms, read_text
from streamer.events.adapters.source import Fragment, Options
from streamer.events.adapters.timelines import AgentMoment, agent_fragment

EVENT_TYPE: Final = "zen:event-type:"
_AGENT: Final = f"{EVENT_TYPE}agent."
_UNIFIED, _BY_CHANNEL = f"{_AGENT}unified_state_changed", f"{_AGENT}state_changed"
EVENT_NAMES: Final[Mapping[str, str]] = {
    "(survey response)": "survey-completed: objects of the API have no event name",
    _UNIFIED: "agent-state",
    _BY_CHANNEL: "agent-state, of who has no unified state",
    f"{_AGENT}work_item_added": "not read: what is assigned is not what is worked on",
    f"{_AGENT}work_item_updated": "not read: what is assigned is not what is worked on",
    f"{_AGENT}work_item_removed": "not read: what is assigned is not what is worked on",
    f"{_AGENT}max_capacity_changed": "not read: how much a channel takes is no state",
    f"{_AGENT}channel_created": "not read: state_changed follows",
    f"{_AGENT}channel_deleted": "not read: state_changed comes before",
    f"{_AGENT}groups_updated": "not read: what an agent may do is no state",
    f"{EVENT_TYPE}…": "not read: tickets, users, organizations, articles and others are no states of agents",
}
_CHANNELS: Final = {
    "support": "email",
    "messaging": "message",
    "chat": "chat",
    "talk": "voice",
    "voice": "voice",
    "email": "email",
}
_STATES: Final = {"online": "available", "offline": "offline"}
_CHANNEL_SLOT: Final = "channel "
_AGENT_ID: Final = FieldReader(read_text, "detail.agent_id")
_STATE: Final = FieldReader(
    read_text, "event.new_unified_state", "event.new_state", "event.new_unified_status"
)
_CHANNEL: Final = FieldReader(read_text, "event.channel")
_TIME: Final = FieldReader(read_instant_ms, "event.updated_at", "time")


def read_availability_event(kind: str, payload: Mapping[str, Any], options: Options) -> Iterator[Fragment]:
    """Yield what an event of an agent's availability says; nothing of any other one."""
    if kind not in (_UNIFIED, _BY_CHANNEL):
        return
    agent_id, state, at_ms = _AGENT_ID(payload), _STATE(payload), _TIME(payload)
    if agent_id is None:
        raise payload_error("missing", "detail.agent_id", None, "the agent's id")
    if state is None:
        raise payload_error("missing", "event.new_state", None, "the agent's state")
    if at_ms is None:
        raise payload_error("no-time", "event.updated_at", None, "since when it is so")
    if kind == _UNIFIED:
        yield agent_fragment(agent_id, "unified", at_ms, name=state.lower())
    elif (channel := _CHANNEL(payload)) is not None:
        yield agent_fragment(agent_id, f"{_CHANNEL_SLOT}{channel.lower()}", at_ms, name=state.lower())


def availability_state(moment: AgentMoment, options: Options) -> Mapping[str, Any]:
    """Return the unified state, else the best of the channels'."""
    by_channel = {name: str(fragment.data["name"]) for name, fragment in moment.named(_CHANNEL_SLOT)}
    online = {_CHANNELS.get(name, "other") for name, state in by_channel.items() if state == "online"}
    name = moment.data("unified").get("name")
    if name is None:
        away = sorted(state for state in by_channel.values() if state not in _STATES)
        name = "online" if online else next(iter(away), "offline")
    state = _STATES.get(name, "away")
    return {
        "state": state,
        "reason": name if state == "away" else None,
        "channels": sorted(online) if state == "available" and online else None,
    }
