"""Runs `streamer demo`: all processes on this machine, started in order, watched, and stopped together."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, NamedTuple

import click

from streamer.alerts.alert_rules import DEFAULT_RULES, load_alert_rules
from streamer.alerts.detection.detectors import DETECTORS
from streamer.demo import roster
from streamer.demo.embedded import (
    LOOPBACK,
    ChildFailed,
    ChildProcess,
    ComponentMissing,
    embedded_broker,
    embedded_store,
    free_port,
    supervise,
)
from streamer.demo.scenario import PAST_PUBLISHED
from streamer.runtime.ports import PortTakenError, require_free_port
from streamer.settings import KafkaSettings, Settings, SettingsError, load_settings
from streamer.worker import kafka

_LIVE_S = 90.0
_ASK_S = 0.1
_DATA_AGE: Final = re.compile(r'"data_age_s": ?([0-9.]+)')
_FAST: Final = {"window": "5m", "for": "30s", "keep_firing_for": "1m"}
DEMO_RULES: Final[Mapping[str, Mapping[str, object]]] = {
    **{
        name: {"false_alarms": 0.01}
        for name, rule in DEFAULT_RULES.items()
        if not DETECTORS[rule["kind"]].is_live
    },
    "abandon-target": {"false_alarms": 0.01, **_FAST},
    "service-level-target": {"false_alarms": 0.01, **_FAST},
    "service-level-drop": {"false_alarms": 0.01, "keep_firing_for": "1m"},
    "handle-time-drop": {"false_alarms": 0.01, "keep_firing_for": "1m"},
    "abandon-drop": {"enabled": False},
    "long-wait": {"target": 180},
}
"""Changes to the default alert rules. An incident lasts only minutes here: its alert fires and resolves soon.
The false alarm rate is promised for as many observations as the history has. That is only a sample, and live
there are a hundred times as many: hence the lower rate. Of rare events the sample says too little.
What goes on now is no matter of chance: two minutes of waiting are usual here now and then, three are not."""


class DemoAddresses(NamedTuple):
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
    except (ChildFailed, ComponentMissing, PortTakenError, SettingsError, kafka.TopicError) as error:
        click.echo(f"streamer demo: {error}", err=True)
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        pass
    return 0


async def _demo(rate: float, seed: int, port: int, simulator: bool, as_json: bool) -> None:
    _stop_on_signals()
    require_free_port(LOOPBACK, port)
    simulate_command = ["simulate", "--rate", str(rate), "--seed", str(seed)] if simulator else None
    names = roster.center_names(roster.staff(seed, rate)) if simulator else {}
    async with _run_center(port, simulate_command, names) as addresses:
        click.echo(addresses.as_json() if as_json else addresses.as_text())
        await asyncio.Event().wait()


def _stop_on_signals() -> None:
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
async def _run_center(
    port: int, simulate_command: list[str] | None, names: Mapping[str, Mapping[str, str]]
) -> AsyncIterator[DemoAddresses]:
    """Run all processes. The store outlives the broker, and both outlive the processes that use them."""
    async with embedded_store() as redis, embedded_broker() as address, AsyncExitStack() as stack:
        await kafka.ensure_topics(KafkaSettings(bootstrap_servers=address))
        addresses = DemoAddresses(address, redis, f"http://{LOOPBACK}:{port or free_port()}")
        env = _environment(addresses, names)

        async def start(*command: str) -> ChildProcess:
            argv = [sys.executable, "-m", "streamer", *command]
            return await stack.enter_async_context(supervise(f"streamer {command[0]}", argv, env=env))

        await start("worker")
        serve = await start("serve")
        simulate = await start(*simulate_command) if simulate_command else None
        await _wait_until_ready(addresses, serve, simulate)
        yield addresses


def _environment(addresses: DemoAddresses, names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the environment of the children: the user's settings stay, but for those of Kafka and Redis, and
    override the demo's rules and display names."""
    host, port = addresses.url.removeprefix("http://").split(":")
    embedded_kafka = KafkaSettings(bootstrap_servers=addresses.kafka).model_dump_json()
    overrides = {"KAFKA": embedded_kafka, "REDIS": addresses.redis, "HOST": host, "PORT": port}
    overrides["SESSION_TIMEOUT"] = "3s"  # the embedded broker delays a join by half of it
    settings = load_settings()
    overrides["ALERTS"] = json.dumps(_demo_rules(settings), default=timedelta.total_seconds)
    overrides["NAMES"] = json.dumps({**names, **settings.names})
    own = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_KAFKA__")}
    return {**own, **{f"STREAMER_{name}": value for name, value in overrides.items()}}


def _demo_rules(settings: Settings) -> dict[str, Mapping[str, object]]:
    """Return [alerts]. A default rule that is off because it has no target stays off."""
    user_rules = {
        name: rule.model_dump(by_alias=True, exclude_unset=True) for name, rule in settings.alerts.items()
    }
    return {
        **{
            rule.name: DEMO_RULES[rule.name] for rule in load_alert_rules(settings) if rule.name in DEMO_RULES
        },
        **user_rules,
    }


async def _wait_until_ready(
    addresses: DemoAddresses, serve: ChildProcess, simulate: ChildProcess | None
) -> None:
    """Wait until the server has counted all that was simulated of the past. Raises ChildFailed with its last
    answer."""
    answer, now_s = "nothing", asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(_LIVE_S):
            while simulate is not None and PAST_PUBLISHED not in simulate.tail():  # noqa: ASYNC110
                await asyncio.sleep(_ASK_S)
            published_s = now_s()
            while True:
                answer = await _probe_readiness(addresses.url) or answer
                if _is_ready(answer, now_s() - published_s):
                    return
                await asyncio.sleep(_ASK_S)
    except TimeoutError:
        problem = f"is not ready after {_LIVE_S:.0f} s: GET {addresses.url}/readyz answered {answer}"
        raise serve.failure(problem) from None


def _is_ready(answer: str, within_s: float) -> bool:
    """Tell whether everything was counted within the last seconds.

    >>> _is_ready('200 OK {"ready": true, "data_age_s": 0.4}', within_s=0.5)
    True
    """
    age = _DATA_AGE.search(answer)
    return answer.startswith("200") and (age is None or float(age[1]) < within_s)


async def _probe_readiness(url: str) -> str:
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
