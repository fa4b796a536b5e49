"""Uncertainty of a baseline, by hour of the week.

A baseline learned from n observations has the error of n observations. Evidence summed over many hours
sums the same error again and again: it grows with the square of their number, where hours were learned
together. The covariance of the errors follows from the shrinkage of each hour (`baseline`): the
observations it was made of, and the unknown difference between hours.
"""

from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.judging.evidence import Floats, Integers

AROUND_H: Final = 1
"""Neighbours on each side that an hour of the day is shrunk towards."""
_DAY: Final = np.eye(24)
_NEAR: Final = np.asarray(sum(np.roll(_DAY, by, axis=1) for by in range(-AROUND_H, AROUND_H + 1)))


class Weights(NamedTuple):
    """Weights of the priors of hours of the day, weekdays, and hours of the week: in observations, G."""

    hours: Floats
    days: Floats
    cells: Floats


class Doubt(NamedTuple):
    """Uncertainty of G groups, in units of the variance of one observation: the covariance of the errors
    of hours of the day (G × 24 × 24) and of weekdays (G × 7 × 7), and the variance of an hour of the
    week's own part (`cells`, G × WEEK_H). `common` G × WEEK_H: the share of its estimate that is not its
    own."""

    hours: Floats
    days: Floats
    cells: Floats
    common: Floats


def doubt(several: Integers, drawn: Weights) -> Doubt:
    """Estimate the uncertainty from the observations by hour of the week, G × WEEK_H."""
    number = several.astype(np.float64)
    by_day = number.reshape(len(number), 7, 24)
    own = number / (number + drawn.cells[:, None])
    return Doubt(
        _of_hours(by_day.sum(axis=1), drawn.hours),
        _of_days(by_day.sum(axis=2), drawn.days),
        1 / (number + drawn.cells[:, None] + 1),
        1 - own,
    )


def _of_hours(number: Floats, weight: Floats) -> Floats:
    """Return the error covariance of hours of the day. Each estimate comes partly from that hour, partly
    from its neighbours; hours without any observations are unknown."""
    around = number @ _NEAR
    own = number / (number + weight[:, None])
    made_of = _share(own, number) * _DAY + _share(1 - own, around) * _NEAR
    sampled = np.einsum("ghi,gi,gji->ghj", made_of, number, made_of)
    differ = (1 - own) ** 2 / (weight[:, None] + 1) + (around == 0)
    found: Floats = sampled + differ[:, :, None] * _DAY
    return found


def _share(part: Floats, number: Floats) -> Floats:
    found: Floats = (part / np.maximum(number, 1))[:, :, None]
    return found


def _of_days(number: Floats, weight: Floats) -> Floats:
    """Return the error covariance of a weekday's difference from all days together; the latter are in the
    hours of the day already."""
    own = number / (number + weight[:, None])
    all_days = np.maximum(number.sum(axis=1), 1)[:, None, None]
    apart = np.eye(7) / np.maximum(number, 1)[:, :, None] - 1 / all_days
    differ = (1 - own) ** 2 / (weight[:, None] + 1)
    found: Floats = own[:, :, None] * own[:, None] * apart + differ[:, :, None] * np.eye(7)
    return found
