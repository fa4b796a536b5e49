"""Simulated center over time: which drops fire, evaluated every few hours.

Series are built as from a store whose panes are read again and again: the last two days in steps of 5
minutes, those before by the hour, a baseline that is learned again each day. Some of the answers may
arrive late, in bursts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streamer.alerts.judging.baseline import WEEK, Baseline
from streamer.alerts.judging.dependence import learned
from streamer.alerts.judging.drops import Drops, drops
from streamer.alerts.judging.series import BASELINE_DAYS, MEMORY_DAYS, STEP_MS, Series, Span, spanned
from streamer.alerts.rules import Rule
from streamer.events.rules import HOUR
from tests.alerts.simulated import rhythm

STEPS = HOUR // STEP_MS
BEFORE_H = 24 * (BASELINE_DAYS + MEMORY_DAYS)
EVERY_H = 6
RATES = np.array([rhythm(hour) for hour in range(24)])


def chances(usual: tuple[float, ...], swing: float) -> np.ndarray:
    """Return class probabilities by hour of the week: worse at night and on weekends."""
    hours = np.arange(WEEK)
    found = np.tile(usual, (WEEK, 1))
    moved = swing * np.cos(2 * np.pi * hours / 24) / 2 + swing / 4 * (hours >= 5 * 24)
    found[:, 0] += moved
    found[:, -1] -= moved
    return found


class Center(NamedTuple):
    """Answers by step of 5 minutes, group and class, T × G × C; `early`: those that arrive at once, the
    others all together at the end of each EVERY_H hours."""

    counts: np.ndarray
    early: np.ndarray
    scores: np.ndarray

    @classmethod
    def drawn(
        cls, groups: int, days: int, swing: float, seed: int, a_day: float = 200, late: float = 0.0
    ) -> "Center":
        chance, shares = np.random.default_rng(seed), chances((0.2, 0.3, 0.5), swing)
        hours = np.arange((BEFORE_H + 24 * days) * STEPS) // STEPS % WEEK
        counts = np.empty((len(hours), groups, 3), np.int16)
        for first in range(0, len(hours), 2_000):
            of = hours[first : first + 2_000]
            several = chance.poisson(a_day / 24 / STEPS * RATES[of % 24, None], (len(of), groups))
            counts[first : first + 2_000] = chance.multinomial(several, shares[of][:, None])
        early = chance.binomial(counts, 1 - late).astype(np.int16) if late else counts
        return cls(counts, early, np.array([-1.0, 0.0, 1.0]))

    def known(self, hour: int, before_burst: bool) -> np.ndarray:
        """Return all that arrived by the end of an hour."""
        if not before_burst:
            return self.counts[: hour * STEPS]
        burst = (hour - EVERY_H) * STEPS
        return np.concatenate((self.counts[:burst], self.early[burst : hour * STEPS]))


class Life(NamedTuple):
    """Flag of a firing drop after each step, and at each burst; `months` of observations of all groups
    together, as the rule counts them."""

    told: np.ndarray
    months: float

    def rings(self) -> int:
        """Count the alerts; one that fires again within a quarter of an hour was never over."""
        last = self.told | np.roll(self.told, 1, axis=0) | np.roll(self.told, 2, axis=0)
        last |= np.roll(self.told, 3, axis=0)
        last[:3] = self.told[:3]
        return int(last[0].sum() + (last[1:] & ~last[:-1]).sum())


def lived(center: Center, rule: Rule) -> Life:
    told, months = [], 0.0
    looks = [True, False] if center.early is not center.counts else [False]
    for hour, look, found in _looked(center, rule, looks):
        told.append(found.told[-1:] if looks[0] and not look else found.told[-EVERY_H * STEPS :])
        if not look:
            seen = center.counts[(hour - EVERY_H) * STEPS : hour * STEPS].sum(axis=(0, 2))
            months += float((seen / found.series.usual.a_month).sum())
    return Life(np.concatenate(told), months)


def _looked(center: Center, rule: Rule, looks: list[bool]) -> Iterator[tuple[int, bool, Drops]]:
    usual: tuple[int, Baseline] | None = None
    for hour in range(BEFORE_H + EVERY_H, len(center.counts) // STEPS + 1, EVERY_H):
        span = spanned(0, hour * HOUR - 1, hour * HOUR - 1)
        for look in looks:
            counts = center.known(hour, look)
            if usual is None or usual[0] != span.first:
                long = _hourly(counts, span.first, span.learned)
                clock = _clock(np.arange(span.first, span.learned), long.shape[1])
                usual = span.first, learned(long, clock, np.tile(center.scores, (long.shape[1], 1)))
            yield hour, look, drops(_series(center, counts, span, usual[1]), rule)


def _series(center: Center, counts: np.ndarray, span: Span, usual: Baseline) -> Series:
    long, fine = _hourly(counts, span.learned, span.hours), counts[span.steps : span.last]
    seen, groups = np.concatenate((long, fine.astype(np.int64))), counts.shape[1]
    clock, scores = _clock(span.starts // HOUR, groups), np.tile(center.scores, (groups, 1))
    keys, at = [str(number) for number in range(groups)], span.last * STEP_MS - 1
    return Series("nps_score", keys, at, span.starts, seen, clock, scores, 100 * scores, usual, 0)


def _hourly(counts: np.ndarray, first: int, last: int) -> np.ndarray:
    mine = counts[first * STEPS : last * STEPS]
    found: np.ndarray = mine.reshape(-1, STEPS, *counts.shape[1:]).sum(axis=1, dtype=np.int64)
    return found


def _clock(hours: np.ndarray, groups: int) -> np.ndarray:
    return np.repeat((hours % WEEK)[:, None], groups, axis=1)
