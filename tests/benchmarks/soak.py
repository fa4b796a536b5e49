"""Hold a load: half of what the worker can do here, all parts running, worker and Redis killed once each.

Run as `python -m tests.benchmarks.soak --minutes 10`. It prints lag, memory and file handles as they were
each few seconds, and holds the numbers against the oracle at the end.
"""

import argparse
import asyncio
import math
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from tests.benchmarks.machine import facts, peak_bytes, resident_bytes
from tests.conftest import PARTS
from tests.faults.trial import Trial
from tests.faults.worker import Worker
from tests.parts.server import Server

SESSION_S = 3
MIB = 1024 * 1024


class SoakServer(Server):
    """`streamer serve` of the trial's center; whether it answers is asked at each look."""

    ready_within_s = 60.0

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self._settings = {
            "STREAMER_KAFKA": trial.broker.address,
            "STREAMER_REDIS": trial.redis.url,
            "STREAMER_CENTER": trial.settings.center,
            "STREAMER_PORT": str(self.port),
            "STREAMER_CONFIG": os.devnull,
        }

    def command(self) -> list[str]:
        os.environ.update(self._settings)  # handed down; not on the command line, where all could read it
        return [sys.executable, "-m", "streamer", "serve"]

    async def answers(self) -> bool:
        return await asyncio.to_thread(self._is_healthy)

    def _is_healthy(self) -> bool:
        try:
            with urlopen(f"http://{self.address}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Look(NamedTuple):
    """A look at the running parts: lag in records and seconds of the load, memory in MiB, open files."""

    at_s: float
    lag_records: int
    lag_s: float
    worker_mib: float
    worker_files: int
    server_mib: float
    server_files: int
    redis_mib: float
    server_answers: bool


class Soak:
    """A load on a trial, and looks at it."""

    def __init__(self, trial: Trial, server: SoakServer, per_s: float) -> None:
        self._trial, self._server, self._per_s = trial, server, per_s
        self.worker = self._start_worker()
        self.looks: list[Look] = []
        self.behind_s: dict[str, float] = {}
        """Seconds from each fault until the lag was below a second again; infinite if it never was."""
        self._began = self._ends = time.monotonic()

    def _start_worker(self) -> Worker:
        return self._trial.worker(session_timeout=f"{SESSION_S}s")

    async def hold(self, minutes: float, look_every_s: float) -> None:
        """Look at times, and kill the worker after a third of the time, Redis after two."""
        faults: Mapping[float, tuple[str, Callable[[], Awaitable[None]]]] = {
            minutes * 20: ("worker killed", self._kill_worker),
            minutes * 40: ("Redis killed", self._kill_redis),
        }
        due = dict(faults)
        async with self._trial.load(self._per_s):
            await self._trial.progress()
            self._began = time.monotonic()
            self._ends = self._began + minutes * 60
            while (elapsed_s := time.monotonic() - self._began) < minutes * 60:
                for at_s in [at_s for at_s in due if elapsed_s >= at_s]:
                    name, fault = due.pop(at_s)
                    await self._measure_outage(name, fault)
                await self._look()
                await asyncio.sleep(look_every_s)

    async def _measure_outage(self, name: str, fault: Callable[[], Awaitable[None]]) -> None:
        print(name, flush=True)
        began = time.monotonic()
        await fault()
        while (await self._look()).lag_s > 1:
            if time.monotonic() > self._ends:
                self.behind_s[name] = math.inf
                return
            await asyncio.sleep(0.5)
        self.behind_s[name] = time.monotonic() - began

    async def _kill_worker(self) -> None:
        self.worker.kill()
        self.worker = self._start_worker()
        await self._trial.progress()

    async def _kill_redis(self) -> None:
        await self._trial.redis.kill()
        await self._trial.redis.start()
        await self._trial.progress()

    async def _look(self) -> Look:
        lag = self._trial.published - (await self._trial.counted()).total()
        assert self._server.process is not None
        assert self._trial.redis.process is not None
        server_pid, redis_pid = self._server.process.pid, self._trial.redis.process.pid
        look = Look(
            time.monotonic() - self._began,
            lag,
            lag / self._per_s,
            resident_bytes(self.worker.pid) / MIB,
            open_files(self.worker.pid),
            resident_bytes(server_pid) / MIB,
            open_files(server_pid),
            resident_bytes(redis_pid) / MIB,
            await self._server.answers(),
        )
        self.looks.append(look)
        print("  ".join(f"{name} {round(value, 1)}" for name, value in look._asdict().items()), flush=True)
        return look


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def measure_rate(trial: Trial, records: int) -> float:
    """Return how many records a second a worker counts of so many that wait for it."""
    async with trial.load(per_s=records / 10):
        await trial.until(lambda: trial.published >= records)
    worker = trial.worker(session_timeout=f"{SESSION_S}s")
    await trial.progress()
    counted = (await trial.counted()).total()
    began = time.monotonic()
    await trial.progress(trial.published - counted)
    rate = (trial.published - counted) / (time.monotonic() - began)
    assert await worker.stop() == 0
    return rate


async def run(parts: str, minutes: float, look_every_s: float, backlog: int, per_s: float | None) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(PARTS[parts].broker())
        redis = await stack.enter_async_context(PARTS[parts].store())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="streamer-soak-"))
        trial = Trial(broker, redis, "soak", Path(folder))
        await trial.open()
        stack.push_async_callback(trial.close)
        rate = await measure_rate(trial, backlog)
        per_s = per_s or rate / 2
        print(f"one worker counts {rate:,.0f} records/s here; load {per_s:,.0f}/s; {facts()}", flush=True)
        server = await stack.enter_async_context(SoakServer(trial))
        soak = Soak(trial, server, per_s)
        await soak.hold(minutes, look_every_s)
        print(f"published {trial.published:,}; the oracle counts", flush=True)
        await trial.settle()
        print_figures(trial, soak, server)


def print_figures(trial: Trial, soak: Soak, server: SoakServer) -> None:
    assert server.process is not None
    lags = sorted(look.lag_s for look in soak.looks)
    first, last = soak.looks[0], soak.looks[-1]
    rows = {
        "records, all accounted for": f"{trial.published:,}",
        "lag, median and longest": f"{lags[len(lags) // 2]:.2f} s, {lags[-1]:.1f} s",
        **{f"behind after: {name}": f"{seconds:.1f} s" for name, seconds in soak.behind_s.items()},
        "worker, MiB at first, at last": f"{first.worker_mib:.0f}, {last.worker_mib:.0f}",
        "worker, open files": f"{first.worker_files}, {last.worker_files}",
        "server, MiB at first, at last": f"{first.server_mib:.0f}, {last.server_mib:.0f}",
        "server, MiB at most": f"{peak_bytes(server.process.pid) / MIB:.0f}",
        "server, open files": f"{first.server_files}, {last.server_files}",
        "server answered": f"{sum(look.server_answers for look in soak.looks)} of {len(soak.looks)} times",
        "Redis, MiB at first, at last": f"{first.redis_mib:.0f}, {last.redis_mib:.0f}",
    }
    for name, figure in rows.items():
        print(f"{name:<32} {figure}")
    print("settled: equal to the oracle")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default="apache")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--look-every", type=float, default=5.0, help="seconds")
    parser.add_argument("--backlog", type=int, default=10_000, help="records to measure the worker with")
    parser.add_argument("--rate", type=float, help="records a second, instead of half of what is measured")
    given = parser.parse_args()
    asyncio.run(run(given.parts, given.minutes, given.look_every, given.backlog, given.rate))


if __name__ == "__main__":
    main()
