"""Here is how far what is usual may be from what is true, by hour of the week.

What is learned of n observations is off by as much as n observations are. Whoever adds up evidence over many
hours adds up the same error again and again: it grows with the square of their number, where hours were
learned together. The covariance of the errors follows from how each hour was drawn towards others
(`baseline`): the observations it was made of, and what is not known of how much hours differ.
"""

from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.judging.evidence import Floats, Integers

AROUND_H: Final = 1
"""An hour of the day is drawn towards so many on each side."""
_DAY: Final = np.eye(24)
_NEAR: Final = np.asarray(sum(np.roll(_DAY, by, axis=1) for by in range(-AROUND_H, AROUND_H + 1)))


class Weights(NamedTuple):
    """Of what hours of the day, weekdays, and hours of the week were drawn towards: in observations, G."""

    hours: Floats
    days: Floats
    cells: Floats


class Doubt(NamedTuple):
    """Of G groups, with the variance of one observation as the unit: the covariance of the errors of hours of
    the day (G × 24 × 24) and of weekdays (G × 7 × 7), and the variance of what an hour of the week has of its
    own (`cells`, G × WEEK). `common` G × WEEK: how much of its estimate is not its own."""

    hours: Floats
    days: Floats
    cells: Floats
    common: Floats


def doubt(several: Integers, drawn: Weights) -> Doubt:
    """`several`: observations by hour of the week, G × WEEK."""
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
    """Each is partly what came in that hour, partly what came around it; of hours without any nothing is
    known."""
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
    """How a weekday differs from all days together: these are in the hours of the day already."""
    own = number / (number + weight[:, None])
    all_days = np.maximum(number.sum(axis=1), 1)[:, None, None]
    apart = np.eye(7) / np.maximum(number, 1)[:, :, None] - 1 / all_days
    differ = (1 - own) ** 2 / (weight[:, None] + 1)
    found: Floats = own[:, :, None] * own[:, None] * apart + differ[:, :, None] * np.eye(7)
    return found
