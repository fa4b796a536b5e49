"""Repeated posting of alerts to Alertmanager: all that fire, and those that resolved not long ago."""

import asyncio
from typing import Any, Final

import structlog

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import NOTIFIED_PHASES, AlertState
from streamer.delivery.alertmanager_client import AlertmanagerClient, AlertmanagerUnavailable, alert_payload
from streamer.delivery.timing import DeliveryTiming
from streamer.events.counting_rules import MINUTE

RESEND_INTERVAL_S: Final = 30.0
EXPIRY_MS: Final = 3 * MINUTE
"""Time after its last post at which an alert resolves in Alertmanager: for when no server is left."""
RESOLVED_RESEND_MS: Final = 15 * MINUTE
_log = structlog.get_logger(__name__)


def alerts_to_send(state: AlertState, now_ms: int) -> list[dict[str, Any]]:
    """Return the alerts to post, silenced ones too: Alertmanager holds the same silences itself."""
    payloads = []
    for alert in state.alerts:
        message = state.messages.get(f"{alert.id}/firing")
        if message is None:
            continue
        if alert.phase in NOTIFIED_PHASES:
            payloads.append(alert_payload(alert, message, now_ms + EXPIRY_MS))
        elif alert.resolved_at is not None and now_ms - alert.resolved_at < RESOLVED_RESEND_MS:
            payloads.append(alert_payload(alert, message, alert.resolved_at))
    return payloads


class AlertmanagerResender:
    """Posts alerts while this server is leader: at once on a change, and at least every RESEND_INTERVAL_S."""

    def __init__(
        self, coordinator: AlertCoordinator, alertmanager: AlertmanagerClient, timing: DeliveryTiming
    ) -> None:
        self._coordinator, self._alertmanager, self._timing = coordinator, alertmanager, timing
        self._backoff = timing.backoff()
        self._last_sent: object = None
        self.failure: str | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        changed = self._coordinator.subscribe()
        while True:
            changed.clear()
            await self._wait(
                changed, await self._send() if self._coordinator.is_leader else RESEND_INTERVAL_S
            )

    async def _wait(self, changed: asyncio.Event, delay_s: float) -> None:
        """Wait for `delay_s`, or until the alerts to post change; after a failure no change ends it."""
        timer = asyncio.ensure_future(self._timing.sleep(delay_s))
        try:
            while not timer.done():
                if (
                    self.failure is None
                    and self._coordinator.is_leader
                    and self._fingerprint() != self._last_sent
                ):
                    return
                changed.clear()
                changed_task = asyncio.ensure_future(changed.wait())
                await asyncio.wait({timer, changed_task}, return_when=asyncio.FIRST_COMPLETED)
                changed_task.cancel()
        finally:
            timer.cancel()

    async def _send(self) -> float:
        """Post the alerts; return the seconds until the next post."""
        fingerprint, payloads = (
            self._fingerprint(),
            alerts_to_send(self._coordinator.state, self._timing.clock()),
        )
        try:
            if payloads:
                await self._alertmanager.post_alerts(payloads)
        except AlertmanagerUnavailable as error:
            if self.failure != str(error):
                _log.warning("posting alerts to Alertmanager failed, retrying", reason=str(error))
            self.failure = str(error)
            return min(self._backoff.after_failure(), RESEND_INTERVAL_S)
        if self.failure is not None:
            _log.info("posting alerts to Alertmanager works again")
        self.failure, self._last_sent = None, fingerprint
        self._backoff.reset()
        return RESEND_INTERVAL_S

    def _fingerprint(self) -> object:
        """Return a value that changes whenever the alerts to post do."""
        return [
            (alert.id, alert.phase in NOTIFIED_PHASES)
            for alert in self._coordinator.state.alerts
            if alert.fired_at
        ]
