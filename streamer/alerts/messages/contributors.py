"""Contributors: the subgroups of the contacts behind a figure that moved it, and by how much.

The whole is divided in several ways: by queue, by team, by reason. With w the share of the observations
that a subgroup i has, v its mean and V that of the whole, the subgroup moved the whole by

    cᵢ = wᵢ' (vᵢ' − V) − wᵢ (vᵢ − V)

from before to now ('): it became worse, or more of it came. In each division these add up to V' − V
exactly; subgroups that are new or gone need no case of their own. It is the decomposition of a mean into
the changes within subgroups and between them (Foster, Haltiwanger and Krizan 2001; after Kitagawa 1955),
taken together.

Where all subgroups fell alike, the largest moved the whole most, and yet has nothing to do with it. A
subgroup stands out only if it drew away from the whole: its deviation wᵢ' (vᵢ' − V') − wᵢ (vᵢ − V) is
harmful beyond chance. If some do, they are named and no others; if none does, those that moved the whole
most are, as such. In about one alert of twenty, chance alone makes one of all subgroups stand out
(Bonferroni). A subgroup that is the whole is never named, nor is a handful of observations: of n bad ones
z is at most about √n. Nor is an unknown key: that abandoned contacts have no team does not say why they
were abandoned.
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

from streamer.alerts.messages.observation_sum import NO_OBSERVATIONS, ObservationSum
from streamer.events.counting_rules import UNKNOWN
from streamer.readings.suppression import MIN_ANSWERS

MAX_NAMED: Final = 3
ERROR_RATE: Final = 0.05
MAX_SHARE: Final = 0.9
_NO_VARIANCE: Final = 1e-18


class SubgroupSums(NamedTuple):
    """Observations of one key of a dimension, now and before."""

    dimension: str
    key: str
    now: ObservationSum
    before: ObservationSum = NO_OBSERVATIONS


class SubgroupEffect(NamedTuple):
    """Effect of a subgroup. `share` of the observations now. `moved_by`: in the metric's unit, below zero
    downwards; `moved_z`: the same in standard errors. `apart_z`: how far the subgroup drew away from the
    whole, in standard errors."""

    subgroup: SubgroupSums
    share: float
    moved_by: float
    moved_z: float
    apart_z: float


class NamedSubgroup(NamedTuple):
    """Subgroup to name in a message; `apart`: it stands out."""

    effect: SubgroupEffect
    apart: bool


def subgroup_effects(
    subgroups: Sequence[SubgroupSums], reference: float | None = None
) -> list[SubgroupEffect]:
    """Return the effect of each subgroup of one division; empty if there are no observations now.
    `reference`: the value to compare with if nothing is known of before.

    >>> before = ObservationSum(50, 1_500, 500_000)
    >>> red = SubgroupSums("team", "red", now=ObservationSum(50, -1_000, 500_000), before=before)
    >>> blue = SubgroupSums("team", "blue", now=before, before=before)
    >>> effects = subgroup_effects([red, blue])  # the NPS of both fell from 30 to 5
    >>> [(effect.subgroup.key, effect.moved_by) for effect in effects]
    [('red', -25.0), ('blue', 0.0)]
    """
    now, before = (
        sum_observations(subgroup.now for subgroup in subgroups),
        sum_observations(subgroup.before for subgroup in subgroups),
    )
    start = reference if before.mean is None else before.mean
    if now.mean is None or start is None:
        return []
    return [_subgroup_effect(subgroup, now, before, start) for subgroup in subgroups]


def _subgroup_effect(
    subgroup: SubgroupSums, now: ObservationSum, before: ObservationSum, start: float
) -> SubgroupEffect:
    moved_by = _weighted_deviation(subgroup.now, now, start) - _weighted_deviation(
        subgroup.before, before, start
    )
    sides = [
        (subgroup_sum.squared_distance(start), whole_sum.size)
        for subgroup_sum, whole_sum in ((subgroup.now, now), (subgroup.before, before))
        if whole_sum.size
    ]
    moved_z = _z_score(moved_by, sum(squares / whole_sum**2 for squares, whole_sum in sides))
    return SubgroupEffect(
        subgroup, subgroup.now.size / now.size, moved_by, moved_z, _apart_z(subgroup, now, before)
    )


def sum_observations(amounts: Iterable[ObservationSum]) -> ObservationSum:
    total = NO_OBSERVATIONS
    for amount in amounts:
        total = total.plus(amount)
    return total


def _weighted_deviation(subgroup_sum: ObservationSum, whole_sum: ObservationSum, reference: float) -> float:
    """Return w (v − reference)."""
    return (subgroup_sum.total - reference * subgroup_sum.size) / whole_sum.size if whole_sum.size else 0.0


def _apart_z(subgroup: SubgroupSums, now: ObservationSum, before: ObservationSum) -> float:
    """Return the subgroup's deviation in standard errors: each observation of the subgroup moves the
    deviation by 1 − w of its distance from the mean, each other one by w (the delta method)."""
    deviation, variance = 0.0, 0.0
    for sign, subgroup_sum, whole_sum in ((1, subgroup.now, now), (-1, subgroup.before, before)):
        if whole_sum.mean is None:
            continue
        share, squares = subgroup_sum.size / whole_sum.size, subgroup_sum.squared_distance(whole_sum.mean)
        rest = max(whole_sum.squared_distance(whole_sum.mean) - squares, 0.0)
        deviation += sign * _weighted_deviation(subgroup_sum, whole_sum, whole_sum.mean)
        variance += ((1 - share) ** 2 * squares + share**2 * rest) / whole_sum.size**2
    return _z_score(deviation, variance)


def _z_score(value: float, variance: float) -> float:
    return value / sqrt(variance) if variance > _NO_VARIANCE else 0.0


def largest_contributors(
    divisions: Iterable[Sequence[SubgroupSums]], better: str, reference: float | None = None
) -> list[NamedSubgroup]:
    """Return the few subgroups of all divisions that moved the whole most in the harmful direction, the
    largest effect first. `reference`: a target; if the whole was no better before, it is compared with
    that instead."""
    sign = -1 if better == "higher" else 1
    compared = (_comparable_subgroups(subgroups, sign, reference) for subgroups in divisions)
    effects = [effect for subgroups in compared for effect in subgroup_effects(subgroups, reference)]
    effects = [
        effect
        for effect in effects
        if effect.share < 1 and effect.subgroup.now.size >= MIN_ANSWERS and effect.subgroup.key != UNKNOWN
    ]
    least_z = bonferroni_z(len(effects))
    harmful = sorted(
        (effect for effect in effects if sign * effect.moved_by > 0),
        key=lambda effect: -sign * effect.moved_by,
    )
    apart = [effect for effect in harmful if sign * effect.apart_z >= least_z]
    alike = [effect for effect in harmful if sign * effect.moved_z >= least_z and effect.share <= MAX_SHARE]
    return [NamedSubgroup(effect, bool(apart)) for effect in _distinct_effects(apart or alike)[:MAX_NAMED]]


def _comparable_subgroups(
    subgroups: Sequence[SubgroupSums], sign: int, reference: float | None
) -> Sequence[SubgroupSums]:
    before = sum_observations(subgroup.before for subgroup in subgroups).mean
    if reference is None or before is None or sign * (before - reference) < 0:
        return subgroups
    return [subgroup._replace(before=NO_OBSERVATIONS) for subgroup in subgroups]


def _distinct_effects(effects: Iterable[SubgroupEffect]) -> list[SubgroupEffect]:
    """Keep one effect of each set of observations that appears under several names."""
    return [
        *{(effect.subgroup.now, effect.subgroup.before): effect for effect in reversed([*effects])}.values()
    ][::-1]


def bonferroni_z(subgroup_count: int) -> float:
    """Return the z that chance alone reaches for any of that many subgroups in one alert of twenty only.

    >>> round(bonferroni_z(1), 2), round(bonferroni_z(40), 2)
    (1.64, 3.02)
    """
    return NormalDist().inv_cdf(1 - ERROR_RATE / max(subgroup_count, 1))
