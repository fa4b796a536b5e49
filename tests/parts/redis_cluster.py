"""A Redis Cluster of three nodes that share the slots, without replicas."""

import asyncio
import secrets
from typing import Self

import redis.asyncio

from tests.parts.redis_server import RedisServer

_SLOTS = 16384
_NODES = 3
_TRIES = 300


class RedisCluster:
    """Three servers of the given kind. `nodes` may be killed and restarted one by one."""

    def __init__(self, kind: type[RedisServer] = RedisServer) -> None:
        password = secrets.token_hex(8)
        self.nodes = [kind(cluster_password=password) for _ in range(_NODES)]

    @property
    def url(self) -> str:
        """The first node's; a cluster client finds the others."""
        return self.nodes[0].url

    async def start(self) -> None:
        """The first time also deals out the slots; later the nodes know each other."""
        for node in self.nodes:
            await node.start()
        async with self.nodes[0].client() as first:
            if (await _info(first))["cluster_known_nodes"] == "1":
                await self._introduce()
        await self.until_whole()

    async def until_whole(self) -> None:
        for node in self.nodes:
            await _agreed(node)

    async def stop(self) -> None:
        for node in self.nodes:
            await node.stop()

    async def kill(self) -> None:
        for node in self.nodes:
            await node.kill()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def close(self) -> None:
        for node in self.nodes:
            await node.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def move_slot(self, slot: int, pause_s: float = 0.0) -> None:
        """Move a slot with all its keys to the next node, as `redis-cli --cluster reshard` does; pause while
        half of them are moved."""
        number = self.nodes.index(await self.owner(slot))
        source, target = self.nodes[number], self.nodes[(number + 1) % len(self.nodes)]
        async with source.client() as here, target.client() as there:
            names = [await client.execute_command("CLUSTER", "MYID") for client in (here, there)]
            await there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
            await here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
            keys = await here.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
            for place, key in enumerate(keys):
                if place == len(keys) // 2:
                    await asyncio.sleep(pause_s)
                auth = ("AUTH", target.password)
                await here.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5_000, *auth)
            for client in (there, here):
                await client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[1])

    async def owner(self, slot: int) -> RedisServer:
        (node,) = [node for node in self.nodes if await self._holds(node, slot)]
        return node

    async def _holds(self, node: RedisServer, slot: int) -> bool:
        async with node.client() as client:
            name = await client.execute_command("CLUSTER", "MYID")
            ranges = await client.execute_command("CLUSTER", "SLOTS")
        return any(low <= slot <= high and primary[2] == name for low, high, primary, *_ in ranges)

    async def _introduce(self) -> None:
        edges = [_SLOTS * number // _NODES for number in range(_NODES + 1)]
        for node, start, end in zip(self.nodes, edges, edges[1:], strict=False):
            async with node.client() as client:
                await client.execute_command("CLUSTER", "ADDSLOTSRANGE", start, end - 1)
                for other in self.nodes:
                    await client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, other.bus_port)


async def _agreed(node: RedisServer) -> None:
    async with node.client() as client:
        for _ in range(_TRIES):
            if _whole(info := await _info(client)):
                return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"{node} does not see a whole cluster: {info}")


def _whole(info: dict[str, str]) -> bool:
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(_NODES)


async def _info(client: redis.asyncio.Redis) -> dict[str, str]:
    answer = await client.execute_command("CLUSTER", "INFO")
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    text = answer.decode() if isinstance(answer, bytes) else answer
    return dict(line.split(":", 1) for line in text.split())
