"""Alerts by role: which are visible and in how much detail, who acknowledges them, who gets explanations."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.store.memory_documents import MemoryDocument
from tests.readings.small_center import NOW
from tests.web.alerted_center import EVERYTHING, SETTINGS, AlertedServer, alerted_server, notified_alert

PATH = "/api/v1/alerts"
ACKNOWLEDGE = f"{PATH}/acknowledge"
FIELDS = [
    "id", "rule", "kind", "severity", "phase", "metric", "unit", "better", "window", "by", "key", "group",
    "title", "text", "since", "fired_at", "resolved_at", "why", "figures", "interval", "contributors",
    "links", "acknowledged", "silenced", "what", "current",
]  # fmt: skip
BILLING = EVERYTHING[0].alert.id


@pytest.fixture
async def alert_server(document: MemoryDocument) -> AlertedServer:
    """A server with all alerts of EVERYTHING."""
    one = await alerted_server(document)
    await one.set_alerts(*EVERYTHING)
    return one


async def list_alerts(
    alert_server: AlertedServer, who: str = "admin", phases: str = ""
) -> list[dict[str, Any]]:
    answer = await alert_server.ask(f"{PATH}?phase={phases}" if phases else PATH, who)
    assert answer.status == 200, answer.body
    alerts: list[dict[str, Any]] = json.loads(answer.body)
    return alerts


async def single_alert(alert_server: AlertedServer, who: str, name: str = BILLING) -> dict[str, Any]:
    (alerts,) = [alert for alert in await list_alerts(alert_server, who) if alert["id"] == name]
    return alerts


async def acknowledge(
    alert_server: AlertedServer, who: str = "supervisor", name: str = BILLING, **more: Any
) -> Any:
    answer = await alert_server.ask(ACKNOWLEDGE, who, "POST", {"id": name, **more})
    return answer.status, json.loads(answer.body)


# What is listed.


async def test_an_alert_has_exactly_these_fields(alert_server: AlertedServer) -> None:
    found = await single_alert(alert_server, "admin")
    assert list(found) == FIELDS
    assert found["id"] == f"nps-drop/billing/{NOW - HOUR}"
    assert [found[name] for name in FIELDS[1:12]] == [
        "nps-drop", "drop", "warning", "firing", "nps_score", "points", "higher", "today", "queue", "billing",
        "Billing",
    ]  # fmt: skip
    times = found["since"], found["fired_at"], found["resolved_at"]
    assert times == (NOW - HOUR - MINUTE, NOW - HOUR + MINUTE, None)
    assert (found["text"], found["figures"]["value"]) == ("It is −12.345.", -12.345)
    assert (found["interval"], [*found["links"]]) == ([-23.456, -1.234], ["contacts", "explain"])
    assert (found["acknowledged"], found["silenced"], found["what"]) == (None, None, "fell")


WHOLE, QUEUES = ["service-level"], ["nps-drop billing", "nps-drop five"]
FEW = ["nps-drop few"]
TEAMS = ["by-team blue", "by-team red"]
PAIRS = ["by-pair billing,blue", "by-pair billing,red"]
AGENTS = ["by-agent ann", "by-agent bob"]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("viewer", WHOLE + QUEUES + TEAMS + PAIRS),
        ("viewer of agents", WHOLE + QUEUES + TEAMS + PAIRS + AGENTS),
        ("supervisor", WHOLE + QUEUES + FEW + TEAMS[1:] + PAIRS[1:] + AGENTS[:1]),
        ("admin", WHOLE + QUEUES + FEW + TEAMS + PAIRS + AGENTS),
    ],
)
async def test_alerts_are_of_groups_that_one_sees_and_for_viewers_never_of_a_few_answers(
    alert_server: AlertedServer, who: str, expected: list[str]
) -> None:
    found = await list_alerts(alert_server, who)
    assert sorted(f"{one['rule']} {one['key']}".strip() for one in found) == sorted(expected)


@pytest.mark.parametrize("who", ["viewer", "viewer of agents"])
async def test_a_viewer_is_told_that_there_is_an_alert_of_survey_figures_but_no_figure(
    alert_server: AlertedServer, who: str
) -> None:
    await acknowledge(alert_server, comment="Mrs. Brown was right")
    found = await single_alert(alert_server, who)
    assert found["text"] == "nps-drop of billing."
    assert (found["figures"], found["interval"]) == (None, None)
    assert (found["contributors"], found["links"]) == ([], {})
    assert (found["acknowledged"]["by"], found["acknowledged"]["comment"]) == ("sue", "")
    told = json.dumps(found)
    assert "12.3" not in told
    assert "23.4" not in told


async def test_of_other_figures_a_viewer_sees_the_figures_but_not_of_whom_they_are_made(
    alert_server: AlertedServer,
) -> None:
    (found,) = [one for one in await list_alerts(alert_server, "viewer") if one["rule"] == "service-level"]
    assert (found["figures"]["value"], found["text"]) == (-12.345, "It is −12.345.")
    assert (found["contributors"], found["links"]) == ([], {})


@pytest.mark.parametrize(
    ("who", "expected"),
    [("supervisor", ["red", "refund"]), ("admin", ["red", "blue", "bob", "refund"])],
)
async def test_what_moved_a_figure_is_told_of_the_own_teams_and_agents(
    alert_server: AlertedServer, who: str, expected: list[str]
) -> None:
    found = await single_alert(alert_server, who)
    assert [one["key"] for one in found["contributors"]] == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", {"firing", "clearing"}),
        ("?phase=resolved", {"resolved"}),
        ("?phase=pending,clearing", {"pending", "clearing"}),
        ("?phase=pending&phase=resolved", {"pending", "resolved"}),
        ("?phase=firing", {"firing"}),
    ],
)
async def test_phases_are_those_asked_for(document: MemoryDocument, asked: str, expected: set[str]) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(
        notified_alert("nps-drop", "a", "pending"), notified_alert("nps-drop", "b", "firing"),
        notified_alert("nps-drop", "c", "clearing"), notified_alert("nps-drop", "d", "resolved"),
    )  # fmt: skip
    answer = await alert_server.ask(f"{PATH}{asked}", "admin")
    assert {one["phase"] for one in json.loads(answer.body)} == expected


async def test_a_phase_that_there_is_not_is_refused(alert_server: AlertedServer) -> None:
    answer = await alert_server.ask(f"{PATH}?phase=firing,loud", "viewer")
    assert answer.status == 400
    expected = "phase = 'loud': expected some of pending, firing, clearing, resolved"
    assert json.loads(answer.body)["detail"] == expected


async def test_what_nobody_was_told_of_yet_is_called_as_its_rule_says(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(
        notified_alert("by-team", "blue", "pending"), notified_alert("nps-drop", "billing", "pending")
    )
    found = {one["rule"]: one for one in await list_alerts(alert_server, "supervisor", "pending")}
    assert [*found] == ["nps-drop"]  # and not of the team of others
    nps = found["nps-drop"]
    assert (nps["title"], nps["group"], nps["fired_at"]) == ("NPS of Billing dropped", "Billing", None)
    assert nps["text"] == "NPS of Billing dropped, but not yet for as long as the rule asks."
    assert (nps["figures"], nps["since"]) == (None, NOW - HOUR)


async def test_a_viewer_is_not_told_of_survey_figures_before_anybody_is(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(
        notified_alert("by-team", "blue", "pending"), notified_alert("nps-drop", "billing", "pending")
    )
    assert [one["rule"] for one in await list_alerts(alert_server, "viewer", "pending")] == ["by-team"]


async def test_critical_ones_come_first_and_of_these_the_newest(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(
        notified_alert("nps-drop", "old", ago=2 * HOUR), notified_alert("nps-drop", "new", ago=MINUTE),
        notified_alert("by-pair", "billing,old", ago=3 * HOUR),
        notified_alert("by-pair", "billing,new", ago=HOUR),
    )  # fmt: skip
    expected = ["billing,new", "billing,old", "new", "old"]
    assert [one["key"] for one in await list_alerts(alert_server)] == expected


@pytest.mark.parametrize("limit", [1, 3])
async def test_the_pages_of_alerts_are_the_list(alert_server: AlertedServer, limit: int) -> None:
    pages, path = list[Any](), f"{PATH}?limit={limit}"
    while path:
        answer = await alert_server.ask(path, "admin")
        pages.append(json.loads(answer.body))
        path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert [one["id"] for page in pages for one in page] == [
        one["id"] for one in await list_alerts(alert_server)
    ]
    assert {len(page) for page in pages[:-1]} == {limit}
    assert (await alert_server.ask(f"{PATH}?limit=1001", "admin")).status == 400


async def test_that_the_data_is_odd_is_not_said_twice(document: MemoryDocument) -> None:
    """The pipeline problem says it, and the no-data rule says it some seconds longer."""
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(notified_alert("silence", odd=True), notified_alert("nps-drop", "billing"))
    assert [one["kind"] for one in await list_alerts(alert_server)] == ["no_data", "drop"]
    alert_server.clock.now = NOW + MINUTE
    assert [one["kind"] for one in await list_alerts(alert_server)] == ["stale", "drop"]
    alert_server.clock.now = NOW + 59 * SECOND  # the numbers are fresh again
    assert [one["kind"] for one in await list_alerts(alert_server)] == ["drop"]


async def test_silence_is_told_beside_a_trouble(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document)
    await alert_server.set_alerts(notified_alert("silence"))
    alert_server.clock.now = NOW + MINUTE
    assert [one["kind"] for one in await list_alerts(alert_server)] == ["stale", "no_data"]


# Acknowledging.


async def test_a_supervisor_acknowledges_an_alert_and_takes_it_back(alert_server: AlertedServer) -> None:
    status, (found,) = await acknowledge(alert_server, comment="calling them")
    how = {"by": "sue", "at": NOW, "comment": "calling them"}
    assert (status, found["id"], found["acknowledged"]) == (200, BILLING, how)
    assert (await single_alert(alert_server, "admin"))["acknowledged"] == how
    status, (found,) = await acknowledge(alert_server, who="admin", acknowledged=False)
    assert (status, found["acknowledged"]) == (200, None)
    assert (await single_alert(alert_server, "supervisor"))["acknowledged"] is None


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("nps-drop/nobody/1", "admin"),
        ("pipeline/stale", "admin"),
        (EVERYTHING[5].alert.id, "supervisor"),
        (EVERYTHING[7].alert.id, "supervisor"),
        (EVERYTHING[9].alert.id, "supervisor"),
    ],
)
async def test_what_one_does_not_see_is_not_there_to_acknowledge(
    alert_server: AlertedServer, name: str, who: str
) -> None:
    status, problem = await acknowledge(alert_server, who, name)
    assert (status, problem["detail"]) == (404, f"id = {name!r}: no such alert")
    assert alert_server.coordinator.state.acknowledged == {}


async def test_what_is_over_is_not_acknowledged_any_more_but_taken_back(document: MemoryDocument) -> None:
    alert_server, firing, over = (
        await alerted_server(document),
        notified_alert("nps-drop"),
        notified_alert("nps-drop", phase="resolved"),
    )
    await alert_server.set_alerts(firing)
    assert (await acknowledge(alert_server, name=firing.alert.id))[0] == 200
    await alert_server.set_alerts(over)
    status, problem = await acknowledge(alert_server, name=over.alert.id)
    assert (status, problem["detail"]) == (409, f"id = {over.alert.id!r}: this alert is resolved")
    status, (found,) = await acknowledge(alert_server, name=over.alert.id, acknowledged=False)
    assert (status, found["acknowledged"]) == (200, None)


async def test_another_server_knows_who_acknowledged_and_so_does_one_begun_later(
    document: MemoryDocument, alert_server: AlertedServer
) -> None:
    other = await alerted_server(document)
    assert await document.acquire_lease("a third", 60_000)  # so that neither judges
    news, running = other.coordinator.subscribe(), asyncio.create_task(other.coordinator.run())
    await acknowledge(alert_server, comment="mine")
    async with asyncio.timeout(10):
        while not other.coordinator.state.acknowledged:
            await news.wait()
            news.clear()
    other.coordinator.stop()
    await running
    later = await alerted_server(document)
    for one in (other, later):
        assert (await single_alert(one, "admin"))["acknowledged"] == {
            "by": "sue",
            "at": NOW,
            "comment": "mine",
        }


async def test_an_alert_that_another_server_just_told_can_be_acknowledged(document: MemoryDocument) -> None:
    alert_server, other = await alerted_server(document), await alerted_server(document)
    await alert_server.set_alerts(*EVERYTHING)
    assert other.coordinator.state.alerts == ()
    assert (await acknowledge(other))[0] == 200


async def test_where_nobody_is_set_it_is_somebody_at_this_machine(document: MemoryDocument) -> None:
    alert_server = await alerted_server(document, SETTINGS.model_copy(update={"users": {}, "displays": {}}))
    await alert_server.set_alerts(*EVERYTHING)
    answer = await alert_server.ask(ACKNOWLEDGE, "", "POST", {"id": BILLING}, {"host": "localhost:8080"})
    (found,) = json.loads(answer.body)
    assert found["acknowledged"] == {"by": "somebody at this machine", "at": NOW, "comment": ""}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "body: input data was truncated"),
        (b"[]", "body: expected `object`, got `array`"),
        (b"{}", "body: object missing required field `id`"),
        ({"id": 5}, "id: expected `str`, got `int`"),
        ({"id": BILLING, "by": "adam"}, "body: object contains unknown field `by`"),
        ({"id": BILLING, "acknowledged": "no"}, "acknowledged: expected `bool`, got `str`"),
        ({"id": BILLING, "comment": "a" * 501}, "comment: expected `str` of length <= 500"),
        (b'{"id": ' + 5000 * b"[", "id: expected `str`, got `array`"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_by_its_field(
    alert_server: AlertedServer, body: Any, detail: str
) -> None:
    answer = await alert_server.ask(ACKNOWLEDGE, "admin", "POST", body)
    assert (answer.status, json.loads(answer.body)["detail"]) == (400, detail)
    assert answer.headers["content-type"] == "application/problem+json"
    assert alert_server.coordinator.state.acknowledged == {}


async def test_a_comment_may_be_as_long_as_500_characters(alert_server: AlertedServer) -> None:
    assert (await acknowledge(alert_server, comment="ñ" * 500))[0] == 200


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        ({"id": BILLING}, {"content-type": "text/plain"}, 415),
        ({"id": BILLING}, {"content-type": "application/json; charset=utf-8"}, 200),
        (b" " * 8_192, {}, 400),
        (b" " * 8_193, {}, 413),
        ({"id": BILLING}, {"origin": "https://elsewhere.test"}, 403),
        ({"id": BILLING}, {"origin": "http://streamer.test:8080"}, 200),
        ({"id": BILLING}, {"sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_only_json_of_our_own_pages_is_taken(
    alert_server: AlertedServer, body: Any, more: dict[str, str], status: int
) -> None:
    assert (await alert_server.ask(ACKNOWLEDGE, "supervisor", "POST", body, more)).status == status
    assert bool(alert_server.coordinator.state.acknowledged) is (status == 200)


class LostDocument(MemoryDocument):
    """A store that went away."""

    async def read(self) -> None:
        raise ConnectionError("with what was written: Mrs. Brown")


async def test_while_the_store_is_away_nothing_is_acknowledged_and_no_comment_is_logged(
    alert_server: AlertedServer,
) -> None:
    alert_server.coordinator._document = LostDocument()
    with capture_logs() as logs:
        status, problem = await acknowledge(alert_server, comment="Mrs. Brown")
    assert (status, problem["detail"]) == (503, "the store is unavailable")
    assert [one["error"] for one in logs] == ["ConnectionError"]
    assert "Brown" not in str(logs)


async def test_before_the_store_was_read_troubles_are_listed_but_nothing_is_acknowledged(
    document: MemoryDocument,
) -> None:
    alert_server = await alerted_server(document, is_read=False)
    await alert_server.set_alerts(notified_alert("silence"), notified_alert("by-agent", "ann"))
    assert [one["kind"] for one in await list_alerts(alert_server)] == ["no_data", "drop"]
    assert [one["kind"] for one in await list_alerts(alert_server, "supervisor")] == [
        "no_data"
    ]  # whose Ann is, is unknown
    status, problem = await acknowledge(alert_server, "admin")
    assert (status, problem["detail"]) == (503, "the store has not been read yet")


# Why.


@pytest.mark.parametrize(
    ("query", "who", "status", "detail"),
    [
        ("", "admin", 400, "name = None: expected one of nps-target"),
        ("name=loud", "admin", 400, "name = 'loud': expected one of nps-target"),
        ("name=nps-drop&at=soon", "admin", 400, "at = 'soon': expected a time such as"),
        (f"name=nps-drop&at={NOW // 1000 + 1}", "admin", 400, "expected a time that is not in the future"),
        ("name=nps-drop&by=queue", "admin", 400, "by: expected one of name, key, at"),
        ("name=by-team&key=blue", "supervisor", 403, "key = 'blue': not one of your teams"),
        ("name=by-agent&key=bob", "supervisor", 403, "key = 'bob': not one of your teams"),
        ("name=by-pair&key=billing,blue", "supervisor", 403, "key = 'billing,blue': not one of your teams"),
    ],
)
async def test_what_cannot_be_explained_says_what_was_expected(
    alert_server: AlertedServer, query: str, who: str, status: int, detail: str
) -> None:
    answer = await alert_server.ask(f"{PATH}/explain?{query}", who)
    assert answer.status == status
    assert detail in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(("who", "expected"), [("supervisor", ["red"]), ("admin", ["blue", "red"])])
async def test_groups_are_explained_to_whom_may_see_them(
    alert_server: AlertedServer, who: str, expected: list[str]
) -> None:
    answer = await alert_server.ask(f"{PATH}/explain?name=by-team", who)
    found = json.loads(answer.body)
    assert [one["key"] for one in found if one["key"] in ("red", "blue")] == expected
    answer = await alert_server.ask(f"{PATH}/explain?name=by-team&key=red&at={NOW // 1000}", who)
    (one,) = json.loads(answer.body)
    assert (one["rule"], one["key"], one["state"]) == ("by-team", "red", "no_baseline")
    assert one["at"] == NOW // 1000 * 1000
