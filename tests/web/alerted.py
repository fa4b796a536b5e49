"""A center with known alerts: of queues, teams, agents and the whole center, with few and many answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from starlette.applications import Starlette

from streamer.alerts.message import Contributor, Message
from streamer.alerts.rules import rules
from streamer.alerts.states import Alert, Notice, Phase
from streamer.alerts.verdict import Figures, Verdict
from streamer.alerts.watch import Watch
from streamer.delivery.bell import Bell, Pace
from streamer.delivery.record import EMPTY, Record, Turn, turned
from streamer.delivery.silencing import Silencing
from streamer.events.rules import HOUR, MINUTE
from streamer.readings.reader import Reader
from streamer.settings import Settings
from streamer.store.redis import LeasedDocument, RedisStore
from streamer.web.server import application
from tests.readings.center import NOW
from tests.web.test_people import SETTINGS as PEOPLE
from tests.web.test_people import busy, headers
from tests.web.visitor import Answer, Headers, visit

QUICK = Pace(every=0.01, share=0)
DROP = {"kind": "drop", "metric": "handle_time_seconds"}
SETTINGS = Settings.model_validate(
    PEOPLE.model_dump(include={"people", "displays", "names", "pairs"})
    | {
        "views": {"tv": {"queues": ["billing"]}},
        "alerts": {
            "service-level": {"kind": "target", "metric": "service_level_ratio", "by": "all", "target": 0.8},
            "by-team": {**DROP, "by": "team"},
            "by-agent": {**DROP, "by": "agent"},
            "by-pair": {**DROP, "by": "queue,team", "severity": "critical"},
            "of-ann": {**DROP, "by": "agent", "key": "ann"},
        },
    }
)
RULES = {rule.name: rule for rule in rules(SETTINGS)}
PARTS = (("team", "red"), ("team", "blue"), ("agent", "bob"), ("disposition", "refund"))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class Told(NamedTuple):
    """An alert and the message that was sent about it, if any."""

    alert: Alert
    message: Message | None


def told(
    rule: str, key: str = "", phase: Phase = "firing", support: int = 60, ago: int = HOUR, odd: bool = False
) -> Told:
    began, of = NOW - ago, RULES[rule]
    figures = Figures() if odd else Figures(value=-12.345, support=support, since=began - MINUTE)
    verdict = Verdict(kind=of.kind, key=key, state="fires", reason="It is −12.345.", figures=figures)
    is_told, is_over = phase != "pending", phase == "resolved"
    alert = Alert(
        rule=rule, key=key, phase=phase, began_at=began, seen_at=began,
        fired_at=began + MINUTE if is_told else None, fired=verdict if is_told else None,
        resolved_at=began + 2 * MINUTE if is_over else None, why="over" if is_over else "due",
    )  # fmt: skip
    what = "resolved" if is_over else "firing"
    message = Message(
        id=f"{alert.id}/{what}", episode=alert.id, what="resolved" if is_over else "firing", why=alert.why,
        rule=rule, kind=of.kind, severity=of.severity, metric=of.metric.name, unit=of.metric.unit,
        better=of.metric.better, window=of.window, by=of.by, key=key, group=key.title(), at=began + MINUTE,
        since=began - MINUTE, title=f"{rule} of {key}", text="It is −12.345.", figures=figures,
        interval=(-23.456, -1.234), contributors=tuple(moved(*one) for one in PARTS),
        links={"contacts": "http://wall/supervisor", "explain": "http://wall/supervisor"},
    )  # fmt: skip
    return Told(alert, message if is_told else None)


def moved(dimension: str, key: str) -> Contributor:
    return Contributor(dimension=dimension, key=key, name=key.title(), moved=-9.0, value=-3.0, support=40)


def record(*alerts: Told) -> Record:
    """Build the record after one evaluation that fired these alerts; no notification is pending."""
    places = {(one.alert.rule, one.alert.key): one.alert for one in alerts}
    return turned(EMPTY, Turn(places, [one.message for one in alerts if one.message], {}, NOW))


EVERYTHING = (
    told("nps-drop", "billing"),
    told("nps-drop", "few", support=4),
    told("nps-drop", "five", support=5),
    told("service-level"),
    *(told("by-team", team) for team in ("red", "blue")),
    *(told("by-agent", agent) for agent in ("ann", "bob")),
    *(told("by-pair", f"billing,{team}") for team in ("red", "blue")),
)


class Server(NamedTuple):
    app: Starlette
    bell: Bell
    reader: Reader
    clock: Clock

    async def ask(
        self, path: str, who: str, method: str = "GET", json: Any = None, more: Headers | None = None
    ) -> Answer:
        return await visit(self.app, path, method, headers(who) | (more or {}), json=json)

    async def know(self, *alerts: Told) -> Record:
        """Set exactly these alerts; acknowledgements and silences stay."""
        known = record(*alerts)
        return await self.bell.change(
            lambda before: replace(before, alerts=known.alerts, messages=known.messages)
        )


async def server(
    store: RedisStore,
    settings: Settings = SETTINGS,
    is_read: bool = True,
    silencing: Callable[[Bell, Clock], Silencing] = Silencing,
) -> Server:
    """Build a server that evaluates no rules, as its coordinator does not run; its alerts are in the store.

    `is_read`: whether it has read the numbers."""
    clock, reader = Clock(), Reader((await busy()).store, settings)
    if is_read:
        await reader.refresh(NOW)
    watch = Watch(reader, settings, rules(settings))
    bell = Bell(LeasedDocument(store, "alerts"), watch, reader, says_nothing, clock, QUICK)
    app = application(reader, settings, clock, bell=bell, silencing=silencing(bell, clock))
    await bell.change(lambda known: known)
    return Server(app, bell, reader, clock)


async def says_nothing(notices: Sequence[Notice], known: Mapping[str, Message], now: int) -> list[Message]:
    return []
