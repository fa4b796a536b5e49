"""Assemble a Genesys conversation: the stays in queues, and the agents who answered them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamer.events.adapters.fields import first_known, known_values
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent

ACD: Final = ("acd.start", "acd.end")
USER: Final = ("user.start", "user.end", "acw", "wrapup")
CUSTOMER: Final = ("customer.start", "customer.end")
_SAME_MOMENT_MS: Final = 2_000
"""Most ms between the events of two participants about the same moment."""


class _ParticipantLeg(NamedTuple):
    """One participant's leg of a conversation: in a queue, or an agent's. Times in ms, None if unknown."""

    id: str
    start_ms: int | None
    end_ms: int | None
    facts: Mapping[str, Any]

    @property
    def began_ms(self) -> int:
        return self.start_ms or self.end_ms or 0

    @property
    def over_ms(self) -> int:
        return self.end_ms or self.start_ms or 0


class _ConversationLegs(NamedTuple):
    fragments: Sequence[Fragment]
    queued: Sequence[_ParticipantLeg]
    agents: Sequence[_ParticipantLeg]


def assemble_conversation(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    conversation = _ConversationLegs(fragments, _legs(fragments, ACD), _legs(fragments, USER))
    agent_leg_by_queue_leg = _answering_agents(conversation)
    for queue_leg in conversation.queued:
        yield from _queue_leg_events(
            conversation, queue_leg, agent_leg_by_queue_leg.get(queue_leg.id), options
        )
    answering_participants = {agent_leg.facts["participant"] for agent_leg in agent_leg_by_queue_leg.values()}
    for agent_leg in conversation.agents:
        if (
            agent_leg.facts.get("direction") == "outbound"
            and agent_leg.end_ms is not None
            and "queue" in agent_leg.facts
        ):
            yield _outbound_event(
                conversation, agent_leg, agent_leg.facts["participant"] in answering_participants, options
            )


def _legs(fragments: Sequence[Fragment], kinds: Sequence[str]) -> list[_ParticipantLeg]:
    grouped: dict[str, list[Fragment]] = {}
    for fragment in fragments:
        if fragment.kind in kinds:
            leg_id = f"{fragment.contact}:{fragment.data['participant']}:{fragment.data['session']}"
            grouped.setdefault(leg_id, []).append(fragment)
    legs = [_leg(leg_id, leg_fragments, kinds) for leg_id, leg_fragments in grouped.items()]
    return sorted(legs, key=lambda leg: (leg.began_ms, leg.id))


def _leg(leg_id: str, fragments: Sequence[Fragment], kinds: Sequence[str]) -> _ParticipantLeg:
    return _ParticipantLeg(
        leg_id,
        min((fragment.at for fragment in fragments if fragment.kind == kinds[0]), default=None),
        max((fragment.at for fragment in fragments if fragment.kind == kinds[1]), default=None),
        {name: value for fragment in fragments for name, value in fragment.data.items()},
    )


def _answering_agents(conversation: _ConversationLegs) -> dict[str, _ParticipantLeg]:
    """Return the leg of the agent who answered, by the id of the queue's leg."""
    agent_leg_by_queue_leg: dict[str, _ParticipantLeg] = {}
    for agent_leg in conversation.agents:
        legs = [leg for leg in conversation.queued if _may_have_answered(leg, agent_leg)]
        if legs:
            leg = max(legs, key=lambda leg: (leg.began_ms, leg.id))
            agent_leg_by_queue_leg[leg.id] = _likelier(
                leg, agent_leg_by_queue_leg.get(leg.id, agent_leg), agent_leg
            )
    return agent_leg_by_queue_leg


def _likelier(
    queue_leg: _ParticipantLeg, current: _ParticipantLeg, candidate: _ParticipantLeg
) -> _ParticipantLeg:
    """Return the agent's leg that fits the queue's better: an agent who calls back has two."""

    def likelihood(agent_leg: _ParticipantLeg) -> tuple[bool, bool, int, str]:
        same = agent_leg.facts.get("channel") == queue_leg.facts.get("channel")
        return same, bool(agent_leg.facts.get("talk_s")), agent_leg.began_ms, agent_leg.id

    return max(current, candidate, key=likelihood)


def _may_have_answered(queue_leg: _ParticipantLeg, agent_leg: _ParticipantLeg) -> bool:
    answered_by = queue_leg.facts.get("answered_by")
    if queue_leg.facts.get("outcome", "answered") != "answered" or (
        answered_by is not None and answered_by != agent_leg.facts.get("user")
    ):
        return False
    if not _same_queue(queue_leg, agent_leg):
        return False
    in_time = queue_leg.end_ms is None or (
        _in_order(queue_leg.end_ms, agent_leg.end_ms) and _in_order(agent_leg.start_ms, queue_leg.end_ms)
    )
    return in_time and _in_order(queue_leg.start_ms, agent_leg.start_ms)


def _same_queue(queue_leg: _ParticipantLeg, agent_leg: _ParticipantLeg) -> bool:
    """Tell whether both legs belong to one queue and overlap.

    An agent's leg without a queue belongs to the queue that names the agent.
    """
    queue, answered_by = agent_leg.facts.get("queue"), queue_leg.facts.get("answered_by")
    same = queue == queue_leg.facts.get("queue") if queue is not None else answered_by is not None
    return same and _in_order(queue_leg.start_ms, agent_leg.end_ms)


def _in_order(earlier_ms: int | None, later_ms: int | None) -> bool:
    return earlier_ms is None or later_ms is None or earlier_ms <= later_ms + _SAME_MOMENT_MS


def _queue_leg_events(
    conversation: _ConversationLegs,
    queue_leg: _ParticipantLeg,
    agent_leg: _ParticipantLeg | None,
    options: Options,
) -> Iterator[OutgoingEvent]:
    outcome = _outcome(conversation, queue_leg, agent_leg)
    if outcome != "answered":
        agent_leg = None  # it rang there, and nobody answered
    ended_ms = _ended_ms(conversation, agent_leg) if outcome == "answered" else queue_leg.end_ms
    data = _common_data(conversation, queue_leg, agent_leg, options)
    if "queue" in queue_leg.facts and outcome is not None and ended_ms is not None:
        data |= _queue_times(queue_leg, ended_ms) | {"ended_at": ended_ms / 1000, "outcome": outcome}
        if agent_leg is not None and "TRANSFER" in agent_leg.facts.get("disconnect", "").upper():
            data["transfer"] = _transfer_target(conversation, queue_leg, agent_leg)
        yield OutgoingEvent("call-completed", data)
    elif ends := [
        other.end_ms for other in conversation.agents if other.end_ms and _same_queue(queue_leg, other)
    ]:
        # from fewer events, one of these agents may have been published as the one who answered
        yield _retraction(data | {"ended_at": max(ends) / 1000})


def _retraction(data: Mapping[str, Any]) -> OutgoingEvent:
    names = ("contact_id", "segment_id", "customer_id", "ended_at")
    return OutgoingEvent(
        "call-completed", {name: data[name] for name in names if name in data} | {"deleted": True}
    )


def _outcome(
    conversation: _ConversationLegs, queue_leg: _ParticipantLeg, agent_leg: _ParticipantLeg | None
) -> str | None:
    """Return the outcome, or None if not known yet.

    A known outcome never becomes unknown again: the published event would stand uncorrected.
    """
    stated_outcome: str | None = queue_leg.facts.get("outcome")
    if (
        stated_outcome == "answered"
        or "answered_by" in queue_leg.facts
        or (agent_leg and agent_leg.facts.get("talk_s"))
    ):
        return "answered"
    if queue_leg.end_ms is None:
        return None
    later_legs = [
        other
        for other in conversation.queued
        if other.id != queue_leg.id and _in_order(queue_leg.end_ms, other.began_ms)
    ]
    if any(other.facts.get("channel") == "callback" for other in later_legs):
        return "callback"
    if stated_outcome is not None or "TRANSFER" not in queue_leg.facts.get("disconnect", "").upper():
        return stated_outcome or "abandoned"
    return "overflow" if later_legs else None  # a contact also leaves the queue for an agent by a transfer


def _ended_ms(conversation: _ConversationLegs, agent_leg: _ParticipantLeg | None) -> int | None:
    if agent_leg is not None and agent_leg.end_ms is not None:
        after_call_s: float = agent_leg.facts.get("acw_s", 0)
        return agent_leg.end_ms + round(after_call_s * 1000)
    ends = [fragment.at for fragment in conversation.fragments if fragment.kind == "customer.end"]
    return max(ends, default=None)


def _queue_times(queue_leg: _ParticipantLeg, ended_ms: int) -> dict[str, Any]:
    times: dict[str, Any] = {}
    if queue_leg.start_ms is not None and queue_leg.start_ms <= ended_ms:
        times["queued_at"] = queue_leg.start_ms / 1000
    if queue_leg.facts.get("channel") == "callback":
        return times  # nobody waited on the line
    if (
        queue_leg.start_ms is not None
        and queue_leg.end_ms is not None
        and queue_leg.end_ms >= queue_leg.start_ms
    ):
        return times | {"wait_s": (queue_leg.end_ms - queue_leg.start_ms) / 1000}
    return times | ({"wait_s": queue_leg.facts["waited_s"]} if "waited_s" in queue_leg.facts else {})


def _transfer_target(
    conversation: _ConversationLegs, queue_leg: _ParticipantLeg, agent_leg: _ParticipantLeg
) -> str:
    """Return the transfer's target: whoever joined the conversation after the agent, or external."""
    if any(other.id != queue_leg.id and other.began_ms > queue_leg.over_ms for other in conversation.queued):
        return "queue"
    others = [
        other for other in conversation.agents if other.facts["participant"] != agent_leg.facts["participant"]
    ]
    return "agent" if any(other.began_ms > queue_leg.over_ms for other in others) else "external"


def _common_data(
    conversation: _ConversationLegs,
    queue_leg: _ParticipantLeg,
    agent_leg: _ParticipantLeg | None,
    options: Options,
) -> dict[str, Any]:
    """Return the fields of a segment from either leg."""
    agent_facts, queue_facts = (agent_leg.facts if agent_leg else {}), queue_leg.facts
    customers = [
        fragment.data.get("customer_id") for fragment in conversation.fragments if fragment.kind in CUSTOMER
    ]
    values = {
        "contact_id": conversation.fragments[0].contact,
        "segment_id": queue_leg.id,
        "customer_id": first_known(
            [*customers, queue_facts.get("customer_id"), agent_facts.get("customer_id")]
        ),
        "agent_id": first_known([agent_facts.get("user"), queue_facts.get("answered_by")]),
        "team": first_known([agent_facts.get("team"), queue_facts.get("team")]),
        "reason": agent_facts.get("wrapup") if options.get("wrapup_is_reason") is True else None,
        **{name: queue_facts.get(name) for name in ("queue", "channel", "direction")},
        **{name: agent_facts.get(name) for name in ("talk_s", "hold_s", "acw_s")},
    }
    return known_values(values)


def _outbound_event(
    conversation: _ConversationLegs, agent_leg: _ParticipantLeg, answered_queue: bool, options: Options
) -> OutgoingEvent:
    """Return the event of a call that an agent made for a queue.

    If it turns out to belong to a queued customer (a dialler's call, a callback), it is deleted: it may have
    been published before that was known.
    """
    ended_ms = _ended_ms(conversation, agent_leg)
    assert ended_ms is not None
    data = _common_data(conversation, agent_leg, agent_leg, options) | {"ended_at": ended_ms / 1000}
    if answered_queue:
        return _retraction(data)
    return OutgoingEvent(
        "call-completed", data | {"outcome": "answered" if data.get("talk_s") else "timeout"}
    )
