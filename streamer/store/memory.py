"""Here is the store in this process's memory: the port's meaning in the plainest form, for tests."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from streamer.events.rules import Rules
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


class MemoryStore:
    """A Store. Nothing waits, nothing fails, nothing expires but panes that come too late."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._retention_ms = (rules or Rules()).retention_ms
        self.documents: dict[bytes, Document] = {}
        self.panes: dict[tuple[Family, int], dict[int, tuple[int, bytes]]] = {}
        """By the sequence of the last commit in it: that of the first one, and the posting."""
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

    async def replace(
        self, token: bytes, reads: Mapping[bytes, bytes | None], writes: Mapping[bytes, bytes | None]
    ) -> bool:
        if any(self._token(key) != before for key, before in reads.items()):
            return False
        self._put(token, writes)
        return True

    async def keys(self, letters: str) -> AsyncIterator[Sequence[bytes]]:
        yield [key for key in self.documents if key[:1].decode() in letters]

    def _put(self, token: bytes, writes: Mapping[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = Document(token, value)

    def _write(self, commit: Commit, now_ms: int) -> None:
        token = commit.position.token
        self._nonces.append(token)
        self._positions[commit.partition] = commit.position
        self._put(token, commit.writes)
        self._add("fine", commit.fine, now_ms)
        self._add("long", commit.long, now_ms)
        for name, amount in commit.counts.items():
            self._counts[name] = self._counts.get(name, 0) + amount

    def _add(self, family: Family, panes: Mapping[int, bytes], now_ms: int) -> None:
        sequence = len(self._nonces) - 1
        for index, posting in panes.items():
            if kept(family, index, now_ms, self._retention_ms):
                self.panes.setdefault((family, index), {})[sequence] = (sequence, posting)

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
        panes = [_since(place, posted, after) for place, posted in self.panes.items()]
        return Changes(latest, not known, False, [pane for pane in panes if pane.postings])

    async def postings(self, family: Family, index: int) -> Sequence[bytes]:
        return [posting for _, (_, posting) in sorted(self.panes.get((family, index), {}).items())]

    async def compact(self, family: Family, index: int, merge: Callable[[Sequence[bytes]], bytes]) -> int:
        posted = self.panes.get((family, index))
        if not posted:
            return 0
        first = min(first for first, _ in posted.values())
        self.panes[family, index] = {max(posted): (first, merge([one for _, one in posted.values()]))}
        return 1

    async def rules(self) -> bytes | None:
        return self._rules

    async def set_rules(self, rules: bytes) -> bytes:
        self._rules = self._rules or rules
        return self._rules

    async def close(self) -> None:
        """Nothing is held."""


def _since(place: tuple[Family, int], posted: Mapping[int, tuple[int, bytes]], after: int) -> Pane:
    """What came after a commit; the whole pane where a posting holds what came before it too."""
    new = {last: one for last, one in posted.items() if last > after}
    whole = any(first <= after for first, _ in new.values())
    return Pane(*place, whole, [posting for _, posting in (posted if whole else new).values()])
