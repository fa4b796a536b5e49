"""Sentences of an alert message for the people on the floor, at its start and at its end."""

from collections.abc import Sequence
from typing import NamedTuple

from streamer.alerts.judging.drops import how_often
from streamer.alerts.message import Contributor, Message
from streamer.alerts.rules import Rule
from streamer.alerts.saying.observed import Case
from streamer.alerts.states import Notice
from streamer.alerts.verdict import Figures
from streamer.alerts.words import (
    clock,
    difference,
    lasting,
    observations,
    observed,
    said,
    said_in,
    span,
    title,
    whom,
)
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.intervals import Interval


class Told(NamedTuple):
    """Context of a sentence: the display name of the group, its time zone, and the moment, in ms."""

    name: str
    zone: str
    at: int

    def clock(self, ms: int) -> str:
        return clock(ms, self.at, self.zone)


# Start.


def begun(case: Case, told: Told, reason: str, interval: Interval | None, since: int) -> str:
    """Return the text at the start: score, target or baseline, support, the ordinary interval, and since
    when. `reason`: the verdict's, which already says everything about missing data."""
    rule, figures = case.rule, case.figures
    if rule.kind == "silence" or figures.value is None:
        return reason
    whose = f"{title(rule.metric)} of {whom(rule.by, told.name)}"
    if rule.kind == "target":
        return f"{_missed(rule, whose, figures, told.clock(since))} {_sure(rule, figures, interval)}"
    changed = _changed(rule, whose, figures, told)
    return (
        f"{changed} {_sure(rule, figures, interval)} "
        f"Chance alone would produce such a change about {how_often(rule)}."
    )


def _missed(rule: Rule, whose: str, figures: Figures, since: str) -> str:
    assert figures.value is not None
    assert figures.target is not None
    value, target = said(rule.metric, figures.value), said(rule.metric, figures.target)
    verb = "misses" if rule.metric.better == "higher" else "is over"
    return f"{whose} is {value} {span(rule.window)} and {verb} its target of {target}, since {since}."


def _changed(rule: Rule, whose: str, figures: Figures, told: Told) -> str:
    assert figures.value is not None
    assert figures.usual is not None
    assert figures.since is not None
    verb = "fallen" if rule.metric.better == "higher" else "risen"
    value, usual = said(rule.metric, figures.value), said(rule.metric, figures.usual)
    since = f"since about {told.clock(figures.since)}"
    return f"{whose} has {verb} to {value} {since}; {usual} is usual at these hours."


def _sure(rule: Rule, figures: Figures, interval: Interval | None) -> str:
    rests = f"That rests on {observations(rule.metric, figures.support)}"
    if interval is None:
        return f"{rests}."
    lower, upper = said(rule.metric, interval.lower), said(rule.metric, interval.upper)
    return f"{rests}: with 95 % certainty it is between {lower} and {upper}."


# End.


def over(notice: Notice, began: Message, told: Told) -> str:
    """Return the text at the end: why it is over."""
    reason, state = notice.verdict.reason, notice.verdict.state
    if notice.why == "corrected":
        return (
            f"With the {_observed(began)} corrected since, it was not due at {told.clock(began.at)}. {reason}"
        )
    if notice.why == "closed":
        return "The hours of operation are over: it is evaluated again when they begin."
    if state == "fires":
        return f"The rule {began.rule} is no longer in force."
    if state == "few" and notice.verdict.figures == Figures():
        return (
            f"{_group(began)} is no longer evaluated: it has no data, or is not among the groups of the rule."
        )
    if state != "holds":
        return f"{reason} So it is unknown whether it goes on."
    return f"{reason} It lasted {lasting(told.at - began.since)}, since {told.clock(began.since)}."


def _observed(began: Message) -> str:
    metric = CATALOGUE.get(began.metric)
    return "events" if metric is None else observed(metric)


def _group(began: Message) -> str:
    name = whom(began.by, began.group)
    return name[:1].upper() + name[1:]


# Contributors.


def alike(contributors: Sequence[Contributor]) -> str:
    """Return a further sentence if no subgroup stands out, else ""."""
    stands_out = not contributors or any(one.apart for one in contributors)
    return "" if stands_out else " No team, reason or other part of it stands out."


def part(contributor: Contributor, told: Message) -> str:
    """Return a contributor as a phrase: team Red: −9 points (40 answers, alone at −35)."""
    metric = CATALOGUE.get(told.metric)
    rests = f"{contributor.support:,}" if metric is None else observations(metric, contributor.support)
    alone = "" if contributor.value is None else f", alone at {said_in(told.unit, contributor.value)}"
    moved = difference(told.unit, contributor.moved)
    return f"{contributor.dimension} {contributor.name}: {moved} ({rests}{alone})"
