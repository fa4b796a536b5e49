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


def smoothed(baseline: Floats) -> Floats:
    """Probabilities, none below LOW."""
    raised = np.maximum(baseline / baseline.sum(), LOW)
    found: Floats = raised / raised.sum()
    return found


def tilted(baseline: Floats, scores: Floats, distance: float) -> Floats:
    """The distribution at this distance (nats) from the baseline with the lowest mean score; of a baseline so
    bad that there is none, the worst."""
    shifted = scores - scores.min()
    low, high = 0.0, 100.0 / max(float(np.ptp(scores)), 1e-9)
    for _ in range(_HALVINGS):
        tilt = (low + high) / 2
        found: Floats = baseline * np.exp(-tilt * shifted)
        found /= found.sum()
        if float(found @ np.log(np.maximum(found, 1e-300) / baseline)) < distance:
            low = tilt
        else:
            high = tilt
    return np.maximum(found, 1e-12)


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
        """Observations by class, … × C, that came together; `ratios` … × K × C. What came together might be
        after a change as a whole: Rₖ ← (Rₖ + m) Λₖ, with which R − n still is a martingale."""
        several = np.log(np.maximum(counts.sum(axis=-1, keepdims=True), 1e-300))
        self._logs = np.logaddexp(self._logs, several) + np.einsum("...kc,...c->...k", ratios, counts)

    def log(self) -> Floats:
        """log R. An alarm is due where it reaches the decision line."""
        found: Floats = np.logaddexp.reduce(self._logs, axis=-1) - np.log(len(DISTANCES))
        return found

    def reset(self, where: NDArray[np.bool_]) -> None:
        """Begin anew, as after an alarm that was told."""
        self._logs[where] = -np.inf


def line(baseline: Floats, scores: Floats, between: float) -> float:
    """The log R at which to raise an alarm, for one false alarm in `between` observations on average.

    R jumps over the line, by a factor of 1/ζ on average: without ζ there would be fewer false alarms than
    promised. After a change of measure ζ = E[A/R] at the crossing if the drops were true, which takes few
    observations to see: it is simulated, with a seed of its own.
    """
    logs, chance = ratios(baseline, scores), np.random.default_rng(_SEED)
    wanted = float(np.log(between))
    which = np.arange(_PATHS) % len(DISTANCES)
    chances = np.cumsum(np.exp(logs) * baseline, axis=1)
    evidence, over = Evidence(_PATHS), np.full(_PATHS, np.nan)
    while np.isnan(over).any():
        seen = (chance.random((_PATHS, 1)) > chances[which]).sum(axis=1).clip(max=len(baseline) - 1)
        evidence.add(logs[None], np.eye(len(baseline), dtype=np.int64)[seen])
        crossed = (evidence.log() >= wanted) & np.isnan(over)
        over[crossed] = evidence.log()[crossed] - wanted
    return wanted + float(np.log(np.exp(-over).mean()))
