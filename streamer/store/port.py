"""Interfaces of what is stored: the state store, which holds journeys, panes and offsets and changes them in
one step; a generation staged beside its numbers; and what outlives them, leased documents and the registry of
customers.

Keys and values are bytes. Each has two implementations, in memory and in Redis, and one test suite for both.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from streamer.panes.pane_keys import PaneHour

TOKEN_BYTES = 8
MAX_FUTURE_MS: Final = 5_000
"""Heartbeats further ahead of now come from a wrong clock."""


class Partition(NamedTuple):
    """A partition of a topic.

    >>> str(Partition("call-completed", 3))
    'call-completed:3'
    """

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.number}"


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """Fingerprint of one record, to recognize the log by: offset, timestamp (ms), CRC-32 of key and value."""

    offset: int
    timestamp: int
    crc: int


class LogPosition(msgspec.Struct, frozen=True, array_like=True):
    """Position up to which a partition is counted. `epoch` names the log (made here, new whenever offsets
    start over); `next` is the first offset not counted; `token` is the token of the last commit;
    `checkpoints` are some counted records by offset, the last one at the end."""

    epoch: str
    next: int
    token: bytes
    checkpoints: tuple[Checkpoint, ...] = ()


class StoreVersion(NamedTuple):
    """Version of the store: the number of writes, and the nonce of the last one. After a failover the number
    may come back with other content; the nonce does not."""

    sequence: int
    nonce: bytes


EMPTY_STORE = StoreVersion(0, b"")


class DocumentSnapshot(NamedTuple):
    """Values of documents in the order of the keys (None: absent), all as of `version`."""

    version: StoreVersion
    values: Sequence[bytes | None]


class Commit(msgspec.Struct, frozen=True):
    """One atomic step. It is applied only if the partition's position still is (`epoch`, `start`), none of
    the documents `reads` was written since `version`, the oldest version that any of them was read at, and
    the store still knows that version and all `later_versions` that others were read at. (A failover between
    two reads may take back what one of them saw.)"""

    partition: Partition
    epoch: str
    start: int
    position: LogPosition
    version: StoreVersion
    reads: Collection[bytes]
    writes: Mapping[bytes, bytes | None]
    """Documents by key; None deletes."""
    deltas: Mapping[PaneHour, bytes]
    """Deltas of panes (panes/pane_delta.py) and counters (metrics/counters.py)."""
    later_versions: Collection[StoreVersion] = ()


class CommitApplied(NamedTuple):
    """Everything is written, now or by an earlier attempt of the same commit."""


class OffsetConflict(NamedTuple):
    """Nothing is written: another worker moved the position, to `position`."""

    position: LogPosition | None


class VersionConflict(NamedTuple):
    """Nothing is written: the documents `keys` changed since they were read. All others that were read are
    unchanged as of `version`."""

    keys: frozenset[bytes]
    version: StoreVersion


CommitOutcome = CommitApplied | OffsetConflict | VersionConflict


class ChangeCursor(NamedTuple):
    """Progress of a reader: a version of the store. While a read takes several steps, `reading` is the
    store's own state of it; readers pass it on unchanged."""

    sequence: int
    nonce: bytes
    reading: object = None


class Heartbeat(msgspec.Struct, frozen=True, array_like=True):
    """Report of a worker on a partition it owns: when it was last seen caught up (ms since the epoch, by the
    clock of the store), how many records it is behind, the timestamp of the last record counted (ms), and how
    far the worker's own clock was ahead of the store's (ms).

    >>> Heartbeat(1_000, 0, 900).known_at(1_500).caught_up_at
    1000
    >>> Heartbeat(61_000, 0, 900).known_at(1_500).caught_up_at
    0
    """

    caught_up_at: int
    lag: int
    record_at: int
    clock_ahead_ms: int = 0

    def known_at(self, now_ms: int) -> "Heartbeat":
        """Return what a reader may believe: one from the future was never caught up."""
        is_future = self.caught_up_at > now_ms + MAX_FUTURE_MS
        return msgspec.structs.replace(self, caught_up_at=0) if is_future else self


class PaneChange(NamedTuple):
    """New deltas of the panes of one hour. `is_whole`: these are all deltas of that hour, and replace what
    the reader had of it."""

    pane_hour: PaneHour
    is_whole: bool
    deltas: Sequence[bytes]


class StoreChanges(NamedTuple):
    """Changes after a cursor, to be applied in order. `reset`: the cursor was not found (failover, restore,
    too old); this is the beginning of everything, and the reader drops what it had. `more`: ask again from
    `cursor`; only when it is False does all that was read belong to one moment. Heartbeats, rules and
    positions (if asked for) are those of this moment."""

    cursor: ChangeCursor
    reset: bool
    more: bool
    panes: Sequence[PaneChange]
    heartbeats: Mapping[Partition, Heartbeat]
    rules: bytes | None
    positions: Mapping[Partition, LogPosition]


class CustomerKeyMismatch(Exception):  # noqa: N818 - names the state
    """The store holds another customer key than the one agreed on."""

    def __str__(self) -> str:
        return (
            "the store was emptied or restored, and has another customer key than this process counts with: "
            "one customer would become two; start it again"
        )


class StateStore(Protocol):
    """Interface of every state store. Errors of the infrastructure are raised as they are; after a time-out
    any call may be repeated, a commit too.

    Counting rules and customer key agreed on in `set_rules` and `set_customer_key` are fenced with the
    positions. In a store that was emptied `commit` and `move` write them back in the same step; where another
    process wrote others meanwhile, they write nothing and raise CountingRulesMismatch or CustomerKeyMismatch.
    """

    async def read(self, keys: Sequence[bytes]) -> DocumentSnapshot:
        """Return the documents of these keys, all as of one version."""

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        """Write all or nothing. `now_ms` is the wall clock: panes past their time to live are left out."""

    async def replace(
        self,
        version: StoreVersion,
        reads: Collection[bytes],
        writes: Mapping[bytes, bytes | None],
        now_ms: int,
        later_versions: Collection[StoreVersion] = (),
    ) -> bool:
        """Write documents without counting anything, all or none, under the conditions of a `Commit` with
        these versions and reads. Return whether they were written."""

    def scan(self, letters: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        """Yield all documents whose keys begin with one of these letters, in chunks; a document may come
        twice."""

    async def forget(self, now_ms: int, at_most: int) -> int:
        """Delete documents older than `layout.document_ttl_ms`, and panes past their retention. Looks at
        about `at_most` documents, continuing where the last call ended. Return the number of documents
        deleted."""

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]:
        """Return the position of each of these partitions; None where nothing was ever counted."""

    async def move(self, partition: Partition, before: LogPosition | None, after: LogPosition) -> bool:
        """Set a partition's position without counting anything, if it still is `before`: for a log that
        starts over. Return whether it was set."""

    async def time_ms(self) -> int | None:
        """Return the time of the store's clock, by which heartbeats are written and read; None if it has no
        clock of its own."""

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None: ...

    async def heartbeats(self) -> dict[Partition, Heartbeat]: ...

    async def retire(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        """Delete those of these heartbeats that are unchanged: of partitions that no longer exist. Positions
        stay, and a worker that owns one of them after all writes its heartbeat again."""

    async def counters(self) -> dict[str, int]:
        """Return all plain counters."""

    async def deltas(self, pane_hour: PaneHour) -> list[bytes]:
        """Return the deltas of one hour, or of one index, in the order of their commits."""

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        """Return all changes after a cursor, in one consistent step; None: everything."""

    async def compact(self, pane_hour: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        """Merge some of an hour's deltas into one; return how many are left. Safe while others do the same:
        nothing is lost or counted twice."""

    async def rules(self) -> bytes | None:
        """Return the counting rules that the numbers were made with; None if there are none yet."""

    async def set_rules(self, rules: bytes) -> bytes:
        """Store the counting rules if there are none yet; return those in force, which are agreed on now."""

    async def set_customer_key(self, key: bytes) -> None:
        """Agree on the center's own customer key, which is stored if there is none yet. Raises
        CustomerKeyMismatch if there is another."""

    async def close(self) -> None: ...


class GenerationSuperseded(Exception):  # noqa: N818 - names the state
    """The generation is no longer staged: another rebuild was started."""

    def __str__(self) -> str:
        return "another rebuild was started and replaced this one"


class StagedGeneration(Protocol):
    """Generation of numbers beside the current one; `store` reads and writes it. A center has at most one:
    once another is opened, `promote` and every call of `store` raise GenerationSuperseded. So they do before
    `open`, and `store` after `promote` or `discard` too.

    Stores of the current generation switch to a promoted one by themselves; their commits that were under way
    are refused as OffsetConflict. They raise CountingRulesMismatch if its counting rules are not those agreed
    on in `set_rules`. Documents and a registry outlive generations and are not touched. Not promised: that
    what was discarded or replaced can be read again.
    """

    @property
    def store(self) -> StateStore: ...

    async def open(self) -> None:
        """Become the staged generation of the center, empty; an earlier one is deleted."""

    async def pause_commits(self, ms: int) -> None:
        """Let commits to the current generation wait for `ms`, or until a generation is promoted. Other
        writes go on, and so do those to the staged generation."""

    async def promote(self, gone: Collection[Partition] = ()) -> bool:
        """Make it the current generation, if both counted exactly the same records: the same partitions up to
        the same offsets, whatever the epochs; `gone` partitions, which no longer exist and cannot be counted
        again, aside. Counters and heartbeats are taken from the current one. Return
        whether it was promoted; if not, nothing changed."""

    async def discard(self) -> None:
        """Delete it, unless it was promoted; then delete what it replaced. Another's is left alone."""


class TokenDocument(NamedTuple):
    """Document with the token of its last write."""

    token: bytes
    value: bytes


class LeasedDocument(Protocol):
    """Document that several processes read and change, with a lease for work that only one of them should do.

    The lease does not guard the document: who lost it may still write, and only `replace` tells who was
    first. A lease ends by the clock of the store, so its holder counts from before it asked. Errors of the
    infrastructure are raised as they are. After a time-out of `replace` read again: it may have been written,
    and repeating it would be refused.
    """

    async def read(self) -> TokenDocument | None:
        """Return the document; None if it was never written."""

    async def replace(self, before: TokenDocument | None, value: bytes) -> TokenDocument | None:
        """Write the document if it is unchanged since `before` was read; None: if it was never written.
        Return it as written; None if another process changed it, and nothing was written. Every write counts
        as a change, one of the same value too."""

    async def acquire_lease(self, holder: str, lease_ms: int) -> bool:
        """Acquire or renew the lease: it ends `lease_ms` from now. Return False if another holder has it."""

    async def release_lease(self, holder: str) -> None:
        """Give the lease back, if this holder has it."""


class CustomerRegistry(Protocol):
    """Pseudonym key made for a center, and the pseudonyms of its forgotten customers. Nothing in it is ever
    changed or removed. Errors of the infrastructure are raised as they are; any call may be repeated."""

    async def ensure_key(self, new_key: bytes | None) -> bytes | None:
        """Return the center's own key. If there is none, `new_key` is stored and returned, unless None."""

    async def forgotten(self) -> dict[str, int]:
        """Return the forgotten pseudonyms, each with the time (ms)."""

    async def forgotten_count(self) -> int:
        """Return how many pseudonyms are forgotten."""

    async def forget(self, pseudonyms: Iterable[str], at_ms: int) -> None:
        """Record pseudonyms as forgotten; the time of one that is recorded already stays. Not atomic: after
        an error some may be recorded."""
