"""A store that is killed, and comes back without its last moments."""

from pathlib import Path

import pytest

from streamer.store.layout import shared_key
from tests.faults.trial import Trial
from tests.parts.redis_server import RedisServer

pytestmark = pytest.mark.apache
LAST_MOMENTS = 100_000  # bytes of the append-only file: some tens of commits


async def test_a_killed_store_takes_nothing_away_and_what_it_forgot_is_counted_again(trial: Trial) -> None:
    trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
        await trial.redis.kill()
        await trial.redis.start()
        await trial.progress(300)
        await trial.redis.kill()
        forget(trial.redis)
        await trial.redis.start()
        await trial.progress(300)
    await trial.settle()


async def test_what_the_store_forgot_is_counted_again_though_nothing_new_comes(trial: Trial) -> None:
    trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
    await trial.settle()
    await trial.redis.kill()
    forget(trial.redis)
    await trial.redis.start()
    await trial.settle()


async def test_a_store_emptied_under_a_worker_keeps_its_customers_when_the_next_worker_comes(
    trial: Trial,
) -> None:
    trial.worker()
    async with trial.load(per_s=300):
        await trial.progress(900)
        before = await terms(trial)
        await trial.store.client.flushall()
        trial.worker()
        await trial.progress(900)
    await trial.settle()
    assert await terms(trial) == before


async def terms(trial: Trial) -> tuple[bytes | None, bytes | None]:
    """Return the counting rules and the customer key that the store has."""
    key = shared_key(trial.settings.center, "customer-key")
    return await trial.store.rules(), await trial.store.client.get(key)


def forget(redis: RedisServer) -> None:
    """Drop what was not yet on disk when the machine, not only the process, went down."""
    (file,) = Path(redis.folder).glob("appendonlydir/*.incr.aof")
    assert file.stat().st_size > 2 * LAST_MOMENTS
    with file.open("rb+") as aof:
        aof.truncate(file.stat().st_size - LAST_MOMENTS)
