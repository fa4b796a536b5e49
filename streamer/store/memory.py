"""State store in memory: the plainest implementation of the interface, for tests."""

import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

from streamer.events.counting_rules import CountingRules
from streamer.metrics.counters import sum_counters
from streamer.panes.pane_keys import COUNTERS, PaneHour, is_hour_kept
from streamer.store.layout import document_ttl_ms
from streamer.store.port import (
    TOKEN_BYTES,
    ChangeCursor,
    Commit,
    CommitApplied,
    CommitOutcome,
    DocumentSnapshot,
    Heartbeat,
    LogPosition,
    OffsetConflict,
    PaneChange,
    Partition,
    StoreChanges,
    StoreVersion,
    VersionConflict,
)


class MemoryStore:
    """State store in memory. Calls never wait or fail. Documents and panes expire only in `forget`; panes
    past their retention are not written."""

    def __init__(self, rules: CountingRules | None = None) -> None:
        self._retention_ms = (rules or CountingRules()).retention_ms
        self._ttl_ms = document_ttl_ms(rules or CountingRules())
        self.documents: dict[bytes, bytes] = {}
        self.panes: dict[PaneHour, dict[int, tuple[int, bytes]]] = {}
        """Deltas of each hour, by the sequence of the last commit in them: sequence of the first one,
        delta."""
        self._positions: dict[Partition, LogPosition] = {}
        self._heartbeats: dict[Partition, Heartbeat] = {}
        self._nonces: list[bytes] = [b""]
        self._writes: list[frozenset[bytes]] = [frozenset()]
        """Keys of the documents written, by sequence."""
        self._written_ms: dict[bytes, int] = {}
        self._rules: bytes | None = None

    @property
    def _version(self) -> StoreVersion:
        return StoreVersion(len(self._nonces) - 1, self._nonces[-1])

    async def read(self, keys: Sequence[bytes]) -> DocumentSnapshot:
        return DocumentSnapshot(self._version, [self.documents.get(key) for key in keys])

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        stored = self._positions.get(commit.partition)
        if stored is not None and stored.token == commit.position.token:
            return CommitApplied()
        if stored is None or (stored.epoch, stored.next) != (commit.epoch, commit.start):
            return OffsetConflict(stored)
        if changed_keys := self._changed_since(commit.version, commit.reads, commit.later_versions):
            return VersionConflict(changed_keys, self._version)
        self._write(commit, now_ms)
        return CommitApplied()

    def _changed_since(
        self, since: StoreVersion, reads: Collection[bytes], later_versions: Collection[StoreVersion]
    ) -> frozenset[bytes]:
        """Return which of these documents were written after a version; all of them if any is unknown."""
        if not all(map(self._is_known, (since, *later_versions))):
            return frozenset(reads)
        return frozenset(reads) & frozenset().union(*self._writes[since.sequence + 1 :])

    def _is_known(self, version: StoreVersion | ChangeCursor) -> bool:
        in_range = 0 <= version.sequence < len(self._nonces)
        return in_range and self._nonces[version.sequence] == version.nonce

    async def replace(
        self,
        version: StoreVersion,
        reads: Collection[bytes],
        writes: Mapping[bytes, bytes | None],
        now_ms: int,
        later_versions: Collection[StoreVersion] = (),
    ) -> bool:
        if self._changed_since(version, reads, later_versions):
            return False
        self._put(secrets.token_bytes(TOKEN_BYTES), writes, now_ms)
        return True

    async def scan(self, letters: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        yield {key: value for key, value in self.documents.items() if key[:1].decode() in letters}

    async def forget(self, now_ms: int, at_most: int) -> int:
        before_ms = now_ms - self._ttl_ms
        expired = [key for key in self.documents if self._written_ms[key] < before_ms][:at_most]
        if expired:
            self._put(secrets.token_bytes(TOKEN_BYTES), dict.fromkeys(expired), now_ms)
        for pane_hour in [
            pane_hour for pane_hour in self.panes if not is_hour_kept(pane_hour, now_ms, self._retention_ms)
        ]:
            del self.panes[pane_hour]
        return len(expired)

    def _put(self, nonce: bytes, writes: Mapping[bytes, bytes | None], now_ms: int) -> None:
        self._nonces.append(nonce)
        self._writes.append(frozenset(writes))
        for key, value in writes.items():
            if value is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = value
                self._written_ms[key] = now_ms

    def _write(self, commit: Commit, now_ms: int) -> None:
        self._positions[commit.partition] = commit.position
        self._put(secrets.token_bytes(TOKEN_BYTES), commit.writes, now_ms)
        sequence = self._version.sequence
        for pane_hour, delta in commit.deltas.items():
            if is_hour_kept(pane_hour, now_ms, self._retention_ms):
                self.panes.setdefault(pane_hour, {})[sequence] = (sequence, delta)

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]:
        return [self._positions.get(partition) for partition in partitions]

    async def move(self, partition: Partition, before: LogPosition | None, after: LogPosition) -> bool:
        if self._positions.get(partition) != before:
            return False
        self._positions[partition] = after
        self._put(secrets.token_bytes(TOKEN_BYTES), {}, 0)
        return True

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        self._heartbeats.update(heartbeats)

    async def heartbeats(self) -> dict[Partition, Heartbeat]:
        return self._heartbeats.copy()

    async def counters(self) -> dict[str, int]:
        return sum_counters([delta for _, delta in self.panes.get(COUNTERS, {}).values()])

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        is_known = since is not None and self._is_known(since)
        after_sequence = since.sequence if is_known and since is not None else -1
        panes = [_pane_change(pane_hour, deltas, after_sequence) for pane_hour, deltas in self.panes.items()]
        return StoreChanges(
            ChangeCursor(*self._version),
            not is_known,
            False,
            [pane for pane in panes if pane.deltas],
            self._heartbeats.copy(),
            self._rules,
            self._positions.copy() if positions else {},
        )

    async def compact(self, pane_hour: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        deltas = self.panes.get(pane_hour)
        if not deltas:
            return 0
        first_sequence = min(first_sequence for first_sequence, _ in deltas.values())
        self.panes[pane_hour] = {
            max(deltas): (first_sequence, merge([delta for _, delta in deltas.values()]))
        }
        return 1

    async def rules(self) -> bytes | None:
        return self._rules

    async def set_rules(self, rules: bytes) -> bytes:
        self._rules = self._rules or rules
        return self._rules

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def _pane_change(
    pane_hour: PaneHour, deltas: Mapping[int, tuple[int, bytes]], after_sequence: int
) -> PaneChange:
    """Return the deltas after a sequence; the whole hour if a merged delta holds earlier commits too."""
    new_deltas = {
        last_sequence: delta for last_sequence, delta in deltas.items() if last_sequence > after_sequence
    }
    is_whole = any(first_sequence <= after_sequence for first_sequence, _ in new_deltas.values())
    return PaneChange(
        pane_hour, is_whole, [delta for _, delta in (deltas if is_whole else new_deltas).values()]
    )
