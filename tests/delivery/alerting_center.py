"""Complete center with everything its alerts reach: worker, servers, Alertmanager, a webhook receiver."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from streamer.alerts.alert_rules import DEFAULT_RULES
from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.simulator import publish_messages
from streamer.runtime.clock import wall_clock_ms
from streamer.worker import kafka
from tests.browser.full_center import ServeProcess
from tests.delivery.recording_webhook import RecordingWebhook
from tests.faults.worker import Worker
from tests.parts.alertmanager import Alertmanager
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

PATIENCE_S = 600.0
_POLL_S = 0.1
_PHASES = {"phase": "firing,clearing,resolved"}
Rules = Mapping[str, Mapping[str, object]]
"""[alerts.NAME]; all usual ones that are not among them are off."""


class AlertPlace(NamedTuple):
    """Rule and group of an alert."""

    rule: str
    key: str


class AlertingCenter:
    def __init__(self, broker: Broker, store: RedisServer, center: str, folder: Path) -> None:
        self._broker, self._folder = broker, folder
        self.settings = {
            "kafka": broker.address, "redis": store.url, "center": center, "consumer_group": center,
            "session_timeout": "3s", "timezone": "Europe/Madrid",
        }  # fmt: skip
        self.hook = RecordingWebhook()
        self.alertmanager: Alertmanager | None = None
        self.servers: list[ServeProcess] = []
        self._stack = AsyncExitStack()
        self._http = httpx.AsyncClient(timeout=5)

    async def open(self, rules: Rules, servers: int = 2, alertmanager: bool = False) -> None:
        """Start all processes. The first server becomes the leader."""
        self._stack.push_async_callback(self._http.aclose)
        await kafka.ensure_topics(self._broker.settings)
        self.worker = Worker(self.settings, self._folder / "worker.log")
        self._stack.callback(self.worker.kill)
        await self._stack.enter_async_context(self.hook)
        if alertmanager:
            self.alertmanager = await self._stack.enter_async_context(Alertmanager())
        for _ in range(servers):
            self.servers.append(ServeProcess(self.settings, self._toml(rules)))
            await self._stack.enter_async_context(self.servers[-1])
            await self.until(self._is_ready, self.servers[-1])

    async def close(self) -> None:
        for server in self.servers:
            thaw(server)
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _toml(self, rules: Rules) -> str:
        shown = {**{name: {"enabled": False} for name in DEFAULT_RULES}, **rules}
        tables = [
            "\n".join([f"[alerts.{name}]", *(f"{one} = {json.dumps(value)}" for one, value in rule.items())])
            for name, rule in shown.items()
        ]
        if self.alertmanager is not None:
            tables.append(f'[delivery]\nalertmanager = "{self.alertmanager.url}"')
        return "\n\n".join([*tables, f'[receivers.desk]\nurl = "{self.hook.url}"\n'])

    async def publish(self, messages: Iterable[SimulatedMessage]) -> None:
        """Publish each message at its time; those of the past at once."""
        producer = await kafka.start_producer(self._broker.settings)
        try:
            await publish_messages(messages, producer, lambda: wall_clock_ms() / 1000)
        finally:
            await producer.stop()

    async def until(self, holds: Callable[..., Awaitable[bool]], *given: Any) -> int:
        """Wait until the condition holds; return when it was first seen to (ms)."""
        async with asyncio.timeout(PATIENCE_S):
            while not await holds(*given):  # noqa: ASYNC110 - it is other processes that get there
                await asyncio.sleep(_POLL_S)
        return wall_clock_ms()

    async def alarm(self, server: ServeProcess, place: AlertPlace) -> dict[str, Any]:
        """Return the newest alert of that group that has fired, as a server shows it; {} if there is none."""
        asked = await self._http.get(f"{server.url}/api/v1/alerts", params=_PHASES)
        found = [one for one in asked.raise_for_status().json() if (one["rule"], one["key"]) == place]
        return max(found, key=lambda one: one["fired_at"], default={})

    async def has(self, server: ServeProcess, place: AlertPlace, phase: str) -> bool:
        return (await self.alarm(server, place)).get("phase") == phase

    async def is_acknowledged(self, server: ServeProcess, place: AlertPlace) -> bool:
        return bool((await self.alarm(server, place)).get("acknowledged"))

    async def is_told(self, place: AlertPlace, what: str, times: int = 1) -> bool:
        """Tell whether the webhook receiver was sent that message so many times."""
        return len(self.hook.find(*place, what)) >= times

    async def is_active(self, place: AlertPlace) -> bool:
        """Tell whether the alert is active in Alertmanager."""
        assert self.alertmanager is not None
        found = (await self._http.get(f"{self.alertmanager.url}/api/v2/alerts")).json()
        return place in [(one["labels"]["alertname"], one["labels"].get("queue", "")) for one in found]

    async def is_inactive(self, place: AlertPlace) -> bool:
        return not await self.is_active(place)

    async def counted(self, server: ServeProcess, metric: str, least: float, **query: str) -> bool:
        """Tell whether the reading that a server shows has reached `least`."""
        asked = {"metric": metric, "window": "24h", **query}
        found = (await self._http.get(f"{server.url}/api/v1/readings", params=asked)).json()
        return bool(found) and (found[0]["value"] or 0) >= least

    async def _is_ready(self, server: ServeProcess) -> bool:
        return (await self._http.get(f"{server.url}/readyz")).is_success


def freeze(server: ServeProcess) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)


def thaw(server: ServeProcess) -> None:
    if server.process is not None:
        server.process.send_signal(signal.SIGCONT)
