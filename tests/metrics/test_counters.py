"""Plain counters keep a limited number of queues by name, and count every arrival once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streamer.metrics import counters
from streamer.metrics.counters import (
    COUNTER_SERIES,
    OTHER,
    SERIES_OF_QUEUE,
    CounterState,
    add_counters,
    merge_counters,
    pack_counters,
)

MAX_QUEUES = COUNTER_SERIES // SERIES_OF_QUEUE
RETENTION_H = 10


def segments(queue: str, outcome: str = "answered") -> str:
    return f"segments\x1f{queue}\x1fvoice\x1f{outcome}"


def delta(amounts: Mapping[str, int], hour: int = 100) -> bytes:
    return pack_counters(amounts, hour, hour - RETENTION_H)


def queues(state: CounterState) -> set[str]:
    return {name.split("\x1f")[1] for name in state.counts if name.startswith("segments")}


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 40),  # hours passed
        st.dictionaries(
            st.builds(segments, st.sampled_from("abcdef"), st.sampled_from(["answered", "abandoned"]))
            | st.sampled_from(["events\x1ftopic\x1fapplied", "handle\x1fa\x1f15", "handle_ms\x1fa"]),
            st.integers(1, 9),
            max_size=5,
        ),
    ),
    max_size=20,
)


with_three_queues = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def three_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "COUNTER_SERIES", 3 * SERIES_OF_QUEUE)


def deltas_of(arrivals: Sequence[tuple[int, Mapping[str, int]]]) -> list[bytes]:
    hour, deltas = 1_000, []
    for hours, amounts in arrivals:
        hour += hours // 10
        deltas.append(delta(amounts, hour - hours % 3))  # some clocks are behind
    return deltas


@with_three_queues
@given(arrivals=ARRIVALS, cuts=st.lists(st.integers(0, 20), max_size=4))
def test_merging_the_oldest_at_any_time_changes_no_count(
    three_queues: None, arrivals: list[tuple[int, dict[str, int]]], cuts: list[int]
) -> None:
    deltas = deltas_of(arrivals)
    expected, merged = add_counters(deltas), deltas
    for cut in cuts:
        merged = [*([merge_counters(merged[:cut])] if merged[:cut] else []), *merged[cut:]]
    assert add_counters(merged) == expected
    for at in range(len(deltas)):
        assert add_counters(deltas[at:], add_counters(deltas[:at])) == expected


@with_three_queues
@given(arrivals=ARRIVALS)
def test_no_counter_decreases_and_each_arrival_counts_once(
    three_queues: None, arrivals: list[tuple[int, dict[str, int]]]
) -> None:
    state = CounterState()
    for (_, amounts), packed in zip(arrivals, deltas_of(arrivals), strict=True):
        before, state = state.counts, add_counters([packed], state)
        assert all(state.counts[name] >= count for name, count in before.items() if name in state.counts)
        counted = Counter({name: count - before.get(name, 0) for name, count in state.counts.items()})
        assert _by_labels(counted) == _by_labels(amounts)
        assert len(queues(state) - {OTHER}) <= 3


def _by_labels(amounts: Mapping[str, int]) -> dict[str, int]:
    """Return the amounts whatever the queue."""
    total: Counter[str] = Counter()
    for name, amount in amounts.items():
        kind, *labels = name.split("\x1f")
        total["\x1f".join((kind, *(labels if kind == "events" else labels[1:])))] += amount
    return dict(+total)


def test_the_first_queues_keep_their_names_and_all_others_are_one() -> None:
    names = [f"queue {number}" for number in range(5_000)]
    state = add_counters(delta({segments(name): 2}) for name in names)
    assert queues(state) == {*names[:MAX_QUEUES], OTHER}
    assert state.counts[segments(OTHER)] == 2 * (5_000 - MAX_QUEUES)
    state = add_counters([delta({segments(name, "timeout"): 1 for name in names})], state)
    assert state.counts[segments(names[0], "timeout")] == 1
    assert state.counts[segments(OTHER, "timeout")] == 5_000 - MAX_QUEUES


@pytest.mark.parametrize(("idle_h", "leaves"), [(RETENTION_H, False), (RETENTION_H + 1, True)])
def test_a_queue_leaves_after_the_retention_and_its_room_goes_to_another(
    three_queues: None, idle_h: int, leaves: bool
) -> None:
    state = add_counters(delta({segments(name): 5}) for name in ("old", "b", "c", "d"))
    assert queues(state) == {"old", "b", "c", OTHER}
    state = add_counters([delta({segments(name): 1 for name in "bc"}, 100 + idle_h)], state)
    assert queues(state) == {"b", "c", OTHER} | (set() if leaves else {"old"})
    state = add_counters([delta({segments("d"): 1}, 100 + idle_h)], state)
    assert (state.counts.get(segments("d")), state.counts[segments(OTHER)]) == (
        (1, 5) if leaves else (None, 6)
    )
    if leaves:
        state = add_counters([delta({segments("old"): 1}, 100 + idle_h)], state)
        assert state.counts[segments(OTHER)] == 6


def test_a_queue_that_comes_back_in_the_moment_it_would_leave_stays() -> None:
    state = add_counters([delta({segments("a"): 5}), delta({segments("a"): 1}, 500)])
    assert state.counts == {segments("a"): 6}


def test_a_worker_whose_clock_is_behind_lets_no_queue_leave_early() -> None:
    behind = delta({segments("a"): 1}, 99 - RETENTION_H)
    state = add_counters([delta({segments("a"): 1}), behind, delta({}, 101)])
    assert state.counts == {segments("a"): 2}


def test_a_queue_with_many_series_takes_the_room_of_two() -> None:
    many = {f"answers\x1fa\x1fnps\x1f{number}": 1 for number in range(2 * SERIES_OF_QUEUE - 16)}
    state = add_counters([delta(many), *(delta({segments(str(n)): 1}) for n in range(MAX_QUEUES))])
    assert len(queues(state) - {OTHER}) == MAX_QUEUES - 2
    state = add_counters([delta(many)], state)
    assert len([name for name in state.counts if name.startswith("answers\x1fa\x1f")]) == len(many)


def test_a_queue_named_as_the_others_is_counted_with_them(three_queues: None) -> None:
    state = add_counters(delta({segments(name): 1}) for name in (OTHER, "a", "b", "c", "d"))
    assert state.counts == {segments(OTHER): 2} | {segments(name): 1 for name in "abc"}


def test_sums_of_before_there_was_a_limit_are_read_and_the_largest_keep_their_names() -> None:
    amounts = {segments(f"queue {number}"): number + 1 for number in range(200)} | {
        "events\x1ft\x1fapplied": 3
    }
    old = b"\x01" + msgspec.msgpack.encode(amounts)
    state = add_counters([old, old, delta({"events\x1ft\x1fapplied": 1}, 500)])
    assert state.counts["events\x1ft\x1fapplied"] == 7
    assert queues(state) == {*(f"queue {number}" for number in range(200 - MAX_QUEUES, 200)), OTHER}
    assert sum(_only(state, "segments")) == 2 * sum(range(1, 201))
    assert queues(add_counters([delta({}, 511)], state)) == {OTHER}


def _only(state: CounterState, kind: str) -> Iterable[int]:
    return (count for name, count in state.counts.items() if name.startswith(kind))
