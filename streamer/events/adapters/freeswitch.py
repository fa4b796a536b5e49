"""Adapter for FreeSWITCH's mod_callcenter: its events `CUSTOM callcenter::info` as JSON objects."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import phone_customers
from streamer.events.adapters.callcenter_agents import (
    AGENT_ACTIONS,
    callcenter_agent_state,
    read_agent_action,
    read_agent_member,
)
from streamer.events.adapters.fields import (
    FieldReader,
    epoch_seconds,
    first_known,
    known_values,
    map_fields,
    read_epoch_s,
    read_epoch_us,
    read_flag,
    read_number,
    read_text,
    require_fields,
)
from streamer.events.adapters.queue_stays import QueueStay, stay_states
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter

START: Final = "member-queue-start"
RESUME: Final = "member-queue-resume"
_BRIDGE_END: Final = "bridge-agent-end"
_QUEUE_END: Final = "member-queue-end"
_OFFER: Final = "agent-offering"
_FAIL: Final = "bridge-agent-fail"
_ACTIONS: Final = frozenset({START, RESUME, _OFFER, _FAIL, "bridge-agent-start", _BRIDGE_END, _QUEUE_END})
OUTCOMES: Final[Mapping[str, str]] = {
    "BREAK_OUT": "abandoned",
    "TIMEOUT": "timeout",
    "NO_AGENT_TIMEOUT": "overflow",
    "EXIT_WITH_KEY": "overflow",
}
_FIELDS: Final[Mapping[str, FieldReader]] = {
    "member": FieldReader(read_text, "CC-Member-UUID"),
    "queue": FieldReader(read_text, "CC-Queue"),
    "agent_id": FieldReader(read_text, "CC-Agent"),
    "cause": FieldReader(read_text, "CC-Cause"),
    "why": FieldReader(read_text, "CC-Cancel-Reason"),
    "joined": FieldReader(read_epoch_s, "CC-Member-Joined-Time"),
    "answered": FieldReader(read_epoch_s, "CC-Agent-Answered-Time"),
    "terminated": FieldReader(read_epoch_s, "CC-Bridge-Terminated-Time"),
    "left": FieldReader(read_epoch_s, "CC-Member-Leaving-Time"),
    "bridged": FieldReader(read_flag, "CC-Agent-Bridged"),
    "sequence": FieldReader(read_number, "Event-Sequence"),
}
_CONTACT: Final = FieldReader(read_text, "CC-Member-Session-UUID")
_EVENT_TIME: Final = FieldReader(read_epoch_us, "Event-Date-Timestamp")


def read_callcenter_event(payload: Any, options: Options) -> Iterator[Fragment]:
    action = read_text("CC-Action", payload.get("CC-Action"))
    if action is not None and action in AGENT_ACTIONS:
        time_s = _EVENT_TIME(payload)
        require_fields({"Event-Date-Timestamp": time_s}, "Event-Date-Timestamp")
        yield from read_agent_action(action, payload, round(time_s * 1000))
    elif action in _ACTIONS:
        yield from _read_member_action(action, payload, options)


def _read_member_action(action: str, payload: Any, options: Options) -> Iterator[Fragment]:
    data, contact = map_fields(payload, _FIELDS), _CONTACT(payload)
    number = phone_customers.read_phone_customer(
        "CC-Member-CID-Number", payload.get("CC-Member-CID-Number"), options
    )
    data |= {"customer_id": number} if number else {}
    times = (data.get(name) for name in ("left", "terminated", "answered", "joined"))
    time_s = first_known((_EVENT_TIME(payload), *times))
    required_values = {
        "CC-Member-Session-UUID": contact,
        "CC-Member-UUID": data.get("member"),
        "CC-Queue": data.get("queue"),
        "Event-Date-Timestamp": time_s,
    }
    require_fields(required_values, *required_values)
    time_ms = round(time_s * 1000)
    yield Fragment(contact, action, time_ms, data)
    yield from read_agent_member(action, contact, data, time_ms, options)


def _talks(fragment: Fragment) -> bool:
    """Tell whether a fragment of a bridge tells of a talk: one that was never joined does not."""
    return fragment.data.get("bridged") is not False


def callcenter_contact_states(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    for member, queue in dict.fromkeys(
        (fragment.data["member"], fragment.data["queue"]) for fragment in fragments
    ):
        member_fragments = [fragment for fragment in fragments if fragment.data["member"] == member]
        ordered = sorted(
            member_fragments, key=lambda fragment: (fragment.at, fragment.data.get("sequence", 0))
        )
        yield from stay_states(ordered, queue, lambda _number, own=member: own, _advance_stay)  # type: ignore[misc]


def _advance_stay(stay: QueueStay, fragment: Fragment) -> None:
    kind, agent_id = fragment.kind, fragment.data.get("agent_id")
    if kind == START:
        joined_ms = fragment.data.get("joined", fragment.at / 1000) * 1000
        stay.enter(min(fragment.at, round(joined_ms)))
    elif kind == RESUME:
        stay.enter(fragment.at)
    elif kind == _OFFER:
        stay.offer(agent_id)
    elif kind == _FAIL:
        stay.withdraw_offer(agent_id)
    elif kind == "bridge-agent-start":
        stay.connect(agent_id)
    elif kind == _QUEUE_END:
        stay.end()
    elif _talks(fragment):
        stay.end(is_final=False)
    else:
        stay.disconnect()


def assemble_callcenter_call(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    for member in dict.fromkeys(fragment.data["member"] for fragment in fragments):
        member_fragments = [fragment for fragment in fragments if fragment.data["member"] == member]
        if data := _segment(member_fragments, fragments, options):
            yield OutgoingEvent("call-completed", data)


def _counted_fragments(fragments: Sequence[Fragment]) -> list[Fragment]:
    """Return the fragments that tell of the call as a whole: no offers, no bridge that was never joined."""
    never_joined = {
        (fragment.data.get("agent_id"), fragment.data.get("answered"))
        for fragment in fragments
        if not _talks(fragment)
    }
    return [
        fragment
        for fragment in fragments
        if fragment.kind not in (_OFFER, _FAIL)
        and not (
            fragment.kind in ("bridge-agent-start", _BRIDGE_END)
            and (fragment.data.get("agent_id"), fragment.data.get("answered")) in never_joined
        )
    ]


def _segment(
    all_fragments: Sequence[Fragment], fragments: Sequence[Fragment], options: Options
) -> dict[str, Any] | None:
    member_fragments = _counted_fragments(all_fragments)

    def first_value(name: str) -> Any:
        return first_known(fragment.data.get(name) for fragment in member_fragments)

    ended_at = first_known((first_value("terminated"), first_value("left")))
    if ended_at is None:
        return None
    answered = any(
        fragment.kind == _BRIDGE_END or fragment.data.get("cause") == "Terminated"
        for fragment in member_fragments
    )
    joined = first_known(
        (
            *_start_times_s(member_fragments, RESUME),
            first_value("joined"),
            *_start_times_s(member_fragments, START),
        )
    )
    data = {
        "contact_id": member_fragments[0].contact,
        "segment_id": first_value("member"),
        "customer_id": first_known(fragment.data.get("customer_id") for fragment in fragments),
        "queue": first_value("queue"),
        "queued_at": joined,
        "ended_at": ended_at,
        "wait_s": _elapsed_s(joined, first_value("answered") if answered else ended_at),
    }
    if answered:
        data |= {"agent_id": first_value("agent_id"), "talk_s": _elapsed_s(first_value("answered"), ended_at)}
        data |= {
            "outcome": "answered",
            "transfer": "queue" if _entered_another_queue(member_fragments, fragments, ended_at) else None,
        }
    else:
        data["outcome"] = {**OUTCOMES, **options["outcomes"]}.get(first_value("why"), "abandoned")
    return known_values(data)


def _start_times_s(member_fragments: Sequence[Fragment], kind: str) -> list[int]:
    """Return the times of these fragments in whole seconds, as all other times are.

    A fraction could make a short wait negative.
    """
    return [fragment.at // 1000 for fragment in member_fragments if fragment.kind == kind]


def _elapsed_s(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else end_s - start_s


def _entered_another_queue(
    member_fragments: Sequence[Fragment], fragments: Sequence[Fragment], ended_at: float
) -> bool:
    """Tell whether the caller entered another queue after speaking to an agent."""
    return any(
        fragment.kind in (START, RESUME) and epoch_seconds(fragment.at) >= ended_at
        for fragment in fragments
        if fragment not in member_fragments
    )


_EVENT_NAMES: Final[Mapping[str, str]] = {
    START: "queued; queued_at of the call",
    RESUME: "queued again: who called again kept the place",
    _OFFER: "offered, the contact and the agent",
    "bridge-agent-start": "connected; the agent is busy",
    _FAIL: "offer over; the caller waits on, unless other agents are still rung",
    _BRIDGE_END: "ended; the call was answered; the agent wraps up, if wrap_up_s says so",
    _QUEUE_END: "ended; by CC-Cause and CC-Cancel-Reason",
    "agent-status-change": "state of an agent: Available, Available (On Demand), On Break, Logged Out",
    "agent-state-change": "state of an agent: Waiting, Receiving, In a queue call, Idle, Reserved",
    "members-count": "not read: names no caller, and queries fire it too",
    "agent-add": "not read: the agent is Logged Out until the status changes",
    "agent-contact-change": "not read: where the agent is called is no state",
    "agent-max-no-answer": "not read: agent-status-change says what follows",
    "agent-status-get": "not read: answers a query",
    "agent-state-get": "not read: answers a query",
    "agent-uuid-get": "not read: answers a query",
}
"""Every CC-Action of mod_callcenter."""

SOURCE: Final = SourceAdapter(
    name="freeswitch",
    title="FreeSWITCH mod_callcenter events",
    help=f"""\
FreeSWITCH's mod_callcenter fires an event CUSTOM callcenter::info for each thing that happens to a
member of a queue. Subscribe to them as JSON (`event json CUSTOM callcenter::info`), and send each
as one record to ingest-freeswitch. Every stay in a queue becomes one call-completed event once it
has ended, and contact-state events until then; every agent's agent-state events; whatever order the
events come in.

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
  CC-Agent-Bridged false         the bridge was never joined: not answered
  CC-Agent-Status,               state of an agent: available is who has an Available status and is
  CC-Agent-State                 Waiting; In a queue call busy, Receiving offered, On Break away

What to know
  Times are whole seconds; 0 is how mod_callcenter says that it never happened, and so it is read.
  Time on hold is within the talk time, and after-call work is not told of: hold_s and acw_s stay
  unknown, never 0.
  A transfer is known only by the same caller entering another queue afterwards: transfer = queue.
  That an agent passed a call on to a colleague or outside is not in these events.
  With abandoned-resume-allowed a caller who calls again keeps the place, and FreeSWITCH gives both
  calls one member UUID: they count as one stay, that of the call of which more is told, so of an
  answered one.
  Which queues an agent serves, and how long wrap-up is, is only in the database: say so below.
  Breaks have no reason. On Demand, an agent is in wrap_up from a call until set to Waiting again.
  A restart of FreeSWITCH resets agents and drops callers without an event: these show as under way
  up to live_limit, agents until their next change.

Options of [sources.freeswitch]
{phone_customers.HELP}
  outcomes = {{}}            other outcomes by CC-Cancel-Reason: {{ EXIT_WITH_KEY = "callback" }}
  tiers = {{}}               queues by agent, of `callcenter_config tier list`:
                           {{ "1001@default" = ["billing@default"] }}
  wrap_up_s = {{}}           wrap_up_time by agent: {{ "1001@default" = 10, "*" = 15 }}
""",
    read=read_callcenter_event,
    assemble=assemble_callcenter_call,
    contact_states=callcenter_contact_states,
    agent_state=callcenter_agent_state,
    options={**phone_customers.OPTIONS, "outcomes": {}, "tiers": {}, "wrap_up_s": {}},
    minor_kinds=frozenset({_OFFER, _FAIL}),
    event_names=_EVENT_NAMES,
)
