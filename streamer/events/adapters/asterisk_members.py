"""States of members of Asterisk's queues, from manager events: one report per queue, one state per agent."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters.fields import (
    FieldReader,
    read_epoch_s,
    read_flag,
    read_number,
    read_seconds,
    read_text,
    require_fields,
)
from streamer.events.adapters.source import Fragment, Options
from streamer.events.adapters.timelines import (
    CONTACT_SLOT,
    RESTART,
    AgentMoment,
    agent_contact_fragment,
    agent_fragment,
    expected_fragment,
)
from streamer.events.counting_rules import HOUR, MINUTE

MEMBER_EVENTS: Final = frozenset(
    {
        "QueueMemberAdded",
        "QueueMemberPause",
        "QueueMemberPenalty",
        "QueueMemberRemoved",
        "QueueMemberRinginuse",
        "QueueMemberStatus",
        "QueueMember",
    }
)
"""Events that report a member of one queue; they share their fields. QueueMember is of a snapshot."""
OFFER: Final = "AgentCalled"
_STATES_OF_CONTACT: Final[Mapping[str, str | None]] = {
    OFFER: "offered",
    "AgentRingNoAnswer": None,
    "AgentConnect": "busy",
    "AgentComplete": None,
    "AgentDump": None,
}
_IN_USE: Final = frozenset({2, 3, 7})
_RINGING: Final = frozenset({6, 7})
_AT_REST: Final = frozenset({1, 4, 5})
_ON_HOLD: Final = 8
_UNREACHABLE: Final = frozenset({4, 5})
_LONGEST_CONTACT_MS: Final = 12 * HOUR
_LONGEST_WRAP_UP_MS: Final = HOUR - 5 * MINUTE
"""A longer wrap-up is ignored: its end could not be foretold, and the agent would never be free."""
_QUEUE: Final = "queue "
_RUNG: Final = "rung by "
_REST: Final = "phone at rest"
_TAKEN: Final = "phone not ringing"
"""Slots that say when the phone was last at rest, so in no call, and when in use, so not only ringing."""
_FIELDS: Final[Mapping[str, FieldReader]] = {
    "agent_id": FieldReader(read_text, "Interface", "Location"),
    "queue": FieldReader(read_text, "Queue"),
    "phone": FieldReader(read_text, "StateInterface", "Interface", "Location"),
    "status": FieldReader(read_number, "Status"),
    "last_call_s": FieldReader(read_epoch_s, "LastCall"),
    "wrap_up_s": FieldReader(read_seconds, "Wrapuptime"),
}


def read_member_report(event: str, payload: Any, at_ms: int, options: Options) -> Iterator[Fragment]:
    """Yield what a report says of the agent: the place in one queue, the phone, and when wrap-up will end."""
    values = {name: field(payload) for name, field in _FIELDS.items()}
    agent_id, queue = values["agent_id"], values["queue"]
    require_fields({"Interface": agent_id, "Queue": queue}, "Interface", "Queue")
    wrap_up_ms = _wrap_up_end_ms(values, queue, options)
    is_paused = _read_paused(payload)
    yield agent_fragment(
        agent_id,
        f"{_QUEUE}{queue}",
        at_ms,
        serves=event != "QueueMemberRemoved",
        paused=is_paused,
        reason=read_text("PausedReason", payload.get("PausedReason")) if is_paused else None,
        wrap_up_ms=wrap_up_ms if wrap_up_ms and at_ms < wrap_up_ms <= at_ms + _LONGEST_WRAP_UP_MS else None,
    )
    if values["status"] is not None and not values["phone"].lower().startswith("local/"):
        status = int(values["status"])
        yield agent_fragment(agent_id, "phone", at_ms, status=status)
        if status in _AT_REST:
            yield agent_fragment(agent_id, _REST, at_ms)
        elif status not in _RINGING:
            yield agent_fragment(agent_id, _TAKEN, at_ms)
    if wrap_up_ms and at_ms < wrap_up_ms <= at_ms + _LONGEST_WRAP_UP_MS:
        yield expected_fragment(agent_id, "wrap_up", wrap_up_ms)


def _read_paused(payload: Any) -> bool:
    words = {"0": False, "1": True}
    value = payload.get("Paused")
    return bool(words[str(value)] if str(value) in words else read_flag("Paused", value))


def _wrap_up_end_ms(values: Mapping[str, Any], queue: str, options: Options) -> int | None:
    """Return when the wrap-up of the last call ends, by the member's time, else the queue's."""
    wrap_up_s = values["wrap_up_s"] or read_seconds(
        f"wrap_up_s.{queue}", options["wrap_up_s"].get(queue, options["wrap_up_s"].get("*"))
    )
    if not wrap_up_s or values["last_call_s"] is None:
        return None
    end_s: float = values["last_call_s"] + wrap_up_s
    return round(end_s * 1000)


def read_agent_contact(event: str, contact: str, data: Mapping[str, Any], at_ms: int) -> Iterator[Fragment]:
    """Yield what an event of a call in a queue says of its agent."""
    if event not in _STATES_OF_CONTACT or (agent_id := data.get("agent_id")) is None:
        return
    yield agent_contact_fragment(agent_id, contact, at_ms, _STATES_OF_CONTACT[event])
    if event == OFFER and data.get("queue"):
        yield agent_fragment(agent_id, f"{_RUNG}{data['queue']}", at_ms)


def member_state(moment: AgentMoment, options: Options) -> Mapping[str, Any] | None:
    """Return an agent's state: of the contact in hand, else of the phone, else of the places in queues."""
    queues = _queues_served(moment)
    contact_state, contact_id = _contact_in_hand(moment)
    is_known = any(moment.named(_QUEUE)) or any(moment.named(_RUNG))
    if contact_state is None and not is_known:
        return None
    phone = moment.data("phone").get("status")
    state, reason = contact_state, None
    if phone in _UNREACHABLE and contact_state in (None, "offered"):
        state = "offline"
    elif contact_state == "busy":
        state = "held" if phone == _ON_HOLD else "busy"
    elif not queues:
        state = "offline"
    elif phone in _IN_USE:
        state = "busy"
    elif phone == _ON_HOLD:
        state = "held"
    elif phone in _RINGING or contact_state == "offered":
        state = "offered"
    else:
        state, reason = _waiting_state(moment, queues)
    free_queues = [queue for queue in queues if not _is_paused(moment, queue)]
    return {
        "state": state,
        "reason": reason,
        "contact_id": contact_id if state in ("offered", "busy", "held") else None,
        "queues": sorted(free_queues or queues),
        "heart_beat_s": options["heart_beat_s"] or None,
    }


def _queues_served(moment: AgentMoment) -> list[str]:
    """Return the queues that the agent is a member of: those that report it, or have rung it unreported."""
    reported = {queue: fragment.data["serves"] for queue, fragment in moment.named(_QUEUE)}
    rung = {queue: True for queue, _ in moment.named(_RUNG)}
    return [queue for queue, serves in (rung | reported).items() if serves]


def _contact_in_hand(moment: AgentMoment) -> tuple[str | None, str | None]:
    """Return the state of the latest contact in hand, and its id. What the phone said since is truer: at rest
    it is in no call, in use it no longer rings."""
    rest_ms = max(moment.last_ms(_REST), moment.last_ms(RESTART))
    not_ringing_ms = max(rest_ms, moment.last_ms(_TAKEN))
    contacts = [
        (fragment.data["state"], -fragment.at, contact_id)
        for contact_id, fragment in moment.named(CONTACT_SLOT)
        if fragment.data.get("state") is not None
        and moment.at_ms - fragment.at < _LONGEST_CONTACT_MS
        and fragment.at >= (not_ringing_ms if fragment.data["state"] == "offered" else rest_ms)
    ]
    state, _, contact_id = min(contacts, default=(None, 0, None))  # "busy" before "offered"
    return state, contact_id


def _is_paused(moment: AgentMoment, queue: str) -> bool:
    return moment.data(f"{_QUEUE}{queue}").get("paused", False) is True


def _waiting_state(moment: AgentMoment, queues: list[str]) -> tuple[str, str | None]:
    """Return the state of an agent without a contact: available if one of the queues may ring now."""
    places = [moment.slots[f"{_QUEUE}{queue}"] for queue in queues if f"{_QUEUE}{queue}" in moment.slots]
    unpaused = [place for place in places if not place.data["paused"]]
    if len(places) < len(queues) or any(
        place.data.get("wrap_up_ms", 0) <= moment.at_ms for place in unpaused
    ):
        return "available", None
    if unpaused:
        return "wrap_up", None
    latest = max(places, key=lambda place: (place.at, place.data.get("reason") or ""))
    return "away", latest.data.get("reason")
