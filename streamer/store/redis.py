"""Here is the store in Redis (7.0 or later) or Valkey: one script call a commit, one a reading.

The scripts stand in `scripts/`, the key layout in `layout.py`. A center is one slot: on a Redis
Cluster the node that holds it serves all of it.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha1
from importlib.resources import files
from itertools import chain
from typing import Any, Final, NamedTuple, Self

import msgspec
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, ResponseError

from streamer.events.rules import Rules, agree
from streamer.journeys.journey import KEY_BYTES
from streamer.panes.grid import WIDTH, Family, kept, kept_ms, oldest
from streamer.store.layout import FIRST, document_ttl_s, named, prefix
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
MERGED_AT_ONCE: Final = 64
CHUNK_BYTES: Final = 4_000_000
_SEQUENCE_BYTES: Final = 6
_HELD_S: Final = 0.02
_SWEPT: Final = 500
_IN_FORCE: Final = "current"
_MAKING: Final = "rebuilding"
_SCRIPTS: Final = ("commit", "read", "changes", "move", "compact", "one", "switch", "replace")
_MARGIN_MS: Final = 2 * 3_600_000
_ABSENT: Final = bytes(TOKEN_BYTES)
_FAMILIES: Final[dict[bytes, Family]] = {b"f": "fine", b"l": "long"}

_pack = msgspec.msgpack.Encoder().encode
_unpack_position = msgspec.msgpack.Decoder(Position).decode
_beat = msgspec.msgpack.Decoder(Beat).decode


class StoreUnfit(Exception):  # noqa: N818 - names the state, like the message
    """This Redis cannot be trusted with the numbers; the message says why and what to change."""


class Superseded(Exception):  # noqa: N818 - names the state
    """The generation in the making is no longer the one: another rebuild was begun, or made it its own."""

    def __str__(self) -> str:
        return "another rebuild took the place of this one"


class Facts(NamedTuple):
    """Of the server: whether it writes to disk, and its clock."""

    version: str
    aof: bool
    time_ms: int


class Script:
    """A Lua script of `scripts/`, called by its digest. What belongs to a generation begins with
    `head.lua`."""

    def __init__(self, *parts: str) -> None:
        folder = files("streamer.store").joinpath("scripts")
        self._text = "".join(folder.joinpath(f"{part}.lua").read_text() for part in parts)
        self._digest = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Any, keys: Sequence[bytes], *args: Any) -> Any:
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *args)


class RedisStore:
    """A Store. Raises redis-py's errors as they are, and OtherRules where a rebuild put numbers in force
    that mean something else than those agreed on by `set_rules`."""

    def __init__(
        self, client: "Redis | RedisCluster", center: str, rules: Rules, making: str | None = None
    ) -> None:
        self._client: Any = client
        self._center = center
        self._named = named(center, _IN_FORCE if making is None else _MAKING)
        self._prefix = prefix(center, making or FIRST)
        self._ttl_s = document_ttl_s(rules)
        self._retention_ms = rules.retention_ms
        self._agreed: bytes | None = None
        self._scripts = {name: Script("head", name) for name in _SCRIPTS}

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

    async def _call(self, script: str, *args: Any, keys: Sequence[bytes] = ()) -> Any:
        """Always of the generation in force, also if that changes meanwhile."""
        while True:
            own = self._prefix + b"positions", self._named
            try:
                return await self._scripts[script](self._client, (*own, *keys), self._prefix, *args)
            except ResponseError as error:
                word, _, rest = str(error).partition(" ")
                if word == "SUPERSEDED":
                    raise Superseded from error
                if word != "GENERATION":
                    raise
                await self._adopt(rest)

    async def _adopt(self, generation: str) -> None:
        """Go over to another generation, if its rules are those agreed on."""
        if self._named == named(self._center, _MAKING):
            raise Superseded
        adopted = prefix(self._center, generation)
        if self._agreed is not None:
            await self._client.set(adopted + b"rules", self._agreed, nx=True)
            agree(await self._client.get(adopted + b"rules"), self._agreed)
        self._prefix = adopted

    async def _one(self, command: str, name: str, *args: Any) -> Any:
        return await self._call("one", command, name, *args)

    async def read(self, keys: Sequence[bytes]) -> list[Document | None]:
        found = await self._call("read", b"".join(keys))
        return [Document(value[:TOKEN_BYTES], value[TOKEN_BYTES:]) if value else None for value in found]

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        arguments = (
            str(commit.partition),
            commit.epoch,
            commit.start,
            _packed(commit.position),
            commit.position.token.hex(),
            commit.position.token,
            _compared(commit.reads),
            self._ttl_s,
            oldest("fine", now_ms, self._retention_ms),
            oldest("long", now_ms, self._retention_ms),
            b"".join(_written(commit.writes)),
            *_list(self._panes("fine", commit.fine, now_ms)),
            *_list(self._panes("long", commit.long, now_ms)),
            *_list(chain.from_iterable(commit.counts.items())),
        )
        while (answer := await self._call("commit", *arguments))[0] == b"held":  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(_HELD_S)
        status, *rest = answer
        if status == b"applied":
            return Applied()
        if status == b"changed":
            return Changed(tuple(rest[0]))
        return Moved(_position(rest[0]) if rest else None)

    def _panes(self, family: Family, panes: Mapping[int, bytes], now_ms: int) -> Iterator[Any]:
        width, keep = WIDTH[family], kept_ms(family, self._retention_ms)
        for index, posting in panes.items():
            if kept(family, index, now_ms, self._retention_ms):
                yield from (index, ((index + 1) * width + keep + _MARGIN_MS) // 1000, posting)

    async def replace(
        self, token: bytes, reads: Mapping[bytes, bytes | None], writes: Mapping[bytes, bytes | None]
    ) -> bool:
        sent = _compared(reads), self._ttl_s, b"".join(_written(writes))
        return bool(await self._call("replace", token, *sent))

    async def keys(self, letters: str) -> AsyncIterator[Sequence[bytes]]:
        await self._one("EXISTS", "rules")  # of the generation in force
        match = self._prefix + f"[{letters}]".encode() + b"?" * (KEY_BYTES - 1)
        found: list[bytes] = []
        async for key in self._client.scan_iter(match=match, count=_SWEPT):
            found.append(key[len(self._prefix) :])
            if len(found) == _SWEPT:
                yield found
                found = []
        yield found

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]:
        if not partitions:
            return []
        names = [str(partition) for partition in partitions]
        found = await self._one("HMGET", "positions", *names)
        return [_position(packed) if packed else None for packed in found]

    async def move(self, partition: Partition, before: Position | None, after: Position) -> bool:
        was = _packed(before) if before is not None else b""
        return bool(await self._call("move", str(partition), was, _packed(after)))

    async def beat(self, beats: Mapping[Partition, Beat]) -> None:
        if beats:
            packed = ((str(partition), _pack(beat)) for partition, beat in beats.items())
            await self._one("HSET", "beats", *chain.from_iterable(packed))

    async def beats(self) -> dict[Partition, Beat]:
        found = _pairs(await self._one("HGETALL", "beats"))
        return {_partition(name): _beat(packed) for name, packed in found.items()}

    async def counts(self) -> dict[str, int]:
        found = _pairs(await self._one("HGETALL", "counts"))
        return {name.decode(): int(amount) for name, amount in found.items()}

    async def changes(self, since: Mark | None) -> Changes:
        asked = since or Mark(-1, b"")
        sequence, nonce, reset, more, cursor, flat = await self._call(
            "changes", asked.sequence, asked.nonce, asked.cursor, CHUNK_BYTES
        )
        panes = [
            Pane(_FAMILIES[family], int(index), bool(whole), [one[_SEQUENCE_BYTES:] for one in postings])
            for family, index, whole, postings in zip(*[iter(flat)] * 4, strict=True)
        ]
        return Changes(Mark(sequence, nonce, cursor), bool(reset), bool(more), panes)

    async def postings(self, family: Family, index: int) -> Sequence[bytes]:
        found = _pairs(await self._one("HGETALL", f"{family[0]}:{index}"))
        return [found[commit][_SEQUENCE_BYTES:] for commit in sorted(found)]

    async def compact(self, family: Family, index: int, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        pane = f"{family[0]}:{index}"
        commits = sorted(await self._one("HKEYS", pane))
        # The oldest of many is a merged one, as a rule: not to be written again for each few.
        some = commits[1 : MERGED_AT_ONCE + 1] if len(commits) > MERGED_AT_ONCE else commits
        found = await self._one("HMGET", pane, *some) if some else []
        posted = {commit: one for commit, one in zip(some, found, strict=True) if one is not None}
        chosen = _worth_merging(posted)
        if len(chosen) < 2:
            return len(commits)
        first = min(posted[last][:_SEQUENCE_BYTES] for last in chosen)
        merged = await asyncio.to_thread(merge, [posted[last][_SEQUENCE_BYTES:] for last in chosen])
        digest = sha1(b"".join(posted[last] for last in chosen), usedforsecurity=False).hexdigest()
        await self._call("compact", pane, digest, max(chosen), first + merged, *chosen)
        return len(commits) - len(chosen) + 1

    async def rules(self) -> bytes | None:
        found: bytes | None = await self._one("GET", "rules")
        return found

    async def set_rules(self, rules: bytes) -> bytes:
        await self._one("SET", "rules", rules, "NX")
        self._agreed = stored = await self.rules() or rules
        return stored

    async def facts(self) -> Facts:
        info, (seconds, micros) = await self._client.info(), await self._client.time()
        return Facts(str(info["redis_version"]), bool(info["aof_enabled"]), seconds * 1000 + micros // 1000)

    async def close(self) -> None:
        await self._client.aclose()


class Making:
    """A generation in the making beside that in force: `store` is it. Who begins another one takes this
    one's place: from then on it raises Superseded."""

    def __init__(self, live: RedisStore, rules: Rules) -> None:
        self._live = live
        self._client = live._client
        self._center = live._center
        self._name = secrets.token_hex(4)
        self.store = RedisStore(live._client, live._center, rules, self._name)

    async def begin(self) -> None:
        await self._client.set(self._key(_MAKING), self._name)
        await self.sweep()

    async def hold(self, ms: int) -> None:
        """For so long no commits to the generation in force: they wait."""
        await self._client.set(self._key(_IN_FORCE) + b":held", 1, px=ms)

    async def switch(self, anyway: bool = False) -> bool:
        """Put it in force, if both counted exactly the same records, or `anyway`."""
        name = self._key(_MAKING)
        done = await self._live._call("switch", self.store._prefix, int(anyway), keys=[name])
        return bool(done)

    async def drop(self) -> None:
        """Give it up."""
        if await self._client.get(self._key(_MAKING)) == self._name.encode():
            await self._client.delete(self._key(_MAKING))
        await self.sweep()

    async def sweep(self) -> None:
        """Delete all that belongs neither to the generation in force nor to one in the making."""
        chunk: list[bytes] = []
        async for key in self._client.scan_iter(match=named(self._center, "*"), count=_SWEPT):
            chunk.append(key)
            if len(chunk) == _SWEPT:
                await self._sweep(chunk)
                chunk = []
        await self._sweep(chunk)

    async def _sweep(self, keys: Sequence[bytes]) -> None:
        # The names are read after the keys were found: a generation's name is written before its keys.
        names = [await self._client.get(self._key(name)) for name in (_IN_FORCE, _MAKING)]
        kept = {names[0] or FIRST.encode(), names[1]}
        owner = re.compile(re.escape(self._key("")) + rb"([0-9a-f]+):")
        found = [(key, owner.match(key)) for key in keys]
        if void := [key for key, match in found if match and match[1] not in kept]:
            await self._client.unlink(*void)

    def _key(self, name: str) -> bytes:
        return named(self._center, name)


class Customers:
    """What outlives every generation: the key made for this center's customers, and who was forgotten.
    Of `center`, whichever center the store is of."""

    def __init__(self, store: RedisStore, center: str) -> None:
        self._client = store._client
        self._key, self._forgotten = named(center, "customer-key"), named(center, "forgotten")

    async def key(self, made: bytes | None) -> bytes | None:
        """The center's own; where there is none it is `made`, if given."""
        if made is not None:
            await self._client.set(self._key, made, nx=True)
        found: bytes | None = await self._client.get(self._key)
        return found

    async def forgotten(self) -> dict[str, int]:
        """Pseudonyms and when they were forgotten, ms."""
        found = await self._client.hgetall(self._forgotten)
        return {name.decode(): int(ms) for name, ms in found.items()}

    async def number(self) -> int:
        """Of those forgotten. None is ever taken back, or changed."""
        return int(await self._client.hlen(self._forgotten))

    async def forget(self, pseudonyms: Iterable[str], at_ms: int) -> None:
        for name in pseudonyms:
            await self._client.hsetnx(self._forgotten, name, at_ms)


class Ledger:
    """A document of the center's that outlives every generation: read and changed by several processes, and
    whose turn it is to do what only one may. Raises redis-py's errors as they are."""

    def __init__(self, store: RedisStore, name: str) -> None:
        self._client = store._client
        self._key = named(store._center, name)
        self._holder = named(store._center, f"{name}:holder")
        self._keep, self._hold, self._release = Script("keep"), Script("hold"), Script("release")

    async def read(self) -> Document | None:
        found = await self._client.get(self._key)
        return None if found is None else Document(found[:TOKEN_BYTES], found[TOKEN_BYTES:])

    async def replace(self, before: Document | None, value: bytes) -> Document | None:
        """What is there now; None: somebody changed it since `before` was read, and nothing is written."""
        after = Document(secrets.token_bytes(TOKEN_BYTES), value)
        token = before.token if before else b""
        written = await self._keep(self._client, [self._key], token, after.token, value)
        return after if written else None

    async def hold(self, who: str, ms: int) -> bool:
        """Whether it is the turn of `who`: nobody else's is for so long."""
        return bool(await self._hold(self._client, [self._holder], who, ms))

    async def release(self, who: str) -> None:
        await self._release(self._client, [self._holder], who)


def _compared(reads: Mapping[bytes, bytes | None]) -> bytes:
    return b"".join(key + (token or _ABSENT) for key, token in reads.items())


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


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


def _written(writes: Mapping[bytes, bytes | None]) -> Iterator[bytes]:
    """In one piece: packing thousands of arguments costs more than writing them."""
    for key, value in writes.items():
        yield key
        yield len(value or b"").to_bytes(4, "big")
        yield value or b""


def _list(items: Iterable[Any]) -> list[Any]:
    """Behind its length, for a script to walk."""
    found = list(items)
    return [len(found), *found]


def _packed(position: Position) -> bytes:
    """With what the script compares in front: Redis's msgpack does not know byte strings."""
    return f"{position.epoch}:{position.next}:{position.token.hex()}:".encode() + _pack(position)


def _position(packed: bytes) -> Position:
    return _unpack_position(packed.split(b":", 3)[3])


def _partition(name: bytes) -> Partition:
    topic, _, number = name.decode().rpartition(":")
    return Partition(topic, int(number))
