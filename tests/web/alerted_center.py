"""A center with known alerts: of queues, teams, agents and the whole center, with few and many answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from starlette.applications import Starlette

from streamer.alerts.alert_message import AlertMessage, Contributor
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert, AlertNotice, Phase
from streamer.alerts.verdict import Verdict, VerdictFigures
from streamer.delivery.alert_coordinator import AlertCoordinator, EvaluationSchedule
from streamer.delivery.alert_state import EMPTY_STATE, AlertState, EvaluationRound, apply_evaluation
from streamer.delivery.silencing import SilenceService
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.port import LeasedDocument
from streamer.web.server import application
from tests.readings.small_center import NOW
from tests.web.asgi_client import AsgiResponse, Headers, send_request
from tests.web.test_permissions import SETTINGS as PEOPLE
from tests.web.test_permissions import busy_center, headers

QUICK = EvaluationSchedule(interval_s=0.01, duration_factor=0)
DROP = {"kind": "drop", "metric": "handle_time_seconds"}
SETTINGS = Settings.model_validate(
    PEOPLE.model_dump(include={"users", "displays", "names", "dimension_pairs"})
    | {
        "views": {"tv": {"queues": ["billing"]}},
        "alerts": {
            "service-level": {
                "kind": "threshold",
                "metric": "service_level_ratio",
                "by": "all",
                "target": 0.8,
            },
            "by-team": {**DROP, "by": "team"},
            "by-agent": {**DROP, "by": "agent"},
            "by-pair": {**DROP, "by": "queue,team", "severity": "critical"},
            "of-ann": {**DROP, "by": "agent", "key": "ann"},
        },
    }
)
RULES = {rule.name: rule for rule in load_alert_rules(SETTINGS)}
CONTRIBUTORS = (("team", "red"), ("team", "blue"), ("agent", "bob"), ("disposition", "refund"))


class SettableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class NotifiedAlert(NamedTuple):
    """An alert and the message that was sent about it, if any."""

    alert: Alert
    message: AlertMessage | None


def notified_alert(
    rule: str, key: str = "", phase: Phase = "firing", support: int = 60, ago: int = HOUR, odd: bool = False
) -> NotifiedAlert:
    began, rule_of_alert = NOW - ago, RULES[rule]
    figures = (
        VerdictFigures() if odd else VerdictFigures(value=-12.345, support=support, since=began - MINUTE)
    )
    verdict = Verdict(
        kind=rule_of_alert.kind, key=key, state="fires", reason="It is −12.345.", figures=figures
    )
    is_told, is_over = phase != "pending", phase == "resolved"
    alert = Alert(
        rule=rule, key=key, phase=phase, began_at=began, seen_at=began,
        fired_at=began + MINUTE if is_told else None, fired=verdict if is_told else None,
        resolved_at=began + 2 * MINUTE if is_over else None, why="over" if is_over else "due",
    )  # fmt: skip
    what = "resolved" if is_over else "firing"
    message = AlertMessage(
        id=f"{alert.id}/{what}", episode=alert.id, what="resolved" if is_over else "firing", why=alert.why,
        rule=rule, kind=rule_of_alert.kind, severity=rule_of_alert.severity,
        metric=rule_of_alert.metric.name, unit=rule_of_alert.metric.unit, better=rule_of_alert.metric.better,
        window=rule_of_alert.window, by=rule_of_alert.by, key=key, group=key.title(), at=began + MINUTE,
        since=began - MINUTE, title=f"{rule} of {key}", text="It is −12.345.", figures=figures,
        interval=(-23.456, -1.234), contributors=tuple(contributor(*pair) for pair in CONTRIBUTORS),
        links={"contacts": "http://wall/supervisor", "explain": "http://wall/supervisor"},
    )  # fmt: skip
    return NotifiedAlert(alert, message if is_told else None)


def contributor(dimension: str, key: str) -> Contributor:
    return Contributor(dimension=dimension, key=key, name=key.title(), moved=-9.0, value=-3.0, support=40)


def record_of(*alerts: NotifiedAlert) -> AlertState:
    """Build the record after one evaluation that fired these alerts; no notification is pending."""
    places = {(notified.alert.rule, notified.alert.key): notified.alert for notified in alerts}
    return apply_evaluation(
        EMPTY_STATE,
        EvaluationRound(places, [notified.message for notified in alerts if notified.message], {}, NOW),
    )


EVERYTHING = (
    notified_alert("nps-drop", "billing"),
    notified_alert("nps-drop", "few", support=4),
    notified_alert("nps-drop", "five", support=5),
    notified_alert("service-level"),
    *(notified_alert("by-team", team) for team in ("red", "blue")),
    *(notified_alert("by-agent", agent) for agent in ("ann", "bob")),
    *(notified_alert("by-pair", f"billing,{team}") for team in ("red", "blue")),
)


class AlertedServer(NamedTuple):
    app: Starlette
    coordinator: AlertCoordinator
    reader: MetricsReader
    clock: SettableClock

    async def ask(
        self, path: str, who: str, method: str = "GET", json: Any = None, more: Headers | None = None
    ) -> AsgiResponse:
        return await send_request(self.app, path, method, headers(who) | (more or {}), json=json)

    async def set_alerts(self, *alerts: NotifiedAlert) -> AlertState:
        """Set exactly these alerts; acknowledgements and silences stay."""
        record = record_of(*alerts)
        return await self.coordinator.update(
            lambda before: replace(before, alerts=record.alerts, messages=record.messages)
        )


async def alerted_server(
    document: LeasedDocument,
    settings: Settings = SETTINGS,
    is_read: bool = True,
    silencing: Callable[[AlertCoordinator, SettableClock], SilenceService] = SilenceService,
) -> AlertedServer:
    """Build a server that evaluates no rules, as its coordinator does not run; `document` holds its alerts.

    `is_read`: whether it has read the numbers."""
    clock, reader = SettableClock(), MetricsReader((await busy_center()).store, settings)
    if is_read:
        await reader.refresh(NOW)
    evaluator = RuleEvaluator(reader, settings, load_alert_rules(settings))
    coordinator = AlertCoordinator(document, evaluator, reader, says_nothing, clock, QUICK)
    app = application(
        reader, settings, clock, coordinator=coordinator, silencing=silencing(coordinator, clock)
    )
    await coordinator.update(lambda known: known)
    return AlertedServer(app, coordinator, reader, clock)


async def says_nothing(
    notices: Sequence[AlertNotice], known: Mapping[str, AlertMessage], now: int
) -> list[AlertMessage]:
    return []
