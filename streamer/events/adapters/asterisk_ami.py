"""Adapter for queue events of Asterisk's manager interface (AMI), as JSON objects of headers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from streamer.events.adapters import phone_customers
from streamer.events.adapters.asterisk_events import AMI_EVENT_NAMES
from streamer.events.adapters.asterisk_members import (
    MEMBER_EVENTS,
    OFFER,
    member_state,
    read_agent_contact,
    read_member_report,
)
from streamer.events.adapters.fields import (
    FieldReader,
    epoch_seconds,
    first_known,
    known_values,
    map_fields,
    payload_error,
    read_epoch_s,
    read_seconds,
    read_text,
    require_fields,
)
from streamer.events.adapters.queue_stays import QueueStay, numbered_segments, stay_states
from streamer.events.adapters.queue_visits import QueueVisit, order_entries, queue_visits
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.adapters.timelines import LIST_MS, RESTART, WAITING_LIST, sweep_fragment

ENTRY: Final = "QueueCallerJoin"
_ANSWERED: Final = frozenset({"AgentComplete"})
_ABANDONED: Final = frozenset({"QueueCallerAbandon"})
_LEFT: Final = frozenset({"QueueCallerLeave"})
_TRANSFERS: Final = frozenset({"BlindTransfer", "AttendedTransfer"})
_HOLDS: Final = frozenset({"Hold", "Unhold"})
_SNAPSHOT: Final = frozenset({"QueueParams", "QueueMember", "QueueEntry"})
_RUNNING: Final = frozenset({"Shutdown", "FullyBooted"})
_ELSEWHERE: Final = "QueueCallerJoin elsewhere"
_IN_QUEUE: Final[Mapping[str, FieldReader]] = {
    "call": FieldReader(read_text, "Uniqueid"),
    "queue": FieldReader(read_text, "Queue"),
}
_AGENT: Final = {**_IN_QUEUE, "agent_id": FieldReader(read_text, "Interface", "MemberName")}
_AGENT_LEG: Final = {**_AGENT, "leg": FieldReader(read_text, "DestUniqueid")}
_FIELDS: Final[Mapping[str, Mapping[str, FieldReader]]] = {
    ENTRY: _IN_QUEUE,
    "QueueCallerLeave": _IN_QUEUE,
    "QueueCallerAbandon": {**_IN_QUEUE, "wait_s": FieldReader(read_seconds, "HoldTime")},
    OFFER: _AGENT,
    "AgentRingNoAnswer": _AGENT,
    "AgentDump": _AGENT_LEG,
    "AgentConnect": {**_AGENT_LEG, "wait_s": FieldReader(read_seconds, "HoldTime")},
    "AgentComplete": {
        **_AGENT_LEG,
        "wait_s": FieldReader(read_seconds, "HoldTime"),
        "talk_s": FieldReader(read_seconds, "TalkTime"),
        "why": FieldReader(read_text, "Reason"),
    },
    "BlindTransfer": {
        "call": FieldReader(read_text, "TransfereeUniqueid"),
        "context": FieldReader(read_text, "Context"),
    },
    "AttendedTransfer": {"call": FieldReader(read_text, "TransfereeUniqueid")},
    "Hold": {"leg": FieldReader(read_text, "Uniqueid")},
    "Unhold": {"leg": FieldReader(read_text, "Uniqueid")},
    "QueueEntry": {**_IN_QUEUE, "waited_s": FieldReader(read_seconds, "Wait")},
}
_BY_LEG: Final = frozenset({"AgentComplete", "AgentDump"})
"""Events that may lack the caller's channel, and then are found by the agent's."""
_CONTACT: Final = FieldReader(read_text, "Linkedid", "TransfereeLinkedid", "OrigTransfererLinkedid")
_CONTACT_OF_LEG: Final = FieldReader(read_text, "Linkedid", "DestLinkedid")
_TRANSFER_LAG_MS: Final = 2_000
"""Lag (ms) of a transfer behind the end of the visit: different parts of Asterisk report the two."""


def read_ami_event(payload: Any, options: Options) -> Iterator[Fragment]:
    event = read_text("Event", payload.get("Event"))
    if event is None:
        return
    if event in _SNAPSHOT | _RUNNING and payload.get("Timestamp") is None:
        return
    if event in _RUNNING or event == "QueueParams":
        yield from _read_sweep(event, payload)
    if event in MEMBER_EVENTS:
        yield from read_member_report(event, payload, _event_time_ms(payload), options)
    elif event in _FIELDS and (event not in _TRANSFERS or payload.get("Result") == "Success"):
        yield from _read_call_event(event, payload, options)


def _read_sweep(event: str, payload: Any) -> Iterator[Fragment]:
    """Yield that Asterisk stops, or when it began, or that the queue's waiting callers are listed now."""
    at_ms = _event_time_ms(payload)
    if event == "QueueParams":
        queue = read_text("Queue", payload.get("Queue"))
        require_fields({"Queue": queue}, "Queue")
        yield sweep_fragment(WAITING_LIST, at_ms + LIST_MS, queue=queue)
    elif event == "Shutdown":
        yield sweep_fragment(RESTART, at_ms)
    elif (uptime_s := read_seconds("Uptime", payload.get("Uptime"))) is not None:
        yield sweep_fragment(RESTART, at_ms - round(uptime_s * 1000))


def _read_call_event(event: str, payload: Any, options: Options) -> Iterator[Fragment]:
    data = map_fields(payload, _FIELDS[event])
    if event == ENTRY:
        number = phone_customers.read_phone_customer("CallerIDNum", payload.get("CallerIDNum"), options)
        data |= {"customer_id": number} if number else {}
    contact, time_ms = _contact_id(event, payload, data), _event_time_ms(payload)
    require_fields({"Linkedid": contact}, "Linkedid")
    if event in _BY_LEG and "leg" in data:
        require_fields({"Queue": data.get("queue")}, "Queue")
    elif event not in _TRANSFERS | _HOLDS:
        require_fields({"Uniqueid": data.get("call"), "Queue": data.get("queue")}, "Uniqueid", "Queue")
    assert contact is not None
    yield Fragment(contact, event, time_ms, data)
    yield from read_agent_contact(event, contact, data, time_ms)


def _contact_id(event: str, payload: Any, data: Mapping[str, Any]) -> str | None:
    """Return the contact. A waiting caller in a snapshot has no Linkedid, which mostly is the Uniqueid."""
    if event == "QueueEntry":
        contact: str | None = data.get("call")
    else:
        contact = (_CONTACT_OF_LEG if event in _BY_LEG else _CONTACT)(payload)
    return contact


def _event_time_ms(payload: Any) -> int:
    time_s = read_epoch_s("Timestamp", payload.get("Timestamp"))
    if time_s is None:
        raise payload_error("no-time", "Timestamp", None, "a time: set timestampevents = yes in manager.conf")
    return round(time_s * 1000)


def assemble_ami_call(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    in_queue = _fragments_in_queue(fragments)
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


def _fragments_in_queue(fragments: Sequence[Fragment]) -> list[Fragment]:
    """Return the fragments that name a call in a queue, or an agent's leg that was connected to one."""
    calls_by_leg: dict[str, str] = {}
    found = []
    for fragment in fragments:
        data = fragment.data
        if fragment.kind == "AgentConnect" and "leg" in data:
            calls_by_leg[data["leg"]] = data["call"]
        if "leg" in data and "queue" in data and "call" not in data and data["leg"] in calls_by_leg:
            found.append(replace(fragment, data={**data, "call": calls_by_leg[data["leg"]]}))
        elif "queue" in data and "call" in data:
            found.append(fragment)
    return found


def ami_contact_states(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    in_queue = _fragments_in_queue(fragments)
    for call, queue in dict.fromkeys(
        (fragment.data["call"], fragment.data["queue"]) for fragment in in_queue
    ):
        own_fragments = _fragments_of_stays(call, queue, fragments, in_queue)
        yield from stay_states(
            [*order_entries(own_fragments, ENTRY, _ANSWERED | _ABANDONED)],
            queue,
            numbered_segments(call, queue),
            _advance_stay,
        )


def _fragments_of_stays(
    call: str, queue: str, fragments: Sequence[Fragment], in_queue: Sequence[Fragment]
) -> list[Fragment]:
    """Return, in order, the fragments of a call in a queue, the holds of its agents, that the caller entered
    another queue after leaving this one, and sweeps."""
    found: list[Fragment] = [
        fragment for fragment in in_queue if (fragment.data["call"], fragment.data["queue"]) == (call, queue)
    ]
    connects = [fragment for fragment in found if fragment.kind == "AgentConnect"]
    left_ms = min((fragment.at for fragment in found if fragment.kind in _LEFT), default=None)
    for fragment in fragments:
        is_listed = fragment.kind == WAITING_LIST and fragment.data["queue"] == queue
        is_hold = fragment.kind in _HOLDS and any(_is_on_leg(fragment, connect) for connect in connects)
        is_elsewhere = fragment.kind == ENTRY and fragment not in found
        if is_listed or is_hold or fragment.kind == RESTART:
            found.append(fragment)
        elif is_elsewhere and left_ms is not None and fragment.at >= left_ms:
            found.append(replace(fragment, kind=_ELSEWHERE))
    return sorted(found, key=lambda fragment: fragment.at)


def _is_on_leg(hold: Fragment, connect: Fragment) -> bool:
    """Tell whether it was the agent who was connected that pressed hold."""
    return connect.at <= hold.at and connect.data.get("leg") == hold.data.get("leg")


def _advance_stay(stay: QueueStay, fragment: Fragment) -> None:
    """Apply an event.

    A caller leaves the queue for an agent too, who may first hear an announcement. Leaving ends the stay if
    nobody was rung, or if the caller then enters another queue without having been connected.
    """
    kind, agent_id = fragment.kind, fragment.data.get("agent_id")
    if kind == ENTRY:
        stay.enter(fragment.at)
    elif kind == "QueueEntry" and stay.state is None:
        stay.enter(fragment.at - round(fragment.data.get("waited_s", 0) * 1000))
    elif kind == OFFER:
        stay.offer(agent_id)
    elif kind == "AgentRingNoAnswer":
        stay.withdraw_offer(agent_id)
    elif kind == "AgentConnect":
        stay.connect(agent_id)
    elif kind in _HOLDS:
        stay.hold(kind == "Hold")
    elif kind in _ANSWERED | _ABANDONED:
        stay.end()
    elif kind == "AgentDump":
        stay.end(is_final=False)
    elif kind in _LEFT:
        stay.has_left = True
        if stay.state in (None, "queued"):
            stay.end(is_final=False)
    elif kind == _ELSEWHERE and stay.has_left and stay.state == "offered":
        stay.end(is_final=False)


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
    return known_values(data)


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
call-completed event once it has ended, and contact-state events until then; every agent's
agent-state events; whatever order the events come in.

In manager.conf: timestampevents = yes, else no event has a time (Timestamp) and all are refused.
The manager's user reads the classes agent and call, and system to hear of restarts (Shutdown).

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
  QueueMember…, one per queue    one agent: away is who is paused in all queues, else the queues
                                 that are not paused are served. Status is the phone's: in use is
                                 busy (private calls too), ringing offered, unreachable offline
  LastCall + Wrapuptime          end of wrap_up: of the member, else of the queue (see below)
Snapshots: have the bridge send the action QueueStatus when it starts, and every minute or so, and
add Timestamp to the QueueParams, QueueMember and QueueEntry it gets; without one they are passed
over. They tell of members whom no event tells of: static ones, and realtime ones that were changed
in the database; and whose wait was lost: who is not among a queue's entries has gone. QueueEntry
has no Linkedid: the Uniqueid is taken, which is the same for a call that begins with its caller.

What to know
  Time on hold is part of TalkTime and cannot be separated: hold_s stays unknown, never 0.
  After-call work is not reported either: acw_s is unknown.
  AMI reports a time-out, or a queue without agents, like a caller who gave up: abandoned.
  Where that difference matters take the queue_log (asterisk-queue-log), but not both: a call would
  count twice.
  IsExternal means that the phone transferred by itself, not that the call left the center.
  A stay without an end, as after a crash, is not counted. Shutdown ends what is under way; without
  it, a snapshot ends what waited, and what was connected shows up to live_limit.
  A caller who leaves by a key while agents are rung shows as offered until then, too.
  A member Local/… without StateInterface has no phone that is known: busy is only who was
  connected, and an offer that another agent took is over with the next event of this one.

Options of [sources.asterisk-ami]
{phone_customers.HELP}
  external_contexts = []   contexts of the dial plan that lead outside, such as ["outbound"]
  wrap_up_s = {{}}           wrap-up of queues, which AMI does not tell, where members have none of
                           their own: {{ billing = 15, "*" = 10 }}
  heart_beat_s = 0         how often the bridge takes snapshots: an agent whom three of them no
                           longer have is unknown
""",
    read=read_ami_event,
    assemble=assemble_ami_call,
    contact_states=ami_contact_states,
    agent_state=member_state,
    options={**phone_customers.OPTIONS, "external_contexts": [], "wrap_up_s": {}, "heart_beat_s": 0},
    sweeps=True,
    minor_kinds=frozenset({OFFER, "AgentRingNoAnswer"}),
    event_names=AMI_EVENT_NAMES,
)
