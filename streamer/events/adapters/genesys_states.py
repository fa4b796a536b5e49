"""States of the stays of a Genesys conversation in queues, as its events come."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters.fields import FieldReader, read_flag, read_instant_ms, read_text
from streamer.events.adapters.genesys_agents import participant_slot
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent
from streamer.events.adapters.timelines import agent_contact_fragment, contact_state_event, walk_states

_HELD, _TALKS, _WRAPS, _WRAPPED = "agent.held", "agent.talks", "agent.wraps", "agent.wrapped"
_STEPS: Final = (
    "acd.start",
    "user.start",
    "acd.end",
    _TALKS,
    _HELD,
    "user.end",
    _WRAPS,
    "acw",
    _WRAPPED,
    "customer.end",
)
"""Events in the order in which they follow each other, where two have the same time."""
_AGENT_STATES: Final = {_HELD: "held", _TALKS: "busy", _WRAPS: "wrap_up", _WRAPPED: None}
_COPIED_FIELDS: Final = ("state", "queue", "channel", "direction", "agent_id", "team")


def is_conversations_topic(topic: str) -> bool:
    """Tell whether a topic is v2.routing.queues.{id}.conversations.calls, or of another medium."""
    return topic.startswith("v2.routing.queues.") and ".conversations." in topic


def participant_fragments(body: Mapping[str, Any], sent_ms: int | None) -> Iterator[Fragment]:
    """Yield what a snapshot of a conversation says of the agents in it: talking, holding, wrapping up.

    Without a time of its own it is passed over: nothing else says when a hold is over.
    """
    conversation = read_text("id", body.get("id"))
    participants = body.get("participants")
    if sent_ms is None or conversation is None or not isinstance(participants, list):
        return
    for participant in participants:
        user = FieldReader(read_text, "userId", "user.id")(participant)
        if user is None or not isinstance(participant, Mapping):
            continue
        data = {"participant": read_text("participants.id", participant.get("id")) or "", "user": user}
        for kind, at_ms in _participant_moments(participant, sent_ms):
            yield Fragment(conversation, kind, at_ms, data)
            yield agent_contact_fragment(
                user,
                participant_slot(conversation, data["participant"]),
                at_ms,
                _AGENT_STATES[kind],
                step=_STEPS.index(kind),
                conversation=conversation,
            )


def _participant_moments(participant: Mapping[str, Any], sent_ms: int) -> Iterator[tuple[str, int]]:
    def ms(name: str) -> int | None:
        return read_instant_ms(f"participants.{name}", participant.get(name))

    held, is_held = ms("startHoldTime"), read_flag("participants.held", participant.get("held"))
    if is_held and held is not None:
        yield _HELD, held
    elif str(participant.get("state")).lower() == "connected" and not is_held:
        yield _TALKS, sent_ms
    if (wraps := ms("startAcwTime")) is not None:
        yield _WRAPS, wraps
    if (wrapped := ms("endAcwTime")) is not None:
        yield _WRAPPED, wrapped


class _ConversationWalk:
    """The stays of a conversation in queues as its events come, one after another."""

    def __init__(self, conversation: str) -> None:
        self._conversation = conversation
        self.stays: dict[str, dict[str, Any]] = {}
        self._stay_by_participant: dict[str, str] = {}

    def take(self, fragment: Fragment) -> None:
        kind, data = fragment.kind, fragment.data
        if kind in ("acd.start", "acd.end"):
            self._take_queue_event(fragment)
        elif kind == "user.start":
            self._ring(data)
        elif kind == "customer.end":
            for stay in self.stays.values():
                if stay["state"] in ("queued", "offered"):
                    stay["state"] = "ended"
        elif (own := self._stay_of(data)) is not None:
            self._take_agent_event(kind, own, data)

    def _take_queue_event(self, fragment: Fragment) -> None:
        data = fragment.data
        if "queue" not in data:
            return
        stay_id = f"{self._conversation}:{data['participant']}:{data['session']}"
        stay = self.stays.setdefault(
            stay_id, {"state": "queued", "queued_ms": None, "offers": {}, "rang": {}}
        )
        if stay["state"] in ("connected", "held", "wrap_up", "ended"):
            return
        stay.update({name: data[name] for name in ("queue", "channel", "direction", "team") if name in data})
        if fragment.kind == "acd.start":
            stay["queued_ms"] = fragment.at if stay["queued_ms"] is None else stay["queued_ms"]
            return
        user = data.get("answered_by") or next(reversed(stay["offers"].values()), None)
        moved = "TRANSFER" in data.get("disconnect", "").upper() and user is not None
        if data.get("outcome") == "answered" or "answered_by" in data or ("outcome" not in data and moved):
            stay.update({"state": "connected", "agent_id": user, "offers": {}})
            stay["team"] = stay["rang"].get(user, stay.get("team"))
        else:
            stay["state"] = "ended"

    def _ring(self, data: Mapping[str, Any]) -> None:
        """Offer the stay that waits in the agent's queue, or note whose leg it is that has answered it."""
        waiting = [
            (stay_id, stay)
            for stay_id, stay in self.stays.items()
            if stay.get("queue") == data.get("queue") and stay["state"] in ("queued", "offered")
        ]
        answered = [
            (stay_id, stay)
            for stay_id, stay in self.stays.items()
            if stay.get("agent_id") == data.get("user") and stay["state"] == "connected"
        ]
        for stay_id, stay in (answered or waiting)[-1:]:
            self._stay_by_participant[data["participant"]] = stay_id
            if stay["state"] != "connected":
                stay["offers"][data["participant"]] = data.get("user")
                stay["rang"][data.get("user")] = data.get("team")
                stay.update({"state": "offered", "agent_id": data.get("user")})

    def _stay_of(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        stay = self.stays.get(self._stay_by_participant.get(data["participant"], ""))
        if stay is None:
            own = [one for one in self.stays.values() if one.get("agent_id") == data.get("user")]
            stay = own[-1] if own and "user" in data else None
        return stay

    def _take_agent_event(self, kind: str, stay: dict[str, Any], data: Mapping[str, Any]) -> None:
        if kind == "user.end" and stay["state"] == "offered":
            stay["offers"].pop(data["participant"], None)
            if not stay["offers"]:
                stay.update({"state": "queued", "agent_id": None})
        if stay["state"] not in ("connected", "held", "wrap_up") or not self._is_agents(stay, data):
            return
        if kind in ("user.end", _WRAPS):
            stay["state"] = "wrap_up"
        elif kind in ("acw", _WRAPPED):
            stay["state"] = "ended"
        elif kind in (_HELD, _TALKS) and stay["state"] != "wrap_up":
            stay["state"] = "held" if kind == _HELD else "connected"

    def _is_agents(self, stay: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
        """Tell whether a leg is that of the agent who has answered; acw does not name its user."""
        return data.get("user") in (None, stay.get("agent_id"))

    def states(self, at_ms: int) -> Iterator[OutgoingEvent]:
        for stay_id, stay in self.stays.items():
            yield contact_state_event(
                at_ms,
                stay["queued_ms"],
                contact_id=self._conversation,
                segment_id=stay_id,
                **{name: stay.get(name) for name in _COPIED_FIELDS},
            )


def conversation_states(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    return walk_states(_ConversationWalk(fragments[0].contact), fragments, _STEPS)
