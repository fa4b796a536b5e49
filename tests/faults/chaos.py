"""Everything at once for half an hour: workers that fight over the same partitions, kills, frozen owners,
Redis killed, and Redis back as it was some seconds ago, as a replica that was behind.

Run as `python -m tests.faults.chaos`; at the end all that was published is held against the oracle.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from tests.conftest import PARTS
from tests.faults.trial import Trial
from tests.faults.worker import Worker

WORKERS = 2
PAUSE_S = (1.0, 6.0)
FROZEN_S = (2.0, 9.0)
BEHIND_S = (0.2, 6.0)
STARTS_S = 10.0
"""A worker that starts needs Redis: while it does, Redis stays."""


class Chaos:
    """Faults injected into a trial, one after the other; `done` counts them."""

    def __init__(self, trial: Trial, random: Random) -> None:
        self._trial, self._random = trial, random
        self._lives = 0
        self._started_at = 0.0
        self._workers = [self._worker() for _ in range(WORKERS)]
        self.done: Counter[str] = Counter()

    def _worker(self) -> Worker:
        """Start a worker in a group of its own, which is given all partitions."""
        self._lives += 1
        self._started_at = time.monotonic()
        return self._trial.worker(f"chaos-{self._lives}", session_timeout="2s")

    async def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        deeds: list[Callable[[], Awaitable[None]]] = [
            self._kill, self._kill, self._freeze, self._freeze, self._crash_redis, self._fall_behind,
        ]  # fmt: skip
        while time.monotonic() < ends:
            deed = self._random.choice(deeds)
            await deed()
            self.done[deed.__name__.strip("_")] += 1
            await asyncio.sleep(self._random.uniform(*PAUSE_S))
            await self._trial.progress()

    async def _kill(self) -> None:
        slot = self._random.randrange(WORKERS)
        self._workers[slot].kill()
        self._workers[slot] = self._worker()

    async def _freeze(self) -> None:
        frozen = self._random.choice(self._workers)
        frozen.freeze()
        await asyncio.sleep(self._random.uniform(*FROZEN_S))
        frozen.thaw()

    async def _all_started(self) -> None:
        await asyncio.sleep(self._started_at + STARTS_S - time.monotonic())

    async def _crash_redis(self) -> None:
        await self._all_started()
        await self._trial.redis.kill()
        await self._trial.redis.start()

    async def _fall_behind(self) -> None:
        """Copy the file of Redis while Redis writes it: the copy may end in half a transaction."""
        await self._all_started()
        folder = self._trial.redis.folder
        with tempfile.TemporaryDirectory() as kept:
            copy = shutil.copytree(folder, Path(kept, "copy"))
            await asyncio.sleep(self._random.uniform(*BEHIND_S))
            await self._trial.redis.kill()
            shutil.rmtree(folder / "appendonlydir")
            shutil.copytree(copy / "appendonlydir", folder / "appendonlydir")
        await self._trial.redis.start()


async def run(parts: str, seconds: float, per_s: float, seed: int) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(PARTS[parts].broker())
        redis = await stack.enter_async_context(PARTS[parts].store())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="streamer-chaos-"))
        trial = Trial(broker, redis, "chaos", Path(folder))
        await trial.open()
        stack.push_async_callback(trial.close)
        chaos = Chaos(trial, Random(seed))
        async with trial.load(per_s=per_s):
            await trial.progress()
            await chaos.run(seconds)
        print(f"published {trial.published:,}; {dict(chaos.done)}", flush=True)
        await trial.settle()
        fenced = sum(worker.log().count("partition fenced") for worker in trial.workers)
        print(f"settled: equal to the oracle; {len(trial.workers)} workers, fenced {fenced:,} times")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--parts", choices=PARTS, default="apache")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=60.0, help="records a second")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(run(given.parts, given.minutes * 60, given.rate, given.seed))


if __name__ == "__main__":
    main()
