"""State store in Redis. A commit is checked by a script that only reads, and written by MULTI … EXEC under
WATCH.

The key layout is in `store/layout.py`. A center is one slot: on a Redis Cluster, one node serves all of it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec
from redis.exceptions import ResponseError, WatchError

from streamer.events.rules import HOUR, Rules, agree
from streamer.metrics.counters import sum_counters
from streamer.panes.pane_keys import COUNTERS, WIDTH, PaneHour, StoredFamily, is_kept, kept_ms
from streamer.store.layout import FIRST, document_ttl_ms, layout_key, prefix
from streamer.store.port import (
    TOKEN_BYTES,
    Applied,
    ChangeCursor,
    Changes,
    Commit,
    Heartbeat,
    OffsetConflict,
    Outcome,
    PaneChange,
    Partition,
    Position,
    Snapshot,
    StoreVersion,
    VersionConflict,
)
from streamer.store.redis.connection import FormerLayout, Script, connect, former_generation

CHUNK_BYTES: Final = 1_000_000
"""Limit of pane bytes in one answer."""
MERGED_AT_ONCE: Final = 64
MERGED_BYTES: Final = 1_000_000
NEWEST_LEFT: Final = 16
"""Newest deltas, left unmerged since readers still fetch them one by one."""
KEPT_WRITES: Final = 64
KEPT_TOUCHED: Final = 1_024
KEPT_NONCES: Final = 10_000
_STAMP_BYTES: Final = 6
NO_COMMIT: Final = bytes(2 * _STAMP_BYTES)
"""Name of a delta that no commit made."""
_WRITTEN_BYTES: Final = 4
_HELD_S: Final = 0.02
_SCANNED: Final = 500
IN_FORCE: Final = "current"
STAGED: Final = "rebuilding"
"""Keys that hold the name of the current generation and of the staged one."""
_HASHES: Final = "0123456789abcdef"
_FAMILIES: Final[Mapping[str, StoredFamily]] = {"f": "fine", "l": "long", "c": "counters"}
_ALONE: Final = ("changes", "compact", "guarded_command", "promote", "check_commit")
_ADVANCING: Final = ("move", "forget")

_pack = msgspec.msgpack.Encoder().encode
_unpack_position = msgspec.msgpack.Decoder(Position).decode
_unpack_heartbeat = msgspec.msgpack.Decoder(Heartbeat).decode


class Superseded(Exception):  # noqa: N818 - names the state
    """The generation is no longer staged: another rebuild was started."""

    def __str__(self) -> str:
        return "another rebuild was started and replaced this one"


class ServerFacts(NamedTuple):
    """Version of the server, whether it appends writes to a file (AOF), and its clock (ms)."""

    version: str
    aof: bool
    time_ms: int


class PaneReading:
    """Read of whole panes, one after the other: the names still to read; the sequence at which each of the
    others was read, after which changes are missing; and the version at the last read."""

    def __init__(self, names: list[bytes], version: StoreVersion) -> None:
        self.names = names
        self.moments: dict[bytes, int] = {}
        self.last = version


class RedisStore:
    """State store in Redis. Raises redis-py's errors as they are, and OtherRules if a rebuild put numbers in
    force with other counting rules than those agreed on in `set_rules`."""

    def __init__(self, client: Any, center: str, rules: Rules, staged: str | None = None) -> None:
        self.client = client
        self.center = center
        self._generation_key = layout_key(center, IN_FORCE if staged is None else STAGED)
        self._is_staged = staged is not None
        self.prefix = prefix(center, staged or FIRST)
        self._retention_ms = rules.retention_ms
        self._ttl_ms = document_ttl_ms(rules)
        self._agreed: bytes | None = None
        self._turn = asyncio.Lock()
        self._forgetting = (0, 0, 0)  # index of the hash, cursor in it, panes passed
        self._scripts = {name: Script("check_generation", name) for name in _ALONE} | {
            name: Script("check_generation", "advance", name) for name in _ADVANCING
        }

    @classmethod
    async def connect(cls, url: str, center: str, rules: Rules | None = None) -> Self:
        """Connect to a center. Raises StoreUnfit for a Redis that is too old or evicts keys, and FormerLayout
        if the numbers need a rebuild first."""
        client = await connect(url, center)
        if await former_generation(client, center) is not None:
            await client.aclose()
            raise FormerLayout(center)
        return cls(client, center, rules or Rules())

    # The current generation.

    async def call(self, script: str, *args: Any, keys: Sequence[bytes] = (), client: Any = None) -> Any:
        """Call a script on the current generation, and again if that changed meanwhile."""
        while True:
            own = self.prefix + b"positions", self._generation_key
            try:
                return await self._scripts[script](client or self.client, (*own, *keys), self.prefix, *args)
            except ResponseError as error:
                word, _, rest = str(error).partition(" ")
                if word == "SUPERSEDED":
                    raise Superseded from error
                if word != "GENERATION":
                    raise
                await self._adopt(rest)

    async def _adopt(self, generation: str) -> None:
        """Switch to another generation, if its counting rules are the agreed ones. Raises OtherRules."""
        if self._is_staged:
            raise Superseded
        adopted = prefix(self.center, generation)
        if self._agreed is not None:
            await self.client.set(adopted + b"rules", self._agreed, nx=True)
            agree(await self.client.get(adopted + b"rules"), self._agreed)
        self.prefix = adopted

    async def _one(self, command: str, name: str, *args: Any) -> Any:
        return await self.call("guarded_command", command, name, *args)

    # Documents.

    async def read(self, keys: Sequence[bytes]) -> Snapshot:
        by_hash = _by_hash(keys)
        while True:
            own, pipe = self.prefix, self.client.pipeline(transaction=True)
            pipe.get(self._generation_key)
            pipe.get(own + b"sequence")
            pipe.zrange(own + b"nonces", -1, -1)
            for name, some in by_hash.items():
                pipe.hmget(own + name, some)
            in_force, sequence, nonces, *found = await pipe.execute()
            generation = in_force.decode() if in_force else FIRST
            if own == prefix(self.center, generation):
                break
            await self._adopt(generation)
        values: dict[bytes, bytes | None] = {}
        for some, documents in zip(by_hash.values(), found, strict=True):
            values |= zip(some, documents, strict=True)
        version = StoreVersion(int(sequence or 0), nonces[0] if nonces else b"")
        stamped = (values[key] for key in keys)
        return Snapshot(version, [value[_WRITTEN_BYTES:] if value else None for value in stamped])

    async def scan(self, letters: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        await self._one("EXISTS", "rules")  # switches to the current generation
        for digit in _HASHES:
            cursor, is_through = 0, False
            while not is_through:
                cursor, found = await self.client.hscan(
                    self.prefix + f"d:{digit}".encode(), cursor, f"[{letters}]*", _SCANNED
                )
                is_through = cursor == 0
                if found:
                    yield {key: value[_WRITTEN_BYTES:] for key, value in found.items()}

    async def forget(self, now_ms: int, at_most: int) -> int:
        digit, cursor, passed = self._forgetting
        hours = [(now_ms - kept_ms(family, self._retention_ms)) // HOUR for family in WIDTH]
        after, deleted, passed = await self.call(
            "forget",
            secrets.token_bytes(TOKEN_BYTES),
            f"d:{_HASHES[digit]}",
            cursor,
            at_most,
            (now_ms - self._ttl_ms) // 1000,
            *hours,
            passed,
        )
        self._forgetting = (digit if after else (digit + 1) % len(_HASHES), after, passed)
        return int(deleted)

    # Commits.

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        position = commit.position
        checked = (
            str(commit.partition), commit.epoch, commit.start, position.token.hex(),
            *commit.version, b"".join(commit.reads),
        )  # fmt: skip
        deltas = {
            place: delta
            for place, delta in commit.deltas.items()
            if is_kept(place, now_ms, self._retention_ms)
        }

        def queue(pipe: Any, sequence: int) -> None:
            self._queue(pipe, sequence, position.token, commit.writes, deltas, now_ms)
            pipe.hset(self.prefix + b"positions", str(commit.partition), _packed_position(position))

        status, *rest = await self._write(checked, queue)
        if status == b"changed":
            return _conflict(commit.reads, rest)
        if status == b"moved":
            return OffsetConflict(unpacked_position(rest[0]) if rest else None)
        return Applied()

    async def replace(
        self,
        version: StoreVersion,
        reads: Collection[bytes],
        writes: Mapping[bytes, bytes | None],
        now_ms: int,
    ) -> bool:
        checked = ("", "", 0, "", *version, b"".join(reads))
        nonce = secrets.token_bytes(TOKEN_BYTES)

        def queue(pipe: Any, sequence: int) -> None:
            self._queue(pipe, sequence, nonce, writes, {}, now_ms)

        status, *_ = await self._write(checked, queue)
        return bool(status == b"ok")

    async def _write(self, checked: Sequence[Any], queue: Callable[[Any, int], None]) -> Any:
        """Check, and if that passes, write what `queue` puts into the transaction under a sequence number.
        Return the result of the check. If another write came between, EXEC refuses and the check is repeated,
        since the documents read may still be unchanged."""
        # One at a time: concurrent commits of one process would only refuse each other.
        async with self._turn:
            while True:
                try:
                    answer = await self._write_once(checked, queue)
                except WatchError:  # another write came between, or the connection was lost
                    continue
                if answer is not None:
                    return answer

    async def _write_once(self, checked: Sequence[Any], queue: Callable[[Any, int], None]) -> Any:
        """Try once. Return None if it must be tried again. Raises WatchError."""
        async with self.client.pipeline(transaction=True) as pipe:
            await pipe.watch(self.prefix + b"sequence", self._generation_key, self._generation_key + b":held")
            watched = self.prefix
            status, *rest = await self.call("check_commit", *checked, client=pipe)
            if status == b"held":
                await asyncio.sleep(_HELD_S)
                return None
            if status != b"ok":
                return [status, *rest]
            if self.prefix != watched:
                return None  # another generation is current, and is not watched yet
            pipe.multi()
            queue(pipe, int(rest[0]) + 1)
            await pipe.execute()
            return [status]

    def _queue(
        self,
        pipe: Any,
        sequence: int,
        nonce: bytes,
        writes: Mapping[bytes, bytes | None],
        deltas: Mapping[PaneHour, bytes],
        now_ms: int,
    ) -> None:
        own, run = self.prefix, pipe.execute_command
        stamp = sequence.to_bytes(_STAMP_BYTES, "big") * 2
        run("SET", own + b"sequence", sequence)
        run("ZADD", own + b"nonces", sequence, nonce)
        run("ZREMRANGEBYSCORE", own + b"nonces", "-inf", sequence - KEPT_NONCES)
        run("HSET", own + b"writes", sequence, b"".join(writes))
        run("HSET", own + b"touched", sequence, ",".join(map(pane_name, deltas)))
        run("HDEL", own + b"writes", sequence - KEPT_WRITES)
        run("HDEL", own + b"touched", sequence - KEPT_TOUCHED)
        written = (now_ms // 1000).to_bytes(_WRITTEN_BYTES, "big")
        for name, keys in _by_hash(writes).items():
            values = [(key, writes[key]) for key in keys]
            if put := [part for key, value in values if value is not None for part in (key, written + value)]:
                run("HSET", own + name, *put)
            if gone := [key for key, value in values if value is None]:
                run("HDEL", own + name, *gone)
        for place, delta in deltas.items():
            run("HSET", own + pane_name(place).encode(), stamp, delta)
        if deltas:
            changed = [part for place in deltas for part in (sequence, pane_name(place))]
            run("ZADD", own + b"changes", *changed)

    # Positions, heartbeats, rules.

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]:
        if not partitions:
            return []
        names = [str(partition) for partition in partitions]
        found = await self._one("HMGET", "positions", *names)
        return [unpacked_position(packed) if packed else None for packed in found]

    async def move(self, partition: Partition, before: Position | None, after: Position) -> bool:
        was = _packed_position(before) if before is not None else b""
        nonce = secrets.token_bytes(TOKEN_BYTES)
        return bool(await self.call("move", nonce, str(partition), was, _packed_position(after)))

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        if heartbeats:
            flat = [part for partition, beat in heartbeats.items() for part in (str(partition), _pack(beat))]
            await self._one("HSET", "beats", *flat)

    async def heartbeats(self) -> dict[Partition, Heartbeat]:
        return heartbeats_of(await self._one("HGETALL", "beats"))

    async def rules(self) -> bytes | None:
        found: bytes | None = await self._one("GET", "rules")
        return found

    async def set_rules(self, rules: bytes) -> bytes:
        await self._one("SET", "rules", rules, "NX")
        self._agreed = stored = await self.rules() or rules
        return stored

    async def facts(self) -> ServerFacts:
        info, (seconds, micros) = await self.client.info(), await self.client.time()
        return ServerFacts(
            str(info["redis_version"]), bool(info["aof_enabled"]), seconds * 1000 + micros // 1000
        )

    # Panes and counters.

    async def counters(self) -> dict[str, int]:
        return sum_counters(await self._one("HVALS", pane_name(COUNTERS)))

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> Changes:
        cursor = since or ChangeCursor(-1, b"")
        reading = cursor.reading if isinstance(cursor.reading, PaneReading) else None
        panes = [] if reading is None else await self._read_whole(reading)
        last = StoreVersion(cursor.sequence, cursor.nonce) if reading is None else reading.last
        sequence, nonce, reset, complete, flat, beats, rules, counted = await self.call(
            "changes", cursor.sequence, *last, CHUNK_BYTES, int(positions)
        )
        stored = {partition_of(name): unpacked_position(packed) for name, packed in _pairs(counted)}
        about = heartbeats_of(beats), rules, stored
        now = ChangeCursor(sequence, nonce)
        if reading is not None and reading.names and not reset:
            return Changes(cursor, False, True, panes, *about)
        if complete:
            panes.extend(_pane_changes(flat, {} if reading is None else reading.moments))
            return Changes(now, False, False, panes, *about)
        # Changed panes are read whole, one by one; then the changes made meanwhile.
        after = 0 if reset else cursor.sequence
        changed = await self._one("ZRANGEBYSCORE", "changes", f"({after}", "+inf")
        begun = PaneReading(changed, StoreVersion(sequence, nonce))
        return Changes(now._replace(reading=begun), bool(reset), True, [] if reset else panes, *about)

    async def _read_whole(self, reading: "PaneReading") -> list[PaneChange]:
        """Read some of the pending panes, about CHUNK_BYTES."""
        panes: list[PaneChange] = []
        size = 0
        while reading.names and size <= CHUNK_BYTES:
            name = reading.names[-1]
            pipe = self.client.pipeline(transaction=True)
            pipe.get(self.prefix + b"sequence")
            pipe.zrange(self.prefix + b"nonces", -1, -1)
            pipe.zscore(self.prefix + b"nonces", reading.last.nonce)
            pipe.hvals(self.prefix + name)
            sequence, nonces, known, deltas = await pipe.execute()
            if int(known or 0) != reading.last.sequence:
                break  # a failover reverted what was read: `changes` will report a reset
            reading.names.pop()
            reading.last = StoreVersion(int(sequence or 0), nonces[0] if nonces else b"")
            reading.moments[name] = reading.last.sequence
            panes.append(PaneChange(_pane_of(name.decode()), True, deltas))
            size += sum(map(len, deltas))
        return panes

    async def compact(self, place: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        pane = pane_name(place)
        names = sorted(await self._one("HKEYS", pane))
        # The oldest of many deltas is usually a merged one, not to be rewritten for a few new ones.
        some = names[1 : MERGED_AT_ONCE + 1] if len(names) > MERGED_AT_ONCE + NEWEST_LEFT else names
        key, snapshot = self.prefix + pane.encode(), await self.read(())
        pipe = self.client.pipeline(transaction=False)
        for name in some:
            pipe.hstrlen(key, name)
        chosen = _worth_merging(dict(zip(some, await pipe.execute(), strict=True)))
        if len(chosen) < 2:
            return len(names)
        deltas = await self.client.hmget(key, chosen)
        if None in deltas:  # another process merges them
            return len(names)
        merged = await asyncio.to_thread(merge, deltas)
        name = max(chosen)[:_STAMP_BYTES] + min(one[_STAMP_BYTES:] for one in chosen)
        await self.call("compact", pane, *snapshot.version, name, merged, *chosen)
        return len(names) - len(chosen) + 1

    async def close(self) -> None:
        await self.client.aclose()


def _by_hash(keys: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Group documents' keys by the hash that holds them."""
    found: dict[bytes, list[bytes]] = {}
    for key in keys:
        found.setdefault(_DOCUMENT_HASH[key[1]], []).append(key)
    return found


_DOCUMENT_HASH: Final = [f"d:{_HASHES[byte >> 4]}".encode() for byte in range(256)]


def pane_name(place: PaneHour) -> str:
    family, hour = place
    return f"{family[0]}:{hour}"


def _pane_of(name: str) -> PaneHour:
    letter, _, hour = name.partition(":")
    return _FAMILIES[letter], int(hour)


def _pane_changes(flat: Sequence[Any], moments: Mapping[bytes, int]) -> Iterable[PaneChange]:
    """Yield the changes, without deltas that a whole read of their pane already contained."""
    for name, whole, numbers, deltas in zip(*[iter(flat)] * 4, strict=True):
        moment = moments.get(name, -1)
        if not whole:
            deltas = [delta for number, delta in zip(numbers, deltas, strict=True) if number > moment]
        if whole or deltas:
            yield PaneChange(_pane_of(name.decode()), bool(whole), deltas)


def _conflict(reads: Collection[bytes], rest: Sequence[Any]) -> VersionConflict:
    sequence, nonce, *changed = rest
    keys = frozenset(changed[0]) if changed else frozenset(reads)
    return VersionConflict(keys, StoreVersion(int(sequence), nonce))


def _worth_merging(sizes: Mapping[bytes, int]) -> list[bytes]:
    """Choose the small deltas, by size: none so large that little is gained by writing it again.

    >>> _worth_merging({b"a": 100, b"b": 120, b"c": 90, b"d": 50_000})
    [b'c', b'a', b'b']
    """
    chosen: list[bytes] = []
    total = 0
    for name in sorted(sizes, key=lambda name: sizes[name]):
        is_too_large = len(chosen) > 1 and sizes[name] > 4 * total
        if is_too_large or total + sizes[name] > MERGED_BYTES:
            break
        chosen.append(name)
        total += sizes[name]
    return chosen


def heartbeats_of(flat: Sequence[bytes]) -> dict[Partition, Heartbeat]:
    return {partition_of(name): _unpack_heartbeat(packed) for name, packed in _pairs(flat)}


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _packed_position(position: Position) -> bytes:
    """Pack a position, preceded by what the scripts compare, since the msgpack of Redis has no byte strings.

    >>> _packed_position(Position("e1", 42, bytes(8)))[:23]
    b'e1:42:0000000000000000:'
    """
    return f"{position.epoch}:{position.next}:{position.token.hex()}:".encode() + _pack(position)


def unpacked_position(packed: bytes) -> Position:
    return _unpack_position(packed.split(b":", 3)[3])


def partition_of(name: bytes) -> Partition:
    """Parse the name of a partition.

    >>> partition_of(b"call-completed:3")
    Partition(topic='call-completed', number=3)
    """
    topic, _, number = name.decode().rpartition(":")
    return Partition(topic, int(number))
