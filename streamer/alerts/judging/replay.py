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

from streamer.alerts.judging.baseline import Baseline
from streamer.alerts.judging.evidence import DISTANCES, Evidence, Floats, Integers
from streamer.alerts.judging.series import Series
from streamer.alerts.judging.tilting import Tilts

Bools = NDArray[np.bool_]
OVER: Final = 0.6
"""Share of the line below which a drop is over. At a higher share a lasting drop would be notified again
and again: at 0.75 an NPS that fell from 30 to 0 fires 6 times in 1,000 answers."""


class Replayed(NamedTuple):
    """Result after each step, T × G: the evidence, and whether a drop is firing. `onset_steps` by group:
    the first step of the range that speaks most for a drop (the change point's maximum likelihood
    estimate); T where nothing came."""

    evidence: Floats
    told: Bools
    begun: Integers


class Course:
    """State of a replay after some steps."""

    def __init__(self, groups: int) -> None:
        shape, self.of = (groups, len(DISTANCES)), np.arange(groups)
        self.evidence, self.told = Evidence(groups), np.zeros(groups, np.bool_)
        self.at = np.full(groups, -1)
        """Hour of the week of the last step, by group."""
        self.hours, self.days, self.own = np.zeros((*shape, 24)), np.zeros((*shape, 7)), np.zeros(shape)
        """Observations since the change, each weighted by its error: by hour of the day, by weekday, in
        this very hour."""
        self.total, self.least = np.zeros(shape), np.full(shape, np.inf)
        """log Λ of all steps, and its minimum before a step in which something came."""
        self.begun = np.zeros(shape, np.int64)

    def copy(self) -> "Course":
        found = Course(0)
        vars(found).update({name: one.copy() for name, one in vars(self).items()})
        return found

    def go(self, hours: Integers, several: Integers, usual: Baseline, drops: Tilts) -> Floats:
        """Start a step. Returns the amount that its observations add to var(e)."""
        share = self.evidence.begin(np.where(self.told, 0, several) / usual.spread)
        self.hours *= share[..., None]
        self.days *= share[..., None]
        self.own = np.where((hours == self.at)[:, None], self.own * share, 0.0)
        self.at = hours
        return self._more(several[:, None] * drops.off[self.of, hours], hours, usual)

    def _more(self, new: Floats, hours: Integers, usual: Baseline) -> Floats:
        """Return the square of all errors less the square of those before."""
        doubt, (day, hour) = usual.doubt, np.divmod(hours, 24)
        common = new * doubt.common[self.of, hours][:, None]
        more = new * (2 * self.own + new) * doubt.cells[self.of, hours][:, None]
        for known, covariance, place in ((self.hours, doubt.hours, hour), (self.days, doubt.days, day)):
            row = covariance[self.of, place]
            more += common * (2 * np.einsum("gi,gki->gk", row, known))
            more += common * common * row[self.of, place][:, None]
            known[self.of, :, place] += common
        self.own += new
        return more

    def weigh(self, step: int, logs: Floats, several: Integers, lines: Floats) -> Floats:
        """Finish a step. Returns the evidence after it."""
        lower = (several > 0)[:, None] & (self.total < self.least)
        self.least, self.begun = np.where(lower, self.total, self.least), np.where(lower, step, self.begun)
        self.total = self.total + logs
        self.evidence.weigh(logs)
        found = self.evidence.log()
        self.told = (found >= lines) | (self.told & (found >= OVER * lines))
        self.evidence.cap(np.where(np.isnan(lines), np.inf, lines))
        return found

    def since(self, steps: int) -> Integers:
        best = (self.total - self.least).argmax(axis=1)
        return np.where(np.isfinite(self.least[:, 0]), self.begun[self.of, best], steps)


class Replay:
    """Cached replay of one rule. Use it from one thread at a time."""

    def __init__(self) -> None:
        self._series: Series | None = None
        self._lines: Floats = np.empty(0)
        self._found = Replayed(np.empty((0, 0)), np.empty((0, 0), np.bool_), np.empty(0, np.int64))
        self._kept: dict[int, Course] = {}
        """By the number of steps."""

    def follow(self, series: Series, lines: Floats) -> Replayed:
        """Replay the series, reusing unchanged steps. `lines`: the decision lines, by group."""
        first = self._unchanged(series, lines)
        if not first:
            self._begin(series)
        first = max(number for number in self._kept if number <= first)
        shape = series.counts.shape[:2]
        evidence, told = np.full(shape, -np.inf), np.zeros(shape, np.bool_)
        if first:
            evidence[:first], told[:first] = self._found.evidence[:first], self._found.told[:first]
        course = self._replay(series, lines, first, evidence, told)
        self._series, self._lines = series, lines
        self._found = Replayed(evidence, told, course.since(len(series.starts)))
        return self._found

    def _begin(self, series: Series) -> None:
        self._drops = Tilts.of(series.usual, series.scores)
        self._kept = {0: Course(len(series.keys))}

    def _unchanged(self, series: Series, lines: Floats) -> int:
        """Return the number of leading steps that are unchanged."""
        before = self._series
        same = before is not None and before.usual is series.usual and before.keys == series.keys
        if before is None or not same or not np.array_equal(self._lines, lines, equal_nan=True):
            return 0
        if not np.array_equal(before.scores, series.scores):
            return 0
        length = min(len(before.starts), len(series.starts))
        other = before.starts[:length] != series.starts[:length]
        other |= (before.hours[:length] != series.hours[:length]).any(axis=1)
        other |= (before.counts[:length] != series.counts[:length]).any(axis=(1, 2))
        return int(other.argmax()) if other.any() else length

    def _replay(self, series: Series, lines: Floats, first: int, evidence: Floats, told: Bools) -> Course:
        logs = self._drops.logs(series.counts[first:], series.hours[first:])
        several = series.counts.sum(axis=2)
        usual, steps, course = series.usual, len(series.starts), self._kept[first].copy()
        for step in range(first, steps):
            if _is_kept(step, steps):
                self._kept[step] = course.copy()
            if several[step].any():
                more = course.go(series.hours[step], several[step], usual, self._drops)
                weighed = (logs[step - first] - more / 2) / usual.spread[:, None]
                evidence[step] = course.weigh(step, weighed, several[step], lines)
            elif step:
                evidence[step] = evidence[step - 1]
            told[step] = course.told
        self._kept[steps] = course
        self._kept = {step: one for step, one in self._kept.items() if _is_kept(step, steps)}
        return course


def _is_kept(step: int, steps: int) -> bool:
    """Tell whether to cache the state before a step: more densely towards the end, since the latest steps
    change most."""
    back = steps - step
    return back >= 0 and (not step % 256 or back < 4 or (back < 64 and not step % 16))
