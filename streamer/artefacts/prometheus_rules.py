"""Define Prometheus rules and their tests, and encode both for Prometheus and promtool."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

EVALUATION_INTERVAL: Final = "15s"
"""The interval at which Prometheus evaluates rules."""

Severity = Literal["warning", "critical"]


class RecordingRule(NamedTuple):
    """A recording rule: a series that other expressions use."""

    record: str
    expr: str
    labels: Mapping[str, str] = {}


class RuleTest(NamedTuple):
    """A test for promtool: given these series (a value a minute, in promtool's notation), at `eval_time` the
    alert fires for each label set of `firing` (without the rule's own labels), or for none."""

    sentence: str
    series: Mapping[str, str]
    eval_time: str
    firing: tuple[Mapping[str, str], ...] = ()


class AlertingRule(NamedTuple):
    """An alerting rule. `for_duration`: how long the expression must hold before the alert fires. `severity`
    None: that of the series. `labels`: besides alertname and severity. `link`: the URL of a page that
    explains the alert; like summary and description a Go template."""

    alert: str
    expr: str
    for_duration: str
    severity: Severity | None
    summary: str
    description: str
    labels: Mapping[str, str]
    tests: tuple[RuleTest, ...]
    link: str = ""


class RuleGroup(NamedTuple):
    """Rules that are evaluated together, in this order."""

    name: str
    rules: tuple[RecordingRule | AlertingRule, ...]


def rule_file(groups: Iterable[RuleGroup]) -> dict[str, object]:
    """Encode groups as a Prometheus rule file.

    >>> rule_file([RuleGroup("lag", (RecordingRule("lag:sum", "sum(streamer_lag_records)"),))])
    {'groups': [{'name': 'lag', 'rules': [{'record': 'lag:sum', 'expr': 'sum(streamer_lag_records)'}]}]}
    """
    return {
        "groups": [
            {"name": group.name, "rules": [_encode_rule(rule) for rule in group.rules]} for group in groups
        ]
    }


def rule_test_file(
    groups: Iterable[RuleGroup], files: Iterable[str], evaluation_interval: str = "1m"
) -> dict[str, object]:
    """Encode the groups' tests for `promtool test rules`; `files`: rule files, relative to the tests."""
    alerts = [rule for group in groups for rule in group.rules if isinstance(rule, AlertingRule)]
    return {
        "rule_files": [*files],
        "evaluation_interval": evaluation_interval,
        "tests": [_encode_test(alert, test) for alert in alerts for test in alert.tests],
    }


def _encode_rule(rule: RecordingRule | AlertingRule) -> dict[str, object]:
    if isinstance(rule, RecordingRule):
        return {"record": rule.record, "expr": rule.expr} | (
            {"labels": {**rule.labels}} if rule.labels else {}
        )
    texts = {"summary": rule.summary, "description": rule.description}
    labels = _severity_label(rule) | {**rule.labels}
    return {
        "alert": rule.alert,
        "expr": rule.expr,
        "for": rule.for_duration,
        **({"labels": labels} if labels else {}),
        "annotations": texts | ({"explain_url": rule.link} if rule.link else {}),
    }


def _encode_test(alert: AlertingRule, test: RuleTest) -> dict[str, object]:
    """Encode a test. It queries ALERTS, since promtool's alert tests also compare annotations exactly."""
    matchers = ",".join(f'{name}="{value}"' for name, value in _alert_labels(alert).items())
    return {
        "name": f"{alert.alert}: {test.sentence}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in test.series.items()],
        "promql_expr_test": [
            {
                "expr": f"ALERTS{{{matchers}}}",
                "eval_time": test.eval_time,
                "exp_samples": [_expected_sample({**_alert_labels(alert), **group}) for group in test.firing],
            }
        ],
    }


def _alert_labels(alert: AlertingRule) -> dict[str, str]:
    return {"alertname": alert.alert, "alertstate": "firing"} | _severity_label(alert) | {**alert.labels}


def _severity_label(alert: AlertingRule) -> dict[str, str]:
    return {} if alert.severity is None else {"severity": alert.severity}


def _expected_sample(labels: Mapping[str, str]) -> dict[str, object]:
    labels_text = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return {"labels": f"ALERTS{{{labels_text}}}", "value": 1}
