"""Here is an alarm: an alert, or a trouble of the pipeline, as it is shown to somebody."""

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
"""What people call the values of each dimension."""


PHASES: Final[tuple[Phase, ...]] = ("pending", "firing", "clearing", "resolved")


class Quiet(msgspec.Struct, frozen=True):
    """The silence over an alert."""

    id: str
    until: int
    by: str
    comment: str


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the alert's episode. `kind` is the rule's, or of a trouble which one it is: store, worker,
    behind, stale. A trouble is of no rule, metric or group. Times in ms since the epoch: `since` when what
    it is about began, `fired_at` when somebody was told; None: nobody was."""

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
    """What alarms are made of."""

    record: Record
    rules: Mapping[str, Rule]
    names: Names

    @classmethod
    def of(cls, bell: Bell | None, names: Names) -> "Known":
        if bell is None:
            return cls(EMPTY, {}, names)
        return cls(bell.record, {rule.name: rule for rule in bell.rules}, names)


def alarms(known: Known, phases: Collection[Phase], now: int) -> Iterator[Alarm]:
    """One for each alert that is in one of these phases."""
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
    """Nobody was told of it yet: there is only its rule."""
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


# What somebody sees of it.


def seen(alarm: Alarm, sight: Sight) -> Alarm | None:
    """As who looks may see it; None: not at all. Viewers see neither whom or what a figure is made of, nor
    survey figures: an alert looks at every answer, and would tell of single ones."""
    if alarm.by is not None and not sight.may_see(alarm.by, alarm.key or ""):
        return None
    if sight.person.role != "viewer":
        own = tuple(one for one in alarm.contributors if sight.may_see(one.dimension, one.key))
        return alarm if own == alarm.contributors else replace(alarm, contributors=own)
    if alarm.metric in ANSWERS:
        return _without_answers(alarm)
    return _plain(alarm)


def _plain(alarm: Alarm) -> Alarm:
    """Comments are for colleagues; they may name anybody."""
    acknowledged = alarm.acknowledged and replace(alarm.acknowledged, comment="")
    silenced = alarm.silenced and replace(alarm.silenced, comment="")
    return replace(alarm, contributors=(), links={}, acknowledged=acknowledged, silenced=silenced)


def _without_answers(alarm: Alarm) -> Alarm | None:
    """Of a few answers not even that there is an alert; nor before anybody was told, for then nobody knows
    of how many. That none come at all tells of nobody."""
    if alarm.kind != "silence" and (alarm.figures is None or alarm.figures.support < FEWEST):
        return None
    return replace(_plain(alarm), text=f"{alarm.title}.", figures=None, interval=None)


def worst_first(alarm: Alarm) -> tuple[bool, int]:
    """The newest first of those that are as bad."""
    return alarm.severity != "critical", -(alarm.fired_at or alarm.since)
