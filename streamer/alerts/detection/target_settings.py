"""Checks of a rule's window and targets: a rule that would never fire stops the start."""

from collections.abc import Iterator
from typing import Final

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.statistics.confidence import growing_z, rolling_z
from streamer.metrics.catalogue import Metric
from streamer.metrics.samples import MetricSample
from streamer.panes.windows import TODAY, WINDOWS, window_length_ms
from streamer.readings.metric_spans import window_spans
from streamer.settings import Settings, SettingsError

TYPICAL_PER_MONTH: Final = 6_000
"""Observations a month assumed when a rule is checked; the real number is not known yet."""


def check_rule_window(setting: str, rule: AlertRule, settings: Settings) -> None:
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


def check_rule_targets(setting: str, rule: AlertRule) -> None:
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

    >>> from streamer.metrics.catalogue import CATALOGUE
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
