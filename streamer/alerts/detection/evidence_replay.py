"""Replay of evidence over the steps of a series, for all groups at once.

Λ compares observations with the state without change, which is only estimated. Taken for the truth, the
estimate makes Λ larger than 1 on average, and the more so the longer a drop is assumed to last: if the log
Λ of a drop are off by e in all, their mean is exp(var(e) / 2) too large. So each Rₖ carries the
observations that its drop has had so far, hour by hour (the mean over the changes it is made of), and is
reduced by what these add to var(e), as given by `baseline_uncertainty`: then R − n is a martingale given
what was learned, and no more.

Replayed steps are cached: steps with unchanged counts are not replayed again.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.alerts.detection.baseline import Baseline
from streamer.alerts.detection.likelihood import DropLikelihoods
from streamer.alerts.detection.series import MetricSeries
from streamer.alerts.statistics.evidence import DROP_DISTANCES, Floats, Integers, ShiryaevRoberts

Bools = NDArray[np.bool_]
OVER_SHARE: Final = 0.6
"""Share of the line below which a drop is over. At a higher share a lasting drop would be notified again
and again: at 0.75 an NPS that fell from 30 to 0 fires 6 times in 1,000 answers."""


class ReplayedEvidence(NamedTuple):
    """Result after each step, T × G: the evidence, and whether a drop is firing. `onset_steps` by group:
    the first step of the range that speaks most for a drop (the change point's maximum likelihood
    estimate); T where nothing came."""

    evidence: Floats
    firing: Bools
    onset_steps: Integers


class ReplayState:
    """State of a replay after some steps."""

    def __init__(self, groups: int) -> None:
        shape, self.group_indexes = (groups, len(DROP_DISTANCES)), np.arange(groups)
        self.evidence, self.firing = ShiryaevRoberts(groups), np.zeros(groups, np.bool_)
        self.hours_of_week = np.full(groups, -1)
        """Hour of the week of the last step, by group."""
        self.by_hour, self.by_weekday, self.in_this_hour = (
            np.zeros((*shape, 24)),
            np.zeros((*shape, 7)),
            np.zeros(shape),
        )
        """Observations since the change, each weighted by its error: by hour of the day, by weekday, in
        this very hour."""
        self.total_logs, self.least_logs = np.zeros(shape), np.full(shape, np.inf)
        """log Λ of all steps, and its minimum before a step in which something came."""
        self.onset_candidates = np.zeros(shape, np.int64)

    def copy(self) -> "ReplayState":
        copied = ReplayState(0)
        vars(copied).update({name: array.copy() for name, array in vars(self).items()})
        return copied

    def advance(
        self, hours: Integers, counts: Integers, baseline: Baseline, likelihoods: DropLikelihoods
    ) -> Floats:
        """Start a step. Returns the amount that its observations add to var(e)."""
        share = self.evidence.admit_change(np.where(self.firing, 0, counts) / baseline.spread)
        self.by_hour *= share[..., None]
        self.by_weekday *= share[..., None]
        self.in_this_hour = np.where((hours == self.hours_of_week)[:, None], self.in_this_hour * share, 0.0)
        self.hours_of_week = hours
        return self._added_variance(
            counts[:, None] * likelihoods.deviations[self.group_indexes, hours], hours, baseline
        )

    def _added_variance(self, added: Floats, hours: Integers, baseline: Baseline) -> Floats:
        """Return the square of all errors less the square of those before."""
        uncertainty, (day, hour) = baseline.uncertainty, np.divmod(hours, 24)
        common = added * uncertainty.common[self.group_indexes, hours][:, None]
        variance = (
            added * (2 * self.in_this_hour + added) * uncertainty.cells[self.group_indexes, hours][:, None]
        )
        for weighted, covariance, index in (
            (self.by_hour, uncertainty.hours, hour),
            (self.by_weekday, uncertainty.days, day),
        ):
            row = covariance[self.group_indexes, index]
            variance += common * (2 * np.einsum("gi,gki->gk", row, weighted))
            variance += common * common * row[self.group_indexes, index][:, None]
            weighted[self.group_indexes, :, index] += common
        self.in_this_hour += added
        return variance

    def weigh(self, step: int, logs: Floats, counts: Integers, lines: Floats) -> Floats:
        """Finish a step. Returns the evidence after it."""
        is_lower = (counts > 0)[:, None] & (self.total_logs < self.least_logs)
        self.least_logs, self.onset_candidates = (
            np.where(is_lower, self.total_logs, self.least_logs),
            np.where(is_lower, step, self.onset_candidates),
        )
        self.total_logs = self.total_logs + logs
        self.evidence.multiply(logs)
        log_evidence = self.evidence.log_value()
        self.firing = (log_evidence >= lines) | (self.firing & (log_evidence >= OVER_SHARE * lines))
        self.evidence.cap(np.where(np.isnan(lines), np.inf, lines))
        return log_evidence

    def onset_steps(self, steps: int) -> Integers:
        best = (self.total_logs - self.least_logs).argmax(axis=1)
        return np.where(
            np.isfinite(self.least_logs[:, 0]), self.onset_candidates[self.group_indexes, best], steps
        )


class EvidenceReplay:
    """Cached replay of one rule. Use it from one thread at a time."""

    def __init__(self) -> None:
        self._series: MetricSeries | None = None
        self._lines: Floats = np.empty(0)
        self._replayed = ReplayedEvidence(np.empty((0, 0)), np.empty((0, 0), np.bool_), np.empty(0, np.int64))
        self._saved_states: dict[int, ReplayState] = {}
        """By the number of steps."""

    def follow(self, series: MetricSeries, lines: Floats) -> ReplayedEvidence:
        """Replay the series, reusing unchanged steps. `lines`: the decision lines, by group."""
        first = self._unchanged_steps(series, lines)
        if not first:
            self._reset(series)
        first = max(number for number in self._saved_states if number <= first)
        shape = series.counts.shape[:2]
        evidence, firing = np.full(shape, -np.inf), np.zeros(shape, np.bool_)
        if first:
            evidence[:first], firing[:first] = self._replayed.evidence[:first], self._replayed.firing[:first]
        state = self._run_steps(series, lines, first, evidence, firing)
        self._series, self._lines = series, lines
        self._replayed = ReplayedEvidence(evidence, firing, state.onset_steps(len(series.starts)))
        return self._replayed

    def _reset(self, series: MetricSeries) -> None:
        self._likelihoods = DropLikelihoods.from_baseline(series.baseline, series.scores)
        self._saved_states = {0: ReplayState(len(series.keys))}

    def _unchanged_steps(self, series: MetricSeries, lines: Floats) -> int:
        """Return the number of leading steps that are unchanged."""
        previous = self._series
        is_same = (
            previous is not None and previous.baseline is series.baseline and previous.keys == series.keys
        )
        if previous is None or not is_same or not np.array_equal(self._lines, lines, equal_nan=True):
            return 0
        if not np.array_equal(previous.scores, series.scores):
            return 0
        length = min(len(previous.starts), len(series.starts))
        differs = previous.starts[:length] != series.starts[:length]
        differs |= (previous.hours[:length] != series.hours[:length]).any(axis=1)
        differs |= (previous.counts[:length] != series.counts[:length]).any(axis=(1, 2))
        return int(differs.argmax()) if differs.any() else length

    def _run_steps(
        self, series: MetricSeries, lines: Floats, first: int, evidence: Floats, firing: Bools
    ) -> ReplayState:
        logs = self._likelihoods.logs(series.counts[first:], series.hours[first:])
        counts = series.counts.sum(axis=2)
        baseline, steps, state = series.baseline, len(series.starts), self._saved_states[first].copy()
        for step in range(first, steps):
            if _is_saved(step, steps):
                self._saved_states[step] = state.copy()
            if counts[step].any():
                added_variance = state.advance(series.hours[step], counts[step], baseline, self._likelihoods)
                weighted_logs = (logs[step - first] - added_variance / 2) / baseline.spread[:, None]
                evidence[step] = state.weigh(step, weighted_logs, counts[step], lines)
            elif step:
                evidence[step] = evidence[step - 1]
            firing[step] = state.firing
        self._saved_states[steps] = state
        self._saved_states = {
            step: saved for step, saved in self._saved_states.items() if _is_saved(step, steps)
        }
        return state


def _is_saved(step: int, steps: int) -> bool:
    """Tell whether to cache the state before a step: more densely towards the end, since the latest steps
    change most."""
    steps_back = steps - step
    return steps_back >= 0 and (not step % 256 or steps_back < 4 or (steps_back < 64 and not step % 16))
