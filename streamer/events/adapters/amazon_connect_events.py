"""Adapter for Amazon Connect contact events, which EventBridge delivers unordered and best effort."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import amazon_connect_agents
from streamer.events.adapters.amazon_connect import (
    CHANNELS,
    METHODS,
    SUBTYPES,
    UNKNOWN_QUEUE,
    read_hierarchy_team,
)
from streamer.events.adapters.caller_ids import read_caller_id
from streamer.events.adapters.fields import (
    FieldReader,
    choice_reader,
    epoch_seconds,
    map_fields,
    payload_error,
    read_flag,
    read_instant_ms,
    read_seconds,
    read_text,
    value_at,
)
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, PayloadItem, SourceAdapter
from streamer.events.adapters.timelines import CONTACT_STATE

_DETAIL_TYPES: Final = ("Amazon Connect Contact Event", "Connect Customer Contact Event")
_EVENT_TYPES: Final = (
    "INITIATED",
    "CONNECTED_TO_SYSTEM",
    "QUEUED",
    "CONNECTED_TO_AGENT",
    "DISCONNECTED",
    "COMPLETED",
)
_SUCCESSOR: Final = "NEXT"
"""Kind of the fragment that a contact's successor adds to it."""
_TIME_FIELDS: Final = {"QUEUED": "queued", "CONNECTED_TO_AGENT": "connected", "DISCONNECTED": "disconnected"}
"""Field that gets the event's own time, where the event does not state one."""
_STATES: Final = {
    "QUEUED": "queued",
    "CONNECTED_TO_AGENT": "connected",
    "DISCONNECTED": "wrap_up",
    "COMPLETED": "ended",
}
_FIELDS: Final = {
    "initial": FieldReader(read_text, "initialContactId"),
    "customer_id": FieldReader(read_caller_id, "customerEndpoint.address"),
    "agent_id": FieldReader(read_text, "agentInfo.agentArn"),
    "queue": FieldReader(read_text, "queueInfo.queueArn"),
    "channel": FieldReader(choice_reader(CHANNELS), "channel"),
    "queued": FieldReader(read_instant_ms, "queueInfo.enqueueTimestamp"),
    "dequeued": FieldReader(read_instant_ms, "queueInfo.dequeueTimestamp"),
    "connected": FieldReader(read_instant_ms, "agentInfo.connectedToAgentTimestamp"),
    "disconnected": FieldReader(read_instant_ms, "disconnectTimestamp"),
    "worked": FieldReader(read_instant_ms, "agentInfo.afterContactWorkEndTimestamp"),
    "hold_s": FieldReader(read_seconds, "agentInfo.agentInitiatedHoldDuration"),
    "acw_s": FieldReader(read_seconds, "agentInfo.afterContactWorkDuration"),
}


def read_contact_event(payload: Any, options: Options) -> Iterator[PayloadItem]:
    """Yield fragments and state of a contact event, or what an event of the agent event stream says."""
    if amazon_connect_agents.is_agent_event(payload):
        yield from amazon_connect_agents.read_agent_event(payload, options, "ARN")
        return
    if payload.get("detail-type") not in _DETAIL_TYPES:
        return  # the same bus carries events of many kinds
    detail, kind = payload.get("detail"), read_text("detail.eventType", value_at(payload, "detail.eventType"))
    if not isinstance(detail, Mapping):
        raise payload_error("wrong-type", "detail", detail, "an object")
    contact, time_ms = (
        read_text("detail.contactId", detail.get("contactId")),
        read_instant_ms("time", payload.get("time")),
    )
    if contact is None:
        raise payload_error("missing", "detail.contactId", None, "the contact's id")
    if time_ms is None:
        raise payload_error("no-time", "time", None, "when it happened")
    if kind in _EVENT_TYPES:
        data = {_TIME_FIELDS[kind]: time_ms} if kind in _TIME_FIELDS else {}
        data |= _contact_facts(detail, options)
        if read_flag("the setting only_states", options.get("only_states")) is not True:
            yield Fragment(contact, kind, time_ms, data)
            yield from _predecessor_fragments(detail, data, time_ms)
        yield from _contact_state(contact, kind, data, time_ms, options)


def _contact_state(
    contact: str, kind: str, facts: Mapping[str, Any], time_ms: int, options: Options
) -> Iterator[OutgoingEvent]:
    """Yield the state that an event says of its contact, by itself; the menu before the queue is none."""
    direction, at_ms = METHODS[facts.get("method", "inbound")], time_ms
    state = _STATES.get(kind)
    if not direction or state is None or not ("queue" in facts or "connected" in facts):
        return
    if kind == "DISCONNECTED" and "connected" not in facts:
        state = "ended"
    if kind == "COMPLETED":
        at_ms = max(facts.get("worked", time_ms), facts.get("disconnected", 0))
    elif kind in _TIME_FIELDS:
        at_ms = facts[_TIME_FIELDS[kind]]
    unknown_queue = _outbound_queue(options) if direction == "outbound" else UNKNOWN_QUEUE
    data = {
        "contact_id": facts.get("initial", contact),
        "segment_id": contact,
        "state": state,
        "at": epoch_seconds(at_ms),
        "queue": facts.get("queue", unknown_queue),
        **{name: facts[name] for name in ("agent_id", "team", "channel") if name in facts},
        "direction": direction,
    }
    if facts.get("method") == "callback":
        data["channel"] = "callback"
    if "queued" in facts and facts["queued"] < at_ms:
        data["queued_at"] = epoch_seconds(facts["queued"])
    yield OutgoingEvent(CONTACT_STATE, data)


def _contact_facts(detail: Mapping[str, Any], options: Options) -> dict[str, Any]:
    method = (read_text("initiationMethod", detail.get("initiationMethod")) or "").lower() or None
    choice_reader(METHODS)("initiationMethod", method)
    subtype = value_at(detail, "segmentAttributes.connect:Subtype.valueString")
    kind = SUBTYPES.get(subtype.lower()) if isinstance(subtype, str) else None
    groups = value_at(detail, "agentInfo.hierarchyGroups")
    facts = map_fields(
        detail, _FIELDS, method=method, team=read_hierarchy_team("hierarchyGroups", groups, options, "arn")
    )
    named = {
        field: amazon_connect_agents.name_of(facts[field], options)
        for field in _NAMED_FIELDS
        if field in facts
    }
    return facts | named | ({"channel": kind} if kind else {})


_NAMED_FIELDS: Final = ("queue", "agent_id", "team")


def _predecessor_fragments(
    detail: Mapping[str, Any], data: Mapping[str, Any], time_ms: int
) -> Iterator[Fragment]:
    """Yield a fragment for the previous contact: only its successor shows a transfer or a callback."""
    predecessor = read_text("previousContactId", detail.get("previousContactId"))
    if predecessor is not None and data.get("method") in ("transfer", "queue_transfer", "callback"):
        kind = (read_text("queueType", value_at(detail, "queueInfo.queueType")) or "").lower()
        initiated_ms = read_instant_ms(
            "initiationTimestamp", detail.get("initiationTimestamp")
        )  # the same in all its events
        target = {"standard": "queue", "agent": "agent"}.get(kind)
        yield Fragment(
            predecessor,
            _SUCCESSOR,
            time_ms if initiated_ms is None else initiated_ms,
            {"method": data["method"], "to": target},
        )


def assemble_contact(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    facts: dict[str, Any] = {}
    for fragment in fragments:
        if fragment.kind != _SUCCESSOR:
            facts |= fragment.data
    handled = "connected" in facts
    direction = METHODS[facts.get("method", "inbound")]
    if not direction or "disconnected" not in facts or not (handled or "queue" in facts):
        return
    successors = [fragment.data for fragment in fragments if fragment.kind == _SUCCESSOR]
    outcome = "answered" if handled else _outcome_without_agent(successors)
    contact = next(fragment.contact for fragment in fragments)
    data: dict[str, Any] = {
        "contact_id": facts.get("initial", contact),
        "segment_id": contact,
        "queue": _outbound_queue(options) if direction == "outbound" else UNKNOWN_QUEUE,
        **{name: facts[name] for name in _COPIED_FIELDS if name in facts},
        **_times(facts, outcome),
        "direction": direction,
        "outcome": outcome,
        "transfer": _transfer(successors) if handled else "none",
    }
    yield OutgoingEvent("call-completed", data)


_COPIED_FIELDS: Final = ("customer_id", "agent_id", "team", "queue", "channel", "hold_s", "acw_s")


def _outbound_queue(options: Options) -> str:
    queue = options.get("outbound_queue")
    return queue if isinstance(queue, str) and queue.strip() else UNKNOWN_QUEUE


def _outcome_without_agent(successors: Sequence[Mapping[str, Any]]) -> str:
    """Return the outcome of a contact that left its queue without an agent."""
    methods = {data["method"] for data in successors}
    if "callback" in methods:
        return "callback"
    return "overflow" if methods else "abandoned"


def _transfer(successors: Sequence[Mapping[str, Any]]) -> str:
    transfers = [data for data in successors if data["method"] != "callback"]
    if not transfers:
        return "none"
    return "agent" if any(data["to"] == "agent" for data in transfers) else "queue"


def _times(facts: Mapping[str, Any], outcome: str) -> dict[str, Any]:
    """Return times and wait. A negative wait or a queue after the end is unknown: several clocks differ."""
    ended_ms = max(facts["disconnected"], facts.get("worked", 0))
    times: dict[str, Any] = {"ended_at": ended_ms / 1000}
    queued_ms = facts.get("queued")
    if queued_ms is not None and queued_ms <= ended_ms:
        times["queued_at"] = queued_ms / 1000
    if facts.get("method") == "callback":  # nobody waited on the line
        return times | {"channel": "callback"}
    until_ms = facts.get("connected") if outcome == "answered" else facts.get("dequeued")
    if until_ms is None and outcome == "abandoned":
        until_ms = facts["disconnected"]
    if queued_ms is not None and until_ms is not None and until_ms >= queued_ms:
        times["wait_s"] = (until_ms - queued_ms) / 1000
    return times


SOURCE: Final = SourceAdapter(
    name="amazon-connect-events",
    title="Amazon Connect contact events (EventBridge)",
    help="""\
Amazon Connect sends an event to EventBridge at each step of a contact: best effort, in any order,
some twice, some never. What is known of a contact is put together from all of them, and published
again, with a higher version, whenever another event tells more.

What is read, of detail
  contactId                                 segment_id
  initialContactId, else contactId          contact_id: the same for all contacts of a chain of
                                            transfers
  customerEndpoint.address                  customer_id; a withheld number is an unknown customer
  agentInfo.agentArn                        agent_id
  agentInfo.hierarchyGroups                 team: the ARN of the deepest group
  queueInfo.queueArn                        queue
  queueInfo.enqueueTimestamp                queued_at; wait_s from here to
                                            connectedToAgentTimestamp, or to dequeueTimestamp or the
                                            disconnect of an abandoned contact
  disconnectTimestamp                       ended_at; afterContactWorkEndTimestamp where there is
                                            any
  agentInfo.agentInitiatedHoldDuration      hold_s
  agentInfo.afterContactWorkDuration        acw_s, from COMPLETED
  channel, segmentAttributes                channel, upper or lower case; chats by SMS as sms
  initiationMethod                          direction; CALLBACK is an inbound contact of channel
                                            callback
  initiationMethod of the next contact      TRANSFER, QUEUE_TRANSFER: the one before
                                            (previousContactId) was transferred, to an agent or a
                                            queue by queueType; CALLBACK: it was moved to a callback

Who waits, and what agents do now
  contact-state      of each event that the list below names, at its own time; ringing and hold are
                     not told
  agent-state        of the agent event stream, which goes to the same topic: as in `streamer
                     sources amazon-connect`, but agents, queues and groups have their ARNs as ids

What to know
  No call-completed is published before a contact is known to be DISCONNECTED, nor of contacts that
  saw neither queue nor agent, nor of MONITOR and EXTERNAL_OUTBOUND.
  A contact whose CONNECTED_TO_AGENT and COMPLETED are both lost is taken for abandoned unless its
  DISCONNECTED names when the agent was connected (it usually does).
  The events have no talk time: talk_s stays unknown, and handle_time_seconds has no data. If you
  want it, use the contact records (`streamer sources amazon-connect`) instead. Not both: each would
  count twice.
  They have ids, not names: tell the names in [names], or in the option names to count under them. A
  transfer to a telephone outside leaves no event.
  call-completed ends a contact at its disconnect, so its after-call work does not show as a state
  of the contact; that of agents does. With only_states = true it does until COMPLETED.

Options, in streamer.toml
  [sources.amazon-connect-events]
  team_level = 0                 level 1 to 5 of the hierarchy that is the team; 0: the deepest
                                 there is
  outbound_queue = "outbound"    the queue of outbound contacts, whose events name none
  only_states = false            true: no call-completed, only states; beside amazon-connect, whose
                                 contact records then count. Their queues and agents are names:
                                 say in names which is whose
  names = {}                     names of queues, agents and groups by their ARN, as ids in the
                                 place of these, such as {"arn:…/queue/1b2c" = "billing"}

How to connect it
  An EventBridge rule with source aws.connect and this detail type, and as its target either a pipe
  or a connector to the Kafka topic ingest-amazon-connect-events (then `streamer ingest
  amazon-connect-events`), or an API destination that posts to /ingest/amazon-connect-events of
  `streamer serve`, its connection with an API key: the header X-Api-Key, and the secret as its
  value. The whole event is expected, detail-type, time and detail; other detail types are passed
  over. For a test: `streamer replay FILE --format amazon-connect-events`, an event per line.
""",
    read=read_contact_event,
    assemble=assemble_contact,
    options={"team_level": 0, "outbound_queue": "outbound", "only_states": False, "names": {}},
    agent_state=amazon_connect_agents.agent_state,
    event_names={
        "INITIATED": "call-completed: who it is, and what became of the contact before it",
        "CONNECTED_TO_SYSTEM": "call-completed; no state: the contact is in the menu",
        "QUEUED": "contact-state queued; call-completed",
        "CONNECTED_TO_AGENT": "contact-state connected; call-completed",
        "DISCONNECTED": "contact-state wrap_up, or ended where no agent was connected; call-completed",
        "COMPLETED": "contact-state ended; call-completed",
        "PAUSED": "not read: a task rests, and stays with its agent or queue",
        "RESUMED": "not read: a task goes on",
        "CONTACT_DATA_UPDATED": "not read: attributes change, no state does",
        "AMD_DISABLED": "not read: a setting of dialled calls",
        **amazon_connect_agents.EVENT_NAMES,
    },
)
