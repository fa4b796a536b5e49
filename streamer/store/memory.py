"""State store in memory, with a generation staged beside its numbers: the plainest implementation of the
interfaces, for tests."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from math import inf
from typing import Final

from streamer.events.counting_rules import CountingRules, require_same_rules
from streamer.metrics.counters import add_counters, merge_counters
from streamer.panes.pane_keys import COUNTERS, PaneHour, is_hour_kept
from streamer.runtime.clock import Clock
from streamer.store.layout import document_ttl_ms
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

_PAUSED_S: Final = 0.02


class GenerationData:
    """Numbers and documents of one generation."""

    def __init__(self) -> None:
        self.documents: dict[bytes, bytes] = {}
        self.panes: dict[PaneHour, dict[int, tuple[int, bytes]]] = {}
        """Deltas of each hour, by the sequence of the last commit in them: sequence of the first one,
        delta."""
        self.positions: dict[Partition, LogPosition] = {}
        self.heartbeats: dict[Partition, Heartbeat] = {}
        self.nonces: list[bytes] = [b""]
        self.writes: list[frozenset[bytes]] = [frozenset()]
        """Keys of the documents written, by sequence."""
        self.written_ms: dict[bytes, int] = {}
        self.rules: bytes | None = None

    def counted_offsets(self) -> dict[Partition, int]:
        """Return the next offset of each partition that was counted at all."""
        return {partition: position.next for partition, position in self.positions.items() if position.next}

    def deltas_of(self, pane_hour: PaneHour) -> list[bytes]:
        """Return the deltas of an hour in the order of their commits."""
        return [delta for _, delta in self.panes.get(pane_hour, {}).values()]


class MemoryStore:
    """State store in memory. Calls never fail, and wait only where commits are paused. Documents and panes
    expire only in `forget`; panes past their retention are not written. It has a clock only if given one."""

    def __init__(self, rules: CountingRules | None = None, clock: Clock | None = None) -> None:
        self._clock = clock
        self._retention_ms = (rules or CountingRules()).retention_ms
        self._ttl_ms = document_ttl_ms(rules or CountingRules())
        self._agreed_rules: bytes | None = None
        self._agreed_customer_key: bytes | None = None
        self.customer_key: bytes | None = None
        """The center's own customer key, which outlives generations."""
        self.current = self._adopted = GenerationData()
        self.staged: GenerationData | None = None
        self.paused_until_s = -inf
        """Time of the event loop up to which commits are paused."""

    @property
    def data(self) -> GenerationData:
        """Data of the current generation. Raises CountingRulesMismatch if one was promoted with other
        counting rules than those agreed on."""
        if self._adopted is not self.current and self._agreed_rules is not None:
            self.current.rules = self.current.rules or self._agreed_rules
            require_same_rules(self.current.rules, self._agreed_rules)
        self._adopted = self.current
        return self.current

    @property
    def documents(self) -> dict[bytes, bytes]:
        return self.data.documents

    @property
    def panes(self) -> dict[PaneHour, dict[int, tuple[int, bytes]]]:
        return self.data.panes

    @property
    def _version(self) -> StoreVersion:
        return StoreVersion(len(self.data.nonces) - 1, self.data.nonces[-1])

    async def read(self, keys: Sequence[bytes]) -> DocumentSnapshot:
        return DocumentSnapshot(self._version, [self.data.documents.get(key) for key in keys])

    async def commit(self, commit: Commit, now_ms: int) -> CommitOutcome:
        while (outcome := self._compare_position(commit)) is None and self._is_paused():  # noqa: ASYNC110 - ends by itself
            await asyncio.sleep(_PAUSED_S)
        if outcome is not None:
            return outcome
        if changed_keys := self._changed_since(commit.version, commit.reads, commit.later_versions):
            return VersionConflict(changed_keys, self._version)
        self._write(commit, now_ms)
        return CommitApplied()

    def _fence_terms(self) -> None:
        """Write back the rules and the customer key agreed on where they are missing. Raises
        CountingRulesMismatch or CustomerKeyMismatch where there are others."""
        data = self.data
        if self._agreed_rules is not None:
            data.rules = data.rules or self._agreed_rules
            require_same_rules(data.rules, self._agreed_rules)
        self.customer_key = self.customer_key or self._agreed_customer_key
        if self._agreed_customer_key not in (None, self.customer_key):
            raise CustomerKeyMismatch

    def _compare_position(self, commit: Commit) -> CommitOutcome | None:
        """Return the outcome if the position alone decides it."""
        self._fence_terms()
        stored = self.data.positions.get(commit.partition)
        if stored is not None and stored.token == commit.position.token:
            return CommitApplied()
        if stored is None or (stored.epoch, stored.next) != (commit.epoch, commit.start):
            return OffsetConflict(stored)
        return None

    def _is_paused(self) -> bool:
        return self.paused_until_s > -inf and asyncio.get_running_loop().time() < self.paused_until_s

    def _changed_since(
        self, since: StoreVersion, reads: Collection[bytes], later_versions: Collection[StoreVersion]
    ) -> frozenset[bytes]:
        """Return which of these documents were written after a version; all of them if any is unknown."""
        if not all(map(self._is_known, (since, *later_versions))):
            return frozenset(reads)
        return frozenset(reads) & frozenset().union(*self.data.writes[since.sequence + 1 :])

    def _is_known(self, version: StoreVersion | ChangeCursor) -> bool:
        in_range = 0 <= version.sequence < len(self.data.nonces)
        return in_range and self.data.nonces[version.sequence] == version.nonce

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
        self._put(writes, now_ms)
        return True

    async def scan(self, letters: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        yield {key: value for key, value in self.data.documents.items() if key[:1].decode() in letters}

    async def forget(self, now_ms: int, at_most: int) -> int:
        before_ms = now_ms - self._ttl_ms
        expired = [key for key in self.data.documents if self.data.written_ms[key] < before_ms][:at_most]
        if expired:
            self._put(dict.fromkeys(expired), now_ms)
        for pane_hour in [
            pane_hour
            for pane_hour in self.data.panes
            if not is_hour_kept(pane_hour, now_ms, self._retention_ms)
        ]:
            del self.data.panes[pane_hour]
        return len(expired)

    def _put(self, writes: Mapping[bytes, bytes | None], now_ms: int) -> None:
        self.data.nonces.append(secrets.token_bytes(TOKEN_BYTES))
        self.data.writes.append(frozenset(writes))
        for key, value in writes.items():
            if value is None:
                self.data.documents.pop(key, None)
            else:
                self.data.documents[key] = value
                self.data.written_ms[key] = now_ms

    def _write(self, commit: Commit, now_ms: int) -> None:
        self.data.positions[commit.partition] = commit.position
        self._put(commit.writes, now_ms)
        sequence = self._version.sequence
        for pane_hour, delta in commit.deltas.items():
            if is_hour_kept(pane_hour, now_ms, self._retention_ms):
                self.data.panes.setdefault(pane_hour, {})[sequence] = (sequence, delta)

    async def positions(self, partitions: Sequence[Partition]) -> list[LogPosition | None]:
        return [self.data.positions.get(partition) for partition in partitions]

    async def move(self, partition: Partition, before: LogPosition | None, after: LogPosition) -> bool:
        self._fence_terms()
        if self.data.positions.get(partition) != before:
            return False
        self.data.positions[partition] = after
        self._put({}, 0)
        return True

    async def time_ms(self) -> int | None:
        return self._clock() if self._clock is not None else None

    async def beat(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        self.data.heartbeats.update(heartbeats)

    async def heartbeats(self) -> dict[Partition, Heartbeat]:
        return self.data.heartbeats.copy()

    async def retire(self, heartbeats: Mapping[Partition, Heartbeat]) -> None:
        for partition, heartbeat in heartbeats.items():
            if self.data.heartbeats.get(partition) == heartbeat:
                del self.data.heartbeats[partition]

    async def counters(self) -> dict[str, int]:
        return add_counters(self.data.deltas_of(COUNTERS)).counts

    async def deltas(self, pane_hour: PaneHour) -> list[bytes]:
        return self.data.deltas_of(pane_hour)

    async def changes(self, since: ChangeCursor | None, *, positions: bool = False) -> StoreChanges:
        is_known = since is not None and self._is_known(since)
        after_sequence = since.sequence if is_known and since is not None else -1
        panes = [
            _pane_change(pane_hour, deltas, after_sequence) for pane_hour, deltas in self.data.panes.items()
        ]
        return StoreChanges(
            ChangeCursor(*self._version),
            not is_known,
            False,
            [pane for pane in panes if pane.deltas],
            self.data.heartbeats.copy(),
            self.data.rules,
            self.data.positions.copy() if positions else {},
        )

    async def compact(self, pane_hour: PaneHour, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        deltas = self.data.panes.get(pane_hour)
        if not deltas:
            return 0
        first_sequence = min(first_sequence for first_sequence, _ in deltas.values())
        self.data.panes[pane_hour] = {
            max(deltas): (first_sequence, merge([delta for _, delta in deltas.values()]))
        }
        return 1

    async def rules(self) -> bytes | None:
        return self.data.rules

    async def set_rules(self, rules: bytes) -> bytes:
        self.data.rules = self._agreed_rules = self.data.rules or rules
        return self._agreed_rules

    async def set_customer_key(self, key: bytes) -> None:
        self.customer_key = self.customer_key or key
        if self.customer_key != key:
            raise CustomerKeyMismatch
        self._agreed_customer_key = key

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class StagedStore(MemoryStore):
    """Store of a staged generation beside the numbers of `live`."""

    def __init__(self, live: MemoryStore, rules: CountingRules) -> None:
        super().__init__(rules)
        self._live = live

    @property
    def data(self) -> GenerationData:
        """Data of the generation. Raises GenerationSuperseded unless it is staged."""
        if self._live.staged is not self.current:
            raise GenerationSuperseded
        return self.current


class MemoryGeneration:
    """Staged generation in memory."""

    def __init__(self, live: MemoryStore, rules: CountingRules) -> None:
        self._live = live
        self.store = StagedStore(live, rules)

    async def open(self) -> None:
        self._live.staged = self.store.current = GenerationData()

    async def pause_commits(self, ms: int) -> None:
        self._live.paused_until_s = asyncio.get_running_loop().time() + ms / 1000

    async def promote(self, gone: Collection[Partition] = ()) -> bool:
        data, live_data = self.store.data, self._live.data
        live_offsets = live_data.counted_offsets()
        if data.counted_offsets() != {p: offset for p, offset in live_offsets.items() if p not in gone}:
            return False
        data.panes.pop(COUNTERS, None)
        if deltas := live_data.deltas_of(COUNTERS):
            data.panes[COUNTERS] = {len(data.nonces) - 1: (0, merge_counters(deltas))}
        data.heartbeats = live_data.heartbeats.copy()
        self._live.current, self._live.staged, self._live.paused_until_s = data, None, -inf
        return True

    async def discard(self) -> None:
        if self._live.staged is self.store.current:
            self._live.staged = None


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
