"""Assemble a TaskRouter task: the agents who accepted it, or its cancellation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamer.events.adapters.source import Note, Options, Sent

READ: Final = frozenset(
    {
        "task.created",
        "task-queue.entered",
        "reservation.accepted",
        "reservation.wrapup",
        "reservation.completed",
        "task.wrapup",
        "task.completed",
        "task.canceled",
        "task.transfer-initiated",
        "task.transfer-completed",
    }
)
_SAME: Final = ("customer_id", "channel", "direction", "reason", "language")


class _Part(NamedTuple):
    """An accepted reservation: one agent's part of a task. Times in ms, None if unknown."""

    accepted: Note
    since: int | None
    wrapped: int | None
    ended: int | None


def assemble(notes: Sequence[Note], options: Options) -> Iterator[Sent]:
    parts = _parts(notes)
    for place, part in enumerate(parts):
        if part.ended is not None:
            yield _answered(notes, parts, place, options)
    canceled = _first(notes, "task.canceled")
    told = _told(notes)
    if not parts and canceled is not None and "queue" in told:
        created = _created(notes)
        waited = None if created is None else canceled.at - created
        left = {"outcome": canceled.data["left"], "wait_s": _seconds(waited), "ended_at": canceled.at / 1000}
        yield _sent(notes, told, notes[0].contact, created, left)


def _parts(notes: Sequence[Note]) -> list[_Part]:
    accepted: dict[str, Note] = {}
    for note in notes:
        if note.kind == "reservation.accepted":
            accepted.setdefault(note.data.get("reservation", ""), note)
    order = list(accepted.items())
    return [
        _part(notes, reservation, note, order[place + 1][1] if place + 1 < len(order) else None, place == 0)
        for place, (reservation, note) in enumerate(order)
    ]


def _part(
    notes: Sequence[Note], reservation: str, accepted: Note, following: Note | None, first: bool
) -> _Part:
    last = following is None
    wrapped, ended = (_when(notes, f"reservation.{kind}", reservation) for kind in ("wrapup", "completed"))
    if last:  # events of the task apply to its last agent
        wrapped = _when(notes, "task.wrapup") if wrapped is None else wrapped
        ended = _when(notes, "task.completed", None, "task.canceled") if ended is None else ended
    elif ended is None and following is not None:
        ended = following.at  # handed over
    moves = [note.at for note in notes if note.kind == "task.transfer-initiated" and note.at <= accepted.at]
    since = _created(notes) if first else max(moves, default=None)
    return _Part(accepted, since, wrapped, ended)


def _when(notes: Sequence[Note], kind: str, reservation: str | None = None, *others: str) -> int | None:
    for wanted in (kind, *others):
        for note in notes:
            if note.kind == wanted and (reservation is None or note.data.get("reservation") == reservation):
                return note.at
    return None


def _first(notes: Sequence[Note], kind: str) -> Note | None:
    return next((note for note in notes if note.kind == kind), None)


def _created(notes: Sequence[Note]) -> int | None:
    """Return the task's creation time: its event's, which is finer than the field, at times whole seconds."""
    note = _first(notes, "task.created")
    known = [note.data["created"] for note in notes if "created" in note.data]
    return note.at if note is not None else min(known, default=None)


def _told(notes: Sequence[Note]) -> dict[str, Any]:
    return {name: value for note in notes for name, value in note.data.items()}


def _answered(notes: Sequence[Note], parts: Sequence[_Part], place: int, options: Options) -> Sent:
    part, task = parts[place], notes[0].contact
    assert part.ended is not None
    own = part.accepted.data
    found: dict[str, Any] = {
        "outcome": "answered",
        "ended_at": part.ended / 1000,
        "agent_id": own.get("agent_id"),
        "team": own.get("team"),
        "transfer": _transfer(notes, parts, place),
        "wait_s": None if part.since is None else _seconds(part.accepted.at - part.since),
    }
    if part.wrapped is not None:
        found["acw_s"] = _seconds(part.ended - part.wrapped)
        if options.get("talk_with_hold") is True:
            found["talk_s"] = _seconds(part.wrapped - part.accepted.at)
    segment = task if place == 0 else f"{task}:{own.get('reservation', '')}"
    told = _told(notes) | own
    return _sent(notes, told, segment, part.since, found)


def _transfer(notes: Sequence[Note], parts: Sequence[_Part], place: int) -> str:
    """Return the target of a transfer that was completed, or after which another agent had the task."""
    accepted = parts[place].accepted
    until = parts[place + 1].accepted.at if place + 1 < len(parts) else None
    for note in notes:
        if note.kind not in ("task.transfer-initiated", "task.transfer-completed"):
            continue
        mover = note.data.get("mover")
        own = mover == accepted.data.get("reservation")
        if mover is None:
            own = note.kind == "task.transfer-initiated" and accepted.at <= note.at
        done = until is not None and note.at <= until
        if own and (done or note.kind == "task.transfer-completed"):
            return "queue" if note.data.get("to", "").upper().startswith(("WQ", "QUEUE")) else "agent"
    return "none"


def _seconds(ms: int | None) -> float | None:
    """Convert ms to seconds; a negative duration, from clocks that differ, is unknown."""
    return None if ms is None or ms < 0 else ms / 1000


def _sent(
    notes: Sequence[Note], told: Mapping[str, Any], segment: str, queued: int | None, found: Mapping[str, Any]
) -> Sent:
    everything = _told(notes)
    data = {
        "contact_id": everything.get("conversation", notes[0].contact),
        "segment_id": segment,
        "queue": told.get("queue", "unknown"),
        "queued_at": None if queued is None or queued / 1000 > found["ended_at"] else queued / 1000,
        **{name: everything.get(name) for name in _SAME},
        **found,
    }
    return Sent("call-completed", {name: value for name, value in data.items() if value is not None})
