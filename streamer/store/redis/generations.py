"""A generation of numbers that is being made beside the one in force."""

import re
import secrets
from collections.abc import Sequence

from streamer.events.rules import Rules
from streamer.store.layout import FIRST, layout_key
from streamer.store.redis.store import IN_FORCE, STAGED, RedisStore

_SCANNED = 500


class StagedGeneration:
    """A generation beside that in force: `store` is it. Who opens another one takes this one's place: from
    then on it raises Superseded."""

    def __init__(self, live: RedisStore, rules: Rules) -> None:
        self._live = live
        self._name = secrets.token_hex(4)
        self.store = RedisStore(live.client, live.center, rules, self._name)

    async def open(self) -> None:
        await self._live.client.set(self._key(STAGED), self._name)
        await self.collect_garbage()

    async def pause_commits(self, ms: int) -> None:
        """Let commits to the generation in force wait for so long."""
        await self._live.client.set(self._key(IN_FORCE) + b":held", 1, px=ms)

    async def promote(self) -> bool:
        """Put it in force, if both counted exactly the same records."""
        staged = self._key(STAGED)
        return bool(await self._live.call("promote", self.store.prefix, keys=[staged]))

    async def is_staged(self) -> bool:
        """Tell whether it is still the one: nobody opened another, and it is not in force."""
        return bool(await self._live.client.get(self._key(STAGED)) == self._name.encode())

    async def discard(self) -> None:
        if await self.is_staged():
            await self._live.client.delete(self._key(STAGED))
        await self.collect_garbage()

    async def collect_garbage(self) -> None:
        """Delete all that belongs neither to the generation in force nor to a staged one."""
        found = [key async for key in self._live.client.scan_iter(match=self._key("*"), count=_SCANNED)]
        for first in range(0, len(found), _SCANNED):
            await self._collect(found[first : first + _SCANNED])

    async def _collect(self, keys: Sequence[bytes]) -> None:
        # The names are read after the keys were found: a generation's name is written before its keys.
        names = [await self._live.client.get(self._key(name)) for name in (IN_FORCE, STAGED)]
        kept = {names[0] or FIRST.encode(), names[1]}
        owner = re.compile(re.escape(self._key("")) + rb"([0-9a-f]+):")
        owned = [(key, owner.match(key)) for key in keys]
        if void := [key for key, match in owned if match and match[1] not in kept]:
            await self._live.client.unlink(*void)

    def _key(self, name: str) -> bytes:
        return layout_key(self._live.center, name)
