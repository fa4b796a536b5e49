"""Assemble a TaskRouter task: the agents who accepted it, or its cancellation."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streamer.events.adapters.fields import known_values
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent

TASK_EVENTS: Final = frozenset(
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
_COPIED_FIELDS: Final = ("customer_id", "channel", "direction", "reason", "language")


class _AcceptedReservation(NamedTuple):
    """An accepted reservation: one agent's part of a task. Times in ms, None if unknown."""

    accepted: Fragment
    since_ms: int | None
    wrapped_ms: int | None
    ended_ms: int | None


def assemble_task(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    fragments = [fragment for fragment in fragments if fragment.kind in TASK_EVENTS]
    reservations = _accepted_reservations(fragments)
    for reservation_index, reservation in enumerate(reservations):
        if reservation.ended_ms is not None:
            yield _answered_event(fragments, reservations, reservation_index, options)
    canceled = _first_of_kind(fragments, "task.canceled")
    facts = _merged_facts(fragments)
    if not reservations and canceled is not None and "queue" in facts:
        created_ms = _created_ms(fragments)
        waited_ms = None if created_ms is None else canceled.at - created_ms
        outcome_data = {
            "outcome": canceled.data["left"],
            "wait_s": _seconds(waited_ms),
            "ended_at": canceled.at / 1000,
        }
        yield _completed_event(fragments, facts, fragments[0].contact, created_ms, outcome_data)


def _accepted_reservations(fragments: Sequence[Fragment]) -> list[_AcceptedReservation]:
    accepted: dict[str, Fragment] = {}
    for fragment in fragments:
        if fragment.kind == "reservation.accepted":
            accepted.setdefault(fragment.data.get("reservation", ""), fragment)
    order = list(accepted.items())
    return [
        _accepted_reservation(
            fragments,
            reservation_id,
            fragment,
            order[reservation_index + 1][1] if reservation_index + 1 < len(order) else None,
            reservation_index == 0,
        )
        for reservation_index, (reservation_id, fragment) in enumerate(order)
    ]


def _accepted_reservation(
    fragments: Sequence[Fragment],
    reservation_id: str,
    accepted: Fragment,
    following: Fragment | None,
    is_first: bool,
) -> _AcceptedReservation:
    is_last = following is None
    wrapped_ms, ended_ms = (
        _event_time_ms(fragments, f"reservation.{kind}", reservation_id) for kind in ("wrapup", "completed")
    )
    if is_last:  # events of the task apply to its last agent
        wrapped_ms = _event_time_ms(fragments, "task.wrapup") if wrapped_ms is None else wrapped_ms
        ended_ms = (
            _event_time_ms(fragments, "task.completed", None, "task.canceled")
            if ended_ms is None
            else ended_ms
        )
    elif ended_ms is None and following is not None:
        ended_ms = following.at  # handed over
    transfer_times_ms = [
        fragment.at
        for fragment in fragments
        if fragment.kind == "task.transfer-initiated" and fragment.at <= accepted.at
    ]
    since_ms = _created_ms(fragments) if is_first else max(transfer_times_ms, default=None)
    return _AcceptedReservation(accepted, since_ms, wrapped_ms, ended_ms)


def _event_time_ms(
    fragments: Sequence[Fragment], kind: str, reservation_id: str | None = None, *others: str
) -> int | None:
    for wanted_kind in (kind, *others):
        for fragment in fragments:
            if fragment.kind == wanted_kind and (
                reservation_id is None or fragment.data.get("reservation") == reservation_id
            ):
                return fragment.at
    return None


def _first_of_kind(fragments: Sequence[Fragment], kind: str) -> Fragment | None:
    return next((fragment for fragment in fragments if fragment.kind == kind), None)


def _created_ms(fragments: Sequence[Fragment]) -> int | None:
    """Return the task's creation time: its event's, which is finer than the field, at times whole seconds."""
    fragment = _first_of_kind(fragments, "task.created")
    created_times_ms = [fragment.data["created"] for fragment in fragments if "created" in fragment.data]
    return fragment.at if fragment is not None else min(created_times_ms, default=None)


def _merged_facts(fragments: Sequence[Fragment]) -> dict[str, Any]:
    return {name: value for fragment in fragments for name, value in fragment.data.items()}


def _answered_event(
    fragments: Sequence[Fragment],
    reservations: Sequence[_AcceptedReservation],
    reservation_index: int,
    options: Options,
) -> OutgoingEvent:
    reservation, task = reservations[reservation_index], fragments[0].contact
    assert reservation.ended_ms is not None
    accepted_facts = reservation.accepted.data
    outcome_data: dict[str, Any] = {
        "outcome": "answered",
        "ended_at": reservation.ended_ms / 1000,
        "agent_id": accepted_facts.get("agent_id"),
        "team": accepted_facts.get("team"),
        "transfer": _transfer(fragments, reservations, reservation_index),
        "wait_s": None
        if reservation.since_ms is None
        else _seconds(reservation.accepted.at - reservation.since_ms),
    }
    if reservation.wrapped_ms is not None:
        outcome_data["acw_s"] = _seconds(reservation.ended_ms - reservation.wrapped_ms)
        if options.get("talk_with_hold") is True:
            outcome_data["talk_s"] = _seconds(reservation.wrapped_ms - reservation.accepted.at)
    segment = task if reservation_index == 0 else f"{task}:{accepted_facts.get('reservation', '')}"
    facts = _merged_facts(fragments) | accepted_facts
    return _completed_event(fragments, facts, segment, reservation.since_ms, outcome_data)


def _transfer(
    fragments: Sequence[Fragment], reservations: Sequence[_AcceptedReservation], reservation_index: int
) -> str:
    """Return the target of a transfer that was completed, or after which another agent had the task."""
    accepted = reservations[reservation_index].accepted
    until_ms = (
        reservations[reservation_index + 1].accepted.at if reservation_index + 1 < len(reservations) else None
    )
    for fragment in fragments:
        if fragment.kind not in ("task.transfer-initiated", "task.transfer-completed"):
            continue
        mover = fragment.data.get("mover")
        is_own = mover == accepted.data.get("reservation")
        if mover is None:
            is_own = fragment.kind == "task.transfer-initiated" and accepted.at <= fragment.at
        is_done = until_ms is not None and fragment.at <= until_ms
        if is_own and (is_done or fragment.kind == "task.transfer-completed"):
            return "queue" if fragment.data.get("to", "").upper().startswith(("WQ", "QUEUE")) else "agent"
    return "none"


def _seconds(duration_ms: int | None) -> float | None:
    """Convert ms to seconds; a negative duration, from clocks that differ, is unknown."""
    return None if duration_ms is None or duration_ms < 0 else duration_ms / 1000


def _completed_event(
    fragments: Sequence[Fragment],
    facts: Mapping[str, Any],
    segment: str,
    queued_ms: int | None,
    outcome_data: Mapping[str, Any],
) -> OutgoingEvent:
    all_facts = _merged_facts(fragments)
    data = {
        "contact_id": all_facts.get("conversation", fragments[0].contact),
        "segment_id": segment,
        "queue": facts.get("queue", "unknown"),
        "queued_at": None
        if queued_ms is None or queued_ms / 1000 > outcome_data["ended_at"]
        else queued_ms / 1000,
        **{name: all_facts.get(name) for name in _COPIED_FIELDS},
        **outcome_data,
    }
    return OutgoingEvent("call-completed", known_values(data))
