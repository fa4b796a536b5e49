"""Requests of a table of many groups: columns, targets of metrics, names."""

import json
from typing import Any

import httpx
import pytest

from streamer.events.counting_rules import DAY, MINUTE
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.web.server import application
from tests.readings.small_center import NOW, SmallCenter, answered, cell, pane
from tests.web.test_api import api_client, busy_center, get_json


async def test_columns_say_what_the_list_says() -> None:
    asked = "/api/v1/readings?by=queue&metric=answered,handle_time_seconds&window=1h,4h"
    async with api_client(await busy_center()) as client:
        listed = await get_json(client, asked)
        columns = await get_json(client, f"{asked}&form=columns")
    assert [(one["window"], one["metric"], one["keys"]) for one in columns] == [
        ("1h", "answered", ["billing", "sales"]), ("1h", "handle_time_seconds", ["billing", "sales"]),
        ("4h", "answered", ["billing", "sales"]), ("4h", "handle_time_seconds", ["billing", "sales"]),
    ]  # fmt: skip
    assert listed == [one for column in columns for one in readings(column)]


def readings(column: dict[str, Any]) -> list[dict[str, Any]]:
    shared = ("metric", "stat", "unit", "better", "window", "by", "from", "to", "data_age_s", "fresh_s")
    figures = zip(*(column[name] for name in ("keys", "values", "lower", "upper", "supports")), strict=True)
    return [
        {name: column[name] for name in shared}
        | {"key": key, "value": value, "lower": lower, "upper": upper, "support": support}
        for key, value, lower, upper, support in figures
    ]


async def test_a_column_has_exactly_these_fields() -> None:
    async with api_client(await busy_center()) as client:
        response = await client.get("/api/v1/readings?metric=answered&form=columns")
    (column,) = json.loads(response.text)
    assert list(column) == [
        "metric", "stat", "unit", "better", "window", "by", "from", "to", "data_age_s", "fresh_s",
        "keys", "values", "lower", "upper", "supports",
    ]  # fmt: skip


async def test_nothing_is_no_column() -> None:
    async with api_client(SmallCenter()) as client:
        assert await get_json(client, "/api/v1/readings?by=queue&metric=answered&form=columns") == []


async def test_a_week_before_is_the_whole_hours_that_the_window_touches() -> None:
    center = await busy_center()
    await center.add({(pane(7 * DAY + 30 * MINUTE), cell()): answered(7)})
    async with api_client(center) as client:
        asked = "/api/v1/readings?metric=answered"
        (now,) = await get_json(client, f"{asked}&week_before=false")
        (then,) = await get_json(client, f"{asked}&week_before=true")
    assert (now["value"], then["value"]) == (4, 7)
    assert (then["from"], then["to"]) == ("2026-11-14T09:00:00Z", "2026-11-14T11:00:00Z")


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("form=rows", "form = 'rows': expected one of list, columns"),
        ("week_before=1", "week_before = '1': expected one of false, true"),
    ],
)
async def test_a_wrong_choice_is_a_problem(query: str, detail: str) -> None:
    async with api_client(await busy_center()) as client:
        response = await client.get(f"/api/v1/readings?{query}")
    assert (response.status_code, response.json()["detail"]) == (400, detail)


SETTINGS = Settings(
    dimension_pairs=["queue,channel"],
    min_sample=10,
    targets={"nps_score": 40, "queues": {"vip": {"nps_score": 60}}},
    names={"queue": {"vip": "Very important"}, "agent": {"a7": "Ana Ruiz"}},
)


async def get_app_json(path: str) -> Any:
    app = application(MetricsReader(SmallCenter().store, SETTINGS), SETTINGS, lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await get_json(client, path)


async def test_the_catalogue_says_what_is_aimed_at_and_what_it_can_be_read_by() -> None:
    found = {one["metric"]: one for one in await get_app_json("/api/v1/catalog")}
    nps, level, contacts = (found[name] for name in ("nps_score", "service_level_ratio", "contacts"))
    assert (nps["target"], nps["queue_targets"], nps["least_support"]) == (40, {"vip": 60}, 10)
    assert (level["target"], level["queue_targets"]) == (0.8, {})
    assert (contacts["target"], contacts["least_support"], contacts["currency"]) == (None, None, None)
    assert found["value_at_risk"]["currency"] == "EUR"
    assert nps["by"] == [
        "all", "site", "queue", "team", "agent", "channel", "reason", "language", "queue,channel",
    ]  # fmt: skip
    assert "agent" not in level["by"]
    assert found["fcr_ratio"]["windows"] == ["7d", "30d", "90d"]


async def test_names_are_those_of_the_settings() -> None:
    assert await get_app_json("/api/v1/names") == [
        {"by": "queue", "key": "vip", "name": "Very important"},
        {"by": "agent", "key": "a7", "name": "Ana Ruiz"},
    ]
