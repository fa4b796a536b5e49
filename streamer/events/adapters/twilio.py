"""Adapter for Twilio TaskRouter events, from Event Streams or from the workspace's callbacks."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from streamer.events.adapters.caller_ids import read_caller_id
from streamer.events.adapters.fields import (
    FieldReader,
    choice_reader,
    map_fields,
    payload_error,
    read_epoch_ms,
    read_epoch_s,
    read_flag,
    read_instant_ms,
    read_number,
    read_text,
    value_at,
)
from streamer.events.adapters.source import Fragment, Options, SourceAdapter
from streamer.events.adapters.twilio_states import (
    STATE_EVENTS,
    WORKER_EVENTS,
    reservation_fragments,
    task_states,
    worker_fragments,
    worker_state,
)
from streamer.events.adapters.twilio_task import TASK_EVENTS, assemble_task
from streamer.events.models import CHANNELS, OUTCOMES

_PREFIX: Final = "com.twilio.taskrouter."
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_CHANNELS: Final = {name: name for name in CHANNELS} | {
    "default": "other",
    "web": "chat",
    "whatsapp": "message",
    "messaging": "message",
    "facebook": "social",
    "messenger": "social",
    "line": "message",
}


def _read_priority(path: str, value: Any) -> int | None:
    priority = read_number(path, value)
    return None if priority is None or priority != int(priority) else int(priority)


_LEFT: Final = {name: name for name in OUTCOMES if name != "answered"}
_FIELDS: Final = {
    "queue": FieldReader(read_text, "task_queue_name", "task_queue_sid"),
    "agent_id": FieldReader(read_text, "worker_name", "worker_sid"),
    "reservation": FieldReader(read_text, "reservation_sid"),
    "mover": FieldReader(read_text, "transfer_initiating_reservation_sid"),
    "to": FieldReader(read_text, "transfer_to", "transfer_type"),
    "priority": FieldReader(_read_priority, "task_priority"),
}


def read_taskrouter_event(payload: Any, options: Options) -> Iterator[Fragment]:
    kind, event = _event(payload)
    if kind in WORKER_EVENTS:
        yield from _worker_fragments(kind, event, options)
    elif kind in TASK_EVENTS or kind in STATE_EVENTS:
        yield from _task_fragments(kind, event, options)


def _worker_fragments(kind: str, event: Mapping[str, Any], options: Options) -> Iterator[Fragment]:
    facts = map_fields(event, _FIELDS, channel=_channel(event, options), team=_team(event, options))
    activity = read_text("worker_activity_name", event.get("worker_activity_name"))
    is_open = read_flag("worker_channel_available", event.get("worker_channel_available"))
    yield from worker_fragments(kind, facts, activity, is_open, _required_time_ms(event))


def _required_time_ms(event: Mapping[str, Any]) -> int:
    if (time_ms := _time_ms(event, "timestamp")) is None:
        raise payload_error("no-time", "timestamp", None, "when it happened")
    return time_ms


def _team(event: Mapping[str, Any], options: Options) -> str | None:
    return _attribute(_json_object(event, "worker_attributes"), options, "team_attribute")


def _task_fragments(kind: str, event: Mapping[str, Any], options: Options) -> Iterator[Fragment]:
    task = read_text("task_sid", event.get("task_sid"))
    if task is None:
        raise payload_error("missing", "task_sid", None, "the task's id")
    time_ms = _required_time_ms(event)
    facts = map_fields(
        event,
        _FIELDS,
        channel=_channel(event, options),
        created=_time_ms(event, "task_date_created"),
        left=_canceled_outcome(event, options) if kind == "task.canceled" else None,
        team=_team(event, options),
        **_attribute_facts(_json_object(event, "task_attributes"), options),
    )
    yield Fragment(task, kind, time_ms, facts)
    yield from reservation_fragments(kind, facts, task, time_ms)


def _event(payload: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the type of an event and its fields, named as in Event Streams."""
    if "specversion" in payload:
        kind = read_text("type", payload.get("type")) or ""
        if not kind.startswith(_PREFIX):
            return "", {}
        return kind.removeprefix(_PREFIX), _json_object(value_at(payload, "data") or {}, "payload")
    fields = {_WORD.sub("_", name).lower(): value for name, value in payload.items()}
    event_type = read_text("EventType", fields.get("event_type", fields.get("eventtype")))
    if event_type is None:
        raise payload_error(
            "missing", "EventType", None, "a TaskRouter event, or a CloudEvent of Event Streams"
        )
    return event_type, fields


def _json_object(event: Any, name: str) -> Mapping[str, Any]:
    """Return the object in a field, also one written as JSON text."""
    value = value_at(event, name)
    if isinstance(value, str) and value.strip():
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            raise payload_error("not-json", name, value, "an object, or its JSON as text") from None
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        raise payload_error("wrong-type", name, value, "an object, or its JSON as text")
    return value


def _time_ms(event: Mapping[str, Any], name: str) -> int | None:
    """Return a time in ms: Event Streams has a text, a callback has seconds and ms."""
    exact_s, value = read_epoch_ms(f"{name}_ms", event.get(f"{name}_ms")), event.get(name)
    if exact_s is None and isinstance(value, str) and not value.strip().replace(".", "", 1).isdecimal():
        return read_instant_ms(name, value)
    time_s = read_epoch_s(name, value) if exact_s is None else exact_s
    return None if time_s is None else round(time_s * 1000)


def _channel(event: Mapping[str, Any], options: Options) -> str | None:
    word = read_text("task_channel_unique_name", event.get("task_channel_unique_name"))
    setting = _setting_table(options, "channels").get((word or "").lower())
    configured: str | None = choice_reader({name: name for name in CHANNELS})("the setting channels", setting)
    channel: str | None = configured or choice_reader(_CHANNELS)("task_channel_unique_name", word)
    return channel


def _canceled_outcome(event: Mapping[str, Any], options: Options) -> str:
    """Return the outcome of a canceled task that nobody had accepted."""
    reason = FieldReader(read_text, "task_canceled_reason", "reason")(event) or ""
    setting = _setting_table(options, "outcomes").get(reason.lower())
    return choice_reader(_LEFT)("the setting outcomes", setting) or "abandoned"


def _setting_table(options: Options, name: str) -> dict[str, Any]:
    table = options.get(name, {})
    if not isinstance(table, Mapping):
        raise payload_error("wrong-type", f"the setting {name}", table, "a table")
    return {str(word).lower(): value for word, value in table.items()}


def _attribute_facts(attributes: Mapping[str, Any], options: Options) -> dict[str, str | None]:
    direction = (read_text("task_attributes.direction", attributes.get("direction")) or "").lower()
    is_outbound = direction.startswith("outbound")
    address = read_caller_id("task_attributes.from", attributes.get("outbound_to" if is_outbound else "from"))
    attribute_name = options.get("customer_attribute")
    return {
        "conversation": read_text("conversation_id", value_at(attributes, "conversations.conversation_id")),
        "customer_id": _attribute(attributes, options, "customer_attribute") if attribute_name else address,
        "direction": "outbound" if is_outbound else "inbound" if direction else None,
        "reason": _attribute(attributes, options, "reason_attribute"),
        "language": _attribute(attributes, options, "language_attribute"),
    }


def _attribute(attributes: Mapping[str, Any], options: Options, option: str) -> str | None:
    path = options.get(option)
    return read_text(path, value_at(attributes, path)) if isinstance(path, str) and path else None


_EVENT_NAMES: Final = {
    "task.created": "call-completed: since when the task waits",
    "task-queue.entered": "contact-state queued; call-completed",
    "reservation.created": "contact-state and agent-state offered",
    "reservation.accepted": "contact-state connected, agent-state busy; call-completed",
    "reservation.wrapup": "contact-state and agent-state wrap_up; call-completed",
    "reservation.completed": "contact-state ended, agent-state by the rest; call-completed",
    "reservation.rejected": "offer over: contact-state queued, agent-state by the rest",
    "reservation.timeout": "offer over: contact-state queued, agent-state by the rest",
    "reservation.canceled": "offer over: contact-state queued, agent-state by the rest",
    "reservation.rescinded": "offer over: another worker took the task",
    "reservation.failed": "offer over: contact-state queued, agent-state by the rest",
    "task.wrapup": "contact-state wrap_up; call-completed",
    "task.completed": "contact-state ended; call-completed",
    "task.canceled": "contact-state ended; call-completed",
    "task.deleted": "contact-state ended",
    "task.system-deleted": "contact-state ended",
    "task.transfer-initiated": "call-completed: transfer",
    "task.transfer-completed": "call-completed: transfer",
    "worker.activity.update": "agent-state available, away or offline, by `activities`",
    "worker.created": "agent-state available, away or offline, by `activities`",
    "worker.deleted": "agent-state offline",
    "worker.channel.availability.update": "agent-state: the channels open to offers",
    "worker.capacity.update": "not read: how many tasks a channel takes is no state",
    "worker.attributes.update": "not read: the team is read where a state changes",
    "task.updated": "not read: attributes and priority come with each event",
    "task-queue.created": "not read: queues are known by their tasks",
    "task-queue.deleted": "not read: queues are known by their tasks",
    "task-queue.timeout": "not read: task-queue.entered or task.canceled follows",
    "task-queue.moved": "not read: task-queue.entered says the new queue",
    "task-queue.expression.updated": "not read: which workers a queue has cannot be told from it",
    "task.transfer-attempt-failed": "not read: the task stays with its agent",
    "task.transfer-failed": "not read: the task stays with its agent",
    "task.transfer-canceled": "not read: the task stays with its agent",
    "activity.created": "not read: what an activity means is said in `activities`",
    "activity.updated": "not read: what an activity means is said in `activities`",
    "activity.deleted": "not read: no worker is in it any more",
    "workflow.target-matched": "not read: task-queue.entered follows",
    "workflow.entered": "not read: the task waits from task-queue.entered on",
    "workflow.timeout": "not read: task.canceled follows",
    "workflow.skipped": "not read: task-queue.entered follows",
    "workspace.created": "not read: no task, no worker",
    "workspace.updated": "not read: no task, no worker",
    "workspace.deleted": "not read: no task, no worker",
}

SOURCE: Final = SourceAdapter(
    name="twilio",
    title="Twilio TaskRouter (Flex)",
    help="""\
TaskRouter reports each step of a task. A task is a contact's stay in the center, a reservation that
was accepted is one agent's part of it: after a transfer inside Flex a task has several, and each is
a segment of its own. It is put together from all events, in any order, and published again when
another event adds something.

What is read, as Event Streams names it (callbacks: TaskSid, WorkerName, …)
  task_sid                            segment_id; of the second agent on, task_sid:reservation_sid
  conversations.conversation_id       contact_id, an attribute of the task; without it the task's id
  from; outbound_to if it is outbound customer_id, attributes too; a withheld number is unknown
  direction                           direction, an attribute
  worker_name                         agent_id
  worker_attributes                   team, the attribute team_name
  task_queue_name                     queue
  task_channel_unique_name            channel; default is other
  task_date_created, task.created     queued_at
  reservation.accepted                answered; wait_s from the task's creation, or from the
                                      transfer
  reservation.wrapup, task.wrapup     acw_s from here to reservation.completed or task.completed
  reservation.completed, task.completed     ended_at
  task.canceled                       abandoned, if nobody had accepted it; see outcomes
  task.transfer-initiated, -completed transfer, to agent or queue by transfer_to

Who waits, and what agents do now
  contact-state      of each segment; who waits for a second agent is task_sid:waiting until then
  agent-state        by the reservations in hand: busy, offered, wrap_up, in this order; without one
                     by the activity: see activities. No hold, no queues that an agent serves

What to know
  No call-completed is published before a task is completed or canceled, nor for tasks without queue
  and agent.
  TaskRouter knows nothing of hold, and talk time only as the time from accepting to wrap-up, hold
  included: both stay unknown unless you set talk_with_hold. handle_time_seconds has no data without
  it.
  A transfer that fails or is canceled is none. A transfer by new TwiML makes a new task: give it
  the first one's conversations.conversation_id, or it counts as another contact.
  Who hangs up while a transfer waits in its second queue is not seen as abandoned there.
  No heart beat: who closes the browser stays available, until agent_silence is over.
  A channel of your own making is refused until `channels` says what it is.

Options, in streamer.toml
  [sources.twilio]
  customer_attribute = ""           attribute with the customer's id, e.g. customers.external_id
  reason_attribute = ""             the contact's reason, e.g. conversations.initiative
  language_attribute = ""           the language, e.g. conversations.language
  team_attribute = "team_name"      attribute of the worker that is the team
  talk_with_hold = false            true: accepted to wrap-up is talk_s, hold included
  outcomes = {"Task TTL Exceeded" = "timeout"}
                                    what a reason of canceling means: abandoned (if it is not said),
                                    timeout, voicemail, overflow, callback
  channels = {}                     what a channel of your own is, e.g. {kiosk = "video"}
  activities = {}                   what an activity means: available, away or offline. If it is not
                                    said, Available and Idle are available, Offline is offline,
                                    and all others are away, for their name

How to connect it
  Event Streams with a webhook sink to /ingest/twilio of `streamer serve` (lists of events, too), or
  a Kinesis sink and on to the Kafka topic ingest-twilio, an event as the value (`streamer ingest
  twilio`); subscribe to TaskRouter's events of tasks, queues, reservations and workers. Or set the
  workspace's event callback to /ingest/twilio. One of the two, not both: their times may differ.
  The secret is the account's auth token.
""",
    read=read_taskrouter_event,
    assemble=assemble_task,
    options={
        "customer_attribute": "",
        "reason_attribute": "",
        "language_attribute": "",
        "team_attribute": "team_name",
        "talk_with_hold": False,
        "outcomes": {"Task TTL Exceeded": "timeout"},
        "channels": {},
        "activities": {},
    },
    contact_states=task_states,
    agent_state=worker_state,
    event_names=_EVENT_NAMES,
)
