"""A year of history counted into an empty store: how long it takes, and what it weighs.

Run as `python -m tests.benchmarks.backfill`; prints one JSON object. Contacts spread evenly over a year,
published with the events' own times; then one worker starts. `seconds` runs from the first commit seen to
the last one, as in `tests.benchmarks.throughput`; `all_s` from the start of the worker's process.
"""

import argparse
import asyncio
import json
import os
import time
from contextlib import AsyncExitStack
from typing import Any

from streamer.events.counting_rules import DAY, HOUR
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics
from tests.benchmarks.center import Center, messages
from tests.benchmarks.machine import busy_times, facts, peak_bytes, reset_busy_times, resident_bytes
from tests.benchmarks.memory import used
from tests.benchmarks.records import publish
from tests.benchmarks.throughput import default_parts, say
from tests.benchmarks.worker import CENTER, Worker, watch
from tests.conftest import PARTS
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

YEAR_MS = 365 * DAY
RETENTION_MS = 400 * DAY


async def measure(parts: str, center: Center) -> dict[str, Any]:
    machine = facts()
    os.environ["STREAMER_RETENTION"] = f"{RETENTION_MS // DAY}d"
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(PARTS[parts].broker())
        redis = await stack.enter_async_context(PARTS[parts].store())
        store = await RedisStore.connect(redis.url, CENTER)
        stack.push_async_callback(store.close)
        counted = await _counted(broker, redis, store, center)
        read = await _read(store, redis)
    return {"machine": machine, "parts": parts, "center": center._asdict(), **counted, **read}


async def _counted(broker: Broker, redis: RedisServer, store: RedisStore, center: Center) -> dict[str, Any]:
    sent = messages(center, wall_clock_ms() - HOUR)
    say(f"publishing {len(sent)} events")
    await ensure_topics(broker.settings, center.partitions, RETENTION_MS)
    began = time.monotonic()
    await publish(broker.address, sent)
    published = time.monotonic() - began
    empty = await used(redis)
    await reset_busy_times(redis)
    say("counting")
    began = time.monotonic()
    async with Worker(broker, redis) as worker:
        seen = await watch(store, worker, broker, redis, 0, len(sent))
        return {
            **seen.as_dict(),
            "all_s": round(time.monotonic() - began, 2),
            "published_s": round(published, 2),
            "worker_rss_bytes": resident_bytes(worker.pid),
            "worker_peak_rss_bytes": peak_bytes(worker.pid),
            "redis_bytes": await used(redis) - empty,
            "redis_blocked_ms": await busy_times(redis),
        }


async def _read(store: RedisStore, redis: RedisServer) -> dict[str, Any]:
    """Time the start of a reader: all hours, then one window of half a year ago."""
    say("reading")
    reader = MetricsReader(store, Settings(center=CENTER, redis=redis.url))
    began, now = time.monotonic(), wall_clock_ms()
    await reader.refresh(now)
    refreshed = time.monotonic()
    at = now - YEAR_MS // 2
    found = reader.readings(
        MetricQuery(metrics=("handle_time_seconds",), windows=("30d",), by="queue", now=now, at=at)
    )
    return {
        "reader_began_s": round(refreshed - began, 2),
        "reader_rss_bytes": resident_bytes(os.getpid()),
        "read_s": round(time.monotonic() - refreshed, 3),
        "queues_read": len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backfill")
    parser.add_argument("--parts", choices=PARTS, default=default_parts())
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=250_000)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    center = Center(given.calls, given.customers, given.agents, seed=given.seed, span_ms=YEAR_MS)
    print(json.dumps(asyncio.run(measure(given.parts, center)), indent=2))


if __name__ == "__main__":
    main()
