"""A real Alertmanager receives what fires and resolves, and silences are the same there and here."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import pytest

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alertmanager_client import AlertmanagerClient, AlertmanagerUnavailable
from streamer.delivery.alertmanager_resend import EXPIRY_MS, RESEND_INTERVAL_S, AlertmanagerResender
from streamer.delivery.http_client import HttpClient
from streamer.delivery.silence_matching import Via
from streamer.delivery.silencing import SYNC_INTERVAL_S as FOLLOWED_S
from streamer.delivery.silencing import AlertmanagerTarget, SilenceService, SilenceSync, SilencingUnavailable
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.settings import Settings
from streamer.store.memory_documents import MemoryDocument
from tests.delivery.coordinators import fire_alerts, resolve_alert
from tests.delivery.coordinators import make_quiet_coordinator as bell_of
from tests.delivery.manual_time import ManualTime
from tests.parts.alertmanager import Alertmanager as AlertmanagerServer
from tests.parts.server import run

pytestmark = pytest.mark.prometheus
SETTINGS = Settings()


@pytest.fixture(scope="module")
def server() -> Iterator[AlertmanagerServer]:
    found = AlertmanagerServer()
    try:
        run(found.start())
        yield found
    finally:
        run(found.close())


@pytest.fixture(autouse=True)
def nothing_is_silenced(server: AlertmanagerServer) -> None:
    if ids := server.amtool("silence", "query", "--quiet").split():
        server.amtool("silence", "expire", *ids)


class Case:
    """A leading coordinator, time that begins now, and all that posts to Alertmanager."""

    def __init__(
        self, bell: AlertCoordinator, moments: ManualTime, alertmanager: AlertmanagerClient, via: Via
    ) -> None:
        self.bell, self.time, self.alertmanager = bell, moments, alertmanager
        elsewhere = AlertmanagerTarget(alertmanager, via)
        self.silencing = SilenceService(bell, moments.clock, elsewhere)
        self.following = SilenceSync(bell, elsewhere, moments.timing)
        self.firing = AlertmanagerResender(bell, alertmanager, moments.timing)

    @property
    def at(self) -> int:
        return self.time.clock()


@asynccontextmanager
async def case_of(
    document: MemoryDocument, server: AlertmanagerServer, via: Via = "api", url: str = ""
) -> AsyncIterator[Case]:
    moments, caller = ManualTime(round(time.time() * 1000)), HttpClient()  # noqa: TID251 - Alertmanager's clock is real
    bell = bell_of(document, SETTINGS, moments.clock)
    await bell._acquire_lease()
    try:
        yield Case(bell, moments, AlertmanagerClient(url or server.url, caller), via)
    finally:
        await caller.close()


@pytest.fixture
async def case(document: MemoryDocument, server: AlertmanagerServer) -> AsyncIterator[Case]:
    async with case_of(document, server) as found:
        yield found


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(found: Callable[[], Any], wanted: Any) -> None:
    """Poll until it is so: Alertmanager does not notify of changes."""
    end = time.monotonic() + 30
    while (seen := found()) != wanted:
        assert time.monotonic() < end, seen
        await asyncio.sleep(0.05)


async def pause(case: Case, seconds: float) -> None:
    await case.time.wait_for_sleep(lambda slept: slept == seconds)


def known(server: AlertmanagerServer, key: str) -> list[dict[str, Any]]:
    return [one for one in server.alerts() if one["labels"].get("queue") == key]


async def test_what_fires_arrives_with_its_labels_and_words_and_goes_when_it_is_over(
    case: Case, server: AlertmanagerServer
) -> None:
    async with running(case.firing):
        await fire_alerts(case.bell, "arrives", at=case.at)
        await eventually(lambda: len(known(server, "arrives")), 1)
        (alert,) = known(server, "arrives")
        assert alert["labels"] == {
            "alertname": "nps-drop",
            "severity": "warning",
            "metric": "nps_score",
            "by": "queue",
            "queue": "arrives",
        }
        assert alert["annotations"] == {
            "summary": "NPS of Arrives dropped",
            "description": "NPS of Billing dropped.",
        }
        assert _ms(alert["startsAt"]) == case.at
        assert _ms(alert["endsAt"]) == case.at + EXPIRY_MS
        await pause(case, RESEND_INTERVAL_S)
        await resolve_alert(case.bell, "arrives", at=case.at)
        await eventually(lambda: known(server, "arrives"), [])


async def test_it_is_told_again_every_thirty_seconds_and_expires_when_nobody_does(
    case: Case, server: AlertmanagerServer
) -> None:
    await fire_alerts(case.bell, "again", at=case.at)
    async with running(case.firing):
        await pause(case, RESEND_INTERVAL_S)
        began, ends = case.at, [_ends(server, "again")]
        for _ in range(2):
            case.time.advance(RESEND_INTERVAL_S)
            await pause(case, RESEND_INTERVAL_S)
            ends.append(_ends(server, "again"))
    assert ends == [began + EXPIRY_MS + round(n * RESEND_INTERVAL_S * 1000) for n in range(3)]


def _ends(server: AlertmanagerServer, key: str) -> int:
    (alert,) = known(server, key)
    return _ms(alert["endsAt"])


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


async def test_who_has_not_the_turn_tells_nothing(
    case: Case, document: MemoryDocument, server: AlertmanagerServer
) -> None:
    await case.bell._document.release_lease(case.bell._name)
    other = bell_of(document, SETTINGS)
    await other._acquire_lease()
    await case.bell._acquire_lease()
    async with running(case.firing):
        await fire_alerts(case.bell, "not mine", at=case.at)
        for _ in range(2):
            await pause(case, RESEND_INTERVAL_S)
            case.time.advance(RESEND_INTERVAL_S)
        assert known(server, "not mine") == []


async def test_one_that_was_away_is_told_when_it_is_back(document: MemoryDocument) -> None:
    own = AlertmanagerServer()
    try:
        async with case_of(document, own) as case, running(case.firing):
            await fire_alerts(case.bell, "away", at=case.at)
            for seconds in (1, 2, 4, 8, 16, RESEND_INTERVAL_S, RESEND_INTERVAL_S):
                await pause(case, seconds)
                assert case.firing.failure == "connection failed (Connection refused)"
                case.time.advance(seconds)
            await pause(case, RESEND_INTERVAL_S)
            await own.start()
            case.time.advance(RESEND_INTERVAL_S)
            await eventually(lambda: len(known(own, "away")), 1)
    finally:
        await own.close()


# Silences.


def shown(server: AlertmanagerServer) -> list[tuple[dict[str, str], str, str]]:
    """Return the active silences as amtool shows them: matchers, author, comment."""
    found = json.loads(server.amtool("silence", "query", "--output=json"))
    return [
        ({m["name"]: m["value"] for m in one["matchers"]}, one["createdBy"], one["comment"]) for one in found
    ]


@pytest.mark.parametrize(
    ("via", "named"),
    [
        ("api", {"alertname": "nps-drop"}),
        ("prometheus", {"alertname": "ContactCenterAlert", "alert": "nps-drop"}),
    ],
)
@pytest.mark.parametrize(("key", "group"), [(None, {}), ("billing, EU", {"queue": "billing, EU"})])
async def test_who_silences_here_does_there_and_ends_it_there(
    via: Via, named: dict[str, str], key: str | None, group: dict[str, str],
    document: MemoryDocument, server: AlertmanagerServer,
) -> None:  # fmt: skip
    async with case_of(document, server, via) as case:
        made = await case.silencing.silence("nps-drop", key, case.at + HOUR, "Ana", "known")
        assert shown(server) == [({**named, **group}, "Ana", "known")]
        assert case.bell.state.silences == {made.id: made}
        assert (made.rule, made.key, made.until) == ("nps-drop", key, case.at + HOUR)
        async with running(case.following):
            await pause(case, FOLLOWED_S)
            (kept,) = case.bell.state.silences.values()
            assert (kept.id, kept.rule, kept.key, kept.until) == (made.id, made.rule, made.key, made.until)
            await case.silencing.unsilence(made.id)
            assert shown(server) == []
            assert case.bell.state.silences == {}
            case.time.advance(FOLLOWED_S)
            await pause(case, FOLLOWED_S)
            assert case.bell.state.silences == {}
        await case.silencing.unsilence(made.id)


async def test_an_alert_silenced_here_is_suppressed_there(case: Case, server: AlertmanagerServer) -> None:
    async with running(case.firing):
        await fire_alerts(case.bell, "hush", "loud", at=case.at)
        await case.silencing.silence("nps-drop", "hush", case.at + HOUR, "Ana")
        await eventually(lambda: [one["status"]["state"] for one in known(server, "hush")], ["suppressed"])
        await eventually(lambda: [one["status"]["state"] for one in known(server, "loud")], ["active"])


@pytest.mark.parametrize(
    ("via", "asked", "covers"),
    [
        ("api", ["alertname=nps-drop"], [("nps-drop", None)]),
        ("api", ["alertname=nps-drop", "queue=billing"], [("nps-drop", "billing")]),
        ("api", ["alertname=~nps-.*", "queue=~b.*|other"], [("nps-drop", "billing")]),
        ("api", ["alertname=nps-drop", "queue!=billing"], [("nps-drop", "sales")]),
        ("api", ["alertname=nps-drop", "severity=critical"], []),
        ("api", ["alertname=nps-drop", "job=streamer"], []),
        ("api", ["alertname=NodeDown"], []),
        (
            "prometheus",
            ["alertname=ContactCenterAlert", "alert=nps-drop", "queue=billing", "job=streamer"],
            [("nps-drop", "billing")],
        ),
        ("prometheus", ["job=node"], []),
        ("prometheus", ["alertname=nps-drop"], []),
    ],
)
async def test_what_is_silenced_there_with_amtool_is_so_here_and_ends_here(
    via: Via, asked: list[str], covers: list[Any], document: MemoryDocument, server: AlertmanagerServer
) -> None:
    async with case_of(document, server, via) as case, running(case.following):
        await fire_alerts(case.bell, "billing", "sales", at=case.at)
        await pause(case, FOLLOWED_S)
        name = server.amtool("silence", "add", "--author=Ben", "--comment=works", "--duration=1h", *asked)
        case.time.advance(FOLLOWED_S)
        await pause(case, FOLLOWED_S)
        silences = case.bell.state.silences.values()
        assert [(one.rule, one.key) for one in silences] == covers
        assert {(one.by, one.comment, one.id.partition(".")[0]) for one in silences} <= {
            ("Ben", "works", name)
        }
        server.amtool("silence", "expire", name)
        case.time.advance(FOLLOWED_S)
        await pause(case, FOLLOWED_S)
        assert case.bell.state.silences == {}


async def test_one_made_there_that_covers_several_ends_for_all_of_them_from_here(
    case: Case, server: AlertmanagerServer
) -> None:
    async with running(case.following):
        await pause(case, FOLLOWED_S)
        server.amtool("silence", "add", "--author=Ben", "--comment=works", "alertname=~nps-drop|csat-drop")
        case.time.advance(FOLLOWED_S)
        await pause(case, FOLLOWED_S)
        silences = case.bell.state.silences
        assert sorted(one.rule for one in silences.values()) == ["csat-drop", "nps-drop"]
        await case.silencing.unsilence(min(silences))
        assert (case.bell.state.silences, shown(server)) == ({}, [])


async def test_where_it_cannot_be_asked_nothing_is_silenced_and_what_is_silenced_stays(
    document: MemoryDocument, server: AlertmanagerServer
) -> None:
    own = AlertmanagerServer()
    try:
        await own.start()
        async with case_of(document, own) as case:
            made = await case.silencing.silence("nps-drop", None, case.at + HOUR, "Ana")
            await own.stop()
            with pytest.raises(SilencingUnavailable, match=r"^Alertmanager: connection failed"):
                await case.silencing.silence("csat-drop", None, case.at + HOUR, "Ana")
            with pytest.raises(SilencingUnavailable):
                await case.silencing.unsilence(made.id)
            async with running(case.following):
                await pause(case, FOLLOWED_S)
                assert case.following.failure == "connection failed (Connection refused)"
            assert case.bell.state.silences == {made.id: made}
    finally:
        await own.close()


async def test_one_that_begins_later_is_known_but_does_not_hold_yet(
    case: Case, server: AlertmanagerServer
) -> None:
    begins = datetime.fromtimestamp((case.at + HOUR) / 1000).astimezone().isoformat(timespec="seconds")
    ends = datetime.fromtimestamp((case.at + 2 * HOUR) / 1000).astimezone().isoformat(timespec="seconds")
    span = (f"--start={begins}", f"--end={ends}")
    server.amtool("silence", "add", "--author=Ben", "--comment=x", *span, "alertname=nps-drop")
    async with running(case.following):
        await pause(case, FOLLOWED_S)
    record = case.bell.state
    assert len(record.silences) == 1
    assert record.active_silence("nps-drop", "billing", case.at + HOUR - MINUTE) is None
    assert record.active_silence("nps-drop", "billing", case.at + HOUR + MINUTE) is not None


async def test_it_says_its_version_and_what_is_wrong(case: Case, server: AlertmanagerServer) -> None:
    assert (await case.alertmanager.version()).count(".") == 2
    wrong = AlertmanagerClient(f"{server.url}/nowhere", case.alertmanager._http)
    with pytest.raises(AlertmanagerUnavailable, match=r"^answered 404$"):
        await wrong.version()
