"""An alert of two live servers reaches a live Alertmanager once, through Prometheus or directly."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from streamer.delivery.bell import Bell
from streamer.derived import files
from streamer.derived.routing import alertmanager
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.web.server import wall_clock
from tests.browser.house import Serve
from tests.delivery.belfry import bell as bell_of
from tests.delivery.belfry import resolve, ring
from tests.delivery.listening import Listener
from tests.derived.live import Alertmanager, Prometheus, Watched, until

pytestmark = [pytest.mark.parts, pytest.mark.prometheus]
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
FIRES = "cx_alert_firing"
PASSED_ON = 'ALERTS{alertname="ContactCenterAlert",alertstate="firing"}'
KNOWS = "streamer_tells_alertmanager"
RULE = {"alert": "nps-drop", "metric": "nps_score", "severity": "warning", "by": "queue", "queue": "billing"}


class House(NamedTuple):
    """Two servers of one center, Prometheus, Alertmanager, a webhook, and a coordinator that fires."""

    servers: list[Serve]
    prometheus: Prometheus
    manager: Alertmanager
    desk: Listener
    bell: Bell

    def notices(self) -> list[tuple[str, str]]:
        """Return the status and the rule of each notice sent to the webhook."""
        told = [json.loads(post.body) for post in self.desk.posts]
        return [(one["status"], one["groupLabels"].get("alert", "")) for one in told]

    def evaluated(self) -> str:
        """Return the time at which Prometheus last evaluated the forwarding rule."""
        (rule,) = (one for one in self.prometheus.rules() if one["name"] == "ContactCenterAlert")
        found: str = rule["lastEvaluation"]
        return found

    async def number(self, expr: str, wanted: int) -> None:
        """Wait until the expression has so many series."""
        await holds(lambda: len(self.prometheus.query(expr)) == wanted, expr)


async def holds(what: Callable[[], bool], called: str) -> None:
    assert await asyncio.to_thread(until, what, PATIENCE_S), called


@asynccontextmanager
async def house(store_url: str, center: str, via: str) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(Listener())
        manager = await stack.enter_async_context(Alertmanager(telling(desk.url)))
        toml = (
            # Only alerts that the test puts into the record fire.
            f'alerts.silence.enabled = false\n[delivery]\nalertmanager = "{manager.url}"\nvia = "{via}"\n'
        )
        servers = [
            await stack.enter_async_context(Serve({"redis": store_url, "center": center}, toml))
            for _ in range(2)
        ]
        watched = Watched([one.address for one in servers], (), [manager.address])
        prometheus = await stack.enter_async_context(Prometheus(derived(), watched))
        store = await RedisStore.connect(store_url, center)
        stack.push_async_callback(store.close)
        found = House(servers, prometheus, manager, desk, bell_of(store, Settings(), wall_clock))
        await found.number(KNOWS, 2)
        yield found


def derived() -> dict[str, str]:
    """Return the files of Prometheus by name, with no rules but those of contact center alerts."""
    found = files.derive(ROOT, Settings())
    read = {path.name: found[path] for path in found if path.parent.name == "prometheus"}
    groups = yaml.safe_load(read["alerts.yml"])["groups"]
    kept = [group for group in groups if group["name"] == "streamer_alerts"]
    return read | {"alerts.yml": yaml.safe_dump({"groups": kept})}


def telling(url: str) -> str:
    """Return the derived configuration with a webhook for the desk and short waits."""
    found: dict[str, Any] = alertmanager(Settings())
    found["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    found["receivers"][0]["webhook_configs"] = [{"url": url}]
    return yaml.safe_dump(found)


async def test_an_alert_in_the_record_rings_once_through_restarts_and_is_over_once(
    store_url: str, center: str
) -> None:
    async with house(store_url, center, "prometheus") as found:
        await ring(found.bell, "billing", at=wall_clock())
        await found.number(FIRES, 2)
        await found.number(PASSED_ON, 1)
        await asyncio.wait_for(found.desk.heard(1), PATIENCE_S)
        (told,) = found.manager.alerts()
        assert told["labels"] == {"alertname": "ContactCenterAlert", **RULE}
        assert told["annotations"]["summary"] == "The rule nps-drop fires for billing."

        for one in found.servers:  # both are down at once
            await one.stop()
        await found.number("up == 0", 2)
        await found.number(KNOWS, 0)
        await found.number(PASSED_ON, 1)
        for one in found.servers:
            await one.start()
        await found.number(KNOWS, 2)
        await found.number(FIRES, 2)
        await found.number(PASSED_ON, 1)
        (again,) = found.manager.alerts()
        assert again["startsAt"] == told["startsAt"]
        assert found.notices() == [("firing", "nps-drop")]

        await found.bell.change(lambda record: record)
        await resolve(found.bell, "billing", at=wall_clock())
        await found.number(PASSED_ON, 0)
        await asyncio.wait_for(found.desk.heard(2), PATIENCE_S)
        assert found.notices() == [("firing", "nps-drop"), ("resolved", "nps-drop")]
        assert found.manager.alerts() == []


async def test_where_servers_tell_alertmanager_themselves_prometheus_does_not(
    store_url: str, center: str
) -> None:
    """The files do not depend on that setting."""
    async with house(store_url, center, "api") as found:
        await ring(found.bell, "billing", at=wall_clock())
        await found.number(FIRES, 2)
        await holds(lambda: len(found.manager.alerts()) == 1, "told by itself")
        before = found.evaluated()
        await holds(lambda: found.evaluated() != before, "looked at again")
        assert found.prometheus.query(PASSED_ON) == []
        (told,) = found.manager.alerts()
        own = {name: value for name, value in RULE.items() if name != "alert"}
        assert told["labels"] == {"alertname": "nps-drop", **own}
