"""A worker that is asked to end, and what it opens to the world while it works."""

import time

import pytest

from tests.faults.trial import Trial
from tests.parts.server import free_port, is_open

FAUSTS_OWN = 6066


@pytest.mark.apache
async def test_a_worker_asked_to_end_under_load_drains_and_ends_within_ten_seconds(trial: Trial) -> None:
    port = free_port()
    first, second = trial.worker("one", metrics_port=str(port)), trial.worker("other")
    async with trial.load(per_s=400):
        await trial.progress(1000)
        assert first.listens_on() == {port}
        assert second.listens_on() == set()
        assert not is_open(FAUSTS_OWN)
        asked = time.monotonic()
        assert await first.stop() == 0
        assert time.monotonic() - asked < 10
        print(f"ended after {time.monotonic() - asked:.1f} s")
        await trial.progress(300)
    await trial.settle()
    assert await second.stop() == 0
