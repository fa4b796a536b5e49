"""Maintenance: no error ends it, each is reported, and the other steps go on."""

import asyncio

from redis.exceptions import OutOfMemoryError, ResponseError
from structlog.testing import capture_logs

from streamer.worker.maintenance import MaintenanceLoop, MaintenanceStep
from streamer.worker.metrics import WorkerMetrics


class CountedStep:
    """Step that raises `failure` if there is one, and counts its calls."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure, self.calls = failure, 0

    async def __call__(self) -> None:
        self.calls += 1
        if self.failure is not None:
            raise self.failure


def metric(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_a_step_that_fails_is_reported_once_comes_again_and_stops_no_other() -> None:
    metrics, failing, other = WorkerMetrics(), CountedStep(ResponseError("WRONGTYPE")), CountedStep()
    steps = {"compact": MaintenanceStep(failing), "forget": MaintenanceStep(other)}
    loop = MaintenanceLoop(steps, metrics, lambda: 7_000, pause_s=0)
    with capture_logs() as logs:
        task = asyncio.create_task(loop.run())
        while other.calls < 3:
            assert not task.done(), "an error ended it"
            await asyncio.sleep(0)
        assert metric(metrics, "streamer_maintenance_last_success_timestamp_seconds") == 0
        failing.failure, calls = None, failing.calls
        while failing.calls < calls + 2:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        task.cancel()
    assert [(entry["event"], entry["step"], entry["error"]) for entry in logs] == [
        ("maintenance failed, counting goes on", "compact", "WRONGTYPE")
    ]
    assert metric(metrics, "streamer_maintenance_failures_total", step="compact") == calls
    assert metric(metrics, "streamer_maintenance_last_success_timestamp_seconds") == 7


async def test_a_step_waits_for_a_store_that_is_out_of_memory() -> None:
    metrics, step = WorkerMetrics(), CountedStep(OutOfMemoryError("no"))
    loop = MaintenanceLoop({"forget": MaintenanceStep(step)}, metrics, lambda: 7_000, pause_s=0)
    with capture_logs():
        task = asyncio.create_task(loop.run_round(0))
        while not metric(metrics, "streamer_store_unavailable", reason="oom"):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        step.failure = None
        await task
    assert metric(metrics, "streamer_store_unavailable", reason="oom") == 0
    assert metric(metrics, "streamer_maintenance_last_success_timestamp_seconds") == 7


async def test_a_rare_step_comes_once_in_so_many_rounds() -> None:
    step = CountedStep()
    loop = MaintenanceLoop({"erase": MaintenanceStep(step, 3)}, WorkerMetrics(), lambda: 0, pause_s=0)
    for round_number in range(7):
        await loop.run_round(round_number)
    assert step.calls == 3
