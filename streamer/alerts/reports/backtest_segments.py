"""Segments of a backtest: past moments that share one and the same baseline.

Series are built once, and the evidence of drops replayed once, for the last of these moments: as of an
earlier one it was the same up to there, for nothing in it looks ahead.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.detection import drops
from streamer.alerts.detection.drops import DropEvidence
from streamer.alerts.detection.series import FINE_STEPS_MS, STEP_MS, MetricSeries, queue_of
from streamer.alerts.rule_evaluator import EvaluationMoment, RuleEvaluator, rule_series_name
from streamer.alerts.verdict import Verdict, VerdictState
from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.formulas import WindowCounts
from streamer.panes.pane_keys import FINE_RETENTION_MS

SeriesByName = Mapping[str, MetricSeries]


class SegmentVerdicts(NamedTuple):
    """Verdicts of one rule on those of its groups that fire or were asked for; `series_count`: the groups
    it could be evaluated on."""

    verdicts: Sequence[Verdict]
    series_count: int


NO_VERDICTS: Final = SegmentVerdicts((), 0)


def split_segments(moments: Sequence[int], now_ms: int) -> Iterator[Sequence[int]]:
    """Split moments (ms, ascending) where the baseline changes, or the range that is kept in steps of 5
    minutes.

    >>> midnight = 1_795_132_800_000
    >>> moments = [midnight - HOUR, midnight, midnight + HOUR]
    >>> [len(segment) for segment in split_segments(moments, midnight + 30 * DAY)]
    [1, 2]
    """
    first = 0
    for index in range(1, len(moments) + 1):
        if index == len(moments) or _baseline_era(moments[index], now_ms) != _baseline_era(
            moments[first], now_ms
        ):
            yield moments[first:index]
            first = index


def _baseline_era(at_ms: int, now_ms: int) -> tuple[int, int]:
    return at_ms // DAY, -(-max(at_ms - FINE_STEPS_MS, now_ms - FINE_RETENTION_MS + HOUR) // HOUR)


class BacktestSegment:
    """Evaluates rules at the moments of one segment. Use it from one thread at a time."""

    def __init__(
        self, evaluator: RuleEvaluator, rules: Sequence[AlertRule], moments: Sequence[int], now_ms: int
    ) -> None:
        self._evaluator, self._now = evaluator, now_ms
        last = self._moment(moments[-1])
        self._series: dict[str, SeriesByName] = {
            by: evaluator.gather_series(by, last) for by in {rule.by: None for rule in rules}
        }
        self._evidence_by_rule = {
            rule.name: drop_evidence for rule in rules if (drop_evidence := self._rule_evidence(rule))
        }

    def evaluate_rule(self, rule: AlertRule, at_ms: int, open_keys: Sequence[str]) -> SegmentVerdicts:
        """Evaluate a rule. `open_keys`: groups whose verdict matters even if it does not fire. A drop's
        verdict is only its state: see `full_verdict`."""
        if rule.kind == "target":
            return self._threshold_verdicts(rule, at_ms, open_keys)
        if rule.kind == "silence":
            return self._no_data_verdicts(rule, at_ms)
        return self._drop_verdicts(rule, at_ms, open_keys)

    def full_verdict(self, rule: AlertRule, key: str, at_ms: int) -> Verdict:
        """Return the verdict of a drop rule with reason and figures."""
        drop_evidence = drops.detect_drops(
            _series_until(self._series[rule.by][rule_series_name(rule)], at_ms, self._now), rule
        )
        (rule_verdict,) = self._evaluator.evaluate_drops(rule, drop_evidence, self._moment(at_ms), [key])
        return rule_verdict.verdict

    def _moment(self, at_ms: int) -> EvaluationMoment:
        return EvaluationMoment(self._now, at_ms, is_past=True)

    def _rule_evidence(self, rule: AlertRule) -> DropEvidence | None:
        series = self._series[rule.by].get(rule_series_name(rule)) if rule.kind == "drop" else None
        return None if series is None else drops.detect_drops(series, rule)

    def _drop_verdicts(self, rule: AlertRule, at_ms: int, open_keys: Sequence[str]) -> SegmentVerdicts:
        if rule.name not in self._evidence_by_rule:
            return NO_VERDICTS
        drop_evidence, moment = self._evidence_by_rule[rule.name], self._moment(at_ms)
        steps, keys = _steps_until(drop_evidence.series, at_ms, self._now), drop_evidence.series.keys
        firing_groups = np.flatnonzero(drop_evidence.firing[steps - 1]).tolist() if steps else []
        firing_keys = [keys[group] for group in firing_groups if rule.key in ("", keys[group])]
        verdicts = (
            Verdict(
                kind="drop", key=key, state=_state_after(drop_evidence, keys.index(key), steps), reason=""
            )
            for key in dict.fromkeys((*firing_keys, *open_keys))
        )
        series_count = int((~np.isnan(drop_evidence.lines)).sum())
        return SegmentVerdicts(
            [self._evaluator.gate_verdict(rule, verdict, moment) for verdict in verdicts],
            min(series_count, 1) if rule.key else series_count,
        )

    def _no_data_verdicts(self, rule: AlertRule, at_ms: int) -> SegmentVerdicts:
        series_by_name = {
            name: _series_until(series, at_ms, self._now) for name, series in self._series[rule.by].items()
        }
        verdicts = [
            result.verdict
            for result in self._evaluator.evaluate_rule(rule, series_by_name, self._moment(at_ms))
        ]
        return SegmentVerdicts(verdicts, sum(1 for result in verdicts if result.state != "no_baseline"))

    def _threshold_verdicts(self, rule: AlertRule, at_ms: int, open_keys: Sequence[str]) -> SegmentVerdicts:
        evaluator, moment = self._evaluator, self._moment(at_ms)
        counts_by_key = evaluator.window_counts(rule, moment)
        if counts_by_key is None:
            return NO_VERDICTS
        streams = evaluator.streams(rule, self._series[rule.by], counts_by_key)
        checks = {
            key: _ThresholdCheck(rule, rule.target(queue_of(rule.by, key)), counts)
            for key, counts in counts_by_key.items()
        }
        candidates = (
            evaluator.evaluate_sample(rule, key, counts_by_key[key], streams)
            for key, check in checks.items()
            if key in open_keys or check.is_missed
        )
        verdicts = [
            evaluator.gate_verdict(rule, verdict, moment) for verdict in candidates if verdict is not None
        ]
        return SegmentVerdicts(verdicts, sum(1 for check in checks.values() if check.is_judged))


class _ThresholdCheck:
    """Check of a sample against its target. Only one with enough observations, and worse than the target,
    can fire."""

    def __init__(self, rule: AlertRule, target: float | None, counts: WindowCounts) -> None:
        mean = rule.metric.formula.mean
        observed = None if mean is None else mean.sample(counts)
        size = observed.size if observed is not None and target is not None else 0
        self.is_judged = size >= max(rule.least_support, 1)
        self.is_missed = False
        if self.is_judged and observed is not None and target is not None:
            higher = rule.metric.better == "higher"
            self.is_missed = observed.value < target if higher else observed.value > target


def _state_after(drop_evidence: DropEvidence, group: int, steps: int) -> VerdictState:
    """Return the state after that many steps."""
    if not steps and not np.isnan(drop_evidence.lines[group]):
        return "holds"
    return drop_evidence.state(group, steps - 1)


def _series_until(series: MetricSeries, at_ms: int, now_ms: int) -> MetricSeries:
    """Return the series as it was built then."""
    steps = _steps_until(series, at_ms, now_ms)
    return series._replace(
        at=at_ms, starts=series.starts[:steps], counts=series.counts[:steps], hours=series.hours[:steps]
    )


def _steps_until(series: MetricSeries, at_ms: int, now_ms: int) -> int:
    """Return the number of steps that had ended; as of now itself, the unfinished one too."""
    starts, (_, fine_hour) = series.starts, _baseline_era(at_ms, now_ms)
    ended_steps = int(
        np.searchsorted(starts + np.where(starts < fine_hour * HOUR, HOUR, STEP_MS), at_ms, side="right")
    )
    return len(starts) if at_ms >= now_ms else ended_steps
