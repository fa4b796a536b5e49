"""Measure what plain counters of many queues cost Redis and one server that reads them.

Run as `python -m tests.benchmarks.counters [QUEUES] [SECONDS]`; prints one JSON object. Every queue was
counted once; then one server follows the store, and nothing else happens ("quiet"), or every 100 ms one
segment of one queue is counted, and counters are merged as a worker does ("trickle"). CPU is that of Redis
and of this process as a share of the time, with the bytes that Redis sent.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from streamer.metrics.counters import merge_counters, pack_counters
from streamer.panes.pane_keys import COUNTERS
from streamer.readings.prometheus import ExportSelection, PrometheusExporter
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.port import EMPTY_STORE, Commit, Heartbeat, LogPosition, Partition
from streamer.store.redis import RedisStore
from streamer.web.reader_refresher import ReaderRefresher
from streamer.worker.pipeline import COMPACT_ORDERED_FROM_DELTAS
from tests.parts.redis_server import RedisServer

CALLS = Partition("call-completed", 0)
BOUNDS = ("15", "60", "240", "+Inf")


def amounts(queue: str) -> dict[str, int]:
    outcomes = ("answered", "abandoned", "timeout")
    found = {f"segments\x1f{queue}\x1fvoice\x1f{outcome}": 1 for outcome in outcomes}
    found |= {f"handle\x1f{queue}\x1f{bound}": 1 for bound in BOUNDS}
    found |= {f"answers\x1f{queue}\x1fnps\x1f{score}": 2 for score in range(6, 11)}
    return found | {f"handle_ms\x1f{queue}": 1, "events\x1fcall-completed\x1fapplied": 1}


class Writer:
    def __init__(self, store: RedisStore) -> None:
        self.store, self.position, self.written = store, LogPosition("e", 0, bytes(8)), 0

    async def write(self, counts: dict[str, int]) -> None:
        start = self.position
        self.position = LogPosition("e", start.next + 1, os.urandom(8))
        deltas = {COUNTERS: pack_counters(counts)}
        await self.store.commit(
            Commit(CALLS, "e", start.next, self.position, EMPTY_STORE, (), {}, deltas), wall_clock_ms()
        )
        self.written += 1

    async def trickle(self) -> None:
        while True:
            await self.write(amounts(f"queue {self.written % 500}"))
            if self.written % COMPACT_ORDERED_FROM_DELTAS == 0:
                await self.store.compact(COUNTERS, merge_counters)
            await asyncio.sleep(0.1)


async def measure(client: Any, seconds: float) -> dict[str, float]:
    def used(info: dict[str, Any]) -> float:
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    before, own, start = await client.info(), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    after, passed = await client.info(), time.monotonic() - start
    return {
        "redis_cpu": round((used(after) - used(before)) / passed, 4),
        "server_cpu": round((time.process_time() - own) / passed, 4),
        "sent_kb_s": round(
            (after["total_net_output_bytes"] - before["total_net_output_bytes"]) / passed / 1000, 1
        ),
    }


async def run(queues: int, seconds: float) -> dict[str, Any]:
    server = RedisServer()
    await server.start()
    try:
        store = await RedisStore.connect(server.url, "default")
        writer = Writer(store)
        await store.move(CALLS, None, writer.position)
        for queue in range(queues):
            await writer.write(amounts(f"queue {queue}"))
            if queue % 500 == 499:
                await store.compact(COUNTERS, merge_counters)
        await store.beat({CALLS: Heartbeat(wall_clock_ms(), 0, wall_clock_ms())})
        reader = MetricsReader(await RedisStore.connect(server.url, "default"), Settings())
        refresher = ReaderRefresher(reader, wall_clock_ms)
        await refresher.refresh_once()
        following = asyncio.create_task(refresher.run())
        found: dict[str, Any] = {
            "queues": queues,
            "stored_bytes": sum(map(len, await store.client.hvals(store.prefix + b"c:0"))),
            "names": len(reader.counters),
            "quiet": await measure(store.client, seconds),
        }
        writing = asyncio.create_task(writer.trickle())
        found["trickle"] = await measure(store.client, seconds)
        exporter = PrometheusExporter(reader)
        text = exporter.render(
            ExportSelection(("15m", "1h", "today"), agents=False), wall_clock_ms()
        ).decode()
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        found["series"] = len(lines)
        found["of_all"] = sum('by="all"' in line for line in lines)
        writing.cancel()
        refresher.stop()
        await following
    finally:
        await server.stop()
    return found


if __name__ == "__main__":
    many, span = (int(value) for value in (sys.argv[1:] + ["5000", "10"][len(sys.argv) - 1 :])[:2])
    print(json.dumps(asyncio.run(run(many, span)), indent=1))
