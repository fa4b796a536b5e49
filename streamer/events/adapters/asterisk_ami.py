"""Adapter for queue events of Asterisk's manager interface (AMI), as JSON objects of headers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import telephone
from streamer.events.adapters.fields import (
    Field,
    epoch_s,
    first,
    mapped,
    required,
    seconds,
    since_epoch,
    text,
    wrong,
)
from streamer.events.adapters.source import Note, Options, Sent, Source
from streamer.events.adapters.stays import Stay, stays

ENTRY: Final = "QueueCallerJoin"
_ANSWERED: Final = frozenset({"AgentComplete"})
_ABANDONED: Final = frozenset({"QueueCallerAbandon"})
_LEFT: Final = frozenset({"QueueCallerLeave"})
_TRANSFERS: Final = frozenset({"BlindTransfer", "AttendedTransfer"})
_IN_QUEUE: Final[Mapping[str, Field]] = {
    "call": Field(text, "Uniqueid"),
    "queue": Field(text, "Queue"),
}
_AGENT: Final = {**_IN_QUEUE, "agent_id": Field(text, "Interface", "MemberName")}
_FIELDS: Final[Mapping[str, Mapping[str, Field]]] = {
    ENTRY: _IN_QUEUE,
    "QueueCallerLeave": _IN_QUEUE,
    "QueueCallerAbandon": {**_IN_QUEUE, "wait_s": Field(seconds, "HoldTime")},
    "AgentConnect": {**_AGENT, "wait_s": Field(seconds, "HoldTime")},
    "AgentComplete": {
        **_AGENT,
        "wait_s": Field(seconds, "HoldTime"),
        "talk_s": Field(seconds, "TalkTime"),
        "why": Field(text, "Reason"),
    },
    "BlindTransfer": {"call": Field(text, "TransfereeUniqueid"), "context": Field(text, "Context")},
    "AttendedTransfer": {"call": Field(text, "TransfereeUniqueid")},
}
_CONTACT: Final = Field(text, "Linkedid", "TransfereeLinkedid", "OrigTransfererLinkedid")
_LATE_MS: Final = 2_000
"""Lag (ms) of a transfer behind the end of the visit: different parts of Asterisk report the two."""


def read(payload: Any, options: Options) -> Iterator[Note]:
    event = text("Event", payload.get("Event"))
    if event is None or event not in _FIELDS or (event in _TRANSFERS and payload.get("Result") != "Success"):
        return
    data = mapped(payload, _FIELDS[event])
    if event == ENTRY:
        number = telephone.customer("CallerIDNum", payload.get("CallerIDNum"), options)
        data |= {"customer_id": number} if number else {}
    contact, at = _CONTACT(payload), _moment(payload)
    required({"Linkedid": contact}, "Linkedid")
    if event not in _TRANSFERS:
        required({"Uniqueid": data.get("call"), "Queue": data.get("queue")}, "Uniqueid", "Queue")
    assert contact is not None
    yield Note(contact, event, at, data)


def _moment(payload: Any) -> int:
    found = epoch_s("Timestamp", payload.get("Timestamp"))
    if found is None:
        raise wrong("no-time", "Timestamp", None, "a time: set timestampevents = yes in manager.conf")
    return round(found * 1000)


def assemble(notes: Sequence[Note], options: Options) -> Iterator[Sent]:
    in_queue = [note for note in notes if "queue" in note.data]
    transfers = [note for note in notes if note.kind in _TRANSFERS]
    for call, queue in dict.fromkeys((note.data["call"], note.data["queue"]) for note in in_queue):
        own = [note for note in in_queue if (note.data["call"], note.data["queue"]) == (call, queue)]
        for stay in stays(own, ENTRY, _ends(own, in_queue)):
            data = _segment(stay, in_queue, transfers, options)
            customer = first(note.data.get("customer_id") for note in notes)
            yield Sent("call-completed", data if customer is None else {**data, "customer_id": customer})


def _ends(own: Sequence[Note], all_of_them: Sequence[Note]) -> frozenset[str]:
    """Return the kinds of fragment that end a visit.

    A caller leaves the queue for an agent too. Leaving ends the visit only if no agent took the call and
    the caller entered a queue again.
    """
    taken = any(note.kind in ("AgentConnect", "AgentComplete", "QueueCallerAbandon") for note in own)
    last = max(note.at for note in own)
    again = any(note.kind == ENTRY and note.at >= last and note not in own for note in all_of_them)
    return _ANSWERED | _ABANDONED | (_LEFT if again and not taken else frozenset())


def _segment(
    stay: Stay, notes: Sequence[Note], transfers: Sequence[Note], options: Options
) -> dict[str, Any]:
    end, entry = stay.end, stay.entry
    call, queue = end.data["call"], end.data["queue"]
    data = {
        "contact_id": end.contact,
        "segment_id": f"{call}/{queue}/{stay.order}",
        "queue": queue,
        "queued_at": since_epoch(entry.at) if entry else None,
        "ended_at": since_epoch(end.at),
        "wait_s": first(note.data.get("wait_s") for note in (*stay.within, end)),
        "outcome": "overflow" if end.kind in _LEFT else "abandoned",
    }
    if end.kind in _ANSWERED:
        data |= {
            "agent_id": end.data.get("agent_id"),
            "talk_s": end.data.get("talk_s"),
            "outcome": "answered",
        }
        data["transfer"] = _transfer(stay, notes, transfers, options)
    return {name: value for name, value in data.items() if value is not None}


def _transfer(stay: Stay, notes: Sequence[Note], transfers: Sequence[Note], options: Options) -> str | None:
    end, start = stay.end, stay.entry.at if stay.entry else 0
    if any(note.kind == ENTRY and note.at >= end.at for note in notes if note is not stay.entry):
        return "queue"
    own = [note for note in transfers if start <= note.at <= end.at + _LATE_MS and _of(note, end)]
    if any(note.data.get("context") in options["external_contexts"] for note in own):
        return "external"
    return "agent" if own or end.data.get("why") == "transfer" else None


def _of(transfer: Note, end: Note) -> bool:
    return transfer.data.get("call") in (None, end.data["call"])


SOURCE: Final = Source(
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
{telephone.HELP}
  external_contexts = []   contexts of the dial plan that lead outside, such as ["outbound"]
""",
    read=read,
    assemble=assemble,
    options={**telephone.OPTIONS, "external_contexts": []},
)
