"""Detector of drops: a metric is worse than usual at these hours, beyond what chance explains."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection import charts
from streamer.alerts.detection.backtest_segment import NO_VERDICTS, BacktestSegment, SegmentVerdicts
from streamer.alerts.detection.baseline import MONTH_H
from streamer.alerts.detection.detector import ExplanationQuery, RuleDetector, TitleVerbs, VerdictReasons
from streamer.alerts.detection.drop_evidence import (
    LEAST_LEARNED,
    DropEvidence,
    detect_drops,
    evidence_points,
)
from streamer.alerts.detection.evaluation import (
    EvaluationData,
    EvaluationMoment,
    RuleVerdict,
    SeriesByName,
    selected_keys,
)
from streamer.alerts.detection.evidence_replay import OVER_SHARE
from streamer.alerts.formatting import (
    clock,
    duration,
    format_metric,
    group_noun,
    metric_label,
    observations,
    support_sentence,
)
from streamer.alerts.statistics.evidence import DROP_DISTANCES, tilt_distribution
from streamer.alerts.statistics.observation_classes import metric_classes
from streamer.alerts.subject import AlertSubject, SentenceContext
from streamer.alerts.verdict import AlertSymptom, Verdict, VerdictFigures
from streamer.events.counting_rules import HOUR
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.intervals import Interval

_LEAST_GAIN: Final = 0.05
"""Share of the line that the evidence must have before its growth is extrapolated."""


class DropDetector(RuleDetector):
    """Detects drops in the observation classes of a metric, by the evidence of the last days."""

    kind = "drop"
    symptom_noun = "a drop"
    stretch = "onset"
    verbs: ClassVar = {
        "higher": TitleVerbs("dropped", "is as usual again", "did not drop after all"),
        "lower": TitleVerbs("rose", "is as usual again", "did not rise after all"),
    }

    def classes(self, metric: Metric) -> ObservationClasses | None:
        return metric_classes(metric)

    def _verdicts(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        series = series_by_name.get(rule.series)
        if series is not None:
            evidence = detect_drops(series, rule, data.replay(rule, moment))
            yield from self._verdicts_on(rule, evidence, data, moment, series.keys)

    def _verdicts_on(
        self,
        rule: AlertRule,
        evidence: DropEvidence,
        data: EvaluationData,
        moment: EvaluationMoment,
        keys: Sequence[str],
    ) -> Iterator[RuleVerdict]:
        for key in selected_keys(rule, keys):
            alert, state_at_firing = moment.notified.get((rule.name, key)), None
            if alert is not None and alert.fired is not None and alert.fired_at is not None:
                state_at_firing = evidence.state_at_firing(
                    evidence.series.keys.index(key), alert.fired_at, alert.fired.figures
                )
            yield RuleVerdict(rule, _drop_verdict(evidence, rule, data.subject(rule, key)), state_at_firing)

    def _reasons(self, query: ExplanationQuery) -> Iterator[VerdictReasons]:
        data, rule, key, moment, series = query
        if series is None or (key is not None and key not in series.keys):
            return
        evidence = detect_drops(series, rule, data.replay(rule, moment))
        keys = series.keys if key is None else [key]
        for verdict in query.select_verdicts(self._verdicts_on(rule, evidence, data, moment, keys)):
            line = float(evidence.lines[series.keys.index(verdict.key)])
            chart = (
                None
                if np.isnan(line)
                else charts.evidence_chart(evidence_points(evidence, verdict.key), line)
            )
            yield VerdictReasons(verdict, _needed_change(rule, evidence, verdict), chart)

    def past_verdicts(
        self, rule: AlertRule, segment: BacktestSegment, at_ms: int, open_keys: Sequence[str]
    ) -> SegmentVerdicts:
        evidence = segment.drop_evidence(rule)
        if evidence is None:
            return NO_VERDICTS
        steps, keys = segment.steps_until(evidence.series, at_ms), evidence.series.keys
        firing_groups = np.flatnonzero(evidence.firing[steps - 1]).tolist() if steps else []
        firing_keys = selected_keys(rule, (keys[group] for group in firing_groups))
        verdicts = (
            Verdict(kind="drop", key=key, state=evidence.state_after(keys.index(key), steps), reason="")
            for key in dict.fromkeys((*firing_keys, *open_keys))
        )
        series_count = int((~np.isnan(evidence.lines)).sum())
        return SegmentVerdicts(
            [self.gate(rule, verdict, segment.data, segment.moment(at_ms)) for verdict in verdicts],
            min(series_count, 1) if rule.key else series_count,
        )

    def complete_verdict(
        self, rule: AlertRule, verdict: Verdict, segment: BacktestSegment, at_ms: int
    ) -> Verdict:
        if verdict.state == "closed" or verdict.reason:
            return verdict
        evidence = detect_drops(segment.series_at(rule.by, at_ms)[rule.series], rule)
        subject = segment.data.subject(rule, verdict.key)
        return self.gate(rule, _drop_verdict(evidence, rule, subject), segment.data, segment.moment(at_ms))

    def firing_text(
        self,
        rule: AlertRule,
        figures: VerdictFigures,
        context: SentenceContext,
        interval: Interval | None,
        since: int,
    ) -> str | None:
        assert figures.value is not None
        assert figures.usual is not None
        assert figures.since is not None
        verb = "fallen" if rule.metric.better == "higher" else "risen"
        value, usual = format_metric(rule.metric, figures.value), format_metric(rule.metric, figures.usual)
        subject = self.subject_phrase(rule.metric, rule.by, context.name)
        return (
            f"{subject} has {verb} to {value} since about {context.clock(figures.since)}; "
            f"{usual} is usual at these hours. {support_sentence(rule.metric, figures.support, interval)} "
            f"Chance alone would produce such a change about {chance_frequency(rule)}."
        )

    def symptom(self, better: str, figures: VerdictFigures) -> AlertSymptom:
        return "fell" if better == "higher" else "rose"


# Verdicts and their sentences.


def _drop_verdict(drop_evidence: DropEvidence, rule: AlertRule, subject: AlertSubject) -> Verdict:
    group = drop_evidence.series.keys.index(subject.key)
    state, figures = drop_evidence.state(group), _figures(drop_evidence, group)
    reason = _REASON_BY_STATE[state](rule, subject, figures, drop_evidence.series.at)
    return Verdict(kind="drop", key=subject.key, state=state, reason=reason, figures=figures)


def _figures(drop_evidence: DropEvidence, group: int) -> VerdictFigures:
    series, baseline = drop_evidence.series, drop_evidence.series.baseline
    learned, a_month = int(baseline.support[group]), float(baseline.a_month[group])
    if np.isnan(drop_evidence.lines[group]):
        return VerdictFigures(learned_of=learned, least=LEAST_LEARNED)
    onset_step = int(drop_evidence.onset_steps[group])
    counts = series.counts[onset_step:, group]
    support, values = int(counts.sum()), series.values[group]
    expected = baseline.by_hour[group, series.hours[onset_step:, group]] @ values
    return VerdictFigures(
        value=float(counts.sum(axis=0) @ values) / support if support else None,
        usual=float(counts.sum(axis=1) @ expected) / support
        if support
        else float(baseline.mean[group] @ values),
        support=support,
        evidence=max(float(drop_evidence.evidence[-1, group]), 0.0) if len(drop_evidence.evidence) else 0.0,
        line=float(drop_evidence.lines[group]),
        since=int(series.starts[onset_step]) if support else None,
        a_month=a_month,
        learned_of=learned,
    )


def _drop_sentence(rule: AlertRule, subject: AlertSubject, figures: VerdictFigures, at_ms: int) -> str:
    assert figures.value is not None
    assert figures.usual is not None
    assert figures.since is not None
    change = "fallen" if rule.metric.better == "higher" else "risen"
    whose = f"{metric_label(rule.metric)} of {group_noun(rule.by, subject.name)}"
    return (
        f"{whose} has {change} to {format_metric(rule.metric, figures.value)} since "
        f"about {clock(figures.since, at_ms, subject.zone)} ({observations(rule.metric, figures.support)}); "
        f"{format_metric(rule.metric, figures.usual)} is usual at these hours."
    )


def _firing_reason(rule: AlertRule, subject: AlertSubject, figures: VerdictFigures, at_ms: int) -> str:
    return (
        f"{_drop_sentence(rule, subject, figures, at_ms)} "
        f"Chance alone would produce such a change about {chance_frequency(rule)}."
    )


def chance_frequency(rule: AlertRule) -> str:
    """Return how often chance alone makes the rule fire: once in 61 days across all groups."""
    months = 1 / rule.false_alarms
    frequency = "once a month" if months == 1 else f"once in {duration(months * MONTH_H * HOUR)}"
    return f"{frequency} across all groups" if rule.shared else frequency


def _unclear_reason(rule: AlertRule, subject: AlertSubject, figures: VerdictFigures, at_ms: int) -> str:
    return f"{_drop_sentence(rule, subject, figures, at_ms)} That may still be chance."


def _holding_reason(rule: AlertRule, subject: AlertSubject, figures: VerdictFigures, at_ms: int) -> str:
    return f"{metric_label(rule.metric)} of {group_noun(rule.by, subject.name)} is as usual at these hours."


def _no_baseline_reason(rule: AlertRule, subject: AlertSubject, figures: VerdictFigures, at_ms: int) -> str:
    return (
        f"There is no baseline yet for {metric_label(rule.metric)} of {group_noun(rule.by, subject.name)}: "
        f"{observations(rule.metric, figures.learned_of or 0)} so far, {LEAST_LEARNED} are needed."
    )


_REASON_BY_STATE: Final = {
    "fires": _firing_reason,
    "unclear": _unclear_reason,
    "holds": _holding_reason,
    "no_baseline": _no_baseline_reason,
}


# Change needed for another verdict.


def _needed_change(rule: AlertRule, drop_evidence: DropEvidence, verdict: Verdict) -> str:
    figures = verdict.figures
    if figures.line is None or figures.evidence is None:
        missing = figures.least - (figures.learned_of or 0)
        return (
            f"It is evaluated once the baseline has {missing} more observations; "
            "those of the last days do not count towards it."
        )
    current = f"it is at {figures.evidence:.3g}"
    if verdict.state == "fires":
        return f"It is over once the evidence is below {OVER_SHARE * figures.line:.3g}: {current}."
    text = f"It fires at an evidence of {figures.line:.3g}: {current}."
    if figures.evidence >= _LEAST_GAIN * figures.line and figures.support and verdict.state == "unclear":
        evidence_each = figures.evidence / figures.support
        more = max(1, round((figures.line - figures.evidence) / evidence_each))
        return f"{text} About {observations(rule.metric, more)} more like those since then would be enough."
    return f"{text} {_detection_time(rule, drop_evidence, verdict.key, figures.line - figures.evidence)}"


def _detection_time(rule: AlertRule, drop_evidence: DropEvidence, key: str, missing: float) -> str:
    """Return how soon drops would be detected: evidence grows by the information of each observation."""
    series, group = drop_evidence.series, drop_evidence.series.keys.index(key)
    mean, scores = series.baseline.mean[group], series.scores[group]
    estimates = []
    for distance in DROP_DISTANCES[1:3]:
        value = float(tilt_distribution(mean, scores, distance) @ series.values[group])
        support = max(1, round(missing / distance * float(series.baseline.spread[group])))
        estimates.append((format_metric(rule.metric, value), observations(rule.metric, support)))
    verb = "drop" if rule.metric.better == "higher" else "rise"
    (small, late), (large, soon) = estimates
    return f"After a {verb} to {small} it would fire within about {late}, to {large} within about {soon}."
