"""Backtests: when rules would have fired on the stored data, and how often chance alone may have caused
that.

Each moment is evaluated as it is live, with the counts up to then; for events that came late, or were
corrected since, today's counts are used. Problems of the data itself (stale, late, rejected) are not
stored, so they are left out.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.backtest_segment import BacktestSegment, split_segments
from streamer.alerts.detection.baseline import MONTH_H
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.detection.series import FINE_STEPS_MS, STEP_MS
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import MAX_GAP_MS, Alert, AlertNotice, Phase, advance_alerts
from streamer.alerts.verdict import RuleKind, Verdict, VerdictFigures
from streamer.events.counting_rules import HOUR
from streamer.panes.pane_keys import ALL
from streamer.settings import Severity


class FiredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that would have fired. Times in ms: `began_at` when the rule was first met, `fired_at` when
    it had been met for long enough; `phase`: at the end. `resolved_at` and `over` (why): None if it lasts.
    `group` is the display name of the key."""

    rule: str
    kind: RuleKind
    severity: Severity
    key: str
    group: str
    zone: str
    began_at: int
    fired_at: int
    reason: str
    figures: VerdictFigures
    phase: Phase = "firing"
    resolved_at: int | None = None
    over: str | None = None


class RuleOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one rule: it fired so many `times` on that many `series` (groups that it could be
    evaluated on, at most at once); how many of these may be `false_alarms`, as the rule promises for that
    time; since when (ms) it could be evaluated (None: never). `is_stored` False: it is about what is going on
    now, of which the past is not stored."""

    rule: str
    times: int
    series: int
    false_alarms: float
    judged_from: int | None
    is_stored: bool = True


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a backtest from the first to the last moment evaluated, ms."""

    since: int
    until: int
    moments: int
    rings: tuple[FiredAlert, ...]
    rules: tuple[RuleOutcome, ...]


AlertsByKey = dict[tuple[str, str], Alert]


def backtest_moments(first_ms: int, last_ms: int, now_ms: int) -> list[int]:
    """Return the moments to evaluate from `first_ms` to `last_ms`: every hour, and every 5 minutes of the
    last 48 hours.

    >>> now = 1_795_168_800_000
    >>> len(backtest_moments(now - 72 * HOUR, now, now))  # 24 hours, then 48 hours in steps
    601
    """
    fine_ms = -(-(now_ms - FINE_STEPS_MS) // HOUR) * HOUR
    hours = range(_round_up(first_ms, HOUR), min(last_ms + 1, fine_ms), HOUR)
    steps = range(_round_up(max(first_ms, fine_ms), STEP_MS), min(last_ms, now_ms) + 1, STEP_MS)
    return [*hours, *steps]


def _round_up(ms: int, width: int) -> int:
    return -(-ms // width) * width


class Backtester:
    """Runs rules on an evaluator of their own over past moments. Use it from one thread at a time."""

    def __init__(self, evaluator: RuleEvaluator, rules: Sequence[AlertRule], now_ms: int) -> None:
        self._evaluator, self._rules, self._now = evaluator, rules, now_ms
        self._rule_by_name = {rule.name: rule for rule in rules}
        self._alerts: AlertsByKey = {}
        self._fired: dict[str, FiredAlert] = {}
        self._series_counts = {rule.name: 0 for rule in rules}
        self._judged_from: dict[str, int] = {}
        self._last_ms: int | None = None

    def run(
        self, moments: Sequence[int], on_progress: Callable[[int], None] = lambda done_count: None
    ) -> BacktestResult:
        """Run the backtest. `on_progress` is called with the number of moments done."""
        done_count = 0
        for segment_moments in split_segments(moments, self._now):
            segment = BacktestSegment(self._evaluator.data, self._rules, segment_moments, self._now)
            for at_ms in segment_moments:
                self._advance(segment, at_ms)
                on_progress(done_count := done_count + 1)
        return BacktestResult(
            since=moments[0],
            until=moments[-1],
            moments=len(moments),
            rings=tuple(
                sorted(
                    self._final_alerts(),
                    key=lambda fired_alert: (fired_alert.fired_at, fired_alert.rule, fired_alert.key),
                )
            ),
            rules=tuple(self._outcome(rule, moments[-1] - moments[0]) for rule in self._rules),
        )

    def _advance(self, segment: BacktestSegment, at_ms: int) -> None:
        verdicts = [
            (rule, verdict, None) for rule in self._rules for verdict in self._verdicts(segment, rule, at_ms)
        ]
        passed_ms = MAX_GAP_MS if self._last_ms is None else max(at_ms - self._last_ms, MAX_GAP_MS)
        self._last_ms = at_ms
        self._alerts, notices = advance_alerts(self._alerts, self._rules, verdicts, at_ms, passed_ms)
        for notice in notices:
            self._fired[notice.alert.id] = self._fired_alert(segment, notice, at_ms)

    def _verdicts(self, segment: BacktestSegment, rule: AlertRule, at_ms: int) -> Iterator[Verdict]:
        open_keys = [
            alert.key
            for alert in self._alerts.values()
            if alert.rule == rule.name and alert.phase != "resolved"
        ]
        segment_verdicts = DETECTORS[rule.kind].past_verdicts(rule, segment, at_ms, open_keys)
        self._series_counts[rule.name] = max(self._series_counts[rule.name], segment_verdicts.series_count)
        if segment_verdicts.series_count:
            self._judged_from.setdefault(rule.name, at_ms)
        yield from segment_verdicts.verdicts

    def _fired_alert(self, segment: BacktestSegment, notice: AlertNotice, at_ms: int) -> FiredAlert:
        rule, alert = self._rule_by_name[notice.alert.rule], notice.alert
        verdict = DETECTORS[rule.kind].complete_verdict(rule, notice.verdict, segment, at_ms)
        if notice.what == "resolved":
            return msgspec.structs.replace(
                self._fired[alert.id], phase="resolved", resolved_at=at_ms, over=verdict.reason
            )
        subject = self._evaluator.data.subject(rule, alert.key)
        return FiredAlert(
            rule=rule.name,
            kind=rule.kind,
            severity=rule.severity,
            key=alert.key,
            group=subject.name,
            zone=subject.zone,
            began_at=alert.began_at,
            fired_at=at_ms,
            reason=verdict.reason,
            figures=verdict.figures,
        )

    def _final_alerts(self) -> Iterator[FiredAlert]:
        phases = {alert.id: alert.phase for alert in self._alerts.values()}
        for alert_id, fired_alert in self._fired.items():
            yield msgspec.structs.replace(fired_alert, phase=phases.get(alert_id, fired_alert.phase))

    def _outcome(self, rule: AlertRule, span_ms: int) -> RuleOutcome:
        series_count = self._series_counts[rule.name]
        budgets = min(series_count, 1) if rule.shared or rule.by == ALL else series_count
        return RuleOutcome(
            rule=rule.name,
            times=sum(1 for fired_alert in self._fired.values() if fired_alert.rule == rule.name),
            series=series_count,
            false_alarms=rule.false_alarms * budgets * span_ms / (MONTH_H * HOUR),
            judged_from=self._judged_from.get(rule.name),
            is_stored=not DETECTORS[rule.kind].is_live,
        )
