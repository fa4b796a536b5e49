"""Measure the cost of an event here and in other programs, from the same broker in the same run.

Run as `python -m tests.benchmarks.peers.run PYTHON`, PYTHON being that of an environment with `quixstreams`,
`bytewax` and `confluent-kafka`; prints one JSON object. CPU of each process from its first record to its end.
"""

import argparse
import asyncio
import json
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from streamer.events.counting_rules import HOUR
from streamer.runtime.clock import wall_clock_ms
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics
from tests.benchmarks.center import CALLS, Center, messages
from tests.benchmarks.machine import facts
from tests.benchmarks.records import bare, publish
from tests.benchmarks.throughput import default_parts, say
from tests.benchmarks.worker import CENTER, Worker, watch
from tests.conftest import PARTS

PROGRAMS = ("quix_app", "bytewax_flow")


async def _peer(python: str, name: str, address: str, records: int) -> dict[str, float]:
    say(f"{name}: {records} records")
    program = Path(__file__).with_name(f"{name}.py")
    done = await asyncio.to_thread(
        subprocess.run,
        [python, "-W", "ignore", str(program), address, CALLS, str(records)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name} failed\n{done.stderr[-4000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "cpu_us_per_event": round(found["cpu_s"] / records * 1e6, 2),
        "events_per_s": round(records / found["seconds"]),
    }


async def measure(parts: str, python: str, center: Center) -> dict[str, Any]:
    machine, found = facts(), dict[str, Any]()
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(PARTS[parts].broker())
        redis = await stack.enter_async_context(PARTS[parts].store())
        store = await RedisStore.connect(redis.url, CENTER)
        stack.push_async_callback(store.close)
        await ensure_topics(broker.settings, center.partitions)
        await publish(broker.address, messages(center, wall_clock_ms() - HOUR))
        found["bare"] = (await bare(broker.address, CALLS, center.partitions, center.calls))._asdict()
        async with Worker(broker, redis) as worker:
            found["ours"] = (await watch(store, worker, broker, redis, 0, center.calls)).as_dict()
        for name in PROGRAMS:
            found[name] = await _peer(python, name, broker.address, center.calls)
    return {"machine": machine, "parts": parts, "center": center._asdict(), **found}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers.run", description=__doc__)
    parser.add_argument("python")
    parser.add_argument("--parts", choices=PARTS, default=default_parts())
    parser.add_argument("--calls", type=int, default=60_000)
    given = parser.parse_args()
    center = Center(given.calls, given.calls // 4)
    print(json.dumps(asyncio.run(measure(given.parts, given.python, center)), indent=2))


if __name__ == "__main__":
    main()
