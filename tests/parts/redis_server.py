"""One Redis: Debian's, or the one of $STREAMER_TEST_REDIS."""

import os
import secrets
import shutil

import redis.asyncio
from redis.exceptions import RedisError

from streamer.demo.embedded import _store_config
from tests.parts.server import Server, free_port


class RedisServer(Server):
    """Redis with a password, on loopback. Without `aof` it comes back empty.

    With `cluster_password` it is a node of a cluster, all of whose nodes share the password.
    """

    def __init__(self, *, aof: bool = True, cluster_password: str | None = None) -> None:
        super().__init__()
        self.aof = aof
        self.password = cluster_password or secrets.token_hex(8)
        self.bus_port = free_port() if cluster_password else None
        self.extra_config = ""
        """Lines for the next start."""

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{self.address}/0"

    def binary(self) -> str:
        """The server's path. Raises RuntimeError where there is none."""
        wanted = os.environ.get("STREAMER_TEST_REDIS", "redis-server")
        if (found := shutil.which(wanted)) is None:
            raise RuntimeError(f"{wanted} is missing: install Redis, or name one in STREAMER_TEST_REDIS")
        return found

    def command(self) -> list[str]:
        return [self.binary(), "-"]

    def stdin(self) -> str:
        config = _store_config(self.port, self.password, self.folder if self.aof else None)
        if self.bus_port is not None:
            config += f"cluster-enabled yes\ncluster-port {self.bus_port}\ncluster-node-timeout 2000\n"
        return config + self.extra_config

    def client(self) -> redis.asyncio.Redis:
        """A new client, for one event loop. Whoever asks closes it."""
        return redis.asyncio.Redis.from_url(self.url)

    async def answers(self) -> bool:
        async with self.client() as client:
            try:
                return bool(await client.ping())
            except RedisError:  # while it loads its data
                return False
