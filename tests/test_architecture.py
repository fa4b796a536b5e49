"""Tests that the import contracts of pyproject.toml hold, and that they notice a breach."""

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
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True, no_logo=True))
"""


def test_every_import_goes_upstream_and_only_files_named_after_a_technology_do_io() -> None:
    assert lint(ROOT) == ""


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
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
    ],
)
def test_an_import_the_design_forbids_breaks_its_contract(
    file: str, line: str, contract: str, tmp_path: Path
) -> None:
    house = copied(tmp_path)
    add(house / file, line)
    assert f"{contract} BROKEN" in lint(tmp_path)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("store/redis/novel.py", "import redis.asyncio"),
        ("readings/prometheus.py", "import prometheus_client"),
        ("worker/kafka.py", "import aiokafka"),
        ("web/pages.py", "import starlette, streamer.settings, streamer.readings"),
    ],
)
def test_an_import_the_design_allows_breaks_none(file: str, line: str, tmp_path: Path) -> None:
    add(copied(tmp_path) / file, line)
    assert lint(tmp_path) == ""


def test_replay_imports_no_faust() -> None:
    code = "import sys, streamer.replay.command; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def copied(folder: Path) -> Path:
    """A copy of the package."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    house = folder / "streamer"
    shutil.copytree(ROOT / "streamer", house, ignore=shutil.ignore_patterns("__pycache__"))
    return house


def add(file: Path, line: str) -> None:
    if not (file.exists() or file.with_suffix("").is_dir()):
        file.touch()
    with (file if file.exists() else file.with_suffix("") / "__init__.py").open("a") as text:
        text.write(f"\n{line}\n")


def lint(folder: Path) -> str:
    """Return what import-linter reports on the package in the folder: nothing when all contracts are kept."""
    done = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=folder,
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""
