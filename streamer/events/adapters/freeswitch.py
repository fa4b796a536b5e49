"""Adapter for FreeSWITCH's mod_callcenter: its events `CUSTOM callcenter::info` as JSON objects."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters import phone_customers
from streamer.events.adapters.fields import (
    FieldReader,
    epoch_seconds,
    first_known,
    map_fields,
    read_epoch_s,
    read_epoch_us,
    read_text,
    require_fields,
)
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter

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
}
_CONTACT: Final = FieldReader(read_text, "CC-Member-Session-UUID")
_EVENT_TIME: Final = FieldReader(read_epoch_us, "Event-Date-Timestamp")


def read_callcenter_event(payload: Any, options: Options) -> Iterator[Fragment]:
    action = read_text("CC-Action", payload.get("CC-Action"))
    if action not in _ACTIONS:
        return
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
    yield Fragment(contact, action, round(time_s * 1000), data)


def assemble_callcenter_call(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    for member in dict.fromkeys(fragment.data["member"] for fragment in fragments):
        member_fragments = [fragment for fragment in fragments if fragment.data["member"] == member]
        if data := _segment(member_fragments, fragments, options):
            yield OutgoingEvent("call-completed", data)


def _segment(
    member_fragments: Sequence[Fragment], fragments: Sequence[Fragment], options: Options
) -> dict[str, Any] | None:
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
    return {name: value for name, value in data.items() if value is not None}


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


SOURCE: Final = SourceAdapter(
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
{phone_customers.HELP}
  outcomes = {{}}            other outcomes by CC-Cancel-Reason: {{ EXIT_WITH_KEY = "callback" }}
""",
    read=read_callcenter_event,
    assemble=assemble_callcenter_call,
    options={**phone_customers.OPTIONS, "outcomes": {}},
)
