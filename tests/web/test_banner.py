"""Alerts on the wallboards that may show them, for as long as they are to be shown."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from streamer.alerts.rules import rules
from streamer.alerts.saying.composing import Composer
from streamer.alerts.watch import Watch
from streamer.delivery.bell import Bell
from streamer.delivery.record import Acknowledgement, Silence, acknowledged, silenced
from streamer.events.rules import HOUR, MINUTE, SECOND
from streamer.readings.reader import Reader
from streamer.store.redis import LeasedDocument, RedisStore, TokenDocument
from streamer.web.alarm import PHASES
from streamer.web.banner import Audience, Banner
from streamer.web.follower import Follower
from streamer.web.server import application
from streamer.web.stream import Pace
from streamer.web.troubles import Troubles
from tests.alerts.simulated import NPS, drawn, only, steady, written
from tests.readings.center import NOW
from tests.web import alerted
from tests.web.alerted import EVERYTHING, SETTINGS, Clock, Server, Told, server, told
from tests.web.onlooker import Onlooker, serving
from tests.web.visitor import visit

OPEN = SETTINGS.model_copy(update={"people": {}, "displays": {}})
ANYBODY, ALL_TEAMS, RED = Audience(guarded=True), Audience(guarded=False), Audience(False, ("red",))
BILLING = EVERYTHING[0].alert.id


def banner(desk: Server, queues: Sequence[str] = (), audience: Audience = ALL_TEAMS) -> Banner:
    troubles = Troubles(desk.reader, Follower(desk.reader, desk.clock))
    return Banner(desk.reader, troubles, desk.bell, queues, audience)


def kinds(one: Banner, clock: Clock) -> list[str]:
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
    store: RedisStore, queues: Sequence[str], audience: Audience, expected: list[str]
) -> None:
    desk = await server(store)
    await desk.know(*EVERYTHING)
    found = [one.id.rpartition("/")[0].rstrip("/") for one in banner(desk, queues, audience).alerts(NOW)]
    assert sorted(found) == expected


async def test_an_alert_says_what_a_page_needs_to_say_it_in_any_language(store: RedisStore) -> None:
    desk = await server(store)
    await desk.know(EVERYTHING[0])
    (one,) = banner(desk).alerts(NOW)
    assert (one.kind, one.what, one.metric, one.by) == ("drop", "fell", "nps_score", "queue")
    assert (one.key, one.group, one.phase, one.severity) == ("billing", "Billing", "firing", "warning")
    assert (one.since, one.acknowledged, one.text) == (NOW - HOUR - MINUTE, False, "It is −12.345.")
    (guarded,) = banner(desk, audience=ANYBODY).alerts(NOW)
    assert guarded.text == "nps-drop of billing."


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (told("service-level"), "missed"),
        (told("nps-drop", "billing"), "fell"),
        (told("by-team", "red"), "rose"),
        (told("silence"), "silent"),
        (told("silence", odd=True), "odd"),
    ],
)
async def test_what_an_alert_saw(store: RedisStore, of: Told, what: str) -> None:
    desk = await server(store)
    await desk.know(of)
    assert [one.what for one in banner(desk).alerts(NOW)] == [what]


async def test_only_what_was_told_and_is_not_over_is_on_a_wall(store: RedisStore) -> None:
    desk = await server(store)
    await desk.know(*(told("nps-drop", phase, phase) for phase in PHASES))
    found = sorted((one.key, one.phase) for one in banner(desk).alerts(NOW))
    assert found == [("clearing", "clearing"), ("firing", "firing")]


async def test_what_somebody_cares_for_comes_after_what_nobody_does(store: RedisStore) -> None:
    desk = await server(store)
    a, b = told("nps-drop", "a", ago=MINUTE), told("nps-drop", "b", ago=HOUR)
    await desk.know(b, told("by-pair", "c,d", ago=2 * HOUR), a)
    wall = banner(desk)
    assert [one.key for one in wall.alerts(NOW)] == ["c,d", "a", "b"]
    how = Acknowledgement("eva", NOW)
    await desk.bell.change(lambda known: acknowledged(known, a.alert.id, how))
    found = [(one.key, one.acknowledged) for one in wall.alerts(NOW)]
    assert found == [("c,d", False), ("b", False), ("a", True)]


async def test_that_the_data_is_odd_is_said_by_the_trouble_alone(store: RedisStore) -> None:
    """The same holds when the problem is over and the rule has not noticed yet."""
    desk = await server(store)
    await desk.know(told("silence", odd=True))
    wall, clock = banner(desk), desk.clock
    assert kinds(wall, clock) == ["silence"]
    clock.now = NOW + MINUTE
    assert kinds(wall, clock) == ["stale"]
    clock.now = NOW + MINUTE - 1
    assert kinds(wall, clock) == []
    await desk.know(told("silence", phase="clearing", odd=True))
    assert kinds(banner(desk), clock) == []
    await desk.know(told("silence", phase="clearing"))
    assert kinds(banner(desk), clock) == ["silence"]


# Over a stream.


class Wall(NamedTuple):
    """A client of one server's wallboard, and another server that changes the alerts."""

    onlooker: Onlooker
    other: Server
    clock: Clock

    async def change(self, *known: Told) -> list[dict[str, Any]]:
        await self.other.know(*known)
        return await self.next()

    async def next(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.onlooker.next("change")).data["alerts"]
        return found


async def judged_elsewhere(store: RedisStore) -> None:
    """Give the lease for evaluating rules to a third server."""
    assert await LeasedDocument(store, "alerts").hold("a third", 60_000)


@asynccontextmanager
async def looked_at(store: RedisStore, path: str = "/api/v1/stream") -> AsyncIterator[Wall]:
    await judged_elsewhere(store)
    one, other = await server(store, OPEN), await server(store, OPEN)
    async with (
        serving(one.reader, OPEN, one.clock, Pace(look=0.02), one.bell) as serves,
        await Onlooker.at(serves.port, path) as onlooker,
    ):
        assert (await onlooker.next("snapshot")).data["alerts"] == []
        yield Wall(onlooker, other, one.clock)


async def test_a_wall_follows_an_alert_from_its_beginning_to_its_end(store: RedisStore) -> None:
    async with looked_at(store) as wall:
        (one,) = await wall.change(told("nps-drop", "billing"))
        assert (one["id"], one["phase"], one["acknowledged"]) == (BILLING, "firing", False)
        how = Acknowledgement("eva", NOW)
        await wall.other.bell.change(lambda known: acknowledged(known, BILLING, how))
        assert [one["acknowledged"] for one in await wall.next()] == [True]
        (one,) = await wall.change(told("nps-drop", "billing", "clearing"))
        assert (one["phase"], one["acknowledged"]) == ("clearing", True)
        assert await wall.change(told("nps-drop", "billing", "resolved")) == []


async def test_a_silenced_alert_is_off_the_wall_until_the_silence_ends(store: RedisStore) -> None:
    async with looked_at(store) as wall:
        assert len(await wall.change(told("nps-drop", "billing"))) == 1
        quiet = Silence(id="s", rule="nps-drop", key=None, since=NOW, until=NOW + 20 * SECOND, by="eva")
        await wall.other.bell.change(lambda known: silenced(known, quiet))
        assert await wall.next() == []
        wall.clock.now += 20 * SECOND
        assert [one["id"] for one in await wall.next()] == [BILLING]


async def test_a_wall_of_some_queues_is_not_told_of_others(store: RedisStore) -> None:
    async with looked_at(store, "/api/v1/stream?view=tv") as wall:
        await wall.other.know(told("nps-drop", "sales"), told("by-team", "red"))
        found = await wall.change(told("nps-drop", "sales"), told("nps-drop", "billing"), told("silence"))
        assert sorted(one["key"] for one in found) == ["", "billing"]


async def test_who_comes_later_is_told_of_what_is_firing(store: RedisStore) -> None:
    desk = await server(store, OPEN)
    await desk.know(told("nps-drop", "billing"))
    await judged_elsewhere(store)
    async with (
        serving(desk.reader, OPEN, desk.clock, Pace(look=0.02), desk.bell) as serves,
        await Onlooker.at(serves.port) as onlooker,
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
    store: RedisStore, known: dict[str, str], view: str, teams: set[str], text: str
) -> None:
    desk = await server(store)
    await desk.know(*EVERYTHING)
    path = f"/api/v1/stream?view={view}"
    await judged_elsewhere(store)
    async with (
        serving(desk.reader, SETTINGS, desk.clock, Pace(look=0.02), desk.bell) as serves,
        await Onlooker.at(serves.port, path, **known) as onlooker,
    ):
        found = (await onlooker.next("snapshot")).data["alerts"]
    assert {one["key"] for one in found if "team" in one["by"]} == teams
    assert [one["text"] for one in found if one["id"] == BILLING] == [text]


# The whole way.


class Stuck(LeasedDocument):
    """A document that answers only when it is allowed to."""

    let = asyncio.Event()

    async def read(self) -> TokenDocument | None:
        await self.let.wait()
        return await super().read()


async def test_readiness_does_not_wait_for_alerts(store: RedisStore) -> None:
    desk = await server(store)
    desk.bell._ledger = ledger = Stuck(store, "alerts")
    ledger.let = asyncio.Event()
    async with desk.app.router.lifespan_context(desk.app), desk.bell._judging:
        answer = await desk.ask("/readyz", "admin")
        assert (answer.status, json.loads(answer.body)["ready"]) == (200, True)
        assert (await desk.ask("/api/v1/alerts", "admin")).status == 200
        ledger.let.set()


RULE = {"kind": "target", "metric": "nps_score", "window": "24h", "target": 20, "clear": 0, "shared": False}


async def test_what_a_real_rule_says_tells_viewers_that_it_is_so_and_supervisors_how_much(
    store: RedisStore,
) -> None:
    settings = only(one=RULE).model_copy(update={"people": SETTINGS.people})
    numbers = await written(drawn(["billing"], 150, NPS, steady(0.6, 0.3, 0.1)))
    clock, reader = Clock(), Reader(numbers, settings)
    await reader.refresh(NOW)
    in_force = rules(settings)
    watch, composer = Watch(reader, settings, in_force), Composer(reader, settings, in_force)
    bell = Bell(LeasedDocument(store, "alerts"), watch, reader, composer.composed, clock, alerted.QUICK)
    app = application(reader, settings, clock, bell=bell)
    news = bell.listen()
    async with app.router.lifespan_context(app), asyncio.timeout(30):
        while not bell.record.alerts:
            await news.wait()
            news.clear()
    found = {}
    for who in ("viewer", "supervisor"):
        answer = await visit(app, "/api/v1/alerts", headers=alerted.headers(who))
        (found[who],) = json.loads(answer.body)
    value = f"{-found['supervisor']['figures']['value']:.0f}"
    assert value in found["supervisor"]["text"]
    assert found["supervisor"]["links"]
    assert found["viewer"]["title"] == found["supervisor"]["title"]
    assert found["viewer"]["text"] == "NPS of billing misses its target."
    wall = Banner(reader, Troubles(reader, Follower(reader, clock)), bell, (), ANYBODY)
    assert [one.text for one in wall.alerts(NOW)] == [found["viewer"]["text"]]
