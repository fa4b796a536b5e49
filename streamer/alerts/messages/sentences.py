"""Sentences of an alert message for the people on the floor, at its start and at its end."""

from collections.abc import Sequence

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.formatting import (
    duration,
    format_difference,
    format_in_unit,
    group_noun,
    observations,
)
from streamer.alerts.messages.observations import AlertCase
from streamer.alerts.states import AlertNotice
from streamer.alerts.subject import SentenceContext
from streamer.alerts.verdict import VerdictFigures
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.intervals import Interval

# Start.


def firing_text(
    case: AlertCase, context: SentenceContext, reason: str, interval: Interval | None, since: int
) -> str:
    """Return the text at the start: score, target or baseline, support, the ordinary interval, and since
    when. `reason`: the verdict's, which already says everything about missing data."""
    rule, figures = case.rule, case.figures
    if figures.value is None:
        return reason
    return DETECTORS[rule.kind].firing_text(rule, figures, context, interval, since) or reason


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
    return "events" if metric is None else metric.sample_noun


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
