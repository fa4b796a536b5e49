"""Make a generation of numbers beside the current one, and promote or discard it."""

import re
import secrets
from collections.abc import Collection, Sequence

from streamer.events.counting_rules import CountingRules
from streamer.store.layout import CURRENT_NAME, FIRST_GENERATION, PAUSED_SUFFIX, STAGED_NAME, layout_key
from streamer.store.port import Partition
from streamer.store.redis.store import RedisStore

_SCAN_COUNT = 500


class RedisGeneration:
    """Staged generation in Redis."""

    def __init__(self, live: RedisStore, rules: CountingRules) -> None:
        self._live = live
        self._name = secrets.token_hex(4)
        self.store = RedisStore(live.client, live.center, rules, self._name)

    async def open(self) -> None:
        await self._live.client.set(self._key(STAGED_NAME), self._name)
        await self.collect_garbage()

    async def pause_commits(self, ms: int) -> None:
        await self._live.client.set(self._key(CURRENT_NAME) + PAUSED_SUFFIX, 1, px=ms)

    async def promote(self, gone: Collection[Partition] = ()) -> bool:
        staged = self._key(STAGED_NAME)
        return bool(await self._live.call("promote", self.store.prefix, *map(str, gone), keys=[staged]))

    async def is_staged(self) -> bool:
        """Tell whether it is still staged: nobody opened another one, and it was not promoted."""
        return bool(await self._live.client.get(self._key(STAGED_NAME)) == self._name.encode())

    async def discard(self) -> None:
        if await self.is_staged():
            await self._live.client.delete(self._key(STAGED_NAME))
        await self.collect_garbage()

    async def collect_garbage(self) -> None:
        """Delete all keys of generations that are neither current nor staged."""
        keys = [key async for key in self._live.client.scan_iter(match=self._key("*"), count=_SCAN_COUNT)]
        for start in range(0, len(keys), _SCAN_COUNT):
            await self._delete_orphans(keys[start : start + _SCAN_COUNT])

    async def _delete_orphans(self, keys: Sequence[bytes]) -> None:
        # Read the names after finding the keys: a generation's name is written before its keys.
        names = [await self._live.client.get(self._key(name)) for name in (CURRENT_NAME, STAGED_NAME)]
        kept_generations = {names[0] or FIRST_GENERATION.encode(), names[1]}
        generation_pattern = re.compile(re.escape(self._key("")) + rb"([0-9a-f]+):")
        matches = [(key, generation_pattern.match(key)) for key in keys]
        if orphans := [key for key, match in matches if match and match[1] not in kept_generations]:
            await self._live.client.unlink(*orphans)

    def _key(self, name: str) -> bytes:
        return layout_key(self._live.center, name)
