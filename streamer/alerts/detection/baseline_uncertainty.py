"""Uncertainty of a baseline, by hour of the week.

A baseline learned from n observations has the error of n observations. Evidence summed over many hours
sums the same error again and again: it grows with the square of their number, where hours were learned
together. The covariance of the errors follows from the shrinkage of each hour (`baseline`): the
observations it was made of, and the unknown difference between hours.
"""

from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.statistics.evidence import Floats, Integers

NEIGHBOUR_HOURS: Final = 1
"""Neighbours on each side that an hour of the day is shrunk towards."""
_SAME_HOUR: Final = np.eye(24)
_NEIGHBOURS: Final = np.asarray(
    sum(np.roll(_SAME_HOUR, by, axis=1) for by in range(-NEIGHBOUR_HOURS, NEIGHBOUR_HOURS + 1))
)


class ShrinkageWeights(NamedTuple):
    """Weights of the priors of hours of the day, weekdays, and hours of the week: in observations, G."""

    hours: Floats
    days: Floats
    cells: Floats


class BaselineUncertainty(NamedTuple):
    """Uncertainty of G groups, in units of the variance of one observation: the covariance of the errors
    of hours of the day (G × 24 × 24) and of weekdays (G × 7 × 7), and the variance of an hour of the
    week's own part (`cells`, G × WEEK_H). `common` G × WEEK_H: the share of its estimate that is not its
    own."""

    hours: Floats
    days: Floats
    cells: Floats
    common: Floats


def estimate_uncertainty(totals: Integers, weights: ShrinkageWeights) -> BaselineUncertainty:
    """Estimate the uncertainty from the observations by hour of the week, G × WEEK_H."""
    counts = totals.astype(np.float64)
    by_day = counts.reshape(len(counts), 7, 24)
    own_share = counts / (counts + weights.cells[:, None])
    return BaselineUncertainty(
        _hour_covariance(by_day.sum(axis=1), weights.hours),
        _weekday_covariance(by_day.sum(axis=2), weights.days),
        1 / (counts + weights.cells[:, None] + 1),
        1 - own_share,
    )


def _hour_covariance(counts: Floats, weight: Floats) -> Floats:
    """Return the error covariance of hours of the day. Each estimate comes partly from that hour, partly
    from its neighbours; hours without any observations are unknown."""
    neighbour_counts = counts @ _NEIGHBOURS
    own_share = counts / (counts + weight[:, None])
    made_of = (
        _share_per_observation(own_share, counts) * _SAME_HOUR
        + _share_per_observation(1 - own_share, neighbour_counts) * _NEIGHBOURS
    )
    sampled = np.einsum("ghi,gi,gji->ghj", made_of, counts, made_of)
    heterogeneity = (1 - own_share) ** 2 / (weight[:, None] + 1) + (neighbour_counts == 0)
    covariance: Floats = sampled + heterogeneity[:, :, None] * _SAME_HOUR
    return covariance


def _share_per_observation(shares: Floats, counts: Floats) -> Floats:
    columns: Floats = (shares / np.maximum(counts, 1))[:, :, None]
    return columns


def _weekday_covariance(counts: Floats, weight: Floats) -> Floats:
    """Return the error covariance of a weekday's difference from all days together; the latter are in the
    hours of the day already."""
    own_share = counts / (counts + weight[:, None])
    all_days = np.maximum(counts.sum(axis=1), 1)[:, None, None]
    apart = np.eye(7) / np.maximum(counts, 1)[:, :, None] - 1 / all_days
    heterogeneity = (1 - own_share) ** 2 / (weight[:, None] + 1)
    covariance: Floats = own_share[:, :, None] * own_share[:, None] * apart + heterogeneity[
        :, :, None
    ] * np.eye(7)
    return covariance
