"""TaskRouter's tasks and workers as they go: a day of them says what a plain replay says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload
from streamer.events.adapters.timelines import AGENT_STATE, CONTACT_STATE, assemble_events
from streamer.events.models import RejectedEvent
from tests.events.adapters.center_days import Happening, center_day
from tests.events.adapters.published_events import latest_facts
from tests.events.adapters.state_days import ingested, intervals, state_words, states_in_force
from tests.events.adapters.test_twilio import (
    ANSWERED,
    BILLING,
    GAVE_UP,
    MARIA,
    NINE,
    TASK,
    TRANSFERRED,
    TWO,
    event,
)

SOURCE = SOURCES["twilio"]
Json = dict[str, Any]
Moments = dict[tuple[str, int], str]


def told(ms: int, kind: str, **fields: Any) -> Json:
    """Return an event as a workspace's callback sends it."""
    return {"EventType": kind, "Timestamp": str(ms // 1000), "TimestampMs": str(ms), **fields}


def task_stream(day: Sequence[Happening]) -> list[Json]:
    """Return the events of a day's tasks and workers, in order."""
    stream: list[Json] = []
    reservations: dict[str, str] = {}
    moved: set[str] = set()
    for ms, what, agent, contact, queue, channel, more in day:
        task = contact.removesuffix("+")
        about = {"TaskSid": task, "TaskQueueName": queue, "TaskChannelUniqueName": channel}
        worker = {"WorkerName": agent, "WorkerAttributes": json.dumps({"team_name": "Madrid"})}
        if what == "offered":
            reservations[contact] = f"WR-{contact}-{ms}"
        held = {**about, **worker, "ReservationSid": reservations.get(contact)}
        activity = {"available": "Available", "offline": "Offline"}
        match what:
            case "sign_in":
                stream.append(told(ms, "worker.activity.update", **worker, WorkerActivityName="Offline"))
            case "status":
                name = activity.get(more, more)
                stream.append(told(ms, "worker.activity.update", **worker, WorkerActivityName=name))
            case "queued":
                if not more:
                    stream.append(told(ms, "task.created", TaskSid=task, TaskChannelUniqueName=channel))
                stream.append(told(ms, "task-queue.entered", **about))
            case "offered":
                stream.append(told(ms, "reservation.created", **held))
            case "unanswered":
                stream.append(told(ms, "reservation.timeout", **held))
                stream.append(told(ms, "worker.activity.update", **worker, WorkerActivityName="Missed"))
            case "cleared":
                stream.append(told(ms, "worker.activity.update", **worker, WorkerActivityName="Available"))
            case "connected":
                stream.append(told(ms, "reservation.accepted", **held))
            case "hung_up":
                stream.append(told(ms, "reservation.wrapup", **held))
                if more:
                    moved.add(contact)
                    by = {"TransferInitiatingReservationSid": reservations[contact], "TransferTo": "WQ2"}
                    stream.append(told(ms, "task.transfer-initiated", **about, **by))
                else:
                    stream.append(told(ms, "task.wrapup", **about))
            case "wrapped":
                stream.append(told(ms, "reservation.completed", **held))
                if contact not in moved:
                    stream.append(told(ms, "task.completed", **about))
            case "abandoned":
                stream.append(told(ms, "task.canceled", **about, Reason="hangup"))
    return stream


class StreamReplay:
    """A walk over the stream in order, by hand."""

    def __init__(self, stream: Sequence[Json]) -> None:
        self.contacts: Moments = {}
        self.agents: Moments = {}
        self._answered: dict[str, list[str]] = {}
        self._offers: dict[str, set[str]] = {}
        self._activities: dict[str, str] = {}
        self._hands: dict[str, dict[str, str]] = {}
        for one in stream:
            ms, kind = int(one["TimestampMs"]), one["EventType"]
            if "WorkerName" in one:
                self.agents[one["WorkerName"], ms] = self._agent(one["WorkerName"], kind, one)
            if "TaskSid" in one:
                for segment, state in self._segments(one["TaskSid"], kind, one.get("ReservationSid")):
                    self.contacts[segment, ms] = state

    def _agent(self, agent: str, kind: str, one: Json) -> str:
        hands = self._hands.setdefault(agent, {})
        reservation = one.get("ReservationSid", "")
        if kind == "worker.activity.update":
            self._activities[agent] = one["WorkerActivityName"]
        elif kind in ("reservation.timeout", "reservation.completed"):
            del hands[reservation]
        else:
            hands[reservation] = {"created": "offered", "accepted": "busy", "wrapup": "wrap_up"}[
                kind.removeprefix("reservation.")
            ]
        for state in ("busy", "offered", "wrap_up"):
            if state in hands.values():
                return state
        return {"Available": "available", "Offline": "offline"}.get(self._activities[agent], "away")

    def _segments(self, task: str, kind: str, reservation: str | None) -> list[tuple[str, str]]:
        answered = self._answered.setdefault(task, [])
        offers = self._offers.setdefault(task, set())
        waiting = f"{task}:waiting" if answered else task
        match kind:
            case "task-queue.entered":
                return [(waiting, "queued")]
            case "reservation.created" if reservation:
                offers.add(reservation)
                return [(waiting, "offered")]
            case "reservation.timeout" if reservation:
                offers.remove(reservation)
                return [(waiting, "queued")]
            case "reservation.accepted" if reservation:
                offers.remove(reservation)
                before = [(waiting, "ended"), (answered[-1], "ended")] if answered else []
                answered.append(f"{task}:{reservation}" if answered else task)
                return [*before, (answered[-1], "connected")]
            case "reservation.wrapup":
                return [(answered[-1], "wrap_up")]
            case "reservation.completed" if reservation:
                own = f"{task}:{reservation}"
                return [(own if own in answered else task, "ended")]
            case "task.completed" | "task.canceled":
                return [(segment, "ended") for segment in {waiting, *answered}]
        return []


DAY = center_day(11)
STREAM = task_stream(DAY)


def test_a_day_shuffled_and_tripled_is_its_replay() -> None:
    published = ingested("twilio", [json.dumps(one) for one in STREAM], {}, 4)
    replay = StreamReplay(STREAM)
    for topic, expected in ((CONTACT_STATE, replay.contacts), (AGENT_STATE, replay.agents)):
        found = state_words(states_in_force(published, topic, "twilio"))
        assert intervals(found) == _without_lone_ends(intervals(expected))


def _without_lone_ends(found: list[Any]) -> list[Any]:
    """Leave out who is said to have ended and never was: no one waited for a second agent."""
    began = {one.whose for one in found if one.state != "ended"}
    return [one for one in found if one.whose in began]


def test_states_have_the_ids_of_the_contacts_events() -> None:
    published = ingested("twilio", [json.dumps(one) for one in STREAM], {}, 5)
    ended = latest_facts([one for one in published if one.topic == "call-completed"])
    found = states_in_force(published, CONTACT_STATE, "twilio").values()
    segments = {data["segment_id"] for data in found}
    assert {fact["segment_id"] for fact in ended.values()} <= segments
    assert {data["contact_id"] for data in found} == {fact["contact_id"] for fact in ended.values()}
    assert all(
        segment.endswith(":waiting")
        for segment in segments - {str(fact["segment_id"]) for fact in ended.values()}
    )


def states(payloads: Sequence[Json], topic: str, **options: Any) -> list[Mapping[str, Any]]:
    own: dict[str, list[Fragment]] = {}
    for one in payloads:
        for item in read_payload(SOURCE, json.dumps(one), options):
            assert isinstance(item, Fragment), item
            own.setdefault(item.contact, []).append(item)
    events = [found for fragments in own.values() for found in assemble_events(SOURCE, fragments, options)]
    return [found.data for found in events if found.topic == topic]


def words(payloads: Sequence[Json], topic: str = CONTACT_STATE) -> list[tuple[str, str, float]]:
    """Return segment or agent, state and second of each state that is not repeated."""
    name, found = "agent_id" if topic == AGENT_STATE else "segment_id", list[tuple[str, str, float]]()
    last: dict[str, str] = {}
    for data in states(payloads, topic):
        if last.get(data[name]) != data["state"]:
            found.append((data[name], data["state"], data["at"] - NINE))
        last[data[name]] = data["state"]
    return found


def test_a_task_waits_is_offered_answered_wrapped_up_and_over() -> None:
    assert words(ANSWERED) == [
        (TASK, "queued", 0.5),
        (TASK, "offered", 20),
        (TASK, "connected", 32.75),
        (TASK, "wrap_up", 300),
        (TASK, "ended", 330),
    ]
    first = states(ANSWERED, CONTACT_STATE)[0]
    assert first == {
        "contact_id": "talk-1",
        "segment_id": TASK,
        "state": "queued",
        "at": NINE + 0.5,
        "queued_at": NINE + 0.25,
        "queue": "Billing",
        "channel": "voice",
        "direction": "inbound",
        "version": 2,
    }


def test_who_waits_for_a_second_agent_is_a_segment_that_ends_with_the_answer() -> None:
    sales = {"task_queue_sid": "WQ2", "task_queue_name": "Sales"}
    found = words([*TRANSFERRED, event("task-queue.entered", 302, **sales)])
    assert [one for one in found if one[0] != TASK] == [
        (f"{TASK}:waiting", "queued", 302),
        (f"{TASK}:waiting", "ended", 310),
        (f"{TASK}:{TWO}", "connected", 310),
        (f"{TASK}:{TWO}", "wrap_up", 900),
        (f"{TASK}:{TWO}", "ended", 940),
    ]


def test_whichever_agent_is_known_first_the_segments_are_those_of_the_whole_task() -> None:
    """The second agent is taken for the first while the first is not known."""
    late = [*TRANSFERRED[4:], *TRANSFERRED[:4]]
    published = ingested("twilio", [json.dumps(one) for one in late], {}, 6)
    in_order = ingested("twilio", [json.dumps(one) for one in TRANSFERRED], {}, 7)
    assert intervals(state_words(states_in_force(published, CONTACT_STATE, "twilio"))) == intervals(
        state_words(states_in_force(in_order, CONTACT_STATE, "twilio"))
    )


@pytest.mark.parametrize("kind", ["rejected", "timeout", "canceled", "rescinded", "failed"])
def test_an_offer_that_is_over_puts_the_task_back_into_its_queue(kind: str) -> None:
    over = [
        *GAVE_UP[:3],
        event(f"reservation.{kind}", 80, GAVE_UP[0]["data"]["payload"]["task_sid"], **MARIA),
    ]
    assert [state for _, state, _ in words(over)] == ["queued", "offered", "queued"]
    assert [state for _, state, _ in words(over, AGENT_STATE)] == ["offered", "available"]


def test_a_task_offered_to_two_is_offered_until_both_have_refused() -> None:
    other = MARIA | {"worker_name": "joana", "reservation_sid": TWO}
    offers = [event("task-queue.entered", 1, **BILLING), event("reservation.created", 2, **MARIA)]
    offers += [event("reservation.created", 3, **other), event("reservation.rejected", 4, **MARIA)]
    assert [state for _, state, _ in words(offers)] == ["queued", "offered"]
    offers.append(event("reservation.rejected", 5, **other))
    assert [state for _, state, _ in words(offers)] == ["queued", "offered", "queued"]


def activity(seconds: float, name: str, **more: Any) -> Json:
    return event("worker.activity.update", seconds, **MARIA | {"worker_activity_name": name} | more)


def test_what_an_activity_means_is_said_by_options_or_its_name() -> None:
    told_of = [
        activity(second, name) for second, name in enumerate(("Available", "Offline", "Lunch", "Back Office"))
    ]
    found = states(told_of, AGENT_STATE, activities={"back office": "available"})
    assert [(data["state"], data.get("reason"), data["team"]) for data in found] == [
        ("available", None, "Madrid"),
        ("offline", None, "Madrid"),
        ("away", "Lunch", "Madrid"),
        ("available", None, "Madrid"),
    ]


def test_an_agent_with_two_tasks_is_free_only_after_both() -> None:
    second = MARIA | {"reservation_sid": TWO}
    found = words(
        [
            activity(0, "Available"),
            event("reservation.accepted", 1, **MARIA),
            event("reservation.accepted", 2, "WT2", **second),
            event("reservation.completed", 3, **MARIA),
            event("reservation.wrapup", 4, "WT2", **second),
            event("reservation.completed", 5, "WT2", **second),
        ],
        AGENT_STATE,
    )
    assert [(state, at) for _, state, at in found] == [
        ("available", 0),
        ("busy", 1),
        ("wrap_up", 4),
        ("available", 5),
    ]


def test_channels_are_those_open_to_offers() -> None:
    open_for = [
        event("worker.channel.availability.update", second, **MARIA | {"task_channel_unique_name": channel,
              "worker_channel_available": is_open})
        for second, channel, is_open in ((1, "voice", True), (2, "chat", True), (3, "voice", False))
    ]  # fmt: skip
    found = states([activity(0, "Available"), *open_for], AGENT_STATE)
    assert [data.get("channels") for data in found] == [None, ["voice"], ["chat", "voice"], ["chat"]]


@pytest.mark.parametrize(("name", "meaning"), SOURCE.event_names.items())
def test_every_listed_name_is_read_or_passed_over_without_a_letter(name: str, meaning: str) -> None:
    about = MARIA | {
        "worker_activity_name": "Lunch",
        "worker_channel_available": True,
    }
    items = read_payload(SOURCE, json.dumps(event(name, 1, **about)), {})
    assert not [item for item in items if isinstance(item, RejectedEvent)]
    assert bool(items) != meaning.startswith("not read")
