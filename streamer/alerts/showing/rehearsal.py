"""Backtests: when rules would have fired on the stored data, and how often chance alone may have caused
that.

Each moment is evaluated as it is live, with the counts up to then; for events that came late, or were
corrected since, today's counts are used. Problems of the data itself (stale, late, rejected) are not
stored, so they are left out.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from streamer.alerts.judging.baseline import MONTH_H
from streamer.alerts.judging.series import FINE_STEPS_MS, STEP_MS
from streamer.alerts.rules import Rule
from streamer.alerts.showing.acts import Act, acts
from streamer.alerts.states import MOST_MS, Alert, Notice, Phase, turn
from streamer.alerts.verdict import Figures, Kind, Verdict
from streamer.alerts.watch import Watch
from streamer.events.rules import HOUR
from streamer.panes.pane_keys import ALL
from streamer.settings import Severity


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that would have fired. Times in ms: `began_at` when the rule was first met, `fired_at` when
    it had been met for long enough; `phase`: at the end. `resolved_at` and `over` (why): None if it lasts.
    `group` is the display name of the key."""

    rule: str
    kind: Kind
    severity: Severity
    key: str
    group: str
    zone: str
    began_at: int
    fired_at: int
    reason: str
    figures: Figures
    phase: Phase = "firing"
    resolved_at: int | None = None
    over: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one rule: it fired so many `times` on that many `series` (groups that it could be
    evaluated on, at most at once); how many of these may be `false_alarms`, as the rule promises for that
    time; since when (ms) it could be evaluated (None: never)."""

    rule: str
    times: int
    series: int
    false_alarms: float
    judged_from: int | None


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a backtest from the first to the last moment evaluated, ms."""

    since: int
    until: int
    moments: int
    rings: tuple[Ring, ...]
    rules: tuple[Outcome, ...]


Places = dict[tuple[str, str], Alert]


def moments(first: int, last: int, now: int) -> list[int]:
    """Return the moments to evaluate from `first_ms` to `last_ms`: every hour, and every 5 minutes of the
    last 48 hours.

    >>> now = 1_795_168_800_000
    >>> len(moments(now - 72 * HOUR, now, now))  # 24 hours, then 48 hours in steps
    601
    """
    fine = -(-(now - FINE_STEPS_MS) // HOUR) * HOUR
    hours = range(_next(first, HOUR), min(last + 1, fine), HOUR)
    steps = range(_next(max(first, fine), STEP_MS), min(last, now) + 1, STEP_MS)
    return [*hours, *steps]


def _next(ms: int, width: int) -> int:
    return -(-ms // width) * width


class Stage:
    """Runs rules on an evaluator of their own over past moments. Use it from one thread at a time."""

    def __init__(self, watch: Watch, rules: Sequence[Rule], now: int) -> None:
        self._watch, self._rules, self._now = watch, rules, now
        self._named = {rule.name: rule for rule in rules}
        self._alerts: Places = {}
        self._rings: dict[str, Ring] = {}
        self._series = {rule.name: 0 for rule in rules}
        self._judged_from: dict[str, int] = {}
        self._last: int | None = None

    def played(self, looked_at: Sequence[int], told: Callable[[int], None] = lambda done: None) -> Rehearsal:
        """Run the backtest. `on_progress` is called with the number of moments done."""
        done = 0
        for act in acts(looked_at, self._now):
            played = Act(self._watch, self._rules, act, self._now)
            for at in act:
                self._turn(played, at)
                told(done := done + 1)
        return Rehearsal(
            since=looked_at[0],
            until=looked_at[-1],
            moments=len(looked_at),
            rings=tuple(sorted(self._rung(), key=lambda ring: (ring.fired_at, ring.rule, ring.key))),
            rules=tuple(self._outcome(rule, looked_at[-1] - looked_at[0]) for rule in self._rules),
        )

    def _turn(self, act: Act, at: int) -> None:
        told = [(rule, verdict, None) for rule in self._rules for verdict in self._verdicts(act, rule, at)]
        passed = MOST_MS if self._last is None else max(at - self._last, MOST_MS)
        self._last = at
        self._alerts, notices = turn(self._alerts, self._rules, told, at, passed)
        for notice in notices:
            self._rings[notice.alert.id] = self._ring(act, notice, at)

    def _verdicts(self, act: Act, rule: Rule, at: int) -> Iterator[Verdict]:
        asked = [
            alert.key
            for alert in self._alerts.values()
            if alert.rule == rule.name and alert.phase != "resolved"
        ]
        found = act.judged(rule, at, asked)
        self._series[rule.name] = max(self._series[rule.name], found.series)
        if found.series:
            self._judged_from.setdefault(rule.name, at)
        yield from found.verdicts

    def _ring(self, act: Act, notice: Notice, at: int) -> Ring:
        rule, alert, verdict = self._named[notice.alert.rule], notice.alert, notice.verdict
        if rule.kind == "drop" and verdict.state != "closed" and not verdict.reason:
            verdict = act.whole(rule, alert.key, at)
        if notice.what == "resolved":
            return msgspec.structs.replace(
                self._rings[alert.id], phase="resolved", resolved_at=at, over=verdict.reason
            )
        subject = self._watch.subject(rule, alert.key)
        return Ring(
            rule=rule.name,
            kind=rule.kind,
            severity=rule.severity,
            key=alert.key,
            group=subject.name,
            zone=subject.zone,
            began_at=alert.began_at,
            fired_at=at,
            reason=verdict.reason,
            figures=verdict.figures,
        )

    def _rung(self) -> Iterator[Ring]:
        last = {alert.id: alert.phase for alert in self._alerts.values()}
        for name, ring in self._rings.items():
            yield msgspec.structs.replace(ring, phase=last.get(name, ring.phase))

    def _outcome(self, rule: Rule, span_ms: int) -> Outcome:
        series = self._series[rule.name]
        budgets = min(series, 1) if rule.shared or rule.by == ALL else series
        return Outcome(
            rule=rule.name,
            times=sum(1 for ring in self._rings.values() if ring.rule == rule.name),
            series=series,
            false_alarms=rule.false_alarms * budgets * span_ms / (MONTH_H * HOUR),
            judged_from=self._judged_from.get(rule.name),
        )
