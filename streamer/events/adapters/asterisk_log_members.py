"""States of agents from Asterisk's queue_log: who is a member, paused, rung or in a call."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters.source import Fragment, Options
from streamer.events.adapters.timelines import RESTART, AgentMoment, agent_contact_fragment, agent_fragment
from streamer.events.counting_rules import HOUR

_MEMBERSHIP: Final[Mapping[str, bool]] = {"ADDMEMBER": True, "REMOVEMEMBER": False}
_PAUSE: Final[Mapping[str, bool]] = {"PAUSE": True, "UNPAUSE": False}
_LOGIN: Final[Mapping[str, bool]] = {
    "AGENTLOGIN": True,
    "AGENTCALLBACKLOGIN": True,
    "AGENTLOGOFF": False,
    "AGENTCALLBACKLOGOFF": False,
}
MEMBER_LINES: Final = frozenset((*_MEMBERSHIP, *_PAUSE, *_LOGIN))
_UNANSWERED: Final = frozenset({"RINGNOANSWER", "RINGCANCELED"})
_LOST_WITH_AGENT: Final = frozenset({"AGENTDUMP", "SYSCOMPAT", "ABANDON"})
"""Lines of calls that were lost while the agent took them: no CONNECT says that the agent was rung."""
_QUEUE: Final = "queue "
_RUNG: Final = "rung by "
_LONGEST_CONTACT_MS: Final = 12 * HOUR
_NO_NAME: Final = frozenset({"", "NONE"})


def read_member_line(
    event: str, queue: str, agent: str, details: Sequence[str], at_ms: int, options: Options
) -> Iterator[Fragment]:
    """Yield what a line says of an agent's place in one queue, or of logging in and off."""
    if agent in _NO_NAME:
        return
    detail = details[0] if details and details[0] else None
    agent_id = options["members"].get(agent, agent)
    if event in _LOGIN:
        yield agent_fragment(agent_id, "login", at_ms, on=_LOGIN[event])
    elif queue not in _NO_NAME and event in _MEMBERSHIP:
        is_paused = detail == "PAUSED"
        yield agent_fragment(agent_id, f"{_QUEUE}{queue}", at_ms, serves=_MEMBERSHIP[event], paused=is_paused)
    elif queue not in _NO_NAME:
        reason = detail if _PAUSE[event] else None
        yield agent_fragment(
            agent_id, f"{_QUEUE}{queue}", at_ms, step=1, serves=True, paused=_PAUSE[event], reason=reason
        )


def read_agent_line(
    event: str, call: str, agent_id: str, queue: str, at_ms: int, ring_ms: int | None
) -> Iterator[Fragment]:
    """Yield what a line of a call says of its agent. `ring_ms`: when ringing began, known in hindsight.

    Within a second a call is first refused, then taken and ended, and then offered again.
    """
    if ring_ms is not None:
        yield agent_contact_fragment(agent_id, call, ring_ms, "offered", step=3)
        yield agent_fragment(agent_id, f"{_RUNG}{queue}", ring_ms)
    if event == "CONNECT":
        yield agent_contact_fragment(agent_id, call, at_ms, "busy", step=1)
        yield agent_fragment(agent_id, f"{_RUNG}{queue}", at_ms)
    else:
        yield agent_contact_fragment(agent_id, call, at_ms, None, step=0 if event in _UNANSWERED else 2)
        if event in _LOST_WITH_AGENT:
            yield agent_fragment(agent_id, f"{_RUNG}{queue}", at_ms)


def log_member_state(moment: AgentMoment, options: Options) -> Mapping[str, Any] | None:
    """Return an agent's state: of the call in hand, else by login, queues and pauses."""
    reported = {queue: fragment.data["serves"] for queue, fragment in moment.named(_QUEUE)}
    rung = {queue: True for queue, _ in moment.named(_RUNG)}
    queues = sorted(queue for queue, serves in (rung | reported).items() if serves)
    is_logged_in = moment.data("login").get("on")
    handling = moment.handling(_LONGEST_CONTACT_MS, moment.last_ms(RESTART))
    free_queues = [queue for queue in queues if not moment.data(f"{_QUEUE}{queue}").get("paused")]
    reason = None
    if handling is not None:
        state = handling[0]
    elif is_logged_in is False or not (queues or is_logged_in):
        state = "offline"
    elif free_queues or not queues:
        state = "available"
    else:
        state, reason = "away", _latest_reason(moment, queues)
    return {
        "state": state,
        "reason": reason,
        "contact_id": None if handling is None else handling[1],
        "queues": free_queues or queues if queues or reported else None,
    }


def _latest_reason(moment: AgentMoment, queues: Sequence[str]) -> str | None:
    places = [moment.slots[f"{_QUEUE}{queue}"] for queue in queues]
    latest = max(places, key=lambda place: (place.at, place.data.get("reason") or ""))
    reason: str | None = latest.data.get("reason")
    return reason
