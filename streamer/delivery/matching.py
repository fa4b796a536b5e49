"""Translation between silences of Alertmanager and the groups of alerts that they cover.

Posted by API, an alert has the labels of `alert_labels`. Passed on by Prometheus, its name is
PROMETHEUS_ALERTNAME, its label `alert` is the rule, and it has further labels that only Prometheus knows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from streamer.alerts.rules import Rule
from streamer.delivery.alertmanager import Kept, Matcher
from streamer.events.models import DIMENSIONS
from streamer.panes.pane_keys import ALL
from streamer.readings.query import dimensions

PROMETHEUS: Final = "ContactCenterAlert"
"""Name of the one alert that the generated Prometheus rules make of all alerts."""
MOST_REPEATS: Final = 3
_BODY: Final = r"(?:[^\\.*+?{}\[\]()|^$]|\\[^\w\s]|\.[*+]?|\|)*"
_PLAIN: Final = re.compile(rf"\^?(?:{_BODY}|\((?:\?:)?{_BODY}\))\$?")
"""Simple regular expressions, as people write them here. Others may take exponential time to match."""

Via = Literal["api", "prometheus"]


class Covered(NamedTuple):
    """Group that a silence covers; `key` None: every group of the rule."""

    rule: str
    key: str | None


def matchers(rule: Rule, key: str | None, via: Via) -> list[Matcher]:
    """Return the matchers of a silence for one group of a rule, or all its groups (`key` None)."""
    group = dimensions(rule.by, key or "")
    return [Matcher(name, value) for name, value in {**_named(rule, via), **group}.items()]


def is_understood(kept: Kept) -> bool:
    """Tell whether all regular expressions of a silence are simple enough to be matched safely."""
    return all(not one.is_regex or _is_plain(one.value) for one in kept.matchers)


def covered(
    kept: Kept, rules: Sequence[Rule], known: Mapping[str, Sequence[str]], via: Via
) -> Iterator[Covered]:
    """Yield the groups that a supported silence covers.

    `keys_by_rule`: keys of existing alerts. A silence that does not name one group exactly covers those of
    them that match.
    """
    is_named = any(one.name in ("alertname", "alert") and not _holds(one, "") for one in kept.matchers)
    foreign = is_named and via == "prometheus"
    for rule in rules:
        names = () if rule.by == ALL else rule.by.split(",")
        mine = [one for one in kept.matchers if one.name in names]
        others = (one for one in kept.matchers if one.name not in names)
        if all(_fits(one, _own(rule, via), foreign) for one in others):
            yield from (Covered(rule.name, key) for key in _keys(mine, rule.by, known.get(rule.name, ())))


def _keys(mine: Sequence[Matcher], by: str, known: Sequence[str]) -> list[str | None]:
    if not mine:
        return [None]
    exact = {one.name: one.value for one in mine if one.is_equal and not one.is_regex and one.value}
    if len(exact) == len(mine) == len(by.split(",")):
        return [",".join(exact[name] for name in by.split(","))]
    return [key for key in known if all(_holds(one, dimensions(by, key)[one.name]) for one in mine)]


def _named(rule: Rule, via: Via) -> dict[str, str]:
    return {"alertname": rule.name} if via == "api" else {"alertname": PROMETHEUS, "alert": rule.name}


def _own(rule: Rule, via: Via) -> dict[str, str]:
    return {**_named(rule, via), "severity": rule.severity, "metric": rule.metric.name, "by": rule.by}


def _fits(matcher: Matcher, labels: Mapping[str, str], foreign: bool) -> bool:
    """Tell whether labels match. `allows_unknown`: a label that only Prometheus knows may have any value."""
    if foreign and matcher.name not in labels and matcher.name not in DIMENSIONS:
        return True
    return _holds(matcher, labels.get(matcher.name, ""))


def _holds(matcher: Matcher, value: str) -> bool:
    found = bool(re.fullmatch(matcher.value, value)) if matcher.is_regex else matcher.value == value
    return found is matcher.is_equal


def _is_plain(expression: str) -> bool:
    """Tell whether an expression cannot take exponential time.

    >>> [_is_plain(expression) for expression in ("billing|sales", "north-.*", "(a+)+")]
    [True, True, False]
    """
    repeats = max(part.count("*") + part.count("+") for part in expression.split("|"))
    return repeats <= MOST_REPEATS and _PLAIN.fullmatch(expression) is not None
