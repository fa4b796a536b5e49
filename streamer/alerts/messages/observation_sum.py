"""Sums that a metric's mean is computed from: the number, the sum and the sum of squares of its
observations."""

from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.statistics.evidence import Floats
from streamer.metrics.catalogue import Metric
from streamer.metrics.tally import FIRST_BUCKET, NUMBER


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


def count_weights(metric: Metric) -> Floats | None:
    """Return the amount that one of each count adds to an observation sum, 3 × FIRST_BUCKET, for the
    metric's default stat; None: the metric is not a mean."""
    mean = metric.formula.mean
    if mean is None:
        return None
    matrix = np.zeros((3, FIRST_BUCKET))
    for name, moments in mean.moments.items():
        matrix[:, NUMBER[name]] = moments
    return matrix
