"""Alerts, messages and evaluation rounds for tests."""

from collections.abc import Sequence

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.states import Alert, Phase
from streamer.alerts.verdict import Verdict, VerdictFigures
from streamer.delivery.alert_state import AlertSilence, EvaluationRound
from streamer.events.counting_rules import HOUR

NOW = 1_795_255_203_000  # 2026-11-21T10:00:03Z
RECEIVERS = ("desk", "pager")


def alert(key: str = "billing", phase: Phase = "firing", rule: str = "nps-drop", began: int = NOW) -> Alert:
    told = None if phase == "pending" else began
    verdict = Verdict(kind="drop", key=key, state="fires", reason="NPS of Billing dropped.")
    return Alert(
        rule=rule, key=key, phase=phase, began_at=began, seen_at=began, fired_at=told,
        fired=verdict if told else None, resolved_at=began if phase == "resolved" else None,
    )  # fmt: skip


def message(of: Alert, at: int = NOW) -> AlertMessage:
    what = "resolved" if of.phase == "resolved" else "firing"
    return AlertMessage(
        id=f"{of.id}/{what}", episode=of.id, what="resolved" if of.phase == "resolved" else "firing",
        why="over" if of.phase == "resolved" else "due", rule=of.rule, kind="drop", severity="warning",
        metric="nps_score", unit="points", better="higher", window="today", by="queue", key=of.key,
        group=of.key.title(), at=at, since=of.began_at, title=f"NPS of {of.key.title()} dropped",
        text="NPS of Billing dropped.", figures=VerdictFigures(value=-12.0, support=60),
    )  # fmt: skip


def evaluation_round(
    *alerts: Alert, messages: Sequence[AlertMessage] = (), now: int = NOW, to: Sequence[str] = RECEIVERS
) -> EvaluationRound:
    places = {(one.rule, one.key): one for one in alerts}
    return EvaluationRound(places, messages, {one.rule: to for one in alerts}, now)


def silence(
    name: str = "s1",
    key: str | None = None,
    since: int = NOW,
    until: int = NOW + HOUR,
    rule: str = "nps-drop",
) -> AlertSilence:
    return AlertSilence(id=name, rule=rule, key=key, since=since, until=until, by="Ana")
