"""The baseline of an hour is shrunk towards the wider mean as far as necessary, and no further."""

import numpy as np
import pytest

from streamer.alerts.detection.baseline import (
    MONTH_H,
    WEEK_H,
    class_probabilities,
    fit_baseline,
    shrink_towards,
)
from streamer.alerts.statistics.evidence import LEAST_PROBABILITY

HOURS = np.tile(np.arange(WEEK_H), 8)[:, None]
NIGHT = (np.arange(WEEK_H) % 24 < 6)[:, None, None]


def counted(shares: np.ndarray, several: int, seed: int = 1) -> np.ndarray:
    """Eight weeks of one group, shares WEEK × C."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(several, np.tile(shares, (8, 1)))[:, None]


def test_hours_that_are_alike_are_taken_for_one() -> None:
    flat = np.tile([0.2, 0.8], (WEEK_H, 1))
    usual = fit_baseline(counted(flat, 10), HOURS)
    raw = counted(flat, 10).reshape(8, WEEK_H, 2).sum(axis=0) / 80
    assert np.abs(usual.by_hour[0] - flat).max() < 0.05 < np.abs(raw - flat).max()


def test_hours_that_differ_are_told_apart() -> None:
    shares = np.where(NIGHT[:, 0], [0.6, 0.4], [0.2, 0.8])
    usual = fit_baseline(counted(shares, 50), HOURS)
    assert np.abs(usual.by_hour[0] - shares).mean() < 0.02
    assert usual.mean[0] == pytest.approx([0.3, 0.7], abs=0.01)


def test_an_hour_that_nothing_came_in_is_as_its_day_lets_expect() -> None:
    counts = counted(np.where(NIGHT[:, 0], [0.6, 0.4], [0.2, 0.8]), 50)
    counts[3 * 24 + 12 :: WEEK_H] = 0
    assert fit_baseline(counts, HOURS).by_hour[0, 3 * 24 + 12] == pytest.approx([0.2, 0.8], abs=0.06)


def test_of_much_that_differs_each_has_its_own() -> None:
    counts = np.array([[[900, 100], [100, 900]]])
    found, weight = shrink_towards(counts, np.full((1, 2, 2), 0.5))
    assert found[0, 0] == pytest.approx([0.9, 0.1], abs=0.01)
    assert weight[0] < 10


def test_of_what_chance_explains_all_have_much_the_same() -> None:
    """Not just the same: two hours are too few to know that hours do not differ."""
    two, _ = shrink_towards(np.array([[[51, 49], [50, 50]]]), np.full((1, 2, 2), 0.5))
    many, weight = shrink_towards(np.tile([[51, 49], [49, 51]], (1, 84, 1)), np.full((1, 168, 2), 0.5))
    assert abs(two[0, 0, 0] - 0.5) < 0.007
    assert abs(many[0, 0, 0] - 0.5) < 0.003
    assert weight[0] > 300


def test_no_class_is_impossible_and_nothing_is_known_of_nothing() -> None:
    assert class_probabilities(np.array([100, 0])).min() == pytest.approx(LEAST_PROBABILITY, rel=0.01)
    assert class_probabilities(np.array([0, 0])) == pytest.approx(0.5)


def test_what_is_rare_is_not_thought_impossible_where_it_was_not_seen_yet() -> None:
    """One contact an hour for four weeks, of which one in fifty: some hours of the day have seen none."""
    counts = np.random.default_rng(1).multinomial(1, [0.02, 0.98], 4 * WEEK_H)[:, None]
    usual = fit_baseline(counts, HOURS[: 4 * WEEK_H])
    hours = counts.reshape(-1, 24, 2)[..., 0].sum(axis=0)
    around = hours + np.roll(hours, 1) + np.roll(hours, -1)
    assert (around == 0).any()
    assert usual.by_hour[0, :, 0].min() > usual.mean[0, 0] / 20


def test_rates_are_those_of_the_hour_and_vary_by_chance_alone_or_more() -> None:
    chance, mean = np.random.default_rng(2), np.where(np.arange(WEEK_H) % 24 < 8, 1.0, 20.0)
    even = chance.poisson(np.tile(mean, 8))
    uneven = chance.poisson(np.tile(mean, 8) * chance.gamma(2, 1 / 2, 8 * WEEK_H))
    found = fit_baseline(np.stack([even, uneven], axis=1)[..., None], np.repeat(HOURS, 2, axis=1))
    assert found.rates[0].mean() == pytest.approx(mean.mean(), rel=0.05)
    assert found.rates[0, :8].max() < 3 < found.rates[0, 8:24].min()
    assert found.shape[0] > 20
    assert found.shape[1] == pytest.approx(2, rel=0.4)
    assert found.a_month[0] == pytest.approx(mean.mean() * MONTH_H, rel=0.05)


def test_answers_that_do_not_know_of_each_other_have_no_more_spread_than_chance() -> None:
    flat = np.tile([0.2, 0.8], (WEEK_H, 1))
    assert fit_baseline(counted(flat, 10), HOURS).spread[0] < 1.05
    assert fit_baseline(4 * counted(flat, 10), HOURS).spread[0] == pytest.approx(4, rel=0.5)
