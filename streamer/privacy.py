"""Here is what hides customers: their keys, who was forgotten, and the erasing of what is stored."""

import re
import secrets
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final

from streamer.events.veil import Veil
from streamer.journeys.desk import Desk, Missing
from streamer.journeys.erasing import Erased, erase
from streamer.journeys.journey import Key, customer_key
from streamer.pipeline import Work
from streamer.settings import OWN_KEY, Settings
from streamer.store.port import TOKEN_BYTES, Store
from streamer.store.redis import Customers, RedisStore

JOURNEYS: Final = "co"
"""The letters of the documents in which customers' facts lie."""
_ALL: Final = -(2**63)
_AT_ONCE: Final = 500


def new_key() -> str:
    """A key for [customer_keys]: 256 bits."""
    return secrets.token_urlsafe(32)


async def veil(store: RedisStore, settings: Settings) -> Veil:
    """What hides this center's customers. Where no key is set, one is made, once."""
    customers = Customers(store, settings.center)
    own = await customers.key(None if settings.customer_keys else new_key().encode())
    keys = {OWN_KEY: own} if own is not None else {}
    keys |= {key: secret.get_secret_value().encode() for key, secret in settings.customer_keys.items()}
    made = Veil(keys, settings.rules().customer_key)
    await refresh(made, customers)
    return made


async def refresh(hiding: Veil, customers: Customers) -> None:
    """Learn who was forgotten meanwhile."""
    if await customers.number() != len(hiding.forgotten):
        hiding.forgotten = await customers.forgotten()


class Keeper:
    """Who keeps a worker's veil up to date, and sees that the forgotten stay so."""

    def __init__(self, hiding: Veil, store: RedisStore, center: str) -> None:
        self._veil, self._store = hiding, store
        self._customers = Customers(store, center)

    async def refresh(self) -> None:
        await refresh(self._veil, self._customers)

    async def sweep(self) -> None:
        """Erase what events brought back that came late: of before they were forgotten."""
        await erase_forgotten(self._store, self._veil.forgotten)


async def erase_customer(store: Store, names: Collection[str], journeys: Iterable[Key] = ()) -> Erased:
    """Erase a customer of these pseudonyms from their journeys and what these name, and from `journeys`.
    Whoever counts meanwhile is not disturbed, and disturbs nothing."""
    while True:
        work = Work(store, Desk(_ALL))
        erased = await _tried(work, names, list(journeys))
        writes = work.desk.writes()
        if not writes or await store.replace(secrets.token_bytes(TOKEN_BYTES), work.tokens, writes):
            return erased


async def _tried(work: Work, names: Collection[str], journeys: Iterable[Key]) -> Erased:
    while True:
        try:
            return erase(work.desk, names, journeys)
        except Missing as missing:
            await work.read(missing.keys)


async def erase_forgotten(store: Store, names: Iterable[str]) -> None:
    """Erase those of these customers of whom there is a journey."""
    journeys = {customer_key(name): name for name in names}
    for first in range(0, len(journeys), _AT_ONCE):
        keys = list(journeys)[first : first + _AT_ONCE]
        for key, document in zip(keys, await store.read(keys), strict=True):
            if document is not None:
                await erase_customer(store, [journeys[key]])


async def erase_everywhere(store: Store, names: Collection[str]) -> Erased:
    """Erase these customers wherever they are named: looks through all journeys."""
    erased = Erased()
    async for key, found in naming(store, JOURNEYS, names):
        erased += await erase_customer(store, found, [key])
    return erased


async def naming(store: Store, letters: str, names: Collection[str]) -> AsyncIterator[tuple[Key, list[str]]]:
    """The documents of these kinds that name any of these customers, and whom of them."""
    if not names:
        return
    wanted = {name.encode(): name for name in names}
    pattern = re.compile(b"|".join(map(re.escape, wanted)))
    async for keys in store.keys(letters):
        for key, document in zip(keys, await store.read(keys), strict=True):
            if document is not None and (found := {*pattern.findall(document.value)}):
                yield key, sorted(wanted[name] for name in found)
