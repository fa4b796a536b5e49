"""Zendesk's agents: a day of their unified and channel states says what a plain replay says."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload
from streamer.events.adapters.timelines import AGENT_STATE, assemble_events
from streamer.events.models import RejectedEvent
from tests.events.adapters.center_days import center_day
from tests.events.adapters.state_days import ingested, intervals, state_words, states_in_force

SOURCE = SOURCES["zendesk"]
NOON = 1_795_255_200_000
Json = dict[str, Any]


def webhook(ms: int, kind: str, agent: str, **event: Any) -> Json:
    written = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    at = written.replace("+00:00", "330335Z")  # nanoseconds, as Zendesk writes them
    return {
        "account_id": 2,
        "detail": {"account_id": "2", "agent_id": agent, "version": "3"},
        "event": {"updated_at": at, **event},
        "id": f"{agent}-{ms}",
        "subject": f"zen:agent:{agent}",
        "time": at,
        "type": f"zen:event-type:agent.{kind}",
        "zendesk_event_version": "2022-11-06",
    }


def channel(ms: int, name: str, state: str) -> Json:
    return webhook(ms, "state_changed", "7", channel=name, previous_state="offline", new_state=state)


def unified(ms: int, state: str) -> Json:
    return webhook(ms, "unified_state_changed", "7", new_unified_state=state)


STATE_PAYLOADS = [channel(NOON, "support", "online"), unified(NOON + 1, "lunch")]


def states(payloads: Sequence[Json]) -> list[tuple[Any, ...]]:
    items = [item for one in payloads for item in read_payload(SOURCE, json.dumps(one), {})]
    fragments = [item for item in items if isinstance(item, Fragment)]
    assert len(fragments) == len(items)
    found = [event.data for event in assemble_events(SOURCE, fragments, {})]
    return [(data["state"], data.get("reason"), data.get("channels")) for data in found]


def test_the_unified_state_is_the_agents() -> None:
    told = [unified(NOON, "online"), unified(NOON + 1, "Lunch"), unified(NOON + 2, "offline")]
    assert states(told) == [("available", None, None), ("away", "lunch", None), ("offline", None, None)]


def test_without_a_unified_state_one_channel_that_is_online_makes_an_agent_available() -> None:
    told = [
        channel(NOON, "support", "online"),
        channel(NOON + 1, "talk", "online"),
        channel(NOON + 2, "support", "away"),
        channel(NOON + 3, "talk", "offline"),
        channel(NOON + 4, "support", "offline"),
    ]
    assert states(told) == [
        ("available", None, ["email"]),
        ("available", None, ["email", "voice"]),
        ("available", None, ["voice"]),
        ("away", "away", None),
        ("offline", None, None),
    ]


def test_a_day_shuffled_and_tripled_is_its_replay() -> None:
    words = {"available": "online", "offline": "offline"}
    stream = [
        webhook(one.ms, "unified_state_changed", one.agent, new_unified_state=words.get(one.more, one.more))
        for one in center_day(17)
        if one.what == "status"
    ]
    replay = {
        (one["detail"]["agent_id"], round(datetime.fromisoformat(one["time"]).timestamp() * 1000)): {
            "online": "available",
            "offline": "offline",
        }.get(one["event"]["new_unified_state"], "away")
        for one in stream
    }
    published = ingested("zendesk", [json.dumps(one) for one in stream], {}, 10)
    found = state_words(states_in_force(published, AGENT_STATE, "zendesk"))
    assert found == replay
    assert intervals(found) == intervals(replay)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"event": {"updated_at": None}, "time": None}, "missing"), ({"detail": {}}, "missing")],
)
def test_what_cannot_be_meant_is_rejected(changed: Json, reason: str) -> None:
    (found,) = read_payload(SOURCE, json.dumps(unified(NOON, "online") | changed), {})
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason
