"""Fail-overs of Redis: a replica that is promoted behind, Sentinel, a slot that moves; settled exactly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from redis.crc import key_slot

from streamer.store.layout import SEQUENCE, generation_prefix, layout_key
from tests.conftest import Parts
from tests.faults.trial import Trial
from tests.faults.worker import said
from tests.parts.broker import Broker
from tests.parts.redis_cluster import RedisCluster
from tests.parts.redis_sentinel import WatchedRedis
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port, is_open

BEHIND = 300
"""Records counted after the replica lost its primary."""


@pytest.fixture
def broker(embedded_broker: Broker) -> Broker:
    """The embedded one: Kafka is not the point."""
    return embedded_broker


@asynccontextmanager
async def opened(
    broker: Broker, redis: RedisServer | RedisCluster | WatchedRedis, center: str, folder: Path
) -> AsyncIterator[Trial]:
    trial = Trial(broker, redis, center, folder)  # type: ignore[arg-type]
    await trial.open()
    try:
        yield trial
    finally:
        await trial.close()


@pytest.mark.apache
async def test_a_replica_promoted_behind_is_counted_up_to_date_again(
    broker: Broker, parts: Parts, center: str, tmp_path: Path
) -> None:
    """The replica takes over the address of the primary, without its last commits."""
    async with parts.store() as primary, parts.store() as replica:
        async with replica.client() as client:
            await client.config_set("masterauth", primary.password)
            await client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
        async with opened(broker, primary, center, tmp_path) as trial:
            trial.worker()
            async with trial.load(per_s=200):
                await trial.progress(300)
                await until_linked(replica)
                async with replica.client() as client:
                    await client.execute_command("REPLICAOF", "NO", "ONE")
                await trial.progress(BEHIND)
                assert await sequence(replica, center) < await sequence(primary, center), "it is behind"
                await primary.kill()
                await replica.stop()
                replica.port, replica.password = primary.port, primary.password
                await replica.start()
                await trial.progress(BEHIND)
            await trial.settle()


async def sequence(redis: RedisServer, center: str) -> int:
    """Return the number of writes to the center."""
    async with redis.client() as client:
        return int(await client.get(generation_prefix(center) + SEQUENCE))


async def until_linked(replica: RedisServer) -> None:
    async with replica.client() as client:
        while (await client.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.apache  # the embedded store has no Sentinel
async def test_worker_and_server_follow_sentinel_to_the_new_primary(
    broker: Broker, center: str, tmp_path: Path
) -> None:
    port = free_port()
    async with WatchedRedis() as redis, opened(broker, redis, center, tmp_path) as trial:
        worker = trial.worker()
        server = trial.worker(command="serve", port=str(port))
        async with trial.load(per_s=200):
            await trial.progress(300)
            await trial.until(lambda: is_open(port))
            await redis.primary.kill()
            await trial.progress(300)
        await trial.settle()
        await trial.until(lambda: b'"ready":true' in urlopen(f"http://127.0.0.1:{port}/readyz").read())
        assert len(said(worker, "retrying: store unavailable")) <= 3
        assert redis.primary.password not in worker.log() + server.log()


@pytest.mark.apache
async def test_a_worker_counts_on_while_its_slot_moves_to_another_node(
    broker: Broker, parts: Parts, center: str, tmp_path: Path
) -> None:
    slot = key_slot(layout_key(center))
    async with RedisCluster(parts.store) as cluster, opened(broker, cluster, center, tmp_path) as trial:
        worker = trial.worker()
        async with trial.load(per_s=200):
            await trial.progress(300)
            for _ in range(2):
                await cluster.move_slot(slot, pause_s=1.0)
                await trial.progress(100)
        await trial.settle()
        assert said(worker, "retrying: store unavailable")
