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

from streamer.alerts.judging.doubt import AROUND_H, Doubt, Weights, doubt
from streamer.alerts.judging.evidence import LOW, Floats, Integers

WEEK: Final = 7 * 24
MONTH_H: Final = 730.5
_NEVER: Final = 1e12
_ROUND_DAY: Final = np.arange(WEEK) % 24
_TAUGHT_WEEKS: Final = 2
_BLOCK_H: Final = 4
_SURE: Final = 2.0
_LENT: Final = 20.0
"""Pseudo-observations with the distribution of all hours: a rare class is not impossible where it was not
seen yet."""
_USUAL_SHAPE: Final = 4.0
"""Shape of the spread of an hour's number from week to week, where it cannot be estimated yet."""


class Baseline(NamedTuple):
    """Baseline of G groups with C classes. `mean` G × C and `by_hour` G × WEEK_H × C: probabilities, none
    below LEAST_PROBABILITY; `uncertainty`: the error of these. `support` (observations) and `a_month`
    (observations a month) by group. `rates`: observations an hour, G × WEEK_H. `shape`: beyond chance, the
    number of an hour varies as a gamma distribution of this shape. `spread`: variance of the class counts
    as a multiple of that of independent observations, at least 1. `weeks` observed."""

    mean: Floats
    by_hour: Floats
    doubt: Doubt
    support: Integers
    a_month: Floats
    rates: Floats
    shape: Floats
    spread: Floats
    weeks: float


def baseline(counts: Integers, hours: Integers) -> Baseline:
    """Fit the baseline to `counts` H × G × C of H consecutive hours, with the hour of the week of each, H
    × G.

    >>> counts = np.tile(np.array([2, 3, 5]), (WEEK, 1, 1))  # one group, the same NPS answers every hour
    >>> fitted = baseline(counts, np.arange(WEEK)[:, None])
    >>> fitted.mean.round(3).tolist(), fitted.support.tolist(), fitted.weeks
    ([[0.2, 0.3, 0.5]], [1680], 1.0)
    """
    weeks = max(len(counts), 1) / WEEK
    sums = _by_hour(counts, hours)
    mean = probable(sums.sum(axis=1))
    expected, of_hours, of_days = _expected(sums, mean)
    by_hour, weight = drawn(sums, expected)
    several = counts.sum(axis=2)
    support = several.sum(axis=0)
    rates, seen = _rates(sums.sum(axis=2), hours)
    a_month = support / max(len(counts), 1) * MONTH_H
    spread = _spread(counts, hours, by_hour, weight)
    unsure = doubt(sums.sum(axis=2), Weights(of_hours, of_days, weight))
    return Baseline(
        mean, by_hour, unsure, support, a_month, rates, _shape(several, hours, seen), spread, weeks
    )


def _expected(sums: Integers, mean: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the probabilities of each hour of the week expected from its hour of the day and its weekday,
    p(hour) p(day) / p, and the weights of the shrinkage of both. An hour of the day is shrunk towards its
    neighbours, and these slightly towards all hours."""
    by_day = sums.reshape(len(sums), 7, 24, sums.shape[2])
    of_hour, of_day = by_day.sum(axis=1), by_day.sum(axis=2)
    around = sum(np.roll(of_hour, by, axis=1) for by in range(-AROUND_H, AROUND_H + 1))
    hours, of_hours = drawn(of_hour, probable(np.asarray(around) + _LENT * mean[:, None]))
    days, of_days = drawn(of_day, np.broadcast_to(mean[:, None], of_day.shape))
    expected = probable((hours[:, None] * days[:, :, None] / mean[:, None, None]).reshape(sums.shape))
    return expected, of_hours, of_days


def probable(counts: Floats | Integers) -> Floats:
    """Return the class probabilities of counts, … × C, none below LEAST_PROBABILITY; uniform if there are
    no counts.

    >>> probable(np.array([2, 3, 5])).tolist()
    [0.2, 0.3, 0.5]
    """
    sums = counts.sum(axis=-1, keepdims=True)
    shares = np.where(sums > 0, counts / np.maximum(sums, 1e-12), 1 / counts.shape[-1])
    raised = np.maximum(shares, LOW)
    found: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return found


def drawn(counts: Integers, towards: Floats) -> tuple[Floats, Floats]:
    """Shrink each hour's counts towards `prior` as far as the data require: probabilities G × H × C, and
    the weight of the prior, G. The difference between hours is taken two standard errors larger than
    observed: of a few hours that differ a lot among many that do not (weekends) the baseline would
    otherwise be missed."""
    several = counts.sum(axis=2, keepdims=True)
    expected = several * towards
    surprise = ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum(axis=(1, 2))
    free = max(counts.shape[2] - 1, 1) * np.maximum((several > 0).sum(axis=(1, 2)) - 1, 1)
    pairs = np.maximum(several - 1, 0).sum(axis=(1, 2)) * max(counts.shape[2] - 1, 1)
    beyond = np.maximum(surprise - free, 0.0) + _SURE * np.sqrt(2 * free)
    differ = np.clip(beyond / np.maximum(pairs, 1), 0.0, 0.999)
    weight = np.where(differ > 0, (1 - differ) / np.maximum(differ, 1 / _NEVER), _NEVER)
    return probable(counts + weight[:, None, None] * towards), weight


def _of_day(sums: NDArray[Any]) -> NDArray[Any]:
    """Sum numbers by hour of the week (G × WEEK_H …) to hours of the day."""
    return np.stack([sums[:, hour::24].sum(axis=1) for hour in range(24)], axis=1)


def _spread(counts: Integers, hours: Integers, by_hour: Floats, weight: Floats) -> Floats:
    """Return Pearson's statistic divided by its degrees of freedom (Wedderburn 1974). Contacts that wait
    long wait together, so ten of them say less than ten independent ones. It is computed in blocks of some
    hours, less its standard error so that chance alone is not counted."""
    whole = len(counts) // _BLOCK_H * _BLOCK_H
    if not whole:
        return np.ones(counts.shape[1])
    groups = np.broadcast_to(np.arange(hours.shape[1]), hours.shape)
    expected = counts.sum(axis=2, keepdims=True) * by_hour[groups, hours]

    def blocks(numbers: NDArray[Any]) -> NDArray[Any]:
        summed: NDArray[Any] = numbers[:whole].reshape(-1, _BLOCK_H, *numbers.shape[1:]).sum(axis=1)
        return summed

    seen, wanted = blocks(counts), blocks(expected)
    surprise = ((seen - wanted) ** 2 / np.maximum(wanted, 1e-9)).sum(axis=(0, 2))
    fitted = _by_hour(counts, hours).sum(axis=2)
    fitted = (fitted / np.maximum(fitted + weight[:, None], 1e-9)).sum(axis=1)
    free = np.maximum((wanted.sum(axis=2) > 0).sum(axis=0) - fitted, 1) * max(counts.shape[2] - 1, 1)
    spread: Floats = np.maximum(surprise / free - np.sqrt(2 / free), 1.0)
    return spread


def _by_hour(counts: Integers, hours: Integers) -> Integers:
    sums = np.zeros((counts.shape[1], WEEK, counts.shape[2]), np.int64)
    groups = np.broadcast_to(np.arange(counts.shape[1]), hours.shape)
    np.add.at(sums, (groups, hours), counts)
    return sums


def _rates(sums: Integers, hours: Integers) -> tuple[Floats, Floats]:
    """Return observations an hour by hour of the week, shrunk towards that hour of all days with the
    weight of one week; and how often each hour of the week occurred."""
    groups = np.broadcast_to(np.arange(hours.shape[1]), hours.shape)
    seen = np.zeros(sums.shape)
    np.add.at(seen, (groups, hours), 1.0)

    daily = _of_day(sums) / np.maximum(_of_day(seen), 1)
    return (sums + daily[:, _ROUND_DAY]) / (seen + 1), seen


def _shape(several: Integers, hours: Integers, seen: Floats) -> Floats:
    """Estimate the gamma shape by the method of moments: the variance of an hour's number from week to
    week is μ + μ² / shape."""
    groups = np.broadcast_to(np.arange(hours.shape[1]), hours.shape)
    sums, squares = np.zeros(seen.shape), np.zeros(seen.shape)
    np.add.at(sums, (groups, hours), several)
    np.add.at(squares, (groups, hours), several.astype(float) ** 2)
    means = sums / np.maximum(seen, 1)
    taught = seen >= _TAUGHT_WEEKS
    variances = (squares - sums * means) / np.maximum(seen - 1, 1)
    beyond = np.where(taught, variances - means, 0).sum(axis=1)
    found = np.where(taught, means**2, 0).sum(axis=1) / np.maximum(beyond, 1e-9)
    return np.where(taught.any(axis=1), np.clip(found, 0.5, 1e6), _USUAL_SHAPE)
