"""Load the pseudonymizer, track forgotten customers, and erase their facts from the store."""

import re
import secrets
from collections.abc import AsyncIterator, Collection, Iterable
from functools import partial
from typing import Final

from streamer.journeys.erasure import ErasedCounts, erase_from_journeys
from streamer.journeys.journey import Key, customer_key
from streamer.journeys.working_set import DocumentsNotLoaded, WorkingSet
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.runtime.retry import retry_refused
from streamer.settings import CENTER_KEY_ID, Settings
from streamer.store.port import (
    EMPTY_STORE,
    CustomerKeyMismatch,
    CustomerRegistry,
    StateStore,
    StoreVersion,
)
from streamer.store.redis import RedisStore

JOURNEY_KEY_LETTERS: Final = "co"
"""First letters of the keys of documents that hold customers' facts."""
_FORGET_NOTHING: Final = -(2**63)
_KEYS_PER_READ: Final = 500


def new_customer_key() -> str:
    """Return a random key of 256 bits for [customer_keys], base64url.

    >>> len(new_customer_key())
    43
    """
    return secrets.token_urlsafe(32)


async def load_pseudonymizer(registry: CustomerRegistry, settings: Settings) -> Pseudonymizer:
    """Return the pseudonymizer of this center. Where no key is set, one is made, once, and kept in the
    registry."""
    center_key = await registry.ensure_key(None if settings.customer_keys else new_customer_key().encode())
    keys = {CENTER_KEY_ID: center_key} if center_key is not None else {}
    keys |= {key_id: secret.get_secret_value().encode() for key_id, secret in settings.customer_keys.items()}
    pseudonymizer = Pseudonymizer(keys, settings.counting_rules().customer_key)
    await refresh_forgotten(pseudonymizer, registry)
    return pseudonymizer


async def refresh_forgotten(pseudonymizer: Pseudonymizer, registry: CustomerRegistry) -> None:
    """Load who was forgotten since the last call. A store that was emptied is told again who was before."""
    known = pseudonymizer.forgotten_at_ms
    if await registry.forgotten_count() == len(known):
        return
    stored = await registry.forgotten()
    lost = {name: at_ms for name, at_ms in known.items() if name not in stored}
    for name, at_ms in lost.items():
        await registry.forget([name], at_ms)
    pseudonymizer.forgotten_at_ms = stored | lost


class ForgottenCustomersSync:
    """Keep a worker's pseudonymizer and the registry alike, and erase forgotten customers that late events
    brought back."""

    def __init__(self, pseudonymizer: Pseudonymizer, store: RedisStore, registry: CustomerRegistry) -> None:
        self._pseudonymizer, self._store, self._registry = pseudonymizer, store, registry

    async def refresh(self) -> None:
        """Load who was forgotten, and tell an emptied store what it lost. Raises CustomerKeyMismatch."""
        center_key = self._pseudonymizer.secret_of(CENTER_KEY_ID)
        if center_key is not None and await self._registry.ensure_key(center_key) != center_key:
            raise CustomerKeyMismatch
        await refresh_forgotten(self._pseudonymizer, self._registry)

    async def erase_returned(self) -> None:
        """Erase facts from before a customer was forgotten that came late."""
        now_ms = (await self._store.server_info()).time_ms
        await erase_forgotten(self._store, self._pseudonymizer.forgotten_at_ms, now_ms)


async def erase_customer(
    store: StateStore, names: Collection[str], now_ms: int, journeys: Iterable[Key] = ()
) -> ErasedCounts:
    """Erase the customer of these pseudonyms from their journeys and what these claim, and from `journeys`.
    Workers may count meanwhile: on a version conflict it starts again. `now_ms` is the wall clock. Each call
    is repeated while Redis refuses, not all of them: what was erased would not be reported."""
    journeys = list(journeys)
    while True:
        documents = WorkingSet(_FORGET_NOTHING)
        versions: set[StoreVersion] = set()
        while True:
            try:
                erased = erase_from_journeys(documents, names, journeys)
                break
            except DocumentsNotLoaded as not_loaded:
                keys = list(not_loaded.keys)
            snapshot = await retry_refused(partial(store.read, keys))
            versions.add(snapshot.version)
            for key, value in zip(keys, snapshot.values, strict=True):
                documents.load(key, value)
        reads = [*documents.records, *documents.journeys_before]
        writes = documents.writes()
        version, *later_versions = sorted(versions) or [EMPTY_STORE]
        replace = partial(store.replace, version, reads, writes, now_ms, later_versions)
        if not writes or await retry_refused(replace):
            return erased


async def erase_forgotten(store: StateStore, names: Iterable[str], now_ms: int) -> None:
    """Erase those of these customers that have a journey."""
    journeys = {customer_key(name): name for name in names}
    for start in range(0, len(journeys), _KEYS_PER_READ):
        keys = list(journeys)[start : start + _KEYS_PER_READ]
        snapshot = await retry_refused(partial(store.read, keys))
        for key, document in zip(keys, snapshot.values, strict=True):
            if document is not None:
                await erase_customer(store, [journeys[key]], now_ms)


async def erase_everywhere(store: StateStore, names: Collection[str], now_ms: int) -> ErasedCounts:
    """Erase these customers wherever they are named, by a scan of all journeys."""
    erased = ErasedCounts()
    async for key, named in find_documents_naming(store, JOURNEY_KEY_LETTERS, names):
        erased += await erase_customer(store, named, now_ms, [key])
    return erased


async def find_documents_naming(
    store: StateStore, letters: str, names: Collection[str]
) -> AsyncIterator[tuple[Key, list[str]]]:
    """Yield the keys of documents that name any of these customers, with the names found, sorted.
    `letters`: first letters of the keys to scan."""
    if not names:
        return
    names_by_bytes = {name.encode(): name for name in names}
    pattern = re.compile(b"|".join(map(re.escape, names_by_bytes)))
    async for documents in store.scan(letters):
        for key, value in documents.items():
            if matches := {*pattern.findall(value)}:
                yield key, sorted(names_by_bytes[name] for name in matches)
