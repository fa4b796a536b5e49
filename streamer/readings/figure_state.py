"""What a figure is called beside its target: on the wall, in the figures of alerts, and in reports alike."""

from typing import Literal

from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.intervals import Interval
from streamer.metrics.target_verdict import TargetVerdict, judge_target
from streamer.readings.query import Reading

FigureState = TargetVerdict | Literal["no_target", "no_data"]


def has_interval(reading: Reading) -> bool:
    """Tell whether the metric of a figure is told with an interval."""
    return bool(CATALOGUE[reading.metric].measure.interval)


def has_small_sample(reading: Reading, least_support: int) -> bool:
    """Tell whether a figure with an interval comes from a sample below `least_support`."""
    return reading.value is not None and has_interval(reading) and reading.support < least_support


def figure_state(reading: Reading, target: float | None) -> FigureState:
    """Return the verdict on a figure by its interval, else why there is none."""
    if reading.value is None:
        return "no_data"
    if target is None:
        return "no_target"
    value = reading.value
    lower, upper = (value if end is None else end for end in (reading.lower, reading.upper))
    return judge_target(reading.better, Interval(lower, upper), target)
