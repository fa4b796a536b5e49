"""Documents and the registry of customers in memory, for tests. One object is what all processes share."""

import asyncio
import secrets
from collections.abc import Iterable
from math import inf

from streamer.store.port import TOKEN_BYTES, TokenDocument


class MemoryDocument:
    """Leased document in memory. Calls never wait or fail; leases end by the clock of the event loop."""

    def __init__(self) -> None:
        self._stored: TokenDocument | None = None
        self._holder = ""
        self._lease_until_s = -inf

    async def read(self) -> TokenDocument | None:
        return self._stored

    async def replace(self, before: TokenDocument | None, value: bytes) -> TokenDocument | None:
        if (before and before.token) != (self._stored and self._stored.token):
            return None
        self._stored = TokenDocument(secrets.token_bytes(TOKEN_BYTES), value)
        return self._stored

    async def acquire_lease(self, holder: str, lease_ms: int) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._holder != holder and now_s < self._lease_until_s:
            return False
        self._holder, self._lease_until_s = holder, now_s + lease_ms / 1000
        return True

    async def release_lease(self, holder: str) -> None:
        if self._holder == holder:
            self._lease_until_s = -inf


class MemoryRegistry:
    """Registry of customers in memory. Calls never wait or fail."""

    def __init__(self) -> None:
        self._key: bytes | None = None
        self._forgotten: dict[str, int] = {}

    async def ensure_key(self, new_key: bytes | None) -> bytes | None:
        self._key = new_key if self._key is None else self._key
        return self._key

    async def forgotten(self) -> dict[str, int]:
        return self._forgotten.copy()

    async def forgotten_count(self) -> int:
        return len(self._forgotten)

    async def forget(self, pseudonyms: Iterable[str], at_ms: int) -> None:
        for name in pseudonyms:
            self._forgotten.setdefault(name, at_ms)
