"""Log likelihood ratios (log Λ) of observations under each of K drops, by hour of the week."""

from typing import NamedTuple

import numpy as np

from streamer.alerts.judging.baseline import Baseline
from streamer.alerts.judging.evidence import DISTANCES, Floats, Integers, tilts


class Tilts(NamedTuple):
    """Parameters of log Λ by group, hour of the week and drop: the part that each observation adds
    whatever its class (`log_norms`), and its error (`deviations`, the standard deviation of one
    observation). `strength` G × K; `scores` G × C, of which the lowest is 0."""

    strength: Floats
    norm: Floats
    off: Floats
    scores: Floats

    @classmethod
    def of(cls, usual: Baseline, scores: Floats) -> "Tilts":
        """Tilt every hour by the same amount, found for the mean of all hours."""
        shifted = scores - scores.min(axis=1, keepdims=True)
        strength = np.stack([tilts(usual.mean, scores, one) for one in DISTANCES], axis=1)
        worse = np.exp(-strength[:, :, None] * shifted[:, None])
        norm = np.einsum("gkc,ghc->ghk", worse, usual.by_hour)
        squares = np.einsum("gkc,ghc->ghk", worse * worse, usual.by_hour)
        off = np.sqrt(np.maximum(squares / (norm * norm) - 1, 0.0))
        return cls(strength, np.log(norm), off, shifted)

    def logs(self, counts: Integers, hours: Integers) -> Floats:
        """Return log Λ of each step, T × G × K, from counts T × G × C at hours of the week T × G."""
        seen = np.zeros(counts.shape[:2])
        for number in range(counts.shape[2]):  # one after the other: the same sums, however many steps
            seen += counts[:, :, number] * self.scores[:, number]
        norm = self.norm[np.arange(len(self.scores)), hours]
        found: Floats = -self.strength * seen[..., None] - counts.sum(axis=2)[..., None] * norm
        return found
