"""Here is what a store must do: hold journeys, panes and offsets, and change them in one step.

Keys and values are bytes. A value is what was written, behind the token of the commit that wrote
it. Two implementations, one test suite: `memory.MemoryStore` and `redis.RedisStore`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from streamer.panes.grid import Family

TOKEN_BYTES = 8


class Partition(NamedTuple):
    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.number}"


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """A record of the log, to recognize the log by: offset, timestamp (ms), CRC-32 of key and value."""

    offset: int
    timestamp: int
    crc: int


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition is counted. `epoch` names the log (ours, new whenever offsets start over);
    `next` is the first offset not counted; `token` is that of the commit that brought it here;
    `checkpoints` are some records that were counted, the last one last."""

    epoch: str
    next: int
    token: bytes
    checkpoints: tuple[Checkpoint, ...] = ()


class Document(NamedTuple):
    """A stored value with the token of the commit that wrote it."""

    token: bytes
    value: bytes


class Commit(msgspec.Struct, frozen=True):
    """One atomic step. It is applied only if the partition's position still is (`epoch`, `start`)
    and each key of `reads` still has its token (None: still absent)."""

    partition: Partition
    epoch: str
    start: int
    position: Position
    reads: Mapping[bytes, bytes | None]
    writes: Mapping[bytes, bytes | None]
    """Values by key; None deletes."""
    fine: Mapping[int, bytes]
    """Postings (panes/posting.py) by 10 s pane."""
    long: Mapping[int, bytes]
    """Postings by hour."""
    counts: Mapping[str, int]
    """Plain counters, to be added."""


class Applied(NamedTuple):
    """All is written (now, or by an earlier sending of the same commit)."""


class Moved(NamedTuple):
    """Nothing is written: another owner moved the partition."""

    position: Position | None


class Changed(NamedTuple):
    """Nothing is written: other commits changed these keys since they were read."""

    keys: tuple[bytes, ...]


Outcome = Applied | Moved | Changed


class Mark(NamedTuple):
    """A moment in the store's history: sequence number and nonce of the last commit seen. While a
    reading is under way in several steps, `cursor` says how far it is; whoever reads just hands it on."""

    sequence: int
    nonce: bytes
    cursor: int = 0


class Pane(msgspec.Struct, frozen=True):
    """The postings that came to a pane. `index` counts 10 s since the epoch for "fine", hours for
    "long". `whole`: these are all of them, and what the reader had of the pane is void."""

    family: Family
    index: int
    whole: bool
    postings: Sequence[bytes]


class Changes(NamedTuple):
    """What changed after a mark. `reset`: the mark was not found (failover, restore, too old): these
    are changes since the beginning, and what the reader had is void. `more`: ask again from `mark`;
    only when it is False does all that was read belong to one moment."""

    mark: Mark
    reset: bool
    more: bool
    panes: Sequence[Pane]


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """What a worker says of a partition it owns, in ms since the epoch and records: when it last saw
    it caught up, how many records it was behind then, and the timestamp of the last record counted."""

    caught_up_at: int
    lag: int
    record_at: int


class Store(Protocol):
    """Errors of the infrastructure are raised as they are; after a time-out the same call may be
    sent again, a commit as well."""

    async def read(self, keys: Sequence[bytes]) -> list[Document | None]:
        """The documents of these keys, in their order. What is read together need not fit together."""

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        """All or nothing. `now_ms` is the wall clock: panes past their time to live are left out."""

    async def replace(
        self, token: bytes, reads: Mapping[bytes, bytes | None], writes: Mapping[bytes, bytes | None]
    ) -> bool:
        """Write documents without counting anything, all or none: if each key of `reads` still has its
        token. `token` is the new one."""

    def keys(self, letters: str) -> AsyncIterator[Sequence[bytes]]:
        """The keys of all documents that begin with one of these letters; one may come twice."""

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]: ...

    async def move(self, partition: Partition, before: Position | None, after: Position) -> bool:
        """Set a partition's position without counting anything, if it still is `before`: for a log
        that starts over."""

    async def beat(self, beats: Mapping[Partition, Beat]) -> None: ...

    async def beats(self) -> dict[Partition, Beat]: ...

    async def counts(self) -> dict[str, int]:
        """All plain counters."""

    async def changes(self, since: Mark | None) -> Changes:
        """What changed since, in one consistent step; None: everything."""

    async def postings(self, family: Family, index: int) -> Sequence[bytes]:
        """All of a pane, in the order of their last commits."""

    async def compact(self, family: Family, index: int, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        """Make one posting of some of a pane's many; returns how many are left. Nothing is lost or
        counted twice, whoever else does it."""

    async def rules(self) -> bytes | None:
        """The rules the numbers were made with."""

    async def set_rules(self, rules: bytes) -> bytes:
        """Store the rules if there are none yet; returns those in force."""

    async def close(self) -> None: ...
