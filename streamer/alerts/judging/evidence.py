"""Evidence of a drop: how much likelier a drop makes the observations than no change does.

An observation falls into one of C classes with scores, such as detractor −1, passive 0, promoter 1, or
bins of a duration. A drop is the baseline tilted exponentially towards worse scores; since its depth is
unknown, K drops of different depth are weighed against the baseline at once. With Λₖ the likelihood ratio
of drop k,

    Rₖ ← (Rₖ + 1) Λₖ(observation),   R = Σ wₖ Rₖ

is the Shiryaev–Roberts statistic of their mixture (Shiryaev 1963, Roberts 1966; Pollak and Tartakovsky
2009). While nothing changes, R − n is a martingale after n observations, whatever baseline each of them
has: so the mean number of observations until a false alarm is the mean of R at that alarm. The decision
line follows from the number that is promised, and no threshold is tuned to data.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DISTANCES: Final = (0.006, 0.02, 0.05, 0.12)
"""Distance of each drop from the baseline: Kullback–Leibler information of one observation, in nats. From
an NPS of 30 these are drops by some 9, 16, 25 and 39 points, from a CSAT of 85 % to 81, 77, 72 and 65 %."""
LOW: Final = 1e-4
"""Lower limit of a class's probability: otherwise a single observation of a class not seen before would
decide alone."""
_HALVINGS: Final = 50
_PATHS: Final = 1_000
_SEED: Final = 1
_COARSE: Final = 0.1
_CROSSED: Final = 5.0
"""Line at which the overshoot is simulated: far enough from where log R begins."""


def smoothed(baseline: Floats) -> Floats:
    """Return probabilities, none below LEAST_PROBABILITY.

    >>> smoothed(np.array([0.0, 30.0, 70.0])).round(4).tolist()
    [0.0001, 0.3, 0.6999]
    """
    raised = np.maximum(baseline / baseline.sum(), LOW)
    found: Floats = raised / raised.sum()
    return found


def tilts(baseline: Floats, scores: Floats, distance: float) -> Floats:
    """Return the tilt that brings each baseline, … × C, to this distance (nats). For a baseline so bad
    that nothing lies there, the result is larger than for any other."""
    shifted = scores - scores.min(axis=-1, keepdims=True)
    low = np.zeros(baseline.shape[:-1])
    high = 100.0 / np.maximum(np.ptp(scores, axis=-1), 1e-9) * np.ones_like(low)
    for _ in range(_HALVINGS):
        tilt = (low + high) / 2
        found = baseline * np.exp(-tilt[..., None] * shifted)
        found /= found.sum(axis=-1, keepdims=True)
        near = (found * np.log(np.maximum(found, 1e-300) / baseline)).sum(axis=-1) < distance
        low, high = np.where(near, tilt, low), np.where(near, high, tilt)
    middle: Floats = (low + high) / 2
    return middle


def tilted(baseline: Floats, scores: Floats, distance: float) -> Floats:
    """Return the distribution at this distance (nats) from the baseline with the lowest mean score; the
    worst one, if the baseline is so bad that there is none.

    >>> nps, scores = np.array([0.2, 0.3, 0.5]), np.array([-1.0, 0.0, 1.0])
    >>> [round(float(100 * tilted(nps, scores, distance) @ scores)) for distance in (0.006, 0.12)]
    [21, -9]
    """
    found: Floats = baseline * np.exp(-tilts(baseline, scores, distance) * (scores - scores.min()))
    worse: Floats = np.maximum(found / found.sum(), 1e-12)
    return worse


def ratios(baseline: Floats, scores: Floats) -> Floats:
    """Return log Λ by drop and class, K × C. The baseline must come from `smooth_probabilities`."""
    drops = [tilted(baseline, scores, distance) for distance in DISTANCES]
    found: Floats = np.log(np.array(drops) / baseline)
    return found


class Evidence:
    """Shiryaev–Roberts statistic of one series, or of many evaluated together as `shape` says.

    >>> nps, scores = smoothed(np.array([0.2, 0.3, 0.5])), np.array([-1.0, 0.0, 1.0])
    >>> evidence = Evidence()
    >>> evidence.add(ratios(nps, scores), np.array([30, 20, 10]))  # detractors, passives, promoters
    >>> bool(evidence.log() > line(nps, scores, 6_000))
    True
    """

    def __init__(self, *shape: int) -> None:
        self._logs = np.full((*shape, len(DISTANCES)), -np.inf)

    def add(self, ratios: Floats, counts: Integers) -> None:
        """Add observations by class, … × C, that came together; `ratios` … × K × C."""
        self.gather(np.einsum("...kc,...c->...k", ratios, counts), counts.sum(axis=-1))

    def gather(self, logs: Floats, several: Integers | Floats) -> None:
        """Add observations that came together, given their number and their log Λ by drop (`logs`). A
        change may lie before all of them: Rₖ ← (Rₖ + m) Λₖ, with which R − n still is a martingale."""
        self.begin(several)
        self.weigh(logs)

    def begin(self, several: Integers | Floats) -> Floats:
        """Admit a change just before that many observations. Returns the share of Rₖ that belongs to
        earlier changes."""
        begun = np.log(np.maximum(several, 1e-300))[..., None]
        both = np.logaddexp(self._logs, begun)
        share: Floats = np.exp(self._logs - both)
        self._logs = both
        return share

    def weigh(self, logs: Floats) -> None:
        self._logs = self._logs + logs

    def only(self, series: NDArray[np.bool_]) -> "Evidence":
        """Return the statistic of some series, as a copy."""
        found = Evidence()
        found._logs = self._logs[series]
        return found

    def copy(self) -> "Evidence":
        found = Evidence()
        found._logs = self._logs.copy()
        return found

    def log(self) -> Floats:
        """Return log R. An alarm is due where it reaches the decision line."""
        found: Floats = np.logaddexp.reduce(self._logs, axis=-1) - np.log(len(DISTANCES))
        return found

    def cap(self, line: Floats) -> None:
        """Limit the statistic to what an alarm needs: all of it must be outweighed before a drop is over."""
        self._logs -= np.maximum(self.log() - line, 0.0)[..., None]

    def reset(self, where: NDArray[np.bool_]) -> None:
        """Start anew, as after an alarm that was notified."""
        self._logs[where] = -np.inf


def line(baseline: Floats, scores: Floats, between: float) -> float:
    """Return the log R at which to raise an alarm, for one false alarm in `observations_per_alarm`
    observations on average.

    R jumps over the line, by a factor of 1/ζ on average: without ζ there would be fewer false alarms than
    promised. ζ depends on the steps that log R makes, hardly on the line or on details of the baseline:
    its value for one baseline is used for those close to it.

    >>> nps, scores = smoothed(np.array([0.2, 0.3, 0.5])), np.array([-1.0, 0.0, 1.0])
    >>> round(line(nps, scores, 6_000), 1), round(line(nps, scores, 600_000), 1)
    (8.5, 13.1)
    """
    spread = max(float(np.ptp(scores)), 1e-9)
    from_worst = np.round((scores - scores.min()) / spread / _COARSE) * _COARSE
    coarse = _coarse(np.sqrt(baseline / baseline.sum()))
    return float(np.log(between)) + _overshoot(tuple(coarse.tolist()), tuple(from_worst.tolist()))


def _coarse(roots: Floats) -> Floats:
    """Round square roots of probabilities; those of rare classes more finely, since they make larger
    steps."""
    found: Floats = np.where(roots < 0.3, np.round(2 * roots / _COARSE) / 2, np.round(roots / _COARSE))
    coarse: Floats = found * _COARSE
    return coarse


@lru_cache(maxsize=4096)
def _overshoot(coarse: tuple[float, ...], from_worst: tuple[float, ...]) -> float:
    """Return log ζ. After a change of measure ζ = E[A/R] at the crossing if the drops were true, which
    takes few observations: it is simulated, with a seed of its own."""
    baseline, scores = smoothed(np.array(coarse) ** 2), np.array(from_worst)
    logs, chance = ratios(baseline, scores), np.random.default_rng(_SEED)
    which = np.arange(_PATHS) % len(DISTANCES)
    chances = np.cumsum(np.exp(logs) * baseline, axis=1)
    evidence, over, alive = Evidence(_PATHS), np.empty(_PATHS), np.arange(_PATHS)
    while len(alive):
        drawn = chance.random((_PATHS, 1))[alive]
        seen = (drawn > chances[which[alive]]).sum(axis=1).clip(max=len(baseline) - 1)
        evidence.gather(logs.T[seen], np.ones(len(alive), np.int64))
        crossed = (found := evidence.log()) >= _CROSSED
        if crossed.any():
            over[alive[crossed]] = found[crossed] - _CROSSED
            alive, evidence = alive[~crossed], evidence.only(~crossed)
    return float(np.log(np.exp(-over).mean()))
