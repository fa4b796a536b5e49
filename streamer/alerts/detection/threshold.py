"""Threshold evaluation: a target is missed if the whole interval lies on its wrong side.

The interval is wide enough for a check after every answer: with an ordinary one of 95 % a score that is
just on target would fire on most days.
"""

from functools import lru_cache
from math import log10, sqrt
from typing import Final, NamedTuple

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.formatting import format_metric, group_noun, metric_label, observations, window_text
from streamer.alerts.statistics.confidence import growing_z, rolling_z
from streamer.alerts.subject import AlertSubject
from streamer.alerts.verdict import Verdict, VerdictFigures, VerdictState
from streamer.metrics.samples import MetricSample
from streamer.panes.windows import TODAY

MONTH_DAYS: Final = 30.44


class ObservationStream(NamedTuple):
    """Observations of a series a month, the number of series that the rule has, and the variance of the
    observations as a multiple of that of independent ones."""

    a_month: float
    series_count: int
    spread: float = 1.0


def evaluate_threshold(
    rule: AlertRule, subject: AlertSubject, target: float, sample: MetricSample, stream: ObservationStream
) -> Verdict:
    """Evaluate the sample of the rule's window, as of the moment of the verdict, against its target."""
    if not sample.size:
        return _threshold_verdict(
            rule, subject, "few", VerdictFigures(target=target, least=rule.least_support)
        )
    z = required_z(rule, sample.size, stream) * sqrt(stream.spread)
    lower, upper = sample.bounds(z, target)
    value = sample.value
    figures = VerdictFigures(
        value=value, lower=min(lower, value), upper=max(upper, value), support=sample.size,
        least=rule.least_support, target=target, z=z, a_month=stream.a_month,
    )  # fmt: skip
    if sample.size < rule.least_support:
        return _threshold_verdict(rule, subject, "few", figures)
    if rule.metric.better == "lower":
        lower, value, target = -upper, -value, -target
        upper = -figures.lower if figures.lower is not None else value
    return _threshold_verdict(
        rule, subject, "fires" if upper < target else "holds" if value >= target else "unclear", figures
    )


def required_z(rule: AlertRule, support: int, stream: ObservationStream) -> float:
    """Return z for one false alarm in as many observations as the rule's budget allows. For a series
    without history the sample itself says how many there are."""
    per_alarm = rule.observations_per_alarm(max(stream.a_month, support), stream.series_count)
    if rule.window == TODAY:
        return _cached_growing_z(
            rule.least_support,
            _round_to_two_digits(max(stream.a_month / MONTH_DAYS, support)),
            _round_to_two_digits(per_alarm),
        )
    return _cached_rolling_z(_round_to_two_digits(support), _round_to_two_digits(per_alarm))


def _round_to_two_digits(number: float) -> float:
    """Round to two digits: z hardly changes with them, and the cache is hit more often."""
    return round(number, 1 - int(log10(max(number, 1))))


_cached_rolling_z = lru_cache(maxsize=50_000)(rolling_z)
_cached_growing_z = lru_cache(maxsize=50_000)(growing_z)


def _threshold_verdict(
    rule: AlertRule, subject: AlertSubject, state: VerdictState, figures: VerdictFigures
) -> Verdict:
    reason = (
        f"{metric_label(rule.metric)} of {group_noun(rule.by, subject.name)} "
        f"{_predicate(rule, state, figures)}"
    )
    return Verdict(kind="target", key=subject.key, state=state, reason=reason, figures=figures)


def _predicate(rule: AlertRule, state: VerdictState, figures: VerdictFigures) -> str:
    when = window_text(rule.window)
    if not figures.support:
        return f"has no data {when}."
    if state == "few":
        support = observations(rule.metric, figures.support)
        return f"has {support} {when}: at least {figures.least} are needed."
    assert figures.value is not None
    assert figures.lower is not None
    assert figures.upper is not None
    assert figures.target is not None
    value, lower, upper, target = (
        format_metric(rule.metric, figure)
        for figure in (figures.value, figures.lower, figures.upper, figures.target)
    )
    rest = {
        "fires": f"misses its target of {target}: the whole interval of {lower} to {upper} lies beyond it",
        "unclear": f"its target is {target}, which lies within the interval of {lower} to {upper}",
        "holds": f"its target is {target}",
    }[state]
    verb = f"is {value} {when} ({observations(rule.metric, figures.support)})"
    return f"{verb} and {rest}." if state == "fires" else f"{verb}; {rest}."
