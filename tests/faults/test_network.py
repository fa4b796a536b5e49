"""Networks that break: between a worker and Redis, and between a worker and Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.faults.trial import Trial
from tests.parts.apache_kafka import ApacheKafka
from tests.parts.redis_server import RedisServer
from tests.parts.server import free_port
from tests.parts.tcp_proxy import Direction, TcpProxy

Fault = Callable[[Trial, TcpProxy], Awaitable[None]]


async def is_cut(trial: Trial, proxy: TcpProxy) -> None:
    """Nobody is reached for a second."""
    proxy.cut()
    await asyncio.sleep(1)
    proxy.heal()


async def flaps(trial: Trial, proxy: TcpProxy) -> None:
    """It is up and down every few hundred milliseconds."""
    await proxy.flap(4, 0.3)


async def is_reset(trial: Trial, proxy: TcpProxy) -> None:
    """All connections end at once; new ones are let in."""
    proxy.reset()


async def falls_silent(trial: Trial, proxy: TcpProxy) -> None:
    """A connection of now never passes anything again, and never ends."""
    proxy.stall()


async def stalls(trial: Trial, proxy: TcpProxy) -> None:
    """Connections pass nothing for some seconds, and are reset then."""
    proxy.stall()
    await asyncio.sleep(3)
    proxy.reset()


def halves(direction: Direction, pieces: int = 3) -> Fault:
    async def halve(trial: Trial, proxy: TcpProxy) -> None:
        """A request, or a reply, ends in its middle; so do the next ones."""
        for _ in range(pieces):
            halved = proxy.halved
            proxy.halve(direction)
            await trial.until(lambda: proxy.halved > halved)  # noqa: B023 - called before the next round

    return halve


async def bear(trial: Trial, proxy: TcpProxy, faults: Sequence[Fault]) -> None:
    """One fault after the other under load: each time the worker goes on by itself."""
    async with trial.load(per_s=150):
        await trial.progress(150)
        for fault in faults:
            await fault(trial, proxy)
            await trial.progress(150)
    await trial.settle()


@pytest.mark.apache
async def test_after_each_fault_of_the_network_to_redis_everything_is_counted_once(trial: Trial) -> None:
    async with TcpProxy(trial.redis.port) as proxy:
        trial.worker(redis=trial.redis.url.replace(f":{trial.redis.port}/", f":{proxy.port}/"))
        await bear(
            trial,
            proxy,
            [is_cut, flaps, falls_silent, is_reset, halves(Direction.REPLIES), halves(Direction.REQUESTS)],
        )


class ProxiedKafka(ApacheKafka):
    """Apache Kafka with a second listener, which leads through a proxy."""

    def __init__(self) -> None:
        self.proxied_port = free_port()
        self.proxy = TcpProxy(self.proxied_port)
        super().__init__()

    def properties(self) -> str:
        lines = [
            line
            + {
                "listeners": f",PROXIED://127.0.0.1:{self.proxied_port}",
                "advertised.listeners": f",PROXIED://{self.proxy.address}",
                "listener.security.protocol.map": ",PROXIED:PLAINTEXT",
            }.get(line.partition("=")[0], "")
            for line in super().properties().splitlines()
        ]
        return "\n".join(lines)


@pytest.fixture
async def proxied_kafka() -> AsyncIterator[ProxiedKafka]:
    broker = ProxiedKafka()
    await broker.start()
    try:
        yield broker
    finally:
        await broker.close()


@pytest.mark.apache  # the embedded broker has one listener
@pytest.mark.parts
async def test_after_each_fault_of_the_network_to_kafka_everything_is_counted_once(
    proxied_kafka: ProxiedKafka, fresh_redis: RedisServer, center: str, tmp_path: Path
) -> None:
    trial = Trial(proxied_kafka, fresh_redis, center, tmp_path)
    await trial.open()
    try:
        async with proxied_kafka.proxy as proxy:
            trial.worker(kafka=proxy.address)
            await bear(
                trial,
                proxy,
                [is_cut, flaps, is_reset, halves(Direction.REPLIES), halves(Direction.REQUESTS), stalls],
            )
    finally:
        await trial.close()
