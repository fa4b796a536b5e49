"""Simulated queue with shared waiting times: arrivals and agents by the hour of the day, patience."""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

import numpy as np

from tests.alerts.running_center import BEFORE_H, RATES, STEPS

SERVICE_H, PATIENCE_H, WITHIN_H = 5 / 60, 3 / 60, 20 / 3600
"""Means of exponential times, and the service level's threshold."""


class Waited(NamedTuple):
    """Counts by step of 5 minutes, queue and class, T × G × 2: those within the level and others; those
    who gave up and others."""

    level: np.ndarray
    abandoned: np.ndarray


def waited(
    queues: int, days: int, seed: int, a_day: float = 200, load: float = 0.75, swing: float = 0.0
) -> Waited:
    """M/M/c + M whose rate follows the day, as the number of agents does. `load` of an agent. `swing`: the
    standard deviation of the logarithm of a day's rate: some days are busier, and nobody knew."""
    chance, hours = np.random.default_rng(seed), BEFORE_H + 24 * days
    found = np.zeros((2, hours * STEPS, queues, 2), np.int16)
    agents = np.maximum(np.round(a_day / 24 * RATES * SERVICE_H / load), 1).astype(int)
    for queue in range(queues):
        busier = np.repeat(np.exp(swing * chance.standard_normal(hours // 24 + 1)), 24)[:hours]
        several = chance.poisson(a_day / 24 * RATES[np.arange(hours) % 24] * busier)
        arrivals = np.sort(np.repeat(np.arange(hours), several) + chance.random(int(several.sum())))
        waits, patience = _waits(arrivals, agents, chance)
        gave_up = waits > patience
        within = ~gave_up & (waits <= WITHIN_H)
        steps = np.minimum(((arrivals + np.minimum(waits, patience)) * STEPS).astype(int), hours * STEPS - 1)
        for place, bad in enumerate((~within, gave_up)):
            np.add.at(found[place], (steps, queue, bad.astype(int)), 1)
    return Waited(found[0], found[1])


def _waits(
    arrivals: np.ndarray, agents: np.ndarray, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return how long each would wait, in hours, and how long each is patient. Surplus agents go home."""
    served = chance.exponential(SERVICE_H, len(arrivals)).tolist()
    patience = chance.exponential(PATIENCE_H, len(arrivals))
    free, waits, most = [0.0] * int(agents[0]), [], agents.tolist()
    for at, service, patient in zip(arrivals.tolist(), served, patience.tolist(), strict=True):
        on = most[int(at) % 24]
        while len(free) > on:
            heappop(free)
        if len(free) < on:
            free += [at] * (on - len(free))
            heapify(free)
        wait = max(free[0] - at, 0.0)
        waits.append(wait)
        if wait <= patient:
            heappop(free)
            heappush(free, at + wait + service)
    return np.array(waits), patience
