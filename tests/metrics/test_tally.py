"""The histogram's buckets, and the numbers counts have on the wire."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import DAY
from streamer.events.models import QUESTIONS
from streamer.metrics.tally import (
    BOUNDS,
    BUCKETS,
    COUNTS,
    DURATIONS,
    FIRST_BUCKET,
    FIRST_BUCKET_OF,
    NUMBER,
    NUMBERS,
    SCALES,
    bucket,
    bucket_value,
    squared,
)

EDGES = sorted({max(0, bound + step) for bound in BOUNDS for step in (-1, 0, 1)})


def _within_two_percent(ms: int) -> bool:
    return abs(bucket_value(bucket(ms)) - ms) <= 0.02 * ms


def test_both_sides_of_every_edge_up_to_100_days_are_within_two_percent():
    assert BOUNDS[-1] > 100 * DAY
    assert all(_within_two_percent(ms) for ms in EDGES if ms <= 100 * DAY)


@given(st.one_of(st.integers(0, 1_000), st.integers(0, 600_000), st.integers(0, 30 * DAY)))
@settings(deadline=None, max_examples=200)
def test_any_duration_is_within_two_percent(ms):
    assert _within_two_percent(ms)


def test_longer_durations_never_fall_into_lower_buckets():
    buckets = [bucket(ms) for ms in EDGES]
    assert buckets == sorted(buckets)
    values = [bucket_value(number) for number in range(BUCKETS)]
    assert values == sorted(values)


def test_zero_has_a_bucket_of_its_own():
    assert bucket(0) == 0
    assert bucket_value(0) == 0
    assert bucket(1) == 1


def test_what_is_longer_than_the_last_bound_falls_into_the_last_bucket():
    assert bucket(BOUNDS[-1]) == BUCKETS - 2
    assert bucket(BOUNDS[-1] + 1) == BUCKETS - 1
    assert bucket(10**15) == BUCKETS - 1


def test_no_two_counts_share_a_number():
    histograms = [range(first, first + BUCKETS) for first in FIRST_BUCKET_OF.values()]
    numbers = [*NUMBER.values(), *(number for numbers in histograms for number in numbers)]
    assert len(numbers) == len(set(numbers)) == len(COUNTS) + len(DURATIONS) * BUCKETS
    assert max(numbers) == NUMBERS - 1


def test_the_numbers_on_the_wire_stay_what_they_are():
    pinned = (
        "answered",
        "offered",
        "contacts",
        "surveys",
        "nps_0",
        "csat_1",
        "ces_1",
        "effort_1",
        "cnx_1",
        "qa",
    )
    assert {name: NUMBER[name] for name in pinned} == {
        "answered": 0,
        "offered": 6,
        "contacts": 16,
        "surveys": 27,
        "nps_0": 33,
        "csat_1": 44,
        "ces_1": 49,
        "effort_1": 56,
        "cnx_1": 61,
        "qa": 71,
    }
    assert NUMBER["handle_n"] == 74
    assert NUMBER["outbound_handle_s2"] == 94
    assert FIRST_BUCKET == 256
    assert FIRST_BUCKET_OF["handle"] == 256
    assert FIRST_BUCKET_OF["outbound_handle"] == 3520


def test_every_question_with_scores_has_a_scale():
    assert set(SCALES) == set(QUESTIONS) - {"resolved_first"}


def test_squares_round_to_the_nearest_whole_unit():
    assert squared(1_000, 1_000) == 1
    assert squared(707, 1_000) == 0
    assert squared(708, 1_000) == 1
    assert squared(8_550, 100) == 7_310
