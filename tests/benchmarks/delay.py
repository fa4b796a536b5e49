"""Measure how long an event takes until a reading shows it."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from streamer.events.counting_rules import SECOND
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.web.reader_refresher import REFRESH_INTERVAL_S
from tests.benchmarks.center import Center, messages
from tests.benchmarks.records import publish_in_time

METRIC = "offered"
"""Every call of the center is one."""
WINDOW = "15m"
_GRACE_S = 30.0
_WARM_S = 2.0


class Seen:
    """A reader as the server has one, and when its total was what."""

    def __init__(self, store: RedisStore, settings: Settings) -> None:
        self._reader = MetricsReader(store, settings)
        self.at: list[float] = []
        self.totals: list[int] = []
        self.refresh_s: list[float] = []

    async def look(self) -> int:
        began = time.monotonic()
        await self._reader.refresh(wall_clock_ms())
        if self.at:  # the first reads everything
            self.refresh_s.append(time.monotonic() - began)
        found = self._reader.readings(MetricQuery(now=wall_clock_ms(), metrics=(METRIC,), windows=(WINDOW,)))
        total = round(found[0].value or 0) if found else 0
        self.at.append(time.monotonic())
        self.totals.append(total)
        return total

    async def until(self, total: int) -> None:
        while await self.look() < total:  # noqa: ASYNC110 - as the server does
            await asyncio.sleep(REFRESH_INTERVAL_S)

    def delays_s(self, published: Sequence[float], before: int) -> list[float]:
        """Delay of the n-th published event: until the total first was at least n. Which of two events in
        different partitions is counted first does not matter to a number."""
        reached = [bisect_left(self.totals, before + number) for number in range(1, len(published) + 1)]
        return [self.at[place] - sent for place, sent in zip(reached, published, strict=True)]


async def delay(
    address: str, store: RedisStore, settings: Settings, center: Center, rate: int, seconds: int
) -> dict[str, Any]:
    """Event to reading, in ms, while `rate` events a second are published. Raises RuntimeError if not
    all arrive. The first two seconds are warming up; `seconds` must be well below the window."""
    total = rate * seconds
    seen = Seen(store, settings)
    before = await seen.look()
    ends = wall_clock_ms() + (seconds + 1) * SECOND
    calls = center._replace(calls=total, seed=center.seed + 1, span_ms=seconds * SECOND, surveyed=0.0)
    sent = messages(calls, ends)
    looking = asyncio.create_task(seen.until(before + total))
    published = await publish_in_time(address, sent)
    try:
        async with asyncio.timeout(_GRACE_S):
            await looking
    except TimeoutError:
        raise RuntimeError(f"{METRIC} stands at {seen.totals[-1]} of {before + total}") from None
    delays = sorted(seen.delays_s(published, before)[round(rate * _WARM_S) :])
    hundredths = quantiles(delays, n=100)
    return {
        "events_per_s": round((total - 1) / (published[-1] - published[0])),
        "events": len(delays),
        "median_ms": round(median(delays) * 1000),
        "p99_ms": round(hundredths[98] * 1000),
        "longest_ms": round(delays[-1] * 1000),
        "refresh_every_ms": round(REFRESH_INTERVAL_S * 1000),
        "refresh_median_ms": round(median(seen.refresh_s) * 1000, 1),
        "refresh_longest_ms": round(max(seen.refresh_s) * 1000, 1),
    }
