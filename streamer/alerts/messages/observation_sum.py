"""Sums that a metric's mean is computed from: the number, the sum and the sum of squares of its
observations."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.statistics.evidence import Floats
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import CountRatio, DurationMean, NetScore, ScaleMean, qa_score
from streamer.metrics.intervals import Interval, adjusted_wald, normal, wilson
from streamer.metrics.tally import FIRST_BUCKET, NUMBER, SCALES


class ObservationSum(NamedTuple):
    """Number, sum and sum of squares of observations: 0 and 1 for a share, −100, 0 and 100 for a net
    score, else in the metric's unit. The sums of subgroups add up to that of the whole.

    >>> red, blue = ObservationSum(4, 200.0, 20_000.0), ObservationSum(6, -300.0, 30_000.0)
    >>> red.mean, blue.mean, red.plus(blue).mean
    (50.0, -50.0, -10.0)
    """

    size: float
    total: float
    squares: float

    @property
    def mean(self) -> float | None:
        return self.total / self.size if self.size else None

    def plus(self, other: "ObservationSum") -> "ObservationSum":
        return ObservationSum(self.size + other.size, self.total + other.total, self.squares + other.squares)

    def squared_distance(self, value: float) -> float:
        """Return the sum of squared distances from a value, at least 0: rounding may have made it
        negative."""
        return max(self.squares - 2 * value * self.total + value * value * self.size, 0.0)


NO_OBSERVATIONS: Final = ObservationSum(0, 0, 0)
_SumWeights = tuple[float, float, float]


def count_weights(metric: Metric) -> Floats | None:
    """Return the amount that one of each count adds to an observation sum, 3 × FIRST_BUCKET, for the
    metric's default stat; None: the metric is not a mean."""
    weights_by_count = _weights_by_count(metric)
    if weights_by_count is None:
        return None
    matrix = np.zeros((3, FIRST_BUCKET))
    for name, count_weight in weights_by_count.items():
        matrix[:, NUMBER[name]] = count_weight
    return matrix


def _weights_by_count(metric: Metric) -> Mapping[str, _SumWeights] | None:
    match formula := metric.measure.formulas[metric.stats[0]]:
        case CountRatio():
            return _share_weights(formula)
        case NetScore(up, down, answers):
            signs = {name: (name in up) - (name in down) for name in answers}
            return {name: (1.0, 100.0 * sign, 1e4 * sign * sign) for name, sign in signs.items()}
        case ScaleMean(question):
            return {
                f"{question}_{score}": (1.0, float(score), float(score * score)) for score in SCALES[question]
            }
        case DurationMean(name):
            return {f"{name}_n": (1, 0, 0), f"{name}_ms": (0, 0.001, 0), f"{name}_s2": (0, 0, 1)}
    if formula is qa_score:
        return {"qa": (1, 0, 0), "qa_sum": (0, 0.01, 0), "qa_squares": (0, 0, 1)}
    return None


def _share_weights(formula: CountRatio) -> Mapping[str, _SumWeights]:
    weights_by_count: dict[str, _SumWeights] = {}
    for names, count_weight in (
        (formula.of, (1, 0, 0)),
        (formula.less, (-1, 0, 0)),
        (formula.hits, (0, 1, 1)),
    ):
        for name in names:
            previous = weights_by_count.get(name, (0, 0, 0))
            weights_by_count[name] = (
                previous[0] + count_weight[0],
                previous[1] + count_weight[1],
                previous[2] + count_weight[2],
            )
    return weights_by_count


def ordinary_interval(metric: Metric, amount: ObservationSum) -> Interval | None:
    """Return the ordinary 95 % interval, as in readings."""
    size = round(amount.size)
    match formula := metric.measure.formulas[metric.stats[0]]:
        case CountRatio():
            return wilson(round(amount.total), size)
        case NetScore():
            decided, net = amount.squares / 1e4, amount.total / 100
            return adjusted_wald(round((decided + net) / 2), round((decided - net) / 2), size)
        case ScaleMean(question):
            bounds = normal(size, amount.total, amount.squares)
            return bounds and bounds.clipped(SCALES[question][0], SCALES[question][-1])
    bounds = normal(size, amount.total, amount.squares)
    return bounds and bounds.clipped(0.0, 100.0 if formula is qa_score else float("inf"))
