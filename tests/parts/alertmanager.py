"""Alertmanager, the real one: Debian's, on loopback, alone, that sends what it is told nowhere."""

import asyncio
import json
import shutil
import subprocess
import urllib.request
from typing import Any

from tests.parts.server import Server

_CONFIGURATION = """
route:
  receiver: nobody
  group_wait: 1s
receivers:
- name: nobody
"""


class Alertmanager(Server):
    def __init__(self) -> None:
        super().__init__()
        (self.folder / "alertmanager.yml").write_text(_CONFIGURATION)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def command(self) -> list[str]:
        return [
            _program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    async def answers(self) -> bool:
        return await asyncio.to_thread(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready"):
                return True
        except OSError:
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire, by its own interface; silenced ones too."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts") as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def amtool(self, *arguments: str) -> str:
        """Return what Alertmanager's own command prints."""
        command = [_program("amtool"), f"--alertmanager.url={self.url}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _program(*names: str) -> str:
    """Its path. Raises RuntimeError where there is none."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise RuntimeError(f"{names[0]} is missing: install Debian's package prometheus-alertmanager")
