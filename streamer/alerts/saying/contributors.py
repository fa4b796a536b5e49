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

from streamer.alerts.saying.amount import NOTHING, Amount
from streamer.events.rules import UNKNOWN
from streamer.readings.suppression import FEWEST

MOST: Final = 3
WRONG: Final = 0.05
NEARLY_ALL: Final = 0.9
_NONE: Final = 1e-18


class Part(NamedTuple):
    """Observations of one key of a dimension, now and before."""

    dimension: str
    key: str
    now: Amount
    before: Amount = NOTHING


class Moved(NamedTuple):
    """Effect of a subgroup. `share` of the observations now. `moved_by`: in the metric's unit, below zero
    downwards; `moved_z`: the same in standard errors. `apart_z`: how far the subgroup drew away from the
    whole, in standard errors."""

    part: Part
    share: float
    by: float
    sure: float
    apart: float


class Named(NamedTuple):
    """Subgroup to name in a message; `apart`: it stands out."""

    moved: Moved
    apart: bool


def moved(parts: Sequence[Part], point: float | None = None) -> list[Moved]:
    """Return the effect of each subgroup of one division; empty if there are no observations now.
    `reference`: the value to compare with if nothing is known of before.

    >>> red = Part("team", "red", now=Amount(50, -1_000, 500_000), before=Amount(50, 1_500, 500_000))
    >>> blue = Part("team", "blue", now=Amount(50, 1_500, 500_000), before=Amount(50, 1_500, 500_000))
    >>> [(effect.part.key, effect.by) for effect in moved([red, blue])]  # the NPS of both fell from 30 to 5
    [('red', -25.0), ('blue', 0.0)]
    """
    now, before = whole(part.now for part in parts), whole(part.before for part in parts)
    start = point if before.mean is None else before.mean
    if now.mean is None or start is None:
        return []
    return [_moved(part, now, before, start) for part in parts]


def _moved(part: Part, now: Amount, before: Amount, start: float) -> Moved:
    by = _share(part.now, now, start) - _share(part.before, before, start)
    sides = [(own.around(start), of.of) for own, of in ((part.now, now), (part.before, before)) if of.of]
    sure = _ratio(by, sum(around / of**2 for around, of in sides))
    return Moved(part, part.now.of / now.of, by, sure, _apart(part, now, before))


def whole(amounts: Iterable[Amount]) -> Amount:
    found = NOTHING
    for amount in amounts:
        found = found.plus(amount)
    return found


def _share(part: Amount, of: Amount, point: float) -> float:
    """Return w (v − reference)."""
    return (part.total - point * part.of) / of.of if of.of else 0.0


def _apart(part: Part, now: Amount, before: Amount) -> float:
    """Return the subgroup's deviation in standard errors: each observation of the subgroup moves the
    deviation by 1 − w of its distance from the mean, each other one by w (the delta method)."""
    deviation, variance = 0.0, 0.0
    for sign, own, of in ((1, part.now, now), (-1, part.before, before)):
        if of.mean is None:
            continue
        share, around = own.of / of.of, own.around(of.mean)
        rest = max(of.around(of.mean) - around, 0.0)
        deviation += sign * _share(own, of, of.mean)
        variance += ((1 - share) ** 2 * around + share**2 * rest) / of.of**2
    return _ratio(deviation, variance)


def _ratio(value: float, variance: float) -> float:
    return value / sqrt(variance) if variance > _NONE else 0.0


def largest(divisions: Iterable[Sequence[Part]], better: str, point: float | None = None) -> list[Named]:
    """Return the few subgroups of all divisions that moved the whole most in the harmful direction, the
    largest effect first. `reference`: a target; if the whole was no better before, it is compared with
    that instead."""
    sign = -1 if better == "higher" else 1
    compared = (_compared(parts, sign, point) for parts in divisions)
    found = [one for parts in compared for one in moved(parts, point)]
    found = [one for one in found if one.share < 1 and one.part.now.of >= FEWEST and one.part.key != UNKNOWN]
    line = surely(len(found))
    harmful = sorted((one for one in found if sign * one.by > 0), key=lambda one: -sign * one.by)
    apart = [one for one in harmful if sign * one.apart >= line]
    alike = [one for one in harmful if sign * one.sure >= line and one.share <= NEARLY_ALL]
    return [Named(one, bool(apart)) for one in _different(apart or alike)[:MOST]]


def _compared(parts: Sequence[Part], sign: int, point: float | None) -> Sequence[Part]:
    before = whole(part.before for part in parts).mean
    if point is None or before is None or sign * (before - point) < 0:
        return parts
    return [part._replace(before=NOTHING) for part in parts]


def _different(found: Iterable[Moved]) -> list[Moved]:
    """Keep one effect of each set of observations that appears under several names."""
    return [*{(one.part.now, one.part.before): one for one in reversed([*found])}.values()][::-1]


def surely(parts: int) -> float:
    """Return the z that chance alone reaches for any of that many subgroups in one alert of twenty only.

    >>> round(surely(1), 2), round(surely(40), 2)
    (1.64, 3.02)
    """
    return NormalDist().inv_cdf(1 - WRONG / max(parts, 1))
