"""Measure counting beside an earlier release, in the same run: mixed records, or plain calls.

Run as `python -m tests.benchmarks.former PATH`, where PATH is a checkout of that release; prints one JSON
object. Mixed are calls, surveys, evaluations and values with corrections, tombstones and repetitions, in
three envelopes. Both count the same records from the same broker into an empty Redis each, in turns;
figures are medians of the turns.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from redis.asyncio import Redis

from streamer.demo.event_encoding import SimulatedMessage
from streamer.events.counting_rules import HOUR
from streamer.runtime.clock import wall_clock_ms
from streamer.store.layout import FIRST_GENERATION, LAYOUT_VERSION, layout_key
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics, start_producer
from tests.benchmarks import center
from tests.benchmarks.machine import facts
from tests.benchmarks.records import publish
from tests.benchmarks.throughput import default_parts, say
from tests.benchmarks.worker import CENTER, Counters, Worker, watch
from tests.conftest import PARTS
from tests.faults import traffic
from tests.faults.kafka_log import send
from tests.parts.broker import Broker

_AT_ONCE = 2_000


class FormerCounters:
    """Counters in the former layout."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def counters(self) -> dict[str, int]:
        found = await self._client.hgetall(
            layout_key(CENTER, f"{FIRST_GENERATION}:counts", LAYOUT_VERSION - 1)
        )  # type: ignore[misc]
        return {name.decode(): int(amount) for name, amount in found.items()}


def mixed(number: int) -> Iterator[SimulatedMessage]:
    """Without what is rejected: an earlier release wrote dead letters in another way."""
    bad = {value for _, value in traffic.BAD}
    found = traffic.messages(wall_clock_ms(), seed=1)
    return islice((message for message in found if message.value not in bad), number)


async def _publish(broker: Broker, load: str, number: int) -> int:
    if load == "calls":
        plain = center.messages(center.Center(number, number // 4), wall_clock_ms() - HOUR)
        await publish(broker.address, plain)
        return len(plain)
    to, sent = await start_producer(broker.settings), 0
    try:
        messages = mixed(number)
        while some := [*islice(messages, _AT_ONCE)]:
            await send(to, some)
            sent += len(some)
    finally:
        await to.stop()
    return sent


async def _count(parts: str, broker: Broker, path: Path | None, turn: int, total: int) -> dict[str, Any]:
    """Count with the release at `path`; None: with this one."""
    say(f"counting {total} records: {path or 'this one'}, turn {turn + 1}")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(PARTS[parts].store())
        group = f"{'former' if path else 'ours'}-{turn}"
        worker = await stack.enter_async_context(Worker(broker, redis, group=group, path=path))
        counters: Counters
        if path is None:
            store = await RedisStore.connect(redis.url, CENTER)
            stack.push_async_callback(store.close)
            counters = store
        else:
            counters = FormerCounters(await stack.enter_async_context(redis.client()))
        return (await watch(counters, worker, broker, redis, 0, total)).as_dict()


async def measure(parts: str, path: Path, load: str, number: int, turns: int) -> dict[str, Any]:
    machine, found = facts(), dict[str, list[dict[str, Any]]](former=[], ours=[])
    async with PARTS[parts].broker() as broker:
        await ensure_topics(broker.settings, traffic.PARTITIONS)
        total = await _publish(broker, load, number)
        for turn in range(turns):
            found["former"].append(await _count(parts, broker, path, turn, total))
            found["ours"].append(await _count(parts, broker, None, turn, total))
    names = ("worker_cpu_us_per_event", "redis_cpu_us_per_event", "events_per_s")
    medians = {who: {name: _median(runs, name) for name in names} for who, runs in found.items()}
    ratios = {name: round(medians["ours"][name] / medians["former"][name], 3) for name in names}
    return {"machine": machine, "parts": parts, "load": load, "records": total, **medians, "ratios": ratios}


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return float(median(run[name] for run in runs))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.former", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--parts", choices=PARTS, default=default_parts())
    parser.add_argument("--load", choices=("mixed", "calls"), default="mixed")
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    path = given.path.resolve(strict=True)
    print(
        json.dumps(asyncio.run(measure(given.parts, path, given.load, given.records, given.turns)), indent=2)
    )


if __name__ == "__main__":
    main()
