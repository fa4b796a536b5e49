"""A Redis that answers "not now": workers wait, say why, go on, and the numbers are the oracle's."""

import re
from collections.abc import AsyncIterator, Iterator
from urllib.request import urlopen

import pytest

from streamer.operations.doctor import _check_redis
from streamer.store.layout import DOCUMENT_HASHES, generation_prefix
from tests.conftest import Parts
from tests.faults.redis_faults import (
    Fault,
    busy_script,
    cut_off_replica,
    demoted,
    frozen,
    full_disk,
    loading,
    out_of_memory,
    without_replicas,
)
from tests.faults.trial import Trial
from tests.faults.worker import said
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port, run

FAULTS: dict[str, Fault] = {
    "oom": out_of_memory,
    "readonly": demoted,
    "masterdown": cut_off_replica,
    "noreplicas": without_replicas,
    "busy": busy_script,
    "misconf": full_disk,
    "loading": loading,
    "timeout": frozen,
}


@pytest.fixture
def fresh_redis(parts: Parts) -> Iterator[RedisServer]:
    """A store on a disk that may fill up: then writing fails, and no signal ends it."""

    class DiskBoundStore(parts.store):  # type: ignore[misc, name-defined]
        def command(self) -> list[str]:
            return ["/bin/sh", "-c", 'trap "" XFSZ; exec "$0" -', self.binary()]

    server = DiskBoundStore()
    try:
        run(server.start())
        yield server
    finally:
        run(server.close())


@pytest.mark.apache
async def test_a_worker_waits_through_every_refusal_says_why_and_counts_all_once(trial: Trial) -> None:
    port = free_port()
    worker = trial.worker(metrics_port=str(port))
    async with trial.load(per_s=150):
        await trial.progress(200)
        for reason, fault in FAULTS.items():
            async with fault(trial.redis):
                await trial.until(lambda reason=reason: bool(said(worker, f"reason={reason}")))  # type: ignore[misc]
                await trial.until(lambda reason=reason: reason in waits_for(port))  # type: ignore[misc]
                if reason == "oom":
                    lag = lag_of(port)
                    await trial.until(lambda lag=lag: lag_of(port) > lag + 300)  # type: ignore[misc]
                if reason != "timeout":  # which takes seconds
                    assert [line async for line in findings(trial) if f"Redis: {reason}: " in line]
            await trial.progress(50)
            assert len(said(worker, f"reason={reason}")) == 1, "one line"
        await trial.until(lambda: not waits_for(port))
    await trial.settle()
    assert worker.runs


@pytest.mark.apache
async def test_an_error_that_does_not_pass_ends_a_worker_with_one_line(trial: Trial) -> None:
    """A password that is changed, and keys of another program."""
    redis, password = trial.redis, trial.redis.password
    first = trial.worker("first")
    async with trial.load(per_s=150):
        await trial.progress(50)
        first.ended = True
        async with redis.client() as client:
            await client.config_set("requirepass", "another")
            await client.client_kill_filter(_type="normal", skipme=True)
            assert await first.exit_code() == 1
            await client.config_set("requirepass", password)
        second = trial.worker("second")
        await trial.progress(50)
        second.ended = True
        prefix = generation_prefix(trial.settings.center)
        async with redis.client() as client:
            for name in DOCUMENT_HASHES:
                await client.delete(prefix + name)
                await client.set(prefix + name, "not a hash")
        assert await second.exit_code() == 1
    for worker, error in ((first, "invalid username-password pair"), (second, "wrong kind of value")):
        *before, line = worker.log().splitlines()
        assert re.search(f"worker stops after an error .*{error}", line)
        expected = "retrying: store|answer again|maintenance failed"  # which may meet the error first
        assert not [text for text in before if not re.search(expected, text)]


async def findings(trial: Trial) -> AsyncIterator[str]:
    """Yield the lines of `streamer check` on Redis."""
    async for finding in _check_redis(trial.settings):
        yield str(finding)


def waits_for(port: int) -> set[str]:
    """Return the reasons that the worker's metrics give."""
    waiting = samples(port, "streamer_store_unavailable")
    return {labels.partition('"')[2].removesuffix('"}') for labels, value in waiting.items() if value}


def lag_of(port: int) -> float:
    return sum(samples(port, "streamer_lag_records").values())


def samples(port: int, name: str) -> dict[str, float]:
    """Return the samples of a metric by their labels."""
    lines = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode().splitlines()
    split_lines = (line.removeprefix(name).rpartition(" ") for line in lines if line.startswith(f"{name}{{"))
    return {labels: float(value) for labels, _, value in split_lines}
