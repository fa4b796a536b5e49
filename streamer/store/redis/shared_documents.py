"""Keep data that outlives every generation and layout: the pseudonym key, forgotten customers, and documents
that several processes change."""

import secrets
from collections.abc import Iterable
from typing import NamedTuple

from streamer.store.layout import CUSTOMER_KEY_NAME, FORGOTTEN_NAME, HOLDER_SUFFIX, shared_key
from streamer.store.port import TOKEN_BYTES
from streamer.store.redis.connection import LuaScript
from streamer.store.redis.store import RedisStore


class CustomerRegistry:
    """The pseudonym key made for a center, and its forgotten customers. `center` may differ from the
    store's."""

    def __init__(self, store: RedisStore, center: str) -> None:
        self._client = store.client
        self._key, self._forgotten = shared_key(center, CUSTOMER_KEY_NAME), shared_key(center, FORGOTTEN_NAME)

    async def ensure_key(self, new_key: bytes | None) -> bytes | None:
        """Return the center's own key. If there is none, `new_key` is stored and returned, unless None."""
        if new_key is not None:
            await self._client.set(self._key, new_key, nx=True)
        key: bytes | None = await self._client.get(self._key)
        return key

    async def forgotten(self) -> dict[str, int]:
        """Return the forgotten pseudonyms, each with the time (ms)."""
        times = await self._client.hgetall(self._forgotten)
        return {name.decode(): int(at_ms) for name, at_ms in times.items()}

    async def forgotten_count(self) -> int:
        """Return how many pseudonyms are forgotten. It only grows: entries are never changed or removed."""
        return int(await self._client.hlen(self._forgotten))

    async def forget(self, pseudonyms: Iterable[str], at_ms: int) -> None:
        """Record pseudonyms as forgotten; the time of one that is recorded already stays."""
        for name in pseudonyms:
            await self._client.hsetnx(self._forgotten, name, at_ms)


class TokenDocument(NamedTuple):
    """Document with the token of its last write."""

    token: bytes
    value: bytes


class LeasedDocument:
    """Document that several processes read and change, with a lease for work that only one of them may do.
    Raises redis-py's errors as they are."""

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
        """Write the document if it is unchanged since `before` was read. Return it as written; None if
        another process changed it, and nothing was written."""
        after = TokenDocument(secrets.token_bytes(TOKEN_BYTES), value)
        token = before.token if before else b""
        written = await self._compare_and_set_script(self._client, [self._key], token, after.token, value)
        return after if written else None

    async def acquire_lease(self, holder: str, lease_ms: int) -> bool:
        """Acquire or renew the lease for `lease_ms`. Return False if another holder has it."""
        return bool(await self._acquire_script(self._client, [self._holder], holder, lease_ms))

    async def release_lease(self, holder: str) -> None:
        """Give the lease back, if this holder has it."""
        await self._release_script(self._client, [self._holder], holder)
