"""A worker, or the broker, that is away for longer than the group waits."""

import asyncio
import os
import signal

import pytest

from tests.faults.trial import Trial
from tests.parts.broker import Broker

pytestmark = pytest.mark.apache
SESSION_S = 3
OUTAGE_S = os.environ.get("STREAMER_TEST_OUTAGE_S")


async def test_a_worker_that_was_frozen_while_another_took_over_does_no_harm(trial: Trial) -> None:
    awake, frozen = (trial.worker(session_timeout=f"{SESSION_S}s") for _ in range(2))
    async with trial.load(per_s=150):
        await trial.progress(300)
        for _ in range(2):
            awake, frozen = frozen, awake
            frozen.freeze()
            await asyncio.sleep(SESSION_S + 1)
            await trial.progress(300)
            frozen.thaw()
            await trial.progress(300)
    await trial.settle()


async def test_a_broker_that_was_gone_for_a_minute_is_found_again(trial: Trial) -> None:
    trial.worker()
    async with trial.load(per_s=60):
        await trial.progress(200)
        await go_away(trial.broker)
        print("counting again after", await trial.progress())
        await trial.progress(300)
    await trial.settle()


async def go_away(broker: Broker) -> None:
    """Killed where its records survive that, else stopped."""
    if broker.keeps_records:
        await broker.kill()
        await asyncio.sleep(float(OUTAGE_S or 60))
        await broker.start()
    else:
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(float(OUTAGE_S or 20))
        broker.process.send_signal(signal.SIGCONT)
