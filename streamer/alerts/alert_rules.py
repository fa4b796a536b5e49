"""Alert rules: the metric and groups to evaluate, the confidence required, and the receivers.

Each rule consists of [alerts.NAME] laid over the default rule of that name. A rule that cannot work stops
the start.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from streamer.alerts.opening_hours import HoursError, OpeningHours, parse_hours
from streamer.alerts.statistics.confidence import growing_z, rolling_z
from streamer.alerts.statistics.observation_classes import event_classes, metric_classes
from streamer.alerts.verdict import RuleKind
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.samples import MetricSample
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import TODAY, WINDOWS, window_length_ms
from streamer.readings.metric_spans import window_spans
from streamer.readings.query import key_values
from streamer.settings import AlertSettings, Settings, SettingsError, Severity

TYPICAL_PER_MONTH: Final = 6_000
"""Observations a month assumed when a rule is checked; the real number is not known yet."""
_METRICS: Final = {
    "nps": "nps_score",
    "csat": "csat_ratio",
    "service-level": "service_level_ratio",
    "abandon": "abandon_ratio",
    "handle-time": "handle_time_seconds",
}
_TARGET_RULES: Final = {
    f"{name}-target": {
        "kind": "target",
        "metric": metric,
        "shared": True,
        "for": "2m",
        "keep_firing_for": "15m",
    }
    for name, metric in _METRICS.items()
}
_DROP_RULES: Final = {
    f"{name}-drop": {"kind": "drop", "metric": metric, "shared": True, "keep_firing_for": "15m"}
    for name, metric in _METRICS.items()
}
_NO_DATA_RULE: Final = {
    "kind": "silence", "metric": "offered", "by": ALL, "severity": "critical",
    "for": "1m", "keep_firing_for": "2m",
}  # fmt: skip
"""Evaluated from 1 minute on: a worker that has just started counts its backlog first, and that is no
alarm."""
DEFAULT_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    **_TARGET_RULES,
    **_DROP_RULES,
    "silence": _NO_DATA_RULE,
}
"""Default rules by name. `handle-time-target` is in force only where a target is set."""


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """One alert rule. `key` "": every group. `targets` by queue, "" for all others; None: no target.
    `classes`: the observation classes in which a drop or missing data is detected. `false_alarms` a month:
    for each series, or, if `shared`, for all series together."""

    name: str
    kind: RuleKind
    metric: Metric
    by: str
    key: str
    window: str
    targets: Mapping[str, float | None]
    classes: ObservationClasses | None
    false_alarms: float
    shared: bool
    least_support: int
    for_ms: int
    clear_ms: int
    severity: Severity
    hours: OpeningHours
    tell: tuple[str, ...]

    def target(self, queue: str) -> float | None:
        return self.targets[queue if queue in self.targets else ""]

    def observations_per_alarm(self, a_month: float, series_count: int) -> float:
        """Return the observations between two false alarms of one of that many series."""
        return max(a_month * (series_count if self.shared else 1) / self.false_alarms, 2.0)


def load_alert_rules(settings: Settings) -> tuple[AlertRule, ...]:
    """Return the alert rules in force. Raises SettingsError with one line about the first rule that cannot
    work.

    >>> [rule.name for rule in load_alert_rules(Settings()) if rule.kind == "silence"]
    ['silence']
    """
    candidates = (_load_rule(name, settings) for name in {**DEFAULT_RULES, **settings.alerts})
    return tuple(rule for rule in candidates if rule is not None)


def _load_rule(name: str, settings: Settings) -> AlertRule | None:
    overrides = settings.alerts.get(name)
    config = _merge_defaults(name, overrides)
    if not config.enabled:
        return None
    rule = _build_rule(f"alerts.{name}", name, config, settings)
    _check_metric(f"alerts.{name}", rule, settings)
    lacks_target = rule.kind == "target" and not any(target is not None for target in rule.targets.values())
    if lacks_target and overrides is None:
        return None
    if lacks_target:
        raise SettingsError(
            f"alerts.{name}.target: required, since targets.{rule.metric.name} has no value either"
        )
    _check_group(f"alerts.{name}", rule, settings)
    if rule.kind == "target":
        _check_targets(f"alerts.{name}", rule)
    return rule


def _merge_defaults(name: str, overrides: AlertSettings | None) -> AlertSettings:
    defaults = AlertSettings.model_validate(DEFAULT_RULES.get(name, {}))
    if overrides is None:
        return defaults
    merged = defaults.model_dump(exclude_unset=True, by_alias=True) | overrides.model_dump(
        exclude_unset=True, by_alias=True
    )
    try:
        return AlertSettings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(f"alerts.{name}: {error.errors()[0]['msg']}") from None


def _build_rule(setting: str, name: str, config: AlertSettings, settings: Settings) -> AlertRule:
    if config.kind is None:
        raise SettingsError(f"{setting}.kind: expected one of target, drop, silence")
    if config.metric not in CATALOGUE:
        raise SettingsError(
            f"{setting}.metric = {config.metric!r}: expected metrics such as {', '.join([*CATALOGUE][:3])}"
        )
    metric = CATALOGUE[config.metric]
    try:
        open_hours = parse_hours(config.hours)
    except HoursError as error:
        raise SettingsError(f"{setting}.hours: {error}") from None
    return AlertRule(
        name=name,
        kind=config.kind,
        metric=metric,
        by=config.by,
        key=config.key,
        window=config.window,
        targets=_targets_by_queue(config, metric, settings) if config.kind == "target" else {"": None},
        classes={"target": None, "drop": metric_classes(metric), "silence": event_classes(metric)}[
            config.kind
        ],
        false_alarms=config.false_alarms,
        shared=config.shared,
        least_support=settings.min_sample if config.min_sample is None else config.min_sample,
        for_ms=round(config.for_.total_seconds() * 1000),
        clear_ms=round(config.keep_firing_for.total_seconds() * 1000),
        severity=config.severity,
        hours=open_hours,
        tell=_receiver_names(setting, config, settings),
    )


def _receiver_names(setting: str, config: AlertSettings, settings: Settings) -> tuple[str, ...]:
    for name in config.receivers or ():
        if name not in settings.receivers:
            choices = ", ".join(settings.receivers) or "the names in [receivers], which is empty"
            raise SettingsError(f"{setting}.receivers = {name!r}: expected some of {choices}")
    return tuple(settings.receivers if config.receivers is None else config.receivers)


def _targets_by_queue(config: AlertSettings, metric: Metric, settings: Settings) -> dict[str, float | None]:
    if config.target is not None:
        return {"": config.target}
    queue_targets = {queue: settings.target(metric.name, queue) for queue in settings.targets.queues}
    return {"": settings.target(metric.name), **queue_targets}


def _check_metric(setting: str, rule: AlertRule, settings: Settings) -> None:
    name = rule.metric.name
    if rule.kind == "target" and rule.metric.formula.mean is None:
        raise SettingsError(f"{setting}.metric = {name!r}: a target needs a metric with an interval")
    if rule.kind == "drop" and rule.classes is None:
        metric_names = ", ".join(
            metric.name for metric in CATALOGUE.values() if metric_classes(metric) is not None
        )
        raise SettingsError(f"{setting}.metric = {name!r}: a drop can be detected in {metric_names}")
    if rule.kind == "silence" and rule.classes is None:
        metric_names = ", ".join(
            metric.name for metric in CATALOGUE.values() if event_classes(metric) is not None
        )
        raise SettingsError(f"{setting}.metric = {name!r}: silence can be detected in {metric_names}")
    if rule.kind == "target":
        _check_window(setting, rule, settings)


def _check_window(setting: str, rule: AlertRule, settings: Settings) -> None:
    retained_spans = window_spans(settings)
    windows = [
        window for window in WINDOWS if rule.metric.windows.allows(window_length_ms(window), retained_spans)
    ]
    if rule.window not in WINDOWS:
        raise SettingsError(f"{setting}.window = {rule.window!r}: expected one of {', '.join(WINDOWS)}")
    if rule.window not in windows:
        raise SettingsError(
            f"{setting}.window = {rule.window!r}: {rule.metric.name} is read over {', '.join(windows)}"
        )


def _check_group(setting: str, rule: AlertRule, settings: Settings) -> None:
    groupings = (ALL, *DIMENSIONS, *settings.dimension_pairs)
    if rule.by not in groupings:
        raise SettingsError(f"{setting}.by = {rule.by!r}: expected one of {', '.join(groupings)}")
    if not rule.metric.can_group_by(rule.by):
        raise SettingsError(f"{setting}.by = {rule.by!r}: {rule.metric.name} is not available by that")
    if rule.key and rule.by == ALL:
        raise SettingsError(f"{setting}.key = {rule.key!r}: there are no keys by {ALL}")
    if rule.key and len(key_values(rule.by, rule.key)) != len(rule.by.split(",")):
        raise SettingsError(f"{setting}.key = {rule.key!r}: expected a value for each of {rule.by}")


# Targets that a sample can miss.


def _check_targets(setting: str, rule: AlertRule) -> None:
    for queue, target in rule.targets.items():
        if target is not None:
            _check_target(
                f"{setting}.target = {target:g}" + (f" (of queue {queue})" if queue else ""), rule, target
            )


def _check_target(setting: str, rule: AlertRule, target: float) -> None:
    low, high = rule.metric.formula.bounds
    higher = rule.metric.better == "higher"
    if not low <= target <= high:
        raise SettingsError(f"{setting}: {rule.metric.name} lies between {low:g} and {high:g}")
    if target == (low if higher else high):
        raise SettingsError(f"{setting}: no {rule.metric.name} is worse, so the rule would never fire")
    if not is_beyond_target(
        rule.metric, worst_sample(rule.metric, rule.least_support), target, _required_z(rule)
    ):
        raise SettingsError(
            f"{setting}: the rule would never fire; set min_sample to {_least_needed(rule, target)}: "
            f"with {rule.least_support} observations, even the worst sample may be chance"
        )


def is_beyond_target(metric: Metric, observed: MetricSample, target: float, z: float) -> bool:
    """Tell whether the whole interval lies on the wrong side of the target.

    >>> from streamer.metrics.samples import ProportionSample
    >>> is_beyond_target(CATALOGUE["csat_ratio"], ProportionSample(30, 60), target=0.8, z=3.0)
    True
    >>> is_beyond_target(CATALOGUE["csat_ratio"], ProportionSample(3, 6), target=0.8, z=3.0)
    False
    """
    lower, upper = observed.bounds(z, target)
    return upper < target if metric.better == "higher" else lower > target


def worst_sample(metric: Metric, size: int) -> MetricSample:
    """Return a sample of that many observations, all as bad as possible; where a metric has no worst
    value, one so bad that it decides."""
    mean = metric.formula.mean
    assert mean is not None
    low, high = mean.bounds
    worst_value = low if metric.better == "higher" else min(high, 1e9)
    size = max(size, mean.least_size)
    return mean.sample_of(size, size * worst_value, size * worst_value * worst_value)


def _required_z(rule: AlertRule) -> float:
    least, per_alarm = max(rule.least_support, 1), rule.observations_per_alarm(TYPICAL_PER_MONTH, 1)
    if rule.window == TODAY:
        return growing_z(least, TYPICAL_PER_MONTH / 30, per_alarm)
    return rolling_z(least, per_alarm)


def _least_needed(rule: AlertRule, target: float) -> str:
    for size in _growing_numbers():
        if is_beyond_target(rule.metric, worst_sample(rule.metric, size), target, _required_z(rule)):
            return f"{size} or more"
    return "millions"


def _growing_numbers() -> Iterator[int]:
    number = 1
    while number < 10**7:
        yield number
        number += max(1, number // 10)
