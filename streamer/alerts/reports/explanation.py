"""Explanations: why a rule fires or does not, as a verdict with everything it rests on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.detection.drops import LEAST_LEARNED
from streamer.alerts.detection.series import MetricSeries, hours_of_week, queue_of
from streamer.alerts.formatting import metric_label
from streamer.alerts.reports import charts, needed_change
from streamer.alerts.reports.charts import VerdictChart
from streamer.alerts.reports.rule_summary import RuleTerm, summarize_rule
from streamer.alerts.rule_evaluator import (
    EvaluationMoment,
    ObservationStreams,
    RuleEvaluator,
    RuleVerdict,
    rule_series_name,
)
from streamer.alerts.verdict import RuleKind, Verdict, VerdictFigures, VerdictState
from streamer.metrics.formulas import WindowCounts
from streamer.readings.window_table import NO_ROW_COUNTS
from streamer.settings import Severity


class LearnedBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """The baseline in figures, and the data it was learned from: `observations` of [since, until) (ms);
    `least` are needed. `value` over all hours and `value_now` in this hour of the week, in the metric's
    unit; None: unknown yet, or a rule for missing data. `an_hour`: observations expected in this hour of
    the week."""

    observations: int
    least: int
    since: int
    until: int
    value: float | None = None
    value_now: float | None = None
    an_hour: float | None = None
    a_month: float = 0.0


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One rule on one group as of `at` (ms). `group` is the display name of the key ("" of the whole
    center), `title` that of the metric. `reason` and `needed` (the change needed for another verdict) are
    sentences. `terms`: the rule's settings in words. `learned` and `chart`: None where there is none."""

    rule: str
    kind: RuleKind
    severity: Severity
    metric: str
    title: str
    unit: str
    better: str
    window: str
    by: str
    key: str
    group: str
    zone: str
    at: int
    state: VerdictState
    reason: str
    needed: str
    figures: VerdictFigures
    terms: tuple[RuleTerm, ...]
    learned: LearnedBaseline | None = None
    chart: VerdictChart | None = None


class _VerdictReasons(NamedTuple):
    """A verdict, the change needed for another, and how it came about."""

    verdict: Verdict
    needed: str
    chart: VerdictChart | None


class _ExplanationQuery(NamedTuple):
    """Query about one rule at one moment; `key` None: all groups."""

    evaluator: RuleEvaluator
    rule: AlertRule
    key: str | None
    moment: EvaluationMoment
    series: MetricSeries | None

    def select_verdicts(self, rule_verdicts: Iterable[RuleVerdict]) -> Iterator[Verdict]:
        return (
            rule_verdict.verdict
            for rule_verdict in rule_verdicts
            if self.key in (None, rule_verdict.verdict.key)
        )


def explain_rule(
    evaluator: RuleEvaluator, rule: AlertRule, key: str | None, now_ms: int, at_ms: int | None = None
) -> list[Explanation]:
    """Explain the rule on this group, or on each of its groups (None); empty for an unknown group. It
    reads only, as `RuleEvaluator.evaluate_rules` does; use it from one thread at a time."""
    moment = evaluator.moment(now_ms, at_ms)
    query = _ExplanationQuery(
        evaluator, rule, key, moment, evaluator.gather_series(rule.by, moment).get(rule_series_name(rule))
    )
    return [_build_explanation(query, reasons) for reasons in _EXPLAIN_BY_KIND[rule.kind](query)]


def _explain_drops(query: _ExplanationQuery) -> Iterator[_VerdictReasons]:
    evaluator, rule, key, moment, series = query
    if series is None or (key is not None and key not in series.keys):
        return
    drop_evidence = evaluator.drop_evidence(rule, series, moment)
    for verdict in query.select_verdicts(
        evaluator.evaluate_drops(rule, drop_evidence, moment, None if key is None else [key])
    ):
        line = float(drop_evidence.lines[series.keys.index(verdict.key)])
        chart = None if np.isnan(line) else charts.evidence_chart(drop_evidence, verdict.key, line)
        yield _VerdictReasons(
            verdict,
            needed_change.for_gated(rule, verdict) or needed_change.for_drop(rule, drop_evidence, verdict),
            chart,
        )


def _explain_threshold(query: _ExplanationQuery) -> Iterator[_VerdictReasons]:
    evaluator, rule, moment = query.evaluator, query.rule, query.moment
    series_by_name = {} if query.series is None else {rule_series_name(rule): query.series}
    counts_by_moment = {
        at_ms: evaluator.window_counts(rule, moment.before(at_ms))
        for at_ms in charts.chart_moments(rule.window, moment.at_ms)
    }
    streams = evaluator.streams(rule, series_by_name, counts_by_moment[moment.at_ms] or {})
    for verdict in [*query.select_verdicts(evaluator.evaluate_rule(rule, series_by_name, moment))] or [
        *_empty_window_verdicts(query, streams)
    ]:
        needed = needed_change.for_gated(rule, verdict) or needed_change.for_threshold(rule, verdict)
        yield _VerdictReasons(
            verdict,
            needed,
            charts.score_chart(counts_by_moment, verdict.key, _evaluate_counts(query, verdict.key, streams)),
        )


def _empty_window_verdicts(query: _ExplanationQuery, streams: ObservationStreams) -> Iterator[Verdict]:
    """Return the verdict on a known group without data in the window."""
    if query.series is not None and query.key is not None and query.key in query.series.keys:
        verdict = query.evaluator.evaluate_sample(query.rule, query.key, NO_ROW_COUNTS, streams)
        if verdict is not None:
            yield query.evaluator.gate_verdict(query.rule, verdict, query.moment)


def _evaluate_counts(
    query: _ExplanationQuery, key: str, streams: ObservationStreams
) -> Callable[[WindowCounts], Verdict | None]:
    return lambda counts: query.evaluator.evaluate_sample(query.rule, key, counts, streams)


def _explain_no_data(query: _ExplanationQuery) -> Iterator[_VerdictReasons]:
    evaluator, rule, series = query.evaluator, query.rule, query.series
    series_by_name = {} if series is None else {rule_series_name(rule): series}
    for verdict in query.select_verdicts(evaluator.evaluate_rule(rule, series_by_name, query.moment)):
        subject = evaluator.subject(rule, verdict.key)
        needed = needed_change.for_gated(rule, verdict) or needed_change.for_no_data(
            rule, series, subject, verdict
        )
        yield _VerdictReasons(verdict, needed, series and charts.event_chart(series, verdict.key))


_EXPLAIN_BY_KIND: Final[Mapping[RuleKind, Callable[[_ExplanationQuery], Iterator[_VerdictReasons]]]] = {
    "drop": _explain_drops,
    "target": _explain_threshold,
    "silence": _explain_no_data,
}


def _build_explanation(query: _ExplanationQuery, reasons: _VerdictReasons) -> Explanation:
    rule, verdict = query.rule, reasons.verdict
    subject = query.evaluator.subject(rule, verdict.key)
    target = rule.target(queue_of(rule.by, verdict.key)) if rule.kind == "target" else None
    return Explanation(
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        metric=rule.metric.name,
        title=metric_label(rule.metric),
        unit=rule.metric.unit,
        better=rule.metric.better,
        window=rule.window,
        by=rule.by,
        key=verdict.key,
        group=subject.name,
        zone=subject.zone,
        at=query.moment.at_ms,
        state=verdict.state,
        reason=verdict.reason,
        needed=reasons.needed,
        figures=verdict.figures,
        terms=summarize_rule(rule, target),
        learned=_learned_baseline(query, verdict.key, subject.zone),
        chart=reasons.chart,
    )


def _learned_baseline(query: _ExplanationQuery, key: str, zone: str) -> LearnedBaseline | None:
    series = query.series
    if series is None or key not in series.keys:
        return None
    group, baseline, values = series.keys.index(key), series.baseline, series.values[series.keys.index(key)]
    hour = int(hours_of_week(np.array([series.at]), zone)[0])
    is_known = query.rule.kind != "silence" and bool(baseline.support[group])
    return LearnedBaseline(
        observations=int(baseline.support[group]),
        least=LEAST_LEARNED,
        since=series.first_ms,
        until=int(series.starts[0]) if len(series.starts) else series.at,
        value=float(baseline.mean[group] @ values) if is_known else None,
        value_now=float(baseline.by_hour[group, hour] @ values) if is_known else None,
        an_hour=float(baseline.rates[group, hour]),
        a_month=float(baseline.a_month[group]),
    )
