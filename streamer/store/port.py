"""The port of the store: hold journeys, panes and offsets, and change them in one step.

Keys and values are bytes. Two implementations, one test suite: `memory.MemoryStore` and `redis.RedisStore`.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from streamer.panes.pane_keys import PaneHour

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


class StoreVersion(NamedTuple):
    """A moment in the store's history: how many writes there were, and the nonce of the last one. After a
    failover the number comes back with other content; the nonce does not."""

    sequence: int
    nonce: bytes


EMPTY_STORE = StoreVersion(0, b"")


class Snapshot(NamedTuple):
    """Documents in the order asked for (None: absent), all of the moment `version`."""

    version: StoreVersion
    values: Sequence[bytes | None]


class Commit(msgspec.Struct, frozen=True):
    """One atomic step. It is applied only if the partition's position still is (`epoch`, `start`), and if
    nobody wrote one of the documents `reads` since `version`, the oldest one that any was read under."""

    partition: Partition
    epoch: str
    start: int
    position: Position
    version: StoreVersion
    reads: Collection[bytes]
    writes: Mapping[bytes, bytes | None]
    """Documents by key; None deletes."""
    deltas: Mapping[PaneHour, bytes]
    """Deltas of panes (panes/pane_delta.py) and counters (metrics/counters.py)."""


class Applied(NamedTuple):
    """All is written (now, or by an earlier sending of the same commit)."""


class OffsetConflict(NamedTuple):
    """Nothing is written: another worker moved the partition."""

    position: Position | None


class VersionConflict(NamedTuple):
    """Nothing is written: these documents were written since they were read. All others that were read still
    are as they were at `version`."""

    keys: frozenset[bytes]
    version: StoreVersion


Outcome = Applied | OffsetConflict | VersionConflict


class ChangeCursor(NamedTuple):
    """Progress of a reader: a version of the store. While a reading is under way in several steps `reading`
    is what the store knows of it; whoever reads just hands it on."""

    sequence: int
    nonce: bytes
    reading: object = None


class Heartbeat(msgspec.Struct, frozen=True, array_like=True):
    """A worker's report on a partition it owns, in ms since the epoch and records: when it last saw
    it caught up, how many records it was behind then, and the timestamp of the last record counted."""

    caught_up_at: int
    lag: int
    record_at: int


class PaneChange(NamedTuple):
    """The deltas that came to the panes of one hour. `whole`: these are all of them, and what the reader had
    of that hour is void."""

    place: PaneHour
    whole: bool
    deltas: Sequence[bytes]


class Changes(NamedTuple):
    """Changes after a cursor, to be taken in this order. `reset`: the cursor was not found (failover,
    restore, too old): this is the beginning of all that there is, and what the reader had is void. `more`:
    ask again from `cursor`; only when it is False does all that was read belong to one moment. Heartbeats,
    rules and positions (if asked for) are those of this moment."""

    cursor: ChangeCursor
    reset: bool
    more: bool
    panes: Sequence[PaneChange]
    heartbeats: Mapping[Partition, Heartbeat]
    rules: bytes | None
    positions: Mapping[Partition, Position]


class Store(Protocol):
    """Errors of the infrastructure are raised as they are; after a time-out the same call may be
    sent again, a commit as well."""

    async def read(self, keys: Sequence[bytes]) -> Snapshot:
        """Return the documents of these keys, as of one moment."""

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        """Write all or nothing. `now_ms` is the wall clock: panes past their time to live are left out."""

    async def replace(
        self,
        version: StoreVersion,
        reads: Collection[bytes],
        writes: Mapping[bytes, bytes | None],
        now_ms: int,
    ) -> bool:
        """Write documents without counting anything, all or none: if nobody wrote one of `reads` since
        `version`."""

    def scan(self, letters: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        """Yield all documents whose keys begin with one of these letters; one may come twice."""

    async def forget(self, now_ms: int, at_most: int) -> int:
        """Delete documents that outlived `layout.document_ttl_ms`, and panes that lapsed; look at about
        `at_most` documents, going on where the last call ended. Return how many of them were deleted."""

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]: ...

    async def move(self, partition: Partition, before: Position | None, after: Position) -> bool:
        """Set a partition's position without counting anything, if it still is `before`: for a log
        that starts over."""

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None: ...

    async def heartbeats(self) -> dict[Partition, Heartbeat]: ...

    async def counters(self) -> dict[str, int]:
        """Return all plain counters."""

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> Changes:
        """Return what changed since, in one consistent step; None: everything."""

    async def compact(self, place: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        """Make one delta of some of an hour's many; return how many are left. Nothing is lost or counted
        twice, whoever else does it."""

    async def rules(self) -> bytes | None:
        """Return the rules the numbers were made with."""

    async def set_rules(self, rules: bytes) -> bytes:
        """Store the rules if there are none yet; return those in force."""

    async def close(self) -> None: ...
