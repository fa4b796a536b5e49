"""Views of alerts and pipeline problems as the API and the wallboard show them, restricted to a user."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.formatting import group_name
from streamer.alerts.messages.headline import HeadlineSubject, firing_title
from streamer.alerts.states import Alert, NoticeReason, Phase
from streamer.alerts.verdict import AlertSymptom, VerdictFigures
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import EMPTY_STATE, Acknowledgement, AlertState
from streamer.readings.suppression import ANSWER_METRIC_OF, MIN_ANSWERS
from streamer.settings import Severity
from streamer.web import wallboard
from streamer.web.permissions import DataScope

NamesByDimension = Mapping[str, Mapping[str, str]]
"""Display names by dimension, then by key: {"queue": {"q7": "Billing"}}."""


ALERT_PHASES: Final[tuple[Phase, ...]] = ("pending", "firing", "clearing", "resolved")


class AppliedSilence(msgspec.Struct, frozen=True):
    """The silence that applies to an alert; `until` in ms since the epoch."""

    id: str
    until: int
    by: str
    comment: str


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, or a pipeline problem, as the API lists it.

    `id` is the alert's episode. `kind` is the rule's kind, or the kind of pipeline problem: store, worker,
    behind, stale. A pipeline problem has no rule, metric or group. Times are in ms since the epoch: `since`
    is when the deviation began, `fired_at` when receivers were notified (None: not notified yet). `figures`
    are those of that moment (resolved: of the end), `current` is the figure as it is now."""

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
    why: NoticeReason = "due"
    figures: VerdictFigures | None = None
    interval: tuple[float, float] | None = None
    contributors: tuple[Contributor, ...] = ()
    links: dict[str, str] = {}
    acknowledged: Acknowledgement | None = None
    silenced: AppliedSilence | None = None
    what: AlertSymptom | None = None
    current: wallboard.AlertFigure | None = None


def pipeline_alert_view(alert: wallboard.WallboardAlert) -> AlertView:
    """Convert an alert of PipelineHealth into a view; it counts as notified from its start.

    >>> view = pipeline_alert_view(
    ...     wallboard.WallboardAlert(
    ...         id="pipeline/stale", severity="critical", kind="stale", text="Old.", since=1_000
    ...     )
    ... )
    >>> view.id, view.phase, view.rule, view.fired_at
    ('pipeline/stale', 'firing', None, 1000)
    """
    return AlertView(
        id=alert.id,
        kind=alert.kind,
        severity=alert.severity,
        title="The data itself",
        text=alert.text,
        since=alert.since,
        fired_at=alert.since,
    )


class AlertViewSource(NamedTuple):
    """Everything that alert views are built from: the stored record, the rules by name, display names."""

    record: AlertState
    rules: Mapping[str, AlertRule]
    names: NamesByDimension

    @classmethod
    def of(cls, coordinator: AlertCoordinator | None, names: NamesByDimension) -> "AlertViewSource":
        if coordinator is None:
            return cls(EMPTY_STATE, {}, names)
        return cls(coordinator.state, {rule.name: rule for rule in coordinator.rules}, names)


def alert_views(source: AlertViewSource, phases: Collection[Phase], now_ms: int) -> Iterator[AlertView]:
    """Yield a view for each alert in one of these phases.

    `now_ms` (since the epoch) selects the active silences. An alert without a stored message is built from
    its rule; it is left out if the rule no longer exists.
    """
    record, rules, names = source
    for alert in record.alerts:
        if alert.phase not in phases:
            continue
        message = record.messages.get(f"{alert.id}/{'resolved' if alert.phase == 'resolved' else 'firing'}")
        if message is not None:
            view = _notified_view(alert, message)
        elif alert.rule in rules:
            view = _pending_view(alert, rules[alert.rule], names)
        else:
            continue
        silence = record.active_silence(alert.rule, alert.key, now_ms)
        yield replace(
            view,
            acknowledged=record.acknowledged.get(alert.id),
            silenced=silence and AppliedSilence(silence.id, silence.until, silence.by, silence.comment),
        )


def _notified_view(alert: Alert, message: AlertMessage) -> AlertView:
    firing_figures = message.figures if alert.fired is None else alert.fired.figures
    return AlertView(
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
        what=DETECTORS[message.kind].symptom(message.better, firing_figures),
    )


def _pending_view(alert: Alert, rule: AlertRule, names: NamesByDimension) -> AlertView:
    """Build the view of an alert that was not notified yet: there is no message, only its rule."""
    group, figures = group_name(names, rule.by, alert.key), VerdictFigures(since=alert.began_at)
    title = firing_title(HeadlineSubject.from_rule(rule, group, figures))
    return AlertView(
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
        what=DETECTORS[rule.kind].symptom(rule.metric.better, figures),
    )


# Restriction to what a user may see.


def restrict_to_scope(view: AlertView, data_scope: DataScope) -> AlertView | None:
    """Restrict a view to what this user may see; None: nothing of it.

    Viewers see neither the contributors of a figure nor survey figures: an alert looks at every answer, so
    its figures could reveal a single one."""
    if view.by is not None and not data_scope.may_see(view.by, view.key or ""):
        return None
    if data_scope.user.role != "viewer":
        visible = tuple(
            contributor
            for contributor in view.contributors
            if data_scope.may_see(contributor.dimension, contributor.key)
        )
        return view if visible == view.contributors else replace(view, contributors=visible)
    if view.metric in ANSWER_METRIC_OF:
        return _without_survey_figures(view)
    return _without_details(view)


def _without_details(view: AlertView) -> AlertView:
    """Remove contributors, links and comments: comments are for colleagues and may name anybody."""
    acknowledged = view.acknowledged and replace(view.acknowledged, comment="")
    silenced = view.silenced and replace(view.silenced, comment="")
    return replace(view, contributors=(), links={}, acknowledged=acknowledged, silenced=silenced)


def _without_survey_figures(view: AlertView) -> AlertView | None:
    """Remove survey figures; None if the alert itself must stay hidden.

    It is hidden if it rests on fewer than FEWEST answers, or was not notified yet: then the number of answers
    is unknown. An alert that no data comes at all reveals nobody, and is always shown."""
    is_about_answers = view.what not in ("silent", "odd")
    if is_about_answers and (view.figures is None or view.figures.support < MIN_ANSWERS):
        return None
    return replace(_without_details(view), text=f"{view.title}.", figures=None, interval=None)


def worst_first(view: AlertView) -> tuple[bool, int]:
    """Return a sort key: critical alerts first, and the newest first among equals."""
    return view.severity != "critical", -(view.fired_at or view.since)
