"""Views of alerts and pipeline problems as the API and the wallboard show them, restricted to a user."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from streamer.alerts.message import Contributor, Message
from streamer.alerts.rules import Rule
from streamer.alerts.saying.headline import Matter, begun
from streamer.alerts.states import Alert, Phase, Why
from streamer.alerts.verdict import Figures, Kind
from streamer.alerts.words import called
from streamer.delivery.bell import Bell
from streamer.delivery.record import EMPTY, Acknowledgement, Record
from streamer.readings.suppression import ANSWERS, FEWEST
from streamer.settings import Severity
from streamer.web import board
from streamer.web.rights import Sight

Names = Mapping[str, Mapping[str, str]]
"""Display names by dimension, then by key: {"queue": {"q7": "Billing"}}."""


PHASES: Final[tuple[Phase, ...]] = ("pending", "firing", "clearing", "resolved")


class Quiet(msgspec.Struct, frozen=True):
    """The silence that applies to an alert; `until` in ms since the epoch."""

    id: str
    until: int
    by: str
    comment: str


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, or a pipeline problem, as the API lists it.

    `id` is the alert's episode. `kind` is the rule's kind, or the kind of pipeline problem: store, worker,
    behind, stale. A pipeline problem has no rule, metric or group. Times are in ms since the epoch: `since`
    is when the deviation began, `fired_at` when receivers were notified (None: not notified yet)."""

    id: str
    rule: str | None = None
    kind: str
    severity: Severity
    phase: Phase = "firing"
    metric: str | None = None
    unit: str | None = None
    better: str | None = None
    window: str | None = None
    by: str | None = None
    key: str | None = None
    group: str | None = None
    title: str
    text: str
    since: int
    fired_at: int | None = None
    resolved_at: int | None = None
    why: Why = "due"
    figures: Figures | None = None
    interval: tuple[float, float] | None = None
    contributors: tuple[Contributor, ...] = ()
    links: dict[str, str] = {}
    acknowledged: Acknowledgement | None = None
    silenced: Quiet | None = None
    what: board.What | None = None


def of_trouble(trouble: board.Alert) -> Alarm:
    """Convert an alert of PipelineHealth into a view; it counts as notified from its start.

    >>> view = of_trouble(
    ...     board.Alert(id="pipeline/stale", severity="critical", kind="stale", text="Old.", since=1_000)
    ... )
    >>> view.id, view.phase, view.rule, view.fired_at
    ('pipeline/stale', 'firing', None, 1000)
    """
    return Alarm(
        id=trouble.id,
        kind=trouble.kind,
        severity=trouble.severity,
        title="The data itself",
        text=trouble.text,
        since=trouble.since,
        fired_at=trouble.since,
    )


class Known(NamedTuple):
    """Everything that alert views are built from: the stored record, the rules by name, display names."""

    record: Record
    rules: Mapping[str, Rule]
    names: Names

    @classmethod
    def of(cls, bell: Bell | None, names: Names) -> "Known":
        if bell is None:
            return cls(EMPTY, {}, names)
        return cls(bell.record, {rule.name: rule for rule in bell.rules}, names)


def alarms(known: Known, phases: Collection[Phase], now: int) -> Iterator[Alarm]:
    """Yield a view for each alert in one of these phases.

    `now_ms` (since the epoch) selects the active silences. An alert without a stored message is built from
    its rule; it is left out if the rule no longer exists.
    """
    record, rules, names = known
    for alert in record.alerts:
        if alert.phase not in phases:
            continue
        message = record.messages.get(f"{alert.id}/{'resolved' if alert.phase == 'resolved' else 'firing'}")
        if message is not None:
            found = _told(alert, message)
        elif alert.rule in rules:
            found = _untold(alert, rules[alert.rule], names)
        else:
            continue
        silence = record.silence(alert.rule, alert.key, now)
        yield replace(
            found,
            acknowledged=record.acknowledged.get(alert.id),
            silenced=silence and Quiet(silence.id, silence.until, silence.by, silence.comment),
        )


def _told(alert: Alert, message: Message) -> Alarm:
    return Alarm(
        id=alert.id,
        rule=alert.rule,
        kind=message.kind,
        severity=message.severity,
        phase=alert.phase,
        metric=message.metric,
        unit=message.unit,
        better=message.better,
        window=message.window,
        by=message.by,
        key=alert.key,
        group=message.group,
        title=message.title,
        text=message.text,
        since=message.since,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        why=alert.why,
        figures=message.figures,
        interval=message.interval,
        contributors=message.contributors,
        links=message.links,
        what=_what(message.kind, message.better, _fired(alert, message)),
    )


def _fired(alert: Alert, message: Message) -> Figures:
    return message.figures if alert.fired is None else alert.fired.figures


def _untold(alert: Alert, rule: Rule, names: Names) -> Alarm:
    """Build the view of an alert that was not notified yet: there is no message, only its rule."""
    group, figures = called(names, rule.by, alert.key), Figures(since=alert.began_at)
    title = begun(Matter.of_rule(rule, group, figures))
    return Alarm(
        id=alert.id,
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        phase=alert.phase,
        metric=rule.metric.name,
        unit=rule.metric.unit,
        better=rule.metric.better,
        window=rule.window,
        by=rule.by,
        key=alert.key,
        group=group,
        title=title,
        text=f"{title}, but not yet for as long as the rule asks.",
        since=alert.began_at,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        why=alert.why,
        what=_what(rule.kind, rule.metric.better, figures),
    )


def _what(kind: Kind, better: str, figures: Figures) -> board.What:
    if kind == "silence":
        return "odd" if figures.since is None else "silent"
    return "missed" if kind == "target" else "fell" if better == "higher" else "rose"


# Restriction to what a user may see.


def seen(alarm: Alarm, sight: Sight) -> Alarm | None:
    """Restrict a view to what this user may see; None: nothing of it.

    Viewers see neither the contributors of a figure nor survey figures: an alert looks at every answer, so
    its figures could reveal a single one."""
    if alarm.by is not None and not sight.may_see(alarm.by, alarm.key or ""):
        return None
    if sight.person.role != "viewer":
        own = tuple(one for one in alarm.contributors if sight.may_see(one.dimension, one.key))
        return alarm if own == alarm.contributors else replace(alarm, contributors=own)
    if alarm.metric in ANSWERS:
        return _without_answers(alarm)
    return _plain(alarm)


def _plain(alarm: Alarm) -> Alarm:
    """Remove contributors, links and comments: comments are for colleagues and may name anybody."""
    acknowledged = alarm.acknowledged and replace(alarm.acknowledged, comment="")
    silenced = alarm.silenced and replace(alarm.silenced, comment="")
    return replace(alarm, contributors=(), links={}, acknowledged=acknowledged, silenced=silenced)


def _without_answers(alarm: Alarm) -> Alarm | None:
    """Remove survey figures; None if the alert itself must stay hidden.

    It is hidden if it rests on fewer than FEWEST answers, or was not notified yet: then the number of answers
    is unknown. An alert that no data comes at all reveals nobody, and is always shown."""
    if alarm.kind != "silence" and (alarm.figures is None or alarm.figures.support < FEWEST):
        return None
    return replace(_plain(alarm), text=f"{alarm.title}.", figures=None, interval=None)


def worst_first(alarm: Alarm) -> tuple[bool, int]:
    """Return a sort key: critical alerts first, and the newest first among equals."""
    return alarm.severity != "critical", -(alarm.fired_at or alarm.since)
