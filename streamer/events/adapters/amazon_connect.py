"""Adapter for Amazon Connect contact records, from its data stream."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from streamer.events.adapters import amazon_connect_agents
from streamer.events.adapters.caller_ids import read_caller_id
from streamer.events.adapters.fields import (
    FieldReader,
    choice_reader,
    map_fields,
    payload_error,
    read_flag,
    read_seconds,
    read_text,
    read_time,
    value_at,
)
from streamer.events.adapters.source import Options, OutgoingEvent, PayloadItem, SourceAdapter

CHANNELS: Final = amazon_connect_agents.CHANNELS
SUBTYPES: Final = {"connect:sms": "sms", "connect:whatsapp": "message", "connect:apple": "message"}
"""Channels of chat subtypes that are channels of their own in the contract."""
METHODS: Final = {
    "inbound": "inbound",
    "transfer": "inbound",
    "queue_transfer": "inbound",
    "callback": "inbound",
    "api": "inbound",
    "webrtc_api": "inbound",
    "disconnect": "inbound",
    "outbound": "outbound",
    "agent_reply": "outbound",
    "flow": "outbound",
    "monitor": "",
    "external_outbound": "",
}
"""Direction by initiation method. "" is no customer's contact: a supervisor who listens in, or a third party
that an agent dials."""
UNKNOWN_QUEUE: Final = "unknown"
_LEAVING: Final = {"callback": "callback", "overflow": "overflow"}
_ENDPOINTS_OUTSIDE: Final = ("TELEPHONE_NUMBER", "VOIP", "EMAIL_ADDRESS")
_LEVELS: Final = 5
_FIELDS: Final = {
    "contact_id": FieldReader(read_text, "InitialContactId", "ContactId"),
    "segment_id": FieldReader(read_text, "ContactId"),
    "updated_at": FieldReader(read_time, "LastUpdateTimestamp"),
    "agent_id": FieldReader(read_text, "Agent.Username", "Agent.ARN"),
    "queue": FieldReader(read_text, "Queue.Name", "Queue.ARN"),
    "queued_at": FieldReader(read_time, "Queue.EnqueueTimestamp"),
    "ended_at": FieldReader(read_time, "Agent.AfterContactWorkEndTimestamp", "DisconnectTimestamp"),
    "talk_s": FieldReader(read_seconds, "Agent.AgentInteractionDuration"),
    "hold_s": FieldReader(read_seconds, "Agent.CustomerHoldDuration"),
    "acw_s": FieldReader(read_seconds, "Agent.AfterContactWorkDuration"),
}


def read_contact_record(payload: Any, options: Options) -> Iterator[PayloadItem]:
    """Yield the event of a contact record, or what an event of the agent event stream says of its agent."""
    if amazon_connect_agents.is_agent_event(payload):
        yield from amazon_connect_agents.read_agent_event(payload, options, "Name")
    else:
        yield from _record_events(payload, options)


def _record_events(payload: Any, options: Options) -> Iterator[OutgoingEvent]:
    method = (read_text("InitiationMethod", payload.get("InitiationMethod")) or "inbound").lower()
    direction = choice_reader(METHODS)("InitiationMethod", method)
    data = map_fields(
        payload, _FIELDS, **_optional_fields(payload, options), **_channel_and_wait(payload, method)
    )
    if "segment_id" not in data:
        raise payload_error("missing", "ContactId", None, "the contact's id")
    ended = read_time("DisconnectTimestamp", payload.get("DisconnectTimestamp"))
    handled = "agent_id" in data or value_at(payload, "Agent.ConnectedToAgentTimestamp") is not None
    if not direction or ended is None or not (handled or "queue" in data):
        return
    dialled = direction == "outbound" or method == "callback"
    outcome = _outcome(payload, handled, dialled, options)
    transfer = _transfer(payload, options) if outcome == "answered" else "none"
    stated = {"direction": direction, "outcome": outcome, "transfer": transfer}
    yield OutgoingEvent("call-completed", {"queue": UNKNOWN_QUEUE, **data, **stated})


def _channel_and_wait(record: Any, method: str) -> dict[str, Any]:
    """Return channel and wait. A callback has no wait: the customer did not wait on the line."""
    if method == "callback":
        return {"channel": "callback"}
    subtype = value_at(record, "SegmentAttributes.connect:Subtype.ValueString")
    kind = SUBTYPES.get(subtype.lower()) if isinstance(subtype, str) else None
    return {
        "channel": kind or choice_reader(CHANNELS)("Channel", record.get("Channel")),
        "wait_s": read_seconds("Queue.Duration", value_at(record, "Queue.Duration")),
    }


def _optional_fields(record: Any, options: Options) -> dict[str, str | None]:
    """Return the fields whose place in the record the options set."""
    attribute_name = options.get("customer_attribute")
    address = read_caller_id("CustomerEndpoint.Address", value_at(record, "CustomerEndpoint.Address"))
    return {
        "customer_id": _attribute(record, options, "customer_attribute") if attribute_name else address,
        "reason": _attribute(record, options, "reason_attribute"),
        "language": _attribute(record, options, "language_attribute"),
        "team": read_hierarchy_team(
            "Agent.HierarchyGroups", value_at(record, "Agent.HierarchyGroups"), options
        ),
    }


def _attribute(record: Any, options: Options, option: str) -> str | None:
    name, attributes = options.get(option), record.get("Attributes")
    if not isinstance(name, str) or not isinstance(attributes, Mapping):
        return None
    return read_text(f"Attributes.{name}", attributes.get(name))


def read_hierarchy_team(path: str, groups: Any, options: Options, leaf: str = "GroupName") -> str | None:
    """Return the name of the deepest group of the hierarchy, or of the level that the option sets."""
    level = options.get("team_level", 0)
    if not isinstance(level, int) or not 0 <= level <= _LEVELS:
        raise payload_error(
            "wrong-type", "the setting team_level", level, f"1 to {_LEVELS}, or 0 for the deepest"
        )
    if not isinstance(groups, Mapping):
        return None
    groups_by_name = {name.lower(): group for name, group in groups.items()}
    for level_number in [level] if level else range(_LEVELS, 0, -1):
        if (
            group_name := read_text(
                f"{path}.Level{level_number}.{leaf}", value_at(groups_by_name, f"level{level_number}.{leaf}")
            )
        ) is not None:
            return group_name
    return None


def _outcome(record: Any, handled: bool, dialled: bool, options: Options) -> str:
    if handled:
        # null, and not merely absent: the customer was dialled and did not answer
        unanswered = dialled and record.get("ConnectedToSystemTimestamp", "") is None
        return "timeout" if unanswered and record.get("Channel") == "VOICE" else "answered"
    if read_text("NextContactId", record.get("NextContactId")) is None:
        return "abandoned"
    return choice_reader(_LEAVING)("the setting left_queue", options.get("left_queue")) or "callback"


def _transfer(record: Any, options: Options) -> str:
    completed = read_time("TransferCompletedTimestamp", record.get("TransferCompletedTimestamp"))
    if completed and value_at(record, "TransferredToEndpoint.Type") in _ENDPOINTS_OUTSIDE:
        return "external"
    following = read_flag("the setting next_is_transfer", options.get("next_is_transfer", True))
    followed = following and read_text("NextContactId", record.get("NextContactId"))
    return "queue" if completed or followed else "none"


SOURCE: Final = SourceAdapter(
    name="amazon-connect",
    title="Amazon Connect contact records",
    help="""\
Amazon Connect writes a contact record when a contact has ended and its after-contact work is done,
and writes it again whenever something in it changes. One record is one segment: a transfer is a
record of its own.

What is read
  ContactId                                 segment_id
  InitialContactId, else ContactId          contact_id: the same for all records of a chain of
                                            transfers
  LastUpdateTimestamp                       the version; a newer record replaces an older one
  CustomerEndpoint.Address                  customer_id; a withheld number is an unknown customer
  Agent.Username, else Agent.ARN            agent_id
  Agent.HierarchyGroups                     team: the name of the deepest group
  Queue.Name, else Queue.ARN                queue
  Queue.EnqueueTimestamp, Queue.Duration    queued_at, wait_s
  DisconnectTimestamp                       ended_at; Agent.AfterContactWorkEndTimestamp where there
                                            is any
  Agent.AgentInteractionDuration            talk_s (hold is not in it)
  Agent.CustomerHoldDuration                hold_s
  Agent.AfterContactWorkDuration            acw_s
  Channel, SegmentAttributes                channel; chats by SMS, WhatsApp, Apple as sms and
                                            message
  InitiationMethod                          direction; CALLBACK is an inbound contact of channel
                                            callback
  an agent                                  answered; outbound and never connected: timeout
  a queue, no agent, no next contact        abandoned
  a queue, no agent, a next contact         callback (or overflow: left_queue)
  TransferCompletedTimestamp, NextContactId transfer, of a contact that was answered

What is read of the agent event stream: agent-state, what agents do now
  CurrentAgentSnapshot.Configuration  Username: agent_id; queues, channels; the deepest group: team
  .Contacts[].State             busy, held, offered, wrap_up: the first of these that one is in;
                                MISSED, REJECTED, ERROR: away, for this reason
  .AgentStatus, NextAgentStatus without contacts: available, away (Name is why), offline
  EventTimestamp                at; wrap-up ends where a snapshot misses the contact

What to know
  Not published: records without DisconnectTimestamp (still open), contacts without queue and agent
  (they ended in the menu), and MONITOR and EXTERNAL_OUTBOUND (a supervisor who listens in, a third
  party who is added to a call).
  A record does not say whether it was transferred to an agent or to a queue: both are transfer
  queue.
  A flow that runs after the agent has hung up (a survey, say) also makes a next contact, which is
  no transfer: set next_is_transfer = false if you have one, then only TransferCompletedTimestamp
  counts.
  Nobody waits on the line for a callback: wait_s of callback contacts stays unknown.
  Use this source or amazon-connect-events for an instance, not both: each contact would count
  twice.
  This one has talk, hold and after-contact work, names, and later corrections. For who waits, take
  amazon-connect-events beside it with only_states = true. Who serves one chat is busy, though there
  may be slots left for more.

Options, in streamer.toml
  [sources.amazon-connect]
  customer_attribute = ""      contact attribute that has the customer's id; without it, the
                               endpoint. A contact without the attribute is then of an unknown
                               customer
  reason_attribute = ""        contact attribute that has the contact's reason
  language_attribute = ""      contact attribute that has the language
  team_level = 0               level 1 to 5 of the hierarchy that is the team; 0: the deepest there
                               is
  left_queue = "callback"      what it means to leave the queue for a next contact: callback or
                               overflow
  next_is_transfer = true      whether a next contact makes the one before a transfer

How to connect it
  Turn on data streaming of contact records to Kinesis (Data streaming, in the instance's settings),
  and bring the stream to the Kafka topic ingest-amazon-connect, a record's JSON as the value: Kafka
  Connect's Kinesis source or an EventBridge pipe does. The agent event stream goes to the same
  topic. Then `streamer ingest amazon-connect`.
  Records that Firehose wrote to S3: `streamer replay FILE --format amazon-connect`.
""",
    read=read_contact_record,
    agent_state=amazon_connect_agents.agent_state,
    event_names={
        "(contact record)": "call-completed: records have no event name",
        **amazon_connect_agents.EVENT_NAMES,
    },
    options={
        "customer_attribute": "",
        "reason_attribute": "",
        "language_attribute": "",
        "team_level": 0,
        "left_queue": "callback",
        "next_is_transfer": True,
    },
)
