"""Here is the judgement of a drop: the evidence of one metric, replayed over the last days for all groups.

Nothing is remembered from one judgement to the next but what need not be replayed: after a restart, or when
an event was corrected, the evidence is what the counts say today.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.judging.baseline import MONTH_H
from streamer.alerts.judging.evidence import Floats, Integers, line
from streamer.alerts.judging.replay import Bools, Replay
from streamer.alerts.judging.series import Series
from streamer.alerts.rules import Rule
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, State, Verdict
from streamer.alerts.words import clock, lasting, observations, said, title, whom
from streamer.events.rules import HOUR

LEAST_LEARNED: Final = 300
"""Observations; of fewer nobody knows what is usual."""
_LOOKS_SO: Final = 0.75
"""Of the line: with less evidence, all is as usual."""
_GONE: Final = 0.875
"""Of the line: an alert that had less evidence was not due."""
_ROUNDED: Final = 1e-6


class Drops(NamedTuple):
    """After each step, T × G: evidence, and whether a drop was evident and is not over yet. The `lines` of
    decision by group (NaN: no baseline), and where each drop began (an index of steps; where nothing did,
    T)."""

    series: Series
    lines: Floats
    evidence: Floats
    told: Bools
    begun: Integers

    def state(self, group: int, step: int = -1) -> State:
        """After a step."""
        if np.isnan(self.lines[group]):
            return "no_baseline"
        if not len(self.evidence):
            return "holds"
        if self.told[step, group]:
            return "fires"
        return "unclear" if self.evidence[step, group] >= _LOOKS_SO * self.lines[group] else "holds"

    def then(self, group: int, fired_at: int, fired: Figures) -> State:
        """What today's counts say of the moment an alert fired: a step counts whole that was not yet then, so
        that only evidence which is gone is a correction."""
        step = int(np.searchsorted(self.series.starts, fired_at, side="right")) - 1
        near = self.evidence[max(step - 1, 0) : step + 2, group]
        if step < 0 or np.isnan(self.lines[group]):
            return "no_baseline"
        if near.max() >= _GONE * self.lines[group] or not self._is_gone(group, fired, fired_at):
            return "fires"
        return "holds"

    def _is_gone(self, group: int, fired: Figures, fired_at: int) -> bool:
        """Whether what an alert fired on is no longer counted: even if all that came later in its step were
        the best there can be, the rest is better than it was. What came after it in that step is no
        correction, however good."""
        series = self.series
        if fired.value is None or fired.since is None:
            return True
        first, last = np.searchsorted(series.starts, [fired.since, fired_at], side="right").tolist()
        counts = series.counts[max(first - 1, 0) : last, group]
        several, values = int(counts.sum()), series.values[group]
        best = float(values[series.scores[group].argmax()])
        rest = float(counts.sum(axis=0) @ values) - (several - fired.support) * best
        sign = 1 if best >= float(values[series.scores[group].argmin()]) else -1
        return (
            several < fired.support or sign * (rest - fired.value * fired.support) > _ROUNDED * fired.support
        )


def drops(series: Series, rule: Rule, replay: Replay | None = None) -> Drops:
    """Of all groups of the series; the budget is shared among those with a baseline, if asked. `replay`: one
    that keeps what it replayed for the rule; the same comes of it."""
    usual = series.usual
    known = usual.support >= LEAST_LEARNED
    lines = np.full(len(series.keys), np.nan)
    for group in np.flatnonzero(known).tolist():
        between = rule.between(usual.a_month[group], int(known.sum()))
        lines[group] = line(usual.mean[group], series.scores[group], between)
    return Drops(series, lines, *(replay or Replay()).follow(series, lines))


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
        f"about {clock(figures.since, at, subject.zone)} ({observations(rule.metric, figures.support)}); "
        f"{said(rule.metric, figures.usual)} is usual at these hours."
    )


def _fires(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return f"{_dropped(rule, subject, figures, at)} By chance alone it looks so {how_often(rule)}."


def how_often(rule: Rule) -> str:
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
        f"{observations(rule.metric, figures.learned_of or 0)}, {LEAST_LEARNED} are needed."
    )


_REASONS: Final = {"fires": _fires, "unclear": _unclear, "holds": _holds, "no_baseline": _unknown}


def chart(found: Drops, key: str) -> Iterator[tuple[int, float]]:
    """The evidence of a group over time: (ms, log R), none below 0. The line is `figures.line`."""
    group = found.series.keys.index(key)
    for start, one in zip(found.series.starts.tolist(), found.evidence[:, group].tolist(), strict=True):
        yield start, max(one, 0.0)
