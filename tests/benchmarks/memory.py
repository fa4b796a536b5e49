"""Here is what a contact weighs in Redis."""

from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis

from streamer.store.layout import prefix
from tests.benchmarks.worker import CENTER
from tests.parts.redis_server import RedisServer

_CHUNK = 500


async def used(server: RedisServer) -> int:
    """Redis's own used_memory."""
    async with server.client() as client:
        return int((await client.info("memory"))["used_memory"])


async def weighed(server: RedisServer, empty: int, contacts: int) -> dict[str, Any]:
    """`right_after` is all but what the empty server had used; `older` is that without the fine
    panes, which go after 50 h, as Redis sizes their keys. Bytes."""
    now = await used(server)
    async with server.client() as client:
        fine, long = await _size(client, "f:*"), await _size(client, "l:*")
    return {
        "contacts": contacts,
        "used_memory": now,
        "fine_panes": fine,
        "long_panes": long,
        "bytes_per_contact_right_after": round((now - empty) / contacts),
        "bytes_per_contact_older": round((now - empty - fine) / contacts),
        "bytes_per_contact_journeys": round((now - empty - fine - long) / contacts),
    }


async def _size(client: Redis, pattern: str) -> int:
    return sum([size async for size in _sizes(client, prefix(CENTER) + pattern.encode())])


async def _sizes(client: Redis, pattern: bytes) -> AsyncIterator[int]:
    keys = [key async for key in client.scan_iter(pattern, count=1_000)]
    for first in range(0, len(keys), _CHUNK):
        pipe = client.pipeline(transaction=False)
        for key in keys[first : first + _CHUNK]:
            pipe.memory_usage(key, samples=0)
        for size in await pipe.execute():
            yield size or 0
