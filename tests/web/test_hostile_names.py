"""Names with commas and backslashes: no team's figures reach the supervisor of another, two groups are two
rows, and each is found by its key wherever keys are asked for."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette

from streamer.panes.pane_keys import FINE_MS, Cell, format_key
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.web.server import application
from tests.readings.small_center import NOW, SmallCenter, answered
from tests.web.test_permissions import PEOPLE, discard, request_as

SETTINGS = Settings(users=PEOPLE, dimension_pairs=["queue,team", "team,channel"])
TEAMS = ("a,red", "red,a", "red", "\\,red", "red\\", "\\", ",red", "red,", "a\\,red", "blue")
"""Only one of them is `red`, the team of the supervisor."""


def cell(queue: str, team: str) -> Cell:
    return (None, queue, team, "ann", "voice", None, None)


async def open_center() -> Starlette:
    center = SmallCenter(pairs=(("queue", "team"), ("team", "channel")))
    groups = [(queue, team) for team in TEAMS for queue in ("q", "q,a")]
    await center.add(
        {(NOW // FINE_MS - 6, cell(queue, team)): answered(1 + TEAMS.index(team)) for queue, team in groups}
    )
    await center.beat(NOW)
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    return application(reader, SETTINGS, lambda: NOW, publish=discard)


async def answer(app: Starlette, path: str, who: str = "admin") -> tuple[int, Any]:
    response = await request_as(app, path, who)
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("by", ["queue,team", "team,channel"])
@pytest.mark.parametrize("window", ["1h", "7d"])
async def test_each_pair_is_a_row_of_its_own_and_found_by_its_key(by: str, window: str) -> None:
    app, path = await open_center(), f"/api/v1/readings?metric=answered&window={window}&by={by}"
    groups = (
        {(queue, team): 1 + at for at, team in enumerate(TEAMS) for queue in ("q", "q,a")}
        if by == "queue,team"
        else {(team, "voice"): 2 * (1 + at) for at, team in enumerate(TEAMS)}
    )
    expected = {format_key(values): amount for values, amount in groups.items()}
    _, found = await answer(app, path)
    assert {one["key"]: one["value"] for one in found} == expected
    for key, amount in expected.items():
        assert [one["value"] for one in (await answer(app, f"{path}&key={quote(key)}"))[1]] == [amount]


@pytest.mark.parametrize("by", ["team", "queue,team", "team,channel"])
async def test_a_supervisor_sees_of_a_pair_only_rows_of_the_own_team(by: str) -> None:
    app, path = await open_center(), f"metric=answered&by={by}"
    groups = {
        "team": [(team,) for team in TEAMS],
        "queue,team": [(queue, team) for team in TEAMS for queue in ("q", "q,a")],
        "team,channel": [(team, "voice") for team in TEAMS],
    }[by]
    at = by.split(",").index("team")
    own = {format_key(values) for values in groups if values[at] == "red"}
    _, found = await answer(app, f"/api/v1/readings?{path}", "supervisor")
    assert {one["key"] for one in found} == own
    for route in ("readings?", "contacts?", "history?step=60&from=1795255140&"):
        for key in map(format_key, groups):
            status, _ = await answer(app, f"/api/v1/{route}{path}&key={quote(key)}", "supervisor")
            assert status == (200 if key in own else 403), (route, key)


@pytest.mark.parametrize("key", ["q,a,red", "q", "q\\red", "q,red\\", "a\\b,red"])
async def test_a_text_that_names_no_group_is_refused_with_how_to_write_it(key: str) -> None:
    app = await open_center()
    for who in ("admin", "supervisor"):
        status, problem = await answer(app, f"/api/v1/readings?by=queue,team&key={quote(key)}", who)
        assert status == (400 if who == "admin" else 403), who
        assert "comma is written \\," in problem["detail"] or who == "supervisor"


async def test_labels_of_pairs_hold_the_values_themselves() -> None:
    text = (await request_as(await open_center(), "/metrics", "admin")).body.decode()
    assert r'cx_answered{by="queue,team",queue="q,a",team="\\,red",window="1h"} 4.0' in text
    assert r'cx_answered{by="queue,team",queue="q",team="a\\,red",window="1h"} 9.0' in text
