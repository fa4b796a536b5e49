"""A streamer command as a process that a test may kill, stop, or wait for."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamer.demo import parent_death


class CommandProcess:
    """Runs from its creation on, and dies with this process. Settings come from the file `streamer.toml` in
    the folder of its log and from `settings`."""

    def __init__(self, command: str, settings: Mapping[str, str], log: Path) -> None:
        argv = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())]
        argv += [sys.executable, "-m", "streamer", *command.split()]
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=_env(settings), cwd=log.parent
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    async def stop(self) -> int:
        """Terminate the process, wait for it, and return its exit code."""
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait)

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        return self._process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")


def run_json(command: list[str], settings: Mapping[str, str], folder: Path) -> Any:
    """Run a command and return the JSON that it prints."""
    completed = subprocess.run(
        [sys.executable, "-m", "streamer", *command],
        env=_env(settings),
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr.decode()
    return json.loads(completed.stdout)


def _env(settings: Mapping[str, str]) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
    return others | {f"STREAMER_{name.upper()}": value for name, value in settings.items()}
