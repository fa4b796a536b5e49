"""Explanations: why a rule fires or does not, as a verdict with everything it rests on."""

import msgspec
import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.charts import VerdictChart
from streamer.alerts.detection.detector import ExplanationQuery, VerdictReasons
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.detection.drop_evidence import LEAST_LEARNED
from streamer.alerts.detection.series import hours_of_week, queue_of
from streamer.alerts.formatting import metric_label
from streamer.alerts.reports.rule_summary import RuleTerm, summarize_rule
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.verdict import RuleKind, VerdictFigures, VerdictState
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


def explain_rule(
    evaluator: RuleEvaluator, rule: AlertRule, key: str | None, now_ms: int, at_ms: int | None = None
) -> list[Explanation]:
    """Explain the rule on this group, or on each of its groups (None); empty for an unknown group. It
    reads only, as `RuleEvaluator.evaluate_rules` does; use it from one thread at a time."""
    moment = evaluator.moment(now_ms, at_ms)
    series = evaluator.data.gather_series(rule.by, moment).get(rule.series)
    query = ExplanationQuery(evaluator.data, rule, key, moment, series)
    return [_build_explanation(query, reasons) for reasons in DETECTORS[rule.kind].explain(query)]


def _build_explanation(query: ExplanationQuery, reasons: VerdictReasons) -> Explanation:
    rule, verdict = query.rule, reasons.verdict
    subject = query.data.subject(rule, verdict.key)
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
        terms=summarize_rule(rule, rule.target(queue_of(rule.by, verdict.key))),
        learned=_learned_baseline(query, verdict.key, subject.zone),
        chart=reasons.chart,
    )


def _learned_baseline(query: ExplanationQuery, key: str, zone: str) -> LearnedBaseline | None:
    series = query.series
    if series is None or key not in series.keys:
        return None
    group, baseline, values = series.keys.index(key), series.baseline, series.values[series.keys.index(key)]
    hour = int(hours_of_week(np.array([series.at]), zone)[0])
    is_known = DETECTORS[query.rule.kind].measures_metric and bool(baseline.support[group])
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
