"""Sums over panes are exact, whatever was added, corrected, moved along or dropped."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.readings.pyramid import Entries, Leaves, Pyramid, Rolling, entries, plus, summed

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


def by_parity(part: Entries) -> Entries:
    """Project odd and even fields to two groups; field 5 is left out."""
    fields = part.keys // WIDTH
    return Entries(fields % 2 * WIDTH + part.keys % WIDTH, part.values).only(fields != 5)


def brute_force(panes: Tallies, first: int, last: int) -> dict[int, int]:
    total: Counter[int] = Counter()
    for pane in range(first, last):
        for field, tally in panes.get(pane, {}).items():
            for number, value in tally.items():
                if field != 5:
                    total[field % 2 * WIDTH + number] += value
    return {key: value for key, value in total.items() if value}


def as_dict(total: Entries) -> dict[int, int]:
    assert (np.diff(total.keys.astype(np.int64)) > 0).all()
    return dict(zip(total.keys.tolist(), total.values.tolist(), strict=True))


def put(leaves: Leaves, pane: int, fields: dict[int, dict[int, int]], whole: bool = False) -> None:
    pairs = [
        (field * WIDTH + number, value) for field, tally in fields.items() for number, value in tally.items()
    ]
    leaves.put(pane, [entries((key for key, _ in pairs), (value for _, value in pairs))], whole)


def held(panes: Tallies, pane: int, fields: dict[int, dict[int, int]], whole: bool) -> None:
    if whole:
        panes[pane] = {}
    for field, tally in fields.items():
        known = panes.setdefault(pane, {}).setdefault(field, {})
        for number, value in tally.items():
            known[number] = known.get(number, 0) + value


@given(changes, st.lists(st.tuples(st.integers(0, 40), runs), max_size=8))
def test_sums_equal_brute_force_after_each_change(
    steps: list[Step], asked: list[tuple[int, tuple[int, int]]]
) -> None:
    leaves = Leaves(WIDTH)
    pyramid = Pyramid(leaves, (4, 12), by_parity)
    rolling = Rolling(pyramid)
    some = Rolling(pyramid, WIDTH, 2 * WIDTH)
    panes: Tallies = {}
    for number, (pane, fields, whole) in enumerate(steps):
        put(leaves, pane, fields, whole)
        held(panes, pane, fields, whole)
        for first, last in (run for at, run in asked if at <= number):
            expected = brute_force(panes, first, last)
            assert as_dict(pyramid.total(first, last)) == expected
            assert as_dict(rolling.total(first, last)) == expected
            assert as_dict(some.total(first, last)) == {k: v for k, v in expected.items() if k >= WIDTH}


@given(changes, st.integers(0, 41), runs)
def test_what_is_dropped_never_comes_back(steps: list[Step], floor: int, run: tuple[int, int]) -> None:
    leaves = Leaves(WIDTH)
    pyramid = Pyramid(leaves, (4, 12), by_parity)
    rolling = Rolling(pyramid)
    rolling.total(*run)
    panes: Tallies = {}
    for number, (pane, fields, whole) in enumerate(steps):
        if number == len(steps) // 2:
            leaves.drop_before(floor)
            pyramid.drop_before(floor)
            panes = {index: pane for index, pane in panes.items() if index >= floor}
        put(leaves, pane, fields, whole)
        if pane >= leaves.floor:
            held(panes, pane, fields, whole)
    first, last = max(run[0], leaves.floor), max(run[1], leaves.floor)
    assert as_dict(rolling.total(first, last)) == brute_force(panes, first, last)
    assert as_dict(pyramid.total(first, last)) == brute_force(panes, first, last)


def test_large_integers_are_exact() -> None:
    huge = 2**53 + 1
    assert as_dict(summed([entries([1, 9], [huge, 1]), entries([1], [2])])) == {1: huge + 2, 9: 1}
    far = entries([1, 10**12], [huge, 1])
    assert as_dict(summed([far, far])) == {1: 2 * huge, 10**12: 2}
    assert as_dict(plus(far, entries([5], [huge]))) == {1: huge, 5: huge, 10**12: 1}


def test_what_was_returned_never_changes() -> None:
    leaves = Leaves(WIDTH)
    rolling = Rolling(Pyramid(leaves, (4,), by_parity))
    put(leaves, 1, {0: {0: 1}})
    before = rolling.total(0, 4)
    put(leaves, 1, {0: {0: 1}})
    assert as_dict(rolling.total(0, 4)) == {0: 2}
    assert as_dict(before) == {0: 1}
