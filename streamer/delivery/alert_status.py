"""Status of alerts in words: receivers notified, acknowledgement, silence."""

from collections.abc import Iterator, Sequence

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.formatting import clock
from streamer.alerts.reports.text_output import AlertStatus
from streamer.alerts.states import Alert
from streamer.delivery.alert_state import AlertState


def describe_alerts(
    state: AlertState, rules: Sequence[AlertRule], now_ms: int, zone: str
) -> dict[tuple[str, str], AlertStatus]:
    """Return the status of all alerts of the state, by rule and key. Times are in the time zone `zone`."""
    receivers = {rule.name: rule.tell for rule in rules}
    return {
        group: AlertStatus(
            alert,
            _acknowledgement_text(state, alert, now_ms, zone),
            _silence_text(state, alert, now_ms, zone),
            ", ".join(_receiver_texts(state, alert, receivers.get(alert.rule, ()))) or None,
        )
        for group, alert in state.alerts_by_group().items()
    }


def _acknowledgement_text(state: AlertState, alert: Alert, now_ms: int, zone: str) -> str | None:
    acknowledgement = state.acknowledged.get(alert.id)
    if acknowledgement is None:
        return None
    return (
        f"acknowledged by {acknowledgement.by} at {clock(acknowledgement.at, now_ms, zone)}"
        f"{_comment_suffix(acknowledgement.comment)}"
    )


def _silence_text(state: AlertState, alert: Alert, now_ms: int, zone: str) -> str | None:
    silence = state.active_silence(alert.rule, alert.key, now_ms)
    if silence is None:
        return None
    return (
        f"silenced by {silence.by} until {clock(silence.until, now_ms, zone)}"
        f"{_comment_suffix(silence.comment)}"
    )


def _comment_suffix(text: str) -> str:
    return f" ({text})" if text else ""


def _receiver_texts(state: AlertState, alert: Alert, receivers: Sequence[str]) -> Iterator[str]:
    """Yield for each receiver of the rule whether the last message of the alert was sent to it."""
    if alert.fired_at is None:
        return
    message_id = f"{alert.id}/{'resolved' if alert.phase == 'resolved' else 'firing'}"
    if message_id in state.held:
        yield "held back by a silence"
        return
    for receiver in receivers:
        is_waiting = message_id in state.waiting.get(receiver, ())
        yield f"{'waiting for' if is_waiting else 'sent to'} {receiver}"
