"""The verdict on a figure against its target, by its interval: as pages, alerts and Grafana say it alike."""

import operator
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from streamer.metrics.intervals import Interval

TargetVerdict = Literal["met", "missed", "unclear"]
"""`met`: the whole interval is on the good side of the target; `missed`: the whole interval is on the other
side; `unclear`: the target lies within the interval."""


class TargetCondition(NamedTuple):
    """A condition on one end of the interval: "lower >= target". `comparison` is written alike in PromQL and
    in JavaScript."""

    end: Literal["lower", "upper"]
    comparison: Literal[">=", "<=", ">", "<"]


TARGET_CONDITIONS: Final[Mapping[str, Mapping[TargetVerdict, TargetCondition]]] = {
    "higher": {"met": TargetCondition("lower", ">="), "missed": TargetCondition("upper", "<")},
    "lower": {"met": TargetCondition("upper", "<="), "missed": TargetCondition("lower", ">")},
}
"""Conditions by the side that is better. Where neither holds the verdict is `unclear`."""

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def judge_target(better: str, interval: Interval, target: float) -> TargetVerdict:
    """Return the verdict on a figure with this interval; one without an interval is (value, value).

    >>> judge_target("higher", Interval(0.78, 0.84), target=0.8)
    'unclear'
    >>> judge_target("lower", Interval(12.0, 19.5), target=20)
    'met'
    """
    for verdict, (end, comparison) in TARGET_CONDITIONS[better].items():
        if _COMPARE[comparison](getattr(interval, end), target):
            return verdict
    return "unclear"
