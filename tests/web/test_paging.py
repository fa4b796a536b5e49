"""Pages of the API's lists: they join to the whole list, and too much is refused."""

import json
import re
from typing import Any

import pytest

from streamer.events.counting_rules import MINUTE
from streamer.settings import Settings
from streamer.web import permissions
from streamer.web.permissions import ROUTE_PERMISSIONS
from streamer.web.server import application
from tests.readings.small_center import NOW, SmallCenter, answered, cell, new_reader, pane
from tests.web.asgi_client import AsgiResponse, send_request

QUEUES = [f"queue {number}, of many" for number in range(7)]
SETTINGS = Settings(names={"queue": {name: name.title() for name in QUEUES}, "team": {"red": "Red"}})
LISTS = [
    "/api/v1/readings?by=queue&metric=answered",
    "/api/v1/names",
    "/api/v1/distribution?by=queue&window=1h",
]
"""Lists of seven or more items; of alerts, silences and live lists there are tests beside their others."""
PAGELESS = {
    "/api/v1/catalog": "as long as the catalogue",
    "/api/v1/history": "at most 1,000 points",
    "/api/v1/intervals": "at most 100,000 readings",
    "/api/v1/views": "as long as the settings",
    "/api/v1/contacts": "at most 1,000, by limit",
    "/api/v1/alerts/rules": "as long as the settings",
}
"""Lists without a cursor, and their bound."""


async def ask(path: str) -> AsgiResponse:
    center = SmallCenter()
    await center.beat(NOW)
    await center.add({(pane(MINUTE), cell(name)): answered() for name in QUEUES})
    app = application(await new_reader(center), SETTINGS, lambda: NOW)
    return await send_request(app, path, headers={"host": "localhost"})


def next_path(response: AsgiResponse) -> str | None:
    link = re.fullmatch(r'<(/[^>]+)>; rel="next"', response.headers.get("link", ""))
    assert ("link" in response.headers) is (link is not None)
    return link and link[1]


async def all_pages(path: str | None) -> list[list[Any]]:
    pages = []
    while path is not None:
        response = await ask(path)
        assert response.status == 200, response.body
        pages.append(json.loads(response.body))
        path = next_path(response)
    return pages


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_the_pages_of_a_list_are_the_list(path: str, limit: int) -> None:
    (whole,) = await all_pages(path)
    pages = await all_pages(f"{path}{'&' if '?' in path else '?'}limit={limit}")
    assert len(whole) >= len(QUEUES)
    assert [item for page in pages for item in page] == whole
    assert all(0 < len(page) <= limit for page in pages)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "parameter",
    [
        "limit=0",
        "limit=1000000",
        "limit=-1",
        "limit=two",
        "limit=²",
        "cursor=!",
        "cursor=WzEsMl0",
        "cursor=bnVsbA",
    ],
)
async def test_too_much_or_a_made_up_cursor_is_a_problem(path: str, parameter: str) -> None:
    response = await ask(f"{path}{'&' if '?' in path else '?'}{parameter}")
    assert (response.status, response.headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(response.body)["detail"].startswith(parameter.partition("=")[0])


async def test_more_readings_than_an_answer_holds_are_refused_and_pages_of_them_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(permissions, "MAX_READINGS", len(QUEUES) - 1)
    refused = await ask(LISTS[0])
    assert (refused.status, refused.headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(refused.body)["detail"].startswith(
        f"expected a question about at most {len(QUEUES) - 1} readings"
    )
    assert sum(map(len, await all_pages(f"{LISTS[0]}&limit=5"))) == len(QUEUES)
    assert (await ask(f"{LISTS[0]}&limit=7")).status == 400


async def test_a_page_may_be_asked_for_as_columns() -> None:
    first = await ask("/api/v1/readings?by=queue&metric=answered&form=columns&limit=2")
    (columns,) = json.loads(first.body)
    assert columns["keys"] == sorted(set(columns["keys"]))[:2]
    assert next_path(first) is not None


def test_every_list_has_pages_or_a_bound() -> None:
    lists = {path for path in ROUTE_PERMISSIONS if path.startswith("/api/") and "{" not in path}
    paged = {path.partition("?")[0] for path in LISTS} | {
        "/api/v1/alerts", "/api/v1/silences", "/api/v1/alerts/explain", "/api/v1/waiting", "/api/v1/agents",
    }  # fmt: skip
    no_list = {"/api/v1/me", "/api/v1/stream", "/api/v1/alerts/acknowledge"}
    assert lists == paged | PAGELESS.keys() | no_list
