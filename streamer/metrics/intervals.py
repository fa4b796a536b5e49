"""Confidence intervals of 95 % for ratios, net scores and means."""

from math import sqrt
from typing import Final, NamedTuple

Z: Final = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


class Interval(NamedTuple):
    """Confidence interval, in the unit of its value.

    >>> tuple(Interval(-0.1, 0.4).clipped(0.0, 1.0))
    (0.0, 0.4)
    """

    lower: float
    upper: float

    def clipped(self, low: float, high: float) -> "Interval":
        return Interval(max(self.lower, low), min(self.upper, high))

    def widened_to(self, value: float) -> "Interval":
        """Return the interval, widened where necessary until `value` lies within."""
        return Interval(min(self.lower, value), max(self.upper, value))


def wilson(hits: int, total: int) -> Interval | None:
    """Return the score interval of a proportion, in 0..1, without continuity correction; None for 0 of 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927). It contains the observed proportion, 0 and 1 included.

    >>> [round(bound, 4) for bound in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    assert 0 <= hits <= total, f"{hits} hits of {total}"
    if not total:
        return None
    share, z2 = hits / total, Z * Z
    center = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z * sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return Interval(center - half, center + half).clipped(0.0, 1.0).widened_to(share)


def adjusted_wald(promoters: int, detractors: int, answers: int) -> Interval | None:
    """Return the interval of 100 (promoters − detractors) / answers, in −100..100; None without answers.

    B. Rocks, "Interval estimation for the Net Promoter Score", The American Statistician 70 (2016),
    in its (3/4, 3/2, 3/4) form: three pseudo-observations, 3/4 a promoter, 3/2 passive, 3/4 a
    detractor, then Wald's interval for a difference of multinomial proportions. It is centered on the
    adjusted score; for a single answer, where it would miss the score itself, it is widened to it.

    >>> [round(bound, 1) for bound in adjusted_wald(promoters=50, detractors=20, answers=100)]
    [14.1, 44.2]
    """
    assert min(promoters, detractors) >= 0, f"{promoters} promoters, {detractors} detractors"
    assert promoters + detractors <= answers, f"{promoters} + {detractors} of {answers}"
    if not answers:
        return None
    n = answers + 3
    up, down = (promoters + 0.75) / n, (detractors + 0.75) / n
    half = Z * sqrt((up + down - (up - down) ** 2) / n)
    score = 100 * (promoters - detractors) / answers
    return (
        Interval(100 * (up - down - half), 100 * (up - down + half)).clipped(-100.0, 100.0).widened_to(score)
    )


def normal(n: int, total: float, squares: float) -> Interval | None:
    """Return the interval of a mean by the central limit theorem; None for fewer than two observations.

    `n`, `total`, `squares`: number of the observations, their sum, and the sum of their squares.

    Mean ± z s / √n with the sample variance s² = (squares − total² / n) / (n − 1); any introduction
    to statistics. Rounded squares may make s² negative: it is then taken as 0.

    >>> [round(bound, 2) for bound in normal(4, 16.0, 66.0)]  # of 3, 4, 4 and 5
    [3.2, 4.8]
    """
    if n < 2:
        return None
    mean = total / n
    variance = max(0.0, (squares - total * mean) / (n - 1))
    half = Z * sqrt(variance / n)
    return Interval(mean - half, mean + half)
