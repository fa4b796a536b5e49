"""Make a generation of numbers beside the current one, and promote or discard it."""

import re
import secrets
from collections.abc import Sequence

from streamer.events.rules import Rules
from streamer.store.layout import FIRST, layout_key
from streamer.store.redis.store import IN_FORCE, STAGED, RedisStore

_SCANNED = 500


class StagedGeneration:
    """Generation beside the current one; `store` writes to it. There is one per center: once another is
    opened, this one raises GenerationSuperseded."""

    def __init__(self, live: RedisStore, rules: Rules) -> None:
        self._live = live
        self._name = secrets.token_hex(4)
        self.store = RedisStore(live.client, live.center, rules, self._name)

    async def open(self) -> None:
        """Become the staged generation of the center, and delete an earlier one."""
        await self._live.client.set(self._key(STAGED), self._name)
        await self.collect_garbage()

    async def pause_commits(self, ms: int) -> None:
        """Pause commits to the current generation for `ms`."""
        await self._live.client.set(self._key(IN_FORCE) + b":held", 1, px=ms)

    async def promote(self) -> bool:
        """Make it the current generation, if both counted exactly the same records. Return whether it is."""
        staged = self._key(STAGED)
        return bool(await self._live.call("promote", self.store.prefix, keys=[staged]))

    async def is_staged(self) -> bool:
        """Tell whether it is still staged: nobody opened another one, and it was not promoted."""
        return bool(await self._live.client.get(self._key(STAGED)) == self._name.encode())

    async def discard(self) -> None:
        """Delete it, unless it was promoted; then delete what it replaced."""
        if await self.is_staged():
            await self._live.client.delete(self._key(STAGED))
        await self.collect_garbage()

    async def collect_garbage(self) -> None:
        """Delete all keys of generations that are neither current nor staged."""
        found = [key async for key in self._live.client.scan_iter(match=self._key("*"), count=_SCANNED)]
        for first in range(0, len(found), _SCANNED):
            await self._collect(found[first : first + _SCANNED])

    async def _collect(self, keys: Sequence[bytes]) -> None:
        # Read the names after finding the keys: a generation's name is written before its keys.
        names = [await self._live.client.get(self._key(name)) for name in (IN_FORCE, STAGED)]
        kept = {names[0] or FIRST.encode(), names[1]}
        owner = re.compile(re.escape(self._key("")) + rb"([0-9a-f]+):")
        owned = [(key, owner.match(key)) for key in keys]
        if void := [key for key, match in owned if match and match[1] not in kept]:
            await self._live.client.unlink(*void)

    def _key(self, name: str) -> bytes:
        return layout_key(self._live.center, name)
