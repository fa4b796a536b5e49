"""Threshold evaluation: a target is missed if the whole interval lies on its wrong side.

The interval is wide enough for a check after every answer: with an ordinary one of 95 % a score that is
just on target would fire on most days.
"""

from functools import lru_cache
from math import log10, sqrt
from typing import Final, NamedTuple

from streamer.alerts.judging.bounds import Sample
from streamer.alerts.judging.confidence import growing, rolling
from streamer.alerts.rules import Rule
from streamer.alerts.subject import Subject
from streamer.alerts.verdict import Figures, State, Verdict
from streamer.alerts.words import observations, said, span, title, whom
from streamer.panes.windows import TODAY

MONTH_DAYS: Final = 30.44


class Stream(NamedTuple):
    """Observations of a series a month, the number of series that the rule has, and the variance of the
    observations as a multiple of that of independent ones."""

    a_month: float
    series: int
    spread: float = 1.0


def missed(rule: Rule, subject: Subject, target: float, sample: Sample, stream: Stream) -> Verdict:
    """Evaluate the sample of the rule's window, as of the moment of the verdict, against its target."""
    if not sample.of:
        return _told(rule, subject, "few", Figures(target=target, least=rule.least_support))
    z = confidence(rule, sample.of, stream) * sqrt(stream.spread)
    lower, upper = sample.bounds(z, target)
    value = sample.value
    figures = Figures(
        value=value, lower=min(lower, value), upper=max(upper, value), support=sample.of,
        least=rule.least_support, target=target, z=z, a_month=stream.a_month,
    )  # fmt: skip
    if sample.of < rule.least_support:
        return _told(rule, subject, "few", figures)
    if rule.metric.better == "lower":
        lower, value, target = -upper, -value, -target
        upper = -figures.lower if figures.lower is not None else value
    return _told(
        rule, subject, "fires" if upper < target else "holds" if value >= target else "unclear", figures
    )


def confidence(rule: Rule, support: int, stream: Stream) -> float:
    """Return z for one false alarm in as many observations as the rule's budget allows. For a series
    without history the sample itself says how many there are."""
    between = rule.between(max(stream.a_month, support), stream.series)
    if rule.window == TODAY:
        return _growing(
            rule.least_support, _rounded(max(stream.a_month / MONTH_DAYS, support)), _rounded(between)
        )
    return _rolling(_rounded(support), _rounded(between))


def _rounded(number: float) -> float:
    """Round to two digits: z hardly changes with them, and the cache is hit more often."""
    return round(number, 1 - int(log10(max(number, 1))))


_rolling = lru_cache(maxsize=50_000)(rolling)
_growing = lru_cache(maxsize=50_000)(growing)


def _told(rule: Rule, subject: Subject, state: State, figures: Figures) -> Verdict:
    reason = f"{title(rule.metric)} of {whom(rule.by, subject.name)} {_predicate(rule, state, figures)}"
    return Verdict(kind="target", key=subject.key, state=state, reason=reason, figures=figures)


def _predicate(rule: Rule, state: State, figures: Figures) -> str:
    when = span(rule.window)
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
        said(rule.metric, one) for one in (figures.value, figures.lower, figures.upper, figures.target)
    )
    rest = {
        "fires": f"misses its target of {target}: the whole interval of {lower} to {upper} lies beyond it",
        "unclear": f"its target is {target}, which lies within the interval of {lower} to {upper}",
        "holds": f"its target is {target}",
    }[state]
    verb = f"is {value} {when} ({observations(rule.metric, figures.support)})"
    return f"{verb} and {rest}." if state == "fires" else f"{verb}; {rest}."
