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

DROP_DISTANCES: Final = (0.006, 0.02, 0.05, 0.12)
"""Distance of each drop from the baseline: Kullback–Leibler information of one observation, in nats. From
an NPS of 30 these are drops by some 9, 16, 25 and 39 points, from a CSAT of 85 % to 81, 77, 72 and 65 %."""
LEAST_PROBABILITY: Final = 1e-4
"""Lower limit of a class's probability: otherwise a single observation of a class not seen before would
decide alone."""
_HALVINGS: Final = 50
_PATHS: Final = 1_000
_SEED: Final = 1
_ROUNDING: Final = 0.1
_SIMULATED_LINE: Final = 5.0
"""Line at which the overshoot is simulated: far enough from where log R begins."""


def smooth_probabilities(baseline: Floats) -> Floats:
    """Return probabilities, none below LEAST_PROBABILITY.

    >>> smooth_probabilities(np.array([0.0, 30.0, 70.0])).round(4).tolist()
    [0.0001, 0.3, 0.6999]
    """
    raised = np.maximum(baseline / baseline.sum(), LEAST_PROBABILITY)
    probabilities: Floats = raised / raised.sum()
    return probabilities


def tilt_strengths(baseline: Floats, scores: Floats, distance: float) -> Floats:
    """Return the tilt that brings each baseline, … × C, to this distance (nats). For a baseline so bad
    that nothing lies there, the result is larger than for any other."""
    shifted = scores - scores.min(axis=-1, keepdims=True)
    low = np.zeros(baseline.shape[:-1])
    high = 100.0 / np.maximum(np.ptp(scores, axis=-1), 1e-9) * np.ones_like(low)
    for _ in range(_HALVINGS):
        tilt = (low + high) / 2
        probabilities = baseline * np.exp(-tilt[..., None] * shifted)
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        is_near = (probabilities * np.log(np.maximum(probabilities, 1e-300) / baseline)).sum(
            axis=-1
        ) < distance
        low, high = np.where(is_near, tilt, low), np.where(is_near, high, tilt)
    middle: Floats = (low + high) / 2
    return middle


def tilt_distribution(baseline: Floats, scores: Floats, distance: float) -> Floats:
    """Return the distribution at this distance (nats) from the baseline with the lowest mean score; the
    worst one, if the baseline is so bad that there is none.

    >>> nps, scores = np.array([0.2, 0.3, 0.5]), np.array([-1.0, 0.0, 1.0])
    >>> [round(float(100 * tilt_distribution(nps, scores, distance) @ scores)) for distance in (0.006, 0.12)]
    [21, -9]
    """
    weights: Floats = baseline * np.exp(-tilt_strengths(baseline, scores, distance) * (scores - scores.min()))
    worse: Floats = np.maximum(weights / weights.sum(), 1e-12)
    return worse


def log_ratios(baseline: Floats, scores: Floats) -> Floats:
    """Return log Λ by drop and class, K × C. The baseline must come from `smooth_probabilities`."""
    drops = [tilt_distribution(baseline, scores, distance) for distance in DROP_DISTANCES]
    logs: Floats = np.log(np.array(drops) / baseline)
    return logs


class ShiryaevRoberts:
    """Shiryaev–Roberts statistic of one series, or of many evaluated together as `shape` says.

    >>> nps, scores = smooth_probabilities(np.array([0.2, 0.3, 0.5])), np.array([-1.0, 0.0, 1.0])
    >>> evidence = ShiryaevRoberts()
    >>> evidence.add(log_ratios(nps, scores), np.array([30, 20, 10]))  # detractors, passives, promoters
    >>> bool(evidence.log_value() > decision_line(nps, scores, 6_000))
    True
    """

    def __init__(self, *shape: int) -> None:
        self._logs = np.full((*shape, len(DROP_DISTANCES)), -np.inf)

    def add(self, ratios: Floats, counts: Integers) -> None:
        """Add observations by class, … × C, that came together; `ratios` … × K × C."""
        self.add_logs(np.einsum("...kc,...c->...k", ratios, counts), counts.sum(axis=-1))

    def add_logs(self, logs: Floats, counts: Integers | Floats) -> None:
        """Add observations that came together, given their number and their log Λ by drop (`logs`). A
        change may lie before all of them: Rₖ ← (Rₖ + m) Λₖ, with which R − n still is a martingale."""
        self.admit_change(counts)
        self.multiply(logs)

    def admit_change(self, counts: Integers | Floats) -> Floats:
        """Admit a change just before that many observations. Returns the share of Rₖ that belongs to
        earlier changes."""
        log_counts = np.log(np.maximum(counts, 1e-300))[..., None]
        combined = np.logaddexp(self._logs, log_counts)
        share: Floats = np.exp(self._logs - combined)
        self._logs = combined
        return share

    def multiply(self, logs: Floats) -> None:
        self._logs = self._logs + logs

    def subset(self, series: NDArray[np.bool_]) -> "ShiryaevRoberts":
        """Return the statistic of some series, as a copy."""
        chosen = ShiryaevRoberts()
        chosen._logs = self._logs[series]
        return chosen

    def copy(self) -> "ShiryaevRoberts":
        copied = ShiryaevRoberts()
        copied._logs = self._logs.copy()
        return copied

    def log_value(self) -> Floats:
        """Return log R. An alarm is due where it reaches the decision line."""
        log_sum: Floats = np.logaddexp.reduce(self._logs, axis=-1) - np.log(len(DROP_DISTANCES))
        return log_sum

    def cap(self, line: Floats) -> None:
        """Limit the statistic to what an alarm needs: all of it must be outweighed before a drop is over."""
        self._logs -= np.maximum(self.log_value() - line, 0.0)[..., None]

    def reset(self, where: NDArray[np.bool_]) -> None:
        """Start anew, as after an alarm that was notified."""
        self._logs[where] = -np.inf


def decision_line(baseline: Floats, scores: Floats, observations_per_alarm: float) -> float:
    """Return the log R at which to raise an alarm, for one false alarm in `observations_per_alarm`
    observations on average.

    R jumps over the line, by a factor of 1/ζ on average: without ζ there would be fewer false alarms than
    promised. ζ depends on the steps that log R makes, hardly on the line or on details of the baseline:
    its value for one baseline is used for those close to it.

    >>> nps, scores = smooth_probabilities(np.array([0.2, 0.3, 0.5])), np.array([-1.0, 0.0, 1.0])
    >>> round(decision_line(nps, scores, 6_000), 1), round(decision_line(nps, scores, 600_000), 1)
    (8.5, 13.1)
    """
    spread = max(float(np.ptp(scores)), 1e-9)
    from_worst = np.round((scores - scores.min()) / spread / _ROUNDING) * _ROUNDING
    coarse = _round_roots(np.sqrt(baseline / baseline.sum()))
    return float(np.log(observations_per_alarm)) + _log_overshoot(
        tuple(coarse.tolist()), tuple(from_worst.tolist())
    )


def _round_roots(roots: Floats) -> Floats:
    """Round square roots of probabilities; those of rare classes more finely, since they make larger
    steps."""
    rounded: Floats = np.where(roots < 0.3, np.round(2 * roots / _ROUNDING) / 2, np.round(roots / _ROUNDING))
    coarse: Floats = rounded * _ROUNDING
    return coarse


@lru_cache(maxsize=4096)
def _log_overshoot(coarse: tuple[float, ...], from_worst: tuple[float, ...]) -> float:
    """Return log ζ. After a change of measure ζ = E[A/R] at the crossing if the drops were true, which
    takes few observations: it is simulated, with a seed of its own."""
    baseline, scores = smooth_probabilities(np.array(coarse) ** 2), np.array(from_worst)
    logs, generator = log_ratios(baseline, scores), np.random.default_rng(_SEED)
    drop_indexes = np.arange(_PATHS) % len(DROP_DISTANCES)
    chances = np.cumsum(np.exp(logs) * baseline, axis=1)
    evidence, overshoots, alive = ShiryaevRoberts(_PATHS), np.empty(_PATHS), np.arange(_PATHS)
    while len(alive):
        uniforms = generator.random((_PATHS, 1))[alive]
        classes = (uniforms > chances[drop_indexes[alive]]).sum(axis=1).clip(max=len(baseline) - 1)
        evidence.add_logs(logs.T[classes], np.ones(len(alive), np.int64))
        crossed = (log_values := evidence.log_value()) >= _SIMULATED_LINE
        if crossed.any():
            overshoots[alive[crossed]] = log_values[crossed] - _SIMULATED_LINE
            alive, evidence = alive[~crossed], evidence.subset(~crossed)
    return float(np.log(np.exp(-overshoots).mean()))
