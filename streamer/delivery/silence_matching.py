"""Translation between silences of Alertmanager and the groups of alerts that they cover.

Posted by API, an alert has the labels of `alert_labels`. Passed on by Prometheus, its name is
PROMETHEUS_ALERTNAME, its label `alert` is the rule, and it has further labels that only Prometheus knows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from streamer.alerts.alert_message import PROMETHEUS_ALERTNAME
from streamer.alerts.alert_rule import AlertRule
from streamer.delivery.alertmanager_client import AlertmanagerSilence, SilenceMatcher
from streamer.events.models import DIMENSIONS
from streamer.panes.pane_keys import ALL, format_key
from streamer.readings.query import dimension_values, key_values

MAX_REPEATS: Final = 3
_BODY: Final = r"(?:[^\\.*+?{}\[\]()|^$]|\\[^\w\s]|\.[*+]?|\|)*"
_PLAIN: Final = re.compile(rf"\^?(?:{_BODY}|\((?:\?:)?{_BODY}\))\$?")
"""Simple regular expressions, as people write them here. Others may take exponential time to match."""

Via = Literal["api", "prometheus"]


class CoveredGroup(NamedTuple):
    """Group that a silence covers; `key` None: every group of the rule."""

    rule: str
    key: str | None


def build_matchers(rule: AlertRule, key: str | None, via: Via) -> list[SilenceMatcher]:
    """Return the matchers of a silence for one group of a rule, or all its groups (`key` None). Raises
    QueryError for the text of no group, which would else silence all of them."""
    group = dict(zip(rule.by.split(","), key_values(rule.by, key), strict=True)) if key else {}
    return [SilenceMatcher(name, value) for name, value in {**_name_labels(rule, via), **group}.items()]


def is_supported(silence: AlertmanagerSilence) -> bool:
    """Tell whether all regular expressions of a silence are simple enough to be matched safely."""
    return all(not matcher.is_regex or _is_safe_regex(matcher.value) for matcher in silence.matchers)


def covered_groups(
    silence: AlertmanagerSilence,
    rules: Sequence[AlertRule],
    keys_by_rule: Mapping[str, Sequence[str]],
    via: Via,
) -> Iterator[CoveredGroup]:
    """Yield the groups that a supported silence covers.

    `keys_by_rule`: keys of existing alerts. A silence that does not name one group exactly covers those of
    them that match.
    """
    is_named = any(
        matcher.name in ("alertname", "alert") and not _value_matches(matcher, "")
        for matcher in silence.matchers
    )
    allows_unknown = is_named and via == "prometheus"
    for rule in rules:
        dimension_names = () if rule.by == ALL else rule.by.split(",")
        group_matchers = [matcher for matcher in silence.matchers if matcher.name in dimension_names]
        other_matchers = (matcher for matcher in silence.matchers if matcher.name not in dimension_names)
        if all(_labels_match(matcher, _rule_labels(rule, via), allows_unknown) for matcher in other_matchers):
            yield from (
                CoveredGroup(rule.name, key)
                for key in _covered_keys(group_matchers, rule.by, keys_by_rule.get(rule.name, ()))
            )


def _covered_keys(group_matchers: Sequence[SilenceMatcher], by: str, keys: Sequence[str]) -> list[str | None]:
    if not group_matchers:
        return [None]
    exact_values = {
        matcher.name: matcher.value
        for matcher in group_matchers
        if matcher.is_equal and not matcher.is_regex and matcher.value
    }
    if len(exact_values) == len(group_matchers) == len(by.split(",")):
        return [format_key([exact_values[name] for name in by.split(",")])]
    return [
        key
        for key in keys
        if all(
            _value_matches(matcher, dimension_values(by, key).get(matcher.name, ""))
            for matcher in group_matchers
        )
    ]


def _name_labels(rule: AlertRule, via: Via) -> dict[str, str]:
    return (
        {"alertname": rule.name} if via == "api" else {"alertname": PROMETHEUS_ALERTNAME, "alert": rule.name}
    )


def _rule_labels(rule: AlertRule, via: Via) -> dict[str, str]:
    return {**_name_labels(rule, via), "severity": rule.severity, "metric": rule.metric.name, "by": rule.by}


def _labels_match(matcher: SilenceMatcher, labels: Mapping[str, str], allows_unknown: bool) -> bool:
    """Tell whether labels match. `allows_unknown`: a label that only Prometheus knows may have any value."""
    if allows_unknown and matcher.name not in labels and matcher.name not in DIMENSIONS:
        return True
    return _value_matches(matcher, labels.get(matcher.name, ""))


def _value_matches(matcher: SilenceMatcher, value: str) -> bool:
    is_match = bool(re.fullmatch(matcher.value, value)) if matcher.is_regex else matcher.value == value
    return is_match is matcher.is_equal


def _is_safe_regex(expression: str) -> bool:
    """Tell whether an expression cannot take exponential time.

    >>> [_is_safe_regex(expression) for expression in ("billing|sales", "north-.*", "(a+)+")]
    [True, True, False]
    """
    repeats = max(branch.count("*") + branch.count("+") for branch in expression.split("|"))
    return repeats <= MAX_REPEATS and _PLAIN.fullmatch(expression) is not None
