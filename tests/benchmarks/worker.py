"""One worker as operators start it, and how its counting is watched from the outside."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.benchmarks.machine import cpu_seconds
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer
from tests.parts.server import Server

CENTER = "bench"
POLL_S = 0.1
_STALLED_S = 120.0


class Worker(Server):
    """`python -m streamer worker` with its meters' port open."""

    ready_within_s = 60.0

    def __init__(
        self, broker: Broker, store: RedisServer, *, group: str = "bench", path: Path | None = None
    ) -> None:
        """`path`: of a checkout of another release, whose worker it is then."""
        super().__init__()
        self._env = {
            "PYTHONPATH": str(path or ""),
            "STREAMER_CONSUMER_GROUP": group,
            "STREAMER_KAFKA": broker.address,
            "STREAMER_REDIS": store.url,
            "STREAMER_CENTER": CENTER,
            "STREAMER_METRICS_PORT": str(self.port),
            "STREAMER_CONFIG": str(self.folder / "none.toml"),
        }

    def command(self) -> list[str]:
        os.environ.update(self._env)  # handed down; not on the command line, where all could read it
        return [sys.executable, "-m", "streamer", "worker"]

    async def answers(self) -> bool:
        return True

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


class Counters(Protocol):
    """Who knows the plain counters by name."""

    async def counters(self) -> dict[str, int]: ...


class Moment(NamedTuple):
    """How much was counted when, and the CPU time that worker, Redis and broker had used by then."""

    at: float
    counted: int
    worker_s: float
    redis_s: float
    broker_s: float


class Watching(NamedTuple):
    """From the first moment something was seen counted to the first one all was."""

    first: Moment
    last: Moment

    def as_dict(self) -> dict[str, Any]:
        """Raises RuntimeError where all was counted before one could look twice."""
        events, seconds = self.last.counted - self.first.counted, self.last.at - self.first.at
        if not events:
            raise RuntimeError("too few events to be timed: ask for more")
        cpu = {
            name: getattr(self.last, f"{name}_s") - getattr(self.first, f"{name}_s")
            for name in ("worker", "redis", "broker")
        }
        return {
            "events": events,
            "seconds": round(seconds, 2),
            "events_per_s": round(events / seconds),
            "events_per_worker_cpu_s": round(events / cpu["worker"]),
            **{f"{name}_cpu_s": round(used, 2) for name, used in cpu.items()},
            **{f"{name}_cpu_us_per_event": round(used / events * 1e6, 2) for name, used in cpu.items()},
        }


async def watch(
    store: Counters, worker: Worker, broker: Broker, redis: RedisServer, before: int, total: int
) -> Watching:
    """Looks ten times a second until `total` more than `before` are counted. Its clock starts when
    the first commit is seen: start-up, joining the group and the first fetch are not in it. Raises
    RuntimeError when the worker ended or goes on no more."""
    first: Moment | None = None
    newest, newest_at = before, time.monotonic()
    while True:
        now = await _moment(store, worker, broker, redis)
        if now.counted > newest:
            newest, newest_at = now.counted, now.at
            first = first or now
        if first is not None and now.counted >= before + total:
            return Watching(first, now)
        if now.at - newest_at > _STALLED_S:
            raise RuntimeError(f"the worker stands at {now.counted} of {before + total}\n{worker.log()}")
        await asyncio.sleep(POLL_S)


async def counted(store: Counters) -> int:
    """Records with a result, of all topics. Raises RuntimeError if one was rejected."""
    counts = {name: amount for name, amount in (await store.counters()).items() if name.startswith("events")}
    if rejected := {name: amount for name, amount in counts.items() if name.endswith("rejected")}:
        raise RuntimeError(f"rejected: {rejected}")
    return sum(counts.values())


async def _moment(store: Counters, worker: Worker, broker: Broker, redis: RedisServer) -> Moment:
    assert worker.process is not None
    assert broker.process is not None
    assert redis.process is not None
    if worker.process.poll() is not None:
        raise RuntimeError(f"the worker ended\n{worker.log()}")
    pids = [one.process.pid for one in (worker, redis, broker)]
    return Moment(time.monotonic(), await counted(store), *map(cpu_seconds, pids))
