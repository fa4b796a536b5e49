"""Samples of observations: their mean, its ordinary interval, and one to compare with a target.

The interval for a target is valid although every new answer is evaluated. Each side of it has its own z: a
few bad ones among many good make low means likelier than high ones. The interval lies beyond the target only
where samples that are on target hardly ever fall.
"""

from math import sqrt
from typing import Final, NamedTuple, Protocol

from streamer.metrics.intervals import Interval, adjusted_wald, normal, wilson

LOWEST_Z: Final = 1.0


class MetricSample(Protocol):
    """A sample of `size` observations. `value`, their mean, raises ZeroDivisionError for an empty one."""

    @property
    def size(self) -> int: ...

    @property
    def value(self) -> float: ...

    def ordinary_interval(self) -> Interval | None:
        """Return the 95 % interval of the mean; None: too few observations."""
        ...

    def bounds(self, z: float, target: float) -> Interval:
        """Return the interval of z standard deviations to compare with the target."""
        ...


class ProportionSample(NamedTuple):
    """Hits among `size` observations.

    >>> lower, upper = ProportionSample(30, 50).bounds(2.0, target=0.8)
    >>> round(lower, 3), round(upper, 3)
    (0.466, 0.732)
    """

    hits: int
    size: int

    @property
    def value(self) -> float:
        return self.hits / self.size

    def ordinary_interval(self) -> Interval | None:
        return wilson(self.hits, self.size)

    def bounds(self, z: float, target: float) -> Interval:
        """Return Wilson's interval. Its upper end is below a target exactly where the score test at that
        target rejects; the skewness is that of samples whose share is the target."""
        skewness, share = skewness_of_share(min(max(target, 0.0), 1.0)), self.hits / self.size
        upper, lower = skewed_z(z, skewness, self.size), skewed_z(z, -skewness, self.size)
        return Interval(max(0.0, self._wilson_end(share, -lower)), min(1.0, self._wilson_end(share, upper)))

    def _wilson_end(self, share: float, z: float) -> float:
        spread = sqrt(share * (1 - share) / self.size + z * z / (4 * self.size * self.size))
        return (share + z * z / (2 * self.size) + z * spread) / (1 + z * z / self.size)


class NetScoreSample(NamedTuple):
    """Promoters and detractors among `size` answers: the sample of a net score."""

    promoters: int
    detractors: int
    size: int

    @property
    def value(self) -> float:
        return 100 * (self.promoters - self.detractors) / self.size

    def ordinary_interval(self) -> Interval | None:
        return adjusted_wald(self.promoters, self.detractors, self.size)

    def bounds(self, z: float, target: float) -> Interval:
        """Return the interval in points: as far from the score as samples lie from a target that is their
        mean. The adjusted Wald interval would raise twice as many false alarms as promised for 20 answers:
        it takes the spread from the sample, which is small where a score is extreme."""
        mean = target / 100
        squares = self._likeliest_squares(mean)
        variance = max(squares - mean * mean, 1e-9)
        skewness = (mean - 3 * mean * squares + 2 * mean**3) / variance**1.5
        below, above = skewed_z(z, skewness, self.size), skewed_z(z, -skewness, self.size)
        error = 100 * sqrt(variance / self.size)
        return Interval(self.value - above * error, self.value + below * error).clipped(-100.0, 100.0)

    def _likeliest_squares(self, mean: float) -> float:
        """Return the share of promoters and detractors that is likeliest if the score is the target (Tango
        1998), with the three pseudo-observations of the adjusted Wald interval (Rocks 2016)."""
        promoters, detractors, size = self.promoters + 0.75, self.detractors + 0.75, self.size + 3
        decided, tilt = promoters + detractors, (detractors - promoters) * mean
        constant = tilt + (size - decided) * mean * mean
        squares = (decided - tilt + sqrt(max((decided - tilt) ** 2 + 4 * size * constant, 0.0))) / (2 * size)
        return min(max(squares, abs(mean)), 1.0)


class MeanSample(NamedTuple):
    """Number, sum, and sum of squares of the observations."""

    size: int
    total: float
    squares: float

    @property
    def value(self) -> float:
        return self.total / self.size

    def ordinary_interval(self) -> Interval | None:
        return normal(self.size, self.total, self.squares)

    def bounds(self, z: float, target: float) -> Interval:
        """Return the normal interval with z widened to that of Student's distribution, since the spread is
        estimated too: its expansion to the second order (Fisher and Cornish 1960)."""
        degrees = self.size - 1
        if degrees < 1:
            return Interval(-float("inf"), float("inf"))
        mean = self.total / self.size
        variance = max(0.0, (self.squares - self.total * mean) / degrees)
        first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
        half = (z + first / degrees + second / degrees**2) * sqrt(variance / self.size)
        return Interval(mean - half, mean + half)


def skewed_z(z: float, skewness: float, answers: float) -> float:
    """Return z for the lower side of a mean of `answers` answers whose distribution has this skewness: a
    few bad ones among many good make low means likelier than a normal distribution has them (Cornish and
    Fisher 1938). For the upper side pass the opposite skewness."""
    return max(LOWEST_Z, z - skewness * (z * z - 1) / (6 * sqrt(answers)))


def skewness_of_share(share: float) -> float:
    """Return the skewness of one answer that is a hit with this probability; 0 for a share of 0 or 1.

    >>> round(skewness_of_share(0.9), 2), skewness_of_share(0.5)
    (-2.67, 0.0)
    """
    spread = sqrt(share * (1 - share))
    return (1 - 2 * share) / spread if spread else 0.0
