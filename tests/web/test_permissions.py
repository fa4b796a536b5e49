"""Permissions as literals: every route by every role, own and other teams."""

import json
import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from streamer.events.counting_rules import DAY, MINUTE
from streamer.events.outgoing_records import OutgoingRecord
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.pane_keys import FINE_MS, Cell
from streamer.readings.reader import MetricsReader
from streamer.settings import DisplaySettings, Settings, UserSettings
from streamer.web.credentials import token_hash
from streamer.web.permissions import ROUTE_PERMISSIONS, may_use_route
from streamer.web.server import application
from tests.readings.small_center import NOW, SmallCenter, answered, pane
from tests.web.asgi_client import AsgiResponse, send_request

WHO = ("anonymous", "display", "viewer", "supervisor", "admin")

HISTORY = "/api/v1/history?step=60&from=1795255140"
INTERVALS = "/api/v1/intervals?interval=1d&from=2026-11-21"
ROUTES: list[tuple[str, str, tuple[int, int, int, int, int]]] = [
    # method, path, then the status for: anonymous, display, viewer, supervisor of red, admin
    ("GET", "/healthz", (200, 200, 200, 200, 200)),
    ("GET", "/readyz", (200, 200, 200, 200, 200)),
    ("GET", "/login", (200, 303, 303, 303, 303)),
    ("POST", "/login", (401, 401, 401, 401, 401)),  # without a password
    ("POST", "/logout", (303, 303, 303, 303, 303)),
    ("POST", "/ingest/delighted", (415, 415, 415, 415, 415)),  # whoever it is, by its signature alone
    ("GET", "/ingest/delighted", (405, 405, 405, 405, 405)),
    ("POST", "/ingest/wootric", (404, 404, 404, 404, 404)),  # which has no secret
    ("GET", "/static/wall.html", (200, 200, 200, 200, 200)),
    ("GET", "/", (401, 303, 200, 200, 200)),
    ("GET", "/?view=tv", (401, 200, 200, 200, 200)),
    ("GET", "/supervisor", (401, 403, 403, 200, 200)),
    ("GET", "/views", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/views", (401, 403, 200, 200, 200)),
    ("GET", "/metrics", (401, 403, 200, 403, 200)),
    ("GET", "/api/v1/me", (401, 200, 200, 200, 200)),
    ("GET", "/api/v1/catalog", (401, 200, 200, 200, 200)),
    ("GET", "/api/v1/names", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/alerts", (401, 403, 200, 200, 200)),
    ("POST", "/api/v1/alerts/acknowledge", (401, 403, 403, 503, 503)),  # for nobody judges alerts here
    ("GET", "/api/v1/alerts/explain", (401, 403, 403, 503, 503)),
    ("GET", "/api/v1/alerts/rules", (401, 403, 403, 503, 503)),
    ("GET", "/api/v1/silences", (401, 403, 403, 503, 503)),
    ("POST", "/api/v1/silences", (401, 403, 403, 503, 503)),
    ("DELETE", "/api/v1/silences/one", (401, 403, 403, 503, 503)),
    ("GET", "/api/v1/stream", (401, 200, 200, 200, 200)),
    ("GET", "/api/v1/stream?view=tv", (401, 200, 200, 200, 200)),
    ("GET", "/api/v1/stream?view=default", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/readings", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/readings?by=queue&key=billing", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/readings?by=team", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/readings?by=team&key=red", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/readings?by=team&key=blue", (401, 403, 200, 403, 200)),
    ("GET", "/api/v1/readings?by=agent", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/readings?by=agent&key=ann", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/readings?by=agent&key=bob", (401, 403, 403, 403, 200)),
    ("GET", "/api/v1/readings?by=agent&key=unknown", (401, 403, 403, 403, 200)),
    ("GET", "/api/v1/readings?by=queue,team&key=billing,red", (401, 403, 200, 200, 200)),
    ("GET", "/api/v1/readings?by=queue,team&key=billing,blue", (401, 403, 200, 403, 200)),
    ("GET", "/api/v1/readings?by=queue,agent&key=billing,bob", (401, 403, 403, 403, 200)),
    ("GET", "/api/v1/readings?by=team,agent&key=red,cyd", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/readings?by=team,agent&key=blue,cyd", (401, 403, 403, 403, 200)),
    ("GET", f"{HISTORY}&metric=answered", (401, 403, 200, 200, 200)),
    ("GET", f"{HISTORY}&metric=answered&by=team&key=red", (401, 403, 200, 200, 200)),
    ("GET", f"{HISTORY}&metric=answered&by=team&key=blue", (401, 403, 200, 403, 200)),
    ("GET", f"{HISTORY}&metric=answered&by=agent&key=bob", (401, 403, 403, 403, 200)),
    ("GET", f"{HISTORY}&metric=nps_score&by=team&key=red", (401, 403, 403, 200, 200)),
    ("GET", f"{INTERVALS}&metric=answered", (401, 403, 200, 200, 200)),
    ("GET", f"{INTERVALS}&metric=answered&by=team", (401, 403, 200, 200, 200)),
    ("GET", f"{INTERVALS}&metric=answered&by=team&key=blue", (401, 403, 200, 403, 200)),
    ("GET", f"{INTERVALS}&metric=answered&by=agent", (401, 403, 403, 200, 200)),
    ("GET", f"{INTERVALS}&metric=nps_score&by=team", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/contacts?metric=answered", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/contacts?metric=answered&by=team&key=red", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/contacts?metric=answered&by=team&key=blue", (401, 403, 403, 403, 200)),
    ("GET", "/api/v1/contacts?metric=answered&by=agent&key=bob", (401, 403, 403, 403, 200)),
    ("GET", "/api/v1/waiting", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/agents", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/distribution", (401, 403, 403, 200, 200)),
    ("GET", "/api/v1/distribution?by=team&key=blue", (401, 403, 403, 403, 200)),
    ("GET", "/api/v1/nothing", (404, 404, 404, 404, 404)),
    ("POST", "/api/v1/readings", (401, 403, 405, 405, 405)),
]  # fmt: skip

PEOPLE = {
    "vera": UserSettings(role="viewer", tokens=[token_hash("of vera")]),
    "sue": UserSettings(role="supervisor", teams=["red", "gone"], tokens=[token_hash("of sue")]),
    "adam": UserSettings(role="admin", tokens=[token_hash("of adam"), token_hash("another of adam")]),
    "victor": UserSettings(role="viewer", agent_names=True, tokens=[token_hash("of victor")]),
}
SETTINGS = Settings(
    users=PEOPLE,
    displays={"lobby": DisplaySettings(token=token_hash("of the lobby"), view="tv")},
    views={"tv": {}},
    names={"agent": {"ann": "Ann", "bob": "Bob"}, "team": {"blue": "Blue"}, "queue": {"billing": "Billing"}},
    dimension_pairs=["queue,team", "queue,agent", "team,agent"],
    export_agents=True,
    sources={"delighted": {"secret": "which nobody here uses"}, "wootric": {}},
)


def cell(team: str | None, agent: str | None) -> Cell:
    return (None, "billing", team, agent, "voice", None, None)


def surveyed(answers: int) -> Tally:
    return {NUMBER["nps_10"]: answers, NUMBER["surveys"]: answers}


async def busy_center() -> SmallCenter:
    """Ann works for red, Bob for blue, Cyd for both; Dan did for red, eight days ago."""
    center = SmallCenter()
    now = pane(MINUTE)
    await center.add(
        {
            (now, cell("red", "ann")): answered() | surveyed(9),
            (now, cell("blue", "bob")): answered() | surveyed(1),
            (now, cell("red", "cyd")): answered(),
            (now, cell("blue", "cyd")): answered(),
            (now, cell("blue", "dan")): answered(),
            (now, cell(None, None)): answered() | surveyed(7),
            ((NOW - 8 * DAY) // FINE_MS, cell("red", "dan")): answered(),
        }
    )
    await center.beat(NOW)
    return center


async def open_center(settings: Settings = SETTINGS) -> Starlette:
    reader = MetricsReader((await busy_center()).store, settings)
    await reader.refresh(NOW)
    return application(reader, settings, lambda: NOW, publish=discard)


async def discard(record: OutgoingRecord) -> None:
    raise AssertionError("nothing here is signed")


def headers(who: str) -> dict[str, str]:
    tokens = {
        "viewer": "of vera",
        "supervisor": "of sue",
        "admin": "of adam",
        "viewer of agents": "of victor",
    }
    if who in tokens:
        return {"authorization": f"Bearer {tokens[who]}"}
    return {"cookie": "streamer_display=of the lobby"} if who == "display" else {}


async def request_as(app: Starlette, path: str, who: str, method: str = "GET") -> AsgiResponse:
    return await send_request(app, path, method, headers(who))


async def test_every_route_answers_every_role_as_this_table_says() -> None:
    app = await open_center()
    found = {
        (method, path): tuple([(await request_as(app, path, who, method)).status for who in WHO])
        for method, path, _ in ROUTES
    }
    assert found == {(method, path): expected for method, path, expected in ROUTES}


async def test_the_table_has_every_route() -> None:
    app = await open_center()
    asked = {path.partition("?")[0] for _, path, _ in ROUTES}
    untested = {route.path for route in app.routes if isinstance(route, Route)} - asked
    some = {"/static/{path:path}", "/ingest/{source}", "/api/v1/silences/{name}"}
    assert untested == some  # of which one of each is asked


async def test_a_route_without_a_right_is_refused_to_everybody() -> None:
    app = await open_center()
    assert {route.path for route in app.routes if isinstance(route, Route)} <= ROUTE_PERMISSIONS.keys()
    assert not may_use_route(None, "/novel")
    app.router.routes.append(Route("/novel", lambda request: None))
    app.user_middleware[1].kwargs["routes"].append(app.routes[-1])
    assert [(await request_as(app, "/novel", who)).status for who in WHO] == [401, 403, 403, 403, 403]


async def keys(app: Starlette, path: str, who: str) -> list[Any]:
    answer = await request_as(app, path, who)
    assert answer.status == 200, answer.body
    return [one["key"] for one in json.loads(answer.body)]


@pytest.mark.parametrize(
    ("by", "supervisor", "admin"),
    [
        ("all", [""], [""]),
        ("queue", ["billing"], ["billing"]),
        ("team", ["red"], ["blue", "red", "unknown"]),
        ("agent", ["ann", "cyd"], ["ann", "bob", "cyd", "dan", "unknown"]),
        ("queue,team", ["billing,red"], ["billing,blue", "billing,red", "billing,unknown"]),
        (
            "team,agent",
            ["red,ann", "red,cyd"],
            ["blue,bob", "blue,cyd", "blue,dan", "red,ann", "red,cyd", "unknown,unknown"],
        ),
    ],
)
async def test_a_supervisor_sees_the_rows_of_the_own_teams(
    by: str, supervisor: list[str], admin: list[str]
) -> None:
    app = await open_center()
    path = f"/api/v1/readings?metric=answered&by={by}"
    assert await keys(app, path, "supervisor") == supervisor
    assert await keys(app, path, "admin") == admin


async def test_a_viewer_sees_teams_but_agents_only_where_allowed() -> None:
    app = await open_center()
    assert await keys(app, "/api/v1/readings?metric=answered&by=team", "viewer") == ["blue", "red", "unknown"]
    agents = "/api/v1/readings?metric=answered&by=agent"
    assert (await request_as(app, agents, "viewer")).status == 403
    assert await keys(app, agents, "viewer of agents") == ["ann", "bob", "cyd", "dan", "unknown"]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("viewer", ["blue", "billing"]),
        ("supervisor", ["ann", "billing"]),
        ("admin", ["ann", "bob", "blue", "billing"]),
    ],
)
async def test_names_are_of_whom_one_may_see(who: str, expected: list[str]) -> None:
    assert await keys(await open_center(), "/api/v1/names", who) == expected


async def test_metrics_name_agents_only_to_whom_may_see_them() -> None:
    app = await open_center()
    for who, named in (("viewer", False), ("viewer of agents", True), ("admin", True)):
        assert (b'agent="bob"' in (await request_as(app, "/metrics", who)).body) is named, who


async def test_a_viewer_sees_no_survey_figure_of_a_few_nor_what_it_is_subtracted_from() -> None:
    app = await open_center()
    path = "/api/v1/readings?metric=nps_score&by=team"
    for who, expected in (
        ("admin", {"blue": 1, "red": 9, "unknown": 7}),
        ("viewer", {"blue": 0, "red": 9, "unknown": 0}),
    ):
        found = json.loads((await request_as(app, path, who)).body)
        assert {one["key"]: one["support"] for one in found} == expected, who
        assert {one["key"] for one in found if one["value"] is None} == {
            key for key, support in expected.items() if not support
        }
    for key, value in (("blue", None), ("unknown", None), ("red", 100)):
        (one,) = json.loads((await request_as(app, f"{path}&key={key}", "viewer")).body)
        assert (one["key"], one["value"], one["lower"] is None) == (key, value, value is None)


async def test_everybody_is_told_who_they_are() -> None:
    app = await open_center()
    told = {who: json.loads((await request_as(app, "/api/v1/me", who)).body) for who in WHO[1:]}
    assert told == {
        "display": {"name": "lobby", "role": "viewer", "teams": None, "view": "tv"},
        "viewer": {"name": "vera", "role": "viewer", "teams": None, "view": None},
        "supervisor": {"name": "sue", "role": "supervisor", "teams": ["red", "gone"], "view": None},
        "admin": {"name": "adam", "role": "admin", "teams": None, "view": None},
    }


async def test_why_it_is_not_ready_is_told_to_people_only() -> None:
    reader = MetricsReader(SmallCenter().store, SETTINGS)
    app = application(reader, SETTINGS, lambda: NOW)
    assert json.loads((await request_as(app, "/readyz", "anonymous")).body) == {"ready": False}
    assert "reason" in json.loads((await request_as(app, "/readyz", "viewer")).body)


HTML = {"accept": "text/html,application/xhtml+xml"}


async def page_for(app: Starlette, path: str, who: str) -> tuple[int, str, str]:
    """The status, the media type and the text of what a browser is shown."""
    answer = await send_request(app, path, headers=headers(who) | HTML)
    return answer.status, answer.headers["content-type"].partition(";")[0], answer.body.decode()


@pytest.mark.parametrize(
    ("path", "who", "status", "said", "links"),
    [
        ("/supervisor", "viewer", 403, "see this page as vera.", ["/", "/login?next=%2Fsupervisor"]),
        ("/supervisor?lang=es", "display", 403, "Como lobby no tiene permiso",
         ["/?lang=es", "/login?next=%2Fsupervisor%3Flang%3Des"]),
        ("/wallbord", "viewer", 404, "There is no such page.", ["/"]),
        ("/wallbord?lang=zh", "anonymous", 404, "没有这个页面。", []),
        ("/?display=gone&lang=es", "anonymous", 401, "Esta dirección de pantalla no se conoce.",
         ["/login?next=%2F%3Flang%3Des"]),
    ],
)  # fmt: skip
async def test_a_page_that_is_not_shown_says_why_in_its_language_and_shows_a_way_back(
    path: str, who: str, status: int, said: str, links: list[str]
) -> None:
    app = await open_center()
    found_status, media_type, text = await page_for(app, path, who)
    assert (found_status, media_type) == (status, "text/html")
    assert said in text
    assert re.findall(r'<a href="([^"]*)"', text) == links


async def test_what_the_api_refuses_stays_json_in_a_browser_too() -> None:
    app = await open_center()
    for path, status in (("/api/v1/waiting", 403), ("/api/v1/nothing", 404)):
        assert (await page_for(app, path, "viewer"))[:2] == (status, "application/problem+json")
    assert (await request_as(app, "/supervisor", "viewer")).headers[
        "content-type"
    ] == "application/problem+json"


async def test_a_page_asks_to_log_in_in_the_language_it_is_asked_for_in() -> None:
    app = await open_center()
    for query in ("?lang=es", "?next=%2Fsupervisor%3Flang%3Des"):
        answer = await send_request(app, f"/login{query}", headers=HTML | {"accept-language": "zh-CN"})
        assert '<html lang="es"' in answer.body.decode()
        assert 'action="/login?lang=es"' in answer.body.decode()
