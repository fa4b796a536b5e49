"""Composition of messages from notices."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.detection.series import queue_of
from streamer.alerts.formatting import group_name
from streamer.alerts.messages import headline, links, sentences
from streamer.alerts.messages.contributors import NamedSubgroup
from streamer.alerts.messages.headline import HeadlineSubject
from streamer.alerts.messages.observations import AlertCase, AlertObservations
from streamer.alerts.states import AlertNotice
from streamer.alerts.subject import SentenceContext
from streamer.alerts.verdict import VerdictFigures
from streamer.metrics.formulas import MetricFigure
from streamer.metrics.intervals import Interval
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings

MAX_EXPLAINED: Final = 200
"""Notices of one evaluation whose message names contributors; the most severe ones come first."""
_SEVERE: Final = ("critical", "warning")


class MessageComposer:
    """Writes the messages of notices."""

    def __init__(self, reader: MetricsReader, settings: Settings, rules: Sequence[AlertRule]) -> None:
        self._reader, self._settings = reader, settings
        self._rules = {rule.name: rule for rule in rules}
        self._zones, self._address = settings.zones(), links.base_url(settings)

    async def compose(
        self, notices: Sequence[AlertNotice], firing_messages: Mapping[str, AlertMessage], now_ms: int
    ) -> list[AlertMessage]:
        """Return the messages in the order of the notices. The message of a resolved alert is based on
        that of its start (`firing_messages`, by id), since its rule may be gone."""
        return await asyncio.to_thread(self._compose_all, notices, firing_messages, now_ms)

    def _compose_all(
        self, notices: Sequence[AlertNotice], firing_messages: Mapping[str, AlertMessage], now_ms: int
    ) -> list[AlertMessage]:
        firing_notices = [notice for notice in notices if notice.what == "firing"]
        observed = AlertObservations(self._reader, self._settings, now_ms)
        severe = sorted(
            firing_notices, key=lambda notice: _SEVERE.index(self._rules[notice.alert.rule].severity)
        )
        explained = {notice.id for notice in severe[:MAX_EXPLAINED]}
        return [
            self._firing_message(notice, observed, now_ms, explained)
            if notice.what == "firing"
            else self._resolved_message(notice, firing_messages[f"{notice.alert.id}/firing"], now_ms)
            for notice in notices
        ]

    def _firing_message(
        self, notice: AlertNotice, observed: AlertObservations, now_ms: int, explained: Collection[str]
    ) -> AlertMessage:
        rule, alert, verdict = self._rules[notice.alert.rule], notice.alert, notice.verdict
        context = self._sentence_context(rule.by, alert.key, now_ms)
        case = AlertCase(rule, alert.key, verdict.figures)
        figure = observed.figure(case)
        case = case._replace(figures=_with_exact_mean(case, figure))
        interval = (
            None if figure.lower is None or figure.upper is None else Interval(figure.lower, figure.upper)
        )
        since = verdict.figures.since or alert.began_at
        subgroups = observed.largest_contributors(case) if notice.id in explained else ()
        contributors = tuple(self._contributor(rule, subgroup) for subgroup in subgroups)
        return AlertMessage(
            id=notice.id,
            episode=alert.id,
            what=notice.what,
            why=notice.why,
            rule=rule.name,
            kind=rule.kind,
            severity=rule.severity,
            metric=rule.metric.name,
            unit=rule.metric.unit,
            better=rule.metric.better,
            window=rule.window,
            by=rule.by,
            key=alert.key,
            group=context.name,
            at=now_ms,
            since=since,
            title=headline.firing_title(HeadlineSubject.from_rule(rule, context.name, verdict.figures)),
            text=sentences.firing_text(case, context, verdict.reason, interval, since)
            + sentences.alike_sentence(contributors),
            figures=case.figures,
            interval=interval,
            contributors=contributors,
            links=self._links(case, since, now_ms),
        )

    def _resolved_message(self, notice: AlertNotice, message: AlertMessage, now_ms: int) -> AlertMessage:
        subject = HeadlineSubject.from_message(message)
        return replace(
            message,
            id=notice.id,
            what="resolved",
            why=notice.why,
            at=now_ms,
            title=headline.resolved_title(subject, notice) if subject else f"Over: {message.title}",
            text=sentences.resolved_text(
                notice, message, self._sentence_context(message.by, message.key, now_ms)
            ),
            figures=notice.verdict.figures,
            interval=None,
            contributors=(),
        )

    def _sentence_context(self, by: str, key: str, now_ms: int) -> SentenceContext:
        zone = self._zones.get(queue_of(by, key), self._settings.timezone)
        return SentenceContext(group_name(self._settings.names, by, key), zone, now_ms)

    def _contributor(self, rule: AlertRule, named_subgroup: NamedSubgroup) -> Contributor:
        subgroup = named_subgroup.effect.subgroup
        return Contributor(
            dimension=subgroup.dimension,
            key=subgroup.key,
            name=group_name(self._settings.names, subgroup.dimension, subgroup.key),
            moved=named_subgroup.effect.moved_by,
            value=subgroup.now.mean if subgroup.now.size >= rule.least_support else None,
            support=round(subgroup.now.size),
            apart=named_subgroup.apart,
        )

    def _links(self, case: AlertCase, since: int, now_ms: int) -> dict[str, str]:
        rule = case.rule
        explain = {"explain": links.explanation_url(self._address, rule.name, case.key)}
        stretch = DETECTORS[rule.kind].stretch
        if DETECTORS[rule.kind].is_live:
            return {"contacts": links.now_url(self._address, rule.by, case.key)} | explain
        if stretch == "none":
            return explain
        window = rule.window if stretch == "window" else links.covering_window(now_ms - since)
        return {"contacts": links.contacts_url(self._address, rule.metric, *case.group, window)} | explain


def _with_exact_mean(case: AlertCase, figure: MetricFigure) -> VerdictFigures:
    """Replace the value of a drop, which is detected in classes of durations, by the mean itself."""
    if DETECTORS[case.rule.kind].stretch != "onset" or figure.value is None:
        return case.figures
    return replace(case.figures, value=figure.value, support=figure.support)
