"""Here is evidence that scores have dropped: how much likelier a drop makes what came in than no change does.

An observation falls into one of C classes with scores, such as detractor −1, passive 0, promoter 1, or bins
of a duration. A drop is the baseline tilted exponentially towards worse scores; since nobody knows how deep
it is, K drops of different depth are weighed against the baseline at once. With Λₖ the likelihood ratio of
drop k,

    Rₖ ← (Rₖ + 1) Λₖ(observation),   R = Σ wₖ Rₖ

is the Shiryaev–Roberts statistic of their mixture (Shiryaev 1963, Roberts 1966; Pollak and Tartakovsky 2009).
While nothing changes, R − n is a martingale after n observations, whatever baseline each of them has: so the
mean number of observations until a false alarm is the mean of R at that alarm. The decision line follows
from the number that is promised, and no threshold is tuned to data.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DISTANCES: Final = (0.006, 0.02, 0.05, 0.12)
"""Of each drop from the baseline: Kullback–Leibler information of one observation, in nats. From an NPS of
30 these are drops by some 9, 16, 25 and 39 points, from a CSAT of 85 % to 81, 77, 72 and 65 %."""
LOW: Final = 1e-4
"""No class is thought rarer: else a single observation that never was before would decide alone."""
_HALVINGS: Final = 50
_PATHS: Final = 1_000
_SEED: Final = 1
_COARSE: Final = 0.1
_CROSSED: Final = 5.0
"""The line at which the overshoot is looked at: far enough from where log R begins."""


def smoothed(baseline: Floats) -> Floats:
    """Probabilities, none below LOW."""
    raised = np.maximum(baseline / baseline.sum(), LOW)
    found: Floats = raised / raised.sum()
    return found


def tilts(baseline: Floats, scores: Floats, distance: float) -> Floats:
    """How strongly to tilt each of some baselines, … × C, to come to this distance (nats); of one so bad that
    nothing lies there, more than any has."""
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
    """The distribution at this distance (nats) from the baseline with the lowest mean score; of a baseline so
    bad that there is none, the worst."""
    found: Floats = baseline * np.exp(-tilts(baseline, scores, distance) * (scores - scores.min()))
    worse: Floats = np.maximum(found / found.sum(), 1e-12)
    return worse


def ratios(baseline: Floats, scores: Floats) -> Floats:
    """log Λ by drop and class, K × C. The baseline must be `smoothed`."""
    drops = [tilted(baseline, scores, distance) for distance in DISTANCES]
    found: Floats = np.log(np.array(drops) / baseline)
    return found


class Evidence:
    """The statistic of one or of many series that are looked at together, as `shape` says."""

    def __init__(self, *shape: int) -> None:
        self._logs = np.full((*shape, len(DISTANCES)), -np.inf)

    def add(self, ratios: Floats, counts: Integers) -> None:
        """Observations by class, … × C, that came together; `ratios` … × K × C."""
        self.gather(np.einsum("...kc,...c->...k", ratios, counts), counts.sum(axis=-1))

    def gather(self, logs: Floats, several: Integers | Floats) -> None:
        """So many observations that came together; `logs`: their log Λ by drop. They might be after a change
        as a whole: Rₖ ← (Rₖ + m) Λₖ, with which R − n still is a martingale."""
        self.begin(several)
        self.weigh(logs)

    def begin(self, several: Integers | Floats) -> Floats:
        """A change might be just before so many observations. What share of Rₖ is of changes before."""
        begun = np.log(np.maximum(several, 1e-300))[..., None]
        both = np.logaddexp(self._logs, begun)
        share: Floats = np.exp(self._logs - both)
        self._logs = both
        return share

    def weigh(self, logs: Floats) -> None:
        self._logs = self._logs + logs

    def only(self, series: NDArray[np.bool_]) -> "Evidence":
        """That of some series, apart."""
        found = Evidence()
        found._logs = self._logs[series]
        return found

    def copy(self) -> "Evidence":
        found = Evidence()
        found._logs = self._logs.copy()
        return found

    def log(self) -> Floats:
        """log R. An alarm is due where it reaches the decision line."""
        found: Floats = np.logaddexp.reduce(self._logs, axis=-1) - np.log(len(DISTANCES))
        return found

    def cap(self, line: Floats) -> None:
        """No more than an alarm needs: all of it must be outweighed before a drop is known to be over."""
        self._logs -= np.maximum(self.log() - line, 0.0)[..., None]

    def reset(self, where: NDArray[np.bool_]) -> None:
        """Begin anew, as after an alarm that was told."""
        self._logs[where] = -np.inf


def line(baseline: Floats, scores: Floats, between: float) -> float:
    """The log R at which to raise an alarm, for one false alarm in `between` observations on average.

    R jumps over the line, by a factor of 1/ζ on average: without ζ there would be fewer false alarms than
    promised. It depends on the steps that log R makes, hardly on the line or on details of the baseline: what
    was found for a baseline is taken for those close to it.
    """
    spread = max(float(np.ptp(scores)), 1e-9)
    from_worst = np.round((scores - scores.min()) / spread / _COARSE) * _COARSE
    coarse = _coarse(np.sqrt(baseline / baseline.sum()))
    return float(np.log(between)) + _overshoot(tuple(coarse.tolist()), tuple(from_worst.tolist()))


def _coarse(roots: Floats) -> Floats:
    """A class that is rare makes larger steps."""
    found: Floats = np.where(roots < 0.3, np.round(2 * roots / _COARSE) / 2, np.round(roots / _COARSE))
    coarse: Floats = found * _COARSE
    return coarse


@lru_cache(maxsize=4096)
def _overshoot(coarse: tuple[float, ...], from_worst: tuple[float, ...]) -> float:
    """log ζ. After a change of measure ζ = E[A/R] at the crossing if the drops were true, which takes few
    observations to see: it is simulated, with a seed of its own."""
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
