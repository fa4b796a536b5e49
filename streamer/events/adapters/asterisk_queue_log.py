"""Adapter for Asterisk's queue_log: one line for each event of a call in a queue."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import phone_customers
from streamer.events.adapters.fields import (
    epoch_seconds,
    first_known,
    read_epoch_s,
    read_seconds,
    read_text,
    require_fields,
)
from streamer.events.adapters.queue_visits import QueueVisit, queue_visits
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.envelopes import InvalidEventError

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
_DETAIL_POSITIONS: Final[Mapping[str, Mapping[str, int]]] = {
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


def read_queue_log_line(line: str, options: Options) -> Iterator[Fragment]:
    if not line.strip():
        return
    fields = [field.strip() for field in line.rstrip("|\r\n ").split("|")]
    if len(fields) < 5:
        raise InvalidEventError(
            "wrong-type", f"the line has {len(fields)} fields, expected 5 or more, divided by |"
        )
    time_text, call, queue, agent, event, *details = fields
    if event not in _DETAIL_POSITIONS or call in _NO_CALL:
        return
    time_s = read_epoch_s("time", time_text)
    data = {"queue": _known_name(queue), "agent_id": _known_name(agent), **_event_details(event, details)}
    if event == ENTRY:
        data["customer_id"] = phone_customers.read_phone_customer("callerid", _detail_at(details, 1), options)
    require_fields({**data, "time": time_s}, "time", "queue")
    assert time_s is not None
    yield Fragment(
        call, event, round(time_s * 1000), {name: value for name, value in data.items() if value is not None}
    )


def _event_details(event: str, details: Sequence[str]) -> dict[str, Any]:
    texts = {name: _detail_at(details, position) for name, position in _DETAIL_POSITIONS[event].items()}
    return {
        name: read_seconds(name, value) if name.endswith("_s") else read_text(name, value)
        for name, value in texts.items()
    }


def _detail_at(details: Sequence[str], position: int) -> str | None:
    return details[position] if -len(details) <= position < len(details) else None


def _known_name(name: str) -> str | None:
    return None if name in ("", "NONE") else name


def assemble_queue_log_call(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    for queue in dict.fromkeys(fragment.data["queue"] for fragment in fragments):
        queue_fragments = [fragment for fragment in fragments if fragment.data["queue"] == queue]
        for visit in queue_visits(queue_fragments, ENTRY, _ENDS):
            yield OutgoingEvent("call-completed", _segment(visit, fragments, options))


def _segment(visit: QueueVisit, fragments: Sequence[Fragment], options: Options) -> dict[str, Any]:
    end, entry = visit.end, visit.entry
    queue = end.data["queue"]
    data = {
        "contact_id": end.contact,
        "segment_id": f"{end.contact}/{queue}/{visit.visit_number}",
        "customer_id": first_known(fragment.data.get("customer_id") for fragment in fragments),
        "queue": queue,
        "queued_at": epoch_seconds(entry.at) if entry else None,
        "ended_at": epoch_seconds(end.at),
        "wait_s": _wait_s(visit),
    }
    if end.kind in ANSWERED:
        data |= {
            "agent_id": end.data.get("agent_id"),
            "talk_s": end.data.get("talk_s"),
            "outcome": "answered",
        }
        data["transfer"] = _transfer(visit, fragments, options)
    else:
        data["outcome"] = _outcome(end, options)
    return {name: value for name, value in data.items() if value is not None}


def _wait_s(visit: QueueVisit) -> float | int | None:
    wait_s: float | int | None = first_known(
        fragment.data.get("wait_s") for fragment in (*visit.other_fragments, visit.end)
    )
    if wait_s is None and visit.end.kind in OUTCOMES and visit.entry:  # old versions leave it out
        return epoch_seconds(visit.end.at - visit.entry.at)
    return wait_s


def _outcome(end: Fragment, options: Options) -> str:
    words: Mapping[str, str] = {**OUTCOMES, **options["outcomes"]}
    return words.get(f"{end.kind} {end.data.get('key')}") or words[end.kind]


def _transfer(visit: QueueVisit, fragments: Sequence[Fragment], options: Options) -> str | None:
    later_entries = (
        fragment
        for fragment in fragments
        if fragment.kind == ENTRY and fragment.at >= visit.end.at and fragment is not visit.entry
    )
    if any(later_entries):
        return "queue"
    for fragment in (visit.end, *visit.other_fragments):
        if fragment.kind in TRANSFERRED:
            return "external" if fragment.data.get("context") in options["external_contexts"] else "agent"
    return None


SOURCE: Final = SourceAdapter(
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
{phone_customers.HELP}
  outcomes = {{}}            other outcomes by event, or by event and key, such as
                           {{ EXITEMPTY = "timeout", "EXITWITHKEY 1" = "callback" }}
  external_contexts = []   contexts of the dial plan that lead outside, such as ["outbound"]
""",
    read=read_queue_log_line,
    assemble=assemble_queue_log_call,
    form="line",
    options={**phone_customers.OPTIONS, "outcomes": {}, "external_contexts": []},
)
