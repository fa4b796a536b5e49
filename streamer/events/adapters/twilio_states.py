"""States of TaskRouter's tasks and workers, from the events of tasks, reservations and workers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from streamer.events.adapters.fields import choice_reader, payload_error
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent
from streamer.events.adapters.timelines import (
    AgentMoment,
    agent_contact_fragment,
    agent_fragment,
    contact_state_event,
    walk_states,
)
from streamer.events.counting_rules import HOUR

ACTIVITIES: Final = {"available": "available", "idle": "available", "offline": "offline"}
"""What the activities of a new workspace mean; any other one is away."""
_TASK_ENDS: Final = ("task.completed", "task.canceled", "task.deleted", "task.system-deleted")
_OFFER_ENDS: Final = (
    "reservation.rejected",
    "reservation.timeout",
    "reservation.canceled",
    "reservation.rescinded",
    "reservation.failed",
)
_STEPS: Final = (
    "task.created",
    "task.transfer-initiated",
    "task-queue.entered",
    "reservation.created",
    *_OFFER_ENDS,
    "reservation.accepted",
    "task.transfer-completed",
    "task.wrapup",
    "reservation.wrapup",
    "reservation.completed",
    *_TASK_ENDS,
)
"""Events in the order in which they follow each other, where two have the same time."""
STATE_EVENTS: Final = frozenset(_STEPS)
_RESERVATIONS: Final[Mapping[str, str | None]] = {
    "reservation.created": "offered",
    "reservation.accepted": "busy",
    "reservation.wrapup": "wrap_up",
    "reservation.completed": None,
    **dict.fromkeys(_OFFER_ENDS),
}
_ACTIVITY_EVENTS: Final = ("worker.activity.update", "worker.created")
WORKER_EVENTS: Final = frozenset({*_ACTIVITY_EVENTS, "worker.channel.availability.update", "worker.deleted"})
_LIVE_LIMIT_MS: Final = 4 * HOUR
_STATES: Final = {"available": "available", "away": "away", "offline": "offline"}


def reservation_fragments(kind: str, facts: Mapping[str, Any], task: str, time_ms: int) -> Iterator[Fragment]:
    """Yield what an event of a reservation says of its worker."""
    if kind in _RESERVATIONS and "agent_id" in facts and "reservation" in facts:
        yield agent_contact_fragment(
            facts["agent_id"],
            facts["reservation"],
            time_ms,
            _RESERVATIONS[kind],
            _STEPS.index(kind),
            contact_id=facts.get("conversation", task),
            channel=facts.get("channel"),
            team=facts.get("team"),
        )


def worker_fragments(
    kind: str, facts: Mapping[str, Any], activity: str | None, is_open: bool | None, time_ms: int
) -> Iterator[Fragment]:
    """Yield what an event of a worker says: the activity, or whether a channel is open to offers."""
    if (agent_id := facts.get("agent_id")) is None:
        raise payload_error("missing", "worker_name", None, "the worker's name or id")
    if kind == "worker.deleted":
        yield agent_fragment(agent_id, "activity", time_ms, 1, is_gone=True)
    elif kind in _ACTIVITY_EVENTS and activity is not None:
        yield agent_fragment(agent_id, "activity", time_ms, name=activity, team=facts.get("team"))
    elif is_open is not None and "channel" in facts:
        yield agent_fragment(agent_id, f"channel {facts['channel']}", time_ms, is_open=is_open)


def worker_state(moment: AgentMoment, options: Options) -> Mapping[str, Any]:
    """Return what a worker does: what the reservations in hand say, else the activity.

    A worker of whom only reservations are known is available between them.
    """
    activity = moment.data("activity")
    state = _activity_state(activity, options)
    open_channels = sorted(name for name, fragment in moment.named("channel ") if fragment.data["is_open"])
    newest = max(moment.slots.values(), key=lambda fragment: (fragment.at, "team" in fragment.data))
    about = {
        "team": newest.data.get("team", activity.get("team")),
        "channels": open_channels or None,
    }
    handling = moment.handling(_LIVE_LIMIT_MS)
    if handling is not None and (handling[0], state) != ("wrap_up", "offline"):
        contact = moment.data(f"contact {handling[1]}")
        return {**about, "state": handling[0], "contact_id": contact["contact_id"]}
    return {**about, "state": state, "reason": activity.get("name") if state == "away" else None}


def _activity_state(activity: Mapping[str, Any], options: Options) -> str:
    if not activity:
        return "available"
    if "is_gone" in activity:
        return "offline"
    words = {str(name).lower(): meaning for name, meaning in options["activities"].items()}
    setting = words.get(activity["name"].lower())
    state: str = choice_reader(_STATES)("the setting activities", setting) or ACTIVITIES.get(
        activity["name"].lower(), "away"
    )
    return state


class _TaskWalk:
    """A task's segments as its events come, one after another: who waits, is offered, talks.

    The first agent's segment is the task, that of each later one is the task and the reservation, as in the
    task's call-completed events. Waiting after a transfer, of which nobody knows yet who will answer, is a
    segment of its own, which ends with the answer.
    """

    def __init__(self, task: str) -> None:
        self.segments: dict[str, dict[str, Any]] = {}
        self._task, self._facts = task, dict[str, Any]()
        self._segment_by_reservation: dict[str, str] = {}
        self._offers: dict[str, str | None] = {}
        self._created_ms: int | None = None

    def take(self, fragment: Fragment) -> None:
        kind, data = fragment.kind, fragment.data
        self._facts |= {name: value for name, value in data.items() if name not in ("agent_id", "team")}
        reservation = data.get("reservation", "")
        if kind == "task.created":
            self._created_ms = fragment.at
        elif kind == "task-queue.entered":
            self._wait(fragment)
        elif kind == "reservation.created":
            self._offers[reservation] = data.get("agent_id")
            self._wait(fragment)
        elif kind in _OFFER_ENDS:
            self._end_offer(fragment, reservation)
        elif kind == "reservation.accepted":
            self._accept(fragment, reservation)
        elif kind == "reservation.wrapup":
            self._wrap_up(self._segment_by_reservation.get(reservation))
        elif kind == "task.wrapup":
            self._wrap_up(self._last_segment())
        elif kind == "reservation.completed":
            self._end(self._segment_by_reservation.get(reservation))
        elif kind in _TASK_ENDS:
            for segment in self.segments:
                self._end(segment)

    @property
    def _waiting(self) -> str:
        return f"{self._task}:waiting" if self._segment_by_reservation else self._task

    def _last_segment(self) -> str | None:
        return next(reversed(self._segment_by_reservation.values()), None)

    def _wait(self, fragment: Fragment) -> None:
        """Note that the task waits, or is offered to whom it was offered last."""
        if "queue" not in self._facts:
            return
        segment = self.segments.get(self._waiting)
        if segment is None or segment["state"] == "ended":
            created_ms = self._created_ms if self._waiting == self._task else None
            queued_ms = self._facts.get("created") if created_ms is None else created_ms
            if self._waiting != self._task:
                queued_ms = fragment.at
            segment = {"queued_ms": queued_ms}
        agent_id = next(reversed(self._offers.values()), None)
        self.segments[self._waiting] = {
            **segment,
            "state": "offered" if self._offers else "queued",
            "queue": self._facts["queue"],
            "agent_id": agent_id,
        }

    def _end_offer(self, fragment: Fragment, reservation: str) -> None:
        if reservation in self._segment_by_reservation:
            self._end(self._segment_by_reservation[reservation])
        elif self._offers.pop(reservation, "") != "" and self._waiting in self.segments:
            self._wait(fragment)

    def _accept(self, fragment: Fragment, reservation: str) -> None:
        waiting, former = self._waiting, self._last_segment()
        segment = self._task if former is None else f"{self._task}:{reservation}"
        queued_ms = self.segments.get(waiting, {}).get("queued_ms", self._facts.get("created"))
        for over in (waiting, former):
            self._end(over)
        self._offers.clear()
        self._segment_by_reservation[reservation] = segment
        self.segments[segment] = {
            "state": "connected",
            "queue": self._facts.get("queue", "unknown"),
            "agent_id": fragment.data.get("agent_id"),
            "team": fragment.data.get("team"),
            "queued_ms": queued_ms,
        }

    def _wrap_up(self, segment: str | None) -> None:
        if segment is not None and self.segments[segment]["state"] == "connected":
            self.segments[segment]["state"] = "wrap_up"

    def _end(self, segment: str | None) -> None:
        if segment is not None and segment in self.segments:
            self.segments[segment]["state"] = "ended"

    def states(self, at_ms: int) -> Iterator[OutgoingEvent]:
        for segment, told in self.segments.items():
            yield contact_state_event(
                at_ms,
                told["queued_ms"],
                contact_id=self._facts.get("conversation", self._task),
                segment_id=segment,
                **{name: told.get(name) for name in ("state", "queue", "agent_id", "team")},
                **{name: self._facts.get(name) for name in _COPIED_FIELDS},
            )


_COPIED_FIELDS: Final = ("channel", "direction", "reason", "language", "priority")


def task_states(fragments: Sequence[Fragment], options: Options) -> Iterator[OutgoingEvent]:
    return walk_states(_TaskWalk(fragments[0].contact), fragments, _STEPS)
