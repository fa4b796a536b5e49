"""An interval lies beyond a target that is just met as often as promised, and not more."""

import numpy as np
import pytest

from streamer.alerts.statistics.confidence import rolling_z
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.formulas import TallyCounts
from streamer.metrics.intervals import wilson
from streamer.metrics.samples import MeanSample, MetricSample, NetScoreSample, ProportionSample
from streamer.metrics.tally import NUMBER

MONTH, SERIES, WINDOW = 2_000, 400, 40
Z95 = 1.959963984540054


def rolled(values: np.ndarray) -> np.ndarray:
    sums = np.cumsum(values, axis=1)
    return sums[:, WINDOW:] - sums[:, :-WINDOW]


def episodes(beyond: np.ndarray) -> float:
    """A month and series; those close together are one."""
    found = 0
    for series in beyond:
        last = -WINDOW
        for at in np.flatnonzero(series):
            found, last = (found + 1, at) if at >= last + WINDOW else (found, last)
    return found / (beyond.size / MONTH)


@pytest.mark.parametrize("shares", [(0.2, 0.3, 0.5), (0.35, 0.3, 0.35), (0.1, 0.1, 0.8)])
def test_a_net_score_on_target_is_missed_as_often_as_promised_at_most(shares: tuple[float, ...]) -> None:
    seen = np.random.default_rng(3).choice(3, p=shares, size=(SERIES, 2 * MONTH))
    up, down, z = rolled(seen == 2), rolled(seen == 0), rolling_z(WINDOW, MONTH)
    target = 100 * (shares[2] - shares[0])
    ends = {
        pair: NetScoreSample(*pair, WINDOW).bounds(z, target).upper
        for pair in set(zip(up.ravel().tolist(), down.ravel().tolist(), strict=True))
    }
    upper = np.array([ends[pair] for pair in zip(up.ravel().tolist(), down.ravel().tolist(), strict=True)])
    found = episodes((upper < target - 1e-9).reshape(up.shape))
    assert 0.4 < found < 1.2


def test_a_share_on_target_is_missed_as_often_as_promised_at_most() -> None:
    hits, z = np.random.default_rng(4).random((SERIES, 2 * MONTH)) < 0.8, rolling_z(WINDOW, MONTH)
    upper = np.array([ProportionSample(number, WINDOW).bounds(z, 0.8).upper for number in range(WINDOW + 1)])
    assert 0.4 < episodes(upper[rolled(hits)] < 0.8) < 1.2


def test_a_handle_time_on_target_is_missed_as_often_as_promised_at_most() -> None:
    seconds, z = np.random.default_rng(5).lognormal(5, 0.5, (SERIES, 2 * MONTH)), rolling_z(WINDOW, MONTH)
    totals, squares, mean = rolled(seconds), rolled(seconds**2), float(np.exp(5.125))
    lower = [
        MeanSample(WINDOW, *one).bounds(z, mean).lower
        for one in zip(totals.ravel().tolist(), squares.ravel().tolist(), strict=True)
    ]
    assert episodes((np.array(lower) > mean).reshape(totals.shape)) < 1.2


@pytest.mark.parametrize(
    "one", [ProportionSample(15, 20), NetScoreSample(10, 5, 20), MeanSample(20, 90, 420)]
)
def test_an_interval_holds_what_was_seen_and_is_wider_the_surer(one: MetricSample) -> None:
    near, wide = one.bounds(2, one.value), one.bounds(4, one.value)
    assert wide.lower < near.lower < one.value < near.upper < wide.upper


def test_of_a_target_without_skewness_a_share_has_wilsons_interval() -> None:
    assert ProportionSample(15, 20).bounds(Z95, 0.5) == pytest.approx(wilson(15, 20))


def test_of_a_single_value_nobody_knows_the_spread() -> None:
    assert MeanSample(1, 5, 25).bounds(2, 4) == (-float("inf"), float("inf"))


@pytest.mark.parametrize(
    ("metric", "counts", "expected"),
    [
        ("nps_score", {"nps_10": 3, "nps_8": 2, "nps_0": 1}, NetScoreSample(3, 1, 6)),
        ("csat_ratio", {"csat_5": 3, "csat_4": 1, "csat_1": 1}, ProportionSample(4, 5)),
        ("csat_mean", {"csat_5": 2, "csat_1": 1}, MeanSample(3, 11, 51)),
        ("handle_time_seconds", {"handle_n": 2, "handle_ms": 3_000, "handle_s2": 5}, MeanSample(2, 3.0, 5)),
        ("qa_score", {"qa": 2, "qa_sum": 16_000, "qa_squares": 12_850}, MeanSample(2, 160.0, 12_850)),
        ("contacts", {"contacts": 3}, None),
    ],
)
def test_a_sample_is_what_the_metric_is_the_mean_of(
    metric: str, counts: dict[str, int], expected: MetricSample | None
) -> None:
    tally = {NUMBER[name]: amount for name, amount in counts.items()}
    mean = CATALOGUE[metric].formula.mean
    found = mean and mean.sample(TallyCounts(tally))
    assert found == expected
    if found is not None:
        figure = CATALOGUE[metric].measure.formulas[CATALOGUE[metric].stats[0]]
        assert type(found) is type(expected)
        assert found.value == pytest.approx(figure(TallyCounts(tally), None).value)  # type: ignore[arg-type]
