"""One worker as operators start it, and how its counting is watched from the outside."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
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
        """`path`: of the checkout whose worker it is; None: of this one."""
        super().__init__()
        self._env = {
            "PYTHONPATH": str(path or Path(__file__).parents[2]),
            "STREAMER_CONSUMER_GROUP": group,
            "STREAMER_KAFKA": broker.address,
            "STREAMER_REDIS": store.url,
            "STREAMER_CENTER": CENTER,
            "STREAMER_METRICS_PORT": str(self.port),
            "STREAMER_CONFIG": os.devnull,
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
    """Anything with plain counters by name."""

    async def counters(self) -> dict[str, int]: ...


class Moment(NamedTuple):
    """Count at a time, and the CPU time that worker, Redis and broker had used by then."""

    at: float
    counted: int
    worker_s: float
    redis_s: float
    broker_s: float


class Watching(NamedTuple):
    """Watch from the first moment something was counted to the first one all was."""

    moments: Sequence[Moment]

    def as_dict(self) -> dict[str, Any]:
        """Raises RuntimeError where all was counted before one could look twice. `worker_cpu_us_by_third`: of
        an event, in the first third of the events and so on."""
        first, last = self.moments[0], self.moments[-1]
        events, seconds = last.counted - first.counted, last.at - first.at
        if not events:
            raise RuntimeError("too few events to be timed: ask for more")
        names = ("worker", "redis", "broker")
        cpu = {name: getattr(last, f"{name}_s") - getattr(first, f"{name}_s") for name in names}
        return {
            "events": events,
            "seconds": round(seconds, 2),
            "events_per_s": round(events / seconds),
            "events_per_worker_cpu_s": round(events / cpu["worker"]),
            **{f"{name}_cpu_s": round(used, 2) for name, used in cpu.items()},
            **{f"{name}_cpu_us_per_event": round(used / events * 1e6, 2) for name, used in cpu.items()},
            "worker_cpu_us_by_third": self._by_third(first.counted, events),
        }

    def _by_third(self, start: int, events: int) -> list[float]:
        edges = [
            next(moment for moment in self.moments if moment.counted >= start + events * third // 3)
            for third in range(4)
        ]
        return [
            round((last.worker_s - first.worker_s) / max(1, last.counted - first.counted) * 1e6, 2)
            for first, last in pairwise(edges)
        ]


async def watch(
    store: Counters, worker: Worker, broker: Broker, redis: RedisServer, before: int, total: int
) -> Watching:
    """Looks ten times a second until `total` more than `before` are counted. Its clock starts when
    the first commit is seen: start-up, joining the group and the first fetch are not in it. Raises
    RuntimeError when the worker ended or goes on no more."""
    moments: list[Moment] = []
    newest, newest_at = before, time.monotonic()
    while True:
        now = await _moment(store, worker, broker, redis)
        if now.counted > newest:
            newest, newest_at = now.counted, now.at
            moments.append(now)
        if moments and now.counted >= before + total:
            return Watching(moments)
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
