"""Describe metrics for Grafana: title, description, unit, scale and thresholds."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

from streamer.alerts.formatting import spell_out
from streamer.metrics.catalogue import Metric
from streamer.metrics.target_verdict import TargetVerdict
from streamer.settings import Settings

NEUTRAL_COLOR: Final = "blue"
MET_COLOR: Final = "green"
MISSED_COLOR: Final = "red"
VERDICT_COLORS: Final[Mapping[TargetVerdict, str]] = {
    "missed": MISSED_COLOR, "unclear": "orange", "met": MET_COLOR,
}  # fmt: skip
"""Colours of the verdicts, in the order in which they are shown."""
VERDICT_WORDS: Final[Mapping[TargetVerdict, str]] = {
    "missed": "Off target", "unclear": "Unclear", "met": "On target",
}  # fmt: skip

_UNITS: Final = {
    "ratio": ("percentunit", 1),
    "seconds": ("s", 1),
    "count": ("none", 0),
    "points": ("none", 1),
    "score": ("none", 2),
    "erlangs": ("suffix: erl", 1),
}
_SUFFIXES: Final = ("_seconds", "_erlangs")


class FieldScale(NamedTuple):
    """The format of a panel's values: Grafana's unit, decimals, and where bars begin and end."""

    unit: str
    decimals: int
    least: float | None = None
    most: float | None = None


def metric_title(metric: Metric) -> str:
    """Return a metric's title for people.

    >>> from streamer.metrics.catalogue import CATALOGUE
    >>> metric_title(CATALOGUE["nps_score"]), metric_title(CATALOGUE["handle_time_seconds"])
    ('NPS score', 'Handle time')
    """
    name = metric.name
    if metric.formula.needs == "time" and metric.unit == "seconds":
        name = name.removesuffix("_seconds") + "_time"
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return spell_out(name)


def metric_description(metric: Metric, settings: Settings) -> str:
    """Return the catalogue's description and formula, with the target and the smallest sample shown."""
    sentences = [metric.help, f"Formula: {metric.measure.words}.", f"Better: {metric.better}."]
    target = settings.target(metric.name)
    if target is not None:
        sentences.append(f"Target: {target:g}.")
    if metric.measure.interval:
        sentences.append(f"Not shown below a support of {settings.min_sample}.")
    return " ".join(sentences)


def metric_scale(metric: Metric, settings: Settings) -> FieldScale:
    """Return the format of a metric's values. Raises KeyError for a unit that is not known here."""
    if metric.unit == "currency":
        return FieldScale(f"suffix: {settings.currency}", 2, 0)
    unit, decimals = _UNITS[metric.unit]
    return FieldScale(unit, decimals, *_scale_ends(metric))


def _scale_ends(metric: Metric) -> tuple[float, float | None]:
    lowest, highest = metric.formula.bounds
    # A share that should be small, such as the abandon ratio, is better compared with the largest bar.
    is_small_share = metric.unit == "ratio" and metric.better == "lower"
    return lowest, None if is_small_share or highest == float("inf") else highest


def target_thresholds(better: str, target: float | None) -> ThresholdsConfig:
    """Return thresholds that colour values below and from the target on; a single colour without a target."""
    below, above = {"higher": (MISSED_COLOR, MET_COLOR), "lower": (MET_COLOR, MISSED_COLOR)}[better]
    steps = [Threshold(value=None, color=NEUTRAL_COLOR if target is None else below)]
    if target is not None:
        steps.append(Threshold(value=target, color=above))
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
