"""Adapter for Asterisk's queue_log: one line for each event of a call in a queue."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import telephone
from streamer.events.adapters.fields import epoch_s, first, required, seconds, since_epoch, text
from streamer.events.adapters.source import Note, Options, Sent, Source
from streamer.events.adapters.stays import Stay, stays
from streamer.events.envelopes import WrongError

ENTRY: Final = "ENTERQUEUE"
ANSWERED: Final = frozenset(
    {"COMPLETEAGENT", "COMPLETECALLER", "TRANSFER", "BLINDTRANSFER", "ATTENDEDTRANSFER"}
)
TRANSFERRED: Final = ANSWERED - {"COMPLETEAGENT", "COMPLETECALLER"}
OUTCOMES: Final[Mapping[str, str]] = {
    "ABANDON": "abandoned",
    "EXITWITHTIMEOUT": "timeout",
    "EXITEMPTY": "overflow",
    "EXITWITHKEY": "overflow",
}
_ENDS: Final = ANSWERED | OUTCOMES.keys()
_TALK: Final = {"wait_s": 0, "talk_s": 1}
_TRANSFER: Final = {"context": 1, "wait_s": 2, "talk_s": 3}
_DATA: Final[Mapping[str, Mapping[str, int]]] = {
    ENTRY: {},
    "CONNECT": {"wait_s": 0},
    "COMPLETEAGENT": _TALK,
    "COMPLETECALLER": _TALK,
    "TRANSFER": _TRANSFER,
    "BLINDTRANSFER": _TRANSFER,
    # Counted from the end: how the bridges were joined takes two fields, or three.
    "ATTENDEDTRANSFER": {"wait_s": -3, "talk_s": -2},
    "ABANDON": {"wait_s": 2},
    "EXITWITHTIMEOUT": {"wait_s": 2},
    "EXITEMPTY": {"wait_s": 2},
    "EXITWITHKEY": {"key": 0, "wait_s": 3},
}
"""Positions of the fields read from an event's details."""
_NO_CALL: Final = frozenset({"", "NONE", "REALTIME"})


def read(line: str, options: Options) -> Iterator[Note]:
    if not line.strip():
        return
    fields = [field.strip() for field in line.rstrip("|\r\n ").split("|")]
    if len(fields) < 5:
        raise WrongError("wrong-type", f"the line has {len(fields)} fields, expected 5 or more, divided by |")
    moment, call, queue, agent, event, *own = fields
    if event not in _DATA or call in _NO_CALL:
        return
    at = epoch_s("time", moment)
    data = {"queue": _known(queue), "agent_id": _known(agent), **_own(event, own)}
    if event == ENTRY:
        data["customer_id"] = telephone.customer("callerid", _place(own, 1), options)
    required({**data, "time": at}, "time", "queue")
    assert at is not None
    yield Note(
        call, event, round(at * 1000), {name: value for name, value in data.items() if value is not None}
    )


def _own(event: str, own: Sequence[str]) -> dict[str, Any]:
    found = {name: _place(own, place) for name, place in _DATA[event].items()}
    return {
        name: seconds(name, value) if name.endswith("_s") else text(name, value)
        for name, value in found.items()
    }


def _place(own: Sequence[str], place: int) -> str | None:
    return own[place] if -len(own) <= place < len(own) else None


def _known(name: str) -> str | None:
    return None if name in ("", "NONE") else name


def assemble(notes: Sequence[Note], options: Options) -> Iterator[Sent]:
    for queue in dict.fromkeys(note.data["queue"] for note in notes):
        of_queue = [note for note in notes if note.data["queue"] == queue]
        for stay in stays(of_queue, ENTRY, _ENDS):
            yield Sent("call-completed", _segment(stay, notes, options))


def _segment(stay: Stay, notes: Sequence[Note], options: Options) -> dict[str, Any]:
    end, entry = stay.end, stay.entry
    queue = end.data["queue"]
    data = {
        "contact_id": end.contact,
        "segment_id": f"{end.contact}/{queue}/{stay.order}",
        "customer_id": first(note.data.get("customer_id") for note in notes),
        "queue": queue,
        "queued_at": since_epoch(entry.at) if entry else None,
        "ended_at": since_epoch(end.at),
        "wait_s": _wait(stay),
    }
    if end.kind in ANSWERED:
        data |= {
            "agent_id": end.data.get("agent_id"),
            "talk_s": end.data.get("talk_s"),
            "outcome": "answered",
        }
        data["transfer"] = _transfer(stay, notes, options)
    else:
        data["outcome"] = _outcome(end, options)
    return {name: value for name, value in data.items() if value is not None}


def _wait(stay: Stay) -> float | int | None:
    said: float | int | None = first(note.data.get("wait_s") for note in (*stay.within, stay.end))
    if said is None and stay.end.kind in OUTCOMES and stay.entry:  # old versions leave it out
        return since_epoch(stay.end.at - stay.entry.at)
    return said


def _outcome(end: Note, options: Options) -> str:
    words: Mapping[str, str] = {**OUTCOMES, **options["outcomes"]}
    return words.get(f"{end.kind} {end.data.get('key')}") or words[end.kind]


def _transfer(stay: Stay, notes: Sequence[Note], options: Options) -> str | None:
    later = (
        note for note in notes if note.kind == ENTRY and note.at >= stay.end.at and note is not stay.entry
    )
    if any(later):
        return "queue"
    for note in (stay.end, *stay.within):
        if note.kind in TRANSFERRED:
            return "external" if note.data.get("context") in options["external_contexts"] else "agent"
    return None


SOURCE: Final = Source(
    name="asterisk-queue-log",
    title="Asterisk queue_log, line by line",
    help=f"""\
Asterisk's app_queue writes a line of /var/log/asterisk/queue_log for each thing that happens:
    time|callid|queue|agent|event|what belongs to the event
Send each line as one record to ingest-asterisk-queue-log, or replay the file. Every stay in a queue
becomes one call-completed event once it has ended.

What is read
  callid                          contact_id; the id of the caller's channel
  callid, queue, number of stay   segment_id: a call may enter several queues, or one of them twice
  agent                           agent_id: the member's channel or name, as the log has it
  ENTERQUEUE url|callerid|…       queued_at, customer_id
  CONNECT holdtime|…              wait_s. What is called hold time here is the wait in the queue
  COMPLETEAGENT, COMPLETECALLER   answered, ended_at; talk_s is the calltime
  TRANSFER, BLINDTRANSFER,        answered, ended_at, talk_s up to the transfer; transfer is queue
  ATTENDEDTRANSFER                if the call then enters one, else external (see below) or agent
  ABANDON                         abandoned, wait_s
  EXITWITHTIMEOUT                 timeout, wait_s
  EXITEMPTY                       overflow, wait_s: no agent was there
  EXITWITHKEY                     overflow, wait_s: the caller pressed a key to get out
All else (RINGNOANSWER, ADDMEMBER, PAUSE …) and the callids NONE and REALTIME are ignored.

What to know
  Time on hold is part of the calltime and cannot be separated: hold_s stays unknown, never 0.
  After-call work is not recorded either: acw_s is unknown.
  A phone that transfers by itself (SIP REFER to elsewhere) may leave no line. If the call comes
  back into a queue, that is taken for a transfer to a queue; otherwise such a transfer is not seen.
  An attended transfer into another queue is a call of its own here: only AMI (asterisk-ami) knows
  that both belong together. A stay without an end, as after a crash, is not counted.

Options of [sources.asterisk-queue-log]
{telephone.HELP}
  outcomes = {{}}            other outcomes by event, or by event and key, such as
                           {{ EXITEMPTY = "timeout", "EXITWITHKEY 1" = "callback" }}
  external_contexts = []   contexts of the dial plan that lead outside, such as ["outbound"]
""",
    read=read,
    assemble=assemble,
    form="line",
    options={**telephone.OPTIONS, "outcomes": {}, "external_contexts": []},
)
