"""Clock that advances only when a test says so, while everything else is real."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from streamer.delivery.pauses import Timing
from tests.delivery.said import NOW


class Sleeper(NamedTuple):
    until: float
    seconds: float
    woken: asyncio.Future[None]


class Time:
    """Clock and sleep of a test; `now` is in seconds since it began."""

    def __init__(self, began: int = NOW) -> None:
        self.now, self._began = 0.0, began
        self._sleepers: list[Sleeper] = []
        self._changed = asyncio.Event()

    def clock(self) -> int:
        return self._began + round(self.now * 1000)

    async def sleep(self, seconds: float) -> None:
        sleeper = Sleeper(self.now + seconds, seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await sleeper.woken
        finally:
            self._sleepers.remove(sleeper)

    @property
    def timing(self) -> Timing:
        """Timing without randomness: always the longest delay."""
        return Timing(self.clock, self.sleep, lambda: 1.0)

    async def asleep(self, who: Callable[[float], bool]) -> float:
        """Wait for a sleeper whose seconds match; return how long it sleeps."""
        async with asyncio.timeout(30):
            while True:
                self._changed.clear()
                for one in self._sleepers:
                    if who(one.seconds) and not one.woken.done():
                        return one.seconds
                await self._changed.wait()

    def passes(self, seconds: float) -> None:
        self.now += seconds
        for one in self._sleepers:
            if one.until <= self.now + 1e-9 and not one.woken.done():
                one.woken.set_result(None)
