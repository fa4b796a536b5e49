"""Here is what Alertmanager is told again and again: all that fires, and for a while what is over."""

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
"""After the last time it is told, an alert is over for Alertmanager: if no server is left to tell it."""
OVER_MS: Final = 15 * MINUTE
_log = structlog.get_logger(__name__)


def firing(record: Record, now: int) -> list[dict[str, Any]]:
    """Also what a silence covers: Alertmanager has its own, and the same."""
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
    """Tells it while it is this server's turn: on news at once, and at least every EVERY_S."""

    def __init__(self, bell: Bell, alertmanager: Alertmanager, timing: Timing) -> None:
        self._bell, self._alertmanager, self._timing = bell, alertmanager, timing
        self._backoff = Backoff(timing.chance)
        self._last: object = None
        self.trouble: str | None = None

    async def run(self) -> None:
        """For ever."""
        news = self._bell.listen()
        while True:
            news.clear()
            await self._rest(news, await self._tell() if self._bell.mine else EVERY_S)

    async def _rest(self, news: asyncio.Event, seconds: float) -> None:
        """So long, or until something else is to be told. After a failure no news makes it sooner."""
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
        """How long to wait then."""
        known, found = self._known(), firing(self._bell.record, self._timing.clock())
        try:
            if found:
                await self._alertmanager.tell(found)
        except AlertmanagerAway as error:
            if self.trouble != str(error):
                _log.warning("Alertmanager cannot be told", reason=str(error))
            self.trouble = str(error)
            return min(self._backoff.after_failure(), EVERY_S)
        if self.trouble is not None:
            _log.info("Alertmanager is told again")
        self.trouble, self._last = None, known
        self._backoff.reset()
        return EVERY_S

    def _known(self) -> object:
        """What tells apart whether there is news."""
        return [(alert.id, alert.phase in TOLD) for alert in self._bell.record.alerts if alert.fired_at]
