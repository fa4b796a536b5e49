"""Routing does not depend on how an alert reaches Alertmanager, and one cause notifies once."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streamer.alerts.message import Message
from streamer.delivery import alertmanager as api
from streamer.delivery.prometheus import Seen, families
from streamer.delivery.record import EMPTY, turned
from streamer.derived import files
from streamer.derived.routing import alertmanager
from streamer.settings import AlertSettings, Settings
from tests.delivery.said import alert, message, turn
from tests.derived.live import Alertmanager, until
from tests.parts.server import run

DROP = message(alert())
SILENT = replace(message(alert("", rule="silence")), by="all", kind="silence", severity="critical")
WAYS = ("api", "prometheus")


def labels(told: Message, way: str) -> dict[str, str]:
    """Return the labels that an alert has in Alertmanager."""
    if way == "api":
        return api.labels(told)
    record = turned(EMPTY, turn(alert(told.key, rule=told.rule), told=[told]))
    said = families(Seen(record, judges=True, tells=False, receivers=(), agents=False))
    (family,) = (one for one in said if one.name == "cx_alert_firing")
    return {"alertname": "ContactCenterAlert", **family.samples[0].labels}


@pytest.mark.prometheus
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("severity", "receiver"), [("warning", "desk"), ("critical", "on-call")])
@pytest.mark.parametrize("told", [DROP, SILENT], ids=["drop", "silence"])
def test_an_alert_goes_to_the_receiver_of_its_severity(
    told: Message, severity: Any, receiver: str, way: str, tmp_path: Path
) -> None:
    assert routed(labels(replace(told, severity=severity), way), tmp_path).splitlines()[-1] == receiver


@pytest.mark.prometheus
@pytest.mark.parametrize("way", WAYS)
def test_silence_waits_for_what_says_more(way: str, tmp_path: Path) -> None:
    for told, waits in ((SILENT, True), (DROP, False)):
        route = f'{{{"alertname" if way == "api" else "alert"}=~"silence"}}'
        assert (route in routed(labels(told, way), tmp_path, "--tree")) is waits


@pytest.mark.prometheus
def test_rules_of_silence_are_known_by_name_whatever_it_is(tmp_path: Path) -> None:
    quiet = AlertSettings(kind="silence", metric="offered", by="all", severity="warning")
    settings = Settings(alerts={'a|b "quiet"': quiet, "c.d": quiet})
    for rule, waits in (
        ('a|b "quiet"', True),
        ("c.d", True),
        ("silence", True),
        ("a", False),
        ("cxd", False),
    ):
        told = {"alertname": "ContactCenterAlert", "alert": rule, "severity": "warning", "by": "all"}
        assert ('{alert=~"' in routed(told, tmp_path, "--tree", settings=settings)) is waits, rule


def test_without_a_rule_of_silence_there_is_no_route_for_any() -> None:
    found = alertmanager(Settings(alerts={"silence": AlertSettings(enabled=False)}))
    (critical,) = found["route"]["routes"]
    assert "routes" not in critical


def routed(told: Mapping[str, str], folder: Path, *how: str, settings: Settings | None = None) -> str:
    """Return amtool's output for the derived routes; its last line names the receivers."""
    assert shutil.which("amtool"), "amtool is missing: see .ci/run for its package"
    (folder / "alertmanager.yml").write_text(files.written(alertmanager(settings or Settings())))
    command = ["amtool", "config", "routes", "test", "--config.file=alertmanager.yml", *how]
    pairs = [f"{name}={json.dumps(value)}" for name, value in told.items()]
    done = subprocess.run([*command, *pairs], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


# Alerts that are inhibited by others.

SCORES = {"nps-drop by api", "nps-drop by prometheus", "silence by api", "silence by prometheus"}
OTHERS = {
    "ServerDown", "NoServer", "NoWorker", "WorkerDown", "DataStale", "NeverCaughtUp", "WorkersBehind",
    "EventsRejected", "FiguresLeftOut", "ReadingDisagreesWithCounters", "AlertsNotJudged", "AlertsWithheld",
    "MessagesNotSent",
}  # fmt: skip
CANARY = {
    "source_matchers": ['alertname="Cat"'],
    "target_matchers": ['alertname="Canary"'],
    "equal": ["trial"],
}
"""One of these two always inhibits the other: once it does, all alerts sent before have been processed."""


@pytest.fixture(scope="module")
def manager() -> Iterator[Alertmanager]:
    derived = alertmanager(Settings())
    one = Alertmanager(files.written({**derived, "inhibit_rules": [*derived["inhibit_rules"], CANARY]}))
    try:
        run(one.start())
        yield one
    finally:
        run(one.close())


@pytest.mark.prometheus
@pytest.mark.parametrize(
    ("holds", "needless"),
    [
        ("NoServer", {"ServerDown", "AlertsNotJudged", *SCORES}),
        ("NoWorker", {"WorkerDown", "WorkersBehind", "NeverCaughtUp", "DataStale", *SCORES}),
        ("DataStale", {"WorkersBehind", "AlertsNotJudged", *SCORES}),
        ("NeverCaughtUp", SCORES),
        *(
            (other, set())
            for other in sorted(OTHERS - {"NoServer", "NoWorker", "DataStale", "NeverCaughtUp"})
        ),
        *((score, set()) for score in sorted(SCORES)),
    ],
)
def test_what_follows_from_something_worse_does_not_ring(
    manager: Alertmanager, holds: str, needless: set[str]
) -> None:
    others = (OTHERS | SCORES) - {holds}
    assert {other for other in others if is_needless(manager, holds, other)} == needless


def is_needless(manager: Alertmanager, holds: str, other: str) -> bool:
    trial = {"trial": f"{holds} and {other}"}
    both = [named(holds), named(other)]
    manager.tell([*both, {"alertname": "Cat", **trial}, {"alertname": "Canary", **trial}])
    assert until(lambda: manager.is_muted({"alertname": "Canary", **trial}), 15)
    found = manager.is_muted(named(other))
    manager.tell(both, over=True)
    return found


def named(what: str) -> dict[str, str]:
    name, _, way = what.partition(" by ")
    if way:
        return labels({"nps-drop": DROP, "silence": SILENT}[name], way)
    return {"alertname": what, "severity": "critical", "job": "streamer"}
