"""Rule summary: the effect of each setting of a rule, in words."""

from collections.abc import Iterator

import msgspec

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.formatting import duration, format_metric
from streamer.alerts.opening_hours import format_hours
from streamer.panes.pane_keys import ALL


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
    yield from DETECTORS[rule.kind].rule_terms(rule)
    yield "false_alarms", false_alarm_promise(rule)
    yield "for", f"notified once it lasts {duration(rule.for_ms)}" if rule.for_ms else "notified at once"
    yield "clear", f"over once it is fine for {duration(rule.clear_ms)}" if rule.clear_ms else "over at once"
    yield "hours", format_hours(rule.hours)
    yield "severity", rule.severity
    yield "tell", ", ".join(rule.tell) or "no webhook: the pages, and an Alertmanager if there is one"


def false_alarm_promise(rule: AlertRule) -> str:
    """Return the promise on false alarms: one a month at most, of all queues together; or that there is no
    chance."""
    if DETECTORS[rule.kind].is_live:
        return "none to promise: what is going on now is counted, so no chance is involved"
    per_month = rule.false_alarms
    frequency = f"{per_month:g} a month" if per_month > 1 else "one a month"
    frequency = f"one in {1 / per_month:.3g} months" if per_month < 1 else frequency
    if rule.by == ALL or rule.key:
        return f"{frequency} at most"
    group_noun = "groups" if "," in rule.by else f"{rule.by}s"
    scope = f"all {group_noun} together" if rule.shared else f"each of the {group_noun}"
    return f"{frequency} at most, of {scope}"
