"""Here is what happened of late: how often something did within a minute, and what was there before."""

from collections import OrderedDict, deque

from streamer.events.rules import MINUTE
from streamer.web.follower import Clock


class Minute:
    """How often something happened within a minute, by a name; of the names the last `most` are known."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock, self._most = clock, most
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_s(self, name: str, limit: int) -> int:
        """0: it may happen once more, else it may in so many seconds."""
        times = self._recent(name)
        return 0 if len(times) < limit else -(-(times[-limit] + MINUTE - self._clock()) // 1000)

    def count(self, name: str) -> None:
        times = self._recent(name)
        times.append(self._clock())
        self._times[name] = times
        self._times.move_to_end(name)
        while len(self._times) > self._most:
            self._times.popitem(last=False)

    def _recent(self, name: str) -> deque[int]:
        times = self._times.get(name, deque())
        while times and times[0] <= self._clock() - MINUTE:
            times.popleft()
        return times


class Seen:
    """What was there within `while_ms`; of more than `most` the oldest are forgotten."""

    def __init__(self, clock: Clock, while_ms: int, most: int) -> None:
        self._clock, self._while_ms, self._most = clock, while_ms, most
        self._at: OrderedDict[bytes, int] = OrderedDict()

    def has(self, key: bytes) -> bool:
        while self._at and next(iter(self._at.values())) <= self._clock() - self._while_ms:
            self._at.popitem(last=False)
        return key in self._at

    def add(self, key: bytes) -> None:
        self._at[key] = self._clock()
        self._at.move_to_end(key)
        while len(self._at) > self._most:
            self._at.popitem(last=False)
