"""Run `streamer replay` in this process, or in a process of its own that tests may kill."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from streamer.cli import main

MAPS = Path(__file__).parent / "maps"
NOON = "2026-05-04T12:00:00Z"


class CommandResult(NamedTuple):
    code: int
    lines: list[dict[str, Any]]
    stderr: str

    @property
    def data(self) -> list[dict[str, Any]]:
        return [line["data"] for line in self.lines]


def replay(*arguments: str | Path, stdin: bytes | None = None) -> CommandResult:
    result = CliRunner().invoke(main, ["replay", *map(str, arguments)], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return CommandResult(
        result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr
    )


def dry_run(*arguments: str | Path, stdin: bytes | None = None) -> CommandResult:
    return replay("--dry-run", *arguments, stdin=stdin)


def guess(path: Path) -> str:
    result = CliRunner().invoke(main, ["replay", "--guess", str(path)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def start_replay(settings: Mapping[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
    ours = {f"STREAMER_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "streamer", "replay", *map(str, arguments)]
    return subprocess.Popen(command, env=others | ours, stderr=subprocess.PIPE, text=True)


def call(number: int = 1, **more: Any) -> dict[str, Any]:
    required = {"contact_id": f"c{number}", "queue": "billing", "ended_at": NOON, "outcome": "answered"}
    return {name: value for name, value in (required | more).items() if value is not None}


def ndjson(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
