"""Tests that the import contracts of pyproject.toml hold, and that they notice a breach."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER_IN_WEB = "Pages and routes are above what they show and who may see it"
ORDER_IN_ALERTS = "Alerts are reported after they are detected"
ORDER_IN_DELIVERY = "Delivery decides above what it sends with"
ORDER_IN_REPLAY = "Replay reads files before it publishes rows"
LINT = """
import io, json, sys
from contextlib import redirect_stdout
from pathlib import Path
from importlinter.cli import lint_imports

def lint():
    with redirect_stdout(io.StringIO()) as report:
        is_broken = lint_imports(no_cache=True, no_logo=True)
    return report.getvalue() if is_broken else ""

reports = []
for name, line in json.load(sys.stdin):
    file = Path(name)
    former = file.read_bytes() if file.exists() else None
    file.write_bytes((former or b"") + line.encode())
    reports.append(lint())
    file.unlink() if former is None else file.write_bytes(former)
json.dump(reports, sys.stdout)
"""
"""Reports what import-linter says of each line that is added to a file, one after the other: nothing when all
contracts are kept."""


NOTHING = ("__init__.py", "")
FORBIDDEN = [
    ("events/models.py", "import streamer.journeys", "A stage imports only from upstream"),
    ("store/port.py", "import streamer.settings", "A stage imports only from upstream"),
    ("novel.py", "", "A stage imports only from upstream"),
    ("settings.py", "import streamer.metrics", "Settings know only the vocabulary of events"),
    ("web/pages.py", "import streamer.worker.kafka", "Who reads numbers does not know who writes them"),
    ("metrics/tally.py", "import prometheus_client", "Only files named after a technology do I/O"),
    ("store/port.py", "import redis.asyncio", "Only files named after a technology do I/O"),
    ("panes/windows.py", "import socket", "Only files named after a technology do I/O"),
    *[
        (f"{room}/{file}", "import aiokafka", "Only files named after a technology do I/O")
        for room, file in {
            "events": "models.py",
            "privacy": "redaction.py",
            "journeys": "apply.py",
            "panes": "fold.py",
            "settings": "access.py",
            "readings": "query.py",
            "alerts": "states.py",
            "artefacts": "promql.py",
        }.items()
    ],
    *[
        ("alerts/states.py", f"import {library}", "Only files named after a technology do I/O")
        for library in ("redis", "faust", "aiohttp", "socket", "http", "starlette", "uvicorn")
    ],
    ("web/users.py", "import streamer.web.server", ORDER_IN_WEB),
    ("web/permissions.py", "import streamer.web.stream", ORDER_IN_WEB),
    ("web/novel.py", "", ORDER_IN_WEB),
    ("alerts/detection/drop.py", "import streamer.alerts.reports.explanation", ORDER_IN_ALERTS),
    ("alerts/statistics/confidence.py", "import streamer.alerts.alert_rules", ORDER_IN_ALERTS),
    ("alerts/messages/links.py", "import streamer.alerts.reports.explanation", ORDER_IN_ALERTS),
    ("alerts/novel.py", "", ORDER_IN_ALERTS),
    ("delivery/webhook.py", "import streamer.delivery.message_sender", ORDER_IN_DELIVERY),
    ("delivery/novel.py", "", ORDER_IN_DELIVERY),
    ("replay/file_rows.py", "import streamer.replay.file_replay", ORDER_IN_REPLAY),
    ("replay/novel.py", "", ORDER_IN_REPLAY),
    ("readings/novel.py", "import streamer.store.memory", "No stage knows which store it is"),
    ("readings/novel.py", "import streamer.store.redis", "No stage knows which store it is"),
]
"""File, line that is added to it, and the contract which that breaks."""
ALLOWED = [
    ("store/redis/novel.py", "import redis.asyncio"),
    ("readings/prometheus.py", "import prometheus_client"),
    ("worker/kafka.py", "import aiokafka"),
    ("web/pages.py", "import starlette, streamer.settings, streamer.readings"),
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """What import-linter reports of each line, in a copy of the package."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", folder)
    package = folder / "streamer"
    shutil.copytree(ROOT / "streamer", package, ignore=shutil.ignore_patterns("__pycache__"))
    lines = [NOTHING, *((file, line) for file, line, _ in FORBIDDEN), *ALLOWED]
    additions = [(str(present_file(package / file)), f"\n{line}\n") for file, line in lines]
    return dict(zip(lines, lint(folder, additions), strict=True))


def test_every_import_goes_upstream_and_only_files_named_after_a_technology_do_io(
    reports: dict[tuple[str, str], str],
) -> None:
    assert reports[NOTHING] == ""


@pytest.mark.parametrize(("file", "line", "contract"), FORBIDDEN)
def test_an_import_the_design_forbids_breaks_its_contract(
    file: str, line: str, contract: str, reports: dict[tuple[str, str], str]
) -> None:
    assert f"{contract} BROKEN" in reports[file, line]


@pytest.mark.parametrize(("file", "line"), ALLOWED)
def test_an_import_the_design_allows_breaks_none(
    file: str, line: str, reports: dict[tuple[str, str], str]
) -> None:
    assert reports[file, line] == ""


def test_replay_imports_no_faust() -> None:
    code = "import sys, streamer.replay.command; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def present_file(file: Path) -> Path:
    """Return the file, or the __init__.py of the folder that it became."""
    folder = file.with_suffix("")
    return folder / "__init__.py" if folder.is_dir() else file


def lint(folder: Path, additions: list[tuple[str, str]]) -> list[str]:
    """Return what import-linter reports on the package with each addition (file, text) alone."""
    done = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=folder,
        env={**os.environ, "COLUMNS": "300"},
        input=json.dumps(additions),
        capture_output=True,
        text=True,
        check=True,
    )
    reports: list[str] = json.loads(done.stdout)
    return reports
