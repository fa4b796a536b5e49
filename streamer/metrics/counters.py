"""Plain counters of arrived records: the amounts of one commit, and the state they add up to.

Names of queues come from events, and there may be any number of them. The state keeps only so many: a queue
has all its counters to itself from its first arrival on, if there is room; else it is counted under the name
OTHER. A queue of which nothing arrived for the retention leaves, and its room with it; should it come back,
it begins at 0. So no counter ever decreases, and no arrival is counted under two names or none.

The state depends on nothing but the commits and their order. Whoever adds them up gets the same: a reader, or
a worker that merges the oldest of them into one.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from streamer.metrics.tally import HANDLE_LIMITS_S

COUNTER_SEPARATOR: Final = "\x1f"
"""Separator of the parts of a counter's name: its kind, then label values, the queue first."""
OTHER: Final = "other"
"""Queue of all arrivals whose queue has no counters to itself."""
COUNTER_SERIES: Final = 3_000
"""Number of Prometheus series that the counters of queues may take up."""
SERIES_OF_QUEUE: Final = 40
"""Number of series set aside for a queue: each outcome, channel and answer adds one."""

_QUEUE_KINDS: Final = frozenset({"segments", "answers", "handle", "handle_ms"})
_HISTOGRAM_KIND: Final = "handle"
_HISTOGRAM_SERIES: Final = len(HANDLE_LIMITS_S) + 3
_SUM_FORMAT: Final = b"\x01"
"""First byte of a sum, of before there were states: amounts by name, and nothing else."""
_DELTA_FORMAT: Final = b"\x02"
_STATE_FORMAT: Final = b"\x03"


class CounterDelta(msgspec.Struct, array_like=True):
    """Amounts of one commit by name. `hour` is that of the commit since the epoch (0: unknown), `oldest_hour`
    the first hour that the retention still covered then."""

    hour: int
    oldest_hour: int
    amounts: dict[str, int]


class CounterState(msgspec.Struct, array_like=True):
    """Counts of all commits up to one of them. `queues` are those with counters to themselves: the hour of
    the last arrival, and the number of series."""

    hour: int = 0
    oldest_hour: int = 0
    counts: dict[str, int] = {}
    queues: dict[str, tuple[int, int]] = {}

    def copy(self) -> "CounterState":
        return CounterState(self.hour, self.oldest_hour, self.counts.copy(), self.queues.copy())

    def packed(self) -> bytes:
        return _STATE_FORMAT + _pack(self)

    def add(self, delta: CounterDelta) -> None:
        if delta.hour and not self.hour:  # no hours were known until now
            self.queues = {queue: (delta.hour, series) for queue, (_, series) in self.queues.items()}
        self.hour = max(self.hour, delta.hour)  # whatever the clock of another worker says
        for name, amount in delta.amounts.items():
            counted_name = self._counted_name(name)
            self.counts[counted_name] = self.counts.get(counted_name, 0) + amount
        if delta.oldest_hour > self.oldest_hour:
            self.oldest_hour = delta.oldest_hour
            self._retire_queues()

    def _retire_queues(self) -> None:
        """Drop the queues of which nothing arrived for the retention, with all they counted."""
        queues = {queue for queue, (hour, _) in self.queues.items() if hour < self.oldest_hour}
        if queues:
            self.queues = {queue: entry for queue, entry in self.queues.items() if queue not in queues}
            self.counts = {
                name: count for name, count in self.counts.items() if _queue_of(name) not in queues
            }

    def _counted_name(self, name: str) -> str:
        """Return the name to count under: this one, or that of OTHER."""
        queue = _queue_of(name)
        if queue is None or queue == OTHER:
            return name
        if queue not in self.queues and not self._has_room():
            kind, _, *labels = name.split(COUNTER_SEPARATOR)
            return COUNTER_SEPARATOR.join((kind, OTHER, *labels))
        _, series = self.queues.get(queue, (0, _HISTOGRAM_SERIES))
        is_new_series = name not in self.counts and not name.startswith(_HISTOGRAM_KIND)
        self.queues[queue] = self.hour, series + is_new_series
        return name

    def _has_room(self) -> bool:
        reserved = sum(max(series, SERIES_OF_QUEUE) for _, series in self.queues.values())
        return reserved + SERIES_OF_QUEUE <= COUNTER_SERIES


def _queue_of(name: str) -> str | None:
    """Return the queue in a counter's name; None if it has none."""
    kind, *labels = name.split(COUNTER_SEPARATOR, 2)
    return labels[0] if kind in _QUEUE_KINDS else None


_pack = msgspec.msgpack.Encoder().encode
_unpack_sum = msgspec.msgpack.Decoder(dict[str, int]).decode
_unpack_delta = msgspec.msgpack.Decoder(CounterDelta).decode
_unpack_state = msgspec.msgpack.Decoder(CounterState).decode


def pack_counters(amounts: Mapping[str, int], hour: int = 0, oldest_hour: int = 0) -> bytes:
    return _DELTA_FORMAT + _pack(CounterDelta(hour, oldest_hour, dict(amounts)))


def add_counters(deltas: Iterable[bytes], state: CounterState | None = None) -> CounterState:
    """Add deltas to a state, in the order of their commits. The first delta may be a packed state itself, of
    all before.

    >>> add_counters([pack_counters({"events": 1}), pack_counters({"events": 2})]).counts
    {'events': 3}
    """
    total = CounterState() if state is None else state.copy()
    for packed in deltas:
        version, body = packed[:1], memoryview(packed)[1:]
        if version == _STATE_FORMAT:
            total = _unpack_state(body)
        elif version == _DELTA_FORMAT:
            total.add(_unpack_delta(body))
        else:
            assert version == _SUM_FORMAT, f"counters have format {version.hex()}"
            # Of more queues than there is room for, those with the most to count keep their names.
            by_amount = sorted(_unpack_sum(body).items(), key=lambda item: -item[1])
            total.add(CounterDelta(0, 0, dict(by_amount)))
    return total


def merge_counters(deltas: Iterable[bytes]) -> bytes:
    """Merge the oldest deltas into one, a state."""
    return add_counters(deltas).packed()
