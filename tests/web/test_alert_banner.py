"""Alerts on the wallboards that may show them, for as long as they are to be shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.composer import MessageComposer
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import Acknowledgement, AlertSilence, add_silence, set_acknowledgement
from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, ViewSettings
from streamer.store.memory_documents import MemoryDocument
from streamer.store.port import TokenDocument
from streamer.web.alert_banner import AlertBanner, WallboardAudience
from streamer.web.alert_view import ALERT_PHASES
from streamer.web.pipeline_health import PipelineHealth
from streamer.web.reader_refresher import ReaderRefresher
from streamer.web.server import application
from streamer.web.stream import StreamIntervals
from streamer.web.wallboard_view import WallboardView
from tests.alerts.simulated import NPS, drawn, only, steady, written
from tests.readings.small_center import NOW
from tests.web import alerted_center
from tests.web.alerted_center import (
    EVERYTHING,
    SETTINGS,
    AlertedServer,
    NotifiedAlert,
    SettableClock,
    alerted_server,
    notified_alert,
)
from tests.web.asgi_client import send_request
from tests.web.event_stream import EventStream, running_server

OPEN = SETTINGS.model_copy(update={"users": {}, "displays": {}})
ANYBODY, ALL_TEAMS, RED = (
    WallboardAudience(as_viewer=True),
    WallboardAudience(as_viewer=False),
    WallboardAudience(False, ("red",)),
)
BILLING = EVERYTHING[0].alert.id


def banner(
    alert_server: AlertedServer, queues: Sequence[str] = (), audience: WallboardAudience = ALL_TEAMS
) -> AlertBanner:
    troubles = PipelineHealth(alert_server.reader, ReaderRefresher(alert_server.reader, alert_server.clock))
    groups = [("queue", queue) for queue in queues]
    return AlertBanner(alert_server.reader, troubles, alert_server.coordinator, groups, audience, SETTINGS)


def kinds(one: AlertBanner, clock: SettableClock) -> list[str]:
    return [alert.kind for alert in one.alerts(clock.now)]


WHOLE, TEAMS = "service-level", ["by-team/blue", "by-team/red"]
PAIRS = ["by-pair/billing,blue", "by-pair/billing,red"]
QUEUES = ["nps-drop/billing", "nps-drop/few", "nps-drop/five"]


@pytest.mark.parametrize(
    ("queues", "audience", "expected"),
    [
        ((), ALL_TEAMS, [*PAIRS, *TEAMS, *QUEUES, WHOLE]),
        ((), ANYBODY, [*PAIRS, *TEAMS, QUEUES[0], QUEUES[2], WHOLE]),
        ((), RED, [PAIRS[1], TEAMS[1], *QUEUES, WHOLE]),
        (("billing",), ALL_TEAMS, [*PAIRS, QUEUES[0], WHOLE]),
        (("billing",), RED, [PAIRS[1], QUEUES[0], WHOLE]),
        (("few", "five"), ANYBODY, [QUEUES[2], WHOLE]),
        (("sales",), ANYBODY, [WHOLE]),
    ],
)
async def test_a_wall_shows_alerts_of_its_queues_and_of_the_whole_center_and_never_of_agents(
    document: MemoryDocument, queues: Sequence[str], audience: WallboardAudience, expected: list[str]
) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(*EVERYTHING)
    found = [
        one.id.rpartition("/")[0].rstrip("/") for one in banner(alert_server, queues, audience).alerts(NOW)
    ]
    assert sorted(found) == expected


async def test_an_alert_says_what_a_page_needs_to_say_it_in_any_language(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(EVERYTHING[0])
    (one,) = banner(alert_server).alerts(NOW)
    assert (one.kind, one.what, one.metric, one.by) == ("drop", "fell", "nps_score", "queue")
    assert (one.key, one.group, one.phase, one.severity) == ("billing", "Billing", "firing", "warning")
    assert (one.since, one.acknowledged, one.text) == (NOW - HOUR - MINUTE, False, "It is −12.345.")
    (guarded,) = banner(alert_server, audience=ANYBODY).alerts(NOW)
    assert guarded.text == "nps-drop of billing."


async def test_a_banner_bears_the_figure_now_beside_what_it_was_judged_as_its_tile_is(
    document: MemoryDocument,
) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(notified_alert("service-level"), notified_alert("nps-drop", "red"))
    wall = banner(alert_server)
    wall.read_figures(NOW)
    by_metric = {one.metric: one for one in wall.alerts(NOW)}
    level, nps = by_metric["service_level_ratio"], by_metric["nps_score"]
    assert (level.window, level.better, level.unit) == ("today", "higher", "ratio")
    assert (level.fired_value, level.fired_at) == (-12.345, NOW - HOUR + MINUTE)
    assert level.current is not None
    assert nps.current is not None
    settings = Settings(min_sample=SETTINGS.min_sample)
    tiles = ViewSettings(tiles=[level.metric], window="today")
    view = WallboardView(alert_server.reader, settings, tiles, as_viewer=False)
    ((tile,),) = (page.tiles for page in view.read_pages(NOW))
    shown = {name: getattr(tile, name) for name in level.current.__struct_fields__}
    assert msgspec.structs.asdict(level.current) == shown
    assert (nps.current.support, nps.current.target, nps.current.state) == (0, 30, "no_data")
    guarded = banner(alert_server, audience=ANYBODY)
    guarded.read_figures(NOW)
    assert {one.fired_value for one in guarded.alerts(NOW) if one.metric == "nps_score"} == {None}
    listed = json.loads((await alert_server.ask("/api/v1/alerts", "admin")).body)
    assert {one["metric"]: one["current"]["state"] for one in listed if one["metric"]} == {
        "service_level_ratio": level.current.state,
        "nps_score": "no_data",
    }


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (notified_alert("service-level"), "missed"),
        (notified_alert("nps-drop", "billing"), "fell"),
        (notified_alert("by-team", "red"), "rose"),
        (notified_alert("silence"), "silent"),
        (notified_alert("silence", odd=True), "odd"),
    ],
)
async def test_what_an_alert_saw(document: MemoryDocument, of: NotifiedAlert, what: str) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(of)
    assert [one.what for one in banner(alert_server).alerts(NOW)] == [what]


async def test_only_what_was_told_and_is_not_over_is_on_a_wall(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(*(notified_alert("nps-drop", phase, phase) for phase in ALERT_PHASES))
    found = sorted((one.key, one.phase) for one in banner(alert_server).alerts(NOW))
    assert found == [("clearing", "clearing"), ("firing", "firing")]


async def test_what_somebody_cares_for_comes_after_what_nobody_does(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    a, b = notified_alert("nps-drop", "a", ago=MINUTE), notified_alert("nps-drop", "b", ago=HOUR)
    await alert_server.set_alerts(b, notified_alert("by-pair", "c,d", ago=2 * HOUR), a)
    wall = banner(alert_server)
    assert [one.key for one in wall.alerts(NOW)] == ["c,d", "a", "b"]
    how = Acknowledgement("eva", NOW)
    await alert_server.coordinator.update(lambda known: set_acknowledgement(known, a.alert.id, how))
    found = [(one.key, one.acknowledged) for one in wall.alerts(NOW)]
    assert found == [("c,d", False), ("b", False), ("a", True)]


async def test_that_the_data_is_odd_is_said_by_the_trouble_alone(document: MemoryDocument) -> None:
    """The same holds when the problem is over and the rule has not noticed yet."""
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(notified_alert("silence", odd=True))
    wall, clock = banner(alert_server), alert_server.clock
    assert kinds(wall, clock) == ["no_data"]
    clock.now = NOW + MINUTE
    assert kinds(wall, clock) == ["stale"]
    clock.now = NOW + MINUTE - 1
    assert kinds(wall, clock) == []
    await alert_server.set_alerts(notified_alert("silence", phase="clearing", odd=True))
    assert kinds(banner(alert_server), clock) == []
    await alert_server.set_alerts(notified_alert("silence", phase="clearing"))
    assert kinds(banner(alert_server), clock) == ["no_data"]


# Over a stream.


class WatchedWallboard(NamedTuple):
    """A client of one server's wallboard, and another server that changes the alerts."""

    onlooker: EventStream
    other: AlertedServer
    clock: SettableClock

    async def change(self, *known: NotifiedAlert) -> list[dict[str, Any]]:
        await self.other.set_alerts(*known)
        return await self.next()

    async def next(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.onlooker.next("change")).data["alerts"]
        return found


async def judged_elsewhere(document: MemoryDocument) -> None:
    """Give the lease for evaluating rules to a third server."""
    assert await document.acquire_lease("a third", 60_000)


@asynccontextmanager
async def watched_wallboard(
    document: MemoryDocument, path: str = "/api/v1/stream"
) -> AsyncIterator[WatchedWallboard]:
    await judged_elsewhere(document)
    one, other = await alerted_server(document, OPEN), await alerted_server(document, OPEN)
    async with (
        running_server(
            one.reader, OPEN, one.clock, StreamIntervals(min_poll_s=0.02), one.coordinator
        ) as serves,
        await EventStream.at(serves.port, path) as onlooker,
    ):
        assert (await onlooker.next("snapshot")).data["alerts"] == []
        yield WatchedWallboard(onlooker, other, one.clock)


async def test_a_wall_follows_an_alert_from_its_beginning_to_its_end(document: MemoryDocument) -> None:
    async with watched_wallboard(document) as wall:
        (one,) = await wall.change(notified_alert("nps-drop", "billing"))
        assert (one["id"], one["phase"], one["acknowledged"]) == (BILLING, "firing", False)
        how = Acknowledgement("eva", NOW)
        await wall.other.coordinator.update(lambda known: set_acknowledgement(known, BILLING, how))
        assert [one["acknowledged"] for one in await wall.next()] == [True]
        (one,) = await wall.change(notified_alert("nps-drop", "billing", "clearing"))
        assert (one["phase"], one["acknowledged"]) == ("clearing", True)
        assert await wall.change(notified_alert("nps-drop", "billing", "resolved")) == []


async def test_a_silenced_alert_is_off_the_wall_until_the_silence_ends(document: MemoryDocument) -> None:
    async with watched_wallboard(document) as wall:
        assert len(await wall.change(notified_alert("nps-drop", "billing"))) == 1
        quiet = AlertSilence(id="s", rule="nps-drop", key=None, since=NOW, until=NOW + 20 * SECOND, by="eva")
        await wall.other.coordinator.update(lambda known: add_silence(known, quiet))
        assert await wall.next() == []
        wall.clock.now += 20 * SECOND
        assert [one["id"] for one in await wall.next()] == [BILLING]


async def test_a_wall_of_some_queues_is_not_told_of_others(document: MemoryDocument) -> None:
    async with watched_wallboard(document, "/api/v1/stream?view=tv") as wall:
        await wall.other.set_alerts(notified_alert("nps-drop", "sales"), notified_alert("by-team", "red"))
        found = await wall.change(
            notified_alert("nps-drop", "sales"),
            notified_alert("nps-drop", "billing"),
            notified_alert("silence"),
        )
        assert sorted(one["key"] for one in found) == ["", "billing"]


async def test_who_comes_later_is_told_of_what_is_firing(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document, OPEN)
    await alert_server.set_alerts(notified_alert("nps-drop", "billing"))
    await judged_elsewhere(document)
    async with (
        running_server(
            alert_server.reader,
            OPEN,
            alert_server.clock,
            StreamIntervals(min_poll_s=0.02),
            alert_server.coordinator,
        ) as serves,
        await EventStream.at(serves.port) as onlooker,
    ):
        (one,) = (await onlooker.next("snapshot")).data["alerts"]
    assert (one["id"], one["what"], one["group"]) == (BILLING, "fell", "Billing")


SAID, UNSAID = "It is −12.345.", "nps-drop of billing."


@pytest.mark.parametrize(
    ("known", "view", "teams", "text"),
    [
        ({"cookie": "streamer_display=of the lobby"}, "tv", {"billing,blue", "billing,red"}, UNSAID),
        ({"token": "of vera"}, "default", {"billing,blue", "billing,red", "blue", "red"}, UNSAID),
        ({"token": "of sue"}, "default", {"billing,red", "red"}, SAID),
        ({"token": "of adam"}, "default", {"billing,blue", "billing,red", "blue", "red"}, SAID),
    ],
)
async def test_each_is_streamed_what_they_may_see(
    document: MemoryDocument, known: dict[str, str], view: str, teams: set[str], text: str
) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(*EVERYTHING)
    path = f"/api/v1/stream?view={view}"
    await judged_elsewhere(document)
    async with (
        running_server(
            alert_server.reader,
            SETTINGS,
            alert_server.clock,
            StreamIntervals(min_poll_s=0.02),
            alert_server.coordinator,
        ) as serves,
        await EventStream.at(serves.port, path, **known) as onlooker,
    ):
        found = (await onlooker.next("snapshot")).data["alerts"]
    assert {one["key"] for one in found if "team" in one["by"]} == teams
    assert [one["text"] for one in found if one["id"] == BILLING] == [text]


# The whole way.


class StuckDocument(MemoryDocument):
    """A document that answers only when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.let.set()

    async def read(self) -> TokenDocument | None:
        await self.let.wait()
        return await super().read()


async def test_readiness_does_not_wait_for_alerts() -> None:
    ledger = StuckDocument()
    alert_server = await alerted_server(ledger)
    ledger.let.clear()
    async with (
        alert_server.app.router.lifespan_context(alert_server.app),
        alert_server.coordinator._evaluation_lock,
    ):
        answer = await alert_server.ask("/readyz", "admin")
        assert (answer.status, json.loads(answer.body)["ready"]) == (200, True)
        assert (await alert_server.ask("/api/v1/alerts", "admin")).status == 200
        ledger.let.set()


RULE = {
    "kind": "threshold",
    "metric": "nps_score",
    "window": "24h",
    "target": 20,
    "keep_firing_for": 0,
    "shared": False,
}


async def test_what_a_real_rule_says_tells_viewers_that_it_is_so_and_supervisors_how_much(
    document: MemoryDocument,
) -> None:
    settings = only(one=RULE).model_copy(update={"users": SETTINGS.users})
    numbers = await written(drawn(["billing"], 150, NPS, steady(0.6, 0.3, 0.1)))
    clock, reader = SettableClock(), MetricsReader(numbers, settings)
    await reader.refresh(NOW)
    in_force = load_alert_rules(settings)
    watch, composer = RuleEvaluator(reader, settings, in_force), MessageComposer(reader, settings, in_force)
    bell = AlertCoordinator(document, watch, reader, composer.compose, clock, alerted_center.QUICK)
    app = application(reader, settings, clock, coordinator=bell)
    news = bell.subscribe()
    async with app.router.lifespan_context(app), asyncio.timeout(30):
        while not bell.state.alerts:
            await news.wait()
            news.clear()
    found = {}
    for who in ("viewer", "supervisor"):
        answer = await send_request(app, "/api/v1/alerts", headers=alerted_center.headers(who))
        (found[who],) = json.loads(answer.body)
    value = f"{-found['supervisor']['figures']['value']:.0f}"
    assert value in found["supervisor"]["text"]
    assert found["supervisor"]["links"]
    assert found["viewer"]["title"] == found["supervisor"]["title"]
    assert found["viewer"]["text"] == "NPS of billing misses its target."
    wall = AlertBanner(
        reader, PipelineHealth(reader, ReaderRefresher(reader, clock)), bell, (), ANYBODY, settings
    )
    assert [one.text for one in wall.alerts(NOW)] == [found["viewer"]["text"]]
