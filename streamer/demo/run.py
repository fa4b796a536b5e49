"""Runs `streamer demo`: all processes on this machine, started in order, watched, and stopped together."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, NamedTuple

import click

from streamer.alerts.rules import USUAL, rules
from streamer.demo.embedded import (
    LOOPBACK,
    Part,
    PartFailed,
    PartMissing,
    broker,
    free_port,
    store,
    supervise,
)
from streamer.settings import Settings, SettingsError, load
from streamer.worker import kafka

_LIVE_S = 90.0
_ASK_S = 0.1
_SOON: Final = {"window": "5m", "for": "30s", "clear": "1m"}
RULES: Final[Mapping[str, Mapping[str, object]]] = {
    **{name: {"false_alarms": 0.01} for name in USUAL},
    "abandon-target": {"false_alarms": 0.01, **_SOON},
    "service-level-target": {"false_alarms": 0.01, **_SOON},
    "service-level-drop": {"false_alarms": 0.01, "clear": "1m"},
    "handle-time-drop": {"false_alarms": 0.01, "clear": "1m"},
    "abandon-drop": {"enabled": False},
}
"""Changes to the default alert rules. An incident lasts only minutes here: its alert fires and resolves soon.
The false alarm rate is promised for as many observations as the history has. That is only a sample, and live
there are a hundred times as many: hence the lower rate. Of rare events the sample says too little."""


class Live(NamedTuple):
    """Addresses of the running demo: Kafka, Redis, wallboard."""

    kafka: str
    redis: str
    url: str

    def as_json(self) -> str:
        return json.dumps(self._asdict())

    def as_text(self) -> str:
        return (
            f"\n  Wallboard: {self.url}\n"
            f"  Supervisor page, with the contacts behind each number: {self.url}/supervisor\n\n"
            "  To query it from another terminal, for example with `streamer query nps_score --window 1h`:\n"
            f"  export STREAMER_KAFKA={self.kafka} STREAMER_REDIS={self.redis}\n\n"
            "  All data is in memory, on this machine only. Press Ctrl-C to stop.\n"
        )


def run_demo(rate: float, seed: int, port: int, simulator: bool, as_json: bool) -> int:
    """Run until Ctrl-C or SIGTERM. Return the exit code: 0, or 1 with the reason on standard error.

    `port` is the wallboard's, 0 for any; `rate` is contacts per second.
    """
    try:
        asyncio.run(_demo(rate, seed, port, simulator, as_json))
    except (PartFailed, PartMissing, SettingsError, kafka.TopicError) as error:
        click.echo(f"streamer demo: {error}", err=True)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        pass
    return 0


async def _demo(rate: float, seed: int, port: int, simulator: bool, as_json: bool) -> None:
    _end_on_signals()
    play = ["simulate", "--rate", str(rate), "--seed", str(seed)] if simulator else None
    async with _center(port, play) as live:
        click.echo(live.as_json() if as_json else live.as_text())
        await asyncio.Event().wait()


def _end_on_signals() -> None:
    """Stop all children in order on the first signal; a second one kills this process and its children."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)


@asynccontextmanager
async def _center(port: int, play: list[str] | None) -> AsyncIterator[Live]:
    """Run all processes. The store outlives the broker, and both outlive the processes that use them."""
    async with store() as redis, broker() as address, AsyncExitStack() as stack:
        await kafka.ensure_topics(address)
        live = Live(address, redis, f"http://{LOOPBACK}:{port or free_port()}")
        env = _environment(live)

        async def start(*command: str) -> Part:
            argv = [sys.executable, "-m", "streamer", *command]
            return await stack.enter_async_context(supervise(f"streamer {command[0]}", argv, env=env))

        await start("worker")
        serve = await start("serve")
        if play:
            await start(*play)
        await _ready(live, serve)
        yield live


def _environment(live: Live) -> dict[str, str]:
    """Return the environment of the children: the user's settings stay, and override the demo's rules."""
    host, port = live.url.removeprefix("http://").split(":")
    ours = {"KAFKA": live.kafka, "REDIS": live.redis, "HOST": host, "PORT": port}
    ours["SESSION_TIMEOUT"] = "3s"  # the embedded broker delays a join by half of it
    ours["ALERTS"] = json.dumps(_rules(load()), default=timedelta.total_seconds)
    return {**os.environ, **{f"STREAMER_{name}": value for name, value in ours.items()}}


def _rules(settings: Settings) -> dict[str, Mapping[str, object]]:
    """Return [alerts]. A default rule that is off because it has no target stays off."""
    own = {name: rule.model_dump(by_alias=True, exclude_unset=True) for name, rule in settings.alerts.items()}
    return {**{rule.name: RULES[rule.name] for rule in rules(settings) if rule.name in RULES}, **own}


async def _ready(live: Live, serve: Part) -> None:
    """Wait until the server is ready. Raises ChildFailed with its last answer."""
    said = "nothing"
    try:
        async with asyncio.timeout(_LIVE_S):
            while not (said := await _ask(live.url) or said).startswith("200"):  # noqa: ASYNC110
                await asyncio.sleep(_ASK_S)
    except TimeoutError:
        what = f"is not ready after {_LIVE_S:.0f} s: GET {live.url}/readyz answered {said}"
        raise serve.failure(what) from None


async def _ask(url: str) -> str:
    """Return status and body of /readyz in one line, "" if the server cannot be reached."""
    host, port = url.removeprefix("http://").split(":")
    answer = b""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"GET /readyz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read(4096)
        finally:
            writer.close()
    head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
    return f"{head.partition(' ')[2].partition(chr(13))[0]} {body[:300].strip()}".strip()
