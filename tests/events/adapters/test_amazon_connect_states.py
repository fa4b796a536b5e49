"""Amazon Connect's contact events and agent event stream: a day of them says what a plain replay says."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import OutgoingEvent, read_payload
from streamer.events.adapters.timelines import AGENT_STATE, CONTACT_STATE, assemble_events
from streamer.events.models import RejectedEvent
from tests.events.adapters.center_days import HOUR, MINUTE, SECOND, Happening, center_day
from tests.events.adapters.published_events import latest_facts, published_events
from tests.events.adapters.state_days import ingested, intervals, state_words, states_in_force
from tests.events.adapters.test_amazon_connect_events import ANSWERED, GAVE_UP, PAYLOADS, THIRD
from tests.events.adapters.test_amazon_connect_events import FIRST as CONTACT

ARN = "arn:aws:connect:eu-central-1:111122223333:instance/0000"
Json = dict[str, Any]
EVENTS = SOURCES["amazon-connect-events"]


def text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(written: str) -> int:
    return round(datetime.fromisoformat(written).timestamp() * 1000)


def queue_arn(name: str) -> str:
    return f"{ARN}/queue/{name}"


def snapshot(
    name: str, status: str, since: int, queues: Sequence[str], contacts: Sequence[Json] = ()
) -> Json:
    types = {"Available": "ROUTABLE", "Offline": "OFFLINE"}
    return {
        "AgentStatus": {
            "ARN": f"{ARN}/agent-state/{status}",
            "Name": status,
            "StartTimestamp": text(since),
            "Type": types.get(status, "CUSTOM"),
        },
        "NextAgentStatus": None,
        "Configuration": {
            "Username": name,
            "AgentHierarchyGroups": {"Level1": {"ARN": f"{ARN}/agent-group/1", "Name": "Madrid"}},
            "RoutingProfile": {
                "InboundQueues": [
                    {"ARN": f"{ARN}/queue/agent/{name}", "Name": None, "Channels": ["VOICE"]},
                    *({"ARN": queue_arn(queue), "Name": queue, "Channels": ["VOICE"]} for queue in queues),
                ],
                "Concurrency": [
                    {"Channel": "VOICE", "AvailableSlots": 1, "MaximumSlots": 1},
                    {"Channel": "CHAT", "AvailableSlots": 3, "MaximumSlots": 3},
                    {"Channel": "TASK", "AvailableSlots": 0, "MaximumSlots": 0},
                ],
            },
        },
        "Contacts": [],
    }


def agent_event(kind: str, ms: int, name: str, current: Json, previous: Json | None = None) -> Json:
    return {
        "AWSAccountId": "111122223333",
        "AgentARN": f"{ARN}/agent/{name}",
        "EventId": f"{name}-{kind}-{ms}",
        "EventTimestamp": text(ms),
        "EventType": kind,
        "InstanceARN": ARN,
        "CurrentAgentSnapshot": copy.deepcopy(current),
        "PreviousAgentSnapshot": previous,
        "Version": "2017-10-01",
    }


WORDS = {
    "offered": "CONNECTING",
    "unanswered": "MISSED",
    "connected": "CONNECTED",
    "held": "CONNECTED_ONHOLD",
    "retrieved": "CONNECTED",
    "hung_up": "ENDED",
}


def agent_stream(day: Sequence[Happening]) -> list[Json]:
    """Return the agent event stream of a day, heart beats after 120 s of silence and log-off included."""
    shown: dict[str, Json] = {}
    stream: list[Json] = []
    for happened in day:
        name = happened.agent
        if not name:
            continue
        former = copy.deepcopy(shown.get(name))
        kind = "STATE_CHANGE"
        if happened.what == "sign_in":
            kind, former = "LOGIN", None
            shown[name] = snapshot(name, "Offline", happened.ms, happened.more)
        elif happened.what == "sign_off":
            kind = "LOGOUT"
        elif happened.what == "status":
            status = {"available": "Available", "offline": "Offline"}.get(happened.more, happened.more)
            shown[name]["AgentStatus"] = snapshot(name, status, happened.ms, ())["AgentStatus"]
        else:
            show_contact(shown[name]["Contacts"], happened)
        stream.append(agent_event(kind, happened.ms, name, shown[name], former))
    return sorted([*stream, *heart_beats(stream)], key=lambda event: event["EventTimestamp"])


def show_contact(contacts: list[Json], happened: Happening) -> None:
    own = [contact for contact in contacts if contact["ContactId"] == happened.contact]
    contacts[:] = [contact for contact in contacts if contact["ContactId"] != happened.contact]
    if happened.what in ("wrapped", "cleared"):
        return
    since = text(happened.ms)
    if own and happened.what in ("held", "retrieved"):
        since = own[0]["StateStartTimestamp"]  # stays, as in the API
    contacts.append(
        {
            "ContactId": happened.contact,
            "InitialContactId": happened.contact.removesuffix("+"),
            "Channel": happened.channel.upper(),
            "InitiationMethod": "INBOUND",
            "State": WORDS[happened.what],
            "StateStartTimestamp": since,
            "ConnectedToAgentTimestamp": None,
            "QueueTimestamp": None,
            "Queue": {"ARN": queue_arn(happened.queue), "Name": happened.queue},
        }
    )


def heart_beats(stream: Sequence[Json]) -> Iterator[Json]:
    by_agent: dict[str, list[Json]] = {}
    for event in stream:
        by_agent.setdefault(event["CurrentAgentSnapshot"]["Configuration"]["Username"], []).append(event)
    for name, own in by_agent.items():
        for event, following in zip(own, [*own[1:], None], strict=True):
            start = epoch_ms(event["EventTimestamp"])
            end = start + HOUR if following is None else epoch_ms(following["EventTimestamp"])
            for ms in range(start + 2 * MINUTE, end, 2 * MINUTE):
                yield agent_event("HEART_BEAT", ms, name, event["CurrentAgentSnapshot"])


def replayed_agents(stream: Sequence[Json], by_name: bool) -> dict[tuple[str, int], str]:
    """Walk over the stream in order, by hand."""
    found: dict[tuple[str, int], str] = {}
    gone: set[str] = set()
    for event in stream:
        shown, arn = event["CurrentAgentSnapshot"], event["AgentARN"]
        if event["EventType"] == "LOGIN":
            gone.discard(arn)
        if event["EventType"] == "LOGOUT":
            gone.add(arn)
        contacts = {contact["State"] for contact in shown["Contacts"]}
        if arn in gone:
            state = "offline"
        elif "CONNECTED" in contacts:
            state = "busy"
        elif "CONNECTED_ONHOLD" in contacts:
            state = "held"
        elif "CONNECTING" in contacts:
            state = "offered"
        elif "ENDED" in contacts:
            state = "wrap_up"
        elif "MISSED" in contacts:
            state = "away"
        else:
            state = {"Available": "available", "Offline": "offline"}.get(shown["AgentStatus"]["Name"], "away")
        whose = shown["Configuration"]["Username"] if by_name else arn
        found[whose, epoch_ms(event["EventTimestamp"])] = state
    return found


def contact_stream(day: Sequence[Happening]) -> list[Json]:
    """Return the contact events of a day; those of transfers are of contacts of their own."""
    stream: list[Json] = []
    details: dict[str, Json] = {}
    for happened in day:
        contact = happened.contact
        if happened.what == "queued":
            details[contact] = {
                "contactId": contact,
                "initialContactId": contact.removesuffix("+"),
                "channel": happened.channel.upper(),
                "initiationMethod": "TRANSFER" if happened.more else "INBOUND",
                "queueInfo": {
                    "queueArn": queue_arn(happened.queue),
                    "queueType": "STANDARD",
                    "enqueueTimestamp": text(happened.ms),
                },
                **({"previousContactId": happened.more} if happened.more else {}),
            }
            kinds = ["INITIATED", "QUEUED"]
        elif happened.what == "connected":
            details[contact]["agentInfo"] = {
                "agentArn": f"{ARN}/agent/{happened.agent}",
                "connectedToAgentTimestamp": text(happened.ms),
            }
            kinds = ["CONNECTED_TO_AGENT", "CONTACT_DATA_UPDATED"]
        elif happened.what in ("hung_up", "abandoned"):
            details[contact]["disconnectTimestamp"] = text(happened.ms)
            kinds = ["DISCONNECTED", *(["COMPLETED"] if happened.what == "abandoned" else [])]
        elif happened.what == "wrapped":
            details[contact]["agentInfo"]["afterContactWorkEndTimestamp"] = text(happened.ms)
            kinds = ["COMPLETED"]
        else:
            continue
        stream += [
            {
                "detail-type": "Amazon Connect Contact Event",
                "time": text(happened.ms // SECOND * SECOND),
                "detail": {**copy.deepcopy(details[contact]), "eventType": kind},
            }
            for kind in kinds
        ]
    return stream


def replayed_contacts(stream: Sequence[Json]) -> dict[tuple[str, int], str]:
    """Walk over the stream in order, by hand."""
    found: dict[tuple[str, int], str] = {}
    for event in stream:
        detail = event["detail"]
        contact, agent = detail["contactId"], detail.get("agentInfo")
        match detail["eventType"]:
            case "QUEUED":
                found[contact, epoch_ms(detail["queueInfo"]["enqueueTimestamp"])] = "queued"
            case "CONNECTED_TO_AGENT":
                found[contact, epoch_ms(agent["connectedToAgentTimestamp"])] = "connected"
            case "DISCONNECTED":
                found[contact, epoch_ms(detail["disconnectTimestamp"])] = "wrap_up" if agent else "ended"
            case "COMPLETED" if agent:
                found[contact, epoch_ms(agent["afterContactWorkEndTimestamp"])] = "ended"
            case "COMPLETED":
                found[contact, epoch_ms(detail["disconnectTimestamp"])] = "ended"
    return found


DAY = center_day(7)


def test_the_day_has_all_that_makes_it_hard() -> None:
    told = {happened.what for happened in DAY}
    assert {"unanswered", "held", "abandoned", "wrapped", "cleared"} <= told
    assert {happened.more for happened in DAY if happened.what == "sign_off"} == {True, False}
    assert any(happened.what == "queued" and happened.more for happened in DAY)
    in_hand: dict[str, set[str]] = {}
    most = 0
    for happened in DAY:
        if happened.what == "connected":
            in_hand.setdefault(happened.agent, set()).add(happened.contact)
        elif happened.what == "hung_up":
            in_hand[happened.agent].discard(happened.contact)
        most = max([most, *map(len, in_hand.values())])
    assert most > 1


@pytest.mark.parametrize("name", ["amazon-connect", "amazon-connect-events"])
def test_a_day_of_the_agent_stream_shuffled_and_tripled_is_its_replay(name: str) -> None:
    stream = agent_stream(DAY)
    published = ingested(name, [json.dumps(event) for event in stream], {}, 1)
    states = state_words(states_in_force(published, AGENT_STATE, name))
    replay = replayed_agents(stream, by_name=name == "amazon-connect")
    assert states == replay
    assert intervals(states) == intervals(replay)


def test_a_day_of_contact_events_shuffled_and_tripled_is_its_replay() -> None:
    stream = contact_stream(DAY)
    payloads = [json.dumps(event) for event in stream]
    published = ingested(EVENTS.name, payloads, {}, 2)
    states = state_words(states_in_force(published, CONTACT_STATE, EVENTS.name))
    replay = replayed_contacts(stream)
    assert states == replay
    assert intervals(states) == intervals(replay)


def test_states_have_the_ids_of_the_contacts_events() -> None:
    payloads = [json.dumps(event) for event in contact_stream(DAY)]
    published = ingested(EVENTS.name, payloads, {}, 3)
    ended = latest_facts([event for event in published if event.topic == "call-completed"])
    segments = {fact["segment_id"]: fact for fact in ended.values()}
    for event in published:
        if event.topic == CONTACT_STATE:
            fact = segments[event.data["segment_id"]]
            assert {name: fact[name] for name in ("contact_id", "queue", "channel")} == {
                name: event.data[name] for name in ("contact_id", "queue", "channel")
            }


def states(payloads: Sequence[Json], name: str = "amazon-connect", **options: Any) -> list[Mapping[str, Any]]:
    """Return an agent's states in order."""
    items = [item for one in payloads for item in read_payload(SOURCES[name], json.dumps(one), options)]
    assert not [item for item in items if isinstance(item, RejectedEvent)]
    return [event.data for event in assemble_events(SOURCES[name], items, {})]  # type: ignore[arg-type]


NINE = 1_772_442_000_000
LOGIN = agent_event("LOGIN", NINE, "maria", snapshot("maria", "Available", NINE, ["billing", "sales"]))


def seen(ms: int, kind: str = "STATE_CHANGE", status: str = "Available", **changed: Any) -> Json:
    return agent_event(kind, NINE + ms, "maria", snapshot("maria", status, NINE, ["billing"]) | changed)


def hand(state: str, contact: str = "c1") -> Json:
    return {"ContactId": contact, "InitialContactId": "c0", "Channel": "CHAT", "State": state}


STATE_PAYLOADS = [LOGIN, seen(500, Contacts=[hand("CONNECTED")]), seen(900, "HEART_BEAT")]


def test_a_snapshot_names_queues_channels_team_and_contact() -> None:
    assert states([LOGIN, seen(500, Contacts=[hand("CONNECTED")])]) == [
        {
            "agent_id": "maria",
            "state": "available",
            "at": NINE / 1000,
            "queues": ["billing", "sales"],
            "channels": ["chat", "voice"],
            "team": "Madrid",
            "heart_beat_s": 120,
            "version": 2,
        },
        {
            "agent_id": "maria",
            "state": "busy",
            "contact_id": "c0",
            "at": NINE / 1000 + 0.5,
            "queues": ["billing"],
            "channels": ["chat", "voice"],
            "team": "Madrid",
            "heart_beat_s": 120,
            "version": 3,
        },
    ]
    (by_arn,) = states([LOGIN], "amazon-connect-events")
    assert (by_arn["agent_id"], by_arn["team"]) == (f"{ARN}/agent/maria", f"{ARN}/agent-group/1")
    assert by_arn["queues"] == [queue_arn("billing"), queue_arn("sales")]


def test_heart_beats_after_log_off_sign_nobody_in_until_the_next_login_or_an_hour_and_more() -> None:
    out = agent_event("LOGOUT", NINE + 1000, "maria", seen(0)["CurrentAgentSnapshot"])
    beats = [seen(ms, "HEART_BEAT") for ms in (0 + 2 * MINUTE, HOUR)]
    again = agent_event("LOGIN", NINE + HOUR + 1, "maria", seen(0)["CurrentAgentSnapshot"])
    lost_login = seen(3 * HOUR, "HEART_BEAT")
    found = [data["state"] for data in states([LOGIN, out, *beats, again])]
    assert found == ["available", "offline", "offline", "offline", "available"]
    assert [data["state"] for data in states([LOGIN, out, lost_login])][-1] == "available"


@pytest.mark.parametrize(
    ("contacts", "state"),
    [
        (["CONNECTING", "CONNECTED_ONHOLD", "CONNECTED"], "busy"),
        (["ENDED", "PAUSED", "INCOMING"], "held"),
        (["ENDED", "PENDING"], "offered"),
        (["ENDED", "MISSED"], "wrap_up"),
        (["REJECTED"], "away"),
        (["ERROR"], "away"),
        ([], "available"),
    ],
)
def test_of_several_contacts_what_comes_first_is_the_state(contacts: list[str], state: str) -> None:
    hands = [hand(word, f"c{number}") for number, word in enumerate(contacts)]
    assert [data["state"] for data in states([seen(0, Contacts=hands)])] == [state]


def test_who_has_asked_for_a_pause_is_away_as_soon_as_no_contact_is_in_hand() -> None:
    wanted = {"NextAgentStatus": {"Name": "Lunch", "EnqueuedTimestamp": text(NINE)}}
    found = states(
        [seen(1, **wanted, Contacts=[hand("CONNECTED")]), seen(2, **wanted), seen(3, status="Lunch")]
    )
    assert [(data["state"], data.get("reason")) for data in found] == [
        ("busy", None),
        ("away", "Lunch"),
        ("away", "Lunch"),
    ]


def test_a_status_without_a_type_is_known_by_its_name() -> None:
    for name, state in (("Available", "available"), ("Offline", "offline"), ("Coffee", "away")):
        (data,) = states([seen(0, AgentStatus={"Name": name})])
        assert data["state"] == state


def contact_states(payloads: Sequence[Json], **options: Any) -> list[tuple[Any, ...]]:
    items = [item for one in payloads for item in read_payload(EVENTS, json.dumps(one), options)]
    data = [item.data for item in items if isinstance(item, OutgoingEvent)]
    return [(one["state"], one["at"] - NINE / 1000, one.get("agent_id")) for one in data]


def test_a_contact_waits_is_connected_wrapped_up_and_over() -> None:
    maria = f"{ARN}/agent/maria"
    assert contact_states(ANSWERED) == [
        ("queued", 15.5, None),
        ("connected", 50.75, maria),
        ("wrap_up", 320, maria),
        ("ended", 350, maria),
    ]
    assert contact_states(GAVE_UP) == [("queued", 400, None), ("ended", 431, None)]


def test_with_only_states_no_contact_is_counted_twice_beside_contact_records() -> None:
    lines = [json.dumps(payload) for payload in PAYLOADS]
    assert published_events(EVENTS, lines, {"only_states": True}) == []
    assert contact_states(PAYLOADS, only_states=True) == contact_states(PAYLOADS)
    assert {CONTACT, THIRD} <= {event.data["segment_id"] for event in published_events(EVENTS, lines)}


def test_arns_that_are_named_count_under_their_names_beside_contact_records() -> None:
    names = {f"{ARN}/agent/maria": "maria", queue_arn("billing"): "billing"}
    assert {agent_id for _, _, agent_id in contact_states(ANSWERED, only_states=True, names=names)} == {
        None,
        "maria",
    }
    (state,) = states([seen(1, "LOGIN")], "amazon-connect-events")
    named = {state["agent_id"]: "ann", **{queue: f"named {queue}" for queue in state["queues"]}}
    (renamed,) = states([seen(1, "LOGIN")], "amazon-connect-events", names=named)
    assert renamed["agent_id"] == "ann"
    assert renamed["queues"] == sorted(f"named {queue}" for queue in state["queues"])


@pytest.mark.parametrize("name", ["amazon-connect", "amazon-connect-events"])
def test_every_listed_name_is_read_or_passed_over_without_a_letter(name: str) -> None:
    for kind, meaning in SOURCES[name].event_names.items():
        agent, contact = agent_event(kind, NINE, "maria", LOGIN["CurrentAgentSnapshot"]), ANSWERED[2]
        detail = {**contact["detail"], "eventType": kind}
        items = [
            item
            for payload in ([agent] if name == "amazon-connect" else [agent, contact | {"detail": detail}])
            for item in read_payload(SOURCES[name], json.dumps(payload), {})
        ]
        assert not [item for item in items if isinstance(item, RejectedEvent)]
        assert bool(items) != (meaning.startswith("not read") or kind.startswith("("))
