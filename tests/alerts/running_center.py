"""Simulated center over time: which drops fire, evaluated every few hours.

Series are built as from a store whose panes are read again and again: the last two days in steps of 5
minutes, those before by the hour, a baseline that is learned again each day. Some of the answers may
arrive late, in bursts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.baseline import WEEK_H, Baseline
from streamer.alerts.detection.dependence import learn_baseline
from streamer.alerts.detection.drop_evidence import DropEvidence, detect_drops
from streamer.alerts.detection.series import (
    BASELINE_DAYS,
    MEMORY_DAYS,
    STEP_MS,
    MetricSeries,
    SeriesSpan,
    plan_span,
)
from streamer.events.counting_rules import HOUR
from tests.alerts.simulated import rhythm

STEPS = HOUR // STEP_MS
BEFORE_H = 24 * (BASELINE_DAYS + MEMORY_DAYS)
EVERY_H = 6
RATES = np.array([rhythm(hour) for hour in range(24)])


def chances(mean_chances: tuple[float, ...], swing: float) -> np.ndarray:
    """Return class probabilities by hour of the week: worse at night and on weekends."""
    hours = np.arange(WEEK_H)
    by_hour = np.tile(mean_chances, (WEEK_H, 1))
    moved = swing * np.cos(2 * np.pi * hours / 24) / 2 + swing / 4 * (hours >= 5 * 24)
    by_hour[:, 0] += moved
    by_hour[:, -1] -= moved
    return by_hour


class RunningCenter(NamedTuple):
    """Answers by step of 5 minutes, group and class, T × G × C; `early`: those that arrive at once, the
    others all together at the end of each EVERY_H hours."""

    counts: np.ndarray
    early: np.ndarray
    scores: np.ndarray

    @classmethod
    def draw(
        cls, groups: int, days: int, swing: float, seed: int, a_day: float = 200, late: float = 0.0
    ) -> "RunningCenter":
        chance, shares = np.random.default_rng(seed), chances((0.2, 0.3, 0.5), swing)
        hours = np.arange((BEFORE_H + 24 * days) * STEPS) // STEPS % WEEK_H
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


class CenterRun(NamedTuple):
    """Flag of a firing drop after each step, and at each burst; `months` of observations of all groups
    together, as the rule counts them."""

    firing: np.ndarray
    months: float

    def alert_count(self) -> int:
        """Count the alerts; one that fires again within a quarter of an hour was never over."""
        last = self.firing | np.roll(self.firing, 1, axis=0) | np.roll(self.firing, 2, axis=0)
        last |= np.roll(self.firing, 3, axis=0)
        last[:3] = self.firing[:3]
        return int(last[0].sum() + (last[1:] & ~last[:-1]).sum())


def run_center(center: RunningCenter, rule: AlertRule) -> CenterRun:
    firing, months = [], 0.0
    looks = [True, False] if center.early is not center.counts else [False]
    for hour, look, drop_evidence in _evidence_by_look(center, rule, looks):
        firing.append(
            drop_evidence.firing[-1:] if looks[0] and not look else drop_evidence.firing[-EVERY_H * STEPS :]
        )
        if not look:
            answers = center.counts[(hour - EVERY_H) * STEPS : hour * STEPS].sum(axis=(0, 2))
            months += float((answers / drop_evidence.series.baseline.a_month).sum())
    return CenterRun(np.concatenate(firing), months)


def _evidence_by_look(
    center: RunningCenter, rule: AlertRule, looks: list[bool]
) -> Iterator[tuple[int, bool, DropEvidence]]:
    baseline: tuple[int, Baseline] | None = None
    for hour in range(BEFORE_H + EVERY_H, len(center.counts) // STEPS + 1, EVERY_H):
        span = plan_span(0, hour * HOUR - 1, hour * HOUR - 1)
        for look in looks:
            counts = center.known(hour, look)
            if baseline is None or baseline[0] != span.first:
                long = _hourly(counts, span.first, span.learned)
                clock = _clock(np.arange(span.first, span.learned), long.shape[1])
                baseline = span.first, learn_baseline(long, clock, np.tile(center.scores, (long.shape[1], 1)))
            yield hour, look, detect_drops(_series(center, counts, span, baseline[1]), rule)


def _series(center: RunningCenter, counts: np.ndarray, span: SeriesSpan, baseline: Baseline) -> MetricSeries:
    long, fine = _hourly(counts, span.learned, span.hours), counts[span.steps : span.last]
    step_counts, groups = np.concatenate((long, fine.astype(np.int64))), counts.shape[1]
    clock, scores = _clock(span.starts // HOUR, groups), np.tile(center.scores, (groups, 1))
    keys, at = [str(number) for number in range(groups)], span.last * STEP_MS - 1
    return MetricSeries(
        "nps_score", keys, at, span.starts, step_counts, clock, scores, 100 * scores, baseline, 0
    )


def _hourly(counts: np.ndarray, first: int, last: int) -> np.ndarray:
    selected = counts[first * STEPS : last * STEPS]
    hour_counts: np.ndarray = selected.reshape(-1, STEPS, *counts.shape[1:]).sum(axis=1, dtype=np.int64)
    return hour_counts


def _clock(hours: np.ndarray, groups: int) -> np.ndarray:
    return np.repeat((hours % WEEK_H)[:, None], groups, axis=1)
