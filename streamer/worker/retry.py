"""Calls to the infrastructure that are sent again until it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOGGED_EVERY: Final = 20
T = TypeVar("T")

log = structlog.get_logger()


async def retry_forever(call: Callable[[], Awaitable[T]]) -> T:
    """Call until store or broker answer; the same call is sent again, the store's comparison makes that safe.
    An error that is an answer is raised."""
    attempt = 0
    while True:
        try:
            return await call()
        except (RedisConnectionError, RedisTimeoutError, ConnectionError, TimeoutError, OSError) as error:
            if attempt % _LOGGED_EVERY == 0:
                log.warning("retrying: store or broker unavailable", error=str(error) or type(error).__name__)
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
