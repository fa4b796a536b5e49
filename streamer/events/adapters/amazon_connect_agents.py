"""Read Amazon Connect's agent event stream: what an agent does, from snapshots of status and contacts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import (
    FieldReader,
    choice_reader,
    payload_error,
    read_instant_ms,
    read_number,
    read_text,
    require_fields,
    value_at,
)
from streamer.events.adapters.source import Fragment, Options
from streamer.events.adapters.timelines import AgentMoment, agent_fragment
from streamer.events.counting_rules import HOUR, MINUTE

CHANNELS: Final = {"voice": "voice", "chat": "chat", "task": "task", "email": "email"}
EVENT_NAMES: Final[Mapping[str, str]] = {
    "LOGIN": "agent-state: the snapshot, from EventTimestamp on",
    "STATE_CHANGE": "agent-state: the snapshot, from EventTimestamp on",
    "HEART_BEAT": "agent-state: still so at EventTimestamp; for an hour after LOGOUT it signs nobody in",
    "LOGOUT": "agent-state offline, whatever the snapshot's status is",
}
_HEART_BEAT_S: Final = 120
_AFTER_LOGOUT_MS: Final = HOUR + 5 * MINUTE
"""How long heart beats may follow a log-off: an hour, and some beats more."""
_CONTACT_STATES: Final = {
    "connected": "busy",
    "connected_onhold": "held",
    "paused": "held",
    "connecting": "offered",
    "incoming": "offered",
    "pending": "offered",
    "ended": "wrap_up",
    "missed": "missed",
    "rejected": "rejected",
    "error": "error",
    "initial": "",
}
_HANDLING: Final = ("busy", "held", "offered", "wrap_up")
"""What an agent with several contacts does: the first of these that fits one of them."""
_UNANSWERED: Final = ("missed", "rejected", "error")
_STATUS_TYPES: Final = {"routable": "available", "custom": "away", "offline": "offline"}


def is_agent_event(payload: Mapping[str, Any]) -> bool:
    """Tell whether a payload is one of the agent event stream."""
    return "AgentARN" in payload and "EventType" in payload


def read_agent_event(payload: Any, options: Options, name: str) -> Iterator[Fragment]:
    """Yield what an event says of its agent. Queues and teams are known by `name`: Name or ARN.

    Where agents are known by name, their id is the user name.
    """
    kind = read_text("EventType", payload.get("EventType"))
    if kind not in EVENT_NAMES:
        return
    by_name = ("CurrentAgentSnapshot.Configuration.Username",) if name == "Name" else ()
    agent_id = FieldReader(read_text, *by_name, "AgentARN")(payload)
    at_ms = read_instant_ms("EventTimestamp", payload.get("EventTimestamp"))
    require_fields({"AgentARN": agent_id, "EventTimestamp": at_ms}, "AgentARN", "EventTimestamp")
    assert at_ms is not None
    agent_id = name_of(str(agent_id), options)
    if kind in ("LOGIN", "LOGOUT"):
        yield agent_fragment(agent_id, "sign", at_ms, is_in=kind == "LOGIN")
    if kind != "LOGOUT":
        snapshot = payload.get("CurrentAgentSnapshot")
        if not isinstance(snapshot, Mapping):
            raise payload_error("wrong-type", "CurrentAgentSnapshot", snapshot, "an object")
        profile = _routing_profile(snapshot, name, options)
        yield agent_fragment(agent_id, "snapshot", at_ms, **_doing(snapshot), **profile)


def _doing(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state that a snapshot shows, why away, and the contact."""
    state, reason = _status(snapshot)
    contacts = [(_contact_state(contact), contact) for contact in _objects(snapshot, "Contacts")]
    for handling in _HANDLING:
        for contact_state, contact in contacts:
            if contact_state == handling and (handling, state) != ("wrap_up", "offline"):
                contact_id = FieldReader(read_text, "InitialContactId", "ContactId")(contact)
                return {"state": handling, "contact_id": contact_id}
    unanswered = [contact_state for contact_state, _ in contacts if contact_state in _UNANSWERED]
    if unanswered and state == "available":
        return {"state": "away", "reason": min(unanswered)}
    next_status = read_text("NextAgentStatus.Name", value_at(snapshot, "NextAgentStatus.Name"))
    if next_status is not None and state == "available":
        return {"state": "away", "reason": next_status}
    return {"state": state, "reason": reason}


def _contact_state(contact: Mapping[str, Any]) -> str:
    return choice_reader(_CONTACT_STATES)("Contacts.State", contact.get("State")) or ""


def _status(snapshot: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return state and reason by the status alone; one without a type is known by its name."""
    name = read_text("AgentStatus.Name", value_at(snapshot, "AgentStatus.Name"))
    kind = choice_reader(_STATUS_TYPES)("AgentStatus.Type", value_at(snapshot, "AgentStatus.Type"))
    if kind is None:
        if name is None:
            raise payload_error("missing", "AgentStatus.Name", None, "the agent's status")
        kind = {"available": "available", "offline": "offline"}.get(name.lower(), "away")
    return kind, name if kind == "away" else None


def name_of(arn: str, options: Options) -> str:
    """Return the name that the option `names` gives to an ARN; without one the ARN itself."""
    names = options.get("names")
    name = names.get(arn) if isinstance(names, Mapping) else None
    return name if isinstance(name, str) and name.strip() else arn


def _routing_profile(snapshot: Mapping[str, Any], name: str, options: Options) -> dict[str, Any]:
    """Return the queues and channels of the routing profile, and the team. Queues without a name are the
    agents' own."""
    profile = value_at(snapshot, "Configuration.RoutingProfile")
    if not isinstance(profile, Mapping):
        return {"team": _team(snapshot, name, options)}
    queues = [
        read_text(f"InboundQueues.{name}", queue.get(name))
        for queue in _objects(profile, "InboundQueues")
        if queue.get("Name") is not None
    ]
    channels = [
        CHANNELS.get((read_text("Concurrency.Channel", place.get("Channel")) or "").lower())
        for place in _objects(profile, "Concurrency")
        if read_number("Concurrency.MaximumSlots", place.get("MaximumSlots")) != 0
    ]
    return {
        "queues": _known(queues, options) if "InboundQueues" in profile else None,
        "channels": _known(channels, options) or None,
        "team": _team(snapshot, name, options),
    }


def _known(names: Iterable[str | None], options: Options) -> list[str]:
    return sorted({name_of(name, options) for name in names if name is not None})


def _team(snapshot: Mapping[str, Any], name: str, options: Options) -> str | None:
    """Return the deepest group of the hierarchy."""
    groups = value_at(snapshot, "Configuration.AgentHierarchyGroups")
    levels = (f"Level{level}.{name}" for level in range(5, 0, -1))
    team: str | None = FieldReader(read_text, *levels)(groups)
    return None if team is None else name_of(team, options)


def _objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; none where it is absent or null."""
    values = body.get(name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise payload_error("wrong-type", name, values, "an array of objects")
    return values


def agent_state(moment: AgentMoment, options: Options) -> Mapping[str, Any] | None:
    """Return the state by the last snapshot; who has logged off is offline, whatever heart beats say."""
    sign = moment.slots.get("sign")
    if sign is not None and not sign.data["is_in"] and moment.at_ms - sign.at <= _AFTER_LOGOUT_MS:
        return {"state": "offline"}
    snapshot = moment.data("snapshot")
    return {**snapshot, "heart_beat_s": _HEART_BEAT_S} if snapshot else None
