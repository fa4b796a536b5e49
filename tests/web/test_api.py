"""Answers of the API, and its errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.windows import WINDOWS
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, SettingsError
from streamer.store.memory import MemoryStore
from streamer.store.port import ChangeCursor, StoreChanges
from streamer.web.access_checks import check_host
from streamer.web.server import application
from streamer.web.view_checks import check_windows
from tests.readings.small_center import NOW, PARTITION, SETTINGS, SmallCenter, answered, cell, pane

FIELDS = [
    "metric", "stat", "unit", "better", "window", "by", "key", "value", "lower", "upper", "support",
    "from", "to", "data_age_s", "fresh_s",
]  # fmt: skip


class SettableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class UnreachableStore(MemoryStore):
    """A store that goes away and comes back."""

    away = False

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        if self.away:
            raise ConnectionError("gone")
        return await super().changes(since, positions=positions)


@asynccontextmanager
async def api_client(
    center: SmallCenter, clock: SettableClock | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    clock = clock or SettableClock()
    reader = MetricsReader(center.store, SETTINGS)
    app = application(reader, SETTINGS, clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        async with asyncio.timeout(5):
            while not (reader.ready or getattr(center.store, "away", False)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield client


async def busy_center(store: MemoryStore | None = None) -> SmallCenter:
    center = SmallCenter(store)
    await center.beat(NOW)
    await center.add(
        {
            (pane(MINUTE), cell()): answered(3, 90_000),
            (pane(MINUTE), cell("sales", "bob", "chat")): answered(),
            (pane(2 * HOUR), cell()): answered(10),
        }
    )
    return center


async def get_json(client: httpx.AsyncClient, path: str) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


async def test_a_reading_has_exactly_the_fields_of_the_contract() -> None:
    async with api_client(await busy_center()) as client:
        response = await client.get("/api/v1/readings?metric=answered")
        (reading,) = json.loads(response.text)
    assert list(reading) == FIELDS
    assert reading == {
        "metric": "answered", "stat": "", "unit": "count", "better": "higher", "window": "1h", "by": "all",
        "key": "", "value": 4, "lower": None, "upper": None, "support": 4,
        "from": "2026-11-21T09:00:00Z", "to": "2026-11-21T10:00:10Z", "data_age_s": 0.0,
        "fresh_s": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "query", "expected"),
    [
        ("windows repeat", "metric=answered&window=1h&window=4h", [("1h", "", 4), ("4h", "", 14)]),
        ("windows join", "metric=answered&window=1h,4h", [("1h", "", 4), ("4h", "", 14)]),
        ("by a dimension", "metric=answered&by=queue", [("1h", "billing", 3), ("1h", "sales", 1)]),
        ("by a pair", "metric=answered&by=queue,channel&key=sales,chat", [("1h", "sales,chat", 1)]),
        ("one key", "metric=answered&by=queue&key=nobody", [("1h", "nobody", 0)]),
        ("as of then", "metric=answered&at=2026-11-21T09:00:00Z", [("1h", "", 10)]),
        ("in another zone", "metric=answered&at=2026-11-21T10:00:00%2B01:00", [("1h", "", 10)]),
        ("with a bare plus", "metric=answered&at=2026-11-21T10:00:00+01:00", [("1h", "", 10)]),
        ("in epoch seconds", "metric=answered&at=1795251600", [("1h", "", 10)]),
        ("a stat", "metric=handle_time_seconds&stat=mean", [("1h", "", 90)]),
        ("null is no data", "metric=nps_score", [("1h", "", None)]),
    ],
)
async def test_readings(sentence: str, query: str, expected: list[Any]) -> None:
    async with api_client(await busy_center()) as client:
        found = await get_json(client, f"/api/v1/readings?{query}")
    assert [(one["window"], one["key"], one["value"]) for one in found] == expected, sentence


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("metric=answered&by=queue&key=billing", None),
        ("metric=answered&by=queue&key=biling", "nothing is known of queue 'biling': is it 'billing'?"),
        ("metric=answered&by=queue&key=%C3%B1", "nothing is known of queue '\\xf1'"),
        ("metric=waiting&window=now,1h", "waiting is not read over 1h, but over now"),
        ("metric=fcr_ratio&window=5m,30d", "fcr_ratio is not read over 5m, but over 7d, 30d, 90d"),
    ],
)
async def test_what_no_reading_answers_is_said_in_a_note(query: str, note: str | None) -> None:
    async with api_client(await busy_center()) as client:
        response = await client.get(f"/api/v1/readings?{query}")
    assert response.status_code == 200
    assert response.headers.get("streamer-note", "").startswith(note or "")
    assert ("streamer-note" in response.headers) is (note is not None)


async def test_without_parameters_all_metrics_of_the_last_hour_are_read() -> None:
    async with api_client(await busy_center()) as client:
        found = await get_json(client, "/api/v1/readings")
    assert {one["window"] for one in found} == {"1h"}
    unread = {"fcr_ratio", "fcr_maturity_ratio", "fcr_final_ratio"}
    unread |= {name for name, metric in CATALOGUE.items() if metric.windows.now}
    assert {one["metric"] for one in found} == CATALOGUE.keys() - unread


async def test_history() -> None:
    async with api_client(await busy_center()) as client:
        found = await get_json(client, f"/api/v1/history?metric=answered&from={NOW // 1000 - 7200}&step=3600")
    assert [(one["to"], one["value"]) for one in found] == [
        ("2026-11-21T08:00:10Z", 10),
        ("2026-11-21T09:00:10Z", 10),
        ("2026-11-21T10:00:10Z", 4),
    ]


async def test_an_interval_is_a_reading_with_its_target() -> None:
    path = "/api/v1/intervals?metric=nps_score,answered&by=queue&key=billing&interval=1d&from=2026-11-20"
    async with api_client(await busy_center()) as client:
        found = await get_json(client, path)
        as_file = await client.get(f"{path}&format=csv")
    assert [*found[0]] == [*FIELDS, "target", "complete"]
    assert [(one["window"], one["from"], one["value"], one["target"], one["complete"]) for one in found] == [
        ("1d", "2026-11-20T00:00:00Z", None, 30, True),
        ("1d", "2026-11-21T00:00:00Z", None, 30, False),
        ("1d", "2026-11-20T00:00:00Z", 0, None, True),
        ("1d", "2026-11-21T00:00:00Z", 13, None, False),
    ]
    assert as_file.text.startswith(",".join([*FIELDS, "target", "complete"]))
    assert len(as_file.text.splitlines()) == 1 + len(found)


async def test_the_catalogue() -> None:
    async with api_client(await busy_center()) as client:
        found = {one["metric"]: one for one in await get_json(client, "/api/v1/catalog")}
    assert [*found] == [*CATALOGUE]
    assert found["fcr_ratio"]["window_at_least_s"] == 7 * 86400
    assert found["handle_time_seconds"]["stats"] == ["mean", "p50", "p90", "p95", "max"]
    assert found["service_level_ratio"]["not_by"] == ["agent"]
    assert (found["waiting"]["windows"], found["waiting"]["placed"]) == (["now"], "now")
    assert found["occupancy_ratio"]["windows"] == [*WINDOWS]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/v1/readings?metric=nps", 400, "metric = 'nps': did you mean nps_score?"),
        ("/api/v1/readings?windows=1h", 400, "windows: expected one of window, by, key, metric, stat, at"),
        ("/api/v1/readings?by=queue&by=team", 400, "by: given 2 times, expected once"),
        ("/api/v1/readings?at=yesterday", 400, "at = 'yesterday': expected a time such as "),
        (
            "/api/v1/readings?at=2026-11-21T10:00:00",
            400,
            "at = '2026-11-21T10:00:00': expected a time such as ",
        ),
        ("/api/v1/readings?at=nan", 400, "at = 'nan': expected a time"),
        ("/api/v1/history?metric=answered&step=60", 400, "from: required"),
        (
            f"/api/v1/history?metric=waiting&from={NOW // 1000 - 600}&step=60",
            400,
            "history: expected a window ",
        ),
        ("/api/v1/history?metric=answered&from=0&step=-1", 400, "from, to, step: expected from <= to"),
        ("/api/v1/history?metric=answered&from=0&step=x", 400, "step = 'x': expected a number of seconds"),
        (f"/api/v1/history?metric=answered&from={NOW // 1000 - 999}&step=1", 200, ""),
        (f"/api/v1/history?metric=answered&from={NOW // 1000 - 7200}&step=1h", 200, ""),
        ("/api/v1/intervals?metric=answered&interval=1d", 400, "from: required"),
        ("/api/v1/intervals?metric=answered&from=2026-11-21", 400, "interval = '': expected one of 15m, 30m"),
        (
            f"/api/v1/history?metric=answered&from={NOW // 1000 - 1000}&step=1",
            400,
            "step = 1 s: expected at most 1000 points",
        ),
        (
            "/api/v1/history?metric=answered&by=queue&from=1795251600&step=60",
            400,
            "key: expected one key of queue",
        ),
        ("/nothing", 404, "Not Found"),
    ],
)
async def test_a_wrong_question_is_a_problem(path: str, status: int, detail: str) -> None:
    async with api_client(await busy_center()) as client:
        response = await client.get(path)
    assert response.status_code == status
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
        assert response.json()["detail"].startswith(detail)


async def test_every_answer_carries_the_security_headers() -> None:
    async with api_client(await busy_center()) as client:
        for path in ("/", "/metrics", "/healthz", "/api/v1/readings", "/nothing"):
            response = await client.get(path)
            policy = response.headers["content-security-policy"].split("; ")
            assert {"default-src 'none'", "object-src 'none'", "base-uri 'none'"} <= {*policy}, path
            assert not any("unsafe" in directive or "*" in directive for directive in policy)
            assert response.headers["x-content-type-options"] == "nosniff"


async def test_metrics_are_the_exposition() -> None:
    async with api_client(await busy_center()) as client:
        plain = await client.get("/metrics", headers={"accept-encoding": "identity"})
        zipped = await client.get("/metrics")
        openmetrics = await client.get(
            "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        )
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "content-encoding" not in plain.headers
    assert 'cx_answered{by="queue",queue="billing",window="1h"} 3.0' in plain.text
    assert 'streamer_build_info{center="default",version="' in plain.text
    assert "process_resident_memory_bytes" in plain.text
    assert zipped.headers["content-encoding"] == "gzip"
    assert families_of(zipped.text) == families_of(plain.text)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = [*parse_openmetrics(openmetrics.text)]
    names = {sample.name for family in families for sample in family.samples}
    assert {"cx_answered", "process_cpu_seconds_total", "streamer_build_info"} <= names


def families_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("# TYPE")]


@pytest.mark.parametrize(
    ("caught_up_at", "later", "status", "reason"),
    [
        (None, 0, 503, "no worker has sent a heartbeat yet"),
        (0, 0, 503, "not caught up yet: call-completed:0"),
        (NOW, 0, 200, None),
        (NOW, 60 * SECOND - 1, 200, None),
        (NOW, 60 * SECOND, 503, "the data is 60 s old (no worker keeps up)"),
    ],
)
async def test_ready(caught_up_at: int | None, later: int, status: int, reason: str | None) -> None:
    center, clock = SmallCenter(), SettableClock()
    if caught_up_at is not None:
        await center.beat(caught_up_at)
    async with api_client(center, clock) as client:
        clock.now += later
        response = await client.get("/readyz")
        assert (response.status_code, response.json().get("reason")) == (status, reason)
        if status == 200:
            assert response.json() == {"ready": True, "data_age_s": later / 1000, "fresh_s": later / 1000}
        assert (await client.get("/healthz")).text == "ok"


async def test_what_is_wrong_with_the_pipeline_is_an_alert() -> None:
    store, clock = UnreachableStore(), SettableClock()
    async with api_client(await busy_center(store), clock) as client:
        assert await get_json(client, "/api/v1/alerts") == []
        clock.now += 61 * SECOND
        (alert,) = await get_json(client, "/api/v1/alerts")
        assert {name: one for name, one in alert.items() if one} == {
            "id": "pipeline/stale", "kind": "stale", "severity": "critical", "phase": "firing",
            "title": "The data itself", "text": "These numbers are older than a minute: no worker keeps up.",
            "since": clock.now, "fired_at": clock.now, "why": "due",
        }  # fmt: skip


async def test_it_survives_that_the_store_goes_away() -> None:
    store, clock = UnreachableStore(), SettableClock()
    center = await busy_center(store)
    async with api_client(center, clock) as client:
        store.away = True
        await asyncio.sleep(0.3)
        clock.now += 61 * SECOND
        ready = await client.get("/readyz")
        assert ready.json()["reason"] == "the data is 61 s old (ConnectionError: gone)"
        (reading,) = await get_json(client, "/api/v1/readings?metric=answered")
        assert (reading["value"], reading["data_age_s"], reading["fresh_s"]) == (4, 61, 61)
        store.away = False
        await center.beat(clock.now)
        async with asyncio.timeout(5):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert PARTITION in store.data.heartbeats


class FailingStore(MemoryStore):
    """A store that turns a cancellation into an error of its own, as Redis clients may."""

    asked: asyncio.Event | None = None

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        if self.asked is not None:
            self.asked.set()
            try:
                await asyncio.sleep(0.2)
            except asyncio.CancelledError:
                raise ConnectionError from None
        return await super().changes(since, positions=positions)


async def test_it_ends_in_the_middle_of_a_refresh() -> None:
    store = FailingStore()
    async with asyncio.timeout(5) as limit:
        async with api_client(await busy_center(store)):
            store.asked = asyncio.Event()
            await store.asked.wait()
    assert not limit.expired()


async def test_before_the_store_was_read_it_is_not_ready() -> None:
    store = UnreachableStore()
    store.away = True
    async with api_client(SmallCenter(store)) as client:
        await asyncio.sleep(0.05)
        reason = (await client.get("/readyz")).json()["reason"]
        assert reason == "the store has not been read yet (ConnectionError: gone)"
        assert (await client.get("/metrics")).status_code == 200
        for path in (
            "readings",
            "history?metric=answered&from=0&step=1",
            "contacts?metric=answered",
            "distribution",
        ):
            answer = await client.get(f"/api/v1/{path}")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["detail"] == "the store has not been read yet"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_this_machine_may_look(host: str) -> None:
    check_host(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_nobody_else_may_look(host: str) -> None:
    expected = f"^host = {host!r}: expected a loopback address .* or access control"
    with pytest.raises(SettingsError, match=expected):
        check_host(Settings(host=host))


def test_an_exported_window_must_exist() -> None:
    check_windows(["15m", "today"])
    with pytest.raises(SettingsError, match=r"^export_windows: '2h': expected some of 5m, "):
        check_windows(["15m", "2h"])
