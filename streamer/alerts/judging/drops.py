"""Drop detection: evidence of a drop in one metric, replayed over the last days for all groups.

Between two evaluations only a cache of the replay is kept: after a restart, or when an event was
corrected, the evidence is what the counts say today.
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
"""Observations needed for a baseline."""
_LOOKS_SO: Final = 0.75
"""Share of the line; with less evidence a series holds."""
_GONE: Final = 0.875
"""Share of the line; an alert that fired on less evidence was not due."""
_ROUNDED: Final = 1e-6


class Drops(NamedTuple):
    """Evidence after each step, T × G, and whether a drop was evident and is not over yet (`firing`).
    `lines`: the decision line by group (NaN: no baseline). `onset_steps`: index of the step in which each
    drop began (T: nothing came)."""

    series: Series
    lines: Floats
    evidence: Floats
    told: Bools
    begun: Integers

    def state(self, group: int, step: int = -1) -> State:
        """Return the state of a group after a step."""
        if np.isnan(self.lines[group]):
            return "no_baseline"
        if not len(self.evidence):
            return "holds"
        if self.told[step, group]:
            return "fires"
        return "unclear" if self.evidence[step, group] >= _LOOKS_SO * self.lines[group] else "holds"

    def then(self, group: int, fired_at: int, fired: Figures) -> State:
        """Return the state that today's counts give for the moment an alert fired. A step that was
        incomplete then counts in full, so that only evidence that is gone is a correction."""
        step = int(np.searchsorted(self.series.starts, fired_at, side="right")) - 1
        near = self.evidence[max(step - 1, 0) : step + 2, group]
        if step < 0 or np.isnan(self.lines[group]):
            return "no_baseline"
        if near.max() >= _GONE * self.lines[group] or not self._is_gone(group, fired, fired_at):
            return "fires"
        return "holds"

    def _is_gone(self, group: int, fired: Figures, fired_at: int) -> bool:
        """Tell whether the observations that an alert fired on are no longer counted: even if all that
        came later in the last step were as good as possible, the rest is better than it was. Later
        observations in that step are no correction, however good."""
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
    """Compute the evidence of all groups of the series; a shared budget is divided among those with a
    baseline. `replay` caches what it replayed for the rule; the result is the same without it."""
    usual = series.usual
    known = usual.support >= LEAST_LEARNED
    lines = np.full(len(series.keys), np.nan)
    for group in np.flatnonzero(known).tolist():
        between = rule.between(usual.a_month[group], int(known.sum()))
        lines[group] = line(usual.mean[group], series.scores[group], between)
    return Drops(series, lines, *(replay or Replay()).follow(series, lines))


# Verdicts and their sentences.


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
    return (
        f"{_dropped(rule, subject, figures, at)} "
        f"Chance alone would produce such a change about {how_often(rule)}."
    )


def how_often(rule: Rule) -> str:
    """Return how often chance alone makes the rule fire: once in 61 days across all groups."""
    months = 1 / rule.false_alarms
    often = "once a month" if months == 1 else f"once in {lasting(months * MONTH_H * HOUR)}"
    return f"{often} across all groups" if rule.shared else often


def _unclear(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return f"{_dropped(rule, subject, figures, at)} That may still be chance."


def _holds(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return f"{title(rule.metric)} of {whom(rule.by, subject.name)} is as usual at these hours."


def _unknown(rule: Rule, subject: Subject, figures: Figures, at: int) -> str:
    return (
        f"There is no baseline yet for {title(rule.metric)} of {whom(rule.by, subject.name)}: "
        f"{observations(rule.metric, figures.learned_of or 0)} so far, {LEAST_LEARNED} are needed."
    )


_REASONS: Final = {"fires": _fires, "unclear": _unclear, "holds": _holds, "no_baseline": _unknown}


def chart(found: Drops, key: str) -> Iterator[tuple[int, float]]:
    """Return the evidence of a group over time: (ms, log R), none below 0. The decision line is
    `figures.line`."""
    group = found.series.keys.index(key)
    for start, one in zip(found.series.starts.tolist(), found.evidence[:, group].tolist(), strict=True):
        yield start, max(one, 0.0)
