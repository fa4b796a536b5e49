"""Counters of recent events, and keys that expire, both of limited size."""

from collections import OrderedDict, deque

from streamer.runtime.clock import Clock


class RecentCounter:
    """Count events of the last `window_ms` by name; beyond `max_names` the longest unused names are dropped.

    >>> counter = RecentCounter(lambda: 0, 60_000, 100)
    >>> counter.count("zendesk")
    >>> counter.wait_s("zendesk", limit=2), counter.wait_s("zendesk", limit=1)
    (0, 60)
    """

    def __init__(self, clock: Clock, window_ms: int, max_names: int) -> None:
        self._clock, self._window_ms, self._max_names = clock, window_ms, max_names
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_s(self, name: str, limit: int) -> int:
        """Return the seconds until one more event is within the limit; 0: it is now."""
        times = self._recent_times(name)
        return 0 if len(times) < limit else -(-(times[-limit] + self._window_ms - self._clock()) // 1000)

    def count(self, name: str) -> None:
        times = self._recent_times(name)
        times.append(self._clock())
        self._times[name] = times
        self._times.move_to_end(name)
        while len(self._times) > self._max_names:
            self._times.popitem(last=False)

    def take_back(self, name: str) -> None:
        """Take back the last event that was counted."""
        if times := self._times.get(name):
            times.pop()

    def _recent_times(self, name: str) -> deque[int]:
        times = self._times.get(name, deque())
        while times and times[0] <= self._clock() - self._window_ms:
            times.popleft()
        return times


class ExpiringKeys:
    """Keys added within the last `ttl_ms`; beyond `max_keys` the oldest are dropped.

    >>> now_ms = [0]
    >>> keys = ExpiringKeys(lambda: now_ms[0], 1_000, 100)
    >>> keys.add(b"msg_1")
    >>> now_ms[0] = 999
    >>> keys.has(b"msg_1")
    True
    >>> now_ms[0] = 1_000
    >>> keys.has(b"msg_1")
    False
    """

    def __init__(self, clock: Clock, ttl_ms: int, max_keys: int) -> None:
        self._clock, self._ttl_ms, self._max_keys = clock, ttl_ms, max_keys
        self._added_at_ms: OrderedDict[bytes, int] = OrderedDict()

    def has(self, key: bytes) -> bool:
        while self._added_at_ms and next(iter(self._added_at_ms.values())) <= self._clock() - self._ttl_ms:
            self._added_at_ms.popitem(last=False)
        return key in self._added_at_ms

    def add(self, key: bytes) -> None:
        self._added_at_ms[key] = self._clock()
        self._added_at_ms.move_to_end(key)
        while len(self._added_at_ms) > self._max_keys:
            self._added_at_ms.popitem(last=False)
