"""Dependence between observations, measured by its effect on evidence.

Contacts that wait long wait together. While nothing changes, Λ of any stretch of time is 1 on average; of
observations that come in bursts it is more. Then log Λ is divided by the amount that brings it back to 1.
Stretches of an hour, some hours and a day of the baseline's time are checked.
"""

from typing import Final

import numpy as np

from streamer.alerts.judging.baseline import Baseline, baseline
from streamer.alerts.judging.evidence import Floats, Integers
from streamer.alerts.judging.tilting import Tilts

STRETCHES_H: Final = (1, 4, 24)
_MOST: Final = 20.0
_HALVINGS: Final = 12


def learned(counts: Integers, hours: Integers, scores: Floats) -> Baseline:
    """Fit the baseline, with a spread that also suits evidence of drops in these scores (G × C)."""
    usual = baseline(counts, hours)
    logs = Tilts.of(usual, scores).logs(counts, hours)
    needed = [_needed(_summed(logs, stretch)) for stretch in STRETCHES_H]
    return usual._replace(spread=np.max([usual.spread, *needed], axis=0))


def _summed(logs: Floats, stretch: int) -> Floats:
    whole = len(logs) // stretch * stretch
    found: Floats = logs[:whole].reshape(-1, stretch, *logs.shape[1:]).sum(axis=1)
    return found


def _needed(logs: Floats) -> Floats:
    """Return the divisor of log Λ by group; 1 where Λ is not above 1 beyond a standard error."""
    found = np.ones(logs.shape[1])
    if not len(logs):
        return found
    bursts = np.flatnonzero(_above(logs, found))
    low, high = np.ones(len(bursts)), np.full(len(bursts), _MOST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _above(logs[:, bursts], middle, 0.0)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found[bursts] = high
    return found


def _above(logs: Floats, by: Floats, errors: float = 1.0) -> np.ndarray:
    ratios = np.exp(np.minimum(logs / by[:, None], 50.0))
    sure = errors * ratios.std(axis=0) / np.sqrt(len(ratios))
    above: np.ndarray = (ratios.mean(axis=0) - sure > 1).any(axis=1)
    return above
