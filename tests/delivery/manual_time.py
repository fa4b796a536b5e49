"""Clock that advances only when a test says so, while everything else is real."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from streamer.delivery.timing import DeliveryTiming
from tests.delivery.alert_samples import NOW


class PendingSleep(NamedTuple):
    until: float
    seconds: float
    woken: asyncio.Future[None]


class ManualTime:
    """Clock and sleep of a test; `now` is in seconds since it began."""

    def __init__(self, began: int = NOW) -> None:
        self.now, self._began = 0.0, began
        self._sleepers: list[PendingSleep] = []
        self._changed = asyncio.Event()

    def clock(self) -> int:
        return self._began + round(self.now * 1000)

    async def sleep(self, seconds: float) -> None:
        sleeper = PendingSleep(self.now + seconds, seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await sleeper.woken
        finally:
            self._sleepers.remove(sleeper)

    @property
    def timing(self) -> DeliveryTiming:
        """Timing without randomness: always the longest delay."""
        return DeliveryTiming(self.clock, self.sleep, lambda: 1.0)

    async def wait_for_sleep(self, matches: Callable[[float], bool]) -> float:
        """Wait for a sleeper whose seconds match; return how long it sleeps."""
        async with asyncio.timeout(30):
            while True:
                self._changed.clear()
                for pending in self._sleepers:
                    if matches(pending.seconds) and not pending.woken.done():
                        return pending.seconds
                await self._changed.wait()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for pending in self._sleepers:
            if pending.until <= self.now + 1e-9 and not pending.woken.done():
                pending.woken.set_result(None)
