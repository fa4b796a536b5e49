"""A day of a telephone system: actors that take turns in time, and what it reports meanwhile."""

import heapq
from collections.abc import Callable, Generator
from random import Random
from typing import Any

Actor = Generator[int, None, None]
"""Yields after how many ms it wants its next turn."""


class TelephoneDay:
    """Clock in ms; each report has a time of its own, so that their order is certain."""

    def __init__(self, seed: int, start_ms: int) -> None:
        self.random = Random(seed)
        self.now_ms = start_ms
        self.reports: list[tuple[int, Any]] = []
        self._actors: list[tuple[int, int, Actor]] = []
        self._count = 0

    def begin(self, actor: Actor, after_ms: int = 0) -> None:
        self._count += 1
        heapq.heappush(self._actors, (self.now_ms + after_ms, self._count, actor))

    def report(self, make: Callable[[int], Any]) -> int:
        """Add a report, made with its time in ms."""
        last_ms = self.reports[-1][0] if self.reports else 0
        at_ms = max(self.now_ms, last_ms + 1)
        self.reports.append((at_ms, make(at_ms)))
        return at_ms

    def run(self) -> None:
        while self._actors:
            at_ms, _, actor = heapq.heappop(self._actors)
            self.now_ms = max(self.now_ms, at_ms)
            try:
                self.begin(actor, next(actor))
            except StopIteration:
                continue
