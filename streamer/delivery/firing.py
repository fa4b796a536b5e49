"""Repeated posting of alerts to Alertmanager: all that fire, and those that resolved not long ago."""

import asyncio
from typing import Any, Final

import structlog

from streamer.delivery.alertmanager import Alertmanager, AlertmanagerAway, told
from streamer.delivery.bell import Bell
from streamer.delivery.pauses import Backoff, Timing
from streamer.delivery.record import TOLD, Record
from streamer.events.rules import MINUTE

EVERY_S: Final = 30.0
EXPIRES_MS: Final = 3 * MINUTE
"""Time after its last post at which an alert resolves in Alertmanager: for when no server is left."""
OVER_MS: Final = 15 * MINUTE
_log = structlog.get_logger(__name__)


def firing(record: Record, now: int) -> list[dict[str, Any]]:
    """Return the alerts to post, silenced ones too: Alertmanager holds the same silences itself."""
    found = []
    for alert in record.alerts:
        message = record.messages.get(f"{alert.id}/firing")
        if message is None:
            continue
        if alert.phase in TOLD:
            found.append(told(alert, message, now + EXPIRES_MS))
        elif alert.resolved_at is not None and now - alert.resolved_at < OVER_MS:
            found.append(told(alert, message, alert.resolved_at))
    return found


class Firing:
    """Posts alerts while this server is leader: at once on a change, and at least every RESEND_INTERVAL_S."""

    def __init__(self, bell: Bell, alertmanager: Alertmanager, timing: Timing) -> None:
        self._bell, self._alertmanager, self._timing = bell, alertmanager, timing
        self._backoff = Backoff(timing.chance)
        self._last: object = None
        self.trouble: str | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        news = self._bell.listen()
        while True:
            news.clear()
            await self._rest(news, await self._tell() if self._bell.mine else EVERY_S)

    async def _rest(self, news: asyncio.Event, seconds: float) -> None:
        """Wait for `delay_s`, or until the alerts to post change; after a failure no change ends it."""
        timer = asyncio.ensure_future(self._timing.sleep(seconds))
        try:
            while not timer.done():
                if self.trouble is None and self._bell.mine and self._known() != self._last:
                    return
                news.clear()
                heard = asyncio.ensure_future(news.wait())
                await asyncio.wait({timer, heard}, return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()
        finally:
            timer.cancel()

    async def _tell(self) -> float:
        """Post the alerts; return the seconds until the next post."""
        known, found = self._known(), firing(self._bell.record, self._timing.clock())
        try:
            if found:
                await self._alertmanager.tell(found)
        except AlertmanagerAway as error:
            if self.trouble != str(error):
                _log.warning("posting alerts to Alertmanager failed, retrying", reason=str(error))
            self.trouble = str(error)
            return min(self._backoff.after_failure(), EVERY_S)
        if self.trouble is not None:
            _log.info("posting alerts to Alertmanager works again")
        self.trouble, self._last = None, known
        self._backoff.reset()
        return EVERY_S

    def _known(self) -> object:
        """Return a value that changes whenever the alerts to post do."""
        return [(alert.id, alert.phase in TOLD) for alert in self._bell.record.alerts if alert.fired_at]
