"""State store in Redis. A commit is checked by a script that only reads, and written by MULTI … EXEC under
WATCH.

The key layout is in `store/layout.py`. A center is one slot: on a Redis Cluster, one node serves all of it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple, Self

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamer.events.counting_rules import HOUR, CountingRules, require_same_rules
from streamer.metrics.counters import add_counters
from streamer.panes.pane_keys import (
    COUNTERS,
    ORDERED_FAMILIES,
    WIDTH,
    PaneHour,
    is_hour_kept,
    pane_retention_ms,
)
from streamer.runtime.retry import retry_refused
from streamer.store.layout import (
    CHANGES,
    CURRENT_NAME,
    CUSTOMER_KEY_NAME,
    DOCUMENT_HASHES,
    FIRST_GENERATION,
    HEARTBEATS,
    KEPT_NONCES,
    KEPT_TOUCHED,
    KEPT_WRITES,
    NONCES,
    PAUSED_SUFFIX,
    POSITIONS,
    RULES,
    SEQUENCE,
    SEQUENCE_BYTES,
    STAGED_NAME,
    TOUCHED,
    WRITE_TIME_BYTES,
    WRITES,
    document_hash,
    document_ttl_ms,
    generation_prefix,
    layout_key,
    pane_name,
    parse_pane_name,
    shared_key,
)
from streamer.store.port import (
    TOKEN_BYTES,
    ChangeCursor,
    Commit,
    CommitApplied,
    CommitOutcome,
    CustomerKeyMismatch,
    DocumentSnapshot,
    GenerationSuperseded,
    Heartbeat,
    LogPosition,
    OffsetConflict,
    PaneChange,
    Partition,
    StoreChanges,
    StoreVersion,
    VersionConflict,
)
from streamer.store.redis.connection import FormerLayout, LuaScript, connect, find_former_generation

CHUNK_BYTES: Final = 1_000_000
"""Limit of pane bytes in one answer."""
MAX_MERGED_DELTAS: Final = 64
MAX_MERGED_BYTES: Final = 1_000_000
UNMERGED_DELTAS: Final = 16
"""Newest deltas, left unmerged since readers still fetch them one by one."""
_PAUSED_S: Final = 0.02
_SCAN_COUNT: Final = 500
_SCRIPTS: Final = {
    **{name: (name,) for name in ("changes", "compact", "guarded_command", "promote", "retire")},
    "check_commit": ("fence_terms", "check_commit"),
    "move": ("fence_terms", "advance", "move"),
    "forget": ("advance", "forget"),
}
"""Files of each script, after the check of the generation."""

_pack = msgspec.msgpack.Encoder().encode
_unpack_position = msgspec.msgpack.Decoder(LogPosition).decode
_unpack_heartbeat = msgspec.msgpack.Decoder(Heartbeat).decode


class ServerInfo(NamedTuple):
    """Version of the server, whether it appends writes to a file (AOF), and its clock (ms)."""

    version: str
    has_aof: bool
    time_ms: int


class PaneReading:
    """Read of whole panes, one after the other: the names still to read; the sequence at which each of the
    others was read, after which changes are missing; and the version at the last read."""

    def __init__(self, names: list[bytes], version: StoreVersion) -> None:
        self.pending_names = names
        self.read_sequences: dict[bytes, int] = {}
        self.last_version = version


class RedisStore:
    """State store in Redis. Raises redis-py's errors as they are, and CountingRulesMismatch if a rebuild put
    numbers in force with other counting rules than those agreed on in `set_rules`."""

    def __init__(self, client: Any, center: str, rules: CountingRules, staged: str | None = None) -> None:
        self.client = client
        self.center = center
        self._generation_key = layout_key(center, CURRENT_NAME if staged is None else STAGED_NAME)
        self._is_staged = staged is not None
        self.prefix = generation_prefix(center, staged or FIRST_GENERATION)
        self._retention_ms = rules.retention_ms
        self._ttl_ms = document_ttl_ms(rules)
        self._agreed_rules: bytes | None = None
        self._customer_key_name = shared_key(center, CUSTOMER_KEY_NAME)
        self._agreed_customer_key: bytes | None = None
        self._write_lock = asyncio.Lock()
        self._forget_progress = (0, 0, 0)  # index of the hash, cursor in it, panes passed
        self._scripts = {name: LuaScript("check_generation", *files) for name, files in _SCRIPTS.items()}

    @classmethod
    async def connect(cls, url: str, center: str, rules: CountingRules | None = None) -> Self:
        """Connect to a center. Raises StoreUnfit for a Redis that is too old or evicts keys, and FormerLayout
        if the numbers need a rebuild first."""
        client = await connect(url, center)
        try:
            if await find_former_generation(client, center) is not None:
                raise FormerLayout(center)
        except BaseException:
            await client.aclose()
            raise
        return cls(client, center, rules or CountingRules())

    # The current generation.

    async def call(self, script: str, *args: Any, keys: Sequence[bytes] = (), client: Any = None) -> Any:
        """Call a script on the current generation, and again if that changed meanwhile."""
        while True:
            guard_keys = self.prefix + POSITIONS, self._generation_key
            try:
                return await self._scripts[script](
                    client or self.client, (*guard_keys, *keys), self.prefix, *args
                )
            except ResponseError as error:
                word, _, rest = str(error).partition(" ")
                if word == "SUPERSEDED":
                    raise GenerationSuperseded from error
                if word == "CUSTOMERKEY":
                    raise CustomerKeyMismatch from error
                if word == "RULES":
                    await self._agree_on_rules()
                elif word == "GENERATION":
                    await self._adopt_generation(rest)
                else:
                    raise

    async def _call_fenced(self, script: str, *args: Any, client: Any = None) -> Any:
        """Call a script that is refused, or writes them back, where the store does not hold the counting
        rules and the customer key agreed on."""
        terms = self._agreed_rules or b"", self._agreed_customer_key or b""
        return await self.call(script, *terms, *args, keys=[self._customer_key_name], client=client)

    async def _adopt_generation(self, generation: str) -> None:
        """Switch to another generation, if its counting rules are the agreed ones. Raises
        CountingRulesMismatch."""
        if self._is_staged:
            raise GenerationSuperseded
        adopted = generation_prefix(self.center, generation)
        await self._agree_on_rules(adopted)
        self.prefix = adopted

    async def _agree_on_rules(self, prefix: bytes | None = None) -> None:
        """Write the rules agreed on where there are none. Raises CountingRulesMismatch where others are."""
        if self._agreed_rules is not None:
            name = (self.prefix if prefix is None else prefix) + RULES
            await self.client.set(name, self._agreed_rules, nx=True)
            require_same_rules(await self.client.get(name) or self._agreed_rules, self._agreed_rules)

    async def _run_command(self, command: str, name: bytes, *args: Any) -> Any:
        return await self.call("guarded_command", command, name, *args)

    # Documents.

    async def read(self, keys: Sequence[bytes]) -> DocumentSnapshot:
        by_hash = group_keys_by_hash(keys)
        while True:
            keys_prefix, pipe = self.prefix, self.client.pipeline(transaction=True)
            pipe.get(self._generation_key)
            pipe.get(keys_prefix + SEQUENCE)
            pipe.zrange(keys_prefix + NONCES, -1, -1)
            for name, hash_keys in by_hash.items():
                pipe.hmget(keys_prefix + name, hash_keys)
            in_force, sequence, nonces, *document_lists = await pipe.execute()
            generation = in_force.decode() if in_force else FIRST_GENERATION
            if keys_prefix == generation_prefix(self.center, generation):
                break
            await self._adopt_generation(generation)
        values: dict[bytes, bytes | None] = {}
        for hash_keys, documents in zip(by_hash.values(), document_lists, strict=True):
            values |= zip(hash_keys, documents, strict=True)
        version = StoreVersion(int(sequence or 0), nonces[0] if nonces else b"")
        stamped = (values[key] for key in keys)
        return DocumentSnapshot(version, [value[WRITE_TIME_BYTES:] if value else None for value in stamped])

    async def scan(self, letters: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        await retry_refused(lambda: self._run_command("EXISTS", RULES))  # switches to the current generation
        for name in DOCUMENT_HASHES:
            cursor, is_through = 0, False
            while not is_through:
                hscan = partial(self.client.hscan, self.prefix + name, cursor, f"[{letters}]*", _SCAN_COUNT)
                cursor, documents = await retry_refused(hscan)  # begun again, it would yield all again
                is_through = cursor == 0
                if documents:
                    yield {key: value[WRITE_TIME_BYTES:] for key, value in documents.items()}

    async def forget(self, now_ms: int, at_most: int) -> int:
        hash_index, cursor, passed_panes = self._forget_progress
        hours = [(now_ms - pane_retention_ms(family, self._retention_ms)) // HOUR for family in WIDTH]
        next_cursor, deleted, passed_panes = await self.call(
            "forget",
            secrets.token_bytes(TOKEN_BYTES),
            DOCUMENT_HASHES[hash_index],
            cursor,
            at_most,
            (now_ms - self._ttl_ms) // 1000,
            *hours,
            passed_panes,
        )
        self._forget_progress = (
            hash_index if next_cursor else (hash_index + 1) % len(DOCUMENT_HASHES),
            next_cursor,
            passed_panes,
        )
        return int(deleted)

    # Commits.

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        position = commit.position
        check_args = (
            str(commit.partition), commit.epoch, commit.start, position.token.hex(),
            *commit.version, b"".join(commit.reads), *chain.from_iterable(commit.later_versions),
        )  # fmt: skip
        deltas = {
            pane_hour: delta
            for pane_hour, delta in commit.deltas.items()
            if is_hour_kept(pane_hour, now_ms, self._retention_ms)
        }

        def queue(pipe: Any, sequence: int) -> None:
            self._queue_writes(pipe, sequence, commit.writes, deltas, now_ms)
            pipe.hset(self.prefix + POSITIONS, str(commit.partition), _pack_position(position))

        status, *rest = await self._write(check_args, queue)
        if status == b"changed":
            return _version_conflict(commit.reads, rest)
        if status == b"moved":
            return OffsetConflict(unpack_position(rest[0]) if rest else None)
        return CommitApplied()

    async def replace(
        self,
        version: StoreVersion,
        reads: Collection[bytes],
        writes: Mapping[bytes, bytes | None],
        now_ms: int,
        later_versions: Collection[StoreVersion] = (),
    ) -> bool:
        versions = chain.from_iterable(later_versions)
        check_args = ("", "", 0, "", *version, b"".join(reads), *versions)

        def queue(pipe: Any, sequence: int) -> None:
            self._queue_writes(pipe, sequence, writes, {}, now_ms)

        status, *_ = await self._write(check_args, queue)
        return bool(status == b"ok")

    async def _write(self, check_args: Sequence[Any], queue: Callable[[Any, int], None]) -> Any:
        """Check, and if that passes, write what `queue` puts into the transaction under a sequence number.
        Return the result of the check. If another write came between, EXEC refuses and the check is repeated,
        since the documents read may still be unchanged."""
        # One at a time: concurrent commits of one process would only refuse each other.
        async with self._write_lock:
            while True:
                try:
                    answer = await self._write_once(check_args, queue)
                except WatchError as error:
                    if isinstance(error.__context__, RedisConnectionError | RedisTimeoutError):
                        raise error.__context__ from None  # the connection was lost, and the watch with it
                    continue  # another write came between
                if answer is not None:
                    return answer

    async def _write_once(self, check_args: Sequence[Any], queue: Callable[[Any, int], None]) -> Any:
        """Try once. Return None if it must be tried again. Raises WatchError."""
        async with self.client.pipeline(transaction=True) as pipe:
            paused_key = self._generation_key + PAUSED_SUFFIX
            await pipe.watch(self.prefix + SEQUENCE, self._generation_key, paused_key)
            watched_prefix = self.prefix
            status, *rest = await self._call_fenced("check_commit", *check_args, client=pipe)
            if status == b"held":
                await asyncio.sleep(_PAUSED_S)
                return None
            if status != b"ok":
                return [status, *rest]
            if self.prefix != watched_prefix:
                return None  # another generation is current, and is not watched yet
            pipe.multi()
            queue(pipe, int(rest[0]) + 1)
            await pipe.execute()
            return [status]

    def _queue_writes(
        self,
        pipe: Any,
        sequence: int,
        writes: Mapping[bytes, bytes | None],
        deltas: Mapping[PaneHour, bytes],
        now_ms: int,
    ) -> None:
        keys_prefix, queue_command = self.prefix, pipe.execute_command
        delta_name = sequence.to_bytes(SEQUENCE_BYTES, "big") * 2
        queue_command("SET", keys_prefix + SEQUENCE, sequence)
        # Not the commit's token: sent again after a failover took it back, it makes another state.
        queue_command("ZADD", keys_prefix + NONCES, sequence, secrets.token_bytes(TOKEN_BYTES))
        queue_command("ZREMRANGEBYSCORE", keys_prefix + NONCES, "-inf", sequence - KEPT_NONCES)
        queue_command("HSET", keys_prefix + WRITES, sequence, b"".join(writes))
        queue_command("HSET", keys_prefix + TOUCHED, sequence, ",".join(map(pane_name, deltas)))
        queue_command("HDEL", keys_prefix + WRITES, sequence - KEPT_WRITES)
        queue_command("HDEL", keys_prefix + TOUCHED, sequence - KEPT_TOUCHED)
        write_time = (now_ms // 1000).to_bytes(WRITE_TIME_BYTES, "big")
        for name, keys in group_keys_by_hash(writes).items():
            values = [(key, writes[key]) for key in keys]
            if fields := [
                item for key, value in values if value is not None for item in (key, write_time + value)
            ]:
                queue_command("HSET", keys_prefix + name, *fields)
            if deleted_keys := [key for key, value in values if value is None]:
                queue_command("HDEL", keys_prefix + name, *deleted_keys)
        for pane_hour, delta in deltas.items():
            queue_command("HSET", keys_prefix + pane_name(pane_hour).encode(), delta_name, delta)
        if deltas:
            scores = [item for pane_hour in deltas for item in (sequence, pane_name(pane_hour))]
            queue_command("ZADD", keys_prefix + CHANGES, *scores)

    # Positions, heartbeats, rules.

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]:
        if not partitions:
            return []
        names = [str(partition) for partition in partitions]
        packed_positions = await self._run_command("HMGET", POSITIONS, *names)
        return [unpack_position(packed) if packed else None for packed in packed_positions]

    async def move(self, partition: Partition, before: LogPosition | None, after: LogPosition) -> bool:
        packed_before = _pack_position(before) if before is not None else b""
        nonce = secrets.token_bytes(TOKEN_BYTES)
        positions = packed_before, _pack_position(after)
        return bool(await self._call_fenced("move", nonce, str(partition), *positions))

    async def time_ms(self) -> int:
        seconds, microseconds = await self.client.time()
        return int(seconds * 1000 + microseconds // 1000)

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        if heartbeats:
            fields = [
                item for partition, beat in heartbeats.items() for item in (str(partition), _pack(beat))
            ]
            await self._run_command("HSET", HEARTBEATS, *fields)

    async def heartbeats(self) -> dict[Partition, Heartbeat]:
        return unpack_heartbeats(await self._run_command("HGETALL", HEARTBEATS))

    async def retire(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        fields = [item for partition, beat in heartbeats.items() for item in (str(partition), _pack(beat))]
        await self.call("retire", *fields)

    async def rules(self) -> bytes | None:
        stored: bytes | None = await self._run_command("GET", RULES)
        return stored

    async def set_rules(self, rules: bytes) -> bytes:
        await self._run_command("SET", RULES, rules, "NX")
        self._agreed_rules = stored = await self.rules() or rules
        return stored

    async def set_customer_key(self, key: bytes) -> None:
        await self.client.set(self._customer_key_name, key, nx=True)
        if await self.client.get(self._customer_key_name) != key:
            raise CustomerKeyMismatch
        self._agreed_customer_key = key

    async def require_writable(self) -> None:
        """Raise redis-py's error if a write would be refused now. Nothing is written: it is queued in a
        transaction that is discarded."""
        async with self.client.pipeline() as pipe:
            await pipe.immediate_execute_command("MULTI")
            try:
                await pipe.immediate_execute_command("SET", self.prefix + SEQUENCE, 0)
            finally:
                await pipe.immediate_execute_command("DISCARD")

    async def server_info(self) -> ServerInfo:
        info = await self.client.info()
        return ServerInfo(str(info["redis_version"]), bool(info["aof_enabled"]), await self.time_ms())

    # Panes and counters.

    async def counters(self) -> dict[str, int]:
        return add_counters(await self.deltas(COUNTERS)).counts

    async def deltas(self, pane_hour: PaneHour) -> list[bytes]:
        flat = await self._run_command("HGETALL", pane_name(pane_hour).encode())
        return [delta for _, delta in sorted(_pairs(flat))]

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        cursor = since or ChangeCursor(-1, b"")
        reading = cursor.reading if isinstance(cursor.reading, PaneReading) else None
        panes = [] if reading is None else await self._read_whole_panes(reading)
        last_version = (
            StoreVersion(cursor.sequence, cursor.nonce) if reading is None else reading.last_version
        )
        sequence, nonce, reset, complete, flat, packed_heartbeats, rules, packed_positions = await self.call(
            "changes", cursor.sequence, *last_version, CHUNK_BYTES, int(positions)
        )
        stored = {parse_partition(name): unpack_position(packed) for name, packed in _pairs(packed_positions)}
        common_fields = unpack_heartbeats(packed_heartbeats), rules, stored
        end_cursor = ChangeCursor(sequence, nonce)
        if reading is not None and reading.pending_names and not reset:
            return StoreChanges(cursor, False, True, panes, *common_fields)
        if complete:
            panes.extend(_new_pane_changes(flat, {} if reading is None else reading.read_sequences))
            return StoreChanges(end_cursor, False, False, panes, *common_fields)
        # Changed panes are read whole, one by one; then the changes made meanwhile.
        after_sequence = 0 if reset else cursor.sequence
        changed_names = await self._run_command("ZRANGEBYSCORE", CHANGES, f"({after_sequence}", "+inf")
        new_reading = PaneReading(changed_names, StoreVersion(sequence, nonce))
        return StoreChanges(
            end_cursor._replace(reading=new_reading),
            bool(reset),
            True,
            [] if reset else panes,
            *common_fields,
        )

    async def _read_whole_panes(self, reading: "PaneReading") -> list[PaneChange]:
        """Read some of the pending panes, about CHUNK_BYTES."""
        panes: list[PaneChange] = []
        size_bytes = 0
        while reading.pending_names and size_bytes <= CHUNK_BYTES:
            name = reading.pending_names[-1]
            pipe = self.client.pipeline(transaction=True)
            pipe.get(self.prefix + SEQUENCE)
            pipe.zrange(self.prefix + NONCES, -1, -1)
            pipe.zscore(self.prefix + NONCES, reading.last_version.nonce)
            pipe.hgetall(self.prefix + name)
            sequence, nonces, stored_sequence, delta_by_name = await pipe.execute()
            if int(stored_sequence or 0) != reading.last_version.sequence:
                break  # a failover reverted what was read: `changes` will report a reset
            reading.pending_names.pop()
            reading.last_version = StoreVersion(int(sequence or 0), nonces[0] if nonces else b"")
            reading.read_sequences[name] = reading.last_version.sequence
            deltas = [delta for _, delta in sorted(delta_by_name.items())]
            panes.append(PaneChange(parse_pane_name(name.decode()), True, deltas))
            size_bytes += sum(map(len, deltas))
        return panes

    async def compact(self, pane_hour: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        pane = pane_name(pane_hour).encode()
        snapshot = await self.read(())
        names, key = sorted(await self._run_command("HKEYS", pane)), self.prefix + pane
        if pane_hour[0] in ORDERED_FAMILIES:  # the oldest, without a gap: they depend on the order of commits
            merged_names = names[:-UNMERGED_DELTAS] if len(names) > 2 * UNMERGED_DELTAS else names
        else:
            merged_names = await self._small_deltas(key, names)
        if len(merged_names) < 2:
            return len(names)
        deltas = await self.client.hmget(key, merged_names)
        if None in deltas:  # another process merges them
            return len(names)
        merged = await asyncio.to_thread(merge, deltas)
        name = max(merged_names)[:SEQUENCE_BYTES] + min(
            delta_name[SEQUENCE_BYTES:] for delta_name in merged_names
        )
        await self.call("compact", pane, *snapshot.version, name, merged, *merged_names)
        return len(names) - len(merged_names) + 1

    async def _small_deltas(self, key: bytes, names: Sequence[bytes]) -> list[bytes]:
        """Return the names of deltas to merge. The oldest of many is usually a merged one, not to be
        rewritten for a few new ones."""
        candidates = (
            names[1 : MAX_MERGED_DELTAS + 1] if len(names) > MAX_MERGED_DELTAS + UNMERGED_DELTAS else names
        )
        pipe = self.client.pipeline(transaction=False)
        for name in candidates:
            pipe.hstrlen(key, name)
        return _choose_small_deltas(dict(zip(candidates, await pipe.execute(), strict=True)))

    async def close(self) -> None:
        await self.client.aclose()


def group_keys_by_hash(keys: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Group documents' keys by the hash that holds them."""
    keys_by_hash: dict[bytes, list[bytes]] = {}
    for key in keys:
        keys_by_hash.setdefault(document_hash(key), []).append(key)
    return keys_by_hash


def _new_pane_changes(flat: Sequence[Any], read_sequences: Mapping[bytes, int]) -> Iterable[PaneChange]:
    """Yield the changes, without deltas that a whole read of their pane already contained."""
    for name, is_whole, commits, deltas in zip(*[iter(flat)] * 4, strict=True):
        in_order = sorted(zip(commits, deltas, strict=True))
        read_sequence = read_sequences.get(name, -1)
        deltas = [delta for commit, delta in in_order if is_whole or commit > read_sequence]
        if is_whole or deltas:
            yield PaneChange(parse_pane_name(name.decode()), bool(is_whole), deltas)


def _version_conflict(reads: Collection[bytes], rest: Sequence[Any]) -> VersionConflict:
    sequence, nonce, *changed = rest
    keys = frozenset(changed[0]) if changed else frozenset(reads)
    return VersionConflict(keys, StoreVersion(int(sequence), nonce))


def _choose_small_deltas(sizes: Mapping[bytes, int]) -> list[bytes]:
    """Choose the small deltas, by size: none so large that little is gained by writing it again.

    >>> _choose_small_deltas({b"a": 100, b"b": 120, b"c": 90, b"d": 50_000})
    [b'c', b'a', b'b']
    """
    chosen: list[bytes] = []
    total = 0
    for name in sorted(sizes, key=lambda name: sizes[name]):
        is_too_large = len(chosen) > 1 and sizes[name] > 4 * total
        if is_too_large or total + sizes[name] > MAX_MERGED_BYTES:
            break
        chosen.append(name)
        total += sizes[name]
    return chosen


def unpack_heartbeats(flat: Sequence[bytes]) -> dict[Partition, Heartbeat]:
    return {parse_partition(name): _unpack_heartbeat(packed) for name, packed in _pairs(flat)}


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _pack_position(position: LogPosition) -> bytes:
    """Pack a position, preceded by what the scripts compare, since the msgpack of Redis has no byte strings.

    >>> _pack_position(LogPosition("e1", 42, bytes(8)))[:23]
    b'e1:42:0000000000000000:'
    """
    return f"{position.epoch}:{position.next}:{position.token.hex()}:".encode() + _pack(position)


def unpack_position(packed: bytes) -> LogPosition:
    return _unpack_position(packed.split(b":", 3)[3])


def parse_partition(name: bytes) -> Partition:
    """Parse the name of a partition.

    >>> parse_partition(b"call-completed:3")
    Partition(topic='call-completed', number=3)
    """
    topic, _, number = name.decode().rpartition(":")
    return Partition(topic, int(number))
