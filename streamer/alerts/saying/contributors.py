"""Here is which parts of the contacts behind a figure moved it, and by how much.

The whole is divided in several ways: by queue, by team, by reason. With w the share of the observations that
a part i has, v its mean and V that of the whole, the part moved the whole by

    cᵢ = wᵢ' (vᵢ' − V) − wᵢ (vᵢ − V)

from before to now ('): it became worse, or more of it came. In each division these add up to V' − V exactly;
parts that are new or gone need no case of their own. It is the decomposition of a mean into what happened
within parts and between them (Foster, Haltiwanger and Krizan 2001; after Kitagawa 1955), taken together.

Where all parts fell alike, the largest moved the whole most, and yet has nothing to do with it. A part stands
out only if it drew away from the whole: its deviation wᵢ' (vᵢ' − V') − wᵢ (vᵢ − V) is harmful beyond chance.
If some do, they are named and no others; if none does, those that moved the whole most are, as such. Of all
parts looked at, one is taken for what it is not in about one alert of twenty (Bonferroni). A part that is the
whole is never named, nor is a handful of observations: of n bad ones z is at most about √n. Nor is what is
not known: that abandoned contacts have no team does not say why they were.
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
    """The observations of one key of a dimension, now and before."""

    dimension: str
    key: str
    now: Amount
    before: Amount = NOTHING


class Moved(NamedTuple):
    """`share` of the observations now. `by`: in the metric's unit; `sure`: how many standard errors that is.
    `apart`: how far the part drew away from the whole, in standard errors. Below zero: downwards."""

    part: Part
    share: float
    by: float
    sure: float
    apart: float


class Named(NamedTuple):
    """`apart`: whether it stands out."""

    moved: Moved
    apart: bool


def moved(parts: Sequence[Part], point: float | None = None) -> list[Moved]:
    """What each part of one division did; nothing where there is nothing now. `point`: what is compared with
    if nothing is known of before."""
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
    """w (v − point)."""
    return (part.total - point * part.of) / of.of if of.of else 0.0


def _apart(part: Part, now: Amount, before: Amount) -> float:
    """Its deviation by the standard error: each observation of the part moves the deviation by 1 − w of its
    distance from the mean, each other one by w (the delta method)."""
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
    """Of the parts of all divisions the few that moved the whole most in the harmful direction, the one that
    did most first. `point`: a target; what was no better before is compared with it instead."""
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
    """What is the same observations under another name once."""
    return [*{(one.part.now, one.part.before): one for one in reversed([*found])}.values()][::-1]


def surely(parts: int) -> float:
    """The z that none of so many parts reaches by chance, but in one of twenty alerts."""
    return NormalDist().inv_cdf(1 - WRONG / max(parts, 1))
