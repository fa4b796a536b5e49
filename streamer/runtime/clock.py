"""The wall clock, and the clock of the store, by which processes on several machines agree. Only the edges
read them; everything else is given a time or a `Clock`."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

Clock = Callable[[], int]
"""Returns the current time in ms since the epoch."""
MAX_CLOCK_SKEW_MS: Final = 2_000
"""Clocks further apart are reported."""

log = structlog.get_logger()


def wall_clock_ms() -> int:
    """Return the current time in ms since the epoch."""
    return time.time_ns() // 1_000_000


class StoreClock:
    """Clock of the store, as this process knows it: its own clock, less `ahead_ms`, by which that was ahead
    when both were last compared.

    >>> import asyncio
    >>> async def read_store_time() -> int:
    ...     return 5_000
    >>> clock = StoreClock(read_store_time, lambda: 6_500)
    >>> clock()
    6500
    >>> asyncio.run(clock.synchronize())
    >>> clock(), clock.ahead_ms
    (5000, 1500)
    """

    def __init__(
        self, read_time: Callable[[], Awaitable[int | None]], own_clock: Clock = wall_clock_ms
    ) -> None:
        """`read_time` reads the store's time (ms); it returns None if the store has no clock of its own."""
        self._read_time, self._own_clock = read_time, own_clock
        self.ahead_ms = 0
        self._is_reported = False

    def __call__(self) -> int:
        return self._own_clock() - self.ahead_ms

    async def synchronize(self) -> None:
        """Compare the clocks. Raises errors of the store."""
        before_ms = self._own_clock()
        store_ms = await self._read_time()
        if store_ms is not None:
            self.ahead_ms = (before_ms + self._own_clock()) // 2 - store_ms
        is_skewed = abs(self.ahead_ms) > MAX_CLOCK_SKEW_MS
        if is_skewed and not self._is_reported:
            log.warning(
                "this machine's clock differs from that of Redis, which is used instead: synchronize both",
                ahead_s=self.ahead_ms / 1000,
            )
        self._is_reported = is_skewed
