"""Measure the speed of one `streamer ingest`: with a source that is published as it comes, and with one whose
contacts take three records each.

Run as `python -m tests.benchmarks.ingest`; prints one JSON object. Timed from the first commit seen to the
last; the process reads all its partitions, the broker and the store run beside it.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from streamer.panes.pane_keys import SEPARATOR
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import KafkaSettings
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics, start_producer
from tests.benchmarks.machine import cpu_seconds, facts
from tests.conftest import PARTS
from tests.ingest.command_process import CommandProcess

_POLL_S = 0.05
_IN_FLIGHT = 5_000
ASKED = ("delighted", "asterisk-queue-log")


def payloads(source: str, now_s: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, without end: what belongs together has one key, and so one partition."""
    number = 0
    while True:
        number += 1
        at = now_s - number % 36_000 - 1_000
        key = b"%d" % number
        if source == "delighted":
            about = {"contact_id": f"call-{number}", "queue": "billing", "locale": "en"}
            body = {"id": f"r-{number}", "person": f"c-{number % 5_000}", "score": number % 11}
            text = {"comment": "I had to wait for long, but then she was a great help to me."}
            yield key, json.dumps(body | text | {"created_at": at, "person_properties": about}).encode()
        else:
            caller = f"+3460000{number % 5_000:04}"
            yield key, f"{at}|call-{number}|billing|NONE|ENTERQUEUE||{caller}|1".encode()
            yield key, f"{at + 9}|call-{number}|billing|SIP/17|CONNECT|9|member|3".encode()
            yield key, f"{at + 99}|call-{number}|billing|SIP/17|COMPLETECALLER|9|90|1".encode()


async def publish(address: str, topic: str, sent: Sequence[tuple[bytes, bytes]]) -> None:
    to = await start_producer(KafkaSettings(bootstrap_servers=address), linger_ms=20)
    try:
        for first in range(0, len(sent), _IN_FLIGHT):
            written = [await to.send(topic, value, key) for key, value in sent[first : first + _IN_FLIGHT]]
            await asyncio.gather(*written)
    finally:
        await to.stop()


async def taken(store: RedisStore, topic: str) -> int:
    start = SEPARATOR.join(("events", topic, ""))
    return sum(amount for name, amount in (await store.counters()).items() if name.startswith(start))


async def watch(process: CommandProcess, store: RedisStore, topic: str, total: int) -> dict[str, Any]:
    """Watch from the first commit seen until all is read."""
    while not (first := await taken(store, topic)):  # noqa: ASYNC110 - the store tells nobody
        await asyncio.sleep(_POLL_S)
    began, cpu = time.perf_counter(), cpu_seconds(process.pid)
    while await taken(store, topic) < total:
        assert process.runs, process.log()
        await asyncio.sleep(_POLL_S)
    seconds, cpu = time.perf_counter() - began, cpu_seconds(process.pid) - cpu
    return {
        "records": total,
        "records_per_s": round((total - first) / seconds),
        "cpu_us_per_record": round(cpu / (total - first) * 1e6, 1),
    }


async def measure(parts: str, records: int, partitions: int) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": facts(), "parts": parts}
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(PARTS[parts].broker())
        redis = await stack.enter_async_context(PARTS[parts].store())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for source in ASKED:
            topic = f"ingest-{source}"
            await ensure_topics(broker.settings, partitions, topics=[topic])
            sent = list(islice(payloads(source, wall_clock_ms() // 1000), records))
            await publish(broker.address, topic, sent)
            store = await RedisStore.connect(redis.url, f"{source}.ingest")
            stack.push_async_callback(store.close)
            settings = {"kafka": broker.address, "redis": redis.url, "center": source}
            process = CommandProcess(f"ingest {source}", settings, folder / f"{source}.log")
            try:
                found[source] = await watch(process, store, topic, len(sent))
            finally:
                process.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest")
    parser.add_argument("--parts", choices=PARTS, default="apache")
    parser.add_argument("--records", type=int, default=60_000, help="of each source")
    parser.add_argument("--partitions", type=int, default=4)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.parts, given.records, given.partitions)), indent=2))


if __name__ == "__main__":
    main()
