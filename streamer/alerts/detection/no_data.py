"""Detector of missing data: no events at hours of the week that usually have some.

The number of events of an hour varies more than by chance alone: it is modelled as a gamma distribution
around the baseline of the hour of the week. Then, where E events are expected, none comes with the
probability (1 + E / shape)^−shape. Each event ends one stretch without events: so the false alarms of a
month are its events times this probability.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection import charts
from streamer.alerts.detection.backtest_segment import BacktestSegment, SegmentVerdicts
from streamer.alerts.detection.data_quality import DataIssues
from streamer.alerts.detection.detector import ExplanationQuery, RuleDetector, TitleVerbs, VerdictReasons
from streamer.alerts.detection.drop_evidence import LEAST_LEARNED
from streamer.alerts.detection.evaluation import (
    EvaluationData,
    EvaluationMoment,
    RuleVerdict,
    SeriesByName,
    selected_keys,
)
from streamer.alerts.detection.series import MetricSeries, hours_of_week
from streamer.alerts.formatting import arrivals_phrase, clock, event_noun
from streamer.alerts.statistics.observation_classes import event_classes
from streamer.alerts.subject import AlertSubject
from streamer.alerts.verdict import AlertSymptom, Verdict, VerdictFigures
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import ObservationClasses
from streamer.panes.pane_keys import ALL

LEAST_WEEKS: Final = 1
_WEEK_H: Final = 7 * 24
_VERBS: Final = TitleVerbs("do not come in", "come in again", "came in after all")


class NoDataDetector(RuleDetector):
    """Detects that no events come, or that the data of the whole center is stale or suspicious."""

    kind = "no_data"
    symptom_noun = "missing data"
    measures_metric = False
    fires_on_stale_data = True
    stretch = "none"
    verbs: ClassVar = {"higher": _VERBS, "lower": _VERBS}
    is_plural = True

    def classes(self, metric: Metric) -> ObservationClasses | None:
        return event_classes(metric)

    def series_name(self, metric: Metric) -> str:
        return f"{metric.name} events"

    def _verdicts(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        series = series_by_name.get(rule.series)
        for key in selected_keys(rule, series.keys if series else [""]):
            subject = data.subject(rule, key)
            verdict = _evaluate_no_data(series, rule, subject) if series else _never_counted_verdict(subject)
            yield RuleVerdict(rule, verdict)

    def _data_issue(self, rule: AlertRule, issues: DataIssues) -> str | None:
        return issues.stale or (issues.suspicious if rule.by == ALL else None)

    def _reasons(self, query: ExplanationQuery) -> Iterator[VerdictReasons]:
        data, rule, series = query.data, query.rule, query.series
        rule_verdicts = self._verdicts(rule, data, query.series_by_name, query.moment)
        for verdict in query.select_verdicts(rule_verdicts):
            needed = _needed_change(rule, series, data.subject(rule, verdict.key), verdict)
            yield VerdictReasons(verdict, needed, series and charts.event_chart(series, verdict.key))

    def past_verdicts(
        self, rule: AlertRule, segment: BacktestSegment, at_ms: int, open_keys: Sequence[str]
    ) -> SegmentVerdicts:
        series_by_name = segment.series_at(rule.by, at_ms)
        verdicts = [
            result.verdict
            for result in self.evaluate(rule, segment.data, series_by_name, segment.moment(at_ms))
        ]
        return SegmentVerdicts(verdicts, sum(1 for verdict in verdicts if verdict.state != "no_baseline"))

    def subject_phrase(self, metric: Metric, by: str, name: str) -> str:
        return arrivals_phrase(metric, by, name)

    def firing_title(self, metric: Metric, phrase: str) -> str:
        return f"No {phrase}"

    def symptom(self, better: str, figures: VerdictFigures) -> AlertSymptom:
        return "odd" if figures.since is None else "silent"


def _evaluate_no_data(series: MetricSeries, rule: AlertRule, subject: AlertSubject) -> Verdict:
    group, baseline = series.keys.index(subject.key), series.baseline
    learned, series_count = int(baseline.support[group]), int((baseline.support >= LEAST_LEARNED).sum())
    arrivals = arrivals_phrase(rule.metric, rule.by, subject.name)
    if learned < LEAST_LEARNED or baseline.weeks < LEAST_WEEKS:
        figures = VerdictFigures(learned_of=learned, least=LEAST_LEARNED)
        reason = f"There is no baseline yet for {arrivals}."
        return Verdict(kind="no_data", key=subject.key, state="no_baseline", reason=reason, figures=figures)
    last, expected = _last_event(series, group), _expected_events(series, group)
    per_alarm = baseline.a_month[group] * (series_count if rule.shared else 1) / rule.false_alarms
    shape = float(baseline.shape[group])
    evidence, line = shape * float(np.log1p(expected / shape)), float(np.log(max(per_alarm, 2.0)))
    figures = VerdictFigures(
        value=0.0, usual=expected, support=0, evidence=evidence, line=line, since=last,
        a_month=float(baseline.a_month[group]), learned_of=learned,
    )  # fmt: skip
    if evidence < line:
        reason = f"{arrivals[:1].upper()}{arrivals[1:]} are as usual at these hours."
        return Verdict(kind="no_data", key=subject.key, state="holds", reason=reason, figures=figures)
    reason = (
        f"No {arrivals} since {clock(last, series.at, subject.zone)}: "
        f"about {expected:.0f} are usual in that time at these hours."
    )
    return Verdict(kind="no_data", key=subject.key, state="fires", reason=reason, figures=figures)


def _last_event(series: MetricSeries, group: int) -> int:
    """Return the end of the last step that held something, ms; at most `series.at`."""
    filled_steps = np.flatnonzero(series.counts[:, group].any(axis=1))
    if not len(filled_steps):
        return int(series.starts[0]) if len(series.starts) else series.at
    next_step = int(filled_steps[-1]) + 1
    return min(int(series.starts[next_step]) if next_step < len(series.starts) else series.at, series.at)


def _expected_events(series: MetricSeries, group: int) -> float:
    """Return the events expected from the last one until `series.at`."""
    ends = np.append(series.starts[1:], series.at)
    spans = np.minimum(ends, series.at) - np.maximum(series.starts, _last_event(series, group))
    rates = series.baseline.rates[group, series.hours[:, group]]
    return float(np.maximum(spans, 0) @ rates) / HOUR


def _never_counted_verdict(subject: AlertSubject) -> Verdict:
    """Return the verdict on a center without any data."""
    return Verdict(kind="no_data", key=subject.key, state="no_baseline", reason="Nothing was ever counted.")


# Change needed for another verdict.


def _needed_change(
    rule: AlertRule, series: MetricSeries | None, subject: AlertSubject, verdict: Verdict
) -> str:
    figures = verdict.figures
    if series is None or figures.line is None or figures.since is None:
        return "It is evaluated once at least a week has been counted."
    if verdict.state == "fires":
        return f"It is over with the next {event_noun(rule.metric).removesuffix('s')}."
    shape = float(series.baseline.shape[series.keys.index(subject.key)])
    count = shape * float(np.expm1(figures.line / shape))
    fires_at_ms = _expected_at(series, subject, figures.since, count)
    text = f"It fires if none comes in a time in which about {count:.0f} {event_noun(rule.metric)} are usual"
    if fires_at_ms is None:
        return f"{text}."
    return f"{text}: at {clock(fires_at_ms, series.at, subject.zone)}, if none comes until then."


def _expected_at(
    series: MetricSeries, subject: AlertSubject, since_ms: int, expected_events: float
) -> int | None:
    """Return the time (ms) by which that many events are expected since then; None: not within a week."""
    starts = (since_ms // HOUR + np.arange(_WEEK_H, dtype=np.int64)) * HOUR
    rates = series.baseline.rates[series.keys.index(subject.key), hours_of_week(starts, subject.zone)]
    rates[0] *= 1 - since_ms % HOUR / HOUR
    sums = np.cumsum(rates)
    hour_index = int(np.searchsorted(sums, expected_events))
    if hour_index == len(sums):
        return None
    begin_ms = max(int(starts[hour_index]), since_ms)
    share = (expected_events - (sums[hour_index - 1] if hour_index else 0.0)) / rates[hour_index]
    return begin_ms + int(share * (int(starts[hour_index]) + HOUR - begin_ms)) // MINUTE * MINUTE
