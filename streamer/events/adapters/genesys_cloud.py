"""Adapter for Genesys Cloud conversation detail events, from EventBridge or notifications."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters.caller_ids import read_caller_id
from streamer.events.adapters.fields import (
    FieldReader,
    choice_reader,
    map_fields,
    payload_error,
    read_instant_ms,
    read_milliseconds,
    read_number,
    read_text,
    value_at,
)
from streamer.events.adapters.genesys_agents import (
    detail_fragments,
    is_members_topic,
    is_user_topic,
    member_fragments,
    user_fragments,
    user_state,
)
from streamer.events.adapters.genesys_conversation import ACD, CUSTOMER, USER, assemble_conversation
from streamer.events.adapters.genesys_states import (
    conversation_states,
    is_conversations_topic,
    participant_fragments,
)
from streamer.events.adapters.source import Fragment, Options, SourceAdapter

_TOPIC: Final = "v2.detail.events.conversation."
_MEDIA: Final = {
    "voice": "voice",
    "chat": "chat",
    "email": "email",
    "callback": "callback",
    "video": "video",
    "message": "message",
    "internalmessage": "message",
    "cobrowse": "other",
    "screenshare": "other",
    "unknown": "",
}
_MESSAGES: Final = {"sms": "sms", "webmessaging": "chat", "facebook": "social", "instagram": "social",
                    "twitter": "social"}  # fmt: skip
_DIRECTIONS: Final = {"inbound": "inbound", "outbound": "outbound", "unknown": ""}
_OUTCOMES: Final = {"abandon": "abandoned", "answered": "answered", "flow_out": "overflow", "unknown": ""}
_CUSTOMERS: Final = {"address": "address", "external_contact": "external_contact"}
_FIELDS: Final = {
    "participant": FieldReader(read_text, "participantId"),
    "session": FieldReader(read_text, "sessionId"),
    "channel": FieldReader(choice_reader(_MEDIA), "mediaType"),
    "direction": FieldReader(choice_reader(_DIRECTIONS), "direction"),
    "queue": FieldReader(read_text, "queueId"),
    "team": FieldReader(read_text, "divisionId"),
    "user": FieldReader(read_text, "userId"),
    "answered_by": FieldReader(read_text, "answeredUserId"),
    "outcome": FieldReader(choice_reader(_OUTCOMES), "acdOutcome"),
    "disconnect": FieldReader(read_text, "disconnectType"),
    "waited_s": FieldReader(read_milliseconds, "connectedDurationMs"),
    "talk_s": FieldReader(read_milliseconds, "interactingDurationMs"),
    "hold_s": FieldReader(read_milliseconds, "heldDurationMs"),
    "acw_s": FieldReader(read_milliseconds, "wrapupDurationMs"),
    "wrapup": FieldReader(read_text, "wrapupCode"),
}


def read_conversation_event(payload: Any, options: Options) -> Iterator[Fragment]:
    event = payload.get("detail", payload)
    topic = read_text("topicName", value_at(event, "topicName") or payload.get("detail-type"))
    if topic is None:
        raise payload_error("missing", "topicName", None, f"{_TOPIC}{{id}}.acd.start and the like")
    kind = topic.removeprefix(_TOPIC).partition(".")[2] if topic.startswith(_TOPIC) else ""
    if kind in (*ACD, *USER, *CUSTOMER):
        yield from _detail_fragments(kind, _event_body(event), options)
    elif is_user_topic(topic):
        yield from user_fragments(topic, _event_body(event), _sent_ms(payload, event))
    elif is_members_topic(topic):
        yield from member_fragments(topic, _event_body(event), _sent_ms(payload, event))
    elif is_conversations_topic(topic):
        yield from participant_fragments(_event_body(event), _sent_ms(payload, event))
    # else a heartbeat, a flow, an attribute


def _event_body(event: Any) -> Mapping[str, Any]:
    body = value_at(event, "eventBody")
    if not isinstance(body, Mapping):
        raise payload_error("wrong-type", "eventBody", body, "an object")
    return body


def _sent_ms(payload: Mapping[str, Any], event: Mapping[str, Any]) -> int | None:
    """Return when a message was sent: EventBridge says so, the WebSocket does not."""
    for name, value in (("timestamp", event.get("timestamp")), ("time", payload.get("time"))):
        if (time_ms := read_instant_ms(name, value)) is not None:
            return time_ms
    return None


def _detail_fragments(kind: str, body: Mapping[str, Any], options: Options) -> Iterator[Fragment]:
    conversation, time_ms = (
        read_text("conversationId", body.get("conversationId")),
        _event_time_ms(body.get("eventTime")),
    )
    facts = _participant_facts(body, options)
    for path, name in (("participantId", "participant"), ("sessionId", "session")):
        if facts.get(name) is None:
            raise payload_error("missing", path, None, "the participant's id and its session's")
    if conversation is None:
        raise payload_error("missing", "conversationId", None, "the conversation's id")
    yield Fragment(conversation, kind, time_ms, facts)
    yield from detail_fragments(kind, facts, conversation, time_ms)


def _event_time_ms(value: Any) -> int:
    time_ms = read_number("eventTime", value)
    if time_ms is None or not 0 < time_ms < 253_402_300_799_000:
        raise payload_error("no-time", "eventTime", value, "milliseconds since the epoch")
    return round(time_ms)


def _participant_facts(body: Mapping[str, Any], options: Options) -> dict[str, Any]:
    facts = map_fields(body, _FIELDS, customer_id=_customer_id(body, options))
    if facts.get("channel") == "message":
        kind = read_text("messageType", body.get("messageType"))
        facts["channel"] = _MESSAGES.get((kind or "").lower(), "message")
    return {name: value for name, value in facts.items() if value != ""}


def _customer_id(body: Mapping[str, Any], options: Options) -> Any:
    """Return the customer's id: the caller, or the called party of an outbound call."""
    if choice_reader(_CUSTOMERS)("the setting customer", options.get("customer")) == "external_contact":
        return FieldReader(read_text, "externalContactId", "conversationExternalContactIds.0")(body)
    is_outbound = str(body.get("direction")).upper() == "OUTBOUND"
    return FieldReader(read_caller_id, *(("dnis", "addressTo") if is_outbound else ("ani", "addressFrom")))(
        body
    )


_CONVERSATION: Final = f"{_TOPIC}{{id}}"
_USER: Final = "v2.users.{id}"
_QUEUE: Final = "v2.routing.queues.{id}"
_HELD: Final = "contact-state and agent-state held, connected again, wrap_up, ended"
_EVENT_NAMES: Final = {
    f"{_CONVERSATION}.acd.start": "contact-state queued; call-completed",
    f"{_CONVERSATION}.acd.end": "contact-state connected or ended, agent-state busy; call-completed",
    f"{_CONVERSATION}.user.start": "contact-state and agent-state offered; call-completed",
    f"{_CONVERSATION}.user.end": "contact-state wrap_up, or queued after an offer; call-completed",
    f"{_CONVERSATION}.acw": "contact-state ended; call-completed",
    f"{_CONVERSATION}.wrapup": "call-completed: the wrap-up code",
    f"{_CONVERSATION}.customer.start": "call-completed: the customer",
    f"{_CONVERSATION}.customer.end": "contact-state ended, of who waits; call-completed",
    f"{_CONVERSATION}.attributes": "not read: no time, no participant's doing",
    f"{_CONVERSATION}.contact": "not read: who the customer is, is read of customer.start",
    f"{_CONVERSATION}.flow.start": "not read: the menu before the queue",
    f"{_CONVERSATION}.flow.end": "not read: the menu before the queue",
    f"{_CONVERSATION}.flow.outcome": "not read: what was reached in the menu",
    f"{_CONVERSATION}.outbound": "not read: the dialler's campaign",
    f"{_CONVERSATION}.voicemail.start": "not read: who speaks to a machine does not wait",
    f"{_CONVERSATION}.voicemail.end": "not read: who speaks to a machine does not wait",
    f"{_USER}.activity": "agent-state: routing status, presence, active queues; the best of the three",
    f"{_USER}.routingStatus": "agent-state by the routing status",
    f"{_USER}.presence": "agent-state: why away, and offline; of the primary source",
    f"{_USER}.outofoffice": "not read: no state of work",
    f"{_USER}.station": "not read: which telephone",
    f"{_USER}.conversations.calls": "not read: that of the queue says the same",
    f"{_USER}.conversationsummary": "not read: counts without ids",
    f"{_QUEUE}.users": "agent-state: queues joined and left; only where the message has its time",
    **{
        f"{_QUEUE}.conversations.{media}": _HELD
        for media in ("calls", "callbacks", "chats", "emails", "messages")
    },
    f"{_QUEUE}.conversations": "not read: that of each medium says more",
    "v2.analytics.queues.{id}.observations": "not read: counts without ids; they follow from the states",
    "v2.analytics.users.{id}.observations": "not read: counts without ids",
    "channel.metadata": "not read: the WebSocket's heartbeat",
}

SOURCE: Final = SourceAdapter(
    name="genesys-cloud",
    title="Genesys Cloud conversation detail events",
    help="""\
Genesys Cloud sends an event at each step of a conversation, for each participant: customer, queue
(ACD) and agent (user). One stay in one queue is one segment; it is put together from the events of
the queue and of the agent who took it, in any order, and published again when another event tells
more.

What is read, of eventBody
  conversationId                        contact_id: all stays of a conversation, transfers too
  conversationId:participantId:sessionId of acd       segment_id
  ani or addressFrom; dnis or addressTo of outbound   customer_id; a withheld number is unknown
  userId of user.*, answeredUserId      agent_id
  divisionId of user.*, else of acd.*   team
  queueId                               queue
  mediaType, messageType                channel; SMS as sms, Facebook, Instagram, Twitter as social
  direction                             direction
  acd.start to acd.end                  queued_at, wait_s; connectedDurationMs where acd.start was
                                        lost
  user.end                              ended_at: plus wrapupDurationMs; customer.end where it was
                                        lost
  interactingDurationMs of user.end     talk_s (hold is not in it)
  heldDurationMs of user.end            hold_s
  wrapupDurationMs of acw or wrapup     acw_s
  acdOutcome of acd.end                 ABANDON abandoned, FLOW_OUT overflow; without one: acd.end
                                        without an agent is abandoned. A callback that is queued
                                        afterwards in the conversation makes it callback
  disconnectType of user.end            transfer, where it has TRANSFER: to a queue, an agent, or
                                        outside by whoever comes into the conversation next

Who waits, and what agents do now
  contact-state      of each stay in a queue; hold and wrap-up only by the topics of a queue's
                     conversations. Calls that agents make are not told before they are over
  agent-state        by routingStatus: IDLE available, INTERACTING busy, or offered, held, wrap_up
                     by the conversation; NOT_RESPONDING and OFF_QUEUE away, for the presence;
                     offline by the presence. Queues: activeQueueIds, and who joins or leaves

What to know
  call-completed ends a contact at its disconnect, so its after-call work does not show as a state
  of the contact; that of agents does.
  Not published: callers who never reached a queue (the flow's menu), and agents who got the call
  straight from another agent: those are no stays in a queue. The first agent's talk time is that
  agent's own.
  acd.end also says TRANSFER when an agent has taken the call: that is not read as a transfer.
  A call that an agent makes for a queue is an outbound segment; without a talk time it is timeout.
  If it turns out to be a dialler's or a callback's, it is taken back with a deletion.
  Nobody waits on the line for a callback: wait_s of the channel callback stays unknown.
  acw arrives after user.end: until then acw_s is unknown, and ended_at is the end of the talk.
  The events have only ids: set the names of queues, divisions and users in [names].

Options, in streamer.toml
  [sources.genesys-cloud]
  customer = "address"          or "external_contact": the id in External Contacts, the same on all
                                channels
  wrapup_is_reason = false      true: the wrap-up code is the contact's reason

How to connect it
  Amazon EventBridge integration in Genesys Cloud, with the topics
  v2.detail.events.conversation.{id} of customer.start, customer.end, acd.start, acd.end,
  user.start, user.end, acw, wrapup; for what is going on now v2.users.{id}.activity of the agents,
  and v2.routing.queues.{id}.conversations.calls of the queues; then a rule that sends them to the
  Kafka topic ingest-genesys-cloud (`streamer ingest genesys-cloud`), or an API destination that
  posts to /ingest/genesys-cloud of `streamer serve`, its connection with an API key: the header
  X-Api-Key, and the secret as its value. Messages of the notification API's WebSocket have the same
  topicName and eventBody, and are read as they are; heartbeats are ignored.
""",
    read=read_conversation_event,
    assemble=assemble_conversation,
    options={"customer": "address", "wrapup_is_reason": False},
    contact_states=conversation_states,
    agent_state=user_state,
    event_names=_EVENT_NAMES,
)
