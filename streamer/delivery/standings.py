"""Status of alerts in words: receivers notified, acknowledgement, silence."""

from collections.abc import Iterator, Sequence

from streamer.alerts.rules import Rule
from streamer.alerts.showing.telling import Standing
from streamer.alerts.states import Alert
from streamer.alerts.words import clock
from streamer.delivery.record import Record


def standings(record: Record, rules: Sequence[Rule], now: int, zone: str) -> dict[tuple[str, str], Standing]:
    """Return the status of all alerts of the state, by rule and key. Times are in the time zone `zone`."""
    receivers = {rule.name: rule.tell for rule in rules}
    return {
        place: Standing(
            alert,
            _acknowledged(record, alert, now, zone),
            _silenced(record, alert, now, zone),
            ", ".join(_told(record, alert, receivers.get(alert.rule, ()))) or None,
        )
        for place, alert in record.by_place().items()
    }


def _acknowledged(record: Record, alert: Alert, now: int, zone: str) -> str | None:
    found = record.acknowledged.get(alert.id)
    if found is None:
        return None
    return f"acknowledged by {found.by} at {clock(found.at, now, zone)}{_comment(found.comment)}"


def _silenced(record: Record, alert: Alert, now: int, zone: str) -> str | None:
    found = record.silence(alert.rule, alert.key, now)
    if found is None:
        return None
    return f"silenced by {found.by} until {clock(found.until, now, zone)}{_comment(found.comment)}"


def _comment(text: str) -> str:
    return f" ({text})" if text else ""


def _told(record: Record, alert: Alert, receivers: Sequence[str]) -> Iterator[str]:
    """Yield for each receiver of the rule whether the last message of the alert was sent to it."""
    if alert.fired_at is None:
        return
    message = f"{alert.id}/{'resolved' if alert.phase == 'resolved' else 'firing'}"
    if message in record.held:
        yield "held back by a silence"
        return
    for receiver in receivers:
        waits = message in record.waiting.get(receiver, ())
        yield f"{'waiting for' if waits else 'sent to'} {receiver}"
