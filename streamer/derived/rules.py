"""Define Prometheus rules and their tests, and encode both for Prometheus and promtool."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

EVALUATED: Final = "15s"
"""The interval at which Prometheus evaluates rules."""

Severity = Literal["warning", "critical"]


class Recording(NamedTuple):
    """A recording rule: a series that other expressions use."""

    record: str
    expr: str
    labels: Mapping[str, str] = {}


class Trial(NamedTuple):
    """A test for promtool: given these series (a value a minute, in promtool's notation), at `eval_time` the
    alert fires for each label set of `firing` (without the rule's own labels), or for none."""

    sentence: str
    series: Mapping[str, str]
    at: str
    firing: tuple[Mapping[str, str], ...] = ()


class Alert(NamedTuple):
    """An alerting rule. `for_duration`: how long the expression must hold before the alert fires. `severity`
    None: that of the series. `labels`: besides alertname and severity. `link`: the URL of a page that
    explains the alert; like summary and description a Go template."""

    alert: str
    expr: str
    lasting: str
    severity: Severity | None
    summary: str
    description: str
    labels: Mapping[str, str]
    trials: tuple[Trial, ...]
    link: str = ""


class Group(NamedTuple):
    """Rules that are evaluated together, in this order."""

    name: str
    rules: tuple[Recording | Alert, ...]


def rule_file(groups: Iterable[Group]) -> dict[str, object]:
    """Encode groups as a Prometheus rule file.

    >>> rule_file([Group("lag", (Recording("lag:sum", "sum(streamer_lag_records)"),))])
    {'groups': [{'name': 'lag', 'rules': [{'record': 'lag:sum', 'expr': 'sum(streamer_lag_records)'}]}]}
    """
    return {
        "groups": [{"name": group.name, "rules": [_rule(rule) for rule in group.rules]} for group in groups]
    }


def trial_file(groups: Iterable[Group], files: Iterable[str], evaluated: str = "1m") -> dict[str, object]:
    """Encode the groups' tests for `promtool test rules`; `files`: rule files, relative to the tests."""
    alerts = [rule for group in groups for rule in group.rules if isinstance(rule, Alert)]
    return {
        "rule_files": [*files],
        "evaluation_interval": evaluated,
        "tests": [_trial(alert, trial) for alert in alerts for trial in alert.trials],
    }


def _rule(rule: Recording | Alert) -> dict[str, object]:
    if isinstance(rule, Recording):
        return {"record": rule.record, "expr": rule.expr} | (
            {"labels": {**rule.labels}} if rule.labels else {}
        )
    texts = {"summary": rule.summary, "description": rule.description}
    labels = _severity(rule) | {**rule.labels}
    return {
        "alert": rule.alert,
        "expr": rule.expr,
        "for": rule.lasting,
        **({"labels": labels} if labels else {}),
        "annotations": texts | ({"explain_url": rule.link} if rule.link else {}),
    }


def _trial(alert: Alert, trial: Trial) -> dict[str, object]:
    """Encode a test. It queries ALERTS, since promtool's alert tests also compare annotations exactly."""
    asked = ",".join(f'{name}="{value}"' for name, value in _own(alert).items())
    return {
        "name": f"{alert.alert}: {trial.sentence}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in trial.series.items()],
        "promql_expr_test": [
            {
                "expr": f"ALERTS{{{asked}}}",
                "eval_time": trial.at,
                "exp_samples": [_sample({**_own(alert), **group}) for group in trial.firing],
            }
        ],
    }


def _own(alert: Alert) -> dict[str, str]:
    return {"alertname": alert.alert, "alertstate": "firing"} | _severity(alert) | {**alert.labels}


def _severity(alert: Alert) -> dict[str, str]:
    return {} if alert.severity is None else {"severity": alert.severity}


def _sample(labels: Mapping[str, str]) -> dict[str, object]:
    written = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return {"labels": f"ALERTS{{{written}}}", "value": 1}
