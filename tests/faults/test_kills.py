"""A worker that is killed at any moment."""

import asyncio
from random import Random

from tests.faults.trial import Trial

KILLS = 20


async def test_a_worker_killed_at_any_moment_loses_nothing_and_counts_nothing_twice(trial: Trial) -> None:
    random = Random("kills")
    async with trial.load(per_s=50):
        for life in range(KILLS):
            # A group of its own each: the dead one's session need not run out before the next is let in.
            worker = trial.worker(f"life-{life}")
            print("life", life, await trial.progress())
            await asyncio.sleep(random.choice((random.uniform(0, 0.1), random.uniform(0, 1))))
            worker.kill()
    trial.worker("last")
    await trial.settle()
