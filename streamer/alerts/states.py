"""Alert life cycle: verdicts turn an alert into pending, firing, clearing or resolved.

A pure state machine: time and verdict come in as arguments, and the same arguments give the same state and
the same notices. Time counts only as far as verdicts cover it: after a pause, or when a clock jumped, a
single verdict does not stand for all the time between.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.verdict import Verdict, VerdictState
from streamer.events.counting_rules import DAY, MINUTE

Phase = Literal["pending", "firing", "clearing", "resolved"]
NoticeReason = Literal["due", "over", "corrected", "closed"]
"""Reason of a notice: the alert is due; it is over; today's counts say that it was not due at the time;
the hours of operation ended."""
RESOLVED_KEPT_MS: Final = DAY
"""Time for which a resolved alert is remembered."""
MAX_GAP_MS: Final = MINUTE
"""Most time that counts between two verdicts. A backtest walks through stored data in longer steps and
passes those (`max_gap_ms`)."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One series of one rule, for as long as there is something to know about it. Times in ms. `seen_at`
    is the time of the last verdict, `held_ms` the time it has been pending or clearing. `fired_at` is None
    while pending. `fired` is the verdict that was notified. It can be stored: msgspec encodes and decodes
    it."""

    rule: str
    key: str
    phase: Phase
    began_at: int
    seen_at: int
    held_ms: int = 0
    fired_at: int | None = None
    fired: Verdict | None = None
    resolved_at: int | None = None
    why: NoticeReason = "due"

    @property
    def id(self) -> str:
        """Id of this episode: no two share one, since the first slash is that behind the rule."""
        rule = self.rule.replace("%", "%25").replace("/", "%2F")
        return f"{rule}/{self.key}/{self.began_at}"


class AlertNotice(msgspec.Struct, frozen=True, kw_only=True):
    """An event to notify once. `id` is the same wherever the same event was seen, so a receiver that has
    it can skip it."""

    id: str
    alert: Alert
    what: Literal["firing", "resolved"]
    why: NoticeReason
    verdict: Verdict


class AlertTransition(NamedTuple):
    """State after a verdict (None: nothing left to know), and the notice to send, if any."""

    alert: Alert | None
    notice: AlertNotice | None = None


def advance_alert(
    alert: Alert | None,
    rule: AlertRule,
    verdict: Verdict,
    now_ms: int,
    state_at_firing: VerdictState | None = None,
    max_gap_ms: int = MAX_GAP_MS,
) -> AlertTransition:
    """Advance one alert by one verdict. `state_at_firing`: the state that today's counts give for the
    moment the alert fired; None: not checked. A clock that goes back adds no time, and notified alerts
    stay as they are until that moment comes again, since the verdict is about an earlier time. (If it went
    back by more than a day, the earlier clock was wrong.)

    >>> from streamer.alerts.alert_rules import load_alert_rules
    >>> from streamer.settings import Settings
    >>> rule = next(rule for rule in load_alert_rules(Settings()) if rule.name == "silence")
    >>> verdict = Verdict(kind="no_data", key="", state="fires", reason="No contacts since 09:10.")
    >>> first = advance_alert(None, rule, verdict, 1_795_255_200_000)
    >>> first.alert.phase, first.notice
    ('pending', None)
    >>> second = advance_alert(first.alert, rule, verdict, 1_795_255_260_000)
    >>> second.alert.phase, second.notice.what
    ('firing', 'firing')
    """
    if alert is not None and alert.fired_at is not None and 0 < alert.seen_at - now_ms < DAY:
        return AlertTransition(alert)
    if alert is None or alert.phase == "resolved":
        return _advance_inactive(alert, rule, verdict, now_ms)
    passed_ms = min(max(now_ms - alert.seen_at, 0), max_gap_ms)
    alert = msgspec.structs.replace(alert, seen_at=now_ms)
    if alert.phase == "pending":
        return _advance_pending(alert, rule, verdict, passed_ms)
    return _advance_notified(alert, rule, verdict, passed_ms, state_at_firing)


def _advance_inactive(
    previous: Alert | None, rule: AlertRule, verdict: Verdict, now_ms: int
) -> AlertTransition:
    if verdict.state != "fires":
        is_remembered = previous is not None and now_ms - (previous.resolved_at or 0) < RESOLVED_KEPT_MS
        return AlertTransition(previous if is_remembered else None)
    alert = Alert(rule=rule.name, key=verdict.key, phase="pending", began_at=now_ms, seen_at=now_ms)
    return _advance_pending(alert, rule, verdict, 0)


def _advance_pending(alert: Alert, rule: AlertRule, verdict: Verdict, passed_ms: int) -> AlertTransition:
    if verdict.state in ("no_data", "no_baseline"):
        return AlertTransition(alert)
    if verdict.state != "fires":
        return AlertTransition(None)
    held_ms = alert.held_ms + passed_ms
    if held_ms < rule.for_ms:
        return AlertTransition(msgspec.structs.replace(alert, held_ms=held_ms))
    alert = msgspec.structs.replace(alert, phase="firing", held_ms=0, fired_at=alert.seen_at, fired=verdict)
    return AlertTransition(alert, _new_notice(alert, "firing", "due", verdict))


def _advance_notified(
    alert: Alert, rule: AlertRule, verdict: Verdict, passed_ms: int, state_at_firing: VerdictState | None
) -> AlertTransition:
    """Advance a firing or clearing alert. Verdicts that may be chance keep an alert; missing data ends
    none."""
    if (
        state_at_firing is not None
        and state_at_firing != "fires"
        and verdict.state in ("holds", "unclear", "few")
    ):
        return _resolve(alert, verdict, "corrected")
    if verdict.state not in _ENDING_STATES:
        held_ms = alert.held_ms if verdict.state == "no_data" else 0
        phase: Phase = alert.phase if verdict.state == "no_data" else "firing"
        return AlertTransition(msgspec.structs.replace(alert, phase=phase, held_ms=held_ms))
    held_ms = alert.held_ms + passed_ms if alert.phase == "clearing" else 0
    if held_ms >= rule.clear_ms:
        return _resolve(alert, verdict, "closed" if verdict.state == "closed" else "over")
    return AlertTransition(msgspec.structs.replace(alert, phase="clearing", held_ms=held_ms))


_ENDING_STATES: Final = ("holds", "few", "closed", "no_baseline")


def _resolve(alert: Alert, verdict: Verdict, why: NoticeReason) -> AlertTransition:
    resolved = msgspec.structs.replace(alert, phase="resolved", held_ms=0, resolved_at=alert.seen_at, why=why)
    return AlertTransition(resolved, _new_notice(resolved, "resolved", why, verdict))


def _new_notice(
    alert: Alert, what: Literal["firing", "resolved"], why: NoticeReason, verdict: Verdict
) -> AlertNotice:
    return AlertNotice(id=f"{alert.id}/{what}", alert=alert, what=what, why=why, verdict=verdict)


def withdraw_alert(alert: Alert, now_ms: int) -> AlertTransition:
    """Resolve an alert whose rule or series no longer exists, if it was notified."""
    if alert.fired is None or alert.phase == "resolved":
        return AlertTransition(None)
    return _resolve(msgspec.structs.replace(alert, seen_at=now_ms), alert.fired, "over")


# All alerts at once.

AlertsBySeries = Mapping[tuple[str, str], Alert]
"""By rule and key."""


def advance_alerts(
    alerts: AlertsBySeries,
    rules: Sequence[AlertRule],
    verdicts: Sequence[tuple[AlertRule, Verdict, VerdictState | None]],
    now_ms: int,
    max_gap_ms: int = MAX_GAP_MS,
) -> tuple[dict[tuple[str, str], Alert], list[AlertNotice]]:
    """Advance all alerts by the verdicts of one moment. Returns the alerts left and the notices to send. A
    series without a verdict has no data; the alerts of a rule that no longer exists are withdrawn."""
    rule_by_name = {rule.name: rule for rule in rules}
    transitions = {
        (rule.name, verdict.key): advance_alert(
            alerts.get((rule.name, verdict.key)), rule, verdict, now_ms, state_at_firing, max_gap_ms
        )
        for rule, verdict, state_at_firing in verdicts
    }
    for series_key, alert in alerts.items():
        if series_key not in transitions:
            rule = rule_by_name.get(alert.rule)
            transitions[series_key] = (
                advance_alert(alert, rule, _empty_verdict(alert, rule), now_ms)
                if rule
                else withdraw_alert(alert, now_ms)
            )
    remaining = {
        series_key: transition.alert
        for series_key, transition in transitions.items()
        if transition.alert is not None
    }
    return remaining, [
        transition.notice for transition in transitions.values() if transition.notice is not None
    ]


def _empty_verdict(alert: Alert, rule: AlertRule) -> Verdict:
    return Verdict(kind=rule.kind, key=alert.key, state="few", reason="There is no data.")
