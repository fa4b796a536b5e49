"""Change needed for another verdict, in one sentence: when it would fire, or be over."""

from typing import Final

import numpy as np

from streamer.alerts.judging.drops import Drops
from streamer.alerts.judging.evidence import DISTANCES, tilted
from streamer.alerts.judging.replay import OVER
from streamer.alerts.judging.series import Series, hours_of_week
from streamer.alerts.rules import Rule
from streamer.alerts.showing.terms import hours
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, Verdict
from streamer.alerts.words import clock, events, observations, said
from streamer.events.rules import HOUR, MINUTE

_LEAST_GAIN: Final = 0.05
"""Share of the line that the evidence must have before its growth is extrapolated."""
_WEEK_H: Final = 7 * 24


def gated(rule: Rule, verdict: Verdict) -> str | None:
    """Return the change needed if the series is not evaluated at all; None: it is."""
    if verdict.state == "closed":
        return f"It is evaluated again in the hours of operation: {hours(rule.hours)}."
    if verdict.state == "no_data":
        return "It is evaluated again once the data is complete."
    if verdict.kind == "silence" and verdict.state == "fires" and verdict.figures.since is None:
        return "It is over once that is resolved."
    return None


# Thresholds.


def of_target(rule: Rule, verdict: Verdict) -> str:
    figures = verdict.figures
    missing = figures.least - figures.support
    if missing > 0:
        return f"It is evaluated from {observations(rule.metric, figures.least)} on: {missing} more."
    assert figures.target is not None
    target = said(rule.metric, figures.target)
    if verdict.state == "fires":
        return f"It is over once the figure is at {target} again."
    side = "below" if rule.metric.better == "higher" else "above"
    found = f"It fires where the whole interval lies {side} {target}: {_at(rule, figures)}"
    return f"{found}{_with(rule, figures) if verdict.state == 'unclear' else ''}."


def _at(rule: Rule, figures: Figures) -> str:
    half = _half(rule, figures)
    assert figures.target is not None
    value = figures.target + (half if rule.metric.better == "lower" else -half)
    return f"with {observations(rule.metric, figures.support)}, at about {said(rule.metric, value)}"


def _with(rule: Rule, figures: Figures) -> str:
    """Return the number of observations that would decide: an interval narrows with the root of their
    number."""
    assert figures.value is not None
    assert figures.target is not None
    short = abs(figures.target - figures.value)
    if not short:
        return ""
    many = round(figures.support * (_half(rule, figures) / short) ** 2)
    return f"; or with about {observations(rule.metric, many)} that are no better" if many < 1e6 else ""


def _half(rule: Rule, figures: Figures) -> float:
    """Return the distance from the value to the end of the interval that must be beyond the target."""
    end = figures.upper if rule.metric.better == "higher" else figures.lower
    assert end is not None
    assert figures.value is not None
    return abs(end - figures.value)


# Drops.


def of_drop(rule: Rule, found: Drops, verdict: Verdict) -> str:
    figures = verdict.figures
    if figures.line is None or figures.evidence is None:
        missing = figures.least - (figures.learned_of or 0)
        return (
            f"It is evaluated once the baseline has {missing} more observations; "
            "those of the last days do not count towards it."
        )
    stands = f"it is at {figures.evidence:.3g}"
    if verdict.state == "fires":
        return f"It is over once the evidence is below {OVER * figures.line:.3g}: {stands}."
    reach = f"It fires at an evidence of {figures.line:.3g}: {stands}."
    if figures.evidence >= _LEAST_GAIN * figures.line and figures.support and verdict.state == "unclear":
        each = figures.evidence / figures.support
        more = max(1, round((figures.line - figures.evidence) / each))
        return f"{reach} About {observations(rule.metric, more)} more like those since then would be enough."
    return f"{reach} {_drops(rule, found, verdict.key, figures.line - figures.evidence)}"


def _drops(rule: Rule, found: Drops, key: str, missing: float) -> str:
    """Return how soon drops would be detected: evidence grows by the information of each observation."""
    series, group = found.series, found.series.keys.index(key)
    mean, scores = series.usual.mean[group], series.scores[group]
    told = []
    for distance in DISTANCES[1:3]:
        value = float(tilted(mean, scores, distance) @ series.values[group])
        many = max(1, round(missing / distance * float(series.usual.spread[group])))
        told.append((said(rule.metric, value), observations(rule.metric, many)))
    verb = "drop" if rule.metric.better == "higher" else "rise"
    (small, late), (large, soon) = told
    return f"After a {verb} to {small} it would fire within about {late}, to {large} within about {soon}."


# Missing data.


def of_silence(rule: Rule, series: Series | None, subject: Subject, verdict: Verdict) -> str:
    figures = verdict.figures
    if series is None or figures.line is None or figures.since is None:
        return "It is evaluated once at least a week has been counted."
    if verdict.state == "fires":
        return f"It is over with the next {events(rule.metric).removesuffix('s')}."
    shape = float(series.usual.shape[series.keys.index(subject.key)])
    many = shape * float(np.expm1(figures.line / shape))
    when = _until(series, subject, figures.since, many)
    found = f"It fires if none comes in a time in which about {many:.0f} {events(rule.metric)} are usual"
    if when is None:
        return f"{found}."
    return f"{found}: at {clock(when, series.at, subject.zone)}, if none comes until then."


def _until(series: Series, subject: Subject, since: int, many: float) -> int | None:
    """Return the time (ms) by which that many events are expected since then; None: not within a week."""
    starts = (since // HOUR + np.arange(_WEEK_H, dtype=np.int64)) * HOUR
    rates = series.usual.rates[series.keys.index(subject.key), hours_of_week(starts, subject.zone)]
    rates[0] *= 1 - since % HOUR / HOUR
    sums = np.cumsum(rates)
    at = int(np.searchsorted(sums, many))
    if at == len(sums):
        return None
    begin = max(int(starts[at]), since)
    part = (many - (sums[at - 1] if at else 0.0)) / rates[at]
    return begin + int(part * (int(starts[at]) + HOUR - begin)) // MINUTE * MINUTE
