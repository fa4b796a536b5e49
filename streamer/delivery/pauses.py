"""Here is how long one waits after a failure, and whose time that is."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

FIRST_S: Final = 1.0
LONGEST_S: Final = 60.0
MOST_S: Final = 3600.0
"""Longer nobody waits, whatever is asked for."""


class Timing(NamedTuple):
    """`clock` in ms since the epoch; `chance` from 0 to 1, so that those who failed together do not come back
    together."""

    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class Backoff:
    """Twice as long after each failure in a row, up to LONGEST_S, and between half of that and all of it."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance, self._failures = chance, 0

    def after_failure(self, asked_s: float | None = None) -> float:
        """Seconds, and no fewer than the other side asked for."""
        longest = min(FIRST_S * 2.0 ** min(self._failures, 16), LONGEST_S)
        self._failures += 1
        return min(max(longest * (1 + self._chance()) / 2, asked_s or 0.0), MOST_S)

    def reset(self) -> None:
        self._failures = 0


async def within(timing: Timing, seconds: float, work: Coroutine[Any, Any, T]) -> T | None:
    """What came of it; None: it took longer, and was given up."""
    working, limit = asyncio.ensure_future(work), asyncio.ensure_future(timing.sleep(seconds))
    try:
        await asyncio.wait({working, limit}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        limit.cancel()
        await asyncio.wait({working, limit})
