"""Retries: exponential backoff, and calls to store and broker repeated until they answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final, TypeVar

import structlog

from streamer.runtime.redis_errors import redis_error_text, redis_unavailability

_FIRST_DELAY_S: Final = 0.05
_MAX_DELAY_S: Final = 1.0
BROKER: Final = "broker"
"""Reason of calls that wait for Kafka."""
_UNREACHABLE: Final = frozenset(("connection", "timeout", BROKER))
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


class Outages:
    """Calls that wait for store or broker, by reason. Says in the log when one begins to wait, every
    `remind_s` while any waits, and when none does any more."""

    def __init__(self, now_s: Callable[[], float], pause_s: float = 10.0, remind_s: float = 60.0) -> None:
        self._now_s, self._pause_s, self._remind_s = now_s, pause_s, remind_s
        self._waiting: Counter[str] = Counter()
        self._reported_s: dict[str, float] = {}
        self._has_reported = False

    def reasons(self) -> frozenset[str]:
        """Return the reasons why calls wait now."""
        return frozenset(dict(self._waiting))

    def failed(self, reason: str, earlier_reason: str | None, error: BaseException) -> None:
        """Note a failed attempt of a call; `earlier_reason`: that of the attempt before."""
        is_new = reason not in self._waiting
        if reason != earlier_reason:
            self._waiting[reason] += 1
            self._end(earlier_reason)
        silent_s = self._now_s() - self._reported_s.get(reason, -inf)
        if silent_s >= (self._pause_s if is_new else self._remind_s):
            self._reported_s[reason], self._has_reported = self._now_s(), True
            part = "broker" if reason == BROKER else "store"
            log.warning(f"retrying: {part} unavailable", reason=reason, error=redis_error_text(error))

    def ended(self, reason: str | None) -> None:
        """Note that a call waits no more."""
        self._end(reason)
        if reason is not None and not self._waiting and self._has_reported:
            self._has_reported = False
            log.info("store and broker answer again")

    def _end(self, reason: str | None) -> None:
        if reason is not None:
            self._waiting[reason] -= 1
            self._waiting += Counter()  # drops zeros


OUTAGES: Final = Outages(time.monotonic)
"""Those of this process."""


def unavailability(error: BaseException) -> str | None:
    """Return the reason why store or broker cannot answer now; None for an error that waiting does not mend.

    >>> unavailability(ConnectionError("Kafka")), unavailability(KeyError("nps"))
    ('broker', None)
    """
    return redis_unavailability(error) or (BROKER if isinstance(error, OSError) else None)


async def retry_forever(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until store or broker answer, with pauses of 0.05 to 1 s. The call must be safe to
    repeat, as the store's are. Other errors than "not now" are raised.

    >>> async def read_sequence() -> int:
    ...     return 42
    >>> asyncio.run(retry_forever(read_sequence))
    42
    """
    return await _retry(call, frozenset())


async def retry_refused(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call as long as Redis answers "not now". If it cannot be reached, the error is raised: for
    starts and for commands, where somebody reads it."""
    return await _retry(call, _UNREACHABLE)


async def _retry(call: Callable[[], Awaitable[T]], raised_reasons: frozenset[str]) -> T:
    backoff, reason = RetryBackoff(_FIRST_DELAY_S, _MAX_DELAY_S), None
    try:
        while True:
            try:
                return await call()
            except Exception as error:
                earlier_reason, reason = reason, unavailability(error)
                if reason is None or reason in raised_reasons:
                    reason = earlier_reason
                    raise
                OUTAGES.failed(reason, earlier_reason, error)
            await asyncio.sleep(backoff.after_failure())
    finally:
        OUTAGES.ended(reason)
