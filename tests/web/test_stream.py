"""The stream as a browser sees it: over its own connection, from a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest

from streamer.events.counting_rules import MINUTE, SECOND
from streamer.metrics.tally import NUMBER, Tally
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from streamer.settings import DisplaySettings, Settings
from streamer.store.port import StateStore
from streamer.web import cookies
from streamer.web.credentials import token_hash
from streamer.web.stream import MAX_CHUNK_BYTES, MAX_WAITING_EVENTS, StreamClient, StreamIntervals
from tests.readings.live_center import contact, live_deltas
from tests.readings.small_center import NOW, SmallCenter, answered, cell, pane
from tests.web.event_stream import EventStream, InLoopServer, StalledReader, running_server
from tests.web.test_api import SettableClock, UnreachableStore

QUICK = StreamIntervals(min_poll_s=0.02)
"""No heartbeat is due within 15 s."""
MANY = [f"queue-{number}" for number in range(30)]
SETTINGS = Settings.model_validate(
    {
        "timezone": "Europe/Madrid",
        "names": {"queue": {"billing": "Billing and payments"}},
        "targets": {"nps_score": 40, "queues": {"billing": {"nps_score": 50}}},
        "views": {
            "floor": {"title": "The floor", "queues": ["billing", "sales"], "rotate": "7s"},
            "counts": {"tiles": ["contacts", "answered"]},
            "many": {"queues": MANY},
        },
    }
)


class CountingReader(MetricsReader):
    """A reader that counts its reads of current numbers."""

    asked = 0

    def readings(self, query: MetricQuery) -> list[Reading]:
        self.asked += not query.week_before
        return super().readings(query)


class StuckReader(MetricsReader):
    """A reader that answers only while it is free to."""

    def __init__(self, store: StateStore, settings: Settings) -> None:
        super().__init__(store, settings)
        self.free = Event()
        self.free.set()

    def readings(self, query: MetricQuery) -> list[Reading]:
        self.free.wait(10)
        return super().readings(query)


def surveyed(promoters: int, detractors: int = 0) -> Tally:
    return {NUMBER["nps_10"]: promoters, NUMBER["nps_0"]: detractors}


async def busy_center(store: UnreachableStore | None = None) -> SmallCenter:
    center = SmallCenter(store)
    await center.beat(NOW)
    await center.add({(pane(MINUTE), cell()): answered(20, 90_000) | surveyed(20)})
    return center


@asynccontextmanager
async def served(
    center: SmallCenter,
    pace: StreamIntervals = QUICK,
    clock: SettableClock | None = None,
    reader: MetricsReader | None = None,
) -> AsyncIterator[InLoopServer]:
    reader = reader or MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    async with running_server(reader, SETTINGS, clock or SettableClock(), pace) as server:
        yield server


def tiles(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {tile["id"]: tile for page in data["pages"] for tile in page["tiles"]}


async def test_first_comes_the_whole() -> None:
    async with served(await busy_center()) as server, await EventStream.at(server.port) as onlooker:
        told = await onlooker.next()
    assert onlooker.head[0] == "HTTP/1.1 200 OK"
    assert {"content-type: text/event-stream; charset=utf-8", "cache-control: no-store"} < {*onlooker.head}
    assert told.event == "snapshot"
    assert [*told.data] == [
        "version", "view", "title", "timezone", "now", "data_age_s", "fresh_s", "rotate_s", "pages", "alerts",
        "long_states_s",
    ]  # fmt: skip
    assert (told.data["view"], told.data["timezone"], told.data["now"]) == ("default", "Europe/Madrid", NOW)
    assert (told.data["data_age_s"], told.data["fresh_s"]) == (0, 0)
    assert (told.data["rotate_s"], told.data["alerts"]) == (None, [])
    (page,) = told.data["pages"]
    assert (page["by"], page["key"], page["name"]) == ("all", "", "")
    assert [one["metric"] for one in page["tiles"]] == [
        "nps_score", "csat_ratio", "service_level_ratio",
        "wait_time_seconds", "abandon_ratio", "handle_time_seconds",
    ]  # fmt: skip
    nps = page["tiles"][0]
    assert (nps["value"], nps["support"], nps["target"], nps["state"]) == (100, 20, 40, "met")
    assert len(nps["history"]) == 60
    assert nps["history"][-1] == [NOW, 100]


async def test_a_view_has_a_page_for_each_queue() -> None:
    path = "/api/v1/stream?view=floor"
    async with served(await busy_center()) as server, await EventStream.at(server.port, path) as onlooker:
        data = (await onlooker.next("snapshot")).data
    assert (data["view"], data["title"], data["rotate_s"]) == ("floor", "The floor", 7)
    assert [(page["by"], page["key"], page["name"]) for page in data["pages"]] == [
        ("queue", "billing", "Billing and payments"),
        ("queue", "sales", "sales"),
    ]
    found = tiles(data)
    assert found["queue/billing/nps_score//1h"]["target"] == 50
    assert found["queue/billing/nps_score//1h"]["value"] == 100
    assert found["queue/sales/nps_score//1h"]["target"] == 40
    assert found["queue/sales/nps_score//1h"]["state"] == "no_data"


async def test_a_commit_is_seen_within_a_second_and_only_what_it_changed() -> None:
    center = await busy_center()
    async with served(center, StreamIntervals()) as server, await EventStream.at(server.port) as onlooker:
        await onlooker.next("snapshot")
        await center.add({(pane(MINUTE), cell()): surveyed(0, 5)})
        told = await onlooker.next(within_s=1)
    assert told.event == "change"
    assert [*told.data] == ["now", "data_age_s", "fresh_s", "tiles", "alerts"]
    assert [(one["id"], one["value"], one["support"]) for one in told.data["tiles"]] == [
        ("all//nps_score//1h", 60, 25)
    ]


async def test_the_first_contact_that_ever_waits_brings_its_tiles_and_the_next_one_changes_them() -> None:
    center = await busy_center()
    async with served(center, StreamIntervals()) as server, await EventStream.at(server.port) as onlooker:
        await onlooker.next("snapshot")
        await center.add({}, more=live_deltas([contact(age_s=12)]))
        told = await onlooker.next(within_s=1)
        assert told.event == "snapshot"
        assert [tile["metric"] for tile in told.data["pages"][0]["tiles"]][:3] == [
            "waiting", "longest_wait_seconds", "nps_score"
        ]  # fmt: skip
        await center.add({}, more=live_deltas([contact(age_s=3)]))
        told = await onlooker.next(within_s=1)
    assert (told.event, [tile["metric"] for tile in told.data["tiles"]]) == ("change", ["waiting"])
    assert told.data["tiles"][0]["value"] == 2


async def test_a_commit_wakes_who_looks_at_nothing_new() -> None:
    center = await busy_center()
    async with (
        served(center, StreamIntervals(min_poll_s=0.02, max_poll_s=60)) as server,
        await EventStream.at(server.port) as onlooker,
    ):
        await onlooker.next("snapshot")
        await asyncio.sleep(0.2)
        await center.add({(pane(MINUTE), cell()): surveyed(0, 5)})
        assert (await onlooker.next(within_s=5)).event == "change"


async def test_what_grows_old_leaves_the_window_without_any_event() -> None:
    center, clock = await busy_center(), SettableClock()
    async with served(center, clock=clock) as server, await EventStream.at(server.port) as onlooker:
        await onlooker.next("snapshot")
        clock.now += 60 * MINUTE
        told = await onlooker.next("change")
    assert {one["id"]: one["state"] for one in told.data["tiles"]}["all//nps_score//1h"] == "no_data"


async def test_heartbeats_come_while_nothing_happens() -> None:
    pace = StreamIntervals(min_poll_s=0.01, heartbeat_s=0.1)
    async with served(await busy_center(), pace) as server, await EventStream.at(server.port) as onlooker:
        whole = await onlooker.next("snapshot")
        begun = time.monotonic()
        beats = [await onlooker.next() for _ in range(3)]
        took = time.monotonic() - begun
    assert [beat.event for beat in beats] == ["heartbeat"] * 3
    assert beats[0].data == {"now": NOW, "data_age_s": 0, "fresh_s": 0, "version": whole.data["version"]}
    assert took > 0.2


@pytest.mark.parametrize(("later", "said"), [(2_999, False), (3_000, True)])
async def test_data_that_grows_stale_is_said_to(later: int, said: bool) -> None:
    clock = SettableClock()
    async with (
        served(await busy_center(), clock=clock) as server,
        await EventStream.at(server.port) as onlooker,
    ):
        await onlooker.next("snapshot")
        clock.now += later
        if said:
            assert await onlooker.next() == ("heartbeat", {
                "now": NOW + 3_000, "data_age_s": 3, "fresh_s": 3,
                "version": (await first_snapshot(server))["version"]
            })  # fmt: skip
        else:
            with pytest.raises(TimeoutError):
                await onlooker.next(within_s=0.3)


async def test_it_is_said_even_while_the_numbers_cannot_be_read() -> None:
    center, clock = await busy_center(), SettableClock()
    reader = StuckReader(center.store, SETTINGS)
    pace = StreamIntervals(min_poll_s=0.02, read_wait_s=0.05)
    async with served(center, pace, clock, reader) as server, await EventStream.at(server.port) as onlooker:
        await onlooker.next("snapshot")
        reader.free.clear()
        clock.now += 5 * SECOND
        await center.add({(pane(MINUTE), cell()): surveyed(1)})
        told = await onlooker.next()
        assert (told.event, told.data["data_age_s"], told.data["fresh_s"]) == ("heartbeat", 5, 5)
        reader.free.set()
        assert (await onlooker.next("change")).data["tiles"][0]["support"] == 21


async def first_snapshot(server: InLoopServer) -> dict[str, Any]:
    async with await EventStream.at(server.port) as onlooker:
        return (await onlooker.next("snapshot")).data


async def test_trouble_is_an_alert_until_it_is_over() -> None:
    store, clock = UnreachableStore(), SettableClock()
    center = await busy_center(store)
    async with served(center, clock=clock) as server, await EventStream.at(server.port) as onlooker:
        await onlooker.next("snapshot")
        store.away = True
        await asyncio.sleep(0.3)
        clock.now += 3 * SECOND
        gone = await alerts(onlooker)
        clock.now += 60 * SECOND
        stale = await alerts(onlooker)
        store.away = False
        await center.beat(clock.now)
        over = await alerts(onlooker)
        while over:
            over = await alerts(onlooker)
    assert [(one["id"], one["severity"], one["since"]) for one in gone] == [
        ("pipeline/store", "critical", NOW + 3 * SECOND)
    ]
    assert [one["kind"] for one in stale] == ["store", "stale"]


async def alerts(onlooker: EventStream) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await onlooker.next("change")).data["alerts"]
    return found


async def test_nobody_waits_for_one_who_never_reads_and_who_is_sent_away() -> None:
    center, pace = await busy_center(), StreamIntervals(min_poll_s=0.02, send_timeout_s=0.5)
    path = "/api/v1/stream?view=many"
    async with served(center, pace) as server:
        with StalledReader(server.port, path):
            async with await EventStream.at(server.port, path) as onlooker:
                await onlooker.next("snapshot")
                assert server.connections == 2
                begun = time.monotonic()
                while server.connections == 2:
                    await center.add({(pane(MINUTE), cell(queue)): surveyed(20) for queue in MANY})
                    told = await onlooker.next("change", within_s=1)
                    assert len(told.data["tiles"]) == 30
                    assert time.monotonic() - begun < 5


async def test_who_never_reads_costs_little_memory() -> None:
    """Unread data is at most one chunk beyond the server's buffers, however large the event."""
    center = await busy_center()
    path = "/api/v1/stream?view=many"
    async with served(center) as server:
        with StalledReader(server.port, path):
            async with await EventStream.at(server.port, path) as onlooker:
                for _ in range(3 * MAX_WAITING_EVENTS):
                    await onlooker.next()
                    await center.add({(pane(MINUTE), cell(queue)): surveyed(20) for queue in MANY})
                sizes = server.unsent()
    assert len(sizes) == 2
    assert 0 < max(sizes) <= 3 * MAX_CHUNK_BYTES


async def test_who_looks_at_the_same_shares_the_work_and_nobody_looking_is_none() -> None:
    center = await busy_center()
    reader = CountingReader(center.store, SETTINGS)
    async with served(center, reader=reader) as server:
        onlookers = [await EventStream.at(server.port) for _ in range(10)]
        for onlooker in onlookers:
            await onlooker.next("snapshot")
        assert reader.asked == 1
        await center.add({(pane(MINUTE), cell()): surveyed(1)})
        for onlooker in onlookers:
            await onlooker.next("change")
        assert reader.asked == 2
        for onlooker in onlookers:
            await onlooker.leave()
        async with asyncio.timeout(5):
            while server.connections:  # noqa: ASYNC110 - it does not say when
                await asyncio.sleep(0.01)
        await center.add({(pane(MINUTE), cell()): surveyed(1)})
        await asyncio.sleep(0.4)
        assert reader.asked == 2
        assert tiles(await first_snapshot(server))["all//nps_score//1h"]["support"] == 22


async def test_it_ends_at_once_when_the_server_does() -> None:
    center = await busy_center()
    async with served(center) as server, await EventStream.at(server.port) as onlooker:
        await onlooker.next("snapshot")
        begun = time.monotonic()
        await server.end()
        await onlooker.end()
    assert time.monotonic() - begun < 1


async def test_one_who_never_reads_does_not_keep_the_server_from_ending() -> None:
    center = await busy_center()
    async with served(center) as server:
        with StalledReader(server.port, "/api/v1/stream?view=many"):
            async with asyncio.timeout(5):
                while not max(server.unsent(), default=0):  # noqa: ASYNC110 - until it is stuck
                    await asyncio.sleep(0.01)
            begun = time.monotonic()
            await server.end()
            assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("/api/v1/stream?view=nobody", "HTTP/1.1 404 Not Found"),
        ("/api/v1/stream?view=", "HTTP/1.1 200 OK"),
        ("/api/v1/stream?view=counts", "HTTP/1.1 200 OK"),
        ("/api/v1/stream?views=counts", "HTTP/1.1 400 Bad Request"),
    ],
)
async def test_which_view(path: str, head: str) -> None:
    async with served(await busy_center()) as server, await EventStream.at(server.port, path) as onlooker:
        assert onlooker.head[0] == head


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("/api/v1/stream", "HTTP/1.1 200 OK"),
        ("/api/v1/stream?view=floor", "HTTP/1.1 200 OK"),
        ("/api/v1/stream?view=counts", "HTTP/1.1 403 Forbidden"),
        ("/api/v1/stream?view=nobody", "HTTP/1.1 403 Forbidden"),
    ],
)
async def test_a_display_sees_its_own_view_and_as_a_viewer(path: str, head: str) -> None:
    settings = SETTINGS.model_copy(
        update={"displays": {"tv": DisplaySettings(token=token_hash("secret"), view="floor")}}
    )
    center = await busy_center()
    await center.add({(pane(MINUTE), cell("sales")): surveyed(0, 4)})
    reader = MetricsReader(center.store, settings)
    await reader.refresh(NOW)
    async with (
        running_server(reader, settings, SettableClock(), QUICK) as server,
        await EventStream.at(server.port, path, f"{cookies.DISPLAY_COOKIE}=secret") as onlooker,
    ):
        assert onlooker.head[0] == head
        if head.endswith("OK"):
            found = tiles((await onlooker.next("snapshot")).data)
            assert found["queue/sales/nps_score//1h"]["support"] == 0
            assert found["queue/sales/nps_score//1h"]["state"] == "few"


# What a client is handed.


def test_the_whole_at_first_and_then_what_is_new() -> None:
    client = StreamClient(lambda: b"whole ")
    client.push(b"before ")
    assert pending_bytes(client) == b"whole "
    client.push(b"one ")
    client.push(b"two ")
    assert pending_bytes(client) == b"one two "


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (MAX_WAITING_EVENTS, b"." * MAX_WAITING_EVENTS),
        (MAX_WAITING_EVENTS + 1, b"whole"),
        (MAX_WAITING_EVENTS + 9, b"whole"),
    ],
)
def test_who_missed_much_gets_the_whole_anew(missed: int, expected: bytes) -> None:
    client = StreamClient(lambda: b"whole")
    pending_bytes(client)
    for _ in range(missed):
        client.push(b".")
    assert pending_bytes(client) == expected
    client.push(b"next")
    assert pending_bytes(client) == b"next"


def test_nothing_is_handed_out_before_there_is_something() -> None:
    known: list[bytes] = []
    client = StreamClient(lambda: known[0] if known else None)
    with pytest.raises(TimeoutError):
        pending_bytes(client)
    known.append(b"whole")
    client.push(b"change")
    assert pending_bytes(client) == b"whole"


def pending_bytes(client: StreamClient) -> bytes | None:
    async def take() -> bytes | None:
        async with asyncio.timeout(0.05):
            return await client.next_bytes()

    return asyncio.run(take())
