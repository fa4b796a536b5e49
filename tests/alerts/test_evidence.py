"""Evidence of a drop keeps what it promises: as many false alarms as were asked for, and no more."""

from itertools import product

import numpy as np
import pytest

from streamer.alerts.statistics.evidence import (
    DROP_DISTANCES,
    LEAST_PROBABILITY,
    Floats,
    ShiryaevRoberts,
    decision_line,
    log_ratios,
    smooth_probabilities,
    tilt_distribution,
)

NPS = smooth_probabilities(np.array([0.2, 0.3, 0.5])), np.array([-1.0, 0.0, 1.0])
CSAT = smooth_probabilities(np.array([0.15, 0.85])), np.array([0.0, 1.0])
HANDLE = smooth_probabilities(np.full(10, 0.1)), -np.arange(10.0)
SERIES = [NPS, CSAT, HANDLE]
NAMES = ["nps", "csat", "handle time"]


def one_hot(classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.int64)


@pytest.mark.parametrize(("baseline", "scores"), SERIES, ids=NAMES)
@pytest.mark.parametrize("distance", DROP_DISTANCES)
def test_a_drop_lies_where_it_is_said_to_and_is_worse(
    baseline: Floats, scores: Floats, distance: float
) -> None:
    drop = tilt_distribution(baseline, scores, distance)
    assert drop.sum() == pytest.approx(1)
    assert drop @ np.log(drop / baseline) == pytest.approx(distance)
    assert drop @ scores < baseline @ scores


def test_of_a_baseline_that_could_hardly_be_worse_no_answer_is_evidence() -> None:
    baseline = smooth_probabilities(np.array([1.0, 0.0]))
    assert 0 < baseline[1] < 2 * LEAST_PROBABILITY
    assert np.abs(log_ratios(baseline, np.array([0.0, 1.0]))[:, 0]).max() < 0.001


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 2), (1, 3), (3, 1)])
def test_while_nothing_changes_the_mean_is_the_number_of_observations(sizes: tuple[int, ...]) -> None:
    baseline, scores = NPS
    logs, mean = log_ratios(baseline, scores), 0.0
    for seen in product(range(3), repeat=sum(sizes)):
        evidence, at = ShiryaevRoberts(), 0
        for size in sizes:
            evidence.add(logs, one_hot(3)[list(seen[at : at + size])].sum(axis=0))
            at += size
        mean += float(np.prod(baseline[list(seen)]) * np.exp(evidence.log_value()))
    assert mean == pytest.approx(sum(sizes))


def test_nothing_that_came_in_is_no_evidence() -> None:
    evidence, logs = ShiryaevRoberts(), log_ratios(*NPS)
    evidence.add(logs, np.array([3, 0, 0]))
    before = evidence.log_value()
    evidence.add(logs, np.array([0, 0, 0]))
    assert evidence.log_value() == before


@pytest.mark.parametrize(("baseline", "scores"), SERIES, ids=NAMES)
def test_false_alarms_are_as_many_as_promised(baseline: Floats, scores: Floats) -> None:
    promised, series, steps = 1_500, 1_000, 1_500
    chance, evidence, alarms = np.random.default_rng(7), ShiryaevRoberts(series), 0
    logs, decision = log_ratios(baseline, scores), decision_line(baseline, scores, promised)
    classes = np.cumsum(baseline)
    for _ in range(steps):
        seen = np.searchsorted(classes, chance.random(series)).clip(max=len(baseline) - 1)
        evidence.add(logs[None], one_hot(len(baseline))[seen])
        due = evidence.log_value() >= decision
        alarms += int(due.sum())
        evidence.reset(due)
    expected = series * steps / promised
    assert expected >= 400
    assert alarms == pytest.approx(expected, rel=0.2)
