"""Runs the alert coordinator and everything that sends its messages; starts and stops them together."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from streamer.delivery.alertmanager import Alertmanager
from streamer.delivery.bell import Bell
from streamer.delivery.caller import Caller
from streamer.delivery.firing import Firing
from streamer.delivery.pauses import Timing
from streamer.delivery.receivers import receivers
from streamer.delivery.record import expired
from streamer.delivery.sender import PATIENCE, Patience, Sender
from streamer.delivery.silencing import Elsewhere, Following, Silencing
from streamer.settings import Settings

TIDIED_S: Final = 60.0
AGAIN_S: Final = 30.0
_log = structlog.get_logger(__name__)
Run = Callable[[], Awaitable[None]]


class Desk:
    """One per server; only the dispatcher of the leader sends anything."""

    def __init__(self, bell: Bell, settings: Settings, timing: Timing, patience: Patience = PATIENCE) -> None:
        self.bell, self._timing, self._caller = bell, timing, Caller()
        self._keep_ms = round(settings.delivery.keep.total_seconds() * 1000)
        self._senders = {
            name: Sender(name, one, bell, timing, patience._replace(keep_ms=self._keep_ms))
            for name, one in receivers(settings, self._caller, timing.clock).items()
        }
        address, via = settings.delivery.alertmanager, settings.delivery.via
        elsewhere = Elsewhere(Alertmanager(address, self._caller), via) if address else None
        self.silencing = Silencing(bell, timing.clock, elsewhere)
        self._endless: list[Run] = [self._tidy]
        if elsewhere is not None:
            self._endless.append(Following(bell, elsewhere, timing).run)
            if elsewhere.via == "api":
                self._endless.append(Firing(bell, elsewhere.alertmanager, timing).run)
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop`. The lease is given up last, so that no other server sends what is under way."""
        ringing = asyncio.create_task(self.bell.run())
        sending = [asyncio.create_task(one.run()) for one in self._senders.values()]
        endless = [asyncio.create_task(self._kept_up(run)) for run in self._endless]
        try:
            await self._ended.wait()
        finally:
            for one in self._senders.values():
                one.end()
            for task in endless:
                task.cancel()
            await asyncio.wait([*sending, *endless])
            self.bell.end()
            await asyncio.wait([ringing])
            await self._caller.close()
        for task in (*sending, ringing):
            task.result()

    def end(self) -> None:
        self._ended.set()

    async def _kept_up(self, run: Run) -> None:
        while True:
            try:
                await run()
            except Exception:
                _log.exception("an alert delivery task failed, restarting it")
                await self._timing.sleep(AGAIN_S)

    async def _tidy(self) -> None:
        """Give up expired messages to receivers that are no longer configured, as for all others."""
        while True:
            await self._timing.sleep(TIDIED_S)
            gone = [name for name in self.bell.record.waiting if name not in self._senders]
            before = self._timing.clock() - self._keep_ms
            for name in gone if self.bell.mine else ():
                await self.bell.change(partial(expired, receiver=name, before=before))
