"""Keep data that outlives every generation and layout: the pseudonym key, forgotten customers, and documents
that several processes change."""

import secrets
from collections.abc import Iterable

from streamer.store.layout import CUSTOMER_KEY_NAME, FORGOTTEN_NAME, HOLDER_SUFFIX, shared_key
from streamer.store.port import TOKEN_BYTES, TokenDocument
from streamer.store.redis.connection import LuaScript
from streamer.store.redis.store import RedisStore


class RedisRegistry:
    """Registry of customers in Redis. `center` may differ from the store's."""

    def __init__(self, store: RedisStore, center: str) -> None:
        self._client = store.client
        self._key, self._forgotten = shared_key(center, CUSTOMER_KEY_NAME), shared_key(center, FORGOTTEN_NAME)

    async def ensure_key(self, new_key: bytes | None) -> bytes | None:
        if new_key is not None:
            await self._client.set(self._key, new_key, nx=True)
        key: bytes | None = await self._client.get(self._key)
        return key

    async def forgotten(self) -> dict[str, int]:
        times = await self._client.hgetall(self._forgotten)
        return {name.decode(): int(at_ms) for name, at_ms in times.items()}

    async def forgotten_count(self) -> int:
        return int(await self._client.hlen(self._forgotten))

    async def forget(self, pseudonyms: Iterable[str], at_ms: int) -> None:
        for name in pseudonyms:
            await self._client.hsetnx(self._forgotten, name, at_ms)


class RedisDocument:
    """Leased document in Redis. Raises redis-py's errors as they are."""

    def __init__(self, store: RedisStore, name: str) -> None:
        self._client = store.client
        self._key = shared_key(store.center, name)
        self._holder = shared_key(store.center, name + HOLDER_SUFFIX)
        self._compare_and_set_script = LuaScript("compare_and_set")
        self._acquire_script, self._release_script = LuaScript("acquire_lease"), LuaScript("release_lease")

    async def read(self) -> TokenDocument | None:
        stored = await self._client.get(self._key)
        return None if stored is None else TokenDocument(stored[:TOKEN_BYTES], stored[TOKEN_BYTES:])

    async def replace(self, before: TokenDocument | None, value: bytes) -> TokenDocument | None:
        after = TokenDocument(secrets.token_bytes(TOKEN_BYTES), value)
        token = before.token if before else b""
        written = await self._compare_and_set_script(self._client, [self._key], token, after.token, value)
        return after if written else None

    async def acquire_lease(self, holder: str, lease_ms: int) -> bool:
        return bool(await self._acquire_script(self._client, [self._holder], holder, lease_ms))

    async def release_lease(self, holder: str) -> None:
        await self._release_script(self._client, [self._holder], holder)
