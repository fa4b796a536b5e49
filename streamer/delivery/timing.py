"""Clock, sleep and jitter of delivery, and a time limit, all of which tests can replace."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

from streamer.runtime.clock import Clock
from streamer.runtime.retry import RetryBackoff

T = TypeVar("T")

FIRST_DELAY_S: Final = 1.0
MAX_DELAY_S: Final = 60.0


class DeliveryTiming(NamedTuple):
    """Clock, sleep and jitter of delivery, replaceable in tests.

    `jitter` returns a number from 0 to 1: senders that failed at the same time do not retry at the same time.
    """

    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random

    def backoff(self) -> RetryBackoff:
        return RetryBackoff(FIRST_DELAY_S, MAX_DELAY_S, self.jitter)


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
