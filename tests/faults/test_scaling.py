"""Workers that come and go."""

import asyncio
from itertools import combinations
from urllib.request import urlopen

from tests.faults.trial import Trial
from tests.faults.worker import Worker
from tests.parts.server import free_port


async def test_one_worker_then_three_then_one_again(trial: Trial) -> None:
    first = measured(trial)
    async with trial.load(per_s=150):
        await trial.progress()
        await asyncio.sleep(10)
        second, third = measured(trial), measured(trial)
        await asyncio.sleep(10)
        shares = [partitions(worker) for worker in (first, second, third)]
        second.kill()
        await third.stop()
        await trial.progress(300)
        await asyncio.sleep(10)
    await trial.settle()
    assert all(shares)
    assert not [one & other for one, other in combinations(shares, 2) if one & other]


def measured(trial: Trial) -> Worker:
    return trial.worker(metrics_port=str(free_port()))


def partitions(worker: Worker) -> set[str]:
    """Those it owns, as its meters have it."""
    (port,) = worker.listens_on()
    with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        lines = page.read().decode().splitlines()
    return {line.split("}")[0] for line in lines if line.startswith("streamer_lag_records{")}
