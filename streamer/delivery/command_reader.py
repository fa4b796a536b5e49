"""Open the readings of a center for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import StoreClock
from streamer.settings import Settings
from streamer.store.redis import RedisStore


class OpenReader(NamedTuple):
    """A reader that has read the store as of `now_ms`, by the store's clock."""

    store: RedisStore
    reader: MetricsReader
    now_ms: int


@asynccontextmanager
async def open_reader(settings: Settings, now_ms: int) -> AsyncIterator[OpenReader]:
    """Connect to the store and read it once; `now_ms` by the own clock. Raises redis-py's errors."""
    store = await RedisStore.connect(settings.redis_url(), settings.center)
    try:
        clock, reader = StoreClock(store.time_ms), MetricsReader(store, settings)
        await clock.synchronize()
        now_ms -= clock.ahead_ms
        await reader.refresh(now_ms)
        yield OpenReader(store, reader, now_ms)
    finally:
        await store.close()
