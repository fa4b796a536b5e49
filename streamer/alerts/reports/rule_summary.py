"""Rule summary: the effect of each setting of a rule, in words."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

import msgspec

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.formatting import duration, format_metric, observations
from streamer.alerts.opening_hours import DAYS, OpeningHours
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import TODAY

_ALWAYS: Final = OpeningHours()


class RuleTerm(msgspec.Struct, frozen=True):
    """One setting of the rule: its name in streamer.toml, and its effect in words."""

    name: str
    words: str


def summarize_rule(rule: AlertRule, target: float | None) -> tuple[RuleTerm, ...]:
    """Summarize the rule; `target` is that of the group in question."""
    return tuple(RuleTerm(name, words) for name, words in _rule_terms(rule, target))


def _rule_terms(rule: AlertRule, target: float | None) -> Iterator[tuple[str, str]]:
    if target is not None:
        side = "at least" if rule.metric.better == "higher" else "at most"
        yield "target", f"{side} {format_metric(rule.metric, target)}"
    if rule.kind == "target":
        yield "window", "today, since midnight" if rule.window == TODAY else f"the last {rule.window}"
        yield (
            "least_support",
            f"{observations(rule.metric, rule.least_support)} at least, or there is no verdict",
        )
    yield "false_alarms", false_alarm_promise(rule)
    yield "for", f"notified once it lasts {duration(rule.for_ms)}" if rule.for_ms else "notified at once"
    yield "clear", f"over once it is fine for {duration(rule.clear_ms)}" if rule.clear_ms else "over at once"
    yield "hours", format_hours(rule.hours)
    yield "severity", rule.severity
    yield "tell", ", ".join(rule.tell) or "no webhook: the pages, and an Alertmanager if there is one"


def false_alarm_promise(rule: AlertRule) -> str:
    """Return the promise on false alarms: one a month at most, of all queues together."""
    per_month = rule.false_alarms
    frequency = f"{per_month:g} a month" if per_month > 1 else "one a month"
    frequency = f"one in {1 / per_month:.3g} months" if per_month < 1 else frequency
    if rule.by == ALL or rule.key:
        return f"{frequency} at most"
    group_noun = "groups" if "," in rule.by else f"{rule.by}s"
    scope = f"all {group_noun} together" if rule.shared else f"each of the {group_noun}"
    return f"{frequency} at most, of {scope}"


def format_hours(opening_hours: OpeningHours) -> str:
    """Format hours of operation.

    >>> from streamer.alerts.opening_hours import parse_hours
    >>> format_hours(parse_hours({"mon-fri": "08:00-20:00", "sat": "09:00-14:00"}))
    'Mon-Fri 08:00-20:00, Sat 09:00-14:00'
    """
    if opening_hours == _ALWAYS:
        return "always"
    phrases = []
    for run, days in groupby(range(7), key=lambda day: opening_hours.runs[day]):
        if run is not None:
            day_names = [DAYS[day].capitalize() for day in days]
            days_phrase = day_names[0] if len(day_names) == 1 else f"{day_names[0]}-{day_names[-1]}"
            phrases.append(f"{days_phrase} {_clock_time(run[0])}-{_clock_time(run[1])}")
    return ", ".join(phrases)


def _clock_time(minute: int) -> str:
    """Format minutes since midnight; 24:00 is the end of the day, later minutes belong to the next one."""
    minute -= 24 * 60 if minute > 24 * 60 else 0
    return f"{minute // 60:02d}:{minute % 60:02d}"
