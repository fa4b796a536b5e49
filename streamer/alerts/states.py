"""Alert life cycle: verdicts turn an alert into pending, firing, clearing or resolved.

A pure state machine: time and verdict come in as arguments, and the same arguments give the same state and
the same notices. Time counts only as far as verdicts cover it: after a pause, or when a clock jumped, a
single verdict does not stand for all the time between.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from streamer.alerts.rules import Rule
from streamer.alerts.verdict import State, Verdict
from streamer.events.rules import DAY, MINUTE

Phase = Literal["pending", "firing", "clearing", "resolved"]
Why = Literal["due", "over", "corrected", "closed"]
"""Reason of a notice: the alert is due; it is over; today's counts say that it was not due at the time;
the hours of operation ended."""
KEPT_MS: Final = DAY
"""Time for which a resolved alert is remembered."""
MOST_MS: Final = MINUTE
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
    why: Why = "due"

    @property
    def id(self) -> str:
        """Id of this episode."""
        return f"{self.rule}/{self.key}/{self.began_at}"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """An event to notify once. `id` is the same wherever the same event was seen, so a receiver that has
    it can skip it."""

    id: str
    alert: Alert
    what: Literal["firing", "resolved"]
    why: Why
    verdict: Verdict


class Step(NamedTuple):
    """State after a verdict (None: nothing left to know), and the notice to send, if any."""

    alert: Alert | None
    notice: Notice | None = None


def step(
    alert: Alert | None,
    rule: Rule,
    verdict: Verdict,
    now: int,
    then: State | None = None,
    most_ms: int = MOST_MS,
) -> Step:
    """Advance one alert by one verdict. `state_at_firing`: the state that today's counts give for the
    moment the alert fired; None: not checked. A clock that goes back adds no time, and notified alerts
    stay as they are until that moment comes again, since the verdict is about an earlier time. (If it went
    back by more than a day, the earlier clock was wrong.)

    >>> from streamer.alerts.rules import rules
    >>> from streamer.settings import Settings
    >>> rule = next(rule for rule in rules(Settings()) if rule.name == "silence")
    >>> verdict = Verdict(kind="silence", key="", state="fires", reason="No contacts since 09:10.")
    >>> first = step(None, rule, verdict, 1_795_255_200_000)
    >>> first.alert.phase, first.notice
    ('pending', None)
    >>> second = step(first.alert, rule, verdict, 1_795_255_260_000)
    >>> second.alert.phase, second.notice.what
    ('firing', 'firing')
    """
    if alert is not None and alert.fired_at is not None and 0 < alert.seen_at - now < DAY:
        return Step(alert)
    if alert is None or alert.phase == "resolved":
        return _quiet(alert, rule, verdict, now)
    passed = min(max(now - alert.seen_at, 0), most_ms)
    alert = msgspec.structs.replace(alert, seen_at=now)
    if alert.phase == "pending":
        return _pending(alert, rule, verdict, passed)
    return _told(alert, rule, verdict, passed, then)


def _quiet(before: Alert | None, rule: Rule, verdict: Verdict, now: int) -> Step:
    if verdict.state != "fires":
        kept = before is not None and now - (before.resolved_at or 0) < KEPT_MS
        return Step(before if kept else None)
    alert = Alert(rule=rule.name, key=verdict.key, phase="pending", began_at=now, seen_at=now)
    return _pending(alert, rule, verdict, 0)


def _pending(alert: Alert, rule: Rule, verdict: Verdict, passed: int) -> Step:
    if verdict.state in ("no_data", "no_baseline"):
        return Step(alert)
    if verdict.state != "fires":
        return Step(None)
    held = alert.held_ms + passed
    if held < rule.for_ms:
        return Step(msgspec.structs.replace(alert, held_ms=held))
    alert = msgspec.structs.replace(alert, phase="firing", held_ms=0, fired_at=alert.seen_at, fired=verdict)
    return Step(alert, _notice(alert, "firing", "due", verdict))


def _told(alert: Alert, rule: Rule, verdict: Verdict, passed: int, then: State | None) -> Step:
    """Advance a firing or clearing alert. Verdicts that may be chance keep an alert; missing data ends
    none."""
    if then is not None and then != "fires" and verdict.state in ("holds", "unclear", "few"):
        return _resolved(alert, verdict, "corrected")
    if verdict.state not in _OVER:
        held = alert.held_ms if verdict.state == "no_data" else 0
        phase: Phase = alert.phase if verdict.state == "no_data" else "firing"
        return Step(msgspec.structs.replace(alert, phase=phase, held_ms=held))
    held = alert.held_ms + passed if alert.phase == "clearing" else 0
    if held >= rule.clear_ms:
        return _resolved(alert, verdict, "closed" if verdict.state == "closed" else "over")
    return Step(msgspec.structs.replace(alert, phase="clearing", held_ms=held))


_OVER: Final = ("holds", "few", "closed", "no_baseline")


def _resolved(alert: Alert, verdict: Verdict, why: Why) -> Step:
    done = msgspec.structs.replace(alert, phase="resolved", held_ms=0, resolved_at=alert.seen_at, why=why)
    return Step(done, _notice(done, "resolved", why, verdict))


def _notice(alert: Alert, what: Literal["firing", "resolved"], why: Why, verdict: Verdict) -> Notice:
    return Notice(id=f"{alert.id}/{what}", alert=alert, what=what, why=why, verdict=verdict)


def withdrawn(alert: Alert, now: int) -> Step:
    """Resolve an alert whose rule or series no longer exists, if it was notified."""
    if alert.fired is None or alert.phase == "resolved":
        return Step(None)
    return _resolved(msgspec.structs.replace(alert, seen_at=now), alert.fired, "over")


# All alerts at once.

Alerts = Mapping[tuple[str, str], Alert]
"""By rule and key."""


def turn(
    alerts: Alerts,
    rules: Sequence[Rule],
    told: Sequence[tuple[Rule, Verdict, State | None]],
    now: int,
    most_ms: int = MOST_MS,
) -> tuple[dict[tuple[str, str], Alert], list[Notice]]:
    """Advance all alerts by the verdicts of one moment. Returns the alerts left and the notices to send. A
    series without a verdict has no data; the alerts of a rule that no longer exists are withdrawn."""
    named = {rule.name: rule for rule in rules}
    steps = {
        (rule.name, verdict.key): step(
            alerts.get((rule.name, verdict.key)), rule, verdict, now, then, most_ms
        )
        for rule, verdict, then in told
    }
    for place, alert in alerts.items():
        if place not in steps:
            rule = named.get(alert.rule)
            steps[place] = step(alert, rule, _nothing(alert, rule), now) if rule else withdrawn(alert, now)
    after = {place: one.alert for place, one in steps.items() if one.alert is not None}
    return after, [one.notice for one in steps.values() if one.notice is not None]


def _nothing(alert: Alert, rule: Rule) -> Verdict:
    return Verdict(kind=rule.kind, key=alert.key, state="few", reason="There is no data.")
