"""Here is the judgement of a drop: the evidence of one metric, replayed over the last days for all groups.

Nothing is remembered from one judgement to the next: after a restart, or when an event was corrected, the
evidence is what the counts say today. Every hour of the week is tilted by the same amount, which is found
for the mean of all hours: with whatever baseline each observation has, R − n is a martingale.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.alerts.baseline import MONTH_H, Baseline
from streamer.alerts.evidence import DISTANCES, Evidence, Floats, Integers, line, tilts
from streamer.alerts.rules import Rule
from streamer.alerts.series import Series
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, State, Verdict
from streamer.alerts.words import clock, lasting, said, title, whom
from streamer.events.rules import HOUR

LEAST_LEARNED: Final = 300
"""Observations; of fewer nobody knows what is usual."""
OVER: Final = 0.75
"""A drop is over where its evidence is below this share of the line."""


class Drops(NamedTuple):
    """Evidence over time, T × G, after each step, with the line of each group (G; NaN: no baseline) and
    where each began (an index of steps; where nothing did, T)."""

    series: Series
    evidence: Floats
    lines: Floats
    begun: Integers

    def state(self, group: int) -> State:
        """A drop that was evident lasts until it is over."""
        if np.isnan(self.lines[group]):
            return "no_baseline"
        evidence, line = self.evidence[:, group], self.lines[group]
        over = evidence < OVER * line
        if not len(over) or over[-1]:
            return "holds"
        since = len(over) - int(over[::-1].argmax()) if over.any() else 0
        return "fires" if evidence[since:].max() >= line else "unclear"

    def then(self, group: int, fired_at: int) -> State:
        """What today's counts say of the moment an alert fired: a step counts whole that was not yet then, so
        that only evidence which is gone is a correction."""
        step = int(np.searchsorted(self.series.starts, fired_at, side="right")) - 1
        near = self.evidence[max(step - 1, 0) : step + 2, group]
        if step < 0 or np.isnan(self.lines[group]):
            return "no_baseline"
        return "fires" if near.max() >= (1 + OVER) / 2 * self.lines[group] else "holds"


def drops(series: Series, rule: Rule) -> Drops:
    """Of all groups of the series; the budget is shared among those with a baseline, if asked."""
    usual = series.usual
    known = usual.support >= LEAST_LEARNED
    lines = np.full(len(series.keys), np.nan)
    for group in np.flatnonzero(known).tolist():
        independent = usual.a_month[group] / usual.spread[group]
        between = rule.between(independent, int(known.sum()))
        lines[group] = line(usual.mean[group], series.scores[group], between)
    logs, several = _logs(series, lines)
    return Drops(series, _replayed(logs, several, lines), lines, _begun(logs, several))


def _logs(series: Series, lines: Floats) -> tuple[Floats, Floats]:
    """log Λ, T × G × K, and the observations, T × G, of each step; fewer where they depend on each other."""
    usual, several = series.usual, series.counts.sum(axis=2)
    shifted = series.scores - series.scores.min(axis=1, keepdims=True)
    strength = np.stack([tilts(usual.mean, series.scores, one) for one in DISTANCES], axis=1)
    worse = np.exp(-strength[:, :, None] * shifted[:, None])
    norm = np.einsum("gkc,ghc->ghk", worse, usual.by_hour)
    squares = np.einsum("gkc,ghc->ghk", worse * worse, usual.by_hour)
    unsure = (squares / (norm * norm) - 1) / (usual.weight[..., None] + 1)
    of_hour = np.arange(len(series.keys)), series.hours
    seen = np.einsum("tgc,gc->tg", series.counts, shifted)
    logs = -strength * seen[..., None] - several[..., None] * (np.log(norm)[of_hour] + _learned(usual, lines))
    logs -= _twice(several, series.starts)[..., None] / 2 * unsure[of_hour]
    found: Floats = logs / usual.spread[:, None]
    return found, several / usual.spread


def _twice(several: Integers, starts: Integers) -> Integers:
    """What a step adds to the square of the number of observations of its hour. The probabilities of an hour
    are but learned: the mean of exp(m log Z) is greater by a factor exp(m² var(log Z) / 2) than if they were
    known, and Λ would be more than 1 on average."""
    if not len(several):
        return several
    sums = np.cumsum(several, axis=0)
    first = np.searchsorted(starts, starts // HOUR * HOUR)
    before = sums - several - np.where(first[:, None] > 0, sums[first - 1], 0)
    return (before + several) ** 2 - before**2


def _learned(usual: Baseline, lines: Floats) -> Floats:
    """The same for what all hours have in common: until a drop of information I is evident, line / I
    observations come, whose log Λ have a variance of 2 I each: for each of them, line / support. G × 1."""
    found: Floats = np.nan_to_num(lines) / np.maximum(usual.support, 1)
    return found[:, None]


def _replayed(logs: Floats, several: Floats, lines: Floats) -> Floats:
    evidence, found = Evidence(len(lines)), np.full(several.shape, -np.inf)
    most = np.where(np.isnan(lines), np.inf, lines)
    for step in np.flatnonzero(several.any(axis=1)).tolist():
        evidence.gather(logs[step], several[step])
        found[step] = evidence.log()
        evidence.cap(most)
    return _carried(found, several.sum(axis=1) > 0)


def _carried(found: Floats, told: NDArray[np.bool_]) -> Floats:
    """Where nothing came in the evidence is what it was."""
    last = np.maximum.accumulate(np.where(told, np.arange(len(found)), 0))
    carried: Floats = found[last] if len(found) else found
    return carried


def _begun(logs: Floats, several: Floats) -> Integers:
    """By group, the first step from which on all that came in speaks most for a drop, of the drop that it
    speaks most for (the change point's maximum likelihood estimate)."""
    if not len(logs):
        return np.zeros(logs.shape[1], np.int64)
    sums = np.cumsum(logs, axis=0)
    before = np.where(several[..., None] > 0, sums - logs, np.inf)
    starts, gains = before.argmin(axis=0), sums[-1] - before.min(axis=0)
    groups = np.arange(logs.shape[1])
    begun: Integers = starts[groups, gains.argmax(axis=1)]
    return np.where(several.any(axis=0), begun, len(logs))


# What is said of it.


def verdict(found: Drops, rule: Rule, subject: Subject) -> Verdict:
    group = found.series.keys.index(subject.key)
    state, figures = found.state(group), _figures(found, group)
    reason = _REASONS[state](rule, subject, figures, found.series.at)
    return Verdict(kind="drop", key=subject.key, state=state, reason=reason, figures=figures)


def _figures(found: Drops, group: int) -> Figures:
    series, usual = found.series, found.series.usual
    learned, a_month = int(usual.support[group]), float(usual.a_month[group])
    if np.isnan(found.lines[group]):
        return Figures(learned_of=learned, least=LEAST_LEARNED)
    begun = int(found.begun[group])
    counts = series.counts[begun:, group]
    support, values = int(counts.sum()), series.values[group]
    expected = usual.by_hour[group, series.hours[begun:, group]] @ values
    return Figures(
        value=float(counts.sum(axis=0) @ values) / support if support else None,
        usual=float(counts.sum(axis=1) @ expected) / support
        if support
        else float(usual.mean[group] @ values),
        support=support,
        evidence=max(float(found.evidence[-1, group]), 0.0) if len(found.evidence) else 0.0,
        line=float(found.lines[group]),
        since=int(series.starts[begun]) if support else None,
        a_month=a_month,
        learned_of=learned,
    )


def _dropped(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    assert figures.value is not None
    assert figures.usual is not None
    assert figures.since is not None
    change = "fallen" if rule.metric.better == "higher" else "risen"
    whose = f"{title(rule.metric)} of {whom(rule.by, subject.name)}"
    return (
        f"{whose} has {change} to {said(rule.metric, figures.value)} since "
        f"about {clock(figures.since, at, subject.zone)} ({figures.support} observations); "
        f"{said(rule.metric, figures.usual)} is usual at these hours."
    )


def _fires(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return f"{_dropped(rule, subject, figures, at)} Chance alone looks so {_how_often(rule)}."


def _how_often(rule: Rule) -> str:
    months = 1 / rule.false_alarms
    often = "once a month" if months == 1 else f"once in {lasting(months * MONTH_H * HOUR)}"
    return f"{often}, of all groups together" if rule.shared else often


def _unclear(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return f"{_dropped(rule, subject, figures, at)} That may still be chance."


def _holds(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return f"{title(rule.metric)} of {whom(rule.by, subject.name)} is as usual at these hours."


def _unknown(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return (
        f"What is usual for {title(rule.metric)} of {whom(rule.by, subject.name)} is not known yet: "
        f"{figures.learned_of} observations, {LEAST_LEARNED} are needed."
    )


_REASONS: Final = {"fires": _fires, "unclear": _unclear, "holds": _holds, "no_baseline": _unknown}


def chart(found: Drops, key: str) -> Iterator[tuple[int, float]]:
    """The evidence of a group over time: (ms, log R), none below 0. The line is `figures.line`."""
    group = found.series.keys.index(key)
    for start, one in zip(found.series.starts.tolist(), found.evidence[:, group].tolist(), strict=True):
        yield start, max(one, 0.0)
