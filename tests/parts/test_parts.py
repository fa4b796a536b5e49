"""Tests that the servers of the tests start, answer, come back with their data, and die with us."""

import asyncio
import shutil
import subprocess
import sys

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.asyncio import RedisCluster as ClusterClient
from redis.exceptions import AuthenticationError, RedisError

from tests.conftest import Parts
from tests.parts.broker import Broker
from tests.parts.redis_cluster import RedisCluster
from tests.parts.redis_server import RedisServer
from tests.parts.server import is_open

RECORDS = [f"record {number}".encode() for number in range(100)]
ORPHAN = """
import asyncio, os, signal, sys
from tests.conftest import PARTS
server = getattr(PARTS[sys.argv[1]], sys.argv[2])()
asyncio.run(server.start())
print(server.port, server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_broker_returns_what_was_published(broker: Broker, center: str) -> None:
    await publish(broker, center)
    assert await records(broker, center) == RECORDS


async def test_apache_kafka_keeps_records_through_a_kill_and_the_embedded_broker_forgets(
    fresh_broker: Broker,
) -> None:
    await publish(fresh_broker, "survivors")
    address = fresh_broker.address
    await fresh_broker.kill()
    await fresh_broker.start()
    assert fresh_broker.address == address
    if fresh_broker.keeps_records:
        assert await records(fresh_broker, "survivors") == RECORDS
    else:
        assert "survivors" not in await topics(fresh_broker)


async def test_a_store_keeps_its_keys_through_a_kill(fresh_redis: RedisServer) -> None:
    async with fresh_redis.client() as client:
        await client.set("key", "value")
    await fresh_redis.kill()
    with pytest.raises(RedisError):
        await ping(fresh_redis)
    await fresh_redis.start()
    async with fresh_redis.client() as client:
        assert await client.get("key") == b"value"


async def test_a_store_without_aof_comes_back_empty(parts: Parts) -> None:
    async with parts.store(aof=False) as server:
        async with server.client() as client:
            await client.set("key", "value")
        await server.restart()
        async with server.client() as client:
            assert await client.get("key") is None


async def test_a_store_asks_for_its_password(redis_server: RedisServer) -> None:
    stranger = redis_server.url.replace(redis_server.password, "wrong")
    async with Redis.from_url(stranger) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()


async def test_a_cluster_spreads_keys_over_its_nodes(redis_cluster: RedisCluster) -> None:
    keys = [f"{{{number}}}" for number in range(50)]
    async with ClusterClient.from_url(redis_cluster.url) as client:
        for key in keys:
            await client.set(key, key)
        assert [await client.get(key) for key in keys] == [key.encode() for key in keys]
    for node in redis_cluster.nodes:
        async with node.client() as client:
            assert 0 < await client.dbsize() < 50


async def test_a_cluster_comes_back_from_a_kill_of_all_nodes(parts: Parts) -> None:
    async with RedisCluster(parts.store) as cluster:
        async with ClusterClient.from_url(cluster.url) as client:
            await client.set("key", "value")
        await cluster.kill()
        await cluster.start()
        async with ClusterClient.from_url(cluster.url) as client:
            assert await client.get("key") == b"value"


@pytest.mark.parametrize("part", ["broker", "store"])
async def test_a_server_dies_with_the_process_that_started_it(
    part: str, parts: Parts, request: pytest.FixtureRequest
) -> None:
    choice = request.config.getoption("--parts")
    orphan = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", ORPHAN, choice, part],
        cwd=request.config.rootpath,
        stdout=subprocess.PIPE,
        check=False,
    )
    port, folder = orphan.stdout.decode().split()
    shutil.rmtree(folder)
    for _ in range(100):
        if not is_open(int(port)):
            return
        await asyncio.sleep(0.05)
    pytest.fail("it still listens")


async def test_a_missing_part_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_TEST_REDIS", "no-such-server")
    server = RedisServer()
    with pytest.raises(RuntimeError, match="no-such-server is missing"):
        await server.start()
    await server.close()


async def test_a_server_that_does_not_start_says_why(parts: Parts) -> None:
    async with parts.store() as running:
        second = parts.store()
        second.port = running.port
        with pytest.raises(RuntimeError, match="in use"):
            await second.start()
        await second.close()


async def publish(broker: Broker, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with producer:
        for record in RECORDS:
            await producer.send(topic, record)


async def records(broker: Broker, topic: str) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address)
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        async with asyncio.timeout(20):
            return [(await consumer.getone()).value for _ in RECORDS]


async def topics(broker: Broker) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def ping(server: RedisServer) -> None:
    async with server.client() as client:
        await client.ping()
