"""The rules for Prometheus pass their trials with promtool, and Alertmanager's configuration amtool."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.derived import files
from streamer.derived.rules import Alert, Group, Trial, rule_file, trial_file
from streamer.settings import Settings, load

ROOT = Path(__file__).parents[2]

OTHERS = """
least_support = 5
export_windows = ["1h", "4h", "today"]
[targets]
nps_score = -12.5
transfer_ratio = 0.001
csat_ratio = 0
[targets.queues."a|b"]
nps_score = 60
wait_time_seconds = 10
[targets.queues.free]
service_level_ratio = "none"
"""
"""Settings that try what is special: negative and tiny targets, a queue whose name means something in a
regular expression, a queue without a target."""


@pytest.fixture(params=["", OTHERS], ids=["no settings", "other settings"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "streamer.toml").write_text(request.param)
    monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
    return load()


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """grafana/prometheus, as these settings derive it."""
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    for path, text in files.derive(tmp_path, settings).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "grafana/prometheus"


def checked(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which(command[0]), f"{command[0]} is missing: see .ci/run for its package"
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def passes(folder: Path, *command: str) -> None:
    done = checked(folder, *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_and_amtool_accept_what_is_derived(folder: Path) -> None:
    passes(folder, "promtool", "check", "rules", "recording.yml", "alerts.yml")
    passes(folder, "promtool", "check", "config", "--syntax-only", "prometheus.yml")
    passes(folder, "amtool", "check-config", "alertmanager.yml")


def test_every_alert_passes_its_trials(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "tests").iterdir())
    assert names == ["audit.yml", "pipeline.yml", "targets.yml"]
    passes(folder / "tests", "promtool", "test", "rules", *names)


def test_every_alert_is_tried_on_both_sides(folder: Path) -> None:
    fires: dict[str, set[bool]] = {name: set() for name in alert_names(folder)}
    for path in (folder / "tests").iterdir():
        for one in yaml.safe_load(path.read_text())["tests"]:
            (asked,) = one["promql_expr_test"]
            fires[one["name"].partition(":")[0]].add(bool(asked["exp_samples"]))
    assert fires == {name: {True, False} for name in fires}


def alert_names(folder: Path) -> set[str]:
    return {rule["alert"] for rule in rules(folder)}


def rules(folder: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("settings", [""], indirect=True)
def test_these_are_the_alerts(folder: Path) -> None:
    found = [(rule["alert"], rule["for"], rule["labels"]["severity"]) for rule in rules(folder)]
    assert found[:-5] == [
        ("ServerDown", "1m", "critical"),
        ("NoWorker", "1m", "critical"),
        ("WorkerDown", "5m", "warning"),
        ("DataStale", "1m", "critical"),
        ("NeverCaughtUp", "5m", "critical"),
        ("WorkersBehind", "10m", "warning"),
        ("EventsRejected", "5m", "warning"),
        ("FiguresLeftOut", "15m", "warning"),
        ("ReadingDisagreesWithCounters", "15m", "critical"),
    ]
    assert found[-5:] == [("TargetMissed", "10m", "warning")] * 5
    assert [rule["labels"]["metric"] for rule in rules(folder)[-5:]] == [
        "nps_score",
        "csat_ratio",
        "wait_time_seconds",
        "service_level_ratio",
        "abandon_ratio",
    ]


@pytest.mark.parametrize("settings", [OTHERS], indirect=True)
def test_a_queue_with_its_own_target_has_its_own_rule(folder: Path) -> None:
    exprs = [rule["expr"] for rule in rules(folder) if rule["labels"].get("metric") == "nps_score"]
    assert exprs == [
        'cx_nps_score_upper{window="1h",by=~"all|queue",queue!~"a\\\\|b"} < -12.5\n'
        '  and cx_nps_score_support{window="1h",by=~"all|queue",queue!~"a\\\\|b"} >= 5',
        'cx_nps_score_upper{window="1h",by="queue",queue="a|b"} < 60\n'
        '  and cx_nps_score_support{window="1h",by="queue",queue="a|b"} >= 5',
    ]
    (level,) = (rule for rule in rules(folder) if rule["labels"].get("metric") == "service_level_ratio")
    assert level["expr"].startswith(
        'cx_service_level_ratio_upper{window="1h",stat="own",by=~"all|queue",queue!~"free"} < 0.8\n'
    )


@pytest.mark.parametrize("settings", [OTHERS], indirect=True)
def test_every_window_from_an_hour_on_that_has_a_length_is_audited(folder: Path) -> None:
    audits = [rule["expr"] for rule in rules(folder) if rule["alert"] == "ReadingDisagreesWithCounters"]
    assert [expr.splitlines()[1].strip() for expr in audits] == [
        "and on () (streamer_fresh_seconds offset 1h)",
        "and on () (streamer_fresh_seconds offset 4h)",
    ]


@pytest.mark.parametrize("settings", [""], indirect=True)
def test_these_figures_are_audited(folder: Path) -> None:
    groups = yaml.safe_load((folder / "recording.yml").read_text())["groups"]
    recorded = {
        rule["labels"]["figure"]: rule["expr"]
        for group in groups
        for rule in group["rules"]
        if rule["record"] == "cx:audit:counted"
    }
    assert list(recorded) == [
        "handled segments",
        "handle time",
        "NPS score",
        "CNX score",
        "CSAT ratio",
        "CES easy ratio",
        "FCR survey ratio",
    ]
    assert recorded["FCR survey ratio"] == (
        '1 * ((sum(increase(cx_survey_answers_total{question="resolved_first",bucket=~"true"}[1h])) or '
        "vector(0))) / "
        'sum(increase(cx_survey_answers_total{question="resolved_first",bucket=~"true|false"}[1h]))'
    )


@pytest.mark.parametrize("firing", [(), ({"queue": "b"},)], ids=["silent", "of another queue"])
def test_a_trial_that_does_not_hold_fails(firing: tuple[dict[str, str], ...], tmp_path: Path) -> None:
    trial = Trial("wrong", {'up{queue="a"}': "1+0x9"}, "5m", firing)
    group = Group("any", (Alert("Up", "up == 1", "1m", "warning", "s", "d", {}, (trial,)),))
    (tmp_path / "alerts.yml").write_text(files.written(rule_file([group])))
    (tmp_path / "trials.yml").write_text(files.written(trial_file([group], ["alerts.yml"])))
    done = checked(tmp_path, "promtool", "test", "rules", "trials.yml")
    assert done.returncode == 1
    assert 'alertname="Up"' in done.stdout + done.stderr
