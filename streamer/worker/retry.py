"""Repeat calls to store and broker until they answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOG_EVERY: Final = 20
T = TypeVar("T")

log = structlog.get_logger()


async def retry_forever(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until store or broker answer, with pauses of 0.05 to 1 s. The call must be safe to
    repeat, as the store's are. Only connection and time-out errors are retried; others are raised.

    >>> async def read_sequence() -> int:
    ...     return 42
    >>> asyncio.run(retry_forever(read_sequence))
    42
    """
    attempt = 0
    while True:
        try:
            return await call()
        except (RedisConnectionError, RedisTimeoutError, ConnectionError, TimeoutError, OSError) as error:
            if attempt % _LOG_EVERY == 0:
                log.warning("retrying: store or broker unavailable", error=str(error) or type(error).__name__)
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
