"""Workers that are killed at any moment."""

import asyncio
from random import Random

import pytest

from tests.faults.trial import Trial

KILLS = 14


@pytest.mark.apache
async def test_a_worker_killed_at_any_moment_loses_nothing_and_counts_nothing_twice(trial: Trial) -> None:
    """Two at a time, so that what one leaves half done the other meets."""
    async with trial.load(per_s=60), asyncio.TaskGroup() as tasks:
        for slot in range(2):
            tasks.create_task(lives(trial, slot))
    trial.worker("last")
    await trial.settle()


async def lives(trial: Trial, slot: int) -> None:
    random = Random(f"lives {slot}")
    for life in range(KILLS // 2):
        # A group of its own each: the dead one need not be missed before the next is let in.
        worker = trial.worker(f"life-{slot}-{life}", session_timeout="2s")
        if life % 3:
            await trial.progress()
            await asyncio.sleep(random.choice((random.uniform(0, 0.1), random.uniform(0, 1))))
        else:  # while it still finds its place
            await asyncio.sleep(random.uniform(1, 4))
        worker.kill()
