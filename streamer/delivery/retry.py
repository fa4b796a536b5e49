"""Retry delays with backoff and jitter, and a time limit, on a clock that tests can replace."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

T = TypeVar("T")

FIRST_DELAY_S: Final = 1.0
MAX_DELAY_S: Final = 60.0
MAX_REQUESTED_DELAY_S: Final = 3600.0
"""Upper limit of any delay, whatever Retry-After asks for."""


class DeliveryTiming(NamedTuple):
    """Clock, sleep and jitter of delivery, replaceable in tests.

    `clock` returns ms since the epoch. `jitter` returns a number from 0 to 1: senders that failed at the same
    time do not retry at the same time.
    """

    clock: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


class RetryBackoff:
    """Exponential backoff: the limit doubles with each failure in a row, up to MAX_DELAY_S.

    The delay is between half of the limit and all of it.

    >>> backoff = RetryBackoff(lambda: 1.0)
    >>> [backoff.after_failure() for _ in range(8)]
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    >>> backoff.reset()
    >>> backoff.after_failure(47)
    47
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter, self._failures = jitter, 0

    def after_failure(self, requested_s: float | None = None) -> float:
        """Count a failure and return the delay in seconds: no less than the other side asked for."""
        longest_s = min(FIRST_DELAY_S * 2.0 ** min(self._failures, 16), MAX_DELAY_S)
        self._failures += 1
        return min(max(longest_s * (1 + self._jitter()) / 2, requested_s or 0.0), MAX_REQUESTED_DELAY_S)

    def reset(self) -> None:
        self._failures = 0


async def run_with_timeout(
    timing: DeliveryTiming, timeout_s: float, work: Coroutine[Any, Any, T]
) -> T | None:
    """Await `work`; return its result, or None if it took longer than the limit and was cancelled."""
    work_task, timer_task = asyncio.ensure_future(work), asyncio.ensure_future(timing.sleep(timeout_s))
    try:
        await asyncio.wait({work_task, timer_task}, return_when=asyncio.FIRST_COMPLETED)
        return work_task.result() if work_task.done() else None
    finally:
        work_task.cancel()
        timer_task.cancel()
        await asyncio.wait({work_task, timer_task})
