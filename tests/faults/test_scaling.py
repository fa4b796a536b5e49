"""Workers that come and go."""

import asyncio
from itertools import combinations
from urllib.request import urlopen

import pytest

from tests.faults.trial import Trial
from tests.faults.worker import Worker
from tests.parts.server import free_port

pytestmark = pytest.mark.apache
SESSION_S = 3
SHIFT_S = 5
"""Longer than SESSION_S: the partitions of a killed worker are given to others meanwhile."""


async def test_one_worker_then_three_then_one_again(trial: Trial) -> None:
    trial.add_states()
    first = measured(trial)
    async with trial.load(per_s=100):
        await trial.progress()
        await asyncio.sleep(SHIFT_S)
        second, third = measured(trial), measured(trial)
        await asyncio.sleep(SHIFT_S)
        await trial.until(lambda: is_shared([first, second, third]))
        second.kill()
        assert await third.stop() == 0
        await asyncio.sleep(SHIFT_S)
        await trial.until(lambda: is_shared([first]))
        await trial.progress(300)
    await trial.settle()


def measured(trial: Trial) -> Worker:
    return trial.worker(metrics_port=str(free_port()), session_timeout=f"{SESSION_S}s")


def is_shared(workers: list[Worker]) -> bool:
    """Tell whether each of these has partitions, and none has another's."""
    shares = [partitions(worker) for worker in workers]
    return all(shares) and not any(one & other for one, other in combinations(shares, 2))


def partitions(worker: Worker) -> set[str]:
    """Those it owns, as its meters have it."""
    ports = worker.listens_on()
    if not ports:
        return set()
    with urlopen(f"http://127.0.0.1:{ports.pop()}/metrics") as page:
        lines = page.read().decode().splitlines()
    return {line.split("}")[0] for line in lines if line.startswith("streamer_lag_records{")}
