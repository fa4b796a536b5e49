"""Composition of messages from notices."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from streamer.alerts.judging.series import queue_of
from streamer.alerts.message import Contributor, Message
from streamer.alerts.rules import Rule
from streamer.alerts.saying import headline, links, sentences
from streamer.alerts.saying.contributors import Named
from streamer.alerts.saying.headline import Matter
from streamer.alerts.saying.observed import Case, Observed
from streamer.alerts.saying.sentences import Told
from streamer.alerts.states import Notice
from streamer.alerts.verdict import Figures
from streamer.alerts.words import called
from streamer.metrics.formulas import Figure
from streamer.metrics.intervals import Interval
from streamer.readings.reader import Reader
from streamer.settings import Settings

EXPLAINED: Final = 200
"""Notices of one evaluation whose message names contributors; the most severe ones come first."""
_SEVERE: Final = ("critical", "warning")


class Composer:
    """Writes the messages of notices."""

    def __init__(self, reader: Reader, settings: Settings, rules: Sequence[Rule]) -> None:
        self._reader, self._settings = reader, settings
        self._rules = {rule.name: rule for rule in rules}
        self._zones, self._address = settings.zones(), links.base(settings)

    async def composed(
        self, notices: Sequence[Notice], known: Mapping[str, Message], now: int
    ) -> list[Message]:
        """Return the messages in the order of the notices. The message of a resolved alert is based on
        that of its start (`firing_messages`, by id), since its rule may be gone."""
        return await asyncio.to_thread(self._composed, notices, known, now)

    def _composed(self, notices: Sequence[Notice], known: Mapping[str, Message], now: int) -> list[Message]:
        begun = [notice for notice in notices if notice.what == "firing"]
        observed = Observed(self._reader, self._settings, now)
        severe = sorted(begun, key=lambda notice: _SEVERE.index(self._rules[notice.alert.rule].severity))
        explained = {notice.id for notice in severe[:EXPLAINED]}
        return [
            self._begun(notice, observed, now, explained)
            if notice.what == "firing"
            else self._over(notice, known[f"{notice.alert.id}/firing"], now)
            for notice in notices
        ]

    def _begun(self, notice: Notice, observed: Observed, now: int, explained: Collection[str]) -> Message:
        rule, alert, verdict = self._rules[notice.alert.rule], notice.alert, notice.verdict
        told = self._told(rule.by, alert.key, now)
        case = Case(rule, alert.key, verdict.figures)
        found = observed.figure(case)
        case = case._replace(figures=_exact(case, found))
        sure = None if found.lower is None or found.upper is None else Interval(found.lower, found.upper)
        since = verdict.figures.since or alert.began_at
        contributors = self._contributors(case, observed) if notice.id in explained else ()
        return Message(
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
            group=told.name,
            at=now,
            since=since,
            title=headline.begun(Matter.of_rule(rule, told.name, verdict.figures)),
            text=sentences.begun(case, told, verdict.reason, sure, since) + sentences.alike(contributors),
            figures=case.figures,
            interval=sure,
            contributors=contributors,
            links=self._links(case, since, now),
        )

    def _over(self, notice: Notice, began: Message, now: int) -> Message:
        matter = Matter.of_message(began)
        return replace(
            began,
            id=notice.id,
            what="resolved",
            why=notice.why,
            at=now,
            title=headline.over(matter, notice) if matter else f"Over: {began.title}",
            text=sentences.over(notice, began, self._told(began.by, began.key, now)),
            figures=notice.verdict.figures,
            interval=None,
            contributors=(),
        )

    def _told(self, by: str, key: str, now: int) -> Told:
        zone = self._zones.get(queue_of(by, key), self._settings.timezone)
        return Told(called(self._settings.names, by, key), zone, now)

    def _contributors(self, case: Case, observed: Observed) -> tuple[Contributor, ...]:
        return tuple(self._contributor(case.rule, one) for one in observed.moved(case))

    def _contributor(self, rule: Rule, named: Named) -> Contributor:
        part = named.moved.part
        return Contributor(
            dimension=part.dimension,
            key=part.key,
            name=called(self._settings.names, part.dimension, part.key),
            moved=named.moved.by,
            value=part.now.mean if part.now.of >= rule.least_support else None,
            support=round(part.now.of),
            apart=named.apart,
        )

    def _links(self, case: Case, since: int, now: int) -> dict[str, str]:
        rule = case.rule
        explain = {"explain": links.explanation(self._address, rule.name, case.key)}
        if rule.kind == "silence":
            return explain
        window = rule.window if rule.kind == "target" else links.window_over(now - since)
        return {"contacts": links.contacts(self._address, rule.metric, *case.group, window)} | explain


def _exact(case: Case, found: Figure) -> Figures:
    """Replace the value of a drop, which is detected in classes of durations, by the mean itself."""
    if case.rule.kind != "drop" or found.value is None:
        return case.figures
    return replace(case.figures, value=found.value, support=found.support)
