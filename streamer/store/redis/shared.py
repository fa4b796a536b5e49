"""Data that outlives every generation and every layout: the key of pseudonyms, who was forgotten, and
documents that several processes change."""

import secrets
from collections.abc import Iterable
from typing import NamedTuple

from streamer.store.layout import shared_key
from streamer.store.port import TOKEN_BYTES
from streamer.store.redis.connection import Script
from streamer.store.redis.store import RedisStore


class CustomerRegistry:
    """The key made for a center's customers, and who was forgotten. Of `center`, whichever center the store
    is of."""

    def __init__(self, store: RedisStore, center: str) -> None:
        self._client = store.client
        self._key, self._forgotten = shared_key(center, "customer-key"), shared_key(center, "forgotten")

    async def key(self, made: bytes | None) -> bytes | None:
        """Return the center's own key; where there is none it is `made`, if given."""
        if made is not None:
            await self._client.set(self._key, made, nx=True)
        found: bytes | None = await self._client.get(self._key)
        return found

    async def forgotten(self) -> dict[str, int]:
        """Return pseudonyms and when they were forgotten, in ms."""
        found = await self._client.hgetall(self._forgotten)
        return {name.decode(): int(ms) for name, ms in found.items()}

    async def number(self) -> int:
        """Return how many are forgotten. None is ever taken back, or changed."""
        return int(await self._client.hlen(self._forgotten))

    async def forget(self, pseudonyms: Iterable[str], at_ms: int) -> None:
        for name in pseudonyms:
            await self._client.hsetnx(self._forgotten, name, at_ms)


class TokenDocument(NamedTuple):
    """A document with the token of who wrote it last."""

    token: bytes
    value: bytes


class LeasedDocument:
    """A document that several processes read and change, and a lease for what only one of them may do. Raises
    redis-py's errors as they are."""

    def __init__(self, store: RedisStore, name: str) -> None:
        self._client = store.client
        self._key = shared_key(store.center, name)
        self._holder = shared_key(store.center, f"{name}:holder")
        self._compare_and_set = Script("compare_and_set")
        self._acquire, self._release = Script("acquire_lease"), Script("release_lease")

    async def read(self) -> TokenDocument | None:
        found = await self._client.get(self._key)
        return None if found is None else TokenDocument(found[:TOKEN_BYTES], found[TOKEN_BYTES:])

    async def replace(self, before: TokenDocument | None, value: bytes) -> TokenDocument | None:
        """Return what is there now; None: somebody changed it since `before` was read, and nothing is
        written."""
        after = TokenDocument(secrets.token_bytes(TOKEN_BYTES), value)
        token = before.token if before else b""
        written = await self._compare_and_set(self._client, [self._key], token, after.token, value)
        return after if written else None

    async def hold(self, who: str, ms: int) -> bool:
        """Tell whether the lease is that of `who`: nobody else's is for so long."""
        return bool(await self._acquire(self._client, [self._holder], who, ms))

    async def release(self, who: str) -> None:
        await self._release(self._client, [self._holder], who)
