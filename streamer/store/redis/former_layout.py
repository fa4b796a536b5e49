"""Read the layout of earlier releases (version 1), for a rebuild to compare with and then supersede.

Its keys begin with `s1{center}`, also those that outlive generations today (`customer-key`, `forgotten`,
`alerts`). A generation held documents as strings (8 bytes token, then the document), panes of 10 s (f:N) and
of an hour (l:N) as hashes of pane deltas (6 bytes, then the delta), positions and heartbeats as now, and
counters as a hash of numbers. Once a center is superseded, `current` names a generation with incompatible
rules: workers of an earlier release stop there, and its readers show nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np
from redis.exceptions import WatchError

from streamer.events.counting_rules import CountingRules
from streamer.journeys.journey import KEY_BYTES
from streamer.metrics.counters import pack_counters
from streamer.panes.integers import pack_integers
from streamer.panes.pane_delta import FineDelta, LongSums, pack_fine
from streamer.panes.pane_keys import COUNTERS, PANES_PER_HOUR, SEPARATOR, PaneHour
from streamer.runtime.retry import retry_refused
from streamer.store.layout import (
    ALERTS_NAME,
    CHANGES,
    CURRENT_NAME,
    CUSTOMER_KEY_NAME,
    FORGOTTEN_NAME,
    FORMER_COUNTERS,
    FORMER_SEQUENCE_BYTES,
    HEARTBEATS,
    NO_COMMIT,
    PANE_LETTERS,
    PAUSED_SUFFIX,
    POSITIONS,
    RULES,
    SEQUENCE,
    STAGED_NAME,
    pane_name,
    shared_key,
)
from streamer.store.port import (
    EMPTY_STORE,
    TOKEN_BYTES,
    ChangeCursor,
    GenerationSuperseded,
    LogPosition,
    PaneChange,
    Partition,
    StoreChanges,
)
from streamer.store.redis.connection import SUPERSEDED_GENERATION, find_former_generation, former_key
from streamer.store.redis.staged_generation import RedisGeneration
from streamer.store.redis.store import (
    RedisStore,
    parse_partition,
    unpack_heartbeats,
    unpack_position,
)

_INCOMPATIBLE_RULES: Final = b'{"layout":2}'
_SHARED_NAMES: Final = (CUSTOMER_KEY_NAME, FORGOTTEN_NAME, ALERTS_NAME)
_PAUSE_COMMITS_MS: Final = 60_000
_SCAN_COUNT: Final = 500


class FormerPaneDelta(msgspec.Struct, array_like=True, gc=False):
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


_unpack_former_delta = msgspec.msgpack.Decoder(FormerPaneDelta).decode


class FormerLayoutStore:
    """Numbers of a center in the former layout: read them, and supersede them."""

    def __init__(self, client: Any, center: str, generation: str) -> None:
        self._client, self._center = client, center
        self._prefix = former_key(center, f"{generation}:")

    @classmethod
    async def find(cls, client: Any, center: str) -> Self | None:
        """Return the numbers of a center; None if it has none in this layout, or they were superseded."""
        generation = await find_former_generation(client, center)
        return None if generation is None else cls(client, center, generation)

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]:
        if not partitions:
            return []
        packed_positions = await self._client.hmget(
            self._prefix + POSITIONS, [str(partition) for partition in partitions]
        )
        return [unpack_position(packed) if packed else None for packed in packed_positions]

    async def rules(self) -> bytes | None:
        stored: bytes | None = await self._client.get(self._prefix + RULES)
        return stored

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        """Return everything as of one moment, like the first call of `StateStore.changes`. Workers of an
        earlier release are paused meanwhile."""
        assert since is None
        await self.pause_commits(_PAUSE_COMMITS_MS)
        try:
            stored = await self._client.hgetall(self._prefix + POSITIONS) if positions else {}
            panes = [
                PaneChange(pane_hour, True, deltas) for pane_hour, deltas in (await self._deltas()).items()
            ]
            counters = await self._counters()
            panes.append(PaneChange(COUNTERS, True, [pack_counters(counters)]))
            packed_heartbeats, rules = (
                await self._client.hgetall(self._prefix + HEARTBEATS),
                await self.rules(),
            )
        finally:
            await self._client.delete(self._key(CURRENT_NAME) + PAUSED_SUFFIX)
        counted_positions = {
            parse_partition(name): unpack_position(packed) for name, packed in stored.items()
        }
        return StoreChanges(
            ChangeCursor(0, b""),
            True,
            False,
            panes,
            unpack_heartbeats(_flatten(packed_heartbeats)),
            rules,
            counted_positions,
        )

    async def _deltas(self) -> Mapping[PaneHour, list[bytes]]:
        """Return all panes, as deltas of the present layout."""
        deltas_by_hour: dict[PaneHour, list[bytes]] = {}
        for letter in (PANE_LETTERS["fine"], PANE_LETTERS["long"]):
            match = self._prefix + f"{letter}:*".encode()
            keys = {key async for key in self._client.scan_iter(match=match, count=_SCAN_COUNT)}
            for key in keys:  # a set, since a scan may yield a key twice
                pane_number = int(key.rpartition(b":")[2])
                former_deltas = [
                    _unpack_former_delta(memoryview(value)[FORMER_SEQUENCE_BYTES:])
                    for value in await self._client.hvals(key)
                ]
                if letter == PANE_LETTERS["long"]:
                    deltas_by_hour["long", pane_number] = [*map(_long_delta, former_deltas)]
                else:
                    hour, pane = divmod(pane_number, PANES_PER_HOUR)
                    deltas = deltas_by_hour.setdefault(("fine", hour), [])
                    deltas.extend(_fine_delta(pane, former_delta) for former_delta in former_deltas)
        return deltas_by_hour

    async def _counters(self) -> dict[str, int]:
        amounts = await self._client.hgetall(self._prefix + FORMER_COUNTERS)
        return {name.decode(): int(amount) for name, amount in amounts.items()}

    async def pause_commits(self, ms: int) -> None:
        """Pause commits by workers of an earlier release for `ms`."""
        await self._client.set(self._key(CURRENT_NAME) + PAUSED_SUFFIX, 1, px=ms)

    async def copy_shared_keys(self) -> None:
        """Copy keys that outlive generations to their present place, as they are now. Nobody else writes
        there until the former numbers are superseded."""
        for name in _SHARED_NAMES:
            await self._client.copy(self._key(name), shared_key(self._center, name), replace=True)

    async def documents(self, letter: str) -> Mapping[bytes, bytes]:
        """Return the documents whose keys begin with a letter."""
        match = self._prefix + letter.encode() + b"?" * (KEY_BYTES - 1)
        keys = [key async for key in self._client.scan_iter(match=match, count=_SCAN_COUNT)]
        documents: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _SCAN_COUNT):
            chunk = keys[start : start + _SCAN_COUNT]
            for key, value in zip(chunk, await self._client.mget(chunk), strict=True):
                if value is not None:
                    documents[key[len(self._prefix) :]] = value[TOKEN_BYTES:]
        return documents

    async def convert_documents(self, store: RedisStore, letter: str, now_ms: int) -> bool:
        """Copy positions and documents that cannot be counted again, and supersede the former layout. Return
        False if somebody wrote meanwhile: then it must be repeated."""
        await self.pause_commits(_PAUSE_COMMITS_MS)
        positions = await self._client.hgetall(self._prefix + POSITIONS)
        documents = [*(await self.documents(letter)).items()]
        for start in range(0, len(documents), _SCAN_COUNT):
            await store.replace(EMPTY_STORE, (), dict(documents[start : start + _SCAN_COUNT]), now_ms)
        command = ("HSET", store.prefix + POSITIONS, *_flatten(positions))
        return await self.supersede(store.prefix, _counted_offsets(positions), [command])

    async def supersede(
        self,
        successor_prefix: bytes,
        expected_offsets: Mapping[bytes, bytes],
        commands: Iterable[tuple[Any, ...]],
        gone: Collection[Partition] = (),
    ) -> bool:
        """Move counters and heartbeats to the generation with `successor_prefix`, run these commands, and end
        all work on the former numbers; only if their positions, of `gone` partitions aside, are still
        `expected_offsets`. Return whether it was done."""
        positions_key, counters = self._prefix + POSITIONS, pack_counters(await self._counters())
        packed_heartbeats = await self._client.hgetall(self._prefix + HEARTBEATS)
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                await pipe.watch(positions_key, self._key(CURRENT_NAME))
                if _counted_offsets(await pipe.hgetall(positions_key), gone) != expected_offsets:
                    return False
                sequence = int(await pipe.get(successor_prefix + SEQUENCE) or 1)
                pipe.multi()
                for command in commands:
                    pipe.execute_command(*command)
                # Counters count arrivals: records that a rebuild reads again are not new arrivals.
                name = pane_name(COUNTERS)
                pipe.delete(successor_prefix + name.encode())
                pipe.hset(successor_prefix + name.encode(), NO_COMMIT, counters)
                pipe.zadd(successor_prefix + CHANGES, {name: sequence})
                if packed_heartbeats:
                    pipe.hset(successor_prefix + HEARTBEATS, mapping=packed_heartbeats)
                pipe.set(self._key(f"{SUPERSEDED_GENERATION.decode()}:") + RULES, _INCOMPATIBLE_RULES)
                pipe.set(self._key(CURRENT_NAME), SUPERSEDED_GENERATION)
                pipe.delete(self._key(CURRENT_NAME) + PAUSED_SUFFIX)
                await pipe.execute()
        except WatchError:
            return False
        await retry_refused(self._delete_keys)
        return True

    async def _delete_keys(self) -> None:
        kept_keys = {self._key(CURRENT_NAME), self._key(f"{SUPERSEDED_GENERATION.decode()}:") + RULES}
        existing_keys = [key async for key in self._client.scan_iter(match=self._key("*"), count=_SCAN_COUNT)]
        deleted_keys = [key for key in existing_keys if key not in kept_keys]
        for start in range(0, len(deleted_keys), _SCAN_COUNT):
            await self._client.unlink(*deleted_keys[start : start + _SCAN_COUNT])

    def _key(self, name: str) -> bytes:
        return former_key(self._center, name)


class SupersedingGeneration(RedisGeneration):
    """Staged generation that replaces numbers in the former layout."""

    def __init__(self, live: RedisStore, rules: CountingRules, former: FormerLayoutStore) -> None:
        super().__init__(live, rules)
        self._former = former

    async def pause_commits(self, ms: int) -> None:
        await self._former.pause_commits(ms)

    async def promote(self, gone: Collection[Partition] = ()) -> bool:
        await self._former.copy_shared_keys()
        if not await self.is_staged():
            raise GenerationSuperseded
        positions = await self.store.client.hgetall(self.store.prefix + POSITIONS)
        commands = [("SET", self._key(CURRENT_NAME), self._name), ("DEL", self._key(STAGED_NAME))]
        return await self._former.supersede(self.store.prefix, _counted_offsets(positions), commands, gone)


def _flatten(pairs: Mapping[bytes, bytes]) -> list[bytes]:
    return [item for pair in pairs.items() for item in pair]


def _counted_offsets(
    positions: Mapping[bytes, bytes], gone: Collection[Partition] = ()
) -> dict[bytes, bytes]:
    """Return the next offset of each partition that was counted at all; `gone` ones are left out."""
    gone_names = {str(partition).encode() for partition in gone}
    offsets = {name: packed.split(b":", 2)[1] for name, packed in positions.items()}
    return {name: offset for name, offset in offsets.items() if offset != b"0" and name not in gone_names}


def _long_delta(former_delta: FormerPaneDelta) -> bytes:
    row = np.repeat(np.arange(len(former_delta.sizes)), former_delta.sizes)
    columns = (
        former_delta.numbers,
        former_delta.amounts,
        former_delta.agents,
        former_delta.under,
        former_delta.linked,
    )
    return LongSums(former_delta.fields, row, *(np.array(column, np.int64) for column in columns)).packed()


def _fine_delta(pane: int, former_delta: FormerPaneDelta) -> bytes:
    """Convert to a delta with one row for each cell, durations as counts."""
    cells = [[value or None for value in field.split(SEPARATOR)] for field in former_delta.fields]
    names = [*dict.fromkeys(value for cell in cells for value in cell)]
    codes = [names.index(value) for cell in cells for value in cell]
    counts: list[Sequence[int]] = []
    start = 0
    for size in former_delta.sizes:
        pairs = zip(
            former_delta.numbers[start : start + size],
            former_delta.amounts[start : start + size],
            strict=True,
        )
        counts.append([number for pair in pairs for number in pair])
        start += size
    rows, journey_count = len(cells), len(former_delta.journeys) // KEY_BYTES
    cell_indexes = [*range(rows)]
    return pack_fine(
        FineDelta(
            names, pack_integers(codes), counts, pack_integers([pane] * rows), pack_integers(cell_indexes),
            pack_integers(cell_indexes), pack_integers([1] * rows), pack_integers([0] * rows), [], [],
            pack_integers([pane] * journey_count), former_delta.journeys,
        )
    )  # fmt: skip
