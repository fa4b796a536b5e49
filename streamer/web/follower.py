"""Refreshes a reader regularly, also while the store fails, and wakes those who wait for news."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from streamer.readings.reader import Reader

Clock = Callable[[], int]
"""Now, in ms since the epoch."""
EVERY_S: Final = 0.05
LONGEST_S: Final = 5.0
"""Between two attempts while the store is away."""

_log = structlog.get_logger(__name__)


class News:
    """Wakes all who wait."""

    def __init__(self) -> None:
        self._come = asyncio.Event()

    def tell(self) -> None:
        self._come.set()
        self._come = asyncio.Event()

    async def wait(self, longest_s: float) -> None:
        """Return when there are news, or after so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._come.wait(), longest_s)


class Follower:
    """Refreshes a reader. `news`: told whenever numbers changed. `failure`: why the last attempt failed, and
    `failed_at`, in ms since the epoch, the first of those in a row that did; None if it did not."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._pause_s = EVERY_S
        self._ended = asyncio.Event()
        self.news = News()
        self.failure: str | None = None
        self.failed_at: int | None = None

    async def run(self) -> None:
        """Until `end`."""
        while not self._ended.is_set():
            await self.once()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._pause_s)

    def end(self) -> None:
        """After the refresh under way. Cancelling would not do: a client may turn that into an error of
        its own, which here is one more failure of the store."""
        self._ended.set()

    async def once(self) -> None:
        try:
            has_changed = await self._reader.refresh(self._clock())
        except Exception as error:  # whatever the store raises: the server shows old data as old
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self._recovered()
            if has_changed:
                self.news.tell()

    def _failed(self, failure: str) -> None:
        if self.failure is None:
            _log.warning("the store cannot be read; the numbers grow old", error=failure)
            self.failed_at = self._clock()
        self.failure = failure
        self._pause_s = min(LONGEST_S, 2 * self._pause_s)

    def _recovered(self) -> None:
        if self.failure is not None:
            _log.info("the store can be read again")
        self.failure, self.failed_at, self._pause_s = None, None, EVERY_S
