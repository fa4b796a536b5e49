"""A small center with alerts, which the test puts into the record, or the server's own rules fire.

The baseline is learned from 70 days; then billing's customers are treated badly for hours, the others not.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain
from typing import Any, Self

from msgspec.structs import replace
from starlette.applications import Starlette

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.messages.composer import MessageComposer
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert, NoticeReason, Phase
from streamer.alerts.verdict import Verdict, VerdictFigures
from streamer.delivery.alert_coordinator import AlertCoordinator, EvaluationSchedule
from streamer.delivery.alert_state import EMPTY_STATE, EvaluationRound, apply_evaluation
from streamer.delivery.alertmanager_client import AlertmanagerClient
from streamer.delivery.http_client import HttpClient
from streamer.delivery.silencing import AlertmanagerTarget, SilenceService
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.redis import RedisDocument, RedisStore
from streamer.web.server import application
from tests.alerts.simulated import NPS, days_ago, drawn, written
from tests.browser.supervised_center import NOW, SETTINGS, SupervisedCenter, good_hour, last_hour

RULES: Mapping[str, Any] = {
    "alerts": {
        "by-agent": {"kind": "drop", "metric": "handle_time_seconds", "by": "agent"},
        "one-center": {"kind": "threshold", "metric": "csat_ratio", "by": "all", "target": 0.8},
    }
}
QUICK = EvaluationSchedule(interval_s=0.05, duration_factor=0)
FOREVER_MS = 3_600_000
PARTS = (("reason", "invoice", -14.2, 24), ("agent", "ann", -6.4, 18), ("team", "north", 3.1, 6))
QUEUES = ("billing", "sales", "support")


def settings(**more: Any) -> Settings:
    usual = SETTINGS.model_dump(include={"timezone", "names", "dimension_pairs"})
    return Settings.model_validate(usual | RULES | more)


class AlertCenter(SupervisedCenter):
    """`evaluates_rules`: the server evaluates rules itself; else the test sets the alerts.
    `alertmanager`: address of the Alertmanager to ask for silences, if any."""

    evaluates_rules = False
    alertmanager = ""

    def __init__(self, redis: str, center: str, settings: Settings, store: MemoryStore) -> None:
        super().__init__(settings, store)
        self._redis, self._center = redis, center
        self.rules = {rule.name: rule for rule in load_alert_rules(settings)}
        self._open = AsyncExitStack()
        self.coordinator: AlertCoordinator
        self.silencing: SilenceService

    async def __aenter__(self) -> Self:
        redis = await RedisStore.connect(self._redis, self._center)
        self._open.push_async_callback(redis.close)
        reader, in_force = MetricsReader(self.store, self.settings), tuple(self.rules.values())
        watch, composer = (
            RuleEvaluator(reader, self.settings, in_force),
            MessageComposer(reader, self.settings, in_force),
        )
        ledger = RedisDocument(redis, "alerts")
        if not self.evaluates_rules:
            assert await ledger.acquire_lease("the test", FOREVER_MS)
        self.coordinator = AlertCoordinator(ledger, watch, reader, composer.compose, lambda: self.now, QUICK)
        self._reader, caller = reader, HttpClient()
        self._open.push_async_callback(caller.close)
        elsewhere = (
            AlertmanagerTarget(AlertmanagerClient(self.alertmanager, caller), "api")
            if self.alertmanager
            else None
        )
        self.silencing = SilenceService(self.coordinator, lambda: self.now, elsewhere)
        return await super().__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await super().__aexit__(*error)
        await self._open.aclose()

    def app(self) -> Starlette:
        return application(
            self._reader,
            self.settings,
            lambda: self.now,
            coordinator=self.coordinator,
            silencing=self.silencing,
        )

    async def add_alerts(self, *alerts: Alert, **more: Any) -> None:
        """Add alerts (firing, pending or resolved) to those that were there before."""
        alerts_by_group = self.coordinator.state.alerts_by_group() | {
            (alert.rule, alert.key): alert for alert in alerts
        }
        messages = [self._message(alert, **more) for alert in alerts if alert.phase != "pending"]
        await self.coordinator.update(
            partial(apply_evaluation, evaluation=EvaluationRound(alerts_by_group, messages, {}, self.now))
        )

    async def clear_alerts(self) -> None:
        """Remove all alerts, acknowledgements and silences."""
        await self.coordinator.update(lambda record: EMPTY_STATE)

    async def resolve_alert(self, rule: str, key: str, why: NoticeReason = "over") -> None:
        was = self.coordinator.state.alerts_by_group()[rule, key]
        await self.add_alerts(replace(was, phase="resolved", resolved_at=self.now, why=why))

    def alert(self, rule: str, key: str, phase: Phase = "firing", ago_ms: int = HOUR) -> Alert:
        began, of = self.now - ago_ms, self.rules[rule]
        fired = None if phase == "pending" else _verdict(of, key, began)
        told = None if phase == "pending" else began + MINUTE
        over = began + 2 * MINUTE if phase == "resolved" else None
        return Alert(
            rule=rule, key=key, phase=phase, began_at=began, seen_at=began, fired_at=told, fired=fired,
            resolved_at=over, why="over" if over else "due",
        )  # fmt: skip

    def _message(self, of: Alert, **more: Any) -> AlertMessage:
        rule, what = self.rules[of.rule], "resolved" if of.phase == "resolved" else "firing"
        figures = _verdict(rule, of.key, of.began_at).figures
        message = AlertMessage(
            id=f"{of.id}/{what}", episode=of.id, what="resolved" if of.phase == "resolved" else "firing",
            why=of.why, rule=of.rule, kind=rule.kind, severity=rule.severity, metric=rule.metric.name,
            unit=rule.metric.unit, better=rule.metric.better, window=rule.window, by=rule.by, key=of.key,
            group=self.settings.names.get(rule.by, {}).get(of.key, of.key), at=self.now, since=of.began_at,
            title=f"{rule.metric.name} of {of.key}", text=f"{rule.metric.name} of {of.key}.",
            figures=figures, interval=_interval(rule),
            contributors=() if rule.kind == "no_data" else tuple(_part(rule, *one) for one in PARTS),
            links=_links(rule, of.key),
        )  # fmt: skip
        return replace(message, **more)


def _verdict(rule: AlertRule, key: str, since: int) -> Verdict:
    value, usual = {"points": (-12.0, 31.0), "ratio": (0.71, 0.86), "seconds": (402.0, 318.0)}.get(
        rule.metric.unit, (0.0, 14.2)
    )
    target = 0.8 if rule.metric.unit == "ratio" else 30.0
    measured = {"target": target} if rule.kind == "threshold" else {"usual": usual}
    figures = VerdictFigures(
        value=value, support=0 if rule.kind == "no_data" else 64, since=since, **measured
    )
    return Verdict(kind=rule.kind, key=key, state="fires", reason="It is bad.", figures=figures)


def _interval(rule: AlertRule) -> tuple[float, float] | None:
    return {"points": (-30.0, 6.0), "ratio": (0.66, 0.75), "seconds": (380.0, 424.0)}.get(rule.metric.unit)


def _part(rule: AlertRule, dimension: str, key: str, moved: float, support: int) -> Contributor:
    """Build a contributor. `moved` is in points; for shares in percent."""
    size = 0.01 if rule.metric.unit == "ratio" else 1
    alone = -42.0 if size == 1 else 0.52
    return Contributor(
        dimension=dimension, key=key, name=key.title(), moved=moved * size,
        value=alone if support >= 20 else None, support=support,
    )  # fmt: skip


def _links(rule: AlertRule, key: str) -> dict[str, str]:
    if rule.kind == "no_data":
        return {}
    group = f"by={rule.by}&key={key}" if rule.by != "all" else "by=queue&key=%00all"
    return {
        "contacts": f"http://elsewhere/supervisor?{group}&window=1h&metric={rule.metric.name}&order=worst"
    }


async def ten_weeks_of_answers(queues: tuple[str, ...] = QUEUES) -> MemoryStore:
    """Ten weeks of answers; those of billing are bad in the last 5 hours."""
    good, bad = (0.2, 0.3, 0.5), (0.7, 0.2, 0.1)
    last = days_ago(5 / 24)

    def chances(queue: str, at: int) -> Any:
        return bad if queue == "billing" and at >= last else good

    return await written(drawn(queues, 150, NPS, chances), now=NOW)


async def open_alert_center(
    redis: str, center: str, *, has_baseline: bool = True, **more: Any
) -> AlertCenter:
    """Build a center with alerts; `has_baseline`: with ten weeks of answers to learn from."""
    center_with_alerts = AlertCenter(
        redis, center, settings(**more), await ten_weeks_of_answers() if has_baseline else MemoryStore()
    )
    await center_with_alerts.publish(chain(good_hour(), last_hour()))
    return center_with_alerts
