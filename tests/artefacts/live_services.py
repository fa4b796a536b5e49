"""Run Debian's Prometheus and Alertmanager on loopback, with the derived configuration."""

import json
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import yaml

from tests.parts import alertmanager
from tests.parts.server import Server, free_port


class DemoCenter(Server):
    """A `streamer demo`; it simulates contacts only if `rate` (contacts per second) is given. `worker` is the
    address of its worker's own metrics."""

    ready_within_s = 60.0

    def __init__(self, windows: Sequence[str], rate: float | None = None) -> None:
        super().__init__()
        self._windows, self._rate = windows, rate
        self.worker = f"127.0.0.1:{free_port()}"

    def command(self) -> list[str]:
        settings = {
            "METRICS_PORT": self.worker.partition(":")[2],
            "EXPORT_WINDOWS": json.dumps(self._windows),
        }
        env = [f"STREAMER_{name}={value}" for name, value in settings.items()]
        play = ["--no-simulator"] if self._rate is None else ["--rate", str(self._rate)]
        demo = ["demo", "--port", str(self.port), "--json", *play]
        return ["/usr/bin/env", *env, sys.executable, "-m", "streamer", *demo]

    async def answers(self) -> bool:
        """Tell whether it has printed its addresses, the last thing it does when it starts."""
        return any(line.startswith("{") for line in self.log().splitlines())

    @property
    def watched(self) -> "ScrapeTargets":
        return ScrapeTargets([self.address], [self.worker])

    @property
    def kafka(self) -> str:
        address: str = json.loads(next(line for line in self.log().splitlines() if line[:1] == "{"))["kafka"]
        return address


class ScrapeTargets(NamedTuple):
    """The addresses that Prometheus scrapes, and those of the Alertmanagers it notifies."""

    servers: Sequence[str]
    workers: Sequence[str] = ()
    alertmanagers: Sequence[str] = ()


class PrometheusServer(Server):
    """Prometheus with the derived files by name; only addresses and intervals differ."""

    def __init__(self, files: Mapping[str, str], watched: ScrapeTargets) -> None:
        super().__init__()
        for name, text in files.items():
            (self.folder / name).write_text(text)
        near = local_config(yaml.safe_load(files["prometheus.yml"]), watched)
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(near))

    def command(self) -> list[str]:
        program = shutil.which("prometheus")
        assert program, "prometheus is missing: install Debian's package prometheus"
        return [
            program,
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self.address}",
            "--log.level=warn",
        ]

    async def answers(self) -> bool:
        return is_ready(f"http://{self.address}/-/ready")

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of the response. Raises AssertionError with the error of Prometheus."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the expression's samples, as of now."""
        samples: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return samples

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]


class ConfiguredAlertmanager(alertmanager.Alertmanager):
    """An Alertmanager with the given configuration."""

    def __init__(self, configuration: str) -> None:
        super().__init__()
        (self.folder / "alertmanager.yml").write_text(configuration)

    def send_alerts(self, alerts: Sequence[Mapping[str, str]], over: bool = False) -> None:
        """Send alerts with these labels, as firing from now on or, if `over`, as resolved."""
        now = datetime.now(UTC)  # noqa: TID251 - Alertmanager is live
        ends = now if over else now + timedelta(hours=1)
        times = {"startsAt": (now - timedelta(hours=1)).isoformat(), "endsAt": ends.isoformat()}
        body = json.dumps([{"labels": dict(labels), **times} for labels in alerts]).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request):
            pass

    def is_muted(self, labels: Mapping[str, str]) -> bool:
        """Tell whether another alert inhibits this one."""
        return any(alert["labels"] == labels and alert["status"]["inhibitedBy"] for alert in self.alerts())


def local_config(configuration: dict[str, Any], watched: ScrapeTargets) -> dict[str, Any]:
    server, worker = configuration["scrape_configs"]
    (manager,) = configuration["alerting"]["alertmanagers"]
    del server["authorization"], worker["dns_sd_configs"]
    server["static_configs"] = [{"targets": [*watched.servers]}]
    worker["static_configs"] = [{"targets": [*watched.workers]}]
    manager["static_configs"] = [{"targets": [*watched.alertmanagers]}]
    configuration["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s"}
    return configuration


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


def wait_until(holds: Callable[[], object], seconds: float) -> bool:
    """Wait for a condition; tell whether it held in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
