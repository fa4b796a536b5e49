"""Evidence of drops: that of a drop in one metric, replayed over the last days for all groups.

Between two evaluations only a cache of the replay is kept: after a restart, or when an event was
corrected, the evidence is what the counts say today.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.evidence_replay import Bools, EvidenceReplay
from streamer.alerts.detection.series import MetricSeries
from streamer.alerts.statistics.evidence import Floats, Integers, decision_line
from streamer.alerts.verdict import VerdictFigures, VerdictState

LEAST_LEARNED: Final = 300
"""Observations needed for a baseline."""
_UNCLEAR_SHARE: Final = 0.75
"""Share of the line; with less evidence a series holds."""
_CORRECTED_SHARE: Final = 0.875
"""Share of the line; an alert that fired on less evidence was not due."""
_TOLERANCE: Final = 1e-6


class DropEvidence(NamedTuple):
    """Evidence after each step, T × G, and whether a drop was evident and is not over yet (`firing`).
    `lines`: the decision line by group (NaN: no baseline). `onset_steps`: index of the step in which each
    drop began (T: nothing came)."""

    series: MetricSeries
    lines: Floats
    evidence: Floats
    firing: Bools
    onset_steps: Integers

    def state(self, group: int, step: int = -1) -> VerdictState:
        """Return the state of a group after a step."""
        if np.isnan(self.lines[group]):
            return "no_baseline"
        if not len(self.evidence):
            return "holds"
        if self.firing[step, group]:
            return "fires"
        return "unclear" if self.evidence[step, group] >= _UNCLEAR_SHARE * self.lines[group] else "holds"

    def state_after(self, group: int, steps: int) -> VerdictState:
        """Return the state of a group after that many steps."""
        if not steps and not np.isnan(self.lines[group]):
            return "holds"
        return self.state(group, steps - 1)

    def state_at_firing(self, group: int, fired_at: int, fired_figures: VerdictFigures) -> VerdictState:
        """Return the state that today's counts give for the moment an alert fired. A step that was
        incomplete then counts in full, so that only evidence that is gone is a correction."""
        step = int(np.searchsorted(self.series.starts, fired_at, side="right")) - 1
        near_evidence = self.evidence[max(step - 1, 0) : step + 2, group]
        if step < 0 or np.isnan(self.lines[group]):
            return "no_baseline"
        if near_evidence.max() >= _CORRECTED_SHARE * self.lines[group] or not self._is_corrected(
            group, fired_figures, fired_at
        ):
            return "fires"
        return "holds"

    def _is_corrected(self, group: int, fired_figures: VerdictFigures, fired_at: int) -> bool:
        """Tell whether the observations that an alert fired on are no longer counted: even if all that
        came later in the last step were as good as possible, the rest is better than it was. Later
        observations in that step are no correction, however good."""
        series = self.series
        if fired_figures.value is None or fired_figures.since is None:
            return True
        first, last = np.searchsorted(series.starts, [fired_figures.since, fired_at], side="right").tolist()
        counts = series.counts[max(first - 1, 0) : last, group]
        count, values = int(counts.sum()), series.values[group]
        best = float(values[series.scores[group].argmax()])
        rest = float(counts.sum(axis=0) @ values) - (count - fired_figures.support) * best
        sign = 1 if best >= float(values[series.scores[group].argmin()]) else -1
        return (
            count < fired_figures.support
            or sign * (rest - fired_figures.value * fired_figures.support)
            > _TOLERANCE * fired_figures.support
        )


def detect_drops(series: MetricSeries, rule: AlertRule, replay: EvidenceReplay | None = None) -> DropEvidence:
    """Compute the evidence of all groups of the series; a shared budget is divided among those with a
    baseline. `replay` caches what it replayed for the rule; the result is the same without it."""
    baseline = series.baseline
    has_baseline = baseline.support >= LEAST_LEARNED
    lines = np.full(len(series.keys), np.nan)
    for group in np.flatnonzero(has_baseline).tolist():
        per_alarm = rule.observations_per_alarm(baseline.a_month[group], int(has_baseline.sum()))
        lines[group] = decision_line(baseline.mean[group], series.scores[group], per_alarm)
    return DropEvidence(series, lines, *(replay or EvidenceReplay()).follow(series, lines))


def evidence_points(drop_evidence: DropEvidence, key: str) -> Iterator[tuple[int, float]]:
    """Return the evidence of a group over time: (ms, log R), none below 0. The decision line is
    `figures.line`."""
    group = drop_evidence.series.keys.index(key)
    for start_ms, log_value in zip(
        drop_evidence.series.starts.tolist(), drop_evidence.evidence[:, group].tolist(), strict=True
    ):
        yield start_ms, max(log_value, 0.0)
