"""Here is Prometheus at work: Debian's, on loopback, looking at a live center, with the derived rules."""

import json
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from tests.parts.server import Server, free_port


class Center(Server):
    """Everything `streamer demo` starts, with a simulated center only at a `rate` of contacts per second.
    `worker` is where its worker shows its own metrics."""

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
        """Once it says where everything is, all is live."""
        return any(line.startswith("{") for line in self.log().splitlines())

    @property
    def kafka(self) -> str:
        address: str = json.loads(next(line for line in self.log().splitlines() if line[:1] == "{"))["kafka"]
        return address


class Prometheus(Server):
    """With the derived files by name; only the addresses are those of the center, and time goes faster."""

    def __init__(self, files: Mapping[str, str], center: Center) -> None:
        super().__init__()
        for name, text in files.items():
            (self.folder / name).write_text(text)
        near = nearby(yaml.safe_load(files["prometheus.yml"]), center)
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
        return is_well(f"http://{self.address}/-/ready")

    def get(self, path: str, **asked: str) -> Any:
        """The data of the answer. Raises AssertionError with what is wrong with the question."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{asked}: {error.read().decode()}") from None

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Its samples, as of now."""
        found: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]


def nearby(configuration: dict[str, Any], center: Center) -> dict[str, Any]:
    server, worker = configuration["scrape_configs"]
    del server["authorization"], worker["dns_sd_configs"], configuration["alerting"]
    server["static_configs"] = [{"targets": [center.address]}]
    worker["static_configs"] = [{"targets": [center.worker]}]
    configuration["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s"}
    return configuration


def is_well(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


def until(holds: Callable[[], object], seconds: float) -> bool:
    """Whether it held before the time was over."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
