"""Alert rules: the metric and groups to evaluate, the confidence required, and the receivers.

Each rule consists of [alerts.NAME] laid over the default rule of that name. A rule that cannot work stops
the start.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.opening_hours import HoursError, parse_hours
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import NOW
from streamer.readings.query import QueryError, key_values
from streamer.runtime.choices import expected_choice
from streamer.settings import AlertSettings, Settings, SettingsError

_METRICS: Final = {
    "nps": "nps_score",
    "csat": "csat_ratio",
    "service-level": "service_level_ratio",
    "abandon": "abandon_ratio",
    "handle-time": "handle_time_seconds",
}
_TARGET_RULES: Final = {
    f"{name}-target": {
        "kind": "threshold",
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
    "kind": "no_data", "metric": "offered", "by": ALL, "severity": "critical",
    "for": "1m", "keep_firing_for": "2m",
}  # fmt: skip
"""Evaluated from 1 minute on: a worker that has just started counts its backlog first, and that is no
alarm."""
_LIVE_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "long-wait": {
        "kind": "limit", "metric": "longest_wait_seconds", "target": 120,
        "for": "30s", "keep_firing_for": "1m",
    },
    "nobody-available": {
        "kind": "unattended", "metric": "agents_available", "for": "1m", "keep_firing_for": "1m",
    },
}  # fmt: skip
"""In force everywhere, and silent where no source sends states: `alerts list` says so."""
DEFAULT_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    **_TARGET_RULES,
    **_DROP_RULES,
    "silence": _NO_DATA_RULE,
    **_LIVE_RULES,
}
"""Default rules by name. `handle-time-target` is in force only where a target is set."""


def load_alert_rules(settings: Settings) -> tuple[AlertRule, ...]:
    """Return the alert rules in force. Raises SettingsError with one line about the first rule that cannot
    work.

    >>> [rule.name for rule in load_alert_rules(Settings()) if rule.kind == "no_data"]
    ['silence']
    """
    candidates = (_load_rule(name, settings) for name in {**DEFAULT_RULES, **settings.alerts})
    return tuple(rule for rule in candidates if rule is not None)


def _load_rule(name: str, settings: Settings) -> AlertRule | None:
    overrides = settings.alerts.get(name)
    config = _merge_defaults(name, overrides)
    if not config.enabled:
        return None
    _check_unused(f"alerts.{name}", config)
    rule = _build_rule(f"alerts.{name}", name, config, settings)
    detector = DETECTORS[rule.kind]
    detector.check_metric(f"alerts.{name}", rule, settings)
    lacks_target = detector.uses_target and not any(target is not None for target in rule.targets.values())
    if lacks_target and overrides is None:
        return None
    if lacks_target:
        raise SettingsError(
            f"alerts.{name}.target: required, since targets.{rule.metric.name} has no value either"
        )
    _check_group(f"alerts.{name}", rule, settings)
    detector.check_targets(f"alerts.{name}", rule)
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
        raise SettingsError(f"{setting}.kind: expected one of {', '.join(DETECTORS)}")
    if config.metric not in CATALOGUE:
        raise SettingsError(
            f"{setting}.metric = {config.metric!r}: {expected_choice(config.metric, CATALOGUE)}"
        )
    metric, detector = CATALOGUE[config.metric], DETECTORS[config.kind]
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
        window=_window(config),
        targets=_targets_by_queue(config, metric, settings) if detector.uses_target else {"": None},
        series=detector.series_name(metric),
        classes=detector.classes(metric),
        false_alarms=config.false_alarms,
        shared=config.shared,
        least_support=settings.min_sample if config.min_sample is None else config.min_sample,
        for_ms=round(config.for_.total_seconds() * 1000),
        clear_ms=round(config.keep_firing_for.total_seconds() * 1000),
        severity=config.severity,
        hours=open_hours,
        tell=_receiver_names(setting, config, settings),
    )


_CHANCE_SETTINGS: Final = ("false_alarms", "shared", "min_sample")
"""Settings of rules that may fire by chance."""


def _check_unused(setting: str, config: AlertSettings) -> None:
    """Raise SettingsError for a setting that says nothing to a rule on what is going on now."""
    if config.kind is None or not DETECTORS[config.kind].is_live:
        return
    for name in _CHANCE_SETTINGS:
        if name in config.model_fields_set:
            raise SettingsError(
                f"{setting}.{name}: expected nothing, since a rule of kind {config.kind} counts "
                "what is going on now, which is no matter of chance"
            )


def _window(config: AlertSettings) -> str:
    is_live = config.kind is not None and DETECTORS[config.kind].is_live
    return NOW if is_live and "window" not in config.model_fields_set else config.window


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


def _check_group(setting: str, rule: AlertRule, settings: Settings) -> None:
    groupings = (ALL, *DIMENSIONS, *settings.dimension_pairs)
    if rule.by not in groupings:
        raise SettingsError(f"{setting}.by = {rule.by!r}: {expected_choice(rule.by, groupings)}")
    if not rule.metric.can_group_by(rule.by):
        raise SettingsError(f"{setting}.by = {rule.by!r}: {rule.metric.name} is not available by that")
    if rule.key and rule.by == ALL:
        raise SettingsError(f"{setting}.key = {rule.key!r}: there are no keys by {ALL}")
    if rule.key:
        try:
            key_values(rule.by, rule.key)
        except QueryError as error:
            raise SettingsError(f"{setting}.{error}") from None
