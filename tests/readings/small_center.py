"""Set up a small contact center for tests: a store in memory, and a copy of all that was written to it."""

from collections import Counter
from collections.abc import Mapping

from streamer.metrics.counters import pack_counters
from streamer.metrics.tally import FIRST_BUCKET_OF, NUMBER, Tally, bucket
from streamer.panes.pane_keys import COUNTERS, FINE_MS, Cell, PaneHour
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import EMPTY_STORE, Commit, Heartbeat, LogPosition, Partition
from tests.pane_deltas import PaneTallies, deltas

NOW = 1_795_255_203_000  # 2026-11-21T10:00:03Z
PARTITION = Partition("call-completed", 0)
PAIRS = (("queue", "channel"),)
SETTINGS = Settings(dimension_pairs=["queue,channel"])


class SmallCenter:
    """A store in memory and, for brute force, all tallies that were written to it."""

    def __init__(
        self, store: MemoryStore | None = None, pairs: tuple[tuple[str, ...], ...] = PAIRS, now: int = NOW
    ) -> None:
        self._now = now
        self.store = store or MemoryStore()
        self._pairs = pairs
        self.tallies: PaneTallies = {}
        self._commits = 0

    async def add(
        self,
        tallies: PaneTallies,
        counts: dict[str, int] | None = None,
        more: Mapping[PaneHour, bytes] | None = None,
    ) -> None:
        """Add them in one commit, with `more` deltas."""
        if not self._commits:
            await self.store.move(PARTITION, None, LogPosition("e", 0, bytes(8)))
        for pane_cell, tally in tallies.items():
            total = Counter(self.tallies.get(pane_cell, {}))
            total.update(tally)
            self.tallies[pane_cell] = dict(total)
        start, self._commits = self._commits, self._commits + 1
        position = LogPosition("e", self._commits, self._commits.to_bytes(8, "big"))
        changed = deltas(tallies, self._pairs) | {COUNTERS: pack_counters(counts or {})} | dict(more or {})
        commit = Commit(PARTITION, "e", start, position, EMPTY_STORE, (), {}, changed)
        await self.store.commit(commit, self._now)

    async def beat(self, caught_up_at: int) -> None:
        await self.store.beat({PARTITION: Heartbeat(caught_up_at, 0, caught_up_at)})


def cell(queue: str | None = "billing", agent: str | None = "ann", channel: str = "voice") -> Cell:
    return (None, queue, None, agent, channel, None, None)


def answered(times: int = 1, handled_ms: int = 0) -> Tally:
    tally = {NUMBER["answered"]: times, NUMBER["offered"]: times, NUMBER["fcr_firsts"]: times}
    if handled_ms:
        tally |= {NUMBER["handle_n"]: 1, NUMBER["handle_ms"]: handled_ms, NUMBER["handle_s2"]: 1}
        tally[FIRST_BUCKET_OF["handle"] + bucket(handled_ms)] = 1
    return tally


def pane(before_now: int) -> int:
    return (NOW - before_now) // FINE_MS


async def new_reader(center: SmallCenter) -> MetricsReader:
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    return reader
