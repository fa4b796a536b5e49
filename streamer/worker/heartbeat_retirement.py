"""Retire the heartbeats of partitions that no longer exist: a topic was made anew with fewer partitions, was
deleted, or has another name now. The data would else look old for ever, and nothing would be forgotten."""

import time
from collections.abc import Callable, Collection
from typing import Final, Protocol

import structlog

from streamer.store.port import Heartbeat, Partition, StateStore

SILENT_S: Final = 10.0
"""A heartbeat unchanged for so long has no owner: one that is caught up changes it every second."""
ABSENT_S: Final = 10.0
"""A broker must say for so long that a partition is gone: one that just started may not know all yet."""
ABSENT_ANSWERS: Final = 3
ASK_EVERY_S: Final = 4.0

log = structlog.get_logger()


class PartitionDirectory(Protocol):
    """Directory of the partitions that exist."""

    async def existing(self, partitions: Collection[Partition]) -> Collection[Partition]:
        """Return those of these partitions that the broker has and that are counted at all. Raises
        ConnectionError, also where the answer may be incomplete."""


class _Suspicion:
    """Heartbeat that may have no partition: unchanged since `since_s`, its partition absent since
    `absent_since_s` in `absences` answers."""

    def __init__(self, heartbeat: Heartbeat, since_s: float) -> None:
        self.heartbeat, self.since_s = heartbeat, since_s
        self.absent_since_s, self.absences = since_s, 0

    def note_answer(self, is_absent: bool, now_s: float) -> None:
        if not is_absent:
            self.absences = 0
            return
        if self.absences == 0:
            self.absent_since_s = now_s
        self.absences += 1

    def is_confirmed(self, now_s: float) -> bool:
        return self.absences >= ABSENT_ANSWERS and now_s - self.absent_since_s >= ABSENT_S


class HeartbeatRetirement:
    """Retires heartbeats that nobody renews and whose partitions the broker does not have, for long enough
    and in several answers. Call `run_once` every second or so. Kafka is asked only while there is a heartbeat
    that nobody renews.

    `clock_s` is a clock that never goes back.
    """

    def __init__(
        self, store: StateStore, directory: PartitionDirectory, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._directory, self._clock_s = store, directory, clock_s
        self._suspicions: dict[Partition, _Suspicion] = {}
        self._next_answer_s = 0.0

    async def run_once(self) -> None:
        """Raises errors of the store; those of Kafka only delay the retirement."""
        now_s = self._clock_s()
        self._note_heartbeats(await self._store.heartbeats(), now_s)
        silent = {p: found for p, found in self._suspicions.items() if now_s - found.since_s >= SILENT_S}
        if not silent or now_s < self._next_answer_s:
            return
        self._next_answer_s = now_s + ASK_EVERY_S
        try:
            existing = await self._directory.existing(silent)
        except ConnectionError as error:
            log.info(
                "cannot tell whether partitions without an owner still exist",
                error=str(error) or type(error).__name__,
            )
            return
        for partition, suspicion in silent.items():
            suspicion.note_answer(partition not in existing, now_s)
        gone = {p: found.heartbeat for p, found in silent.items() if found.is_confirmed(now_s)}
        if gone:
            await self._store.retire(gone)
            log.warning(
                "partitions no longer exist: their heartbeats are retired, their counts are kept",
                partitions=", ".join(map(str, sorted(gone))),
            )

    def _note_heartbeats(self, heartbeats: dict[Partition, Heartbeat], now_s: float) -> None:
        """Keep the suspicions of unchanged heartbeats, and begin one for each new or changed one."""
        known = self._suspicions
        self._suspicions = {
            partition: known[partition]
            if partition in known and known[partition].heartbeat == heartbeat
            else _Suspicion(heartbeat, now_s)
            for partition, heartbeat in heartbeats.items()
        }
