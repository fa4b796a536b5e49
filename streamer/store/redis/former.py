"""Read the layout of earlier releases (version 1), for a rebuild to compare with and then supersede.

Its keys begin with `s1{center}`, also those that outlive generations today (`customer-key`, `forgotten`,
`alerts`). A generation held documents as strings (8 bytes token, then the document), panes of 10 s (f:N) and
of an hour (l:N) as hashes of pane deltas (6 bytes, then the delta), positions and heartbeats as now, and
counters as a hash of numbers. Once a center is superseded, `current` names a generation with incompatible
rules: workers of an earlier release stop there, and its readers show nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np
from redis.exceptions import WatchError

from streamer.events.rules import Rules
from streamer.journeys.journey import KEY_BYTES
from streamer.metrics.counters import pack_counters
from streamer.panes.integers import pack_integers
from streamer.panes.pane_delta import FineDelta, LongSums, pack_fine
from streamer.panes.pane_keys import COUNTERS, PANES_PER_HOUR, SEPARATOR, PaneHour
from streamer.store.layout import shared_key
from streamer.store.port import (
    EMPTY_STORE,
    TOKEN_BYTES,
    ChangeCursor,
    Changes,
    PaneChange,
    Partition,
    Position,
)
from streamer.store.redis.connection import SUPERSEDED, former_generation, former_key
from streamer.store.redis.generations import StagedGeneration
from streamer.store.redis.store import (
    IN_FORCE,
    NO_COMMIT,
    STAGED,
    RedisStore,
    Superseded,
    heartbeats_of,
    pane_name,
    partition_of,
    unpacked_position,
)

_OTHER_RULES: Final = b'{"layout":2}'
_SHARED: Final = ("customer-key", "forgotten", "alerts")
_HELD_MS: Final = 60_000
_STAMP_BYTES: Final = 6
_SCANNED: Final = 500


class Posting(msgspec.Struct, array_like=True, gc=False):
    """Pane delta of the former layout. The first `sizes[0]` numbers and amounts belong to the first field,
    and so on; long deltas have `linked`, `agents` and `under`, fine ones `journeys`."""

    fields: list[str]
    sizes: list[int]
    numbers: list[int]
    amounts: list[int]
    agents: list[int] = []
    under: list[int] = []
    linked: list[int] = []
    journeys: bytes = b""


_unpack_posting = msgspec.msgpack.Decoder(Posting).decode


class FormerNumbers:
    """Numbers of a center in the former layout: read them, and supersede them."""

    def __init__(self, client: Any, center: str, generation: str) -> None:
        self._client, self._center = client, center
        self._prefix = former_key(center, f"{generation}:")

    @classmethod
    async def find(cls, client: Any, center: str) -> Self | None:
        """Return the numbers of a center; None if it has none in this layout, or they were superseded."""
        generation = await former_generation(client, center)
        return None if generation is None else cls(client, center, generation)

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]:
        if not partitions:
            return []
        found = await self._client.hmget(self._prefix + b"positions", [str(one) for one in partitions])
        return [unpacked_position(packed) if packed else None for packed in found]

    async def rules(self) -> bytes | None:
        found: bytes | None = await self._client.get(self._prefix + b"rules")
        return found

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> Changes:
        """Return everything as of one moment, like the first call of `StateStore.changes`. Workers of an
        earlier release are paused meanwhile."""
        assert since is None
        await self.pause_commits(_HELD_MS)
        try:
            stored = await self._client.hgetall(self._prefix + b"positions") if positions else {}
            panes = [PaneChange(place, True, deltas) for place, deltas in (await self._deltas()).items()]
            counters = await self._counters()
            panes.append(PaneChange(COUNTERS, True, [pack_counters(counters)]))
            beats, rules = await self._client.hgetall(self._prefix + b"beats"), await self.rules()
        finally:
            await self._client.delete(self._key("current:held"))
        reached = {partition_of(name): unpacked_position(packed) for name, packed in stored.items()}
        return Changes(
            ChangeCursor(0, b""),
            True,
            False,
            panes,
            heartbeats_of(_flat(beats)),
            rules,
            reached,
        )

    async def _deltas(self) -> Mapping[PaneHour, list[bytes]]:
        """Return all panes, as deltas of the present layout."""
        found: dict[PaneHour, list[bytes]] = {}
        for letter in "fl":
            match = self._prefix + f"{letter}:*".encode()
            keys = {key async for key in self._client.scan_iter(match=match, count=_SCANNED)}
            for key in keys:  # a set, since a scan may yield a key twice
                number = int(key.rpartition(b":")[2])
                postings = [
                    _unpack_posting(memoryview(one)[_STAMP_BYTES:]) for one in await self._client.hvals(key)
                ]
                if letter == "l":
                    found["long", number] = [*map(_long_delta, postings)]
                else:
                    hour, pane = divmod(number, PANES_PER_HOUR)
                    deltas = found.setdefault(("fine", hour), [])
                    deltas.extend(_fine_delta(pane, posting) for posting in postings)
        return found

    async def _counters(self) -> dict[str, int]:
        found = await self._client.hgetall(self._prefix + b"counts")
        return {name.decode(): int(amount) for name, amount in found.items()}

    async def pause_commits(self, ms: int) -> None:
        """Pause commits by workers of an earlier release for `ms`."""
        await self._client.set(self._key("current:held"), 1, px=ms)

    async def bring_shared(self) -> None:
        """Copy keys that outlive generations to their present place, as they are now. Nobody else writes
        there until the former numbers are superseded."""
        for name in _SHARED:
            await self._client.copy(self._key(name), shared_key(self._center, name), replace=True)

    async def documents(self, letter: str) -> Mapping[bytes, bytes]:
        """Return the documents whose keys begin with a letter."""
        match = self._prefix + letter.encode() + b"?" * (KEY_BYTES - 1)
        keys = [key async for key in self._client.scan_iter(match=match, count=_SCANNED)]
        found: dict[bytes, bytes] = {}
        for first in range(0, len(keys), _SCANNED):
            some = keys[first : first + _SCANNED]
            for key, value in zip(some, await self._client.mget(some), strict=True):
                if value is not None:
                    found[key[len(self._prefix) :]] = value[TOKEN_BYTES:]
        return found

    async def convert(self, store: RedisStore, letter: str, now_ms: int) -> bool:
        """Copy positions and documents that cannot be counted again, and supersede the former layout. Return
        False if somebody wrote meanwhile: then it must be repeated."""
        await self.pause_commits(_HELD_MS)
        positions = await self._client.hgetall(self._prefix + b"positions")
        documents = [*(await self.documents(letter)).items()]
        for first in range(0, len(documents), _SCANNED):
            await store.replace(EMPTY_STORE, (), dict(documents[first : first + _SCANNED]), now_ms)
        put = ("HSET", store.prefix + b"positions", *_flat(positions))
        return await self.give_way(store.prefix, _reached(positions), [put])

    async def give_way(
        self, heir: bytes, reached: Mapping[bytes, bytes], commands: Iterable[tuple[Any, ...]]
    ) -> bool:
        """Move counters and heartbeats to the generation with `successor_prefix`, run these commands, and end
        all work on the former numbers; only if their positions are still `expected_offsets`. Return whether
        it was done."""
        own, counters = self._prefix + b"positions", pack_counters(await self._counters())
        beats = await self._client.hgetall(self._prefix + b"beats")
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                await pipe.watch(own, self._key("current"))
                if _reached(await pipe.hgetall(own)) != reached:
                    return False
                sequence = int(await pipe.get(heir + b"sequence") or 1)
                pipe.multi()
                for command in commands:
                    pipe.execute_command(*command)
                # Counters count arrivals: records that a rebuild reads again are not new arrivals.
                name = pane_name(COUNTERS)
                pipe.delete(heir + name.encode())
                pipe.hset(heir + name.encode(), NO_COMMIT, counters)
                pipe.zadd(heir + b"changes", {name: sequence})
                if beats:
                    pipe.hset(heir + b"beats", mapping=beats)
                pipe.set(self._key(f"{SUPERSEDED.decode()}:rules"), _OTHER_RULES)
                pipe.set(self._key("current"), SUPERSEDED)
                pipe.delete(self._key("current:held"))
                await pipe.execute()
        except WatchError:
            return False
        await self._clear()
        return True

    async def _clear(self) -> None:
        kept = {self._key("current"), self._key(f"{SUPERSEDED.decode()}:rules")}
        found = [key async for key in self._client.scan_iter(match=self._key("*"), count=_SCANNED)]
        gone = [key for key in found if key not in kept]
        for first in range(0, len(gone), _SCANNED):
            await self._client.unlink(*gone[first : first + _SCANNED])

    def _key(self, name: str) -> bytes:
        return former_key(self._center, name)


class SupersedingGeneration(StagedGeneration):
    """Staged generation that replaces numbers in the former layout."""

    def __init__(self, live: RedisStore, rules: Rules, former: FormerNumbers) -> None:
        super().__init__(live, rules)
        self._former = former

    async def pause_commits(self, ms: int) -> None:
        await self._former.pause_commits(ms)

    async def promote(self) -> bool:
        await self._former.bring_shared()
        if not await self.is_staged():
            raise Superseded
        positions = await self.store.client.hgetall(self.store.prefix + b"positions")
        commands = [("SET", self._key(IN_FORCE), self._name), ("DEL", self._key(STAGED))]
        return await self._former.give_way(self.store.prefix, _reached(positions), commands)


def _flat(pairs: Mapping[bytes, bytes]) -> list[bytes]:
    return [part for pair in pairs.items() for part in pair]


def _reached(positions: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the next offset of each partition that was counted at all."""
    offsets = {name: packed.split(b":", 2)[1] for name, packed in positions.items()}
    return {name: offset for name, offset in offsets.items() if offset != b"0"}


def _long_delta(posting: Posting) -> bytes:
    row = np.repeat(np.arange(len(posting.sizes)), posting.sizes)
    columns = (posting.numbers, posting.amounts, posting.agents, posting.under, posting.linked)
    return LongSums(posting.fields, row, *(np.array(column, np.int64) for column in columns)).packed()


def _fine_delta(pane: int, posting: Posting) -> bytes:
    """Convert to a delta with one row for each cell, durations as counts."""
    cells = [[value or None for value in field.split(SEPARATOR)] for field in posting.fields]
    names = [*dict.fromkeys(value for cell in cells for value in cell)]
    codes = [names.index(value) for cell in cells for value in cell]
    counts: list[Sequence[int]] = []
    at = 0
    for size in posting.sizes:
        pairs = zip(posting.numbers[at : at + size], posting.amounts[at : at + size], strict=True)
        counts.append([part for pair in pairs for part in pair])
        at += size
    rows, number = len(cells), len(posting.journeys) // KEY_BYTES
    places = [*range(rows)]
    return pack_fine(
        FineDelta(
            names, pack_integers(codes), counts, pack_integers([pane] * rows), pack_integers(places),
            pack_integers(places), pack_integers([1] * rows), pack_integers([0] * rows), [], [],
            pack_integers([pane] * number), posting.journeys,
        )
    )  # fmt: skip
