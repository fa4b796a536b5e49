"""Adapter for Amazon Connect contact events, which EventBridge delivers unordered and best effort."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters.amazon_connect import CHANNELS, METHODS, SUBTYPES, UNKNOWN_QUEUE, team
from streamer.events.adapters.callers import caller
from streamer.events.adapters.fields import Field, at, instant, mapped, one_of, seconds, text, wrong
from streamer.events.adapters.source import Note, Options, Sent, Source

_DETAIL_TYPES: Final = ("Amazon Connect Contact Event", "Connect Customer Contact Event")
_READ: Final = (
    "INITIATED",
    "CONNECTED_TO_SYSTEM",
    "QUEUED",
    "CONNECTED_TO_AGENT",
    "DISCONNECTED",
    "COMPLETED",
)
_NEXT: Final = "NEXT"
"""Kind of the fragment that a contact's successor adds to it."""
_MOMENTS: Final = {"QUEUED": "queued", "CONNECTED_TO_AGENT": "connected", "DISCONNECTED": "disconnected"}
"""Field that gets the event's own time, where the event does not state one."""
_FIELDS: Final = {
    "initial": Field(text, "initialContactId"),
    "customer_id": Field(caller, "customerEndpoint.address"),
    "agent_id": Field(text, "agentInfo.agentArn"),
    "queue": Field(text, "queueInfo.queueArn"),
    "channel": Field(one_of(CHANNELS), "channel"),
    "queued": Field(instant, "queueInfo.enqueueTimestamp"),
    "dequeued": Field(instant, "queueInfo.dequeueTimestamp"),
    "connected": Field(instant, "agentInfo.connectedToAgentTimestamp"),
    "disconnected": Field(instant, "disconnectTimestamp"),
    "worked": Field(instant, "agentInfo.afterContactWorkEndTimestamp"),
    "hold_s": Field(seconds, "agentInfo.agentInitiatedHoldDuration"),
    "acw_s": Field(seconds, "agentInfo.afterContactWorkDuration"),
}


def read(payload: Any, options: Options) -> Iterator[Note]:
    if payload.get("detail-type") not in _DETAIL_TYPES:
        return  # the same bus carries events of many kinds
    detail, kind = payload.get("detail"), text("detail.eventType", at(payload, "detail.eventType"))
    if not isinstance(detail, Mapping):
        raise wrong("wrong-type", "detail", detail, "an object")
    contact, when = text("detail.contactId", detail.get("contactId")), instant("time", payload.get("time"))
    if contact is None:
        raise wrong("missing", "detail.contactId", None, "the contact's id")
    if when is None:
        raise wrong("no-time", "time", None, "when it happened")
    if kind in _READ:
        data = {_MOMENTS[kind]: when} if kind in _MOMENTS else {}
        data |= _told(detail, options)
        yield Note(contact, kind, when, data)
        yield from _for_the_one_before(detail, data, when)


def _told(detail: Mapping[str, Any], options: Options) -> dict[str, Any]:
    method = (text("initiationMethod", detail.get("initiationMethod")) or "").lower() or None
    one_of(METHODS)("initiationMethod", method)
    subtype = at(detail, "segmentAttributes.connect:Subtype.valueString")
    kind = SUBTYPES.get(subtype.lower()) if isinstance(subtype, str) else None
    groups = at(detail, "agentInfo.hierarchyGroups")
    told = mapped(detail, _FIELDS, method=method, team=team("hierarchyGroups", groups, options, "arn"))
    return told | ({"channel": kind} if kind else {})


def _for_the_one_before(detail: Mapping[str, Any], data: Mapping[str, Any], when: int) -> Iterator[Note]:
    """Yield a fragment for the previous contact: only its successor shows a transfer or a callback."""
    before = text("previousContactId", detail.get("previousContactId"))
    if before is not None and data.get("method") in ("transfer", "queue_transfer", "callback"):
        kind = (text("queueType", at(detail, "queueInfo.queueType")) or "").lower()
        began = instant(
            "initiationTimestamp", detail.get("initiationTimestamp")
        )  # the same in all its events
        to = {"standard": "queue", "agent": "agent"}.get(kind)
        yield Note(before, _NEXT, when if began is None else began, {"method": data["method"], "to": to})


def assemble(notes: Sequence[Note], options: Options) -> Iterator[Sent]:
    told: dict[str, Any] = {}
    for note in notes:
        if note.kind != _NEXT:
            told |= note.data
    handled = "connected" in told
    direction = METHODS[told.get("method", "inbound")]
    if not direction or "disconnected" not in told or not (handled or "queue" in told):
        return
    following = [note.data for note in notes if note.kind == _NEXT]
    outcome = "answered" if handled else _left(following)
    contact = next(note.contact for note in notes)
    data: dict[str, Any] = {
        "contact_id": told.get("initial", contact),
        "segment_id": contact,
        "queue": _outbound_queue(options) if direction == "outbound" else UNKNOWN_QUEUE,
        **{name: told[name] for name in _SAME if name in told},
        **_times(told, outcome),
        "direction": direction,
        "outcome": outcome,
        "transfer": _transfer(following) if handled else "none",
    }
    yield Sent("call-completed", data)


_SAME: Final = ("customer_id", "agent_id", "team", "queue", "channel", "hold_s", "acw_s")


def _outbound_queue(options: Options) -> str:
    named = options.get("outbound_queue")
    return named if isinstance(named, str) and named.strip() else UNKNOWN_QUEUE


def _left(following: Sequence[Mapping[str, Any]]) -> str:
    """Return the outcome of a contact that left its queue without an agent."""
    methods = {data["method"] for data in following}
    if "callback" in methods:
        return "callback"
    return "overflow" if methods else "abandoned"


def _transfer(following: Sequence[Mapping[str, Any]]) -> str:
    moved = [data for data in following if data["method"] != "callback"]
    if not moved:
        return "none"
    return "agent" if any(data["to"] == "agent" for data in moved) else "queue"


def _times(told: Mapping[str, Any], outcome: str) -> dict[str, Any]:
    """Return times and wait. A negative wait or a queue after the end is unknown: several clocks differ."""
    ended = max(told["disconnected"], told.get("worked", 0))
    found: dict[str, Any] = {"ended_at": ended / 1000}
    queued = told.get("queued")
    if queued is not None and queued <= ended:
        found["queued_at"] = queued / 1000
    if told.get("method") == "callback":  # nobody waited on the line
        return found | {"channel": "callback"}
    until = told.get("connected") if outcome == "answered" else told.get("dequeued")
    if until is None and outcome == "abandoned":
        until = told["disconnected"]
    if queued is not None and until is not None and until >= queued:
        found["wait_s"] = (until - queued) / 1000
    return found


SOURCE: Final = Source(
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

What to know
  Nothing is published before a contact is known to be DISCONNECTED, nor of contacts that saw
  neither queue nor agent, nor of MONITOR and EXTERNAL_OUTBOUND.
  A contact whose CONNECTED_TO_AGENT and COMPLETED are both lost is taken for abandoned unless its
  DISCONNECTED names when the agent was connected (it usually does).
  The events have no talk time: talk_s stays unknown, and handle_time_seconds has no data. If you
  want it, use the contact records (`streamer sources amazon-connect`) instead. Not both: each would
  count twice.
  They have ids, not names: tell the names in [names]. A transfer to a telephone outside leaves no
  event.

Options, in streamer.toml
  [sources.amazon-connect-events]
  team_level = 0                 level 1 to 5 of the hierarchy that is the team; 0: the deepest
                                 there is
  outbound_queue = "outbound"    the queue of outbound contacts, whose events name none

How to connect it
  An EventBridge rule with source aws.connect and this detail type, and as its target either a pipe
  or a connector to the Kafka topic ingest-amazon-connect-events (then `streamer ingest
  amazon-connect-events`), or an API destination that posts to /ingest/amazon-connect-events of
  `streamer serve`, its connection with an API key: the header X-Api-Key, and the secret as its
  value. The whole event is expected, detail-type, time and detail; other detail types are passed
  over. For a test: `streamer replay FILE --format amazon-connect-events`, an event per line.
""",
    read=read,
    assemble=assemble,
    options={"team_level": 0, "outbound_queue": "outbound"},
)
