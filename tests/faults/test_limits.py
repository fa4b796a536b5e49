"""A worker that may open no more files, or take no more memory."""

import resource

import pytest

from tests.faults.trial import Trial
from tests.faults.worker import said
from tests.parts.tcp_proxy import TcpProxy

NONE_MORE = 3
"""Files: those of every process. What is open stays open, nothing new can be opened."""
MEMORY_ERROR_AT_A_BATCH = """
import itertools, sys
from streamer.cli import main
from streamer.worker.pipeline import UnitOfWork

batches, commit = itertools.count(), UnitOfWork.commit

def commit_while_memory_lasts(*arguments):
    if next(batches) == 3:
        raise MemoryError
    return commit(*arguments)

UnitOfWork.commit = commit_while_memory_lasts
main(sys.argv[1:])
"""


@pytest.mark.apache
async def test_a_worker_without_file_handles_waits_and_counts_on_when_it_has_some(trial: Trial) -> None:
    async with TcpProxy(trial.redis.port) as proxy:
        worker = trial.worker(redis=trial.redis.url.replace(f":{trial.redis.port}/", f":{proxy.port}/"))
        async with trial.load(per_s=150):
            await trial.progress(150)
            files = worker.present_limit(resource.RLIMIT_NOFILE)
            worker.limit(resource.RLIMIT_NOFILE, NONE_MORE)
            proxy.reset()
            await trial.until(lambda: bool(said(worker, "retrying: store unavailable")))
            worker.limit(resource.RLIMIT_NOFILE, files)
            await trial.progress(150)
        await trial.settle()
        assert len(said(worker, "retrying: store unavailable")) == 1
        assert not said(worker, "Traceback")


@pytest.mark.apache
async def test_a_batch_that_finds_no_memory_ends_the_worker_with_a_line(trial: Trial) -> None:
    first = trial.worker(program=("-c", MEMORY_ERROR_AT_A_BATCH))
    async with trial.load(per_s=150):
        first.ended = True  # or is about to
        await trial.until(lambda: not first.runs)
        trial.worker()
        await trial.progress(150)
    await trial.settle()
    assert await first.exit_code() == 1
    assert len(said(first, "worker stops after an error .*MemoryError")) == 1, first.log()
    assert not said(first, "Traceback"), first.log()
