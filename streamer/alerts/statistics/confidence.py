"""Required confidence (z) for an interval that is checked after every answer.

A 95 % interval is wrong in one look of twenty; checked after each answer, it is wrong far more often.
Under a true score that is just on target, the standardized mean of a window wanders as a stationary
Gaussian process does whose correlation falls off linearly, 1 − c |t|; it rises above a high z at the rate
c z φ(z) for each t (Pickands 1969; Leadbetter, Lindgren and Rootzén 1983, chapter 12). So z follows from
the allowed rate of false alarms, and an interval made with it lies beyond the target that often, and no
more.
"""

from collections.abc import Callable
from math import erfc, exp, log, pi, sqrt
from typing import Final

from streamer.metrics.samples import LOWEST_Z

_OVERSHOOT: Final = 0.5826
"""Siegmund's correction for a process checked at discrete answers, −ζ(1/2)/√(2π), in standard deviations
of a step."""
_STEPS: Final = 64
_HIGHEST_Z: Final = 8.0


def rolling_z(window: float, answers_per_alarm: float) -> float:
    """Return z for a window that holds `window` answers and moves along with each, for one false alarm in
    `answers_per_alarm` answers on average. An answer leaves as one comes in: c = 1 / window.

    >>> round(rolling_z(100, 6_000), 2), round(rolling_z(100, 600_000), 2)
    (2.83, 4.22)
    """
    assert window >= 1
    step = sqrt(2 / window)

    def alarms(z: float) -> float:
        return _crossing_rate(z + _OVERSHOOT * step) / window * answers_per_alarm

    return _solve_for_one_alarm(alarms)


def growing_z(least: float, most: float, answers_per_alarm: float) -> float:
    """Return z for a window that starts anew each day and grows to `most` answers, checked from `least`
    answers on, for one false alarm in `answers_per_alarm` answers on average. In log n the process is
    stationary: c = 1/2.

    >>> round(growing_z(30, 200, 6_000), 2)
    2.6
    """
    assert least >= 1
    most = max(least, most)
    width = log(most / least) / _STEPS
    sizes = [least * exp((number + 0.5) * width) for number in range(_STEPS)]

    def alarms(z: float) -> float:
        during = sum(_crossing_rate(z + _OVERSHOOT / sqrt(size)) for size in sizes) / 2 * width
        return (_upper_tail(z) + during) * answers_per_alarm / most

    return _solve_for_one_alarm(alarms)


def _crossing_rate(z: float) -> float:
    return z * exp(-z * z / 2) / sqrt(2 * pi)


def _upper_tail(z: float) -> float:
    return erfc(z / sqrt(2)) / 2


def _solve_for_one_alarm(alarms: Callable[[float], float]) -> float:
    """Find the z that gives one alarm; alarms decrease with z."""
    low, high = LOWEST_Z, _HIGHEST_Z
    while high - low > 1e-6:
        z = (low + high) / 2
        low, high = (z, high) if alarms(z) > 1 else (low, z)
    return high
