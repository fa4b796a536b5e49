"""The alert rules with the number of groups whose baseline is learned: `/api/v1/alerts/rules`."""

from collections.abc import Iterator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.detection.drop_evidence import LEAST_LEARNED
from streamer.alerts.detection.series import MetricSeries
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.verdict import RuleKind
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.events.counting_rules import MINUTE
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock
from streamer.settings import Severity
from streamer.web.alert_routes import require_coordinator
from streamer.web.api import check_parameters, json_response, require_data_scope


class RuleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An alert rule and its state.

    `false_alarms` is the most that it allows a month, for each group, or with `shared` for all together;
    None where no chance is involved. `groups` is the number of its groups, `known` the number of those
    whose baseline is learned; both are None for rules that need no baseline."""

    name: str
    kind: RuleKind
    metric: str
    by: str
    key: str
    window: str
    severity: Severity
    false_alarms: float | None
    shared: bool
    groups: int | None
    known: int | None


class RuleStatusRoutes:
    """Serve the status of every rule. It hardly changes, so it is computed at most once a minute."""

    def __init__(self, reader: MetricsReader, coordinator: AlertCoordinator | None, clock: Clock) -> None:
        self._reader, self._coordinator, self._clock = reader, coordinator, clock
        self._minute, self._statuses = -1, list[RuleStatus]()

    def routes(self) -> list[Route]:
        return [Route("/api/v1/alerts/rules", self._list_rules)]

    async def _list_rules(self, request: Request) -> Response:
        check_parameters(request, ())
        coordinator, now_ms = require_coordinator(self._coordinator), self._clock()
        data_scope = require_data_scope(request, self._reader, now_ms)
        if now_ms // MINUTE != self._minute:
            self._statuses = await coordinator.run_with_evaluator(
                lambda evaluator: rule_statuses(evaluator, now_ms)
            )
            self._minute = now_ms // MINUTE
        return json_response(
            [
                status
                for status in self._statuses
                if not status.key or data_scope.may_see(status.by, status.key)
            ]
        )


def rule_statuses(evaluator: RuleEvaluator, now_ms: int) -> list[RuleStatus]:
    """Return the status of every rule at `now_ms` (since the epoch)."""
    moment = evaluator.moment(now_ms)
    series_by_group = {
        by: evaluator.data.gather_series(by, moment) for by in {rule.by: None for rule in evaluator.rules}
    }
    return [
        _rule_status(rule, [*_learned_supports(rule, series_by_group[rule.by].get(rule.series))])
        for rule in evaluator.rules
    ]


def _learned_supports(rule: AlertRule, series: MetricSeries | None) -> Iterator[int]:
    """Yield for each group of a rule the number of observations behind its baseline."""
    if series is not None:
        support_by_key = zip(series.keys, series.baseline.support.tolist(), strict=True)
        yield from (support for key, support in support_by_key if rule.key in ("", key))


def _rule_status(rule: AlertRule, supports: Sequence[int]) -> RuleStatus:
    needs_baseline = DETECTORS[rule.kind].needs_baseline
    return RuleStatus(
        name=rule.name,
        kind=rule.kind,
        metric=rule.metric.name,
        by=rule.by,
        key=rule.key,
        window=rule.window,
        severity=rule.severity,
        false_alarms=None if DETECTORS[rule.kind].is_live else rule.false_alarms,
        shared=rule.shared,
        groups=len(supports) if needs_baseline else None,
        known=sum(1 for support in supports if support >= LEAST_LEARNED) if needs_baseline else None,
    )
