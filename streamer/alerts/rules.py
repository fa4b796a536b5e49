"""Alert rules: the metric and groups to evaluate, the confidence required, and the receivers.

Each rule consists of [alerts.NAME] laid over the default rule of that name. A rule that cannot work stops
the start.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from streamer.alerts.hours import Hours, HoursError, hours
from streamer.alerts.judging.bounds import Balance, Mean, Proportion, Sample, sample
from streamer.alerts.judging.classes import Classes, classes, events
from streamer.alerts.judging.confidence import growing, rolling
from streamer.alerts.verdict import Kind
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.metrics.formulas import Net, ScaleMean, Share, TallyCounts, qa_score
from streamer.metrics.tally import SCALES
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import TODAY, WINDOWS, length
from streamer.readings.query import key_parts
from streamer.readings.reader import spans
from streamer.settings import AlertSettings, Settings, SettingsError, Severity

TYPICAL: Final = 6_000
"""Observations a month assumed when a rule is checked; the real number is not known yet."""
_METRICS: Final = {
    "nps": "nps_score",
    "csat": "csat_ratio",
    "service-level": "service_level_ratio",
    "abandon": "abandon_ratio",
    "handle-time": "handle_time_seconds",
}
_TARGETS: Final = {
    f"{name}-target": {"kind": "target", "metric": metric, "shared": True, "for": "2m", "clear": "15m"}
    for name, metric in _METRICS.items()
}
_DROPS: Final = {
    f"{name}-drop": {"kind": "drop", "metric": metric, "shared": True, "clear": "15m"}
    for name, metric in _METRICS.items()
}
_SILENCE: Final = {
    "kind": "silence", "metric": "offered", "by": ALL, "severity": "critical", "for": "1m", "clear": "2m",
}  # fmt: skip
"""Evaluated from 1 minute on: a worker that has just started counts its backlog first, and that is no
alarm."""
USUAL: Final[Mapping[str, Mapping[str, Any]]] = {**_TARGETS, **_DROPS, "silence": _SILENCE}
"""Default rules by name. `handle-time-target` is in force only where a target is set."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One alert rule. `key` "": every group. `targets` by queue, "" for all others; None: no target.
    `classes`: the observation classes in which a drop or missing data is detected. `false_alarms` a month:
    for each series, or, if `shared`, for all series together."""

    name: str
    kind: Kind
    metric: Metric
    by: str
    key: str
    window: str
    targets: Mapping[str, float | None]
    classes: Classes | None
    false_alarms: float
    shared: bool
    least_support: int
    for_ms: int
    clear_ms: int
    severity: Severity
    hours: Hours
    tell: tuple[str, ...]

    def target(self, queue: str) -> float | None:
        return self.targets[queue if queue in self.targets else ""]

    def between(self, a_month: float, series: int) -> float:
        """Return the observations between two false alarms of one of that many series."""
        return max(a_month * (series if self.shared else 1) / self.false_alarms, 2.0)


def rules(settings: Settings) -> tuple[Rule, ...]:
    """Return the alert rules in force. Raises SettingsError with one line about the first rule that cannot
    work.

    >>> [rule.name for rule in rules(Settings()) if rule.kind == "silence"]
    ['silence']
    """
    found = (_rule(name, settings) for name in {**USUAL, **settings.alerts})
    return tuple(rule for rule in found if rule is not None)


def _rule(name: str, settings: Settings) -> Rule | None:
    own = settings.alerts.get(name)
    given = _overlaid(name, own)
    if not given.enabled:
        return None
    rule = _made(f"alerts.{name}", name, given, settings)
    _check_metric(f"alerts.{name}", rule, settings)
    aimless = rule.kind == "target" and not any(one is not None for one in rule.targets.values())
    if aimless and own is None:
        return None
    if aimless:
        raise SettingsError(
            f"alerts.{name}.target: required, since targets.{rule.metric.name} has no value either"
        )
    _check_group(f"alerts.{name}", rule, settings)
    if rule.kind == "target":
        _check_targets(f"alerts.{name}", rule)
    return rule


def _overlaid(name: str, own: AlertSettings | None) -> AlertSettings:
    usual = AlertSettings.model_validate(USUAL.get(name, {}))
    if own is None:
        return usual
    given = usual.model_dump(exclude_unset=True, by_alias=True) | own.model_dump(
        exclude_unset=True, by_alias=True
    )
    try:
        return AlertSettings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"alerts.{name}: {error.errors()[0]['msg']}") from None


def _made(place: str, name: str, given: AlertSettings, settings: Settings) -> Rule:
    if given.kind is None:
        raise SettingsError(f"{place}.kind: expected one of target, drop, silence")
    if given.metric not in CATALOGUE:
        raise SettingsError(
            f"{place}.metric = {given.metric!r}: expected metrics such as {', '.join([*CATALOGUE][:3])}"
        )
    metric = CATALOGUE[given.metric]
    try:
        open_hours = hours(given.hours)
    except HoursError as error:
        raise SettingsError(f"{place}.hours: {error}") from None
    return Rule(
        name=name,
        kind=given.kind,
        metric=metric,
        by=given.by,
        key=given.key,
        window=given.window,
        targets=_targets(given, metric, settings) if given.kind == "target" else {"": None},
        classes={"target": None, "drop": classes(metric), "silence": events(metric)}[given.kind],
        false_alarms=given.false_alarms,
        shared=given.shared,
        least_support=settings.least_support if given.least_support is None else given.least_support,
        for_ms=round(given.for_.total_seconds() * 1000),
        clear_ms=round(given.clear.total_seconds() * 1000),
        severity=given.severity,
        hours=open_hours,
        tell=_told(place, given, settings),
    )


def _told(place: str, given: AlertSettings, settings: Settings) -> tuple[str, ...]:
    for name in given.tell or ():
        if name not in settings.receivers:
            known = ", ".join(settings.receivers) or "the names in [receivers], which is empty"
            raise SettingsError(f"{place}.tell = {name!r}: expected some of {known}")
    return tuple(settings.receivers if given.tell is None else given.tell)


def _targets(given: AlertSettings, metric: Metric, settings: Settings) -> dict[str, float | None]:
    if given.target is not None:
        return {"": given.target}
    own = {queue: settings.target(metric.name, queue) for queue in settings.targets.queues}
    return {"": settings.target(metric.name), **own}


def _check_metric(place: str, rule: Rule, settings: Settings) -> None:
    name = rule.metric.name
    if rule.kind == "target" and sample(rule.metric, TallyCounts({})) is None:
        raise SettingsError(f"{place}.metric = {name!r}: a target needs a metric with an interval")
    if rule.kind == "drop" and rule.classes is None:
        can = ", ".join(metric.name for metric in CATALOGUE.values() if classes(metric) is not None)
        raise SettingsError(f"{place}.metric = {name!r}: a drop can be detected in {can}")
    if rule.kind == "silence" and rule.classes is None:
        can = ", ".join(metric.name for metric in CATALOGUE.values() if events(metric) is not None)
        raise SettingsError(f"{place}.metric = {name!r}: silence can be detected in {can}")
    if rule.kind == "target":
        _check_window(place, rule, settings)


def _check_window(place: str, rule: Rule, settings: Settings) -> None:
    around = spans(settings)
    can = [window for window in WINDOWS if rule.metric.windows.serve(length(window), around)]
    if rule.window not in WINDOWS:
        raise SettingsError(f"{place}.window = {rule.window!r}: expected one of {', '.join(WINDOWS)}")
    if rule.window not in can:
        raise SettingsError(
            f"{place}.window = {rule.window!r}: {rule.metric.name} is read over {', '.join(can)}"
        )


def _check_group(place: str, rule: Rule, settings: Settings) -> None:
    known = (ALL, *DIMENSIONS, *settings.pairs)
    if rule.by not in known:
        raise SettingsError(f"{place}.by = {rule.by!r}: expected one of {', '.join(known)}")
    if not rule.metric.readable_by(rule.by):
        raise SettingsError(f"{place}.by = {rule.by!r}: {rule.metric.name} is not available by that")
    if rule.key and rule.by == ALL:
        raise SettingsError(f"{place}.key = {rule.key!r}: there are no keys by {ALL}")
    if rule.key and len(key_parts(rule.by, rule.key)) != len(rule.by.split(",")):
        raise SettingsError(f"{place}.key = {rule.key!r}: expected a value for each of {rule.by}")


# Targets that a sample can miss.


def _ends(metric: Metric) -> tuple[float, float]:
    """Return the lowest and the highest value that the metric can have."""
    match formula := metric.measure.formulas[metric.stats[0]]:
        case Share():
            return 0.0, 1.0
        case Net():
            return -100.0, 100.0
        case ScaleMean(question):
            return SCALES[question][0], SCALES[question][-1]
    return (0.0, 100.0) if formula is qa_score else (0.0, float("inf"))


def _check_targets(place: str, rule: Rule) -> None:
    for queue, target in rule.targets.items():
        if target is not None:
            _check_target(
                f"{place}.target = {target:g}" + (f" (of queue {queue})" if queue else ""), rule, target
            )


def _check_target(place: str, rule: Rule, target: float) -> None:
    low, high = _ends(rule.metric)
    higher = rule.metric.better == "higher"
    if not low <= target <= high:
        raise SettingsError(f"{place}: {rule.metric.name} lies between {low:g} and {high:g}")
    if target == (low if higher else high):
        raise SettingsError(f"{place}: no {rule.metric.name} is worse, so the rule would never fire")
    if not beyond(rule.metric, worst(rule.metric, rule.least_support), target, _z(rule)):
        raise SettingsError(
            f"{place}: the rule would never fire; set least_support to {_enough(rule, target)}: "
            f"with {rule.least_support} observations, even the worst sample may be chance"
        )


def beyond(metric: Metric, observed: Sample, target: float, z: float) -> bool:
    """Tell whether the whole interval lies on the wrong side of the target.

    >>> beyond(CATALOGUE["csat_ratio"], Proportion(30, 60), target=0.8, z=3.0)
    True
    >>> beyond(CATALOGUE["csat_ratio"], Proportion(3, 6), target=0.8, z=3.0)
    False
    """
    lower, upper = observed.bounds(z, target)
    return upper < target if metric.better == "higher" else lower > target


def worst(metric: Metric, of: int) -> Sample:
    """Return a sample of that many observations, all as bad as possible; where a metric has no worst
    value, one so bad that it decides."""
    low, high = _ends(metric)
    end = low if metric.better == "higher" else min(high, 1e9)
    match metric.measure.formulas[metric.stats[0]]:
        case Share():
            return Proportion(0 if metric.better == "higher" else of, of)
        case Net():
            return Balance(0, of, of)
    return Mean(max(of, 2), max(of, 2) * end, max(of, 2) * end * end)


def _z(rule: Rule) -> float:
    least, between = max(rule.least_support, 1), rule.between(TYPICAL, 1)
    if rule.window == TODAY:
        return growing(least, TYPICAL / 30, between)
    return rolling(least, between)


def _enough(rule: Rule, target: float) -> str:
    for of in _growing_numbers():
        if beyond(rule.metric, worst(rule.metric, of), target, _z(rule)):
            return f"{of} or more"
    return "millions"


def _growing_numbers() -> Iterator[int]:
    number = 1
    while number < 10**7:
        yield number
        number += max(1, number // 10)
