"""Alert coordinators without data: the test says which alerts fire and resolve."""

import asyncio
from collections.abc import Callable
from functools import partial

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.delivery.alert_coordinator import AlertCoordinator, EvaluationSchedule
from streamer.delivery.alert_state import AlertState, apply_evaluation
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import LeasedDocument
from tests.delivery.alert_samples import NOW, alert, evaluation_round, message

LEASE_S = 600.0


def make_quiet_coordinator(
    document: LeasedDocument,
    settings: Settings,
    clock: Callable[[], int] = lambda: NOW,
    lease_s: float = LEASE_S,
) -> AlertCoordinator:
    async def silent(*_: object) -> list[object]:
        raise AssertionError("no rule is evaluated here")

    reader = MetricsReader(MemoryStore(), settings)
    watch = RuleEvaluator(reader, settings, load_alert_rules(settings))
    pace = EvaluationSchedule(interval_s=0.02, duration_factor=0, lease_s=lease_s)
    return AlertCoordinator(document, watch, reader, silent, clock, pace)  # type: ignore[arg-type]


async def fire_alerts(
    coordinator: AlertCoordinator, *keys: str, at: int = NOW, to: tuple[str, ...] = ("desk",)
) -> list[str]:
    """Fire an alert of each key; return the ids of the messages. Alerts that fired before still do."""
    alerts = [alert(key, began=at) for key in keys]
    messages = [message(item, at) for item in alerts]
    alerts_by_group = {(item.rule, item.key): item for item in (*coordinator.state.alerts, *alerts)}
    await coordinator.update(
        partial(
            apply_evaluation,
            evaluation=evaluation_round(*alerts_by_group.values(), messages=messages, now=at, to=to),
        )
    )
    return [item.id for item in messages]


async def resolve_alert(
    coordinator: AlertCoordinator, key: str, at: int = NOW, to: tuple[str, ...] = ("desk",)
) -> str:
    """Resolve the alert of that key; return the id of the message."""
    (firing_alert,) = [other for other in coordinator.state.alerts if other.key == key]
    resolved_alert = alert(key, phase="resolved", began=firing_alert.began_at)
    resolved_message = message(resolved_alert, at)
    others = [other for other in coordinator.state.alerts if other.key != key]
    await coordinator.update(
        partial(
            apply_evaluation,
            evaluation=evaluation_round(*others, resolved_alert, messages=[resolved_message], now=at, to=to),
        )
    )
    return resolved_message.id


async def wait_for_state(coordinator: AlertCoordinator, holds: Callable[[AlertState], bool]) -> AlertState:
    """Wait until the alert state is so, and return it."""
    changed = coordinator.subscribe()
    async with asyncio.timeout(30):
        while not holds(coordinator.state):
            await changed.wait()
            changed.clear()
    return coordinator.state
