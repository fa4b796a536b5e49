"""Adapter for FreeSWITCH's mod_callcenter: its events `CUSTOM callcenter::info` as JSON objects."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import telephone
from streamer.events.adapters.fields import (
    Field,
    epoch_s,
    epoch_us,
    first,
    mapped,
    required,
    since_epoch,
    text,
)
from streamer.events.adapters.source import Note, Options, Sent, Source

START: Final = "member-queue-start"
RESUME: Final = "member-queue-resume"
_BRIDGE_END: Final = "bridge-agent-end"
_QUEUE_END: Final = "member-queue-end"
_ACTIONS: Final = frozenset({START, RESUME, "bridge-agent-start", _BRIDGE_END, _QUEUE_END})
OUTCOMES: Final[Mapping[str, str]] = {
    "BREAK_OUT": "abandoned",
    "TIMEOUT": "timeout",
    "NO_AGENT_TIMEOUT": "overflow",
    "EXIT_WITH_KEY": "overflow",
}
_FIELDS: Final[Mapping[str, Field]] = {
    "member": Field(text, "CC-Member-UUID"),
    "queue": Field(text, "CC-Queue"),
    "agent_id": Field(text, "CC-Agent"),
    "cause": Field(text, "CC-Cause"),
    "why": Field(text, "CC-Cancel-Reason"),
    "joined": Field(epoch_s, "CC-Member-Joined-Time"),
    "answered": Field(epoch_s, "CC-Agent-Answered-Time"),
    "terminated": Field(epoch_s, "CC-Bridge-Terminated-Time"),
    "left": Field(epoch_s, "CC-Member-Leaving-Time"),
}
_CONTACT: Final = Field(text, "CC-Member-Session-UUID")
_FIRED: Final = Field(epoch_us, "Event-Date-Timestamp")


def read(payload: Any, options: Options) -> Iterator[Note]:
    action = text("CC-Action", payload.get("CC-Action"))
    if action not in _ACTIONS:
        return
    data, contact = mapped(payload, _FIELDS), _CONTACT(payload)
    number = telephone.customer("CC-Member-CID-Number", payload.get("CC-Member-CID-Number"), options)
    data |= {"customer_id": number} if number else {}
    times = (data.get(name) for name in ("left", "terminated", "answered", "joined"))
    moment = first((_FIRED(payload), *times))
    found = {
        "CC-Member-Session-UUID": contact,
        "CC-Member-UUID": data.get("member"),
        "CC-Queue": data.get("queue"),
        "Event-Date-Timestamp": moment,
    }
    required(found, *found)
    yield Note(contact, action, round(moment * 1000), data)


def assemble(notes: Sequence[Note], options: Options) -> Iterator[Sent]:
    for member in dict.fromkeys(note.data["member"] for note in notes):
        own = [note for note in notes if note.data["member"] == member]
        if data := _segment(own, notes, options):
            yield Sent("call-completed", data)


def _segment(own: Sequence[Note], notes: Sequence[Note], options: Options) -> dict[str, Any] | None:
    def said(name: str) -> Any:
        return first(note.data.get(name) for note in own)

    ended_at = first((said("terminated"), said("left")))
    if ended_at is None:
        return None
    answered = any(note.kind == _BRIDGE_END or note.data.get("cause") == "Terminated" for note in own)
    joined = first((*_started(own, RESUME), said("joined"), *_started(own, START)))
    data = {
        "contact_id": own[0].contact,
        "segment_id": said("member"),
        "customer_id": first(note.data.get("customer_id") for note in notes),
        "queue": said("queue"),
        "queued_at": joined,
        "ended_at": ended_at,
        "wait_s": _between(joined, said("answered") if answered else ended_at),
    }
    if answered:
        data |= {"agent_id": said("agent_id"), "talk_s": _between(said("answered"), ended_at)}
        data |= {"outcome": "answered", "transfer": "queue" if _again(own, notes, ended_at) else None}
    else:
        data["outcome"] = {**OUTCOMES, **options["outcomes"]}.get(said("why"), "abandoned")
    return {name: value for name, value in data.items() if value is not None}


def _started(own: Sequence[Note], kind: str) -> list[int]:
    """Return the times of these fragments in whole seconds, as all other times are.

    A fraction could make a short wait negative.
    """
    return [note.at // 1000 for note in own if note.kind == kind]


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def _again(own: Sequence[Note], notes: Sequence[Note], ended_at: float) -> bool:
    """Tell whether the caller entered another queue after speaking to an agent."""
    return any(
        note.kind in (START, RESUME) and since_epoch(note.at) >= ended_at for note in notes if note not in own
    )


SOURCE: Final = Source(
    name="freeswitch",
    title="FreeSWITCH mod_callcenter events",
    help=f"""\
FreeSWITCH's mod_callcenter fires an event CUSTOM callcenter::info for each thing that happens to a
member of a queue. Subscribe to them as JSON (`event json CUSTOM callcenter::info`), and send each
as one record to ingest-freeswitch. Every stay in a queue becomes one call-completed event once it
has ended, whatever order the events come in.

What is read
  CC-Member-Session-UUID         contact_id: the caller's channel
  CC-Member-UUID                 segment_id: one stay in one queue
  CC-Member-CID-Number           customer_id
  CC-Queue, CC-Agent             queue, agent_id, as they are: support@default
  CC-Member-Joined-Time          queued_at; missing, or after a resume, the event's own time
  CC-Agent-Answered-Time         wait_s is answered less joined
  CC-Bridge-Terminated-Time      ended_at; talk_s is terminated less answered
  CC-Member-Leaving-Time         ended_at where no agent answered; wait_s is leaving less joined
  CC-Cause Terminated            answered
  CC-Cause Cancel                by CC-Cancel-Reason: BREAK_OUT abandoned, TIMEOUT timeout,
                                 NO_AGENT_TIMEOUT overflow, EXIT_WITH_KEY overflow, else abandoned
Of the CC-Actions member-queue-start, member-queue-resume, bridge-agent-start, bridge-agent-end and
member-queue-end. All others (members-count, agent-offering, bridge-agent-fail, …) are ignored.

What to know
  Times are whole seconds; 0 is how mod_callcenter says that it never happened, and so it is read.
  Time on hold is within the talk time, and after-call work is not told of: hold_s and acw_s stay
  unknown, never 0.
  A transfer is known only by the same caller entering another queue afterwards: transfer = queue.
  That an agent passed a call on to a colleague or outside is not in these events.
  With abandoned-resume-allowed a caller who calls again keeps the place, and FreeSWITCH gives both
  calls one member UUID: they count as one stay, that of the call of which more is told, so of an
  answered one.

Options of [sources.freeswitch]
{telephone.HELP}
  outcomes = {{}}            other outcomes by CC-Cancel-Reason: {{ EXIT_WITH_KEY = "callback" }}
""",
    read=read,
    assemble=assemble,
    options={**telephone.OPTIONS, "outcomes": {}},
)
