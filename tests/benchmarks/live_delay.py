"""States at 1,000 a second with 200 queues and 2,000 agents: how soon a reading shows a caller, and the CPU.

Run as `python -m tests.benchmarks.live_delay`; prints one JSON object. A worker and a server with one open
wallboard run in processes of their own; this process publishes, and follows the store as the server does. A
contact waits 2.5 s and is served 2.5 s, so some 500 are under way. The delay of a contact is the time from
handing its first state to the producer until a refresh has it, and a reading by queue was computed.
"""

import argparse
import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any, Final

import msgspec

from streamer.events.counting_rules import SECOND
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import wall_clock_ms
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from streamer.web.reader_refresher import REFRESH_INTERVAL_S
from streamer.worker.kafka import ensure_topics
from tests.benchmarks.center import Message
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.records import publish, publish_in_time
from tests.benchmarks.stream import Serve
from tests.benchmarks.throughput import default_parts, say
from tests.benchmarks.worker import CENTER, Worker, counted
from tests.conftest import PARTS

PARTITIONS: Final = 4
AGENTS: Final = 2_000
QUEUES: Final = 200
PHASE_MS: Final = 2_500
_WARM_S: Final = 2.0
_GRACE_S: Final = 30.0
_encode = msgspec.json.Encoder().encode


def agent_message(number: int, state: str, at_ms: int, **more: object) -> Message:
    data = {"agent_id": f"agent-{number}", "state": state, "at": at_ms / 1000, **more}
    return Message("agent-state", number % PARTITIONS, at_ms, b"", _encode(data))


def contact_message(number: int, state: str, at_ms: int) -> Message:
    data = {"contact_id": f"c{number}", "state": state, "at": at_ms / 1000, "channel": "voice"}
    data["queue"] = f"queue-{number % QUEUES}"
    return Message("contact-state", number % PARTITIONS, at_ms, b"", _encode(data))


def signed_in(at_ms: int) -> list[Message]:
    """Return the first state of every agent: five queues each."""
    return [
        agent_message(
            number, "available", at_ms,
            queues=[f"queue-{(number + step) % QUEUES}" for step in range(5)], team=f"team-{number % 40}",
        )
        for number in range(AGENTS)
    ]  # fmt: skip


def states(rate: int, seconds: int, start_ms: int) -> list[Message]:
    """Return a tenth of `rate` contacts a second with three states each, and agents' states, by their
    time."""
    return sorted(_states(rate, seconds, start_ms), key=lambda message: message.at_ms)


def _states(rate: int, seconds: int, start_ms: int) -> Iterator[Message]:
    chance, contacts = random.Random(11), rate * seconds // 10
    for number in range(contacts):
        at_ms = start_ms + number * seconds * SECOND // contacts
        for step, state in enumerate(("queued", "connected", "ended")):
            if at_ms + step * PHASE_MS < start_ms + seconds * SECOND:
                yield contact_message(number, state, at_ms + step * PHASE_MS)
    for number in range(rate * seconds * 7 // 10):
        at_ms = start_ms + number * seconds * SECOND // (rate * seconds * 7 // 10)
        state = chance.choice(("available", "offered", "busy", "wrap_up", "away"))
        yield agent_message(chance.randrange(AGENTS), state, at_ms)


class SeenContacts:
    """A reader as the server has one, and when it first had each contact."""

    def __init__(self, store: RedisStore) -> None:
        self._reader = MetricsReader(store, Settings(center=CENTER))
        self.first_seen: dict[str, float] = {}
        self.reading_ms: list[float] = []
        self.most_under_way = 0

    async def follow(self, contacts: set[str]) -> None:
        """Refresh until all contacts were seen. Each is under way for longer than a refresh takes."""
        while not contacts <= self.first_seen.keys():
            await self._reader.refresh(wall_clock_ms())
            began_s = time.thread_time()
            self._reader.readings(
                MetricQuery(now=wall_clock_ms(), metrics=("waiting",), windows=("now",), by="queue")
            )
            self.reading_ms.append(1000 * (time.thread_time() - began_s))
            seen_at, under_way = time.monotonic(), self._reader.live_state().contacts
            self.most_under_way = max(self.most_under_way, len(under_way))
            for contact in under_way.values():
                self.first_seen.setdefault(contact.contact_id, seen_at)
            await asyncio.sleep(REFRESH_INTERVAL_S)


def watch_wall(port: int) -> None:
    """Read the stream of a wallboard, and do nothing with it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/stream") as stream:
        while stream.read1(65_536):
            pass


async def measure(parts: str, rate: int, seconds: int) -> dict[str, Any]:
    async with PARTS[parts].broker() as broker, PARTS[parts].store() as redis:
        store = await RedisStore.connect(redis.url, CENTER)
        await ensure_topics(broker.settings, PARTITIONS)
        async with Worker(broker, redis) as worker, Serve(redis) as serve:
            say(f"signing in {AGENTS} agents")
            await publish(broker.address, signed_in(wall_clock_ms() - SECOND))
            while await counted(store) < AGENTS:  # noqa: ASYNC110 - as one who looks would
                await asyncio.sleep(0.2)
            wall = asyncio.get_running_loop().run_in_executor(None, watch_wall, serve.port)
            sent = states(rate, seconds, wall_clock_ms() + SECOND)
            queued = {
                json.loads(message.value)["contact_id"]: place
                for place, message in enumerate(sent)
                if message.topic == "contact-state" and b'"queued"' in message.value
            }
            seen, assert_process = SeenContacts(store), redis.process
            assert assert_process is not None
            following = asyncio.create_task(seen.follow({*queued}))
            pids = {"worker": worker.pid, "server": serve.pid, "redis": assert_process.pid}
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            say(f"publishing {rate} states a second for {seconds} s")
            published = await publish_in_time(broker.address, sent)
            used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
            async with asyncio.timeout(_GRACE_S):
                await following
        await asyncio.wait([wall], timeout=5)
        await store.close()
    span_s = published[-1] - published[0]
    delays_ms = sorted(
        1000 * (seen.first_seen[contact] - published[place])
        for contact, place in queued.items()
        if published[place] > published[0] + _WARM_S
    )
    return {
        "states": len(sent),
        "states_per_s": round(len(sent) / span_s),
        "contacts_under_way_at_most": seen.most_under_way,
        "delay_ms": {
            "median": round(median(delays_ms)), "p99": round(quantiles(delays_ms, n=100)[98]),
            "longest": round(delays_ms[-1]),
        },
        "reading_by_queue_cpu_ms": round(median(seen.reading_ms), 2),
        "cpu_share": {name: round(cpu_s / span_s, 2) for name, cpu_s in used.items()},
        "cpu_us_per_state": {name: round(cpu_s / len(sent) * 1e6) for name, cpu_s in used.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.live_delay", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default=default_parts(), help="whose broker and store")
    parser.add_argument("--rate", type=int, default=1_000, help="states a second")
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.parts, given.rate, given.seconds)), indent=2))


if __name__ == "__main__":
    main()
