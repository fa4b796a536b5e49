"""Worker, servers and a webhook receiver as processes: each alert is sent once, and so is its end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamer.runtime.clock import wall_clock_ms
from tests.delivery.alerting_center import AlertingCenter, AlertPlace, freeze, thaw
from tests.delivery.survey_answers import QUEUE, corrected, several, weeks
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

pytestmark = pytest.mark.apache
NPS = AlertPlace("nps-drop", QUEUE)
RULES = {"nps-drop": {"keep_firing_for": "2s"}}
BAD, GOOD = 15, 200


@pytest.fixture
async def alarmed(
    fresh_broker: Broker, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> AsyncIterator[AlertingCenter]:
    async with AlertingCenter(fresh_broker, fresh_redis, center, tmp_path) as alarmed:
        yield alarmed


async def test_answers_that_are_corrected_take_an_alert_back_and_that_is_said(
    alarmed: AlertingCenter,
) -> None:
    await alarmed.open(RULES, servers=1)
    await alarmed.publish(weeks(wall_clock_ms()))
    bad = several("bad", BAD, wall_clock_ms(), nps=0)
    await alarmed.publish(bad)
    await alarmed.until(alarmed.is_told, NPS, "firing")
    await alarmed.publish(corrected(bad, wall_clock_ms(), nps=10))
    await alarmed.until(alarmed.is_told, NPS, "resolved")
    (over,) = alarmed.hook.find(*NPS, "resolved")
    assert over.message["why"] == "corrected"
    assert await alarmed.has(alarmed.servers[0], NPS, "resolved")
    assert set(alarmed.hook.taken().values()) == {1}


async def test_a_frozen_and_a_killed_server_make_nothing_told_twice_or_never(alarmed: AlertingCenter) -> None:
    await alarmed.open(RULES)
    first, second = alarmed.servers
    await alarmed.publish(weeks(wall_clock_ms()))
    freeze(first)
    await alarmed.publish(several("bad", BAD, wall_clock_ms(), nps=0))
    await alarmed.until(alarmed.is_told, NPS, "firing")
    thaw(first)
    await alarmed.until(alarmed.has, first, NPS, "firing")
    await second.kill()
    await alarmed.publish(several("good", GOOD, wall_clock_ms(), nps=10))
    await alarmed.until(alarmed.is_told, NPS, "resolved")
    await second.start()
    await alarmed.until(alarmed.has, second, NPS, "resolved")
    assert [one.message["what"] for one in alarmed.hook.told] == ["firing", "resolved"]
    assert alarmed.hook.told[1].message["why"] == "over"


async def test_a_receiver_that_fails_is_away_and_is_slow_is_told_all_once_and_keeps_nobody(
    alarmed: AlertingCenter,
) -> None:
    await alarmed.open(RULES, servers=1)
    server, hook = alarmed.servers[0], alarmed.hook
    hook.status = 500
    await alarmed.publish([*weeks(wall_clock_ms()), *several("bad", BAD, wall_clock_ms(), nps=0)])
    await alarmed.until(alarmed.has, server, NPS, "firing")
    await hook.heard(2)
    await hook.stop()
    await alarmed.publish(several("good", GOOD, wall_clock_ms(), nps=10))
    await alarmed.until(alarmed.has, server, NPS, "resolved")
    assert not hook.told
    hook.status, hook.slow_s = 200, 3.0
    await hook.start()
    await alarmed.until(alarmed.is_told, NPS, "resolved")
    assert [one.message["what"] for one in hook.told] == ["firing", "resolved"]
