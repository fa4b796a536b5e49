"""Intervals checked at every answer are wrong as often as promised, and no more."""

import numpy as np
import pytest

from streamer.alerts.statistics.confidence import growing_z, rolling_z
from streamer.metrics.samples import skewed_z, skewness_of_share

MONTH = 6_000
SERIES, MONTHS = 250, 2


def alarms(beyond: np.ndarray, apart: int) -> int:
    """Count alarms by series; those more than `apart` answers from the one before."""
    found = 0
    for series in beyond:
        last = -apart
        for at in np.flatnonzero(series):
            if at >= last + apart:
                found, last = found + 1, at
    return found


def rolled(values: np.ndarray, window: int) -> np.ndarray:
    sums = np.cumsum(values, axis=1)
    return (sums[:, window:] - sums[:, :-window]) / window


def false_alarms(beyond: np.ndarray, window: int) -> float:
    return alarms(beyond, window) / (beyond.size / MONTH)


@pytest.mark.parametrize("window", [20, 50, 200])
def test_a_rolling_mean_on_target_alarms_as_often_as_promised(window: int) -> None:
    values = np.random.default_rng(1).normal(size=(SERIES, MONTHS * MONTH))
    z = rolling_z(window, MONTH)
    assert false_alarms(rolled(values, window) * window**0.5 > z, window) == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("least", [10, 50])
def test_a_mean_that_grows_with_the_day_alarms_as_often_as_promised(least: int) -> None:
    days, a_day = 30 * SERIES * MONTHS, 200
    sizes, values = np.arange(1, a_day + 1), np.random.default_rng(2).normal(size=(days, a_day))
    z = growing_z(least, a_day, MONTH)
    beyond = (np.cumsum(values, axis=1) / np.sqrt(sizes) > z)[:, least - 1 :]
    assert beyond.any(axis=1).sum() / (days / 30) == pytest.approx(1, rel=0.2)


def test_an_ordinary_interval_looked_at_all_the_time_alarms_far_more_often() -> None:
    values = np.random.default_rng(3).normal(size=(SERIES, MONTH))
    assert false_alarms(rolled(values, 30) * 30**0.5 > 1.96, 30) > 10


@pytest.mark.parametrize("share", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("window", [30, 100])
def test_a_share_on_target_does_not_alarm_more_often_than_promised(share: float, window: int) -> None:
    hits = np.random.default_rng(4).random((SERIES, MONTHS * MONTH)) < share
    found, skewness = rolled(hits.astype(float), window), skewness_of_share(share)
    z = rolling_z(window, MONTH)
    deviations = (found - share) / (share * (1 - share) / window) ** 0.5
    low, high = skewed_z(z, skewness, window), skewed_z(z, -skewness, window)
    assert false_alarms(deviations < -low, window) < 1.25
    assert false_alarms(deviations > high, window) < 1.25


def test_without_correction_for_skewness_a_high_share_would_alarm_too_often() -> None:
    hits = np.random.default_rng(4).random((SERIES, MONTHS * MONTH)) < 0.8
    deviations = (rolled(hits.astype(float), 30) - 0.8) / (0.16 / 30) ** 0.5
    assert false_alarms(deviations < -rolling_z(30, MONTH), 30) > 2


def test_fewer_looks_and_more_alarms_ask_for_less() -> None:
    assert rolling_z(30, MONTH) > rolling_z(200, MONTH) > rolling_z(200, MONTH / 10)
    assert growing_z(10, 200, MONTH) > growing_z(50, 200, MONTH) > growing_z(50, 200, MONTH / 10)
