"""Intervals, against published figures, other ways to compute them, and their coverage of 95 %."""

from math import comb, sqrt
from statistics import NormalDist, fmean, pvariance, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.metrics.intervals import Z, adjusted_wald, normal, wilson

# R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


def test_z_is_the_quantile_of_95_percent():
    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-12) == Z


@pytest.mark.parametrize(("hits", "of", "lower", "upper"), NEWCOMBE)
def test_wilson_gives_the_published_figures(hits, of, lower, upper):
    assert wilson(hits, of) == pytest.approx((lower, upper), abs=0.00005)


def test_wilson_of_nothing_is_none():
    assert wilson(0, 0) is None


def test_wilson_reaches_the_edge_exactly_where_all_or_none_hit():
    none, every = wilson(0, 7), wilson(7, 7)
    assert none is not None
    assert every is not None
    assert none.lower == 0.0
    assert 0 < none.upper < 1
    assert every.upper == 1.0
    assert every.lower == pytest.approx(1 - none.upper)


@given(st.integers(1, 10_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
@settings(deadline=None)
def test_wilson_bounds_are_where_the_score_test_just_rejects(case):
    hits, of = case
    interval = wilson(hits, of)
    assert interval is not None
    assert 0 <= interval.lower <= hits / of <= interval.upper <= 1
    for bound in interval:
        if 0 < bound < 1:
            assert abs(hits / of - bound) == pytest.approx(
                Z * sqrt(bound * (1 - bound) / of), rel=1e-6, abs=1e-9
            )


def test_wilson_covers_the_truth_95_times_in_100():
    n = 40
    intervals = [wilson(hits, n) for hits in range(n + 1)]
    coverages = []
    for percent in range(5, 96, 5):
        p = percent / 100
        likelihood = [comb(n, hits) * p**hits * (1 - p) ** (n - hits) for hits in range(n + 1)]
        coverages.append(
            sum(
                chance
                for chance, interval in zip(likelihood, intervals, strict=True)
                if interval and interval.lower <= p <= interval.upper
            )
        )
    assert fmean(coverages) == pytest.approx(0.95, abs=0.01)
    assert min(coverages) > 0.91


def test_adjusted_wald_is_walds_interval_with_three_pseudo_answers():
    # 10 promoters, 5 passives, 5 detractors: (10.75 − 5.75) / 23, variance by its definition
    answers = [1] * 43 + [0] * 26 + [-1] * 23  # four times 10.75, 6.5, 5.75
    mean, variance = fmean(answers), pvariance(answers)
    half = Z * sqrt(variance / 23)
    assert adjusted_wald(10, 5, 20) == pytest.approx((100 * (mean - half), 100 * (mean + half)))
    assert adjusted_wald(10, 5, 20) == pytest.approx((-11.72, 55.19), abs=0.005)


def test_adjusted_wald_of_nothing_is_none():
    assert adjusted_wald(0, 0, 0) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_single_answer_lies_within_its_own_interval(sign):
    interval = adjusted_wald(1, 0, 1) if sign == 1 else adjusted_wald(0, 1, 1)
    assert interval is not None
    assert sorted(sign * bound for bound in interval) == pytest.approx([-48.49, 100], abs=0.01)


def test_adjusted_wald_stays_on_the_scale():
    assert adjusted_wald(3, 0, 3) == pytest.approx((-6.58, 100), abs=0.005)
    assert adjusted_wald(0, 3, 3) == pytest.approx((-100, 6.58), abs=0.005)


@given(st.tuples(*[st.integers(0, 3_000)] * 3).filter(any))
@settings(deadline=None)
def test_adjusted_wald_holds_the_score_and_mirrors(case):
    promoters, _passives, detractors = case
    answers = sum(case)
    interval = adjusted_wald(promoters, detractors, answers)
    mirrored = adjusted_wald(detractors, promoters, answers)
    assert interval is not None
    assert mirrored is not None
    assert -100 <= interval.lower <= 100 * (promoters - detractors) / answers <= interval.upper <= 100
    assert (interval.lower, interval.upper) == pytest.approx((-mirrored.upper, -mirrored.lower))


def test_adjusted_wald_covers_the_truth_95_times_in_100():
    n, coverages = 25, []
    for up, down in [(0.5, 0.2), (0.3, 0.3), (0.7, 0.1), (0.1, 0.6), (0.4, 0.05)]:
        covered = 0.0
        for promoters in range(n + 1):
            for detractors in range(n + 1 - promoters):
                interval = adjusted_wald(promoters, detractors, n)
                assert interval is not None
                if interval.lower <= 100 * (up - down) <= interval.upper:
                    passives = n - promoters - detractors
                    ways = comb(n, promoters) * comb(n - promoters, detractors)
                    covered += ways * up**promoters * down**detractors * (1 - up - down) ** passives
        coverages.append(covered)
    assert fmean(coverages) == pytest.approx(0.95, abs=0.015)
    assert min(coverages) > 0.92


def test_a_mean_of_fewer_than_two_has_no_interval():
    assert normal(0, 0, 0) is None
    assert normal(1, 5, 25) is None


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=200))
@settings(deadline=None)
def test_normal_is_the_mean_and_its_sample_standard_error(amounts):
    interval = normal(len(amounts), sum(amounts), sum(amount * amount for amount in amounts))
    half = Z * stdev(amounts) / sqrt(len(amounts))
    mean = fmean(amounts)
    assert interval == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-3)


def test_squares_rounded_too_small_give_no_spread_instead_of_an_error():
    assert normal(2, 0.8, 0) == (0.4, 0.4)
