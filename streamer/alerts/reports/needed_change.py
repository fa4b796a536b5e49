"""Change needed for another verdict, in one sentence: when it would fire, or be over."""

from typing import Final

import numpy as np

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.detection.drops import DropEvidence
from streamer.alerts.detection.evidence_replay import OVER_SHARE
from streamer.alerts.detection.series import MetricSeries, hours_of_week
from streamer.alerts.formatting import clock, event_noun, format_metric, observations
from streamer.alerts.reports.rule_summary import format_hours
from streamer.alerts.statistics.evidence import DROP_DISTANCES, tilt_distribution
from streamer.alerts.subject import AlertSubject
from streamer.alerts.verdict import Verdict, VerdictFigures
from streamer.events.counting_rules import HOUR, MINUTE

_LEAST_GAIN: Final = 0.05
"""Share of the line that the evidence must have before its growth is extrapolated."""
_WEEK_H: Final = 7 * 24


def for_gated(rule: AlertRule, verdict: Verdict) -> str | None:
    """Return the change needed if the series is not evaluated at all; None: it is."""
    if verdict.state == "closed":
        return f"It is evaluated again in the hours of operation: {format_hours(rule.hours)}."
    if verdict.state == "no_data":
        return "It is evaluated again once the data is complete."
    if verdict.kind == "silence" and verdict.state == "fires" and verdict.figures.since is None:
        return "It is over once that is resolved."
    return None


# Thresholds.


def for_threshold(rule: AlertRule, verdict: Verdict) -> str:
    figures = verdict.figures
    missing = figures.least - figures.support
    if missing > 0:
        return f"It is evaluated from {observations(rule.metric, figures.least)} on: {missing} more."
    assert figures.target is not None
    target = format_metric(rule.metric, figures.target)
    if verdict.state == "fires":
        return f"It is over once the figure is at {target} again."
    side = "below" if rule.metric.better == "higher" else "above"
    condition = f"It fires where the whole interval lies {side} {target}: {_firing_value(rule, figures)}"
    return f"{condition}{_firing_support(rule, figures) if verdict.state == 'unclear' else ''}."


def _firing_value(rule: AlertRule, figures: VerdictFigures) -> str:
    half = _half_width(rule, figures)
    assert figures.target is not None
    value = figures.target + (half if rule.metric.better == "lower" else -half)
    return f"with {observations(rule.metric, figures.support)}, at about {format_metric(rule.metric, value)}"


def _firing_support(rule: AlertRule, figures: VerdictFigures) -> str:
    """Return the number of observations that would decide: an interval narrows with the root of their
    number."""
    assert figures.value is not None
    assert figures.target is not None
    gap = abs(figures.target - figures.value)
    if not gap:
        return ""
    support = round(figures.support * (_half_width(rule, figures) / gap) ** 2)
    return f"; or with about {observations(rule.metric, support)} that are no better" if support < 1e6 else ""


def _half_width(rule: AlertRule, figures: VerdictFigures) -> float:
    """Return the distance from the value to the end of the interval that must be beyond the target."""
    end = figures.upper if rule.metric.better == "higher" else figures.lower
    assert end is not None
    assert figures.value is not None
    return abs(end - figures.value)


# Drops.


def for_drop(rule: AlertRule, drop_evidence: DropEvidence, verdict: Verdict) -> str:
    figures = verdict.figures
    if figures.line is None or figures.evidence is None:
        missing = figures.least - (figures.learned_of or 0)
        return (
            f"It is evaluated once the baseline has {missing} more observations; "
            "those of the last days do not count towards it."
        )
    current = f"it is at {figures.evidence:.3g}"
    if verdict.state == "fires":
        return f"It is over once the evidence is below {OVER_SHARE * figures.line:.3g}: {current}."
    text = f"It fires at an evidence of {figures.line:.3g}: {current}."
    if figures.evidence >= _LEAST_GAIN * figures.line and figures.support and verdict.state == "unclear":
        evidence_each = figures.evidence / figures.support
        more = max(1, round((figures.line - figures.evidence) / evidence_each))
        return f"{text} About {observations(rule.metric, more)} more like those since then would be enough."
    return f"{text} {_detection_time(rule, drop_evidence, verdict.key, figures.line - figures.evidence)}"


def _detection_time(rule: AlertRule, drop_evidence: DropEvidence, key: str, missing: float) -> str:
    """Return how soon drops would be detected: evidence grows by the information of each observation."""
    series, group = drop_evidence.series, drop_evidence.series.keys.index(key)
    mean, scores = series.baseline.mean[group], series.scores[group]
    estimates = []
    for distance in DROP_DISTANCES[1:3]:
        value = float(tilt_distribution(mean, scores, distance) @ series.values[group])
        support = max(1, round(missing / distance * float(series.baseline.spread[group])))
        estimates.append((format_metric(rule.metric, value), observations(rule.metric, support)))
    verb = "drop" if rule.metric.better == "higher" else "rise"
    (small, late), (large, soon) = estimates
    return f"After a {verb} to {small} it would fire within about {late}, to {large} within about {soon}."


# Missing data.


def for_no_data(rule: AlertRule, series: MetricSeries | None, subject: AlertSubject, verdict: Verdict) -> str:
    figures = verdict.figures
    if series is None or figures.line is None or figures.since is None:
        return "It is evaluated once at least a week has been counted."
    if verdict.state == "fires":
        return f"It is over with the next {event_noun(rule.metric).removesuffix('s')}."
    shape = float(series.baseline.shape[series.keys.index(subject.key)])
    count = shape * float(np.expm1(figures.line / shape))
    fires_at_ms = _expected_at(series, subject, figures.since, count)
    text = f"It fires if none comes in a time in which about {count:.0f} {event_noun(rule.metric)} are usual"
    if fires_at_ms is None:
        return f"{text}."
    return f"{text}: at {clock(fires_at_ms, series.at, subject.zone)}, if none comes until then."


def _expected_at(
    series: MetricSeries, subject: AlertSubject, since_ms: int, expected_events: float
) -> int | None:
    """Return the time (ms) by which that many events are expected since then; None: not within a week."""
    starts = (since_ms // HOUR + np.arange(_WEEK_H, dtype=np.int64)) * HOUR
    rates = series.baseline.rates[series.keys.index(subject.key), hours_of_week(starts, subject.zone)]
    rates[0] *= 1 - since_ms % HOUR / HOUR
    sums = np.cumsum(rates)
    hour_index = int(np.searchsorted(sums, expected_events))
    if hour_index == len(sums):
        return None
    begin_ms = max(int(starts[hour_index]), since_ms)
    share = (expected_events - (sums[hour_index - 1] if hour_index else 0.0)) / rates[hour_index]
    return begin_ms + int(share * (int(starts[hour_index]) + HOUR - begin_ms)) // MINUTE * MINUTE
