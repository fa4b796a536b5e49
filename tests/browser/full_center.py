"""A complete center with a live server: broker, store, worker, `streamer serve`, some hours of data."""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.simulator import CenterPlan, SimulatedCenter, publish_messages
from streamer.events.counting_rules import SECOND
from streamer.worker import kafka
from tests.faults.worker import Worker
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.parts.server import Server

_READY_S = 60.0
_POLL_S = 0.05

SETTINGS = """
timezone = "Europe/Madrid"

[names.queue]
billing = "Billing & payments"

[views.billing]
title = "Customer care"
tiles = ["nps_score", "service_level_ratio", "wait_time_seconds", "answered"]
queues = ["billing"]

[views.floor]
title = "The floor"
tiles = ["answered", "abandon_ratio"]
queues = ["billing", "support", "sales"]
rotate = "2s"
window = "4h"

[views.count]
tiles = ["answered"]
window = "today"
"""


class ServeProcess(Server):
    """`streamer serve`, configured by `settings` and a streamer.toml."""

    def __init__(self, settings: Mapping[str, str], toml: str) -> None:
        super().__init__()
        ours = {**settings, "host": "127.0.0.1"}
        lines = [f"{name} = {json.dumps(value)}" for name, value in ours.items()]
        (self.folder / "streamer.toml").write_text("\n".join([*lines, f"port = {self.port}", toml]))

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "streamer", "serve"]

    async def answers(self) -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{self.url}/healthz")).is_success
            except httpx.TransportError:
                return False


class FullCenter:
    """`serve` may be killed and started again. Everything it counts comes through Kafka."""

    def __init__(self, broker: Broker, store: RedisServer, center: str, folder: Path) -> None:
        self._broker = broker
        self.settings = {
            "kafka": broker.address, "redis": store.url, "center": center, "consumer_group": center,
            "session_timeout": "3s",
        }  # fmt: skip
        self._folder = folder
        self.serve = ServeProcess(self.settings, SETTINGS)
        self.worker: Worker | None = None

    @property
    def url(self) -> str:
        return self.serve.url

    async def open(self, history_h: float = 3) -> None:
        """Start, and publish some hours of a simulated center: some thousand contacts."""
        await kafka.ensure_topics(self._broker.settings)
        self.worker = Worker(self.settings, self._folder / "worker.log")
        await self.serve.start()
        now = time.time()  # noqa: TID251 - the edge of the tests
        center = SimulatedCenter(CenterPlan(7, round(now * SECOND), 0.5, "Europe/Madrid"))
        await self.publish(center.history(history_h))
        await self.wait_until_counted()

    async def close(self) -> None:
        await self.serve.close()
        if self.worker is not None and self.worker.runs:
            await self.worker.stop()

    async def publish(self, messages: Iterable[SimulatedMessage]) -> None:
        producer = await kafka.start_producer(self._broker.settings)
        try:
            await publish_messages(messages, producer, time.time)  # noqa: TID251 - the edge of the tests
        finally:
            await producer.stop()

    async def publish_contact(self, **fields: Any) -> float:
        """Publish an answered contact; return the time in epoch seconds."""
        producer = await kafka.start_producer(self._broker.settings)
        try:
            now = time.time()  # noqa: TID251 - the edge of the tests
            usual = {"queue": "billing", "outcome": "answered", "talk_s": 60, "wait_s": 5}
            value = json.dumps(usual | {"ended_at": now} | fields).encode()
            await producer.send_and_wait("call-completed", value, timestamp_ms=round(now * SECOND))
            return time.time()  # noqa: TID251 - the same
        finally:
            await producer.stop()

    async def wait_until_counted(self) -> None:
        """Wait until everything published is counted. Raise TimeoutError."""
        async with asyncio.timeout(_READY_S), httpx.AsyncClient() as client:
            while not (await client.get(f"{self.url}/readyz")).is_success:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)

    async def reading(self, metric: str, **query: str) -> Any:
        """Return the value that the API gives."""
        async with httpx.AsyncClient() as client:
            asked = {"metric": metric, "window": "1h"} | query
            (found,) = (await client.get(f"{self.url}/api/v1/readings", params=asked)).json()
            return found["value"]
