"""Sums that a metric's mean is computed from: the number, the sum and the sum of squares of its
observations."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.judging.evidence import Floats
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import DurationMean, Net, ScaleMean, Share, qa_score
from streamer.metrics.intervals import Interval, adjusted_wald, normal, wilson
from streamer.metrics.tally import FIRST_BUCKET, NUMBER, SCALES


class Amount(NamedTuple):
    """Number, sum and sum of squares of observations: 0 and 1 for a share, −100, 0 and 100 for a net
    score, else in the metric's unit. The sums of subgroups add up to that of the whole.

    >>> red, blue = Amount(4, 200.0, 20_000.0), Amount(6, -300.0, 30_000.0)
    >>> red.mean, blue.mean, red.plus(blue).mean
    (50.0, -50.0, -10.0)
    """

    of: float
    total: float
    squares: float

    @property
    def mean(self) -> float | None:
        return self.total / self.of if self.of else None

    def plus(self, other: "Amount") -> "Amount":
        return Amount(self.of + other.of, self.total + other.total, self.squares + other.squares)

    def around(self, value: float) -> float:
        """Return the sum of squared distances from a value, at least 0: rounding may have made it
        negative."""
        return max(self.squares - 2 * value * self.total + value * value * self.of, 0.0)


NOTHING: Final = Amount(0, 0, 0)
_Adds = tuple[float, float, float]


def weights(metric: Metric) -> Floats | None:
    """Return the amount that one of each count adds to an observation sum, 3 × FIRST_BUCKET, for the
    metric's default stat; None: the metric is not a mean."""
    adds = _adds(metric)
    if adds is None:
        return None
    found = np.zeros((3, FIRST_BUCKET))
    for name, add in adds.items():
        found[:, NUMBER[name]] = add
    return found


def _adds(metric: Metric) -> Mapping[str, _Adds] | None:
    match formula := metric.measure.formulas[metric.stats[0]]:
        case Share():
            return _share(formula)
        case Net(up, down, answers):
            signs = {name: (name in up) - (name in down) for name in answers}
            return {name: (1.0, 100.0 * sign, 1e4 * sign * sign) for name, sign in signs.items()}
        case ScaleMean(question):
            return {f"{question}_{one}": (1.0, float(one), float(one * one)) for one in SCALES[question]}
        case DurationMean(name):
            return {f"{name}_n": (1, 0, 0), f"{name}_ms": (0, 0.001, 0), f"{name}_s2": (0, 0, 1)}
    if formula is qa_score:
        return {"qa": (1, 0, 0), "qa_sum": (0, 0.01, 0), "qa_squares": (0, 0, 1)}
    return None


def _share(formula: Share) -> Mapping[str, _Adds]:
    found: dict[str, _Adds] = {}
    for names, add in ((formula.of, (1, 0, 0)), (formula.less, (-1, 0, 0)), (formula.hits, (0, 1, 1))):
        for name in names:
            before = found.get(name, (0, 0, 0))
            found[name] = (before[0] + add[0], before[1] + add[1], before[2] + add[2])
    return found


def interval(metric: Metric, amount: Amount) -> Interval | None:
    """Return the ordinary 95 % interval, as in readings."""
    of = round(amount.of)
    match formula := metric.measure.formulas[metric.stats[0]]:
        case Share():
            return wilson(round(amount.total), of)
        case Net():
            both, net = amount.squares / 1e4, amount.total / 100
            return adjusted_wald(round((both + net) / 2), round((both - net) / 2), of)
        case ScaleMean(question):
            found = normal(of, amount.total, amount.squares)
            return found and found.clipped(SCALES[question][0], SCALES[question][-1])
    found = normal(of, amount.total, amount.squares)
    return found and found.clipped(0.0, 100.0 if formula is qa_score else float("inf"))
