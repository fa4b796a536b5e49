"""Load the pseudonymizer, track forgotten customers, and erase their facts from the store."""

import re
import secrets
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final

from streamer.events.veil import Veil
from streamer.journeys.erasing import ErasedCounts, erase
from streamer.journeys.journey import Key, customer_key
from streamer.journeys.working_set import DocumentsNotLoaded, WorkingSet
from streamer.settings import OWN_KEY, Settings
from streamer.store.port import EMPTY_STORE, Store, StoreVersion
from streamer.store.redis import CustomerRegistry, RedisStore

JOURNEYS: Final = "co"
"""First letters of the keys of documents that hold customers' facts."""
_ALL: Final = -(2**63)
_AT_ONCE: Final = 500


def new_key() -> str:
    """Return a random key of 256 bits for [customer_keys], base64url.

    >>> len(new_key())
    43
    """
    return secrets.token_urlsafe(32)


async def veil(store: RedisStore, settings: Settings) -> Veil:
    """Return the pseudonymizer of this center. Where no key is set, one is made, once, and kept in Redis."""
    registry = CustomerRegistry(store, settings.center)
    own = await registry.key(None if settings.customer_keys else new_key().encode())
    keys = {OWN_KEY: own} if own is not None else {}
    keys |= {key: secret.get_secret_value().encode() for key, secret in settings.customer_keys.items()}
    made = Veil(keys, settings.rules().customer_key)
    await refresh(made, registry)
    return made


async def refresh(hiding: Veil, registry: CustomerRegistry) -> None:
    """Load who was forgotten since the last call."""
    if await registry.number() != len(hiding.forgotten):
        hiding.forgotten = await registry.forgotten()


class ForgottenCustomersSync:
    """Keep a worker's pseudonymizer up to date, and erase forgotten customers that late events brought
    back."""

    def __init__(self, hiding: Veil, store: RedisStore, center: str) -> None:
        self._veil, self._store = hiding, store
        self._registry = CustomerRegistry(store, center)

    async def refresh(self) -> None:
        await refresh(self._veil, self._registry)

    async def erase(self) -> None:
        """Erase facts from before a customer was forgotten that came late."""
        now_ms = (await self._store.facts()).time_ms
        await erase_forgotten(self._store, self._veil.forgotten, now_ms)


async def erase_customer(
    store: Store, names: Collection[str], now_ms: int, journeys: Iterable[Key] = ()
) -> ErasedCounts:
    """Erase the customer of these pseudonyms from their journeys and what these claim, and from `journeys`.
    Workers may count meanwhile: on a version conflict it starts again. `now_ms` is the wall clock."""
    journeys = list(journeys)
    while True:
        documents = WorkingSet(_ALL)
        version: StoreVersion | None = None
        while True:
            try:
                erased = erase(documents, names, journeys)
                break
            except DocumentsNotLoaded as missing:
                keys = list(missing.keys)
            snapshot = await store.read(keys)
            version = version or snapshot.version
            for key, value in zip(keys, snapshot.values, strict=True):
                documents.load(key, value)
        reads = [*documents.records, *documents.before]
        writes = documents.writes()
        if not writes or await store.replace(version or EMPTY_STORE, reads, writes, now_ms):
            return erased


async def erase_forgotten(store: Store, names: Iterable[str], now_ms: int) -> None:
    """Erase those of these customers that have a journey."""
    journeys = {customer_key(name): name for name in names}
    for first in range(0, len(journeys), _AT_ONCE):
        keys = list(journeys)[first : first + _AT_ONCE]
        for key, document in zip(keys, (await store.read(keys)).values, strict=True):
            if document is not None:
                await erase_customer(store, [journeys[key]], now_ms)


async def erase_everywhere(store: Store, names: Collection[str], now_ms: int) -> ErasedCounts:
    """Erase these customers wherever they are named, by a scan of all journeys."""
    erased = ErasedCounts()
    async for key, found in documents_naming(store, JOURNEYS, names):
        erased += await erase_customer(store, found, now_ms, [key])
    return erased


async def documents_naming(
    store: Store, letters: str, names: Collection[str]
) -> AsyncIterator[tuple[Key, list[str]]]:
    """Yield the keys of documents that name any of these customers, with the names found, sorted.
    `letters`: first letters of the keys to scan."""
    if not names:
        return
    wanted = {name.encode(): name for name in names}
    pattern = re.compile(b"|".join(map(re.escape, wanted)))
    async for documents in store.scan(letters):
        for key, value in documents.items():
            if found := {*pattern.findall(value)}:
                yield key, sorted(wanted[name] for name in found)
