"""An alert of two live servers reaches a live Alertmanager once, through Prometheus or directly."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from streamer.artefacts import generated_files
from streamer.artefacts.alert_routing import alertmanager_config
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.redis import RedisDocument, RedisStore
from tests.artefacts.live_services import ConfiguredAlertmanager, PrometheusServer, ScrapeTargets, wait_until
from tests.browser.full_center import ServeProcess
from tests.delivery.coordinators import fire_alerts, resolve_alert
from tests.delivery.coordinators import make_quiet_coordinator as bell_of
from tests.delivery.http_listener import HttpListener

pytestmark = [pytest.mark.parts, pytest.mark.prometheus]
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
FIRES = "cx_alert_firing"
PASSED_ON = 'ALERTS{alertname="ContactCenterAlert",alertstate="firing"}'
KNOWS = "streamer_tells_alertmanager"
RULE = {"alert": "nps-drop", "metric": "nps_score", "severity": "warning", "by": "queue", "queue": "billing"}


class AlertingSetup(NamedTuple):
    """Two servers of one center, Prometheus, Alertmanager, a webhook, and a coordinator that fires."""

    servers: list[ServeProcess]
    prometheus: PrometheusServer
    manager: ConfiguredAlertmanager
    desk: HttpListener
    coordinator: AlertCoordinator

    def notices(self) -> list[tuple[str, str]]:
        """Return the status and the rule of each notice sent to the webhook."""
        bodies = [json.loads(post.body) for post in self.desk.posts]
        return [(body["status"], body["groupLabels"].get("alert", "")) for body in bodies]

    def last_evaluation(self) -> str:
        """Return the time at which Prometheus last evaluated the forwarding rule."""
        (rule,) = (
            prometheus_rule
            for prometheus_rule in self.prometheus.rules()
            if prometheus_rule["name"] == "ContactCenterAlert"
        )
        evaluated_at: str = rule["lastEvaluation"]
        return evaluated_at

    async def wait_for_series(self, expr: str, count: int) -> None:
        """Wait until the expression has so many series."""
        await wait_for(lambda: len(self.prometheus.query(expr)) == count, expr)


async def wait_for(condition: Callable[[], bool], label: str) -> None:
    assert await asyncio.to_thread(wait_until, condition, PATIENCE_S), label


@asynccontextmanager
async def alerting_setup(store_url: str, center: str, via: str) -> AsyncIterator[AlertingSetup]:
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(HttpListener())
        manager = await stack.enter_async_context(ConfiguredAlertmanager(fast_config(desk.url)))
        toml = (
            # Only alerts that the test puts into the record fire.
            f'alerts.silence.enabled = false\n[delivery]\nalertmanager = "{manager.url}"\nvia = "{via}"\n'
        )
        servers = [
            await stack.enter_async_context(ServeProcess({"redis": store_url, "center": center}, toml))
            for _ in range(2)
        ]
        watched = ScrapeTargets([server.address for server in servers], (), [manager.address])
        prometheus = await stack.enter_async_context(PrometheusServer(prometheus_files(), watched))
        store = await RedisStore.connect(store_url, center)
        stack.push_async_callback(store.close)
        bell = bell_of(RedisDocument(store, "alerts"), Settings(), wall_clock_ms)
        setup = AlertingSetup(servers, prometheus, manager, desk, bell)
        await setup.wait_for_series(KNOWS, 2)
        yield setup


def prometheus_files() -> dict[str, str]:
    """Return the files of Prometheus by name, with no rules but those of contact center alerts."""
    contents = generated_files.generate_files(ROOT, Settings())
    read = {path.name: contents[path] for path in contents if path.parent.name == "prometheus"}
    groups = yaml.safe_load(read["alerts.yml"])["groups"]
    alert_groups = [group for group in groups if group["name"] == "streamer_alerts"]
    return read | {"alerts.yml": yaml.safe_dump({"groups": alert_groups})}


def fast_config(url: str) -> str:
    """Return the derived configuration with a webhook for the desk and short waits."""
    config: dict[str, Any] = alertmanager_config(Settings())
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    config["receivers"][0]["webhook_configs"] = [{"url": url}]
    return yaml.safe_dump(config)


async def test_an_alert_in_the_record_rings_once_through_restarts_and_is_over_once(
    store_url: str, center: str
) -> None:
    async with alerting_setup(store_url, center, "prometheus") as setup:
        await fire_alerts(setup.coordinator, "billing", at=wall_clock_ms())
        await setup.wait_for_series(FIRES, 2)
        await setup.wait_for_series(PASSED_ON, 1)
        await asyncio.wait_for(setup.desk.heard(1), PATIENCE_S)
        (alert,) = setup.manager.alerts()
        assert alert["labels"] == {"alertname": "ContactCenterAlert", **RULE}
        assert alert["annotations"]["summary"] == "The rule nps-drop fires for billing."

        for server in setup.servers:  # both are down at once
            await server.stop()
        await setup.wait_for_series("up == 0", 2)
        await setup.wait_for_series(KNOWS, 0)
        await setup.wait_for_series(PASSED_ON, 1)
        for server in setup.servers:
            await server.start()
        await setup.wait_for_series(KNOWS, 2)
        await setup.wait_for_series(FIRES, 2)
        await setup.wait_for_series(PASSED_ON, 1)
        (again,) = setup.manager.alerts()
        assert again["startsAt"] == alert["startsAt"]
        assert setup.notices() == [("firing", "nps-drop")]

        await setup.coordinator.update(lambda record: record)
        await resolve_alert(setup.coordinator, "billing", at=wall_clock_ms())
        await setup.wait_for_series(PASSED_ON, 0)
        await asyncio.wait_for(setup.desk.heard(2), PATIENCE_S)
        assert setup.notices() == [("firing", "nps-drop"), ("resolved", "nps-drop")]
        assert setup.manager.alerts() == []


async def test_where_servers_tell_alertmanager_themselves_prometheus_does_not(
    store_url: str, center: str
) -> None:
    """The files do not depend on that setting."""
    async with alerting_setup(store_url, center, "api") as setup:
        await fire_alerts(setup.coordinator, "billing", at=wall_clock_ms())
        await setup.wait_for_series(FIRES, 2)
        await wait_for(lambda: len(setup.manager.alerts()) == 1, "told by itself")
        before = setup.last_evaluation()
        await wait_for(lambda: setup.last_evaluation() != before, "looked at again")
        assert setup.prometheus.query(PASSED_ON) == []
        (alert,) = setup.manager.alerts()
        labels = {name: value for name, value in RULE.items() if name != "alert"}
        assert alert["labels"] == {"alertname": "nps-drop", **labels}
