"""Sentences of an alert message for the people on the floor, at its start and at its end."""

from collections.abc import Sequence
from typing import NamedTuple

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.detection.drops import chance_frequency
from streamer.alerts.formatting import (
    clock,
    duration,
    format_difference,
    format_in_unit,
    format_metric,
    group_noun,
    metric_label,
    observation_noun,
    observations,
    window_text,
)
from streamer.alerts.messages.observations import AlertCase
from streamer.alerts.states import AlertNotice
from streamer.alerts.verdict import VerdictFigures
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.intervals import Interval


class SentenceContext(NamedTuple):
    """Context of a sentence: the display name of the group, its time zone, and the moment, in ms."""

    name: str
    zone: str
    at_ms: int

    def clock(self, time_ms: int) -> str:
        return clock(time_ms, self.at_ms, self.zone)


# Start.


def firing_text(
    case: AlertCase, context: SentenceContext, reason: str, interval: Interval | None, since: int
) -> str:
    """Return the text at the start: score, target or baseline, support, the ordinary interval, and since
    when. `reason`: the verdict's, which already says everything about missing data."""
    rule, figures = case.rule, case.figures
    if rule.kind == "silence" or figures.value is None:
        return reason
    subject = f"{metric_label(rule.metric)} of {group_noun(rule.by, context.name)}"
    if rule.kind == "target":
        target_sentence = _target_sentence(rule, subject, figures, context.clock(since))
        return f"{target_sentence} {_support_sentence(rule, figures, interval)}"
    sentence = _change_sentence(rule, subject, figures, context)
    return (
        f"{sentence} {_support_sentence(rule, figures, interval)} "
        f"Chance alone would produce such a change about {chance_frequency(rule)}."
    )


def _target_sentence(rule: AlertRule, name: str, figures: VerdictFigures, since: str) -> str:
    assert figures.value is not None
    assert figures.target is not None
    value, target = format_metric(rule.metric, figures.value), format_metric(rule.metric, figures.target)
    verb = "misses" if rule.metric.better == "higher" else "is over"
    return f"{name} is {value} {window_text(rule.window)} and {verb} its target of {target}, since {since}."


def _change_sentence(rule: AlertRule, subject: str, figures: VerdictFigures, context: SentenceContext) -> str:
    assert figures.value is not None
    assert figures.usual is not None
    assert figures.since is not None
    verb = "fallen" if rule.metric.better == "higher" else "risen"
    value, usual = format_metric(rule.metric, figures.value), format_metric(rule.metric, figures.usual)
    since = f"since about {context.clock(figures.since)}"
    return f"{subject} has {verb} to {value} {since}; {usual} is usual at these hours."


def _support_sentence(rule: AlertRule, figures: VerdictFigures, interval: Interval | None) -> str:
    sentence = f"That rests on {observations(rule.metric, figures.support)}"
    if interval is None:
        return f"{sentence}."
    lower, upper = format_metric(rule.metric, interval.lower), format_metric(rule.metric, interval.upper)
    return f"{sentence}: with 95 % certainty it is between {lower} and {upper}."


# End.


def resolved_text(notice: AlertNotice, firing_message: AlertMessage, context: SentenceContext) -> str:
    """Return the text at the end: why it is over."""
    reason, state = notice.verdict.reason, notice.verdict.state
    if notice.why == "corrected":
        return (
            f"With the {_observation_noun(firing_message)} corrected since, "
            f"it was not due at {context.clock(firing_message.at)}. {reason}"
        )
    if notice.why == "closed":
        return "The hours of operation are over: it is evaluated again when they begin."
    if state == "fires":
        return f"The rule {firing_message.rule} is no longer in force."
    if state == "few" and notice.verdict.figures == VerdictFigures():
        return (
            f"{_group_name(firing_message)} is no longer evaluated: "
            "it has no data, or is not among the groups of the rule."
        )
    if state != "holds":
        return f"{reason} So it is unknown whether it goes on."
    return (
        f"{reason} It lasted {duration(context.at_ms - firing_message.since)}, "
        f"since {context.clock(firing_message.since)}."
    )


def _observation_noun(message: AlertMessage) -> str:
    metric = CATALOGUE.get(message.metric)
    return "events" if metric is None else observation_noun(metric)


def _group_name(message: AlertMessage) -> str:
    name = group_noun(message.by, message.group)
    return name[:1].upper() + name[1:]


# Contributors.


def alike_sentence(contributors: Sequence[Contributor]) -> str:
    """Return a further sentence if no subgroup stands out, else ""."""
    stands_out = not contributors or any(contributor.apart for contributor in contributors)
    return "" if stands_out else " No team, reason or other part of it stands out."


def contributor_text(contributor: Contributor, message: AlertMessage) -> str:
    """Return a contributor as a phrase: team Red: −9 points (40 answers, alone at −35)."""
    metric = CATALOGUE.get(message.metric)
    support = f"{contributor.support:,}" if metric is None else observations(metric, contributor.support)
    alone = (
        "" if contributor.value is None else f", alone at {format_in_unit(message.unit, contributor.value)}"
    )
    moved = format_difference(message.unit, contributor.moved)
    return f"{contributor.dimension} {contributor.name}: {moved} ({support}{alone})"
