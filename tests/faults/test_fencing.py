"""Two workers that both hold every partition: each commit of one may void the other's."""

import pytest

from tests.faults.trial import Trial
from tests.faults.worker import said


@pytest.mark.apache
async def test_two_workers_on_the_same_partitions_and_customers_count_everything_once(trial: Trial) -> None:
    first, second = trial.worker("one"), trial.worker("other")
    async with trial.load(per_s=400):
        await trial.progress()
        await trial.progress(2_000)
    await trial.settle()
    assert said(first, "partition fenced")
    assert said(second, "partition fenced")
