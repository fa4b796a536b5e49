"""Here is how sure one must be who looks at every answer.

A 95 % interval is wrong once in twenty looks; who looks at each answer is wrong far more often. Under a true
score that is just on target, the standardized mean of a window wanders as a stationary Gaussian process does
whose correlation falls off linearly, 1 − c |t|; it rises above a high z at the rate c z φ(z) for each t
(Pickands 1969; Leadbetter, Lindgren and Rootzén 1983, chapter 12). So z follows from how often an alarm may
be false, and an interval made with it lies beyond the target as often as that, and no more.
"""

from collections.abc import Callable
from math import erfc, exp, log, pi, sqrt
from typing import Final

_OVERSHOOT: Final = 0.5826
"""Between answers nobody looks: Siegmund's correction, −ζ(1/2)/√(2π), in standard deviations of a step."""
_STEPS: Final = 64
_LOWEST: Final = 1.0
_HIGHEST: Final = 8.0


def rolling(window: float, between: float) -> float:
    """z for a window that holds `window` answers and moves along with each, for one false alarm in
    `between` answers on average. An answer leaves as one comes in: c = 1 / window."""
    assert window >= 1
    step = sqrt(2 / window)

    def alarms(z: float) -> float:
        return _rate(z + _OVERSHOOT * step) / window * between

    return _solved(alarms)


def growing(least: float, most: float, between: float) -> float:
    """z for a window that begins anew with each day and grows to `most` answers, looked at from `least` on,
    for one false alarm in `between` answers on average. In log n the process is stationary: c = 1/2."""
    assert least >= 1
    most = max(least, most)
    width = log(most / least) / _STEPS
    sizes = [least * exp((number + 0.5) * width) for number in range(_STEPS)]

    def alarms(z: float) -> float:
        during = sum(_rate(z + _OVERSHOOT / sqrt(size)) for size in sizes) / 2 * width
        return (_above(z) + during) * between / most

    return _solved(alarms)


def skewed(z: float, skewness: float, answers: float) -> float:
    """z for the lower side of a mean of `answers` answers, whose distribution has this skewness: few bad ones
    among many good make low means likelier than a normal distribution has them (Cornish and Fisher 1938).
    For the upper side the skewness has the other sign."""
    return max(_LOWEST, z - skewness * (z * z - 1) / (6 * sqrt(answers)))


def skewness_of_share(share: float) -> float:
    """Of one answer that is a hit with this probability; 0 where there is nothing but hits, or none."""
    spread = sqrt(share * (1 - share))
    return (1 - 2 * share) / spread if spread else 0.0


def _rate(z: float) -> float:
    return z * exp(-z * z / 2) / sqrt(2 * pi)


def _above(z: float) -> float:
    return erfc(z / sqrt(2)) / 2


def _solved(alarms: Callable[[float], float]) -> float:
    """Where there is one alarm; alarms become fewer with z."""
    low, high = _LOWEST, _HIGHEST
    while high - low > 1e-6:
        z = (low + high) / 2
        low, high = (z, high) if alarms(z) > 1 else (low, z)
    return high
