"""Here is which of our alerts a silence of Alertmanager covers, and how one of ours is said to it.

Told by API an alert bears the labels of alertmanager.labels; told by Prometheus it is named PROMETHEUS, bears
its rule as `alert`, and further labels that only Prometheus knows.
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
"""The alert that Prometheus derives of all of ours."""
MOST_REPEATS: Final = 3
_BODY: Final = r"(?:[^\\.*+?{}\[\]()|^$]|\\[^\w\s]|\.[*+]?|\|)*"
_PLAIN: Final = re.compile(rf"\^?(?:{_BODY}|\((?:\?:)?{_BODY}\))\$?")
"""Regular expressions as people write them here; those that may take for ever to match are not tried."""

Via = Literal["api", "prometheus"]


class Covered(NamedTuple):
    """`key` None: every group of the rule."""

    rule: str
    key: str | None


def matchers(rule: Rule, key: str | None, via: Via) -> list[Matcher]:
    group = dimensions(rule.by, key or "")
    return [Matcher(name, value) for name, value in {**_named(rule, via), **group}.items()]


def is_understood(kept: Kept) -> bool:
    return all(not one.is_regex or _is_plain(one.value) for one in kept.matchers)


def covered(
    kept: Kept, rules: Sequence[Rule], known: Mapping[str, Sequence[str]], via: Via
) -> Iterator[Covered]:
    """`kept` is understood. `known`: the keys of alerts there are, by rule. A silence that does not name one
    group covers those of these that fit."""
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
    """`foreign`: labels that we do not know may have any value."""
    if foreign and matcher.name not in labels and matcher.name not in DIMENSIONS:
        return True
    return _holds(matcher, labels.get(matcher.name, ""))


def _holds(matcher: Matcher, value: str) -> bool:
    found = bool(re.fullmatch(matcher.value, value)) if matcher.is_regex else matcher.value == value
    return found is matcher.is_equal


def _is_plain(expression: str) -> bool:
    repeats = max(part.count("*") + part.count("+") for part in expression.split("|"))
    return repeats <= MOST_REPEATS and _PLAIN.fullmatch(expression) is not None
