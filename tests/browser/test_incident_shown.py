"""An incident on two servers' pages, in Alertmanager, at a webhook: told, acknowledged, over, each once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from streamer.events.counting_rules import HOUR, MINUTE
from streamer.runtime.clock import wall_clock_ms
from tests.browser.conftest import Opened
from tests.delivery.alerting_center import AlertingCenter, AlertPlace
from tests.delivery.incident_timeline import IncidentPages, IncidentTimeline, run_incident
from tests.delivery.survey_answers import OTHER_TEAM, QUEUE, TEAM, several, weeks
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DESK = {"width": 1440, "height": 900}
NPS = AlertPlace("nps-drop", QUEUE)
RULES = {NPS.rule: {"keep_firing_for": "2s"}}
AGO = 12 * MINUTE
"""Evidence comes in steps of 5 minutes: the good answers are to be in other ones than the bad."""


@pytest_asyncio.fixture(loop_scope="session")
async def alarmed(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> AsyncIterator[AlertingCenter]:
    async with AlertingCenter(fresh_broker, fresh_redis, center, tmp_path) as alarmed:
        await alarmed.open(RULES, alertmanager=True)
        yield alarmed


class BadAnswers:
    def __init__(self, alarmed: AlertingCenter) -> None:
        self._alarmed = alarmed

    async def begin(self) -> int:
        began = wall_clock_ms()
        others = several("fair", 12, began, nps=10, ago=AGO, team=OTHER_TEAM)
        await self._alarmed.publish([*several("bad", 60, began, nps=0, ago=AGO), *others])
        return began

    async def end(self) -> int:
        ended = wall_clock_ms()
        await self._alarmed.publish(several("good", 400, ended, nps=10))
        return ended

    def first_bad(self, began: int) -> int:
        return began


async def test_an_incident_is_told_to_all_who_are_to_know_once_and_so_is_its_end(
    alarmed: AlertingCenter, opened: Opened
) -> None:
    await alarmed.publish(weeks(wall_clock_ms()))
    desk = await opened(f"{alarmed.servers[0].url}/supervisor", viewport=DESK)
    wall = await opened(f"{alarmed.servers[1].url}/")
    found = await run_incident(alarmed, NPS, BadAnswers(alarmed), IncidentPages(wall, desk))
    in_order(found)
    firing, over = [one.message for one in alarmed.hook.told]
    assert (firing["what"], over["what"], over["why"]) == ("firing", "resolved", "over")
    names_what_is_wrong(firing, found)
    await leads_to_the_pages(firing, desk)


def in_order(found: IncidentTimeline) -> None:
    assert found.began <= found.bad <= found.fired
    assert found.fired <= min(found.posted, found.managed, found.banner_shown)
    assert found.clicked <= found.acknowledged <= found.resolved
    assert found.ended <= found.resolved <= min(found.posted_over, found.managed_over, found.banner_gone)


def names_what_is_wrong(message: dict[str, Any], found: IncidentTimeline) -> None:
    figures, (lower, upper) = message["figures"], message["interval"]
    assert -100 <= lower <= figures["value"] <= upper
    assert figures["value"] < figures["usual"]
    assert 70 <= figures["support"] <= 80
    assert found.began - AGO - 2 * HOUR <= message["since"] <= found.began
    assert 0 < len(message["contributors"]) <= 3
    assert (TEAM, True) in [(part["key"], part["moved"] < 0) for part in message["contributors"]]


async def leads_to_the_pages(message: dict[str, Any], desk: Page) -> None:
    await desk.goto(message["links"]["contacts"])
    await expect(desk.get_by_role("row").nth(1)).to_be_visible()
    await desk.goto(message["links"]["explain"])
    await expect(desk.get_by_text(NPS.rule).first).to_be_visible()
