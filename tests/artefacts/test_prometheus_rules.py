"""Prometheus rules pass their tests with promtool, and Alertmanager's configuration passes amtool."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.artefacts import generated_files, promql
from streamer.artefacts.metric_display import VERDICT_COLORS
from streamer.artefacts.prometheus_rules import AlertingRule, RuleGroup, RuleTest, rule_file, rule_test_file
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.intervals import Interval
from streamer.metrics.target_verdict import judge_target
from streamer.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]

OTHERS = """
export_windows = ["1h", "4h", "today"]
pairs = ["queue,channel", "site,team"]
[delivery]
url = "https://wall.example/center/"
[alerts.silence]
enabled = false
[alerts."a|b \\"quiet\\""]
kind = "no_data"
metric = "surveys"
by = "site,team"
severity = "warning"
[alerts."c.d"]
kind = "no_data"
metric = "offered"
"""
"""Settings with special cases: several pairs, a page elsewhere, and no-data rules whose names have characters
that are special in regular expressions and matchers."""


@pytest.fixture(params=["", OTHERS], ids=["no settings", "other settings"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "streamer.toml").write_text(request.param)
    monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
    return load_settings()


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Return grafana/prometheus, as derived from these settings."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for path, text in generated_files.generate_files(tmp_path, settings).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "grafana/prometheus"


def run_tool(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which(command[0]), f"{command[0]} is missing: see .ci/run for its package"
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def require_success(folder: Path, *command: str) -> None:
    process = run_tool(folder, *command)
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.prometheus
def test_promtool_and_amtool_accept_what_is_derived(folder: Path) -> None:
    require_success(folder, "promtool", "check", "rules", "recording.yml", "alerts.yml")
    require_success(folder, "promtool", "check", "config", "--syntax-only", "prometheus.yml")
    require_success(folder, "amtool", "check-config", "alertmanager.yml")


@pytest.mark.prometheus
def test_every_alert_passes_its_trials(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "tests").iterdir())
    assert names == ["alerts.yml", "audit.yml", "pipeline.yml"]
    require_success(folder / "tests", "promtool", "test", "rules", *names)


def test_every_alert_is_tried_on_both_sides(folder: Path) -> None:
    fires: dict[str, set[bool]] = {name: set() for name in alert_names(folder)}
    for path in (folder / "tests").iterdir():
        for rule_test in yaml.safe_load(path.read_text())["tests"]:
            (query,) = rule_test["promql_expr_test"]
            fires[rule_test["name"].partition(":")[0]].add(bool(query["exp_samples"]))
    assert fires == {name: {True, False} for name in fires}


def alert_names(folder: Path) -> set[str]:
    return {rule["alert"] for rule in rules(folder)}


def rules(folder: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("settings", [""], indirect=True)
def test_these_are_the_alerts(folder: Path) -> None:
    listed = [
        (rule["alert"], rule["for"], rule.get("labels", {}).get("severity", "its own"))
        for rule in rules(folder)
    ]
    assert listed == [
        ("ServerDown", "1m", "critical"),
        ("NoServer", "1m", "critical"),
        ("NoWorker", "1m", "critical"),
        ("WorkerDown", "5m", "warning"),
        ("DataStale", "1m", "critical"),
        ("NeverCaughtUp", "5m", "critical"),
        ("WorkersBehind", "10m", "warning"),
        ("EventsRejected", "5m", "warning"),
        ("FiguresLeftOut", "15m", "warning"),
        ("ReadingDisagreesWithCounters", "15m", "critical"),
        ("ContactCenterAlert", "0s", "its own"),
        ("AlertsWithheld", "1m", "warning"),
        ("AlertsNotJudged", "5m", "critical"),
        ("MessagesNotSent", "10m", "warning"),
    ]


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


@pytest.mark.prometheus
@pytest.mark.parametrize("firing", [(), ({"queue": "b"},)], ids=["silent", "of another queue"])
def test_a_trial_that_does_not_hold_fails(firing: tuple[dict[str, str], ...], tmp_path: Path) -> None:
    trial = RuleTest("wrong", {'up{queue="a"}': "1+0x9"}, "5m", firing)
    group = RuleGroup("any", (AlertingRule("Up", "up == 1", "1m", "warning", "s", "d", {}, (trial,)),))
    (tmp_path / "alerts.yml").write_text(generated_files.encode_yaml(rule_file([group])))
    (tmp_path / "trials.yml").write_text(generated_files.encode_yaml(rule_test_file([group], ["alerts.yml"])))
    process = run_tool(tmp_path, "promtool", "test", "rules", "trials.yml")
    assert process.returncode == 1
    assert 'alertname="Up"' in process.stdout + process.stderr


# Annotations of forwarded alerts.

PLACES = [
    ({"by": "all"}, "the whole center", ""),
    ({"by": "queue", "queue": "Köln 1&2"}, "Köln 1&2", "K%C3%B6ln+1%262"),
    ({"by": "site,team", "site": "rome", "team": "red"}, "rome · red", "rome%2Cred"),
]


@pytest.mark.prometheus
@pytest.mark.parametrize("settings", [OTHERS], indirect=True)
@pytest.mark.parametrize(("group", "called", "key"), PLACES, ids=[where[1] for where in PLACES])
def test_a_passed_on_alert_names_its_rule_its_group_and_the_page_that_says_why(
    folder: Path, group: dict[str, str], called: str, key: str
) -> None:
    labels = {"alert": "nps drop", "severity": "warning", "metric": "nps_score", **group}
    written = ",".join(f'{name}="{value}"' for name, value in labels.items())
    (passed_on,) = (rule for rule in rules(folder) if rule["alert"] == "ContactCenterAlert")
    annotations = {
        "summary": f"The rule nps drop fires for {called}.",
        "description": passed_on["annotations"]["description"],
        "explain_url": f"https://wall.example/center/supervisor?alert=nps+drop&group={key}",
    }
    alerts = [{"exp_labels": labels, "exp_annotations": annotations}]
    trial = {
        "input_series": [{"series": f'cx_alert_firing{{{written},instance="a",job="b"}}', "values": "1"}],
        "alert_rule_test": [{"eval_time": "0m", "alertname": "ContactCenterAlert", "exp_alerts": alerts}],
    }
    (folder / "trial.yml").write_text(
        generated_files.encode_yaml({"rule_files": ["alerts.yml"], "tests": [trial]})
    )
    require_success(folder, "promtool", "test", "rules", "trial.yml")


# The verdict in PromQL.

INTERVALS = [(10, 29.9), (10, 30), (29.9, 40), (30, 40), (30.1, 40)]
"""Intervals on both sides of a target of 30, and up to it from either side."""


@pytest.mark.prometheus
def test_grafana_judges_a_figure_as_the_wall_does(tmp_path: Path) -> None:
    tests = []
    for metric in (CATALOGUE["nps_score"], CATALOGUE["wait_time_seconds"]):
        series = {}
        for number, ends in enumerate(INTERVALS):
            values = dict(zip(("lower", "upper"), ends, strict=True)) | {"": sum(ends) / 2, "support": 20}
            names = {promql.series_name(metric, field): value for field, value in values.items()}
            series |= {f'{name}{{queue="q{number}"}}': str(value) for name, value in names.items()}
        expected = {
            f"q{number}": judge_target(metric.better, Interval(*ends), 30)
            for number, ends in enumerate(INTERVALS)
        }
        assert {*expected.values()} == {*VERDICT_COLORS}
        exprs = {verdict: promql.verdict_value(metric, verdict, 30, {}, 20) for verdict in VERDICT_COLORS}
        samples = {
            f"0 * ({expr})": [
                {"labels": f'{{queue="{queue}"}}', "value": 0}
                for queue, judged in expected.items()
                if judged == verdict
            ]
            for verdict, expr in exprs.items()
        }
        tests.append({
            "input_series": [{"series": name, "values": value} for name, value in series.items()],
            "promql_expr_test": [
                {"expr": expr, "eval_time": "0m", "exp_samples": exp_samples}
                for expr, exp_samples in samples.items()
            ],
        })  # fmt: skip
    (tmp_path / "trial.yml").write_text(generated_files.encode_yaml({"rule_files": [], "tests": tests}))
    require_success(tmp_path, "promtool", "test", "rules", "trial.yml")
