"""Classes say the same as the metric: the mean of their values is its value, their number its support."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.alerts.statistics.observation_classes import (
    BINS,
    bucket_by_number,
    cut_bins,
    event_classes,
    metric_classes,
)
from streamer.metrics.catalogue import CATALOGUE, evaluate_metric
from streamer.metrics.formulas import ObservationClasses, ReadingContext, TallyCounts
from streamer.metrics.tally import BUCKETS, COUNTS, FIRST_BUCKET_OF, NUMBER, bucket

PLAIN = [
    name for name, metric in CATALOGUE.items() if (found := metric_classes(metric)) and not found.duration
]


def counted(found: ObservationClasses, tally: dict[int, int]) -> np.ndarray:
    raw = np.array([tally.get(NUMBER[name], 0) for name in found.counts])
    return raw @ np.array(found.weights)


@st.composite
def tallies(draw: st.DrawFn) -> dict[int, int]:
    """Draw tallies in which a part is at most the whole."""
    tally = {NUMBER[name]: draw(st.integers(0, 50)) for name in COUNTS if name.rsplit("_", 1)[-1].isdigit()}
    for name in ("answered", "abandoned", "transferred", "own_level_hits", "first_yes", "first_no"):
        tally[NUMBER[name]] = draw(st.integers(0, 50))
    for part, whole in (("disposed_resolved", "disposed"), ("fcr_repeats", "fcr_contacts")):
        tally[NUMBER[part]] = draw(st.integers(0, 50))
        tally[NUMBER[whole]] = tally[NUMBER[part]] + draw(st.integers(0, 50))
    tally[NUMBER["answered"]] += tally[NUMBER["transferred"]]
    tally[NUMBER["offered"]] = tally[NUMBER["answered"]] + tally[NUMBER["abandoned"]]
    tally[NUMBER["own_level_of"]] = tally[NUMBER["own_level_hits"]] + draw(st.integers(0, 50))
    return tally


@pytest.mark.parametrize("name", PLAIN)
@given(tally=tallies())
def test_the_mean_of_values_is_the_metric(name: str, tally: dict[int, int]) -> None:
    metric = CATALOGUE[name]
    found = metric_classes(metric)
    assert found is not None
    counts, figure = (
        counted(found, tally),
        evaluate_metric(metric, "", TallyCounts(tally), ReadingContext(window_s=0)),
    )
    assert counts.min() >= 0
    assert counts.sum() == figure.support
    if figure.value is not None:
        assert counts @ np.array(found.values) / counts.sum() == pytest.approx(figure.value)


@pytest.mark.parametrize("name", PLAIN)
def test_a_better_class_has_a_higher_score(name: str) -> None:
    found, metric = metric_classes(CATALOGUE[name]), CATALOGUE[name]
    assert found is not None
    values = [value if metric.better == "higher" else -value for value in found.values]
    assert np.argsort(values).tolist() == np.argsort(found.scores).tolist()


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("nps_score", True),
        ("abandon_ratio", True),
        ("handle_time_seconds", True),
        ("effort_score", True),
        ("qa_score", False),
        ("contacts", False),
        ("fcr_ratio", False),
        ("fcr_final_ratio", False),
        ("response_ratio", False),
        ("value_mean", False),
        ("workload_erlangs", False),
    ],
)
def test_what_tells_of_now_and_observation_by_observation_has_classes(name: str, has: bool) -> None:
    assert (metric_classes(CATALOGUE[name]) is not None) is has


def test_a_count_counts_its_events() -> None:
    found = event_classes(CATALOGUE["detractors"])
    assert found is not None
    assert counted(found, {NUMBER["nps_0"]: 2, NUMBER["nps_6"]: 3, NUMBER["nps_7"]: 9}).tolist() == [5]
    assert event_classes(CATALOGUE["nps_score"]) is None


def test_bins_were_equally_likely_and_longer_ones_are_worse() -> None:
    seconds = np.random.default_rng(1).lognormal(5.5, 0.5, 50_000)
    histogram = np.bincount([bucket(round(1000 * one)) for one in seconds], minlength=BUCKETS)
    found = cut_bins(np.stack([histogram, np.zeros(BUCKETS, np.int64)]))
    shares = np.bincount(found.bin_by_bucket[0], histogram, BINS) / len(seconds)
    assert shares == pytest.approx(1 / BINS, abs=0.03)
    assert (np.diff(found.scores[0]) < 0).all()
    assert shares @ found.values[0] == pytest.approx(seconds.mean(), rel=0.02)


def test_a_histogram_is_found_by_its_numbers() -> None:
    found = metric_classes(CATALOGUE["wait_time_seconds"])
    assert found is not None
    places = bucket_by_number(found)
    assert places[FIRST_BUCKET_OF["wait"]] == 0
    assert places[FIRST_BUCKET_OF["wait"] + BUCKETS - 1] == BUCKETS - 1
    assert (places >= 0).sum() == BUCKETS
