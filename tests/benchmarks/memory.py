"""Measure the memory of a contact in Redis."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis

from streamer.store.layout import layout_key
from tests.benchmarks.worker import CENTER
from tests.parts.redis_server import RedisServer

_CHUNK = 500
_SETTLE_S = 3.0
_PATIENCE = 10


async def used(server: RedisServer) -> int:
    """Redis's own used_memory."""
    async with server.client() as client:
        return int((await client.info("memory"))["used_memory"])


async def weighed(server: RedisServer, empty: int, contacts: int) -> dict[str, Any]:
    """`right_after` is all but what the empty server had used; `older` is that once the worker has
    merged what it merges when it is idle, and without the fine panes, which go after 50 h, as Redis
    sizes their keys. Bytes."""
    right_after, now = await used(server), await _settled(server)
    async with server.client() as client:
        fine, long = await _size(client, "*:f:*"), await _size(client, "*:l:*")
    return {
        "contacts": contacts,
        "used_memory_right_after": right_after,
        "used_memory_settled": now,
        "fine_panes": fine,
        "long_panes": long,
        "bytes_per_contact_right_after": round((right_after - empty) / contacts),
        "bytes_per_contact_settled": round((now - empty) / contacts),
        "bytes_per_contact_older": round((now - empty - fine) / contacts),
        "bytes_per_contact_journeys": round((now - empty - fine - long) / contacts),
    }


async def _settled(server: RedisServer) -> int:
    """used_memory once it stays within 0.5 % for some seconds, as far as it ever does."""
    last = await used(server)
    for _ in range(_PATIENCE):
        await asyncio.sleep(_SETTLE_S)
        now, last = last, await used(server)
        if abs(now - last) < 0.005 * last:
            break
    return last


async def _size(client: Redis, pattern: str) -> int:
    return sum([size async for size in _sizes(client, layout_key(CENTER, pattern))])


async def _sizes(client: Redis, pattern: bytes) -> AsyncIterator[int]:
    keys = [key async for key in client.scan_iter(pattern, count=1_000)]
    for first in range(0, len(keys), _CHUNK):
        pipe = client.pipeline(transaction=False)
        for key in keys[first : first + _CHUNK]:
            pipe.memory_usage(key, samples=0)
        for size in await pipe.execute():
            yield size or 0
