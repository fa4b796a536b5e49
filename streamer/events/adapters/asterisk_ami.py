"""Adapter for queue events of Asterisk's manager interface (AMI), as JSON objects of headers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import phone_customers
from streamer.events.adapters.fields import (
    FieldReader,
    epoch_seconds,
    first_known,
    map_fields,
    payload_error,
    read_epoch_s,
    read_seconds,
    read_text,
    require_fields,
)
from streamer.events.adapters.queue_visits import QueueVisit, queue_visits
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter

ENTRY: Final = "QueueCallerJoin"
_ANSWERED: Final = frozenset({"AgentComplete"})
_ABANDONED: Final = frozenset({"QueueCallerAbandon"})
_LEFT: Final = frozenset({"QueueCallerLeave"})
_TRANSFERS: Final = frozenset({"BlindTransfer", "AttendedTransfer"})
_IN_QUEUE: Final[Mapping[str, FieldReader]] = {
    "call": FieldReader(read_text, "Uniqueid"),
    "queue": FieldReader(read_text, "Queue"),
}
_AGENT: Final = {**_IN_QUEUE, "agent_id": FieldReader(read_text, "Interface", "MemberName")}
_FIELDS: Final[Mapping[str, Mapping[str, FieldReader]]] = {
    ENTRY: _IN_QUEUE,
    "QueueCallerLeave": _IN_QUEUE,
    "QueueCallerAbandon": {**_IN_QUEUE, "wait_s": FieldReader(read_seconds, "HoldTime")},
    "AgentConnect": {**_AGENT, "wait_s": FieldReader(read_seconds, "HoldTime")},
    "AgentComplete": {
        **_AGENT,
        "wait_s": FieldReader(read_seconds, "HoldTime"),
        "talk_s": FieldReader(read_seconds, "TalkTime"),
        "why": FieldReader(read_text, "Reason"),
    },
    "BlindTransfer": {
        "call": FieldReader(read_text, "TransfereeUniqueid"),
        "context": FieldReader(read_text, "Context"),
    },
    "AttendedTransfer": {"call": FieldReader(read_text, "TransfereeUniqueid")},
}
_CONTACT: Final = FieldReader(read_text, "Linkedid", "TransfereeLinkedid", "OrigTransfererLinkedid")
_TRANSFER_LAG_MS: Final = 2_000
"""Lag (ms) of a transfer behind the end of the visit: different parts of Asterisk report the two."""


def read_ami_event(payload: Any, options: Options) -> Iterator[Fragment]:
    event = read_text("Event", payload.get("Event"))
    if event is None or event not in _FIELDS or (event in _TRANSFERS and payload.get("Result") != "Success"):
        return
    data = map_fields(payload, _FIELDS[event])
    if event == ENTRY:
        number = phone_customers.read_phone_customer("CallerIDNum", payload.get("CallerIDNum"), options)
        data |= {"customer_id": number} if number else {}
    contact, time_ms = _CONTACT(payload), _event_time_ms(payload)
    require_fields({"Linkedid": contact}, "Linkedid")
    if event not in _TRANSFERS:
        require_fields({"Uniqueid": data.get("call"), "Queue": data.get("queue")}, "Uniqueid", "Queue")
    assert contact is not None
    yield Fragment(contact, event, time_ms, data)


def _event_time_ms(payload: Any) -> int:
    time_s = read_epoch_s("Timestamp", payload.get("Timestamp"))
    if time_s is None:
        raise payload_error("no-time", "Timestamp", None, "a time: set timestampevents = yes in manager.conf")
    return round(time_s * 1000)


def assemble_ami_call(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    in_queue = [fragment for fragment in fragments if "queue" in fragment.data]
    transfers = [fragment for fragment in fragments if fragment.kind in _TRANSFERS]
    for call, queue in dict.fromkeys(
        (fragment.data["call"], fragment.data["queue"]) for fragment in in_queue
    ):
        visit_fragments = [
            fragment
            for fragment in in_queue
            if (fragment.data["call"], fragment.data["queue"]) == (call, queue)
        ]
        for visit in queue_visits(visit_fragments, ENTRY, _end_kinds(visit_fragments, in_queue)):
            data = _segment(visit, in_queue, transfers, options)
            customer = first_known(fragment.data.get("customer_id") for fragment in fragments)
            yield OutgoingEvent(
                "call-completed", data if customer is None else {**data, "customer_id": customer}
            )


def _end_kinds(visit_fragments: Sequence[Fragment], queue_fragments: Sequence[Fragment]) -> frozenset[str]:
    """Return the kinds of fragment that end a visit.

    A caller leaves the queue for an agent too. Leaving ends the visit only if no agent took the call and
    the caller entered a queue again.
    """
    is_taken = any(
        fragment.kind in ("AgentConnect", "AgentComplete", "QueueCallerAbandon")
        for fragment in visit_fragments
    )
    last_ms = max(fragment.at for fragment in visit_fragments)
    reentered = any(
        fragment.kind == ENTRY and fragment.at >= last_ms and fragment not in visit_fragments
        for fragment in queue_fragments
    )
    return _ANSWERED | _ABANDONED | (_LEFT if reentered and not is_taken else frozenset())


def _segment(
    visit: QueueVisit, fragments: Sequence[Fragment], transfers: Sequence[Fragment], options: Options
) -> dict[str, Any]:
    end, entry = visit.end, visit.entry
    call, queue = end.data["call"], end.data["queue"]
    data = {
        "contact_id": end.contact,
        "segment_id": f"{call}/{queue}/{visit.visit_number}",
        "queue": queue,
        "queued_at": epoch_seconds(entry.at) if entry else None,
        "ended_at": epoch_seconds(end.at),
        "wait_s": first_known(fragment.data.get("wait_s") for fragment in (*visit.other_fragments, end)),
        "outcome": "overflow" if end.kind in _LEFT else "abandoned",
    }
    if end.kind in _ANSWERED:
        data |= {
            "agent_id": end.data.get("agent_id"),
            "talk_s": end.data.get("talk_s"),
            "outcome": "answered",
        }
        data["transfer"] = _transfer(visit, fragments, transfers, options)
    return {name: value for name, value in data.items() if value is not None}


def _transfer(
    visit: QueueVisit, fragments: Sequence[Fragment], transfers: Sequence[Fragment], options: Options
) -> str | None:
    end, start_ms = visit.end, visit.entry.at if visit.entry else 0
    if any(
        fragment.kind == ENTRY and fragment.at >= end.at
        for fragment in fragments
        if fragment is not visit.entry
    ):
        return "queue"
    visit_transfers = [
        fragment
        for fragment in transfers
        if start_ms <= fragment.at <= end.at + _TRANSFER_LAG_MS
        and fragment.data.get("call") in (None, end.data["call"])
    ]
    if any(fragment.data.get("context") in options["external_contexts"] for fragment in visit_transfers):
        return "external"
    return "agent" if visit_transfers or end.data.get("why") == "transfer" else None


SOURCE: Final = SourceAdapter(
    name="asterisk-ami",
    title="Asterisk manager (AMI) queue events",
    help=f"""\
Asterisk 12 and newer reports its queues by events of the manager interface. A bridge sends each as
one JSON object, header to value, to ingest-asterisk-ami. Every stay in a queue becomes one
call-completed event once it has ended, whatever order the events come in.

In manager.conf: timestampevents = yes, else no event has a time (Timestamp) and all are refused.
The manager's user reads the classes agent and call.

What is read
  Linkedid                       contact_id: all channels of one call have the same
  Uniqueid, Queue, number        segment_id: a call may enter several queues, or one of them twice
  Interface, else MemberName     agent_id
  QueueCallerJoin                queued_at; CallerIDNum is the customer
  QueueCallerAbandon             abandoned; HoldTime is wait_s
  AgentConnect                   HoldTime is wait_s: the wait in the queue, not time on hold
  AgentComplete                  answered, ended_at, TalkTime is talk_s; Reason may say transfer
  BlindTransfer,                 transfer, where Result is Success: queue if the call then enters a
  AttendedTransfer               queue, else external (see below) or agent
  QueueCallerLeave               overflow, if no agent took the call and it then enters a queue
AgentCalled, AgentRingNoAnswer, members' and channels' events and all else are ignored.

What to know
  Time on hold is part of TalkTime and cannot be separated: hold_s stays unknown, never 0.
  After-call work is not reported either: acw_s is unknown.
  AMI reports a time-out, or a queue without agents, like a caller who gave up: abandoned.
  Where that difference matters take the queue_log (asterisk-queue-log), but not both: a call would
  count twice.
  IsExternal means that the phone transferred by itself, not that the call left the center.
  A stay without an end, as after a crash, is not counted.

Options of [sources.asterisk-ami]
{phone_customers.HELP}
  external_contexts = []   contexts of the dial plan that lead outside, such as ["outbound"]
""",
    read=read_ami_event,
    assemble=assemble_ami_call,
    options={**phone_customers.OPTIONS, "external_contexts": []},
)
