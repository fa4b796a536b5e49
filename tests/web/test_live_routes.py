"""Lists of contacts under way and of agents: what they hold, in what order, and who sees which."""

import json
from typing import Any

import pytest
from starlette.applications import Starlette

from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.readings.live_lists import ContactUnderWay, SignedInAgent
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, UserSettings
from streamer.web.credentials import token_hash
from streamer.web.server import application
from tests.readings.live_center import agent, contact, live_deltas
from tests.readings.small_center import NOW, SmallCenter
from tests.web.asgi_client import AsgiResponse, send_request

SETTINGS = Settings(
    users={
        "sue": UserSettings(role="supervisor", teams=["red"], tokens=[token_hash("of sue")]),
        "adam": UserSettings(role="admin", tokens=[token_hash("of adam")]),
    }
)
CONTACTS = [
    contact("connected", 5, contact_id="talks", team="blue", agent_id="bob"),
    contact("queued", 5, contact_id="second"),
    contact("offered", 25.5, contact_id="first", segment_id="s1", priority=3),
    contact("queued", 5 * 3600, contact_id="lost"),
    contact("queued", 1, contact_id="elsewhere", queue="sales"),
    contact("held", 9, contact_id="on hold", team="red", agent_id="ann", queue="sales"),
]
AGENTS = [
    agent("bob", "busy", team="blue", queues=("sales",), contact_id="talks"),
    agent("ann", "away", reason="lunch", team="red", queues=("billing", "tech"), channels=("voice",)),
    agent("cyd", "available", 60, silence_ms=60_000),
    agent("dan", "available", 3 * 86_400),
]


async def live_app(
    contacts: list[LiveContact] = CONTACTS, agents: list[LiveAgent] = AGENTS, settings: Settings = SETTINGS
) -> Starlette:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({}, more=live_deltas(contacts, agents))
    reader = MetricsReader(center.store, settings)
    await reader.refresh(NOW)
    return application(reader, settings, lambda: NOW)


async def get_response(path: str, who: str = "adam") -> AsgiResponse:
    return await send_request(await live_app(), path, headers={"authorization": f"Bearer of {who}"})


async def get_items(path: str, who: str = "adam") -> list[dict[str, Any]]:
    response = await get_response(path, who)
    assert response.status == 200, response.body
    items: list[dict[str, Any]] = json.loads(response.body)
    return items


async def test_those_who_wait_come_first_and_the_longest_before_all() -> None:
    items = await get_items("/api/v1/waiting")
    assert [item["contact_id"] for item in items] == ["first", "second", "elsewhere", "on hold", "talks"]
    assert list(items[0]) == [*ContactUnderWay.__struct_fields__]
    assert items[0] == {
        "contact_id": "first",
        "segment_id": "s1",
        "state": "offered",
        "since": "2026-11-21T09:59:37.500Z",
        "waiting_since": "2026-11-21T09:59:37.500Z",
        "connected_at": None,
        "age_s": 25.5,
        "over_target": True,
        "queue": "billing",
        "team": None,
        "site": None,
        "channel": "voice",
        "agent_id": None,
        "reason": None,
        "language": None,
        "direction": "inbound",
        "priority": 3,
    }
    assert items[1]["segment_id"] == "second"
    assert (items[4]["age_s"], items[4]["over_target"]) == (5, False)


async def test_agents_are_listed_with_what_they_do_those_first_who_take_no_contact() -> None:
    items = await get_items("/api/v1/agents")
    assert [(item["agent_id"], item["state"]) for item in items] == [
        ("ann", "away"),
        ("cyd", "unknown"),
        ("bob", "busy"),
    ]
    states = ("available", "wrap_up", "held", "away", "busy")
    agents = [agent(f"{state} {age_s}", state, age_s) for state in states for age_s in (1, 9)]
    response = await send_request(
        await live_app(agents=agents),
        "/api/v1/agents?limit=9",
        headers={"authorization": "Bearer of adam"},
    )
    assert [item["agent_id"] for item in json.loads(response.body)] == [
        "away 9", "wrap_up 9", "away 1", "wrap_up 1",
        "busy 9", "held 9", "busy 1", "held 1", "available 9",
    ]  # fmt: skip
    assert response.headers["x-total-count"] == "10"
    assert list(items[0]) == [*SignedInAgent.__struct_fields__]
    assert items[0] == {
        "agent_id": "ann",
        "state": "away",
        "reason": "lunch",
        "since": "2026-11-21T09:59:03.000Z",
        "age_s": 60,
        "heard_at": "2026-11-21T09:59:03.000Z",
        "queues": ["billing", "tech"],
        "team": "red",
        "site": None,
        "channels": ["voice"],
        "contact_id": None,
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("waiting?state=queued,offered", ["first", "second", "elsewhere"]),
        ("waiting?queue=sales", ["elsewhere", "on hold"]),
        ("waiting?team=red&team=blue", ["on hold", "talks"]),
        ("waiting?queue=tech", []),
        ("agents?state=busy&state=unknown", ["cyd", "bob"]),
        ("agents?queue=tech", ["ann"]),
        ("agents?team=blue", ["bob"]),
    ],
)
async def test_a_list_of_some(path: str, expected: list[str]) -> None:
    items = await get_items(f"/api/v1/{path}")
    assert [item["contact_id" if path.startswith("waiting") else "agent_id"] for item in items] == expected


@pytest.mark.parametrize("path", ["/api/v1/waiting", "/api/v1/agents"])
async def test_the_pages_of_a_live_list_are_the_list(path: str) -> None:
    whole, pages = await get_items(path), list[dict[str, Any]]()
    next_path: str | None = f"{path}?limit=2"
    while next_path is not None:
        response = await get_response(next_path)
        pages += json.loads(response.body)
        link = response.headers.get("link")
        next_path = None if link is None else link[1 : link.index(">")]
    assert pages == whole


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # Ann of red serves billing; who waits for sales, where Bob of blue is, is not hers
        ("waiting", ["first", "second", "on hold"]),
        ("agents", ["ann"]),
    ],
)
async def test_a_supervisor_sees_what_is_of_the_own_teams(path: str, expected: list[str]) -> None:
    items = await get_items(f"/api/v1/{path}", "sue")
    assert [item["contact_id" if path == "waiting" else "agent_id"] for item in items] == expected


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("waiting?state=away", "state = 'away': expected some of queued, offered, connected, held, wrap_up"),
        (
            "agents?state=offline",
            "state = 'offline': expected some of available, offered, busy, held, wrap_up",
        ),
        ("waiting?by=queue", "by: expected one of queue, team, state, limit, cursor"),
    ],
)
async def test_a_wrong_question_about_live_lists(path: str, sentence: str) -> None:
    response = await get_response(f"/api/v1/{path}")
    assert (response.status, sentence in json.loads(response.body)["detail"]) == (400, True)


async def test_readings_of_now_without_a_window() -> None:
    items = await get_items("/api/v1/readings?metric=waiting,agents_away&by=queue")
    assert {(item["metric"], item["window"], item["key"]): item["value"] for item in items} == {
        ("waiting", "now", "billing"): 2,
        ("waiting", "now", "sales"): 1,
        ("waiting", "now", "tech"): None,
        ("agents_away", "now", "billing"): 1,
        ("agents_away", "now", "sales"): 0,
        ("agents_away", "now", "tech"): 1,
    }
