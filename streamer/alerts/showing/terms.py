"""Rule summary: the effect of each setting of a rule, in words."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

import msgspec

from streamer.alerts.hours import DAYS, Hours
from streamer.alerts.rules import Rule
from streamer.alerts.words import lasting, observations, said
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import TODAY

_ALWAYS: Final = Hours()


class Term(msgspec.Struct, frozen=True):
    """One setting of the rule: its name in streamer.toml, and its effect in words."""

    name: str
    words: str


def terms(rule: Rule, target: float | None) -> tuple[Term, ...]:
    """Summarize the rule; `target` is that of the group in question."""
    return tuple(Term(name, words) for name, words in _terms(rule, target))


def _terms(rule: Rule, target: float | None) -> Iterator[tuple[str, str]]:
    if target is not None:
        yield "target", f"{_at(rule)} {said(rule.metric, target)}"
    if rule.kind == "target":
        yield "window", "today, since midnight" if rule.window == TODAY else f"the last {rule.window}"
        yield (
            "least_support",
            f"{observations(rule.metric, rule.least_support)} at least, or there is no verdict",
        )
    yield "false_alarms", promised(rule)
    yield "for", f"notified once it lasts {lasting(rule.for_ms)}" if rule.for_ms else "notified at once"
    yield "clear", f"over once it is fine for {lasting(rule.clear_ms)}" if rule.clear_ms else "over at once"
    yield "hours", hours(rule.hours)
    yield "severity", rule.severity
    yield "tell", ", ".join(rule.tell) or "no webhook: the pages, and an Alertmanager if there is one"


def _at(rule: Rule) -> str:
    return "at least" if rule.metric.better == "higher" else "at most"


def promised(rule: Rule) -> str:
    """Return the promise on false alarms: one a month at most, of all queues together."""
    several = rule.false_alarms
    often = f"{several:g} a month" if several > 1 else "one a month"
    often = f"one in {1 / several:.3g} months" if several < 1 else often
    if rule.by == ALL or rule.key:
        return f"{often} at most"
    many = "groups" if "," in rule.by else f"{rule.by}s"
    whose = f"all {many} together" if rule.shared else f"each of the {many}"
    return f"{often} at most, of {whose}"


def hours(given: Hours) -> str:
    """Format hours of operation.

    >>> from streamer.alerts import hours as parser
    >>> hours(parser.hours({"mon-fri": "08:00-20:00", "sat": "09:00-14:00"}))
    'Mon-Fri 08:00-20:00, Sat 09:00-14:00'
    """
    if given == _ALWAYS:
        return "always"
    found = []
    for run, days in groupby(range(7), key=lambda day: given.runs[day]):
        if run is not None:
            named = [DAYS[day].capitalize() for day in days]
            of = named[0] if len(named) == 1 else f"{named[0]}-{named[-1]}"
            found.append(f"{of} {_clock(run[0])}-{_clock(run[1])}")
    return ", ".join(found)


def _clock(minute: int) -> str:
    """Format minutes since midnight; 24:00 is the end of the day, later minutes belong to the next one."""
    minute -= 24 * 60 if minute > 24 * 60 else 0
    return f"{minute // 60:02d}:{minute % 60:02d}"
