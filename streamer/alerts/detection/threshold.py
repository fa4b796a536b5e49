"""Detector of missed targets: the whole interval of a figure lies on the wrong side of its target."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import sqrt
from typing import ClassVar

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection import charts
from streamer.alerts.detection.backtest_segment import NO_VERDICTS, BacktestSegment, SegmentVerdicts
from streamer.alerts.detection.detector import ExplanationQuery, RuleDetector, TitleVerbs, VerdictReasons
from streamer.alerts.detection.drop_evidence import LEAST_LEARNED
from streamer.alerts.detection.evaluation import (
    EvaluationData,
    EvaluationMoment,
    RuleVerdict,
    SeriesByName,
    selected_keys,
)
from streamer.alerts.detection.observation_streams import ObservationStream, ObservationStreams, required_z
from streamer.alerts.detection.series import MetricSeries, queue_of
from streamer.alerts.detection.target_settings import check_rule_targets, check_rule_window
from streamer.alerts.formatting import (
    format_metric,
    group_noun,
    metric_label,
    observations,
    support_sentence,
    window_text,
)
from streamer.alerts.statistics.observation_classes import metric_classes
from streamer.alerts.subject import AlertSubject, SentenceContext
from streamer.alerts.verdict import AlertSymptom, Verdict, VerdictFigures, VerdictState
from streamer.metrics.catalogue import Metric, WindowLimits
from streamer.metrics.formulas import ObservationClasses, WindowCounts
from streamer.metrics.intervals import Interval
from streamer.metrics.samples import MetricSample
from streamer.metrics.target_verdict import judge_target
from streamer.panes.windows import TODAY
from streamer.readings.window_table import NO_ROW_COUNTS
from streamer.settings import Settings, SettingsError


class ThresholdDetector(RuleDetector):
    """Detects targets that are missed, in the figures of the rule's window."""

    kind = "threshold"
    symptom_noun = "a missed target"
    uses_target = True
    needs_baseline = False
    stretch = "window"
    verbs: ClassVar = {
        "higher": TitleVerbs(
            "misses its target", "meets its target again", "did not miss its target after all"
        ),
        "lower": TitleVerbs(
            "is over its target", "is within its target again", "was not over its target after all"
        ),
    }

    def classes(self, metric: Metric) -> ObservationClasses | None:
        """Return the classes that tell the number of observations to expect."""
        return metric_classes(metric)

    def check_metric(self, setting: str, rule: AlertRule, settings: Settings) -> None:
        if rule.metric.formula.mean is None:
            raise SettingsError(
                f"{setting}.metric = {rule.metric.name!r}: a target needs a metric with an interval"
            )
        check_rule_window(setting, rule, settings)

    def check_targets(self, setting: str, rule: AlertRule) -> None:
        check_rule_targets(setting, rule)

    def rule_terms(self, rule: AlertRule) -> Iterator[tuple[str, str]]:
        yield "window", "today, since midnight" if rule.window == TODAY else f"the last {rule.window}"
        least = observations(rule.metric, rule.least_support)
        yield "least_support", f"{least} at least, or there is no verdict"

    def _verdicts(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        counts_by_key = data.window_counts(rule, moment)
        if counts_by_key is None:
            series = series_by_name.get(rule.series)
            for key in selected_keys(rule, series.keys if series else ()):
                yield RuleVerdict(rule, _forgotten_verdict(rule, key))
            return
        streams = _streams(rule, series_by_name, counts_by_key)
        for key, counts in counts_by_key.items():
            verdict = _evaluate_counts(rule, data.subject(rule, key), counts, streams)
            if verdict is not None:
                yield RuleVerdict(rule, verdict, _state_at_firing(rule, key, data, streams, moment))

    def _reasons(self, query: ExplanationQuery) -> Iterator[VerdictReasons]:
        data, rule, moment = query.data, query.rule, query.moment
        counts_by_moment = {
            at_ms: data.window_counts(rule, moment.before(at_ms))
            for at_ms in charts.chart_moments(rule.window, moment.at_ms)
        }
        streams = _streams(rule, query.series_by_name, counts_by_moment[moment.at_ms] or {})
        verdicts = query.select_verdicts(self._verdicts(rule, data, query.series_by_name, moment))
        for verdict in [*verdicts] or [*_empty_window_verdicts(query, streams)]:
            evaluate = partial(_evaluate_counts, rule, data.subject(rule, verdict.key), streams=streams)
            chart = charts.score_chart(counts_by_moment, verdict.key, evaluate)
            yield VerdictReasons(verdict, _needed_change(rule, verdict), chart)

    def past_verdicts(
        self, rule: AlertRule, segment: BacktestSegment, at_ms: int, open_keys: Sequence[str]
    ) -> SegmentVerdicts:
        data, moment = segment.data, segment.moment(at_ms)
        counts_by_key = data.window_counts(rule, moment)
        if counts_by_key is None:
            return NO_VERDICTS
        streams = _streams(rule, segment.series[rule.by], counts_by_key)
        checks = {
            key: _TargetCheck(rule, rule.target(queue_of(rule.by, key)), counts)
            for key, counts in counts_by_key.items()
        }
        candidates = (
            _evaluate_counts(rule, data.subject(rule, key), counts_by_key[key], streams)
            for key, check in checks.items()
            if key in open_keys or check.is_missed
        )
        verdicts = [self.gate(rule, verdict, data, moment) for verdict in candidates if verdict is not None]
        return SegmentVerdicts(verdicts, sum(1 for check in checks.values() if check.is_evaluated))

    def firing_text(
        self,
        rule: AlertRule,
        figures: VerdictFigures,
        context: SentenceContext,
        interval: Interval | None,
        since: int,
    ) -> str | None:
        assert figures.value is not None
        assert figures.target is not None
        value, target = format_metric(rule.metric, figures.value), format_metric(rule.metric, figures.target)
        verb = "misses" if rule.metric.better == "higher" else "is over"
        subject = self.subject_phrase(rule.metric, rule.by, context.name)
        return (
            f"{subject} is {value} {window_text(rule.window)} and {verb} its target of {target}, "
            f"since {context.clock(since)}. {support_sentence(rule.metric, figures.support, interval)}"
        )

    def symptom(self, better: str, figures: VerdictFigures) -> AlertSymptom:
        return "missed"


def _streams(
    rule: AlertRule, series_by_name: SeriesByName, counts_by_key: Mapping[str, WindowCounts]
) -> ObservationStreams:
    rates = _rates_by_key(series_by_name.get(rule.series))
    return ObservationStreams(
        rates, max(sum(1 for a_month, _ in rates.values() if a_month > 0), len(counts_by_key))
    )


def _rates_by_key(series: MetricSeries | None) -> Mapping[str, tuple[float, float]]:
    """Return observations a month and their spread, by key."""
    if series is None:
        return {}
    baseline = series.baseline
    spread = np.where(baseline.support >= LEAST_LEARNED, baseline.spread, 1.0)
    return dict(zip(series.keys, zip(baseline.a_month.tolist(), spread.tolist(), strict=True), strict=True))


def _state_at_firing(
    rule: AlertRule, key: str, data: EvaluationData, streams: ObservationStreams, moment: EvaluationMoment
) -> VerdictState | None:
    """Return the state that today's counts give for the moment of firing; None where the counts are
    unchanged, or can no longer be read."""
    alert = moment.notified.get((rule.name, key))
    if alert is None or alert.fired is None or alert.fired_at is None:
        return None
    sampled = data.sampled_counts(rule, alert.fired_at, moment.now_ms)
    if sampled is None or not sampled.exact or rule.metric.windows != WindowLimits():
        return None
    counts, fired_figures = sampled.counts.get(key, NO_ROW_COUNTS), alert.fired.figures
    verdict = _evaluate_counts(rule, data.subject(rule, key), counts, streams)
    if verdict is None or (verdict.figures.value, verdict.figures.support) == (
        fired_figures.value,
        fired_figures.support,
    ):
        return None
    return verdict.state


def _empty_window_verdicts(query: ExplanationQuery, streams: ObservationStreams) -> Iterator[Verdict]:
    """Return the verdict on a known group without data in the window."""
    if query.series is not None and query.key is not None and query.key in query.series.keys:
        subject = query.data.subject(query.rule, query.key)
        verdict = _evaluate_counts(query.rule, subject, NO_ROW_COUNTS, streams)
        if verdict is not None:
            yield verdict


class _TargetCheck:
    """Check of a sample against its target. Only one with enough observations, and worse than the target,
    can fire."""

    def __init__(self, rule: AlertRule, target: float | None, counts: WindowCounts) -> None:
        mean = rule.metric.formula.mean
        observed = None if mean is None else mean.sample(counts)
        size = observed.size if observed is not None and target is not None else 0
        self.is_evaluated = size >= max(rule.least_support, 1)
        self.is_missed = False
        if self.is_evaluated and observed is not None and target is not None:
            higher = rule.metric.better == "higher"
            self.is_missed = observed.value < target if higher else observed.value > target


# Verdicts and their sentences.


def _evaluate_counts(
    rule: AlertRule, subject: AlertSubject, counts: WindowCounts, streams: ObservationStreams
) -> Verdict | None:
    """Evaluate one group's counts against its target; None: the group has no target."""
    target, mean = rule.target(queue_of(rule.by, subject.key)), rule.metric.formula.mean
    if target is None or mean is None:
        return None
    return _evaluate_target(rule, subject, target, mean.sample(counts), streams.for_key(subject.key))


def _evaluate_target(
    rule: AlertRule, subject: AlertSubject, target: float, sample: MetricSample, stream: ObservationStream
) -> Verdict:
    """Evaluate the sample of the rule's window, as of the moment of the verdict, against its target."""
    if not sample.size:
        return _threshold_verdict(
            rule, subject, "few", VerdictFigures(target=target, least=rule.least_support)
        )
    z = required_z(rule, sample.size, stream) * sqrt(stream.spread)
    lower, upper = sample.bounds(z, target)
    value = sample.value
    figures = VerdictFigures(
        value=value, lower=min(lower, value), upper=max(upper, value), support=sample.size,
        least=rule.least_support, target=target, z=z, a_month=stream.a_month,
    )  # fmt: skip
    if sample.size < rule.least_support:
        return _threshold_verdict(rule, subject, "few", figures)
    verdict = judge_target(rule.metric.better, Interval(min(lower, value), max(upper, value)), target)
    is_reached = judge_target(rule.metric.better, Interval(value, value), target) == "met"
    return _threshold_verdict(
        rule, subject, "fires" if verdict == "missed" else "holds" if is_reached else "unclear", figures
    )


def _forgotten_verdict(rule: AlertRule, key: str) -> Verdict:
    reason = f"The counts of the last {rule.window} are no longer kept for that time, only whole hours."
    return Verdict(kind="threshold", key=key, state="no_data", reason=reason)


def _threshold_verdict(
    rule: AlertRule, subject: AlertSubject, state: VerdictState, figures: VerdictFigures
) -> Verdict:
    reason = (
        f"{metric_label(rule.metric)} of {group_noun(rule.by, subject.name)} "
        f"{_predicate(rule, state, figures)}"
    )
    return Verdict(kind="threshold", key=subject.key, state=state, reason=reason, figures=figures)


def _predicate(rule: AlertRule, state: VerdictState, figures: VerdictFigures) -> str:
    when = window_text(rule.window)
    if not figures.support:
        return f"has no data {when}."
    if state == "few":
        support = observations(rule.metric, figures.support)
        return f"has {support} {when}: at least {figures.least} are needed."
    assert figures.value is not None
    assert figures.lower is not None
    assert figures.upper is not None
    assert figures.target is not None
    value, lower, upper, target = (
        format_metric(rule.metric, figure)
        for figure in (figures.value, figures.lower, figures.upper, figures.target)
    )
    rest = {
        "fires": f"misses its target of {target}: the whole interval of {lower} to {upper} lies beyond it",
        "unclear": f"its target is {target}, which lies within the interval of {lower} to {upper}",
        "holds": f"its target is {target}",
    }[state]
    verb = f"is {value} {when} ({observations(rule.metric, figures.support)})"
    return f"{verb} and {rest}." if state == "fires" else f"{verb}; {rest}."


# Change needed for another verdict.


def _needed_change(rule: AlertRule, verdict: Verdict) -> str:
    figures = verdict.figures
    if figures.target is None:
        return ""
    missing = figures.least - figures.support
    if missing > 0:
        return f"It is evaluated from {observations(rule.metric, figures.least)} on: {missing} more."
    target = format_metric(rule.metric, figures.target)
    if verdict.state == "fires":
        return f"It is over once the figure is at {target} again."
    side = "below" if rule.metric.better == "higher" else "above"
    condition = f"It fires where the whole interval lies {side} {target}: {_firing_value(rule, figures)}"
    return f"{condition}{_firing_support(rule, figures) if verdict.state == 'unclear' else ''}."


def _firing_value(rule: AlertRule, figures: VerdictFigures) -> str:
    half = _half_width(rule, figures)
    assert figures.target is not None
    value = figures.target + (half if rule.metric.better == "lower" else -half)
    return f"with {observations(rule.metric, figures.support)}, at about {format_metric(rule.metric, value)}"


def _firing_support(rule: AlertRule, figures: VerdictFigures) -> str:
    """Return the number of observations that would decide: an interval narrows with the root of their
    number."""
    assert figures.value is not None
    assert figures.target is not None
    gap = abs(figures.target - figures.value)
    if not gap:
        return ""
    support = round(figures.support * (_half_width(rule, figures) / gap) ** 2)
    return f"; or with about {observations(rule.metric, support)} that are no better" if support < 1e6 else ""


def _half_width(rule: AlertRule, figures: VerdictFigures) -> float:
    """Return the distance from the value to the end of the interval that must be beyond the target."""
    end = figures.upper if rule.metric.better == "higher" else figures.lower
    assert end is not None
    assert figures.value is not None
    return abs(end - figures.value)
