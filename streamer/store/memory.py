"""Here is the store in this process's memory: the port's meaning in the plainest form, for tests."""

from collections.abc import Mapping, Sequence

import msgspec

from streamer.panes.grid import Family, kept
from streamer.store.port import (
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

Counts = dict[int | str, int]
_tally = msgspec.msgpack.Decoder(dict[int | str, int]).decode
_pack = msgspec.msgpack.Encoder().encode


class MemoryStore:
    """A Store. Nothing waits, nothing fails, nothing expires but panes that come too late."""

    def __init__(self) -> None:
        self.documents: dict[bytes, Document] = {}
        self.panes: dict[tuple[Family, int], dict[bytes, Counts]] = {}
        self._changed_at: dict[tuple[Family, int, bytes], int] = {}
        self._positions: dict[Partition, Position] = {}
        self._beats: dict[Partition, Beat] = {}
        self._counts: dict[str, int] = {}
        self._nonces: list[bytes] = [b""]
        self._rules: bytes | None = None

    async def read(self, keys: Sequence[bytes]) -> list[Document | None]:
        return [self.documents.get(key) for key in keys]

    async def commit(self, commit: Commit, now_ms: int) -> Outcome:
        present = self._positions.get(commit.partition)
        if present is not None and present.token == commit.position.token:
            return Applied()
        if present is None or (present.epoch, present.next) != (commit.epoch, commit.start):
            return Moved(present)
        changed = tuple(key for key, token in commit.reads.items() if self._token(key) != token)
        if changed:
            return Changed(changed)
        self._write(commit, now_ms)
        return Applied()

    def _token(self, key: bytes) -> bytes | None:
        document = self.documents.get(key)
        return document.token if document else None

    def _write(self, commit: Commit, now_ms: int) -> None:
        token = commit.position.token
        self._nonces.append(token)
        self._positions[commit.partition] = commit.position
        for key, value in commit.writes.items():
            if value is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = Document(token, value)
        self._add("fine", commit.fine, now_ms)
        self._add("long", commit.long, now_ms)
        for name, amount in commit.counts.items():
            self._counts[name] = self._counts.get(name, 0) + amount

    def _add(self, family: Family, panes: Mapping[int, Mapping[bytes, bytes]], now_ms: int) -> None:
        for index, fields in panes.items():
            if not kept(family, index, now_ms):
                continue
            pane = self.panes.setdefault((family, index), {})
            for field, packed in fields.items():
                tally = pane.setdefault(field, {})
                for number, amount in _tally(packed).items():
                    tally[number] = tally.get(number, 0) + amount
                    if not tally[number]:
                        del tally[number]
                self._changed_at[family, index, field] = len(self._nonces) - 1

    async def positions(self, partitions: Sequence[Partition]) -> list[Position | None]:
        return [self._positions.get(partition) for partition in partitions]

    async def move(self, partition: Partition, before: Position | None, after: Position) -> bool:
        if self._positions.get(partition) != before:
            return False
        self._positions[partition] = after
        return True

    async def beat(self, beats: Mapping[Partition, Beat]) -> None:
        self._beats.update(beats)

    async def beats(self) -> dict[Partition, Beat]:
        return self._beats.copy()

    async def counts(self) -> dict[str, int]:
        return self._counts.copy()

    async def changes(self, since: Mark | None) -> Changes:
        latest = Mark(len(self._nonces) - 1, self._nonces[-1])
        known = (
            since is not None
            and since.sequence <= latest.sequence
            and self._nonces[since.sequence] == since.nonce
        )
        after = since.sequence if known and since is not None else -1
        panes: dict[tuple[Family, int], dict[bytes, bytes]] = {}
        for (family, index, field), sequence in self._changed_at.items():
            if sequence > after:
                packed = _pack(self.panes[family, index][field])
                panes.setdefault((family, index), {})[field] = packed
        found = [Pane(family, index, tallies) for (family, index), tallies in panes.items()]
        return Changes(latest, not known, False, found)

    async def rules(self) -> bytes | None:
        return self._rules

    async def set_rules(self, rules: bytes) -> bytes:
        self._rules = self._rules or rules
        return self._rules

    async def close(self) -> None:
        """Nothing is held."""
