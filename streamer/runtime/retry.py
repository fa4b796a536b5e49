"""Retries: exponential backoff, and calls to store and broker repeated until they answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_FIRST_DELAY_S: Final = 0.05
_MAX_DELAY_S: Final = 1.0
_LOG_EVERY: Final = 20
T = TypeVar("T")

log = structlog.get_logger()


class RetryBackoff:
    """Delays between attempts: they double with each failure in a row, from `first_s` up to `max_s`.

    `jitter` returns a number from 0 to 1: the delay is between half of the limit (0) and all of it (1).

    >>> backoff = RetryBackoff(1.0, 60.0)
    >>> [backoff.after_failure() for _ in range(8)]
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    >>> backoff.reset()
    >>> backoff.after_failure(), RetryBackoff(1.0, 60.0, lambda: 0.0).after_failure()
    (1.0, 0.5)
    """

    def __init__(self, first_s: float, max_s: float, jitter: Callable[[], float] = lambda: 1.0) -> None:
        self._first_s, self._max_s, self._jitter = first_s, max_s, jitter
        self._limit_s = first_s

    def after_failure(self) -> float:
        """Count a failure and return the delay in seconds."""
        delay_s = self._limit_s * (1 + self._jitter()) / 2
        self._limit_s = min(2 * self._limit_s, self._max_s)
        return delay_s

    def reset(self) -> None:
        self._limit_s = self._first_s


async def retry_forever(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until store or broker answer, with pauses of 0.05 to 1 s. The call must be safe to
    repeat, as the store's are. Only connection and time-out errors are retried; others are raised.

    >>> async def read_sequence() -> int:
    ...     return 42
    >>> asyncio.run(retry_forever(read_sequence))
    42
    """
    backoff, failure_count = RetryBackoff(_FIRST_DELAY_S, _MAX_DELAY_S), 0
    while True:
        try:
            return await call()
        except (RedisConnectionError, RedisTimeoutError, ConnectionError, TimeoutError, OSError) as error:
            if failure_count % _LOG_EVERY == 0:
                log.warning("retrying: store or broker unavailable", error=str(error) or type(error).__name__)
            await asyncio.sleep(backoff.after_failure())
            failure_count += 1
