"""Adapter for Asterisk's queue_log: one line for each event of a call in a queue."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import phone_customers
from streamer.events.adapters.asterisk_log_members import (
    MEMBER_LINES,
    log_member_state,
    read_agent_line,
    read_member_line,
)
from streamer.events.adapters.fields import (
    epoch_seconds,
    first_known,
    known_values,
    read_epoch_s,
    read_milliseconds,
    read_seconds,
    read_text,
    require_fields,
)
from streamer.events.adapters.queue_stays import QueueStay, numbered_segments, stay_states
from streamer.events.adapters.queue_visits import QueueVisit, order_entries, queue_visits
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.adapters.timelines import RESTART, sweep_fragment
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
    "CONNECT": {"wait_s": 0, "ring_s": 2},
    "RINGNOANSWER": {"ring_s": 0},
    "RINGCANCELED": {"ring_s": 0},
    "AGENTDUMP": {},
    "SYSCOMPAT": {},
    "WITHDRAW": {},
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
_RESTARTED: Final = "QUEUESTART"
_NO_CALL: Final = frozenset({"", "NONE", "REALTIME"})
_RING_START: Final = "RINGSTART"
"""Kind of the fragment that says since when an agent was rung, which lines tell only afterwards."""
_UNANSWERED: Final = frozenset({"RINGNOANSWER", "RINGCANCELED"})
_LOST: Final = frozenset({"AGENTDUMP", "SYSCOMPAT", "WITHDRAW"})
"""Lines after which a caller no longer waits, though the call may go on: they are not counted as an end."""
_RANKS: Final = {"RINGNOANSWER": 0, "RINGCANCELED": 0, _RING_START: 1, "CONNECT": 2}
"""Order of what happens in the same second; all else, such as the end, is later."""


def read_queue_log_line(line: str, options: Options) -> Iterator[Fragment]:
    if not line.strip():
        return
    fields = [field.strip() for field in line.rstrip("|\r\n ").split("|")]
    if len(fields) < 5:
        raise InvalidEventError(
            "wrong-type", f"the line has {len(fields)} fields, expected 5 or more, divided by |"
        )
    time_text, call, queue, agent, event, *details = fields
    if event in MEMBER_LINES or event == _RESTARTED:
        time_s = read_epoch_s("time", time_text)
        require_fields({"time": time_s}, "time")
        assert time_s is not None
        if event == _RESTARTED:
            yield sweep_fragment(RESTART, round(time_s * 1000))
            return
        yield from read_member_line(event, queue, agent, details, round(time_s * 1000), options)
    elif event in _DETAIL_POSITIONS and call not in _NO_CALL:
        yield from _read_call_line(fields, options)


def _read_call_line(fields: Sequence[str], options: Options) -> Iterator[Fragment]:
    time_text, call, queue, agent, event, *details = fields
    time_s = read_epoch_s("time", time_text)
    data = {"queue": _known_name(queue), "agent_id": _known_name(agent), **_event_details(event, details)}
    ring_s = data.pop("ring_s", None)
    if event == ENTRY:
        data["customer_id"] = phone_customers.read_phone_customer("callerid", _detail_at(details, 1), options)
    require_fields({**data, "time": time_s}, "time", "queue")
    assert time_s is not None
    time_ms = round(time_s * 1000)
    yield Fragment(call, event, time_ms, known_values(data))
    if (agent_id := data["agent_id"]) is None:
        return
    ring_ms = None if ring_s is None else _ring_start_ms(event, time_ms, round(ring_s * 1000))
    if ring_ms is not None:
        yield Fragment(call, _RING_START, ring_ms, {"queue": data["queue"], "agent_id": agent_id})
    yield from read_agent_line(event, call, agent_id, data["queue"], time_ms, ring_ms)


def _ring_start_ms(event: str, time_ms: int, duration_ms: int) -> int | None:
    """Return when ringing began, not before it did. Lines have whole seconds, so that it ended up to a second
    later than its line says; what rang and was not taken rang for a while."""
    if event == "CONNECT":
        return time_ms - duration_ms if duration_ms else None
    return min(time_ms + 999 - duration_ms, time_ms - 1)


def _event_details(event: str, details: Sequence[str]) -> dict[str, Any]:
    read_duration = read_milliseconds if event in _UNANSWERED else read_seconds
    texts = {name: _detail_at(details, position) for name, position in _DETAIL_POSITIONS[event].items()}
    return {
        name: read_duration(name, value) if name.endswith("_s") else read_text(name, value)
        for name, value in texts.items()
    }


def _detail_at(details: Sequence[str], position: int) -> str | None:
    return details[position] if -len(details) <= position < len(details) else None


def _known_name(name: str) -> str | None:
    return None if name in ("", "NONE") else name


def assemble_queue_log_call(all_fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    fragments = [fragment for fragment in all_fragments if fragment.kind != RESTART]
    for queue in dict.fromkeys(fragment.data["queue"] for fragment in fragments):
        queue_fragments = [fragment for fragment in fragments if fragment.data["queue"] == queue]
        for visit in queue_visits(queue_fragments, ENTRY, _ENDS):
            yield OutgoingEvent("call-completed", _segment(visit, fragments, options))


def log_contact_states(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    for queue in dict.fromkeys(fragment.data["queue"] for fragment in fragments if fragment.kind != RESTART):
        queue_fragments = sorted(
            (fragment for fragment in fragments if fragment.data.get("queue", queue) == queue),
            key=lambda fragment: (fragment.at, _RANKS.get(fragment.kind, len(_RANKS))),
        )
        yield from stay_states(
            [*order_entries(queue_fragments, ENTRY, _ENDS)],
            queue,
            numbered_segments(fragments[0].contact, queue),
            _advance_stay,
        )


def _advance_stay(stay: QueueStay, fragment: Fragment) -> None:
    kind, agent_id = fragment.kind, fragment.data.get("agent_id")
    if kind == ENTRY:
        stay.enter(fragment.at)
    elif kind == _RING_START:
        stay.offer(agent_id)
    elif kind in _UNANSWERED:
        stay.withdraw_offer(agent_id)
    elif kind == "CONNECT":
        stay.connect(agent_id)
    else:
        stay.end(is_final=kind in _ENDS)


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
    return known_values(data)


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


_TRANSFERRED_NAME: Final = "ended; the call was answered and transferred; the agent is no longer busy with it"
_LOGGED_ON: Final = "the agent is signed in (agent pool; old versions)"
_LOGGED_OFF: Final = "offline (agent pool; old versions)"
_LOST_NAME: Final = "ended; not counted as a call"
_UNCHANGED: Final = "not read: "
_EVENT_NAMES: Final[Mapping[str, str]] = {
    "ENTERQUEUE": "queued; queued_at of the call",
    "CONNECT": "connected, the agent busy; before it offered, for the time of ringing",
    "RINGNOANSWER": "offered before it, for the time of ringing; the caller waits on",
    "RINGCANCELED": "offered before it, for the time of ringing",
    "COMPLETEAGENT": "ended; the call was answered; the agent is no longer busy with it",
    "COMPLETECALLER": "ended; the call was answered; the agent is no longer busy with it",
    "TRANSFER": _TRANSFERRED_NAME,
    "BLINDTRANSFER": _TRANSFERRED_NAME,
    "ATTENDEDTRANSFER": _TRANSFERRED_NAME,
    "ABANDON": "ended; the call was abandoned",
    "EXITWITHTIMEOUT": "ended; the outcome is timeout",
    "EXITEMPTY": "ended; the outcome is overflow",
    "EXITWITHKEY": "ended; the outcome is overflow",
    "WITHDRAW": _LOST_NAME,
    "AGENTDUMP": _LOST_NAME,
    "SYSCOMPAT": _LOST_NAME,
    "ADDMEMBER": "the agent serves this queue; PAUSED: but is paused there",
    "REMOVEMEMBER": "the agent no longer serves this queue; offline once in none",
    "PAUSE": "paused in this queue: away with this reason once paused in all",
    "UNPAUSE": "no longer paused in this queue",
    "AGENTLOGIN": _LOGGED_ON,
    "AGENTCALLBACKLOGIN": _LOGGED_ON,
    "AGENTLOGOFF": _LOGGED_OFF,
    "AGENTCALLBACKLOGOFF": _LOGGED_OFF,
    _RESTARTED: "ended: all calls under way; agents are members and paused as before",
    "PAUSEALL": f"{_UNCHANGED}a PAUSE for each queue follows it",
    "UNPAUSEALL": f"{_UNCHANGED}an UNPAUSE for each queue follows it",
    "PENALTY": f"{_UNCHANGED}the order in which agents are rung is no state",
    "RINGINUSE": f"{_UNCHANGED}which agents may be rung is no state",
    "DID": f"{_UNCHANGED}the number that was called",
    "INFO": f"{_UNCHANGED}of the dial plan",
    "OUTCALL": f"{_UNCHANGED}a call by an agent, reported by the dial plan",
    "CONFIGRELOAD": f"{_UNCHANGED}changes no call and no agent",
}

SOURCE: Final = SourceAdapter(
    name="asterisk-queue-log",
    title="Asterisk queue_log, line by line",
    help=f"""\
Asterisk's app_queue writes a line of /var/log/asterisk/queue_log for each thing that happens:
    time|callid|queue|agent|event|what belongs to the event
Send each line as one record to ingest-asterisk-queue-log, or replay the file. Every stay in a queue
becomes one call-completed event once it has ended, and contact-state events until then; every
agent's agent-state events.

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
  ADDMEMBER, REMOVEMEMBER,        state of an agent: away is who is paused in all queues, else the
  PAUSE, UNPAUSE, AGENTLOGIN …    queues that are not paused are served. Available only means: a
                                  member, not paused, in no call of a queue
  CONNECT …|ringtime,             since when the agent was rung, known only afterwards: offered
  RINGNOANSWER, RINGCANCELED ms

What to know
  Time on hold is part of the calltime and cannot be separated: hold_s stays unknown, never 0.
  After-call work is not recorded either: acw_s is unknown.
  A phone that transfers by itself (SIP REFER to elsewhere) may leave no line. If the call comes
  back into a queue, that is taken for a transfer to a queue; otherwise such a transfer is not seen.
  An attended transfer into another queue is a call of its own here: only AMI (asterisk-ami) knows
  that both belong together; here its caller waits up to live_limit. A stay without an end, as after
  a crash, is not counted, and shows as under way for as long.
  Two names: ADDMEMBER and REMOVEMEMBER write a member's interface, all other lines the name. Where
  these differ, set log_membername_as_agent = yes in queues.conf, or say which is whose in members.
  Lines have whole seconds. Members that are in queues.conf have no ADDMEMBER: their first call,
  ringing or pause shows them. After a restart (QUEUESTART) the calls under way have ended, but are
  not counted: how they ended nobody knows.

Options of [sources.asterisk-queue-log]
{phone_customers.HELP}
  outcomes = {{}}            other outcomes by event, or by event and key, such as
                           {{ EXITEMPTY = "timeout", "EXITWITHKEY 1" = "callback" }}
  external_contexts = []   contexts of the dial plan that lead outside, such as ["outbound"]
  members = {{}}             names of members by interface: {{ "PJSIP/8008" = "Bob" }}
""",
    read=read_queue_log_line,
    assemble=assemble_queue_log_call,
    form="line",
    contact_states=log_contact_states,
    agent_state=log_member_state,
    options={**phone_customers.OPTIONS, "outcomes": {}, "external_contexts": [], "members": {}},
    sweeps=True,
    minor_kinds=_UNANSWERED | {_RING_START},
    event_names=_EVENT_NAMES,
)
