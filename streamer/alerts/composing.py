"""Here is how a notice becomes a message."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from streamer.alerts.message import Message
from streamer.alerts.rules import Rule
from streamer.alerts.states import Notice
from streamer.alerts.words import title
from streamer.readings.reader import Reader
from streamer.settings import Settings


class Composer:
    def __init__(self, reader: Reader, settings: Settings, rules: Sequence[Rule]) -> None:
        self._reader, self._settings = reader, settings
        self._rules = {rule.name: rule for rule in rules}

    async def composed(
        self, notices: Sequence[Notice], known: Mapping[str, Message], now: int
    ) -> list[Message]:
        """Messages in the order of the notices. What is over is said as it was said that it began (`known`,
        by id): its rule may be gone."""
        return [
            self._message(notice, now) if notice.what == "firing" else _over(notice, known, now)
            for notice in notices
        ]

    def _message(self, notice: Notice, now: int) -> Message:
        rule, alert = self._rules[notice.alert.rule], notice.alert
        group = self._settings.names.get(rule.by, {}).get(alert.key, alert.key)
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
            group=group,
            at=now,
            since=notice.verdict.figures.since or alert.began_at,
            title=title(rule.metric),
            text=notice.verdict.reason,
            figures=notice.verdict.figures,
        )


def _over(notice: Notice, known: Mapping[str, Message], now: int) -> Message:
    began, verdict = known[f"{notice.alert.id}/firing"], notice.verdict
    return replace(
        began,
        id=notice.id,
        what="resolved",
        why=notice.why,
        at=now,
        text=verdict.reason,
        figures=verdict.figures,
    )
