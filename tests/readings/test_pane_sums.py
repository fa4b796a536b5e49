"""Sums over panes are exact, whatever was added, corrected, moved along or dropped."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.readings.pane_sums import (
    PaneCounts,
    PanePyramid,
    RollingSum,
    SparseCounts,
    add_counts,
    sparse_counts,
    sum_counts,
)

WIDTH = 7
Tallies = dict[int, dict[int, dict[int, int]]]
"""Values by pane, field and counter number."""

values = st.integers(-(2**53), 2**53) | st.integers(-3, 3)
tallies = st.dictionaries(st.integers(0, WIDTH - 1), values, max_size=4)
changes = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.dictionaries(st.integers(0, 5), tallies, min_size=1, max_size=4),
        st.sampled_from((False, False, True)),
    )
)
Step = tuple[int, dict[int, dict[int, int]], bool]
runs = st.tuples(st.integers(0, 41), st.integers(0, 41)).map(lambda pair: (min(pair), max(pair)))


def by_parity(counts: SparseCounts) -> SparseCounts:
    """Project odd and even fields to two groups; field 5 is left out."""
    fields = counts.keys // WIDTH
    return SparseCounts(fields % 2 * WIDTH + counts.keys % WIDTH, counts.values).select(fields != 5)


def brute_force(panes: Tallies, first: int, last: int) -> dict[int, int]:
    total: Counter[int] = Counter()
    for pane in range(first, last):
        for field, tally in panes.get(pane, {}).items():
            for number, value in tally.items():
                if field != 5:
                    total[field % 2 * WIDTH + number] += value
    return {key: value for key, value in total.items() if value}


def as_dict(total: SparseCounts) -> dict[int, int]:
    assert (np.diff(total.keys.astype(np.int64)) > 0).all()
    return dict(zip(total.keys.tolist(), total.values.tolist(), strict=True))


def put(leaves: PaneCounts, pane: int, fields: dict[int, dict[int, int]], whole: bool = False) -> None:
    pairs = [
        (field * WIDTH + number, value) for field, tally in fields.items() for number, value in tally.items()
    ]
    leaves.put(pane, [sparse_counts((key for key, _ in pairs), (value for _, value in pairs))], whole)


def put_expected(panes: Tallies, pane: int, fields: dict[int, dict[int, int]], whole: bool) -> None:
    if whole:
        panes[pane] = {}
    for field, tally in fields.items():
        expected_tally = panes.setdefault(pane, {}).setdefault(field, {})
        for number, value in tally.items():
            expected_tally[number] = expected_tally.get(number, 0) + value


@given(changes, st.lists(st.tuples(st.integers(0, 40), runs), max_size=8))
def test_sums_equal_brute_force_after_each_change(
    steps: list[Step], queried_runs: list[tuple[int, tuple[int, int]]]
) -> None:
    leaves = PaneCounts(WIDTH)
    pyramid = PanePyramid(leaves, (4, 12), by_parity)
    rolling = RollingSum(pyramid)
    some = RollingSum(pyramid, WIDTH, 2 * WIDTH)
    panes: Tallies = {}
    for number, (pane, fields, whole) in enumerate(steps):
        put(leaves, pane, fields, whole)
        put_expected(panes, pane, fields, whole)
        for first, last in (run for at, run in queried_runs if at <= number):
            expected = brute_force(panes, first, last)
            assert as_dict(pyramid.total(first, last)) == expected
            assert as_dict(rolling.total(first, last)) == expected
            assert as_dict(some.total(first, last)) == {k: v for k, v in expected.items() if k >= WIDTH}


@given(changes, st.integers(0, 41), runs)
def test_what_is_dropped_never_comes_back(steps: list[Step], floor: int, run: tuple[int, int]) -> None:
    leaves = PaneCounts(WIDTH)
    pyramid = PanePyramid(leaves, (4, 12), by_parity)
    rolling = RollingSum(pyramid)
    rolling.total(*run)
    panes: Tallies = {}
    for number, (pane, fields, whole) in enumerate(steps):
        if number == len(steps) // 2:
            leaves.drop_before(floor)
            pyramid.drop_before(floor)
            panes = {index: pane for index, pane in panes.items() if index >= floor}
        put(leaves, pane, fields, whole)
        if pane >= leaves.floor:
            put_expected(panes, pane, fields, whole)
    first, last = max(run[0], leaves.floor), max(run[1], leaves.floor)
    assert as_dict(rolling.total(first, last)) == brute_force(panes, first, last)
    assert as_dict(pyramid.total(first, last)) == brute_force(panes, first, last)


def test_large_integers_are_exact() -> None:
    huge = 2**53 + 1
    assert as_dict(sum_counts([sparse_counts([1, 9], [huge, 1]), sparse_counts([1], [2])])) == {
        1: huge + 2,
        9: 1,
    }
    far = sparse_counts([1, 10**12], [huge, 1])
    assert as_dict(sum_counts([far, far])) == {1: 2 * huge, 10**12: 2}
    assert as_dict(add_counts(far, sparse_counts([5], [huge]))) == {1: huge, 5: huge, 10**12: 1}


def test_what_was_returned_never_changes() -> None:
    leaves = PaneCounts(WIDTH)
    rolling = RollingSum(PanePyramid(leaves, (4,), by_parity))
    put(leaves, 1, {0: {0: 1}})
    before = rolling.total(0, 4)
    put(leaves, 1, {0: {0: 1}})
    assert as_dict(rolling.total(0, 4)) == {0: 2}
    assert as_dict(before) == {0: 1}
