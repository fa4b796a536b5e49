"""Assemble a Genesys conversation: the stays in queues, and the agents who answered them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamer.events.adapters.fields import first
from streamer.events.adapters.source import Note, Options, Sent

ACD: Final = ("acd.start", "acd.end")
USER: Final = ("user.start", "user.end", "acw", "wrapup")
CUSTOMER: Final = ("customer.start", "customer.end")
_CLOSE: Final = 2_000
"""Most ms between the events of two participants about the same moment."""


class _Stay(NamedTuple):
    """One participant's leg of a conversation: in a queue, or an agent's. Times in ms, None if unknown."""

    id: str
    start: int | None
    end: int | None
    told: Mapping[str, Any]

    @property
    def began(self) -> int:
        return self.start or self.end or 0

    @property
    def over(self) -> int:
        return self.end or self.start or 0


class _Conversation(NamedTuple):
    notes: Sequence[Note]
    queued: Sequence[_Stay]
    agents: Sequence[_Stay]


def assemble(notes: Sequence[Note], options: Options) -> Iterator[Sent]:
    conversation = _Conversation(notes, _stays(notes, ACD), _stays(notes, USER))
    handled = _handled(conversation)
    for leg in conversation.queued:
        yield from _of_a_queue(conversation, leg, handled.get(leg.id), options)
    taken = {stay.told["participant"] for stay in handled.values()}
    for stay in conversation.agents:
        if stay.told.get("direction") == "outbound" and stay.end is not None and "queue" in stay.told:
            yield _dialled(conversation, stay, stay.told["participant"] in taken, options)


def _stays(notes: Sequence[Note], kinds: Sequence[str]) -> list[_Stay]:
    grouped: dict[str, list[Note]] = {}
    for note in notes:
        if note.kind in kinds:
            own = f"{note.contact}:{note.data['participant']}:{note.data['session']}"
            grouped.setdefault(own, []).append(note)
    found = [_stay(own, of, kinds) for own, of in grouped.items()]
    return sorted(found, key=lambda stay: (stay.began, stay.id))


def _stay(own: str, notes: Sequence[Note], kinds: Sequence[str]) -> _Stay:
    return _Stay(
        own,
        min((note.at for note in notes if note.kind == kinds[0]), default=None),
        max((note.at for note in notes if note.kind == kinds[1]), default=None),
        {name: value for note in notes for name, value in note.data.items()},
    )


def _handled(conversation: _Conversation) -> dict[str, _Stay]:
    """Return the leg of the agent who answered, by the id of the queue's leg."""
    found: dict[str, _Stay] = {}
    for stay in conversation.agents:
        legs = [leg for leg in conversation.queued if _took(leg, stay)]
        if legs:
            leg = max(legs, key=lambda leg: (leg.began, leg.id))
            found[leg.id] = _likelier(leg, found.get(leg.id, stay), stay)
    return found


def _likelier(leg: _Stay, one: _Stay, other: _Stay) -> _Stay:
    """Return the agent's leg that fits the queue's better: an agent who calls back has two."""

    def like(stay: _Stay) -> tuple[bool, bool, int, str]:
        same = stay.told.get("channel") == leg.told.get("channel")
        return same, bool(stay.told.get("talk_s")), stay.began, stay.id

    return max(one, other, key=like)


def _took(leg: _Stay, stay: _Stay) -> bool:
    by = leg.told.get("answered_by")
    if leg.told.get("outcome", "answered") != "answered" or (by is not None and by != stay.told.get("user")):
        return False
    if not _same_queue(leg, stay):
        return False
    in_time = leg.end is None or (_after(leg.end, stay.end) and _after(stay.start, leg.end))
    return in_time and _after(leg.start, stay.start)


def _same_queue(leg: _Stay, stay: _Stay) -> bool:
    """Tell whether both legs belong to one queue and overlap.

    An agent's leg without a queue belongs to the queue that names the agent.
    """
    queue, by = stay.told.get("queue"), leg.told.get("answered_by")
    same = queue == leg.told.get("queue") if queue is not None else by is not None
    return same and _after(leg.start, stay.end)


def _after(earlier: int | None, later: int | None) -> bool:
    return earlier is None or later is None or earlier <= later + _CLOSE


def _of_a_queue(
    conversation: _Conversation, leg: _Stay, stay: _Stay | None, options: Options
) -> Iterator[Sent]:
    outcome = _outcome(conversation, leg, stay)
    if outcome != "answered":
        stay = None  # it rang there, and nobody answered
    ended = _ended(conversation, stay) if outcome == "answered" else leg.end
    data = _common(conversation, leg, stay, options)
    if "queue" in leg.told and outcome is not None and ended is not None:
        data |= _waited(leg, ended) | {"ended_at": ended / 1000, "outcome": outcome}
        if stay is not None and "TRANSFER" in stay.told.get("disconnect", "").upper():
            data["transfer"] = _moved(conversation, leg, stay)
        yield Sent("call-completed", data)
    elif ends := [other.end for other in conversation.agents if other.end and _same_queue(leg, other)]:
        # from fewer events, one of these agents may have been published as the one who answered
        yield _taken_back(data | {"ended_at": max(ends) / 1000})


def _taken_back(data: Mapping[str, Any]) -> Sent:
    names = ("contact_id", "segment_id", "customer_id", "ended_at")
    return Sent("call-completed", {name: data[name] for name in names if name in data} | {"deleted": True})


def _outcome(conversation: _Conversation, leg: _Stay, stay: _Stay | None) -> str | None:
    """Return the outcome, or None if not known yet.

    A known outcome never becomes unknown again: the published event would stand uncorrected.
    """
    said: str | None = leg.told.get("outcome")
    if said == "answered" or "answered_by" in leg.told or (stay and stay.told.get("talk_s")):
        return "answered"
    if leg.end is None:
        return None
    later = [other for other in conversation.queued if other.id != leg.id and _after(leg.end, other.began)]
    if any(other.told.get("channel") == "callback" for other in later):
        return "callback"
    if said is not None or "TRANSFER" not in leg.told.get("disconnect", "").upper():
        return said or "abandoned"
    return "overflow" if later else None  # a contact also leaves the queue for an agent by a transfer


def _ended(conversation: _Conversation, stay: _Stay | None) -> int | None:
    if stay is not None and stay.end is not None:
        worked: float = stay.told.get("acw_s", 0)
        return stay.end + round(worked * 1000)
    ends = [note.at for note in conversation.notes if note.kind == "customer.end"]
    return max(ends, default=None)


def _waited(leg: _Stay, ended: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if leg.start is not None and leg.start <= ended:
        found["queued_at"] = leg.start / 1000
    if leg.told.get("channel") == "callback":
        return found  # nobody waited on the line
    if leg.start is not None and leg.end is not None and leg.end >= leg.start:
        return found | {"wait_s": (leg.end - leg.start) / 1000}
    return found | ({"wait_s": leg.told["waited_s"]} if "waited_s" in leg.told else {})


def _moved(conversation: _Conversation, leg: _Stay, stay: _Stay) -> str:
    """Return the transfer's target: whoever joined the conversation after the agent, or external."""
    if any(other.id != leg.id and other.began > leg.over for other in conversation.queued):
        return "queue"
    others = [other for other in conversation.agents if other.told["participant"] != stay.told["participant"]]
    return "agent" if any(other.began > leg.over for other in others) else "external"


def _common(conversation: _Conversation, leg: _Stay, stay: _Stay | None, options: Options) -> dict[str, Any]:
    """Return the fields of a segment from either leg."""
    by, told = (stay.told if stay else {}), leg.told
    customers = [note.data.get("customer_id") for note in conversation.notes if note.kind in CUSTOMER]
    found = {
        "contact_id": conversation.notes[0].contact,
        "segment_id": leg.id,
        "customer_id": first([*customers, told.get("customer_id"), by.get("customer_id")]),
        "agent_id": first([by.get("user"), told.get("answered_by")]),
        "team": first([by.get("team"), told.get("team")]),
        "reason": by.get("wrapup") if options.get("wrapup_is_reason") is True else None,
        **{name: told.get(name) for name in ("queue", "channel", "direction")},
        **{name: by.get(name) for name in ("talk_s", "hold_s", "acw_s")},
    }
    return {name: value for name, value in found.items() if value is not None}


def _dialled(conversation: _Conversation, stay: _Stay, taken: bool, options: Options) -> Sent:
    """Return the event of a call that an agent made for a queue.

    If it turns out to belong to a queued customer (a dialler's call, a callback), it is deleted: it may have
    been published before that was known.
    """
    ended = _ended(conversation, stay)
    assert ended is not None
    data = _common(conversation, stay, stay, options) | {"ended_at": ended / 1000}
    if taken:
        names = ("contact_id", "segment_id", "customer_id", "ended_at")
        return Sent(
            "call-completed", {name: data[name] for name in names if name in data} | {"deleted": True}
        )
    return Sent("call-completed", data | {"outcome": "answered" if data.get("talk_s") else "timeout"})
