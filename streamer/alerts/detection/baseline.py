"""Baseline of a metric by hour of the week: the distribution over its classes, and the number of
observations.

One hour of the week holds few observations. Its estimate is shrunk towards the product of its hour of the
day and its weekday, and these towards the mean of all hours: the more, the fewer observations they have.
Class probabilities of an hour are modelled as a Dirichlet distribution around the wider p with weight a.
The hour's counts are then Dirichlet-multinomial (Mosimann 1962), and with n of them the estimate is
(counts + a p) / (n + a). The real difference between hours, ρ = 1 / (a + 1), is estimated from all of them
by the method of moments (Brier 1980).
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.alerts.detection.baseline_uncertainty import (
    NEIGHBOUR_HOURS,
    BaselineUncertainty,
    ShrinkageWeights,
    estimate_uncertainty,
)
from streamer.alerts.statistics.evidence import LEAST_PROBABILITY, Floats, Integers

WEEK_H: Final = 7 * 24
MONTH_H: Final = 730.5
_MAX_WEIGHT: Final = 1e12
_HOUR_OF_DAY: Final = np.arange(WEEK_H) % 24
_LEAST_WEEKS: Final = 2
_BLOCK_H: Final = 4
_STANDARD_ERRORS: Final = 2.0
_PRIOR_OBSERVATIONS: Final = 20.0
"""Pseudo-observations with the distribution of all hours: a rare class is not impossible where it was not
seen yet."""
_DEFAULT_SHAPE: Final = 4.0
"""Shape of the spread of an hour's number from week to week, where it cannot be estimated yet."""


class Baseline(NamedTuple):
    """Baseline of G groups with C classes. `mean` G × C and `by_hour` G × WEEK_H × C: probabilities, none
    below LEAST_PROBABILITY; `uncertainty`: the error of these. `support` (observations) and `a_month`
    (observations a month) by group. `rates`: observations an hour, G × WEEK_H. `shape`: beyond chance, the
    number of an hour varies as a gamma distribution of this shape. `spread`: variance of the class counts
    as a multiple of that of independent observations, at least 1. `weeks` observed."""

    mean: Floats
    by_hour: Floats
    uncertainty: BaselineUncertainty
    support: Integers
    a_month: Floats
    rates: Floats
    shape: Floats
    spread: Floats
    weeks: float


def fit_baseline(counts: Integers, hours: Integers) -> Baseline:
    """Fit the baseline to `counts` H × G × C of H consecutive hours, with the hour of the week of each, H
    × G.

    >>> counts = np.tile(np.array([2, 3, 5]), (WEEK_H, 1, 1))  # one group, the same NPS answers every hour
    >>> fitted = fit_baseline(counts, np.arange(WEEK_H)[:, None])
    >>> fitted.mean.round(3).tolist(), fitted.support.tolist(), fitted.weeks
    ([[0.2, 0.3, 0.5]], [1680], 1.0)
    """
    weeks = max(len(counts), 1) / WEEK_H
    sums = _sum_by_hour_of_week(counts, hours)
    mean = class_probabilities(sums.sum(axis=1))
    expected, hour_weights, day_weights = _expected_by_hour(sums, mean)
    by_hour, weight = shrink_towards(sums, expected)
    totals = counts.sum(axis=2)
    support = totals.sum(axis=0)
    rates, occurrences = _hourly_rates(sums.sum(axis=2), hours)
    a_month = support / max(len(counts), 1) * MONTH_H
    spread = _overdispersion(counts, hours, by_hour, weight)
    uncertainty = estimate_uncertainty(sums.sum(axis=2), ShrinkageWeights(hour_weights, day_weights, weight))
    return Baseline(
        mean,
        by_hour,
        uncertainty,
        support,
        a_month,
        rates,
        _gamma_shapes(totals, hours, occurrences),
        spread,
        weeks,
    )


def _expected_by_hour(sums: Integers, mean: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the probabilities of each hour of the week expected from its hour of the day and its weekday,
    p(hour) p(day) / p, and the weights of the shrinkage of both. An hour of the day is shrunk towards its
    neighbours, and these slightly towards all hours."""
    by_day = sums.reshape(len(sums), 7, 24, sums.shape[2])
    hour_counts, day_counts = by_day.sum(axis=1), by_day.sum(axis=2)
    neighbours = sum(
        np.roll(hour_counts, shift, axis=1) for shift in range(-NEIGHBOUR_HOURS, NEIGHBOUR_HOURS + 1)
    )
    hours, hour_weights = shrink_towards(
        hour_counts, class_probabilities(np.asarray(neighbours) + _PRIOR_OBSERVATIONS * mean[:, None])
    )
    days, day_weights = shrink_towards(day_counts, np.broadcast_to(mean[:, None], day_counts.shape))
    expected = class_probabilities(
        (hours[:, None] * days[:, :, None] / mean[:, None, None]).reshape(sums.shape)
    )
    return expected, hour_weights, day_weights


def class_probabilities(counts: Floats | Integers) -> Floats:
    """Return the class probabilities of counts, … × C, none below LEAST_PROBABILITY; uniform if there are
    no counts.

    >>> class_probabilities(np.array([2, 3, 5])).tolist()
    [0.2, 0.3, 0.5]
    """
    sums = counts.sum(axis=-1, keepdims=True)
    shares = np.where(sums > 0, counts / np.maximum(sums, 1e-12), 1 / counts.shape[-1])
    raised = np.maximum(shares, LEAST_PROBABILITY)
    probabilities: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return probabilities


def shrink_towards(counts: Integers, prior: Floats) -> tuple[Floats, Floats]:
    """Shrink each hour's counts towards `prior` as far as the data require: probabilities G × H × C, and
    the weight of the prior, G. The difference between hours is taken two standard errors larger than
    observed: of a few hours that differ a lot among many that do not (weekends) the baseline would
    otherwise be missed."""
    totals = counts.sum(axis=2, keepdims=True)
    expected = totals * prior
    chi_square = ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum(axis=(1, 2))
    degrees = max(counts.shape[2] - 1, 1) * np.maximum((totals > 0).sum(axis=(1, 2)) - 1, 1)
    pairs = np.maximum(totals - 1, 0).sum(axis=(1, 2)) * max(counts.shape[2] - 1, 1)
    excess = np.maximum(chi_square - degrees, 0.0) + _STANDARD_ERRORS * np.sqrt(2 * degrees)
    rho = np.clip(excess / np.maximum(pairs, 1), 0.0, 0.999)
    weight = np.where(rho > 0, (1 - rho) / np.maximum(rho, 1 / _MAX_WEIGHT), _MAX_WEIGHT)
    return class_probabilities(counts + weight[:, None, None] * prior), weight


def _sum_by_hour_of_day(sums: NDArray[Any]) -> NDArray[Any]:
    """Sum numbers by hour of the week (G × WEEK_H …) to hours of the day."""
    return np.stack([sums[:, hour::24].sum(axis=1) for hour in range(24)], axis=1)


def _overdispersion(counts: Integers, hours: Integers, by_hour: Floats, weight: Floats) -> Floats:
    """Return Pearson's statistic divided by its degrees of freedom (Wedderburn 1974). Contacts that wait
    long wait together, so ten of them say less than ten independent ones. It is computed in blocks of some
    hours, less its standard error so that chance alone is not counted."""
    length = len(counts) // _BLOCK_H * _BLOCK_H
    if not length:
        return np.ones(counts.shape[1])
    groups = np.broadcast_to(np.arange(hours.shape[1]), hours.shape)
    expected = counts.sum(axis=2, keepdims=True) * by_hour[groups, hours]

    def blocks(numbers: NDArray[Any]) -> NDArray[Any]:
        summed: NDArray[Any] = numbers[:length].reshape(-1, _BLOCK_H, *numbers.shape[1:]).sum(axis=1)
        return summed

    observed_blocks, expected_blocks = blocks(counts), blocks(expected)
    chi_square = ((observed_blocks - expected_blocks) ** 2 / np.maximum(expected_blocks, 1e-9)).sum(
        axis=(0, 2)
    )
    fitted = _sum_by_hour_of_week(counts, hours).sum(axis=2)
    fitted = (fitted / np.maximum(fitted + weight[:, None], 1e-9)).sum(axis=1)
    degrees = np.maximum((expected_blocks.sum(axis=2) > 0).sum(axis=0) - fitted, 1) * max(
        counts.shape[2] - 1, 1
    )
    spread: Floats = np.maximum(chi_square / degrees - np.sqrt(2 / degrees), 1.0)
    return spread


def _sum_by_hour_of_week(counts: Integers, hours: Integers) -> Integers:
    sums = np.zeros((counts.shape[1], WEEK_H, counts.shape[2]), np.int64)
    groups = np.broadcast_to(np.arange(counts.shape[1]), hours.shape)
    np.add.at(sums, (groups, hours), counts)
    return sums


def _hourly_rates(sums: Integers, hours: Integers) -> tuple[Floats, Floats]:
    """Return observations an hour by hour of the week, shrunk towards that hour of all days with the
    weight of one week; and how often each hour of the week occurred."""
    groups = np.broadcast_to(np.arange(hours.shape[1]), hours.shape)
    occurrences = np.zeros(sums.shape)
    np.add.at(occurrences, (groups, hours), 1.0)

    daily = _sum_by_hour_of_day(sums) / np.maximum(_sum_by_hour_of_day(occurrences), 1)
    return (sums + daily[:, _HOUR_OF_DAY]) / (occurrences + 1), occurrences


def _gamma_shapes(totals: Integers, hours: Integers, occurrences: Floats) -> Floats:
    """Estimate the gamma shape by the method of moments: the variance of an hour's number from week to
    week is μ + μ² / shape."""
    groups = np.broadcast_to(np.arange(hours.shape[1]), hours.shape)
    sums, squares = np.zeros(occurrences.shape), np.zeros(occurrences.shape)
    np.add.at(sums, (groups, hours), totals)
    np.add.at(squares, (groups, hours), totals.astype(float) ** 2)
    means = sums / np.maximum(occurrences, 1)
    is_known = occurrences >= _LEAST_WEEKS
    variances = (squares - sums * means) / np.maximum(occurrences - 1, 1)
    excess = np.where(is_known, variances - means, 0).sum(axis=1)
    shapes = np.where(is_known, means**2, 0).sum(axis=1) / np.maximum(excess, 1e-9)
    return np.where(is_known.any(axis=1), np.clip(shapes, 0.5, 1e6), _DEFAULT_SHAPE)
