"""A worker that is asked to end, and what it opens to the world while it works."""

import time

from tests.faults.trial import Trial
from tests.parts.server import free_port, is_open

FAUSTS_OWN = 6066


async def test_a_worker_asked_to_end_under_load_drains_and_ends_well_within_ten_seconds(trial: Trial) -> None:
    port = free_port()
    async with trial.load(per_s=400):
        for settings, ports in ({"metrics_port": str(port)}, {port}), ({}, set()):
            worker = trial.worker(**settings)
            await trial.progress(400)
            assert worker.listens_on() == ports
            assert not is_open(FAUSTS_OWN)
            asked = time.monotonic()
            assert await worker.stop() == 0
            assert time.monotonic() - asked < 10
    trial.worker()
    await trial.settle()
