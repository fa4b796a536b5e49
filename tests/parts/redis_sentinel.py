"""A Redis with a replica, watched by a Sentinel, which promotes the replica when the primary is gone."""

import asyncio
from typing import Self

import redis.asyncio

from tests.parts.redis_server import RedisServer

_POLL_S = 0.1


class SentinelServer(RedisServer):
    """Sentinel of one primary: `redis-server --sentinel`."""

    service = "numbers"

    def __init__(self, primary: RedisServer) -> None:
        super().__init__()
        self._primary = primary

    def command(self) -> list[str]:
        (self.folder / "sentinel.conf").write_text(self._config())  # it writes what it learns there
        return [self.binary(), str(self.folder / "sentinel.conf"), "--sentinel"]

    def stdin(self) -> str:
        return ""

    def _config(self) -> str:
        service, primary = self.service, self._primary
        return (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {self.folder}\n"
            f"sentinel monitor {service} 127.0.0.1 {primary.port} 1\n"
            f"sentinel auth-pass {service} {primary.password}\n"
            f"sentinel down-after-milliseconds {service} 500\nsentinel failover-timeout {service} 5000\n"
        )


class WatchedRedis:
    """Primary, replica and Sentinel, all of the given kind of server."""

    def __init__(self, kind: type[RedisServer] = RedisServer) -> None:
        self.primary, self.replica = kind(), kind()
        self.replica.password = self.primary.password
        self.sentinel = SentinelServer(self.primary)

    @property
    def url(self) -> str:
        sentinel = self.sentinel
        return (
            f"redis+sentinel://:{self.primary.password}@{sentinel.address}/{sentinel.service}/0"
            f"?sentinel_password={sentinel.password}"
        )

    async def start(self) -> None:
        for server in (self.primary, self.replica):
            await server.start()
            async with server.client() as client:
                await client.config_set("masterauth", server.password)
        async with self.replica.client() as client:
            await client.execute_command("REPLICAOF", "127.0.0.1", self.primary.port)
            await self._until_linked(client)
        await self.sentinel.start()
        async with self.sentinel.client() as client:
            while not await client.sentinel_slaves(self.sentinel.service):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)

    async def _until_linked(self, client: redis.asyncio.Redis) -> None:
        while (await client.info("replication"))["master_link_status"] != "up":  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)

    async def close(self) -> None:
        for server in (self.sentinel, self.replica, self.primary):
            await server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
