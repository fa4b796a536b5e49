"""Log likelihood ratios (log Λ) of observations under each of K drops, by hour of the week."""

from typing import NamedTuple

import numpy as np

from streamer.alerts.detection.baseline import Baseline
from streamer.alerts.statistics.evidence import DROP_DISTANCES, Floats, Integers, tilt_strengths


class DropLikelihoods(NamedTuple):
    """Parameters of log Λ by group, hour of the week and drop: the part that each observation adds
    whatever its class (`log_norms`), and its error (`deviations`, the standard deviation of one
    observation). `strength` G × K; `scores` G × C, of which the lowest is 0."""

    strength: Floats
    log_norms: Floats
    deviations: Floats
    scores: Floats

    @classmethod
    def from_baseline(cls, baseline: Baseline, scores: Floats) -> "DropLikelihoods":
        """Tilt every hour by the same amount, found for the mean of all hours."""
        shifted = scores - scores.min(axis=1, keepdims=True)
        strength = np.stack(
            [tilt_strengths(baseline.mean, scores, distance) for distance in DROP_DISTANCES], axis=1
        )
        worse = np.exp(-strength[:, :, None] * shifted[:, None])
        norm = np.einsum("gkc,ghc->ghk", worse, baseline.by_hour)
        squares = np.einsum("gkc,ghc->ghk", worse * worse, baseline.by_hour)
        off = np.sqrt(np.maximum(squares / (norm * norm) - 1, 0.0))
        return cls(strength, np.log(norm), off, shifted)

    def logs(self, counts: Integers, hours: Integers) -> Floats:
        """Return log Λ of each step, T × G × K, from counts T × G × C at hours of the week T × G."""
        score_sums = np.zeros(counts.shape[:2])
        for class_index in range(counts.shape[2]):  # one after the other: the same sums, however many steps
            score_sums += counts[:, :, class_index] * self.scores[:, class_index]
        norm = self.log_norms[np.arange(len(self.scores)), hours]
        logs: Floats = -self.strength * score_sums[..., None] - counts.sum(axis=2)[..., None] * norm
        return logs
