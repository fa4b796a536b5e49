"""Detector of one kind of alert rule: the protocol, and what holds for most kinds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, Literal, NamedTuple

import msgspec

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.backtest_segment import BacktestSegment, SegmentVerdicts
from streamer.alerts.detection.charts import VerdictChart
from streamer.alerts.detection.data_quality import DataIssues
from streamer.alerts.detection.evaluation import EvaluationData, EvaluationMoment, RuleVerdict, SeriesByName
from streamer.alerts.detection.series import MetricSeries
from streamer.alerts.formatting import group_noun, metric_label
from streamer.alerts.opening_hours import format_hours
from streamer.alerts.subject import SentenceContext
from streamer.alerts.verdict import AlertSymptom, RuleKind, Verdict, VerdictFigures, VerdictState
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.intervals import Interval
from streamer.settings import Settings, SettingsError

NO_FIGURES: Final = VerdictFigures()


class TitleVerbs(NamedTuple):
    """Verbs of a title at the start of an alert, at its end, and where it turns out not to have been due."""

    firing: str
    recovered: str
    corrected: str


class ExplanationQuery(NamedTuple):
    """Query about one rule at one moment; `key` None: all groups; `series` None: there is no data."""

    data: EvaluationData
    rule: AlertRule
    key: str | None
    moment: EvaluationMoment
    series: MetricSeries | None

    @property
    def series_by_name(self) -> SeriesByName:
        return {} if self.series is None else {self.rule.series: self.series}

    def select_verdicts(self, rule_verdicts: Iterable[RuleVerdict]) -> Iterator[Verdict]:
        return (
            rule_verdict.verdict
            for rule_verdict in rule_verdicts
            if self.key in (None, rule_verdict.verdict.key)
        )


class VerdictReasons(NamedTuple):
    """A verdict, the change needed for another, and how it came about."""

    verdict: Verdict
    needed: str
    chart: VerdictChart | None


class RuleDetector:
    """Detector of one kind of alert rule.

    `symptom_noun`: what it detects, for an error. `uses_target`: it compares with the rule's target.
    `needs_baseline`: it says nothing before one is learned. `measures_metric`: its figures are values of
    the metric, not numbers of events. `is_live`: it is about what is going on now, in which there is no
    chance, and of which the past is not stored. `fires_on_stale_data`: data that does not come is its
    symptom. `stretch`: the time whose observations an alert is about: the rule's window, the time since its
    onset, or none. `verbs` of its titles, by the metric's better side. `is_plural`: so is the subject of
    its titles.
    """

    kind: ClassVar[RuleKind]
    symptom_noun: ClassVar[str]
    uses_target: ClassVar[bool] = False
    needs_baseline: ClassVar[bool] = True
    measures_metric: ClassVar[bool] = True
    is_live: ClassVar[bool] = False
    fires_on_stale_data: ClassVar[bool] = False
    stretch: ClassVar[Literal["window", "onset", "none"]]
    verbs: ClassVar[Mapping[str, TitleVerbs]]
    is_plural: ClassVar[bool] = False

    # Rules.

    def classes(self, metric: Metric) -> ObservationClasses | None:
        """Return the observation classes that are counted for a rule; None: there are none."""
        raise NotImplementedError

    def series_name(self, metric: Metric) -> str:
        """Return the name of the series that these classes are counted in."""
        return metric.name

    def check_metric(self, setting: str, rule: AlertRule, settings: Settings) -> None:
        """Raise SettingsError if no rule of this kind can work on the metric, or over the window."""
        if rule.classes is None:
            names = ", ".join(metric.name for metric in CATALOGUE.values() if self.classes(metric))
            raise SettingsError(
                f"{setting}.metric = {rule.metric.name!r}: {self.symptom_noun} can be detected in {names}"
            )

    def check_targets(self, setting: str, rule: AlertRule) -> None:
        """Raise SettingsError if a target can never be missed."""

    def rule_terms(self, rule: AlertRule) -> Iterator[tuple[str, str]]:
        """Return the settings that only this kind has, each with its effect in words."""
        return iter(())

    # Evaluation.

    def evaluate(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        """Return the verdicts of one rule on each of its groups."""
        for rule_verdict in self._verdicts(rule, data, series_by_name, moment):
            yield rule_verdict._replace(verdict=self.gate(rule, rule_verdict.verdict, data, moment))

    def _verdicts(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        raise NotImplementedError

    def gate(
        self, rule: AlertRule, verdict: Verdict, data: EvaluationData, moment: EvaluationMoment
    ) -> Verdict:
        """Replace a verdict outside the hours of operation, or on incomplete data, by one that says so."""
        if not rule.hours.is_open(moment.at_ms, data.subject(rule, verdict.key).zone):
            return msgspec.structs.replace(verdict, state="closed", reason="Outside the hours of operation.")
        reason = self._data_issue(rule, moment.issues)
        if reason is None:
            return verdict
        state: VerdictState = "fires" if self.fires_on_stale_data else "no_data"
        return msgspec.structs.replace(verdict, state=state, reason=reason, figures=NO_FIGURES)

    def _data_issue(self, rule: AlertRule, issues: DataIssues) -> str | None:
        return issues.stale

    def explain(self, query: ExplanationQuery) -> Iterator[VerdictReasons]:
        """Return the verdicts that were asked for, each with its reasons."""
        for reasons in self._reasons(query):
            verdict = self.gate(query.rule, reasons.verdict, query.data, query.moment)
            needed = _needed_to_evaluate(query.rule, verdict) or reasons.needed
            yield VerdictReasons(verdict, needed, reasons.chart)

    def _reasons(self, query: ExplanationQuery) -> Iterator[VerdictReasons]:
        raise NotImplementedError

    # Backtests.

    def past_verdicts(
        self, rule: AlertRule, segment: BacktestSegment, at_ms: int, open_keys: Sequence[str]
    ) -> SegmentVerdicts:
        """Return the verdicts at a moment of a backtest. `open_keys`: groups whose verdict matters even if
        it does not fire."""
        raise NotImplementedError

    def complete_verdict(
        self, rule: AlertRule, verdict: Verdict, segment: BacktestSegment, at_ms: int
    ) -> Verdict:
        """Return a verdict of a backtest with its reason and figures, where they were left out."""
        return verdict

    # Words.

    def subject_phrase(self, metric: Metric, by: str, name: str) -> str:
        """Return the subject of a title: NPS of Billing."""
        return f"{metric_label(metric)} of {group_noun(by, name)}"

    def firing_title(self, metric: Metric, phrase: str) -> str:
        return f"{phrase} {self.verbs[metric.better].firing}"

    def firing_text(
        self,
        rule: AlertRule,
        figures: VerdictFigures,
        context: SentenceContext,
        interval: Interval | None,
        since: int,
    ) -> str | None:
        """Return the text of a message at the start; None: the reason says everything."""
        return None

    def symptom(self, better: str, figures: VerdictFigures) -> AlertSymptom:
        """Return the cause of an alert, as the wallboard names it."""
        raise NotImplementedError


def _needed_to_evaluate(rule: AlertRule, verdict: Verdict) -> str | None:
    """Return the change needed if the series is not evaluated at all; None: it is."""
    if verdict.state == "closed":
        return f"It is evaluated again in the hours of operation: {format_hours(rule.hours)}."
    if verdict.state == "no_data":
        return "It is evaluated again once the data is complete."
    if verdict.state == "fires" and verdict.figures == NO_FIGURES:
        return "It is over once that is resolved."
    return None
