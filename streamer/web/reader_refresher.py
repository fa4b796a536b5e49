"""Refresh a reader at regular intervals, also while the store fails, and wake those who wait for changes."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock
from streamer.runtime.retry import RetryBackoff

REFRESH_INTERVAL_S: Final = 0.05
MAX_RETRY_PAUSE_S: Final = 5.0
"""Longest pause between two attempts while the store fails."""

_log = structlog.get_logger(__name__)


class ChangeNotifier:
    """Wake every waiting task at once when data changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next change, or after `longest_s`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)


class ReaderRefresher:
    """Refresh a reader every REFRESH_INTERVAL_S, more slowly while the store fails.

    `change_notifier` is notified whenever numbers changed. `failure` is the reason of the last failure, and
    `failed_at` (ms since the epoch) the first failure in a row; both are None after a success."""

    def __init__(self, reader: MetricsReader, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._pause_s = REFRESH_INTERVAL_S
        self._backoff = RetryBackoff(2 * REFRESH_INTERVAL_S, MAX_RETRY_PAUSE_S)
        self._ended = asyncio.Event()
        self.change_notifier = ChangeNotifier()
        self.failure: str | None = None
        self.failed_at: int | None = None

    async def run(self) -> None:
        """Refresh until `stop` is called."""
        while not self._ended.is_set():
            await self.refresh_once()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._pause_s)

    def stop(self) -> None:
        """Stop after the refresh under way. Cancelling is not enough: a client library may turn the
        cancellation into an error of its own, which counts here as one more failure of the store."""
        self._ended.set()

    async def refresh_once(self) -> None:
        try:
            has_changed = await self._reader.refresh(self._clock())
        except Exception as error:  # whatever the store raises: the server shows the data with its age
            self._record_failure(f"{type(error).__name__}: {error}")
        else:
            self._record_success()
            if has_changed:
                self.change_notifier.notify()

    def _record_failure(self, failure: str) -> None:
        if self.failure is None:
            _log.warning("reading from Redis failed, serving stale data", error=failure)
            self.failed_at = self._clock()
        self.failure = failure
        self._pause_s = self._backoff.after_failure()

    def _record_success(self) -> None:
        if self.failure is not None:
            _log.info("reading from Redis works again")
        self.failure, self.failed_at, self._pause_s = None, None, REFRESH_INTERVAL_S
        self._backoff.reset()
