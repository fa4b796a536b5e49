"""Counters of the last minute, and keys that expire, both of limited size."""

from collections import OrderedDict, deque

from streamer.events.rules import MINUTE
from streamer.web.follower import Clock


class Minute:
    """Count events of the last minute by name; beyond `max_names` the longest unused names are dropped.

    >>> counter = Minute(lambda: 0, 100)
    >>> counter.count("zendesk")
    >>> counter.wait_s("zendesk", limit=2), counter.wait_s("zendesk", limit=1)
    (0, 60)
    """

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock, self._most = clock, most
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_s(self, name: str, limit: int) -> int:
        """Return the seconds until one more event is within the limit per minute; 0: it is now."""
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
    """Keys added within the last `ttl_ms`; beyond `max_keys` the oldest are dropped.

    >>> now_ms = [0]
    >>> keys = Seen(lambda: now_ms[0], 1_000, 100)
    >>> keys.add(b"msg_1")
    >>> now_ms[0] = 999
    >>> keys.has(b"msg_1")
    True
    >>> now_ms[0] = 1_000
    >>> keys.has(b"msg_1")
    False
    """

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
