"""Routing does not depend on how an alert reaches Alertmanager, and one cause notifies once."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage
from streamer.artefacts import generated_files
from streamer.artefacts.alert_routing import alertmanager_config
from streamer.delivery import alertmanager_client as api
from streamer.delivery.alert_metrics import AlertMetricsSnapshot, metric_families
from streamer.delivery.alert_state import EMPTY_STATE, apply_evaluation
from streamer.settings import AlertSettings, Settings
from tests.artefacts.live_services import ConfiguredAlertmanager, wait_until
from tests.delivery.alert_samples import alert, evaluation_round, message
from tests.parts.server import run

DROP = message(alert())
SILENT = replace(message(alert("", rule="silence")), by="all", kind="no_data", severity="critical")
WAYS = ("api", "prometheus")


def labels(alert_message: AlertMessage, way: str) -> dict[str, str]:
    """Return the labels that an alert has in Alertmanager."""
    if way == "api":
        return api.alert_labels(alert_message)
    record = apply_evaluation(
        EMPTY_STATE,
        evaluation_round(alert(alert_message.key, rule=alert_message.rule), messages=[alert_message]),
    )
    families = metric_families(
        AlertMetricsSnapshot(
            record, is_leader=True, sends_to_alertmanager=False, receivers=(), shows_agents=False
        )
    )
    (family,) = (metric_family for metric_family in families if metric_family.name == "cx_alert_firing")
    return {"alertname": "ContactCenterAlert", **family.samples[0].labels}


@pytest.mark.prometheus
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("severity", "receiver"), [("warning", "desk"), ("critical", "on-call")])
@pytest.mark.parametrize("told", [DROP, SILENT], ids=["drop", "silence"])
def test_an_alert_goes_to_the_receiver_of_its_severity(
    told: AlertMessage, severity: Any, receiver: str, way: str, tmp_path: Path
) -> None:
    assert amtool_routes(labels(replace(told, severity=severity), way), tmp_path).splitlines()[-1] == receiver


@pytest.mark.prometheus
@pytest.mark.parametrize("way", WAYS)
def test_silence_waits_for_what_says_more(way: str, tmp_path: Path) -> None:
    for alert_message, waits in ((SILENT, True), (DROP, False)):
        route = f'{{{"alertname" if way == "api" else "alert"}=~"silence"}}'
        assert (route in amtool_routes(labels(alert_message, way), tmp_path, "--tree")) is waits


@pytest.mark.prometheus
def test_rules_of_silence_are_known_by_name_whatever_it_is(tmp_path: Path) -> None:
    quiet = AlertSettings(kind="no_data", metric="offered", by="all", severity="warning")
    settings = Settings(alerts={'a|b "quiet"': quiet, "c.d": quiet})
    for rule, waits in (
        ('a|b "quiet"', True),
        ("c.d", True),
        ("silence", True),
        ("a", False),
        ("cxd", False),
    ):
        alert_labels = {"alertname": "ContactCenterAlert", "alert": rule, "severity": "warning", "by": "all"}
        assert ('{alert=~"' in amtool_routes(alert_labels, tmp_path, "--tree", settings=settings)) is waits, (
            rule
        )


def test_without_a_rule_of_silence_there_is_no_route_for_any() -> None:
    config = alertmanager_config(Settings(alerts={"silence": AlertSettings(enabled=False)}))
    (critical,) = config["route"]["routes"]
    assert "routes" not in critical


def amtool_routes(
    alert_labels: Mapping[str, str], folder: Path, *options: str, settings: Settings | None = None
) -> str:
    """Return amtool's output for the derived routes; its last line names the receivers."""
    assert shutil.which("amtool"), "amtool is missing: see .ci/run for its package"
    (folder / "alertmanager.yml").write_text(
        generated_files.encode_yaml(alertmanager_config(settings or Settings()))
    )
    command = ["amtool", "config", "routes", "test", "--config.file=alertmanager.yml", *options]
    pairs = [f"{name}={json.dumps(value)}" for name, value in alert_labels.items()]
    process = subprocess.run([*command, *pairs], cwd=folder, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout.strip()


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
def manager() -> Iterator[ConfiguredAlertmanager]:
    derived = alertmanager_config(Settings())
    live_manager = ConfiguredAlertmanager(
        generated_files.encode_yaml({**derived, "inhibit_rules": [*derived["inhibit_rules"], CANARY]})
    )
    try:
        run(live_manager.start())
        yield live_manager
    finally:
        run(live_manager.close())


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
    manager: ConfiguredAlertmanager, holds: str, needless: set[str]
) -> None:
    others = (OTHERS | SCORES) - {holds}
    assert {other for other in others if is_needless(manager, holds, other)} == needless


def is_needless(manager: ConfiguredAlertmanager, holds: str, other: str) -> bool:
    trial = {"trial": f"{holds} and {other}"}
    alert_labels = [labels_of(holds), labels_of(other)]
    manager.send_alerts([*alert_labels, {"alertname": "Cat", **trial}, {"alertname": "Canary", **trial}])
    assert wait_until(lambda: manager.is_muted({"alertname": "Canary", **trial}), 15)
    is_muted = manager.is_muted(labels_of(other))
    manager.send_alerts(alert_labels, over=True)
    return is_muted


def labels_of(what: str) -> dict[str, str]:
    name, _, way = what.partition(" by ")
    if way:
        return labels({"nps-drop": DROP, "silence": SILENT}[name], way)
    return {"alertname": what, "severity": "critical", "job": "streamer"}
