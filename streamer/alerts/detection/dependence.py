"""Dependence between observations, measured by its effect on evidence.

Contacts that wait long wait together. While nothing changes, Λ of any stretch of time is 1 on average; of
observations that come in bursts it is more. Then log Λ is divided by the amount that brings it back to 1.
Stretches of an hour, some hours and a day of the baseline's time are checked.
"""

from typing import Final

import numpy as np

from streamer.alerts.detection.baseline import Baseline, fit_baseline
from streamer.alerts.detection.likelihood import DropLikelihoods
from streamer.alerts.statistics.evidence import Floats, Integers

STRETCHES_H: Final = (1, 4, 24)
_MAX_SPREAD: Final = 20.0
_HALVINGS: Final = 12


def learn_baseline(counts: Integers, hours: Integers, scores: Floats) -> Baseline:
    """Fit the baseline, with a spread that also suits evidence of drops in these scores (G × C)."""
    baseline = fit_baseline(counts, hours)
    logs = DropLikelihoods.from_baseline(baseline, scores).logs(counts, hours)
    needed = [_needed_spread(_sum_stretches(logs, stretch)) for stretch in STRETCHES_H]
    return baseline._replace(spread=np.max([baseline.spread, *needed], axis=0))


def _sum_stretches(logs: Floats, stretch: int) -> Floats:
    length = len(logs) // stretch * stretch
    sums: Floats = logs[:length].reshape(-1, stretch, *logs.shape[1:]).sum(axis=1)
    return sums


def _needed_spread(logs: Floats) -> Floats:
    """Return the divisor of log Λ by group; 1 where Λ is not above 1 beyond a standard error."""
    spread = np.ones(logs.shape[1])
    if not len(logs):
        return spread
    bursts = np.flatnonzero(_exceeds_one(logs, spread))
    low, high = np.ones(len(bursts)), np.full(len(bursts), _MAX_SPREAD)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _exceeds_one(logs[:, bursts], middle, 0.0)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    spread[bursts] = high
    return spread


def _exceeds_one(logs: Floats, divisors: Floats, errors: float = 1.0) -> np.ndarray:
    ratios = np.exp(np.minimum(logs / divisors[:, None], 50.0))
    margins = errors * ratios.std(axis=0) / np.sqrt(len(ratios))
    above: np.ndarray = (ratios.mean(axis=0) - margins > 1).any(axis=1)
    return above
