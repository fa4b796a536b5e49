"""Genesys Cloud's conversations and users as they go: a day of them says what a plain replay says."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload
from streamer.events.adapters.timelines import AGENT_STATE, CONTACT_STATE, assemble_events
from streamer.events.models import RejectedEvent
from tests.events.adapters.center_days import Happening, center_day
from tests.events.adapters.published_events import latest_facts
from tests.events.adapters.state_days import ingested, intervals, state_words, states_in_force
from tests.events.adapters.test_genesys_cloud import ANSWERED, CALL, GAVE_UP, MOVED, NINE

SOURCE = SOURCES["genesys-cloud"]
Json = dict[str, Any]
Moments = dict[tuple[str, int], str]
PRESENCES = {"available": "On Queue", "offline": "Offline", "Lunch": "Meal"}


def text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(written: str) -> int:
    return round(datetime.fromisoformat(written).timestamp() * 1000)


def message(ms: int, topic: str, **body: Any) -> Json:
    return {"time": text(ms), "detail": {"topicName": topic, "timestamp": text(ms), "eventBody": body}}


def presence(ms: int, name: str) -> Json:
    word = name.upper().replace(" ", "_")
    return {"presenceDefinition": {"id": "p", "systemPresence": word}, "modifiedDate": text(ms)}


class CloudWriter:
    """Writes a day as Genesys Cloud sends it."""

    def __init__(self, day: Sequence[Happening]) -> None:
        self.stream: list[Json] = []
        self._routing: dict[str, Json] = {}
        self._presence: dict[str, Json] = {}
        self._queues: dict[str, list[str]] = {}
        self._hands: dict[str, set[str]] = {}
        self._ringing: dict[str, str] = {}
        for happened in day:
            self._write(happened)

    def _activity(self, ms: int, agent: str, status: str, named: str | None = None) -> None:
        if self._routing.get(agent, {}).get("status") != status:
            self._routing[agent] = {"status": status, "startTime": text(ms)}
        if named is not None:
            self._presence[agent] = presence(ms, PRESENCES.get(named, named))
        body = {"routingStatus": self._routing[agent], "presence": self._presence[agent]}
        body |= {"id": agent, "activeQueueIds": self._queues[agent]}
        self.stream.append(message(ms, f"v2.users.{agent}.activity", **body))

    def _detail(self, happened: Happening, kind: str, participant: str, **body: Any) -> None:
        conversation = happened.contact.removesuffix("+")
        about = {
            "eventTime": happened.ms,
            "conversationId": conversation,
            "participantId": f"p-{participant}",
            "sessionId": f"s-{participant}",
            "mediaType": happened.channel.upper(),
            "direction": "INBOUND",
            "queueId": happened.queue,
        }
        topic = f"v2.detail.events.conversation.{conversation}.{kind}"
        self.stream.append(message(happened.ms + 900, topic, **about, **body))

    def _snapshot(self, happened: Happening, is_held: bool) -> None:
        leg = {
            "id": f"p-{self._ringing[happened.contact]}",
            "userId": happened.agent,
            "state": "connected",
            "held": is_held,
            **({"startHoldTime": text(happened.ms)} if is_held else {}),
        }
        topic = f"v2.routing.queues.{happened.queue}.conversations.calls"
        customer = {"id": "p-customer", "purpose": "customer", "state": "connected", "held": False}
        conversation = happened.contact.removesuffix("+")
        self.stream.append(message(happened.ms, topic, id=conversation, participants=[customer, leg]))

    def _write(self, happened: Happening) -> None:
        ms, what, agent, contact, _, _, more = happened
        hands = self._hands.setdefault(agent, set())
        if what == "offered":
            self._ringing[contact] = f"{contact}-{ms}"
        leg = self._ringing.get(contact, "")
        match what:
            case "sign_in":
                self._queues[agent] = list(more)
                self._activity(ms, agent, "OFF_QUEUE", "Available")
            case "status":
                self._activity(ms, agent, "IDLE" if more == "available" else "OFF_QUEUE", more)
            case "queued":
                if not more:
                    self._detail(happened, "customer.start", "customer")
                self._detail(happened, "acd.start", contact)
            case "offered":
                self._detail(happened, "user.start", leg, userId=agent)
            case "unanswered":
                self._detail(happened, "user.end", leg, userId=agent)
                self._activity(ms, agent, "NOT_RESPONDING")
            case "cleared":
                self._activity(ms, agent, "INTERACTING" if hands else "IDLE")
            case "connected":
                hands.add(contact)
                answer = {"acdOutcome": "ANSWERED", "answeredUserId": agent, "disconnectType": "TRANSFER"}
                self._detail(happened, "acd.end", contact, **answer)
                self._activity(ms, agent, "INTERACTING")
            case "held" | "retrieved":
                self._snapshot(happened, what == "held")
            case "hung_up":
                why = "TRANSFER" if more else "PEER"
                self._detail(
                    happened, "user.end", leg, userId=agent, disconnectType=why, interactingDurationMs=9_000
                )
            case "wrapped":
                hands.discard(contact)
                self._detail(happened, "acw", leg, userId=agent, wrapupDurationMs=5_000)
                if not hands:
                    self._activity(ms, agent, "IDLE")
            case "abandoned":
                self._detail(happened, "acd.end", contact, acdOutcome="ABANDON", disconnectType="PEER")
                self._detail(happened, "customer.end", "customer")


class StreamReplay:
    """A walk over the stream in order, by hand."""

    def __init__(self, stream: Sequence[Json]) -> None:
        self.contacts: Moments = {}
        self.agents: Moments = {}
        self._hands: dict[str, dict[str, str]] = {}
        self._activity: dict[str, Json] = {}
        self._stay: dict[str, str] = {}
        for one in stream:
            topic, body = one["detail"]["topicName"], one["detail"]["eventBody"]
            if topic.startswith("v2.users."):
                self._take_activity(body)
            elif topic.startswith("v2.routing."):
                self._take_snapshot(body, epoch_ms(one["time"]))
            else:
                self._take_detail(topic.partition(".conversation.")[2].partition(".")[2], body)

    def _take_activity(self, body: Json) -> None:
        former = self._activity.get(body["id"])
        self._activity[body["id"]] = body
        times = body["routingStatus"]["startTime"], body["presence"]["modifiedDate"]
        if former is None or (former["routingStatus"], former["presence"]) != (
            body["routingStatus"],
            body["presence"],
        ):  # else the same is said again
            self._tell_agent(body["id"], max(map(epoch_ms, times)))

    def _tell_agent(self, agent: str, ms: int) -> None:
        routing = self._activity[agent]["routingStatus"]["status"]
        hands = self._hands.setdefault(agent, {}).values()
        if self._activity[agent]["presence"]["presenceDefinition"]["systemPresence"] == "OFFLINE":
            state = "offline"
        elif routing in ("OFF_QUEUE", "NOT_RESPONDING"):
            state = "away"
        else:
            idle = "available" if routing == "IDLE" else "busy"
            ordered = ("busy", "held", "offered", *(("wrap_up",) if routing != "IDLE" else ()))
            state = next((word for word in ordered if word in hands), idle)
        self.agents[agent, ms] = state

    def _take_snapshot(self, body: Json, ms: int) -> None:
        leg = body["participants"][1]
        self._hands[leg["userId"]][self._stay[leg["id"]]] = "held" if leg["held"] else "busy"
        self.contacts[self._stay[leg["id"]], ms] = "held" if leg["held"] else "connected"
        self._tell_agent(leg["userId"], ms)

    def _take_detail(self, kind: str, body: Json) -> None:
        ms, participant = body["eventTime"], body["participantId"]
        conversation = body["conversationId"]
        own = f"{conversation}:{participant}:{body['sessionId']}"
        agent = body.get("answeredUserId") or body.get("userId")
        state: str | None = None
        match kind:
            case "acd.start":
                self.contacts[own, ms] = "queued"
                self._stay[f"{conversation} waits"] = own
                return
            case "user.start":
                self._stay[participant] = self._stay[f"{conversation} waits"]
                state, told = "offered", "offered"
            case "acd.end" if agent:
                state, told = "busy", "connected"
                self._stay[participant] = own
            case "acd.end":
                told = "ended"
                self._stay[participant] = own
            case "user.end" if "interactingDurationMs" in body:
                state = told = "wrap_up"
            case "user.end":
                told = "queued"
            case "acw":
                told = "ended"
            case _:
                return
        stay = self._stay[participant]
        self.contacts[stay, ms] = told
        if agent:
            hands = self._hands.setdefault(agent, {})
            hands.pop(stay, None)
            if state is not None:
                hands[stay] = state
            self._tell_agent(agent, ms)


DAY = center_day(13)
STREAM = CloudWriter(DAY).stream


def test_a_day_shuffled_and_tripled_is_its_replay() -> None:
    published = ingested(SOURCE.name, [json.dumps(one) for one in STREAM], {}, 8)
    replay = StreamReplay(STREAM)
    for topic, expected in ((CONTACT_STATE, replay.contacts), (AGENT_STATE, replay.agents)):
        found = state_words(states_in_force(published, topic, SOURCE.name))
        assert intervals(found) == intervals(expected)
    assert {"held", "offered", "wrap_up", "away"} <= {*replay.agents.values()}


def test_states_have_the_ids_of_the_contacts_events() -> None:
    published = ingested(SOURCE.name, [json.dumps(one) for one in STREAM], {}, 9)
    ended = latest_facts([one for one in published if one.topic == "call-completed"])
    found = states_in_force(published, CONTACT_STATE, SOURCE.name).values()
    for name in ("segment_id", "contact_id", "queue"):
        assert {data[name] for data in found} == {fact[name] for fact in ended.values()}


def states(payloads: Sequence[Json], topic: str) -> list[Mapping[str, Any]]:
    own: dict[str, list[Fragment]] = {}
    for one in payloads:
        for item in read_payload(SOURCE, json.dumps(one), {}):
            assert isinstance(item, Fragment), item
            own.setdefault(item.contact, []).append(item)
    events = [found for fragments in own.values() for found in assemble_events(SOURCE, fragments, {})]
    return [found.data for found in events if found.topic == topic]


def words(payloads: Sequence[Json]) -> list[tuple[str, str, float]]:
    """Return segment, state and second of each state that is not repeated."""
    found, last = list[tuple[str, str, float]](), dict[str, str]()
    for data in states(payloads, CONTACT_STATE):
        segment = data["segment_id"].partition(":")[2]
        if last.get(segment) != data["state"]:
            found.append((segment, data["state"], round(data["at"] - NINE, 3)))
        last[segment] = data["state"]
    return found


def test_a_stay_waits_rings_is_answered_wrapped_up_and_over() -> None:
    assert words([*ANSWERED, *MOVED]) == [
        ("p-acd:s-acd", "queued", 10),
        ("p-acd:s-acd", "offered", 40),
        ("p-acd:s-acd", "connected", 45.5),
        ("p-acd2:s-acd2", "queued", 280),
        ("p-acd2:s-acd2", "offered", 281),
        ("p-acd2:s-acd2", "connected", 290),
        ("p-acd:s-acd", "wrap_up", 300),
        ("p-acd:s-acd", "ended", 325),
        ("p-acd2:s-acd2", "wrap_up", 900),
    ]
    assert [state for _, state, _ in words(GAVE_UP)] == ["queued", "offered", "queued", "ended"]


def test_what_is_known_of_the_waiting_stands_in_its_states() -> None:
    queued, offered = states(ANSWERED[1:3], CONTACT_STATE)
    assert queued == {
        "contact_id": CALL,
        "segment_id": f"{CALL}:p-acd:s-acd",
        "state": "queued",
        "at": NINE + 10,
        "queue": "q-billing",
        "channel": "voice",
        "direction": "inbound",
        "team": "d-home",
        "version": 1,
    }
    assert (offered["agent_id"], offered["queued_at"]) == ("u-maria", NINE + 10)


def user_event(second: float, kind: str, **body: Any) -> Json:
    return message(round((NINE + second) * 1000), f"v2.users.u-maria.{kind}", **body)


def routing(second: float, status: str) -> Json:
    start = text(round((NINE + second) * 1000))
    return user_event(
        second, "routingStatus", id="u-maria", routingStatus={"status": status, "startTime": start}
    )


def present(second: float, name: str, **more: Any) -> Json:
    return user_event(second, "presence", **presence(round((NINE + second) * 1000), name), **more)


STATE_PAYLOADS = [routing(1, "IDLE"), present(2, "Meal"), STREAM[0]]


@pytest.mark.parametrize(
    ("told", "state", "reason"),
    [
        ([routing(1, "IDLE")], "available", None),
        ([routing(1, "INTERACTING")], "busy", None),
        ([routing(1, "COMMUNICATING")], "busy", None),
        ([routing(1, "NOT_RESPONDING")], "away", "not_responding"),
        ([routing(1, "OFF_QUEUE")], "away", None),
        ([present(1, "Meal"), routing(2, "OFF_QUEUE")], "away", "meal"),
        ([routing(1, "OFF_QUEUE"), present(2, "Meal")], "away", "meal"),
        ([routing(1, "OFF_QUEUE"), present(2, "Offline")], "offline", None),
        ([routing(1, "IDLE"), present(2, "Offline")], "offline", None),
        ([present(1, "Offline"), routing(2, "IDLE")], "available", None),
        ([present(1, "On Queue")], "available", None),
        ([present(1, "Break")], "away", "break"),
        ([routing(1, "IDLE"), present(2, "Meal", primary=False)], "available", None),
    ],
)
def test_what_a_user_does_follows_from_routing_status_and_presence(
    told: list[Json], state: str, reason: str | None
) -> None:
    last = states(told, AGENT_STATE)[-1]
    assert (last["agent_id"], last["state"], last.get("reason")) == ("u-maria", state, reason)


def test_while_interacting_the_conversations_say_what_the_user_does() -> None:
    told = [
        routing(0, "IDLE"),
        *ANSWERED[:4],
        routing(45.5, "INTERACTING"),
        *ANSWERED[4:],
        routing(325, "IDLE"),
    ]
    assert [(data["at"] - NINE, data["state"]) for data in states(told, AGENT_STATE)] == [
        (0, "available"),
        (40, "offered"),
        (45.5, "busy"),
        (300, "wrap_up"),
        (325, "available"),
    ]


def test_queues_are_the_active_ones_and_what_was_joined_or_left_since() -> None:
    status = {"status": "IDLE", "startTime": text(NINE * 1000)}
    activity = user_event(0, "activity", routingStatus=status, activeQueueIds=["q-1", "q-2"])

    def member(second: float, queue: str, joined: bool) -> Json:
        ms = round((NINE + second) * 1000)
        return message(ms, f"v2.routing.queues.{queue}.users", user={"id": "u-maria"}, joined=joined)

    found = states([activity, member(1, "q-3", True), member(2, "q-1", False)], AGENT_STATE)
    assert [data["queues"] for data in found] == [["q-1", "q-2"], ["q-1", "q-2", "q-3"], ["q-2", "q-3"]]
    without_time = member(3, "q-4", True)["detail"] | {"timestamp": None}
    assert states([without_time], AGENT_STATE) == []


@pytest.mark.parametrize(("name", "meaning"), SOURCE.event_names.items())
def test_every_listed_name_is_read_or_passed_over_without_a_letter(name: str, meaning: str) -> None:
    body = ANSWERED[4]["detail"]["eventBody"] | {
        "id": CALL,
        "routingStatus": {"status": "IDLE", "startTime": text(NINE * 1000)},
        **presence(NINE * 1000, "Meal"),
        "user": {"id": "u-maria"},
        "joined": True,
        "participants": [{"id": "p-maria", "userId": "u-maria", "state": "connected", "held": False}],
    }
    found = read_payload(SOURCE, json.dumps(message(NINE * 1000, name.replace("{id}", "1"), **body)), {})
    assert not [item for item in found if isinstance(item, RejectedEvent)]
    assert bool(found) != meaning.startswith("not read")
