"""Silences: who may create them for which alerts, for how long, and that they end."""

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import pytest

from streamer.delivery.alert_state import AlertSilence, add_silence
from streamer.delivery.silencing import SilenceService, SilencingUnavailable
from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND
from streamer.store.memory_documents import MemoryDocument
from streamer.web import silence_routes
from tests.readings.small_center import NOW
from tests.web.alerted_center import EVERYTHING, SETTINGS, AlertedServer, alerted_server

PATH = "/api/v1/silences"
BILLING = {"rule": "nps-drop", "key": "billing"}


@pytest.fixture
async def alert_server(document: MemoryDocument) -> AlertedServer:
    one = await alerted_server(document)
    await one.set_alerts(*EVERYTHING)
    return one


async def begin(alert_server: AlertedServer, who: str = "supervisor", **order: Any) -> tuple[int, Any]:
    answer = await alert_server.ask(PATH, who, "POST", order)
    return answer.status, json.loads(answer.body)


async def end(alert_server: AlertedServer, who: str, name: str) -> int:
    return (await alert_server.ask(f"{PATH}/{name}", who, "DELETE")).status


async def list_silences(
    alert_server: AlertedServer, who: str = "admin", path: str = PATH
) -> list[dict[str, Any]]:
    answer = await alert_server.ask(path, who)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = json.loads(answer.body)
    return found


async def silenced_by(alert_server: AlertedServer, who: str = "admin") -> dict[str, Any]:
    """The silences of alerts, by "rule key"."""
    found = await list_silences(alert_server, who, "/api/v1/alerts")
    return {f"{one['rule']} {one['key']}": one["silenced"] for one in found if one["silenced"]}


async def test_the_pages_of_silences_are_the_list(alert_server: AlertedServer) -> None:
    for minutes in (30, 10, 20, 10):
        assert (await begin(alert_server, **BILLING, minutes=minutes))[0] == 201
    first = await alert_server.ask(f"{PATH}?limit=3", "admin")
    path = first.headers["link"].partition(">")[0].removeprefix("<")
    pages = json.loads(first.body) + await list_silences(alert_server, path=path)
    assert pages == await list_silences(alert_server)
    assert [one["until"] - NOW for one in pages] == [10 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE]


class SlowService(SilenceService):
    """A service that lets others go first, as one that asks Alertmanager does."""

    async def silence(self, *what: Any) -> AlertSilence:
        await asyncio.sleep(0.01)
        return await super().silence(*what)


async def test_silences_of_one_user_and_of_all_are_limited(
    document: MemoryDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert_server = await alerted_server(document, silencing=SlowService)
    await alert_server.set_alerts(*EVERYTHING)
    monkeypatch.setattr(silence_routes, "MAX_USER_SILENCES", 2)
    monkeypatch.setattr(silence_routes, "MAX_SILENCES", 3)
    answers = await asyncio.gather(*(begin(alert_server, **BILLING, minutes=10) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [201, 201, 409, 409]
    assert (await begin(alert_server, "admin", **BILLING, minutes=10))[0] == 201
    status, problem = await begin(alert_server, "admin", **BILLING, minutes=10)
    assert (status, problem["detail"].partition(":")[0]) == (409, "there are 3 silences already")
    alert_server.clock.now += 10 * MINUTE
    assert (await begin(alert_server, **BILLING, minutes=10))[0] == 201


async def test_a_silence_is_shown_until_it_is_over(alert_server: AlertedServer) -> None:
    status, (made,) = await begin(alert_server, **BILLING, minutes=30, comment="known: the new script")
    assert status == 201
    assert made == {
        "id": made["id"], "rule": "nps-drop", "key": "billing", "group": "Billing", "since": NOW,
        "until": NOW + 30 * MINUTE, "by": "sue", "comment": "known: the new script", "may_end": True,
    }  # fmt: skip
    assert await list_silences(alert_server) == [made]
    shown = {name: made[name] for name in ("id", "until", "by", "comment")}
    assert await silenced_by(alert_server) == {"nps-drop billing": shown}
    assert await silenced_by(alert_server, "viewer") == {"nps-drop billing": shown | {"comment": ""}}
    alert_server.clock.now = NOW + 30 * MINUTE - 1
    assert len(await silenced_by(alert_server)) == len(await list_silences(alert_server)) == 1
    alert_server.clock.now += 1
    assert len(await silenced_by(alert_server)) == len(await list_silences(alert_server)) == 0


async def test_a_silence_of_a_rule_is_of_all_its_groups(alert_server: AlertedServer) -> None:
    _, (made,) = await begin(alert_server, "admin", rule="nps-drop", minutes=30)
    assert (made["key"], made["group"]) == (None, None)
    assert [*await silenced_by(alert_server)] == ["nps-drop billing", "nps-drop few", "nps-drop five"]


async def test_the_first_to_end_is_listed_first(alert_server: AlertedServer) -> None:
    for key, minutes in (("five", 60), ("billing", 30), ("few", 90)):
        await begin(alert_server, rule="nps-drop", key=key, minutes=minutes)
    assert [one["key"] for one in await list_silences(alert_server)] == ["billing", "five", "few"]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (NOW // 1000 + 60, NOW // 1000 * 1000 + MINUTE),
        (str(NOW // 1000 + 60), NOW // 1000 * 1000 + MINUTE),
        (datetime.fromtimestamp(NOW // 1000 + 60, UTC).isoformat(), NOW // 1000 * 1000 + MINUTE),
        ((NOW + SECOND) / 1000, NOW + SECOND),
        ((NOW + 30 * DAY) / 1000, NOW + 30 * DAY),
    ],
)
async def test_its_end_is_given_as_times_are(alert_server: AlertedServer, until: Any, expected: int) -> None:
    status, (made,) = await begin(alert_server, **BILLING, until=until)
    assert (status, made["until"]) == (201, expected)


LATE = (NOW + 30 * DAY) // 1000 + 1
ENDS = "expected an end in the future, within 30 days"


@pytest.mark.parametrize(
    ("order", "detail"),
    [
        ({**BILLING}, "until: expected either until or minutes"),
        ({**BILLING, "minutes": 5, "until": 1}, "until: expected either until or minutes"),
        ({**BILLING, "minutes": 0}, "minutes: expected `float` > 0.0"),
        ({**BILLING, "minutes": "5"}, "minutes: expected `float | null`, got `str`"),
        ({**BILLING, "minutes": 43_201}, f"minutes = 43201: {ENDS}"),
        ({**BILLING, "minutes": 1e300}, f"minutes = 1e+300: {ENDS}"),
        ({**BILLING, "until": NOW / 1000}, f"until = {NOW / 1000}: {ENDS}"),
        (
            {**BILLING, "until": (NOW + 30 * DAY) // 1000 + 1},
            f"until = {(NOW + 30 * DAY) // 1000 + 1}: {ENDS}",
        ),
        ({**BILLING, "until": "2026-11-21T10:00:03Z"}, f"until = '2026-11-21T10:00:03Z': {ENDS}"),
        ({**BILLING, "until": "tomorrow"}, "until = 'tomorrow': expected a time such as"),
        ({"rule": "loud", "minutes": 5}, "rule = 'loud': expected one of nps-target"),
        ({"minutes": 5}, "body: object missing required field `rule`"),
        ({"rule": "service-level", "key": "a", "minutes": 5}, "key = 'a': expected null"),
        ({"rule": "nps-drop", "key": "", "minutes": 5}, "key = '': expected a value for each of queue"),
        ({"rule": "by-pair", "key": "one", "minutes": 5}, "expected a value for each of queue,team"),
        ({"rule": "of-ann", "key": "bob", "minutes": 5}, "key = 'bob': expected 'ann'"),
        (
            {**BILLING, "minutes": 5, "comment": "ok \x9b2J"},
            "comment: expected text without control or invisible characters",
        ),
        ({**BILLING, "minutes": 5, "comment": "a" * 501}, "comment: expected `str` of length <= 500"),
    ],
)
async def test_what_cannot_be_silenced_says_what_was_expected(
    alert_server: AlertedServer, order: dict[str, Any], detail: str
) -> None:
    status, problem = await begin(alert_server, "admin", **order)
    assert status == 400, problem
    assert detail in problem["detail"]
    assert alert_server.coordinator.state.silences == {}


ALL_TEAMS = "key: expected one group; only users who see all teams may silence all groups of a rule"


@pytest.mark.parametrize(
    ("order", "status", "detail"),
    [
        (BILLING, 201, None),
        ({"rule": "by-team", "key": "red"}, 201, None),
        ({"rule": "by-agent", "key": "ann"}, 201, None),
        ({"rule": "by-pair", "key": "billing,red"}, 201, None),
        ({"rule": "by-team", "key": "blue"}, 403, "key = 'blue': not one of your teams, nor of their agents"),
        ({"rule": "by-agent", "key": "bob"}, 403, "key = 'bob': not one of your teams, nor of their agents"),
        ({"rule": "nps-drop"}, 403, ALL_TEAMS),
        ({"rule": "service-level"}, 403, ALL_TEAMS),
    ],
)
async def test_who_is_bound_to_some_teams_silences_a_group_that_they_see(
    alert_server: AlertedServer, order: dict[str, Any], status: int, detail: str | None
) -> None:
    found, told = await begin(alert_server, "supervisor", **order, minutes=5)
    assert found == status
    assert detail is None or told["detail"] == detail
    assert len(alert_server.coordinator.state.silences) == (status == 201)
    assert (await begin(alert_server, "admin", **order, minutes=5))[0] == 201


async def test_a_silence_is_ended_by_whom_may_silence_the_same(alert_server: AlertedServer) -> None:
    orders = (BILLING, {"rule": "nps-drop"}, {"rule": "by-team", "key": "blue"})
    names = [(await begin(alert_server, "admin", **order, minutes=5))[1][0]["id"] for order in orders]
    seen = {one["id"]: one["may_end"] for one in await list_silences(alert_server, "supervisor")}
    assert seen == {names[0]: True, names[1]: False}
    assert {one["id"]: one["may_end"] for one in await list_silences(alert_server)} == dict.fromkeys(
        names, True
    )
    assert [await end(alert_server, "supervisor", name) for name in names] == [204, 403, 404]
    assert [await end(alert_server, "admin", name) for name in names] == [404, 204, 204]
    assert await list_silences(alert_server) == []


async def test_who_is_bound_to_some_teams_does_not_end_what_is_of_others_too(
    alert_server: AlertedServer,
) -> None:
    """One silence of Alertmanager may cover several groups."""
    for name, key in (("two.1", "red"), ("two.2", "blue"), ("one.1", "red")):
        one = AlertSilence(id=name, rule="by-team", key=key, since=NOW, until=NOW + HOUR, by="eva")
        await alert_server.coordinator.update(partial(add_silence, silence=one))
    seen = {one["id"]: one["may_end"] for one in await list_silences(alert_server, "supervisor")}
    assert seen == {"two.1": False, "one.1": True}
    assert [await end(alert_server, "supervisor", name) for name in ("two.1", "one.1")] == [403, 204]
    assert await end(alert_server, "admin", "two.1") == 204
    assert await list_silences(alert_server) == []


async def test_a_silence_that_another_server_just_made_can_be_ended(
    document: MemoryDocument, alert_server: AlertedServer
) -> None:
    other = await alerted_server(document)
    _, (made,) = await begin(other, **BILLING, minutes=5)
    assert made["id"] not in alert_server.coordinator.state.silences
    assert await end(alert_server, "supervisor", made["id"]) == 204
    assert len(await silenced_by(alert_server)) == 0


async def test_a_silence_of_a_rule_that_is_gone_is_for_who_sees_all(alert_server: AlertedServer) -> None:
    old = AlertSilence(id="old", rule="gone", key="blue", since=NOW, until=NOW + HOUR, by="eva")
    await alert_server.coordinator.update(lambda known: add_silence(known, old))
    assert [(one["id"], one["group"]) for one in await list_silences(alert_server)] == [("old", "blue")]
    assert await list_silences(alert_server, "supervisor") == []
    assert await end(alert_server, "supervisor", "old") == 404
    assert await end(alert_server, "admin", "old") == 204


class UnreachableSilencing(SilenceService):
    """Silencing with an Alertmanager that does not answer."""

    async def silence(self, *args: Any, **more: Any) -> NoReturn:
        raise SilencingUnavailable("Alertmanager does not answer")

    async def unsilence(self, name: str) -> NoReturn:
        raise SilencingUnavailable("Alertmanager does not answer")


async def test_while_alertmanager_does_not_answer_nothing_is_silenced_or_ended(
    document: MemoryDocument,
) -> None:
    alert_server = await alerted_server(document, SETTINGS, silencing=UnreachableSilencing)
    old = AlertSilence(id="old", rule="nps-drop", key="billing", since=NOW, until=NOW + HOUR, by="eva")
    await alert_server.coordinator.update(lambda known: add_silence(known, old))
    status, problem = await begin(alert_server, **BILLING, minutes=5)
    assert (status, problem["detail"]) == (503, "Alertmanager does not answer")
    assert await end(alert_server, "supervisor", "old") == 503
    assert [one["id"] for one in await list_silences(alert_server)] == ["old"]


async def test_a_page_of_another_site_silences_and_ends_nothing(alert_server: AlertedServer) -> None:
    _, (made,) = await begin(alert_server, **BILLING, minutes=5)
    foreign = {"origin": "https://elsewhere.test"}
    order = {**BILLING, "minutes": 5}
    assert (await alert_server.ask(PATH, "admin", "POST", order, foreign)).status == 403
    assert (await alert_server.ask(f"{PATH}/{made['id']}", "admin", "DELETE", more=foreign)).status == 403
    assert [one["id"] for one in await list_silences(alert_server)] == [made["id"]]
