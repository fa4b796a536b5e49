"""Rule evaluation: verdicts of all alert rules on the counts that a reader holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.detection import drops, no_data, threshold
from streamer.alerts.detection.data_quality import NO_ISSUES, DataIssues, DataQualityMonitor
from streamer.alerts.detection.drops import DropEvidence
from streamer.alerts.detection.evidence_replay import EvidenceReplay
from streamer.alerts.detection.series import MetricSeries, SeriesBuilder, queue_of
from streamer.alerts.detection.threshold import ObservationStream
from streamer.alerts.detection.window_samples import WindowSampler
from streamer.alerts.formatting import group_name
from streamer.alerts.states import Alert
from streamer.alerts.statistics.observation_classes import metric_classes
from streamer.alerts.subject import AlertSubject
from streamer.alerts.verdict import Verdict, VerdictFigures, VerdictState
from streamer.metrics.catalogue import WindowLimits
from streamer.metrics.formulas import ObservationClasses, WindowCounts
from streamer.panes.pane_keys import ALL
from streamer.readings.pane_families import QueueZones
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.readings.window_table import NO_ROW_COUNTS
from streamer.settings import Settings


class RuleVerdict(NamedTuple):
    """A rule's verdict on one group. `state_at_firing`: for a notified alert, the state that today's
    counts give for the moment it fired; None: unchanged, or unknown."""

    rule: AlertRule
    verdict: Verdict
    state_at_firing: VerdictState | None = None


NotifiedAlerts = Mapping[tuple[str, str], Alert]
"""Alerts that were notified, by rule and key."""
_NO_ALERTS: Final[NotifiedAlerts] = {}


class EvaluationMoment(NamedTuple):
    """Moment to evaluate: `at_ms`, with the knowledge of `now_ms`. The data issues of a past moment are
    not kept, so `issues` is empty if `is_past`."""

    now_ms: int
    at_ms: int
    is_past: bool = False
    issues: DataIssues = NO_ISSUES
    notified: NotifiedAlerts = _NO_ALERTS

    def before(self, at_ms: int) -> "EvaluationMoment":
        """Return another, past moment with the same knowledge."""
        return EvaluationMoment(self.now_ms, at_ms, is_past=True)


class RuleEvaluator:
    """Evaluates alert rules on the counts that a reader holds. Use it from one thread at a time, any
    thread. It notifies nobody."""

    def __init__(self, reader: MetricsReader, settings: Settings, rules: Sequence[AlertRule]) -> None:
        self._reader, self._settings, self.rules = reader, settings, rules
        self._data_quality, zones = (
            DataQualityMonitor(reader),
            QueueZones(settings.timezone, settings.zones()),
        )
        self._samplers = {rule.by: WindowSampler(reader, zones, rule.by) for rule in rules}
        self._builders, self._past_builders = self._new_builders(), self._new_builders()
        self._replays = {rule.name: EvidenceReplay() for rule in rules}

    def _new_builders(self) -> dict[str, SeriesBuilder]:
        return {
            by: SeriesBuilder(self._reader, self._settings, by, _classes_to_count(self.rules, by))
            for by in self._samplers
        }

    def evaluate_rules(
        self, now_ms: int, at_ms: int | None = None, notified: NotifiedAlerts = _NO_ALERTS
    ) -> list[RuleVerdict]:
        """Return every rule's verdict on each of its groups as of `at_ms` (None: now), with today's
        knowledge."""
        moment = self.moment(now_ms, at_ms, notified)
        series_by_grouping = {by: self.gather_series(by, moment) for by in self._builders}
        return [
            rule_verdict
            for rule in self.rules
            for rule_verdict in self.evaluate_rule(rule, series_by_grouping[rule.by], moment)
        ]

    def moment(
        self, now_ms: int, at_ms: int | None = None, notified: NotifiedAlerts = _NO_ALERTS
    ) -> EvaluationMoment:
        if at_ms is None:
            return EvaluationMoment(
                now_ms, now_ms, issues=self._data_quality.check(now_ms), notified=notified
            )
        return EvaluationMoment(now_ms, at_ms, is_past=True, notified=notified)

    def gather_series(self, by: str, moment: EvaluationMoment) -> Mapping[str, MetricSeries]:
        """Return the series of one grouping by `rule_series_name`. Queries about the past do not disturb
        the builders that keep up."""
        builders = self._past_builders if moment.is_past else self._builders
        return builders[by].build(moment.at_ms, moment.now_ms)

    def evaluate_rule(
        self, rule: AlertRule, series_by_name: Mapping[str, MetricSeries], moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        """Return the verdicts of one rule."""
        if rule.kind == "target":
            return self._gate_all(self._threshold_verdicts(rule, series_by_name, moment), moment)
        series = series_by_name.get(rule_series_name(rule))
        if rule.kind == "silence":
            return self._gate_all(self._no_data_verdicts(rule, series), moment)
        return (
            self.evaluate_drops(rule, self.drop_evidence(rule, series, moment), moment)
            if series
            else iter(())
        )

    def drop_evidence_at(self, rule: AlertRule, now_ms: int, at_ms: int | None = None) -> DropEvidence | None:
        """Return the evidence of a drop rule over time; None: there is no data."""
        assert rule.kind == "drop"
        moment = EvaluationMoment(now_ms, now_ms if at_ms is None else at_ms, at_ms is not None)
        series = self.gather_series(rule.by, moment).get(rule_series_name(rule))
        return None if series is None else self.drop_evidence(rule, series, moment)

    def drop_evidence(self, rule: AlertRule, series: MetricSeries, moment: EvaluationMoment) -> DropEvidence:
        """Return the evidence of a drop rule. An evaluation of the present replays only new steps."""
        return drops.detect_drops(series, rule, None if moment.is_past else self._replays[rule.name])

    def _gate_all(
        self, rule_verdicts: Iterable[RuleVerdict], moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        for rule_verdict in rule_verdicts:
            yield rule_verdict._replace(
                verdict=self.gate_verdict(rule_verdict.rule, rule_verdict.verdict, moment)
            )

    def gate_verdict(self, rule: AlertRule, verdict: Verdict, moment: EvaluationMoment) -> Verdict:
        """Replace a verdict outside the hours of operation, or on incomplete data, by one that says so."""
        issues = moment.issues
        if not rule.hours.is_open(moment.at_ms, self.subject(rule, verdict.key).zone):
            return msgspec.structs.replace(verdict, state="closed", reason="Outside the hours of operation.")
        if rule.kind == "silence":
            reason = issues.stale or (issues.suspicious if rule.by == ALL else None)
            return verdict if reason is None else _override_state(verdict, "fires", reason)
        return verdict if issues.stale is None else _override_state(verdict, "no_data", issues.stale)

    def evaluate_drops(
        self,
        rule: AlertRule,
        drop_evidence: DropEvidence,
        moment: EvaluationMoment,
        keys: Sequence[str] | None = None,
    ) -> Iterator[RuleVerdict]:
        """Return the verdicts of a drop rule on evidence at hand; `keys` limits them to these groups."""
        return self._gate_all(self._drop_verdicts(rule, drop_evidence, moment, keys), moment)

    def _drop_verdicts(
        self,
        rule: AlertRule,
        drop_evidence: DropEvidence,
        moment: EvaluationMoment,
        keys: Sequence[str] | None,
    ) -> Iterator[RuleVerdict]:
        for key in self._selected_keys(rule, drop_evidence.series.keys if keys is None else keys):
            alert, state_at_firing = moment.notified.get((rule.name, key)), None
            if alert is not None and alert.fired is not None and alert.fired_at is not None:
                state_at_firing = drop_evidence.state_at_firing(
                    drop_evidence.series.keys.index(key), alert.fired_at, alert.fired.figures
                )
            yield RuleVerdict(
                rule, drops.drop_verdict(drop_evidence, rule, self.subject(rule, key)), state_at_firing
            )

    def _no_data_verdicts(self, rule: AlertRule, series: MetricSeries | None) -> Iterator[RuleVerdict]:
        for key in self._selected_keys(rule, series.keys if series else [""]):
            subject = self.subject(rule, key)
            yield RuleVerdict(
                rule,
                no_data.evaluate_no_data(series, rule, subject)
                if series
                else no_data.never_counted_verdict(subject),
            )

    def _threshold_verdicts(
        self, rule: AlertRule, series_by_name: Mapping[str, MetricSeries], moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        counts_by_key = self.window_counts(rule, moment)
        if counts_by_key is None:
            series = series_by_name.get(rule.metric.name)
            for key in self._selected_keys(rule, series.keys if series else ()):
                yield RuleVerdict(rule, _forgotten_verdict(rule, key))
            return
        streams = self.streams(rule, series_by_name, counts_by_key)
        for key, counts in counts_by_key.items():
            verdict = self.evaluate_sample(rule, key, counts, streams)
            if verdict is not None:
                yield RuleVerdict(rule, verdict, self._state_at_firing(rule, key, streams, moment))

    def window_counts(self, rule: AlertRule, moment: EvaluationMoment) -> Mapping[str, WindowCounts] | None:
        """Return the counts of a target's window by key; None: they are no longer kept."""
        if not moment.is_past or rule.metric.windows != WindowLimits():
            return self._read_counts(rule, moment)
        sampled = self._samplers[rule.by].counts_at(rule.window, moment.at_ms, moment.now_ms)
        if sampled is None or not rule.key:
            return sampled and sampled.counts
        return {rule.key: sampled.counts.get(rule.key, NO_ROW_COUNTS)}

    def _read_counts(self, rule: AlertRule, moment: EvaluationMoment) -> Mapping[str, WindowCounts]:
        query = MetricQuery(
            now=moment.now_ms, metrics=(rule.metric.name,), windows=(rule.window,), by=rule.by, key=rule.key,
            at=moment.at_ms,
        )  # fmt: skip
        return {reading.key: counts for reading, counts in self._reader.samples(query)}

    def evaluate_sample(
        self, rule: AlertRule, key: str, counts: WindowCounts, streams: "ObservationStreams"
    ) -> Verdict | None:
        """Evaluate one group's counts against its target; None: the group has no target."""
        target, mean = rule.target(queue_of(rule.by, key)), rule.metric.formula.mean
        if target is None or mean is None:
            return None
        return threshold.evaluate_threshold(
            rule, self.subject(rule, key), target, mean.sample(counts), streams.for_key(key)
        )

    def _state_at_firing(
        self, rule: AlertRule, key: str, streams: "ObservationStreams", moment: EvaluationMoment
    ) -> VerdictState | None:
        """Return the state that today's counts give for the moment of firing; None where the counts are
        unchanged, or can no longer be read."""
        alert = moment.notified.get((rule.name, key))
        if alert is None or alert.fired is None or alert.fired_at is None:
            return None
        sampled = self._samplers[rule.by].counts_at(rule.window, alert.fired_at, moment.now_ms)
        if sampled is None or not sampled.exact or rule.metric.windows != WindowLimits():
            return None
        verdict, fired_figures = (
            self.evaluate_sample(rule, key, sampled.counts.get(key, NO_ROW_COUNTS), streams),
            alert.fired.figures,
        )
        if verdict is None or (verdict.figures.value, verdict.figures.support) == (
            fired_figures.value,
            fired_figures.support,
        ):
            return None
        return verdict.state

    def streams(
        self,
        rule: AlertRule,
        series_by_name: Mapping[str, MetricSeries],
        counts_by_key: Mapping[str, WindowCounts],
    ) -> "ObservationStreams":
        rates = self._rates_by_key(rule, series_by_name)
        return ObservationStreams(
            rates, max(sum(1 for a_month, _ in rates.values() if a_month > 0), len(counts_by_key))
        )

    def _rates_by_key(
        self, rule: AlertRule, series_by_name: Mapping[str, MetricSeries]
    ) -> Mapping[str, tuple[float, float]]:
        """Return observations a month and their spread, by key."""
        series = series_by_name.get(rule.metric.name)
        if series is None:
            return {}
        baseline = series.baseline
        spread = np.where(baseline.support >= drops.LEAST_LEARNED, baseline.spread, 1.0)
        return dict(
            zip(series.keys, zip(baseline.a_month.tolist(), spread.tolist(), strict=True), strict=True)
        )

    def _selected_keys(self, rule: AlertRule, keys: Sequence[str]) -> Sequence[str]:
        return [key for key in keys if key == rule.key] if rule.key else keys

    def subject(self, rule: AlertRule, key: str) -> AlertSubject:
        queue = queue_of(rule.by, key)
        zone = self._settings.zones().get(queue, self._settings.timezone)
        return AlertSubject(key, group_name(self._settings.names, rule.by, key), zone)


class ObservationStreams(NamedTuple):
    """Observations a month and their spread by key, and the number of series that the rule has."""

    rates: Mapping[str, tuple[float, float]]
    series_count: int

    def for_key(self, key: str) -> ObservationStream:
        a_month, spread = self.rates.get(key, (0.0, 1.0))
        return ObservationStream(a_month, self.series_count, spread)


def _forgotten_verdict(rule: AlertRule, key: str) -> Verdict:
    reason = f"The counts of the last {rule.window} are no longer kept for that time, only whole hours."
    return Verdict(kind="target", key=key, state="no_data", reason=reason)


def _override_state(verdict: Verdict, state: VerdictState, reason: str) -> Verdict:
    return Verdict(kind=verdict.kind, key=verdict.key, state=state, reason=reason, figures=VerdictFigures())


def rule_series_name(rule: AlertRule) -> str:
    """Return the name of the rule's series: event counts and classes of the same metric are kept apart."""
    return f"{rule.metric.name} events" if rule.kind == "silence" else rule.metric.name


def _classes_to_count(rules: Sequence[AlertRule], by: str) -> dict[str, ObservationClasses]:
    """Return the classes to count for these rules, by series name. Target rules need them for the number
    of observations to expect."""
    classes_by_series: dict[str, ObservationClasses] = {}
    for rule in rules:
        rule_classes = metric_classes(rule.metric) if rule.kind == "target" else rule.classes
        if rule.by == by and rule_classes is not None:
            classes_by_series[rule_series_name(rule)] = rule_classes
    return classes_by_series
