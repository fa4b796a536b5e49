"""Read what Genesys Cloud says of users: routing status, presence, the queues they have joined."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters.fields import (
    FieldReader,
    choice_reader,
    first_known,
    payload_error,
    read_flag,
    read_instant_ms,
    read_text,
    value_at,
)
from streamer.events.adapters.source import Fragment, Options
from streamer.events.adapters.timelines import (
    ANSWER_SLOT,
    CONTACT_SLOT,
    AgentMoment,
    agent_contact_fragment,
    agent_fragment,
)
from streamer.events.counting_rules import HOUR

ROUTING, PRESENCE, QUEUES = "routing", "presence", "queues"
QUEUE_SLOT: Final = "queue "
_STATUSES: Final = {
    word: word for word in ("off_queue", "idle", "interacting", "communicating", "not_responding")
}
_SAME_MOMENT_MS: Final = 2_000
"""Most ms between the events of two participants about the same moment."""
_LIVE_LIMIT_MS: Final = 4 * HOUR
_USER_TOPICS: Final = ("routingstatus", "presence", "activity")


def is_user_topic(topic: str) -> bool:
    """Tell whether a topic is one of v2.users.{id} that is read."""
    return topic.startswith("v2.users.") and topic.rpartition(".")[2].lower() in _USER_TOPICS


def is_members_topic(topic: str) -> bool:
    """Tell whether a topic is v2.routing.queues.{id}.users: who has joined a queue, or left it."""
    return topic.startswith("v2.routing.queues.") and topic.endswith(".users")


def user_fragments(topic: str, body: Mapping[str, Any], sent_ms: int | None) -> Iterator[Fragment]:
    """Yield what an event of v2.users.{id} says. The user's id is in the topic, not always in the body."""
    _, _, path = topic.partition("v2.users.")
    user, _, kind = path.rpartition(".")
    if not user:
        raise payload_error("missing", "topicName", None, "v2.users.{id}.activity and the like")
    presence: Any = body if kind.lower() == "presence" else body.get("presence")
    times: list[int] = []
    if isinstance(routing := body.get("routingStatus"), Mapping) and routing.get("status") is not None:
        times.append(at_ms := _required_ms("routingStatus.startTime", routing.get("startTime")))
        status = choice_reader(_STATUSES)("routingStatus.status", routing["status"])
        yield agent_fragment(user, ROUTING, at_ms, status=status)
    if isinstance(presence, Mapping) and presence.get("primary") is not False:
        word = FieldReader(read_text, "presenceDefinition.systemPresence")(presence)
        if word is not None:
            times.append(at_ms := _required_ms("presence.modifiedDate", presence.get("modifiedDate")))
            yield agent_fragment(user, PRESENCE, at_ms, name=word.lower())
    if isinstance(queues := body.get("activeQueueIds"), list) and times:
        changed_ms = read_instant_ms("dateActiveQueuesChanged", body.get("dateActiveQueuesChanged"))
        names = {read_text("activeQueueIds", queue) for queue in queues} - {None}
        told_ms: int = first_known((changed_ms, sent_ms, max(times)))
        yield agent_fragment(user, QUEUES, told_ms, queues=sorted(map(str, names)))


def _required_ms(path: str, value: Any) -> int:
    if (time_ms := read_instant_ms(path, value)) is None:
        raise payload_error("no-time", path, value, "since when it is so")
    return time_ms


def member_fragments(topic: str, body: Mapping[str, Any], sent_ms: int | None) -> Iterator[Fragment]:
    """Yield that a user joined a queue or left it, from when the message was sent: it has no other time."""
    queue = topic.removeprefix("v2.routing.queues.").removesuffix(".users")
    user = FieldReader(read_text, "user.id", "userId")(body)
    joined = read_flag("joined", body.get("joined"))
    if sent_ms is not None and user is not None and joined is not None and queue:
        yield agent_fragment(user, f"{QUEUE_SLOT}{queue}", sent_ms, joined=joined)


def detail_fragments(
    kind: str, facts: Mapping[str, Any], conversation: str, time_ms: int
) -> Iterator[Fragment]:
    """Yield what a detail event of a conversation says of its agent.

    That the queue was answered names no participant: `user_state` finds the one who was rung for it.
    """
    user, channel, queue = facts.get("user"), facts.get("channel"), facts.get("queue")
    if kind == "acd.end" and "answered_by" in facts:
        yield agent_fragment(facts["answered_by"], f"{ANSWER_SLOT}{conversation} {queue}", time_ms)
    elif user is None or channel == "other":
        return  # a screen that is shared is no contact in hand
    elif kind in ("user.start", "user.end", "acw"):
        rings = queue is not None and facts.get("direction") != "outbound"
        state, step = {
            "user.start": ("offered" if rings else "busy", 1),
            "user.end": ("wrap_up" if facts.get("talk_s") else None, 2),
            "acw": (None, 3),
        }[kind]
        about = {"channel": channel, "queue": queue, "conversation": conversation}
        slot = participant_slot(conversation, facts["participant"])
        yield agent_contact_fragment(user, slot, time_ms, state, step, **about)


def participant_slot(conversation: str, participant: str) -> str:
    """Return the slot of an agent's part of a conversation."""
    return f"{conversation}:{participant}"


def user_state(moment: AgentMoment, options: Options) -> Mapping[str, Any] | None:
    """Return what a user does: by the routing status, and while interacting, by the contacts in hand."""
    status, presence = moment.data(ROUTING).get("status"), moment.data(PRESENCE).get("name")
    if status is None and presence is None:
        return None
    about = {"queues": _joined_queues(moment)}
    if presence == "offline" and (status in (None, "off_queue") or _is_newer(moment, PRESENCE, ROUTING)):
        return {**about, "state": "offline"}
    if status == "not_responding":
        return {**about, "state": "away", "reason": status}
    if status == "off_queue" or (status is None and presence != "on_queue"):
        return {**about, "state": "away", "reason": None if presence == "on_queue" else presence}
    return {**about, **_on_queue_state(moment, status)}


def _is_newer(moment: AgentMoment, slot: str, other: str) -> bool:
    return moment.slots[slot].at >= moment.slots[other].at


def _on_queue_state(moment: AgentMoment, status: str | None) -> dict[str, Any]:
    if status == "communicating":
        return {"state": "busy"}
    since_ms = moment.slots[ROUTING].at if ROUTING in moment.slots and status != "interacting" else 0
    told = AgentMoment(moment.at_ms, _contacts_since(moment, since_ms)).handling(_LIVE_LIMIT_MS)
    if told is None or (told[0] == "wrap_up" and status != "interacting"):
        return {"state": "busy" if status == "interacting" else "available"}
    state, slot = told
    return {"state": state, "contact_id": moment.data(f"{CONTACT_SLOT}{slot}")["conversation"]}


def _contacts_since(moment: AgentMoment, since_ms: int) -> dict[str, Fragment]:
    """Return the contacts in hand of which something was said since a moment, and all that ring; what was
    offered and then answered is busy."""
    answered_ms = {name: fragment.at for name, fragment in moment.named(ANSWER_SLOT)}
    found: dict[str, Fragment] = {}
    for name, fragment in moment.named(CONTACT_SLOT):
        data, at_ms = fragment.data, fragment.at
        answer_ms = answered_ms.get(f"{data.get('conversation')} {data.get('queue')}", 0)
        if data.get("state") == "offered" and answer_ms + _SAME_MOMENT_MS >= at_ms:
            data, at_ms = {**data, "state": "busy"}, max(at_ms, answer_ms)
        if at_ms >= since_ms or data.get("state") == "offered":
            found[f"{CONTACT_SLOT}{name}"] = Fragment(fragment.contact, fragment.kind, at_ms, dict(data))
    return found


def _joined_queues(moment: AgentMoment) -> Sequence[str] | None:
    """Return the active queues, with those joined and without those left since they were told."""
    told = moment.slots.get(QUEUES)
    changes = {
        name: fragment for name, fragment in moment.named(QUEUE_SLOT) if told is None or fragment.at > told.at
    }
    if told is None and not changes:
        return None
    joined = set(value_at(told.data, "queues") or ()) if told else set()
    for name, fragment in changes.items():
        (joined.add if fragment.data["joined"] else joined.discard)(name)
    return sorted(joined)
