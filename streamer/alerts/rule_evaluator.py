"""Rule evaluation: verdicts of all alert rules on the counts that a reader holds."""

from collections.abc import Sequence

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.data_quality import DataQualityMonitor
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.detection.evaluation import (
    NO_ALERTS,
    EvaluationData,
    EvaluationMoment,
    NotifiedAlerts,
    RuleVerdict,
)
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings


class RuleEvaluator:
    """Evaluates alert rules on the counts that a reader holds. Use it from one thread at a time, any
    thread. It notifies nobody."""

    def __init__(self, reader: MetricsReader, settings: Settings, rules: Sequence[AlertRule]) -> None:
        self.rules, self.data = rules, EvaluationData(reader, settings, rules)
        self._data_quality = DataQualityMonitor(reader)

    def evaluate_rules(
        self, now_ms: int, at_ms: int | None = None, notified: NotifiedAlerts = NO_ALERTS
    ) -> list[RuleVerdict]:
        """Return every rule's verdict on each of its groups as of `at_ms` (None: now), with today's
        knowledge."""
        moment = self.moment(now_ms, at_ms, notified)
        series_by_grouping = {
            by: self.data.gather_series(by, moment) for by in {rule.by: None for rule in self.rules}
        }
        return [
            rule_verdict
            for rule in self.rules
            for rule_verdict in DETECTORS[rule.kind].evaluate(
                rule, self.data, series_by_grouping[rule.by], moment
            )
        ]

    def moment(
        self, now_ms: int, at_ms: int | None = None, notified: NotifiedAlerts = NO_ALERTS
    ) -> EvaluationMoment:
        if at_ms is None:
            return EvaluationMoment(
                now_ms, now_ms, issues=self._data_quality.check(now_ms), notified=notified
            )
        return EvaluationMoment(now_ms, at_ms, is_past=True, notified=notified)
