"""Measure many wallboards: how soon they have an event, and what that costs the server.

Run as `python -m tests.benchmarks.stream`; prints one JSON object. One worker, one server bound to one core,
all else on the others. Some onlookers never read. An event is published to Kafka at its own time; a client
has it when the total of its tile says so.

1. quiet: the stream alone. 2. scraped: the same, and /metrics is read every 5 s beside it.
3. reading: in this process, a large center's readings of all groups and windows after a refresh.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streamer.events.counting_rules import HOUR, SECOND
from streamer.runtime.clock import wall_clock_ms
from streamer.store.redis import RedisStore
from streamer.worker.kafka import ensure_topics
from tests.benchmarks.center import Center, messages
from tests.benchmarks.large import reading
from tests.benchmarks.machine import cpu_seconds, facts, peak_bytes, resident_bytes
from tests.benchmarks.records import publish, publish_in_time
from tests.benchmarks.stream_clients import Seen
from tests.benchmarks.throughput import default_parts, say
from tests.benchmarks.worker import CENTER, Worker, counted
from tests.conftest import PARTS
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.parts.server import Server

SETTINGS = """\
timezone = "Europe/Madrid"
export_windows = ["15m", "1h", "today"]
[views.bench]
window = "15m"
tiles = [
    "offered", "service_level_ratio", "wait_time_seconds",
    "abandon_ratio", "handle_time_seconds", "csat_ratio",
]
"""
METRIC = "offered"
SCRAPED_EVERY_S = 5.0
_GRACE_S = 10.0
_WARM_S = 2.0
_AFTER_S = 0.1


class Serve(Server):
    """`python -m streamer serve`."""

    ready_within_s = 30.0

    def __init__(self, store: RedisServer, more_settings: str = "") -> None:
        super().__init__()
        (self.folder / "streamer.toml").write_text(SETTINGS + more_settings)
        self._env = {
            "STREAMER_REDIS": store.url,
            "STREAMER_CENTER": CENTER,
            "STREAMER_PORT": str(self.port),
            "STREAMER_CONFIG": str(self.folder / "streamer.toml"),
        }

    def command(self) -> list[str]:
        os.environ.update(self._env)
        return [sys.executable, "-m", "streamer", "serve"]

    async def answers(self) -> bool:
        return b'"ready":true' in await asyncio.to_thread(get, self.port, "/readyz")

    @property
    def pid(self) -> int:
        """The leash's child."""
        assert self.process is not None
        return self.process.pid


def get(port: int, path: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return b""


class Asked(NamedTuple):
    parts: str
    readers: int
    idlers: int
    rate: int
    seconds: int
    backlog: int
    seed: int


class StreamClients:
    """The process of those who look."""

    def __init__(self, port: int, asked: Asked, path: Path) -> None:
        self._path = path
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.benchmarks.stream_clients",
                str(port), str(asked.readers), str(asked.idlers), str(path),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    async def ready(self) -> None:
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        if line.strip() != b"ready":
            raise RuntimeError("the onlookers ended")

    async def seen(self) -> Seen:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.to_thread(self._process.wait)
        return msgspec.msgpack.decode(self._path.read_bytes(), type=Seen)


class Scraping:
    """/metrics, read every 5 s as long as it is entered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.took_s: list[float] = []
        self.spans: list[tuple[float, float]] = []
        self.series = 0

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            body = await asyncio.to_thread(get, self._port, "/metrics")
            self.spans.append((began, time.monotonic()))
            self.series = len(re.findall(rb"^[^#]", body, re.MULTILINE))
            await asyncio.sleep(SCRAPED_EVERY_S - (time.monotonic() - began))

    def _is_on(self, at: float) -> bool:
        return any(began <= at <= end + _AFTER_S for began, end in self.spans)

    def result(self, seen: Seen) -> dict[str, Any]:
        """`frame_ms`: of those that came while a scrape was on, or just after."""
        took = [1000 * (end - began) for began, end in self.spans]
        during = [frame.late_ms for client in seen.frames for frame in client if self._is_on(frame.at)]
        return {
            "frame_ms": spread(during) if during else None,
            "scrapes": len(took),
            "series": self.series,
            "median_ms": round(median(took)),
            "longest_ms": round(max(took)),
        }


class Run:
    """Broker, store, worker and server run."""

    def __init__(self, asked: Asked, broker: Broker, store: RedisStore, serve: Serve) -> None:
        self._asked, self._broker, self._store, self._serve = asked, broker, store, serve
        self._round = 0

    async def backlog(self) -> None:
        """Calls and surveys of three hours up to a moment before the window that is watched."""
        center = Center(self._asked.backlog, seed=self._asked.seed, span_ms=3 * HOUR, surveyed=0.2)
        sent = messages(center, wall_clock_ms() - HOUR // 3)
        say(f"publishing a backlog of {len(sent)} events")
        await publish(self._broker.address, sent)
        while await counted(self._store) < len(sent):  # noqa: ASYNC110 - as one who looks would
            await asyncio.sleep(0.2)

    async def watched(self, scraped: bool) -> dict[str, Any]:
        asked, serve = self._asked, self._serve
        with tempfile.TemporaryDirectory() as folder:
            before = resident_bytes(serve.pid)
            onlookers = StreamClients(serve.port, asked, Path(folder) / "seen")
            began = time.monotonic()
            await onlookers.ready()
            gathered = time.monotonic() - began
            first = await self._total()
            scraping = Scraping(serve.port)
            beside = asyncio.create_task(scraping.run()) if scraped else None
            cpu = cpu_seconds(serve.pid)
            published = await self._publish(first)
            cpu = cpu_seconds(serve.pid) - cpu
            if beside is not None:
                beside.cancel()
            seen = await onlookers.seen()
        return {
            "all_connected_s": round(gathered, 2),
            **figures(seen, published, first, self._asked.rate),
            "server_cpu_share": round(cpu / asked.seconds, 2),
            "rss_mb": {
                "before": round(before / 1e6), "after": round(resident_bytes(serve.pid) / 1e6),
                "peak": round(peak_bytes(serve.pid) / 1e6),
            },
            **({"scrape": scraping.result(seen)} if scraped else {}),
        }  # fmt: skip

    async def _publish(self, first: int) -> list[float]:
        asked = self._asked
        total, self._round = asked.rate * asked.seconds, self._round + 1
        center = Center(total, seed=asked.seed + self._round, span_ms=asked.seconds * SECOND)
        sent = messages(center, wall_clock_ms() + (asked.seconds + 1) * SECOND)
        say(f"publishing {asked.rate} events a second for {asked.seconds} s")
        published = await publish_in_time(self._broker.address, sent)
        async with asyncio.timeout(_GRACE_S):
            while await self._total() < first + total:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await asyncio.sleep(1.0)
        return published

    async def _total(self) -> int:
        path = f"/api/v1/readings?metric={METRIC}&window=15m"
        (found,) = json.loads(await asyncio.to_thread(get, self._serve.port, path))
        return round(found["value"] or 0)


def figures(seen: Seen, published: Sequence[float], first: int, rate: int) -> dict[str, Any]:
    """Figures in ms. `delay`: from handing an event to the producer until a client has it; `frame`: from
    making what is told until a client has it, the client's own time included."""
    delays = np.concatenate(
        [delays_s(frames, published, first)[round(rate * _WARM_S) :] for frames in seen.frames]
    )
    frames = np.array(
        [frame.late_ms for client in seen.frames for frame in client if frame.at > published[0]]
    )
    return {
        "ended_by_themselves": seen.ended,
        "frames_per_client_per_s": round(len(frames) / len(seen.frames) / (published[-1] - published[0]), 1),
        "delay_ms": spread(1000 * delays),
        "frame_ms": spread(frames),
    }


def delays_s(frames: Sequence[Any], published: Sequence[float], first: int) -> Any:
    told = [(frame.at, frame.total) for frame in frames if frame.total is not None]
    totals, at = [total for _, total in told], [at for at, _ in told]
    reached = [bisect_left(totals, first + number) for number in range(1, len(published) + 1)]
    if reached[-1] == len(totals):
        raise RuntimeError(f"a client stands at {totals[-1]} of {first + len(published)}")
    return np.array([at[place] - sent for place, sent in zip(reached, published, strict=True)])


def spread(values: Any) -> dict[str, float]:
    middle, high, longest = np.percentile(values, (50, 99, 100))
    return {"median": round(middle, 1), "p99": round(high, 1), "longest": round(longest, 1)}


@asynccontextmanager
async def running(asked: Asked) -> AsyncIterator[Run]:
    parts = PARTS[asked.parts]
    cores = sorted(os.sched_getaffinity(0))
    async with AsyncExitStack() as stack:
        os.sched_setaffinity(0, cores[1:] or cores)
        broker = await stack.enter_async_context(parts.broker())
        redis = await stack.enter_async_context(parts.store())
        store = await RedisStore.connect(redis.url, CENTER)
        stack.push_async_callback(store.close)
        await ensure_topics(broker.settings, 4)
        await stack.enter_async_context(Worker(broker, redis))
        os.sched_setaffinity(0, cores[:1])
        serve = await stack.enter_async_context(Serve(redis))
        os.sched_setaffinity(0, cores[1:] or cores)
        yield Run(asked, broker, store, serve)
    os.sched_setaffinity(0, cores)


async def measure(asked: Asked, skipped: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": facts(), "asked": asked._asdict()}
    if "stream" not in skipped:
        async with running(asked) as run:
            await run.backlog()
            found["quiet"] = await run.watched(scraped=False)
            found["scraped"] = await run.watched(scraped=True)
    if "reading" not in skipped:
        found["reading"] = await reading()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stream")
    parser.add_argument("--parts", choices=PARTS, default=default_parts())
    parser.add_argument("--readers", type=int, default=450)
    parser.add_argument("--idlers", type=int, default=50, help="clients that never read")
    parser.add_argument("--rate", type=int, default=200, help="events a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--backlog", type=int, default=20_000, help="calls counted before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", nargs="*", choices=("stream", "reading"), default=[])
    given = vars(parser.parse_args())
    skipped = frozenset(given.pop("skip"))
    print(json.dumps(asyncio.run(measure(Asked(**given), skipped)), indent=2))


if __name__ == "__main__":
    main()
