"""The simulator's incident on the pages, in Alertmanager and at a webhook: told, acknowledged, over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from streamer.demo.simulator import Incident
from streamer.demo.staff import QUEUES
from streamer.events.rules import MINUTE
from tests.browser.conftest import Opened
from tests.delivery.alarmed import Alarmed
from tests.delivery.emergency import PLACE, Course, Emergency, Pages
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DESK = {"width": 1440, "height": 900}
INCIDENT = Incident(after_s=45, lasts_s=60, every_s=100_000)
REASONS = {queue.name: queue.reasons for queue in QUEUES}


@pytest_asyncio.fixture(loop_scope="session")
async def alarmed(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> AsyncIterator[Alarmed]:
    async with Alarmed(fresh_broker, fresh_redis, center, tmp_path) as alarmed:
        yield alarmed


async def test_an_incident_is_told_to_all_who_are_to_know_once_and_so_is_its_end(
    alarmed: Alarmed, opened: Opened
) -> None:
    emergency = Emergency(alarmed, 16, INCIDENT)
    await emergency.open()
    try:
        await emergency.live()
        desk = await opened(f"{alarmed.servers[0].url}/supervisor", viewport=DESK)
        wall = await opened(f"{alarmed.servers[1].url}/")
        course = await emergency.course(0, Pages(wall, desk))
    finally:
        await emergency.close()
    in_order(course)
    assert [one.message["what"] for one in alarmed.hook.told] == ["firing", "resolved"]
    firing = alarmed.hook.told[0].message
    names_what_is_wrong(firing, course)
    await leads_to_the_pages(firing, desk)


def in_order(course: Course) -> None:
    assert course.began <= course.abandoned <= course.fired
    assert course.fired <= min(course.posted, course.managed, course.shown)
    assert course.clicked <= course.known <= course.resolved
    assert course.resolved <= min(course.posted_over, course.managed_over, course.gone)


def names_what_is_wrong(message: dict[str, Any], course: Course) -> None:
    figures, (lower, upper) = message["figures"], message["interval"]
    assert figures["value"] > figures["usual"]
    assert lower <= figures["value"] <= upper
    assert figures["support"] > 0
    assert course.began - 10 * MINUTE <= message["since"] <= course.fired
    assert 0 < len(message["contributors"]) <= 3
    for part in message["contributors"]:
        assert part["dimension"] != "queue"
        assert part["dimension"] != "reason" or part["key"] in REASONS[PLACE.key]
        assert part["moved"] > 0


async def leads_to_the_pages(message: dict[str, Any], desk: Page) -> None:
    await desk.goto(message["links"]["contacts"])
    await expect(desk.get_by_role("row").filter(has_text="abandoned").first).to_be_visible()
    await desk.goto(message["links"]["explain"])
    await expect(desk.get_by_text(PLACE.rule).first).to_be_visible()
