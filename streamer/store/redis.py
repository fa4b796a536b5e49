"""Here is the store in Redis (7.0 or later) or Valkey: one script call a commit, one a reading.

The scripts stand in `scripts/`, the key layout in `layout.py`. A center is one slot: on a Redis
Cluster the node that holds it serves all of it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha1
from importlib.resources import files
from itertools import chain
from typing import Any, Final, Self

import msgspec
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from streamer.events.rules import Rules
from streamer.panes.grid import GRID, Family, kept
from streamer.store.layout import document_ttl_s, prefix
from streamer.store.port import (
    TOKEN_BYTES,
    Applied,
    Beat,
    Changed,
    Changes,
    Commit,
    Document,
    Mark,
    Moved,
    Outcome,
    Pane,
    Partition,
    Position,
)

OLDEST: Final = (7, 0)
TIMEOUT_S: Final = 5.0
CHUNK_BYTES: Final = 4_000_000
_SEQUENCE_BYTES: Final = 6
_MARGIN_MS: Final = 2 * 3_600_000
_ABSENT: Final = bytes(TOKEN_BYTES)
_FAMILIES: Final[dict[bytes, Family]] = {b"f": "fine", b"l": "long"}

_pack = msgspec.msgpack.Encoder().encode
_unpack_position = msgspec.msgpack.Decoder(Position).decode
_beat = msgspec.msgpack.Decoder(Beat).decode


class StoreUnfit(Exception):  # noqa: N818 - names the state, like the message
    """This Redis cannot be trusted with the numbers; the message says why and what to change."""


class Script:
    """A Lua script of `scripts/`, called by its digest."""

    def __init__(self, name: str) -> None:
        self._text = files("streamer.store").joinpath("scripts", f"{name}.lua").read_text()
        self._digest = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Any, key: bytes, *args: Any) -> Any:
        try:
            return await client.evalsha(self._digest, 1, key, *args)
        except NoScriptError:
            return await client.eval(self._text, 1, key, *args)


class RedisStore:
    """A Store. Raises redis-py's errors as they are."""

    def __init__(self, client: "Redis | RedisCluster", center: str, rules: Rules) -> None:
        self._client: Any = client
        self._prefix = prefix(center)
        self._ttl_s = document_ttl_s(rules)
        self._scripts = {name: Script(name) for name in ("commit", "read", "changes", "move", "compact")}

    @classmethod
    async def connect(cls, url: str, center: str, rules: Rules | None = None) -> Self:
        """Raises StoreUnfit for a Redis that is too old or evicts keys."""
        client: Any = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        try:
            info = await client.info()
            _vouch(info)
        except BaseException:
            await client.aclose()
            raise
        if info.get("cluster_enabled"):
            await client.aclose()
            client = RedisCluster.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        return cls(client, center, rules or Rules())

    def _key(self, name: str) -> bytes:
        return self._prefix + name.encode()

    async def _call(self, script: str, *args: Any) -> Any:
        return await self._scripts[script](self._client, self._key("positions"), *args)

    async def read(self, keys: Sequence[bytes]) -> list[Document | None]:
        found = await self._call("read", self._prefix, b"".join(keys))
        return [Document(value[:TOKEN_BYTES], value[TOKEN_BYTES:]) if value else None for value in found]

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        status, *rest = await self._call(
            "commit",
            self._prefix,
            str(commit.partition),
            commit.epoch,
            commit.start,
            _packed(commit.position),
            commit.position.token.hex(),
            commit.position.token,
            b"".join(key + (token or _ABSENT) for key, token in commit.reads.items()),
            self._ttl_s,
            _oldest("fine", now_ms),
            _oldest("long", now_ms),
            *_list(chain.from_iterable((key, value or b"") for key, value in commit.writes.items())),
            *_list(_panes("fine", commit.fine, now_ms)),
            *_list(_panes("long", commit.long, now_ms)),
            *_list(chain.from_iterable(commit.counts.items())),
        )
        if status == b"applied":
            return Applied()
        if status == b"changed":
            return Changed(tuple(rest[0]))
        return Moved(_position(rest[0]) if rest else None)

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]:
        if not partitions:
            return []
        names = [str(partition) for partition in partitions]
        found = await self._client.hmget(self._key("positions"), names)
        return [_position(packed) if packed else None for packed in found]

    async def move(self, partition: Partition, before: Position | None, after: Position) -> bool:
        was = _packed(before) if before is not None else b""
        return bool(await self._call("move", str(partition), was, _packed(after)))

    async def beat(self, beats: Mapping[Partition, Beat]) -> None:
        if beats:
            packed = {str(partition): _pack(beat) for partition, beat in beats.items()}
            await self._client.hset(self._key("beats"), mapping=packed)

    async def beats(self) -> dict[Partition, Beat]:
        found = await self._client.hgetall(self._key("beats"))
        return {_partition(name): _beat(packed) for name, packed in found.items()}

    async def counts(self) -> dict[str, int]:
        found = await self._client.hgetall(self._key("counts"))
        return {name.decode(): int(amount) for name, amount in found.items()}

    async def changes(self, since: Mark | None) -> Changes:
        asked = since or Mark(-1, b"")
        sequence, nonce, reset, more, cursor, flat = await self._call(
            "changes", self._prefix, asked.sequence, asked.nonce, asked.cursor, CHUNK_BYTES
        )
        panes = [
            Pane(_FAMILIES[family], int(index), bool(whole), [one[_SEQUENCE_BYTES:] for one in postings])
            for family, index, whole, postings in zip(*[iter(flat)] * 4, strict=True)
        ]
        return Changes(Mark(sequence, nonce, cursor), bool(reset), bool(more), panes)

    async def compact(self, family: Family, index: int, merge: Callable[[Sequence[bytes]], bytes]) -> None:
        key = self._key(f"{family[0]}:{index}")
        posted: dict[bytes, bytes] = await self._client.hgetall(key)
        chosen = _worth_merging(posted)
        if len(chosen) > 1:
            first = min(posted[last][:_SEQUENCE_BYTES] for last in chosen)
            merged = await asyncio.to_thread(merge, [posted[last][_SEQUENCE_BYTES:] for last in chosen])
            await self._call("compact", key, max(chosen), first + merged, *chosen)

    async def rules(self) -> bytes | None:
        found: bytes | None = await self._client.get(self._key("rules"))
        return found

    async def set_rules(self, rules: bytes) -> bytes:
        await self._client.set(self._key("rules"), rules, nx=True)
        return await self.rules() or rules

    async def close(self) -> None:
        await self._client.aclose()


def _vouch(info: Mapping[str, Any]) -> None:
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise StoreUnfit(f"Redis {version} is too old: expected 7.0 or later, or Valkey")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnfit(
            f"maxmemory-policy is {policy}: it would evict counted numbers; "
            "expected noeviction (CONFIG SET maxmemory-policy noeviction)"
        )


def _worth_merging(posted: Mapping[bytes, bytes]) -> list[bytes]:
    """All; without the largest, where that is too large to be written again for so little."""
    chosen = sorted(posted, key=lambda last: len(posted[last]))
    if chosen and len(posted[chosen[-1]]) > 4 * sum(len(posted[last]) for last in chosen[:-1]):
        return chosen[:-1]
    return chosen


def _oldest(family: Family, now_ms: int) -> int:
    width, keep = GRID[family]
    return (now_ms - keep) // width


def _list(items: Iterable[Any]) -> list[Any]:
    """Behind its length, for a script to walk."""
    found = list(items)
    return [len(found), *found]


def _panes(family: Family, panes: Mapping[int, bytes], now_ms: int) -> Iterator[Any]:
    width, keep = GRID[family]
    for index, posting in panes.items():
        if kept(family, index, now_ms):
            yield from (index, ((index + 1) * width + keep + _MARGIN_MS) // 1000, posting)


def _packed(position: Position) -> bytes:
    """With what the script compares in front: Redis's msgpack does not know byte strings."""
    return f"{position.epoch}:{position.next}:{position.token.hex()}:".encode() + _pack(position)


def _position(packed: bytes) -> Position:
    return _unpack_position(packed.split(b":", 3)[3])


def _partition(name: bytes) -> Partition:
    topic, _, number = name.decode().rpartition(":")
    return Partition(topic, int(number))
