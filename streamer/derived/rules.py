"""Here is what a rule of Prometheus is, the trials it must stand, and how both are written."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

EVALUATED: Final = "15s"
"""How often rules are evaluated."""

Severity = Literal["warning", "critical"]


class Recording(NamedTuple):
    """A series that others are made of."""

    record: str
    expr: str
    labels: Mapping[str, str] = {}


class Trial(NamedTuple):
    """What promtool is to see: with these series (a value a minute, in its notation) the alert fires `at`
    for the groups of `firing` (their labels, those of the rule aside), or for none."""

    sentence: str
    series: Mapping[str, str]
    at: str
    firing: tuple[Mapping[str, str], ...] = ()


class Alert(NamedTuple):
    """`lasting`: how long it must hold before anyone is told. `severity` None: that of the series. `labels`
    beside alertname and severity. `link`: a page that says more, a template as are the texts."""

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
    return {
        "groups": [{"name": group.name, "rules": [_rule(rule) for rule in group.rules]} for group in groups]
    }


def trial_file(groups: Iterable[Group], files: Iterable[str], evaluated: str = "1m") -> dict[str, object]:
    """For `promtool test rules`; `files` hold the rules, as seen from the trials' place."""
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
    """ALERTS is asked for, since promtool compares an alert's annotations, too, letter by letter."""
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
