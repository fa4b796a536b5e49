"""Lists of the API as files: the same rows as in JSON, for whoever asks, of all pages together."""

import csv
import io
import json
from typing import Any

import pytest
from openpyxl import load_workbook
from starlette.applications import Starlette

from tests.web import test_permissions
from tests.web.asgi_client import AsgiResponse, send_request
from tests.web.test_live_routes import live_app
from tests.web.test_permissions import headers, open_center


async def get_table(app: Starlette, path: str, who: str = "admin") -> list[dict[str, str]]:
    response = await send_request(app, path, headers=headers(who))
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return [*csv.DictReader(io.StringIO(response.body.decode(), newline=""))]


def as_text(value: Any) -> str:
    """Return a value of JSON as a cell says it."""
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


HISTORY = "history?step=60&from=1795255140&metric=nps_score"


@pytest.mark.parametrize("who", ["viewer", "supervisor", "admin"])
@pytest.mark.parametrize(
    "path",
    [
        "readings?by=team&stat=*",
        "readings?by=queue,team&metric=nps_score,answered",
        HISTORY,
        "catalog",
        "names",
    ],
)
async def test_a_file_holds_what_the_list_holds_for_each_user(path: str, who: str) -> None:
    app = await open_center()
    items = json.loads((await send_request(app, f"/api/v1/{path}", headers=headers(who))).body)
    rows = await get_table(app, f"/api/v1/{path}{'&' if '?' in path else '?'}format=csv", who)
    assert items
    assert rows == [{name: as_text(value) for name, value in item.items()} for item in items]


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        (path, who, status)
        for method, path, by_user in test_permissions.ROUTES
        if method == "GET" and path.startswith(("/api/v1/readings", "/api/v1/history", "/api/v1/contacts"))
        for who, status in zip(test_permissions.WHO, by_user, strict=True)
        if "team" in path or "agent" in path
    ],
)
async def test_who_may_not_see_a_list_gets_no_file(path: str, who: str, status: int) -> None:
    response = await send_request(await open_center(), f"{path}&format=csv", headers=headers(who))
    assert response.status == status
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_file_of_what_is_under_way_has_a_row_for_each() -> None:
    app = await live_app()
    token = {"authorization": "Bearer of adam"}
    for path in ("waiting", "agents"):
        items = json.loads((await send_request(app, f"/api/v1/{path}", headers=token)).body)
        file = await send_request(app, f"/api/v1/{path}?format=csv", headers=token)
        rows = [*csv.DictReader(io.StringIO(file.body.decode(), newline=""))]
        assert rows == [{name: as_text(value) for name, value in item.items()} for item in items]


async def test_a_workbook_holds_the_rows_of_csv_and_has_its_name() -> None:
    app, path = await open_center(), "/api/v1/readings?by=team&metric=answered&format="
    file = await send_request(app, f"{path}xlsx", headers=headers("admin"))
    assert file.headers["content-disposition"] == 'attachment; filename="readings.xlsx"'
    assert file.headers["cache-control"] == "no-store"
    head, *lines = load_workbook(io.BytesIO(file.body)).active.iter_rows(values_only=True)
    rows = [{name: as_text(cell) for name, cell in zip(head, line, strict=True)} for line in lines]
    assert rows == [{**row, "data_age_s": "0", "fresh_s": "0"} for row in await get_table(app, f"{path}csv")]


async def test_a_file_without_a_limit_holds_all_pages_and_with_one_leads_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = await open_center()
    monkeypatch.setattr("streamer.web.api.MAX_NAMES", 2)
    assert len(await get_table(app, "/api/v1/names?format=csv")) == 4
    page = await send_request(app, "/api/v1/names?format=csv&limit=2", headers=headers("admin"))
    assert (len(page.body.splitlines()), page.headers["link"].count("format=csv")) == (3, 1)


async def test_the_table_of_a_page_has_a_row_for_each_group_that_matches() -> None:
    app = await open_center()
    path = "/api/v1/readings?by=team&metric=nps_score,answered&window=1h,4h&form=columns&format=csv"
    rows = await get_table(app, path)
    assert [*rows[0]][:5] == ["key", "name", "nps_score_1h", "nps_score_1h_lower", "nps_score_1h_upper"]
    assert [(row["key"], row["name"], row["answered_4h"]) for row in rows] == [
        ("blue", "Blue", "3"), ("red", "red", "2"), ("unknown", "unknown", "1"),
    ]  # fmt: skip
    assert [row["key"] for row in await get_table(app, f"{path}&match=BL%C3%9A")] == ["blue"]
    assert await get_table(app, f"{path}&match=nothing") == []


async def problem(path: str) -> tuple[int, str]:
    response: AsgiResponse = await send_request(await open_center(), path, headers=headers("admin"))
    return response.status, json.loads(response.body)["detail"]


async def test_what_is_wrong_is_said_before_a_file_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "format = 'pdf': expected one of json, csv, xlsx"
    for path in (
        "readings?",
        "names?",
        "catalog?",
        "waiting?",
        "agents?",
        "alerts?",
        "contacts?metric=nps_score&",
    ):
        assert await problem(f"/api/v1/{path}format=pdf") == (400, expected), path
    monkeypatch.setattr("streamer.web.table_responses.MAX_ROWS", 1)
    status, detail = await problem("/api/v1/readings?by=team&metric=answered&format=xlsx")
    assert (status, "expected at most 1 rows" in detail) == (400, True)
