"""Dependent observations, such as waits in a queue, count for less, and raise no more false alarms."""

import numpy as np
import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.baseline import WEEK_H, fit_baseline
from streamer.alerts.detection.dependence import learn_baseline
from tests.alerts.queueing import waited
from tests.alerts.running_center import STEPS, RunningCenter, run_center
from tests.alerts.simulated import only

SCORES = np.array([1.0, 0.0])
HOURS = np.arange(56 * 24)


def clock(groups: int) -> np.ndarray:
    return np.repeat((HOURS % WEEK_H)[:, None], groups, axis=1)


def hourly(counts: np.ndarray) -> np.ndarray:
    return counts[: len(HOURS) * STEPS].reshape(-1, STEPS, *counts.shape[1:]).sum(axis=1, dtype=np.int64)


def test_what_does_not_depend_on_each_other_is_worth_as_much_as_it_is() -> None:
    chance = np.random.default_rng(4)
    counts = chance.multinomial(chance.poisson(8, (len(HOURS), 40)), [0.8, 0.2])
    usual = learn_baseline(counts, clock(40), np.tile(SCORES, (40, 1)))
    assert np.median(usual.spread) < 1.02
    assert usual.spread.mean() < 1.1


@pytest.mark.parametrize(("busier", "least"), [(0.0, 1.3), (0.2, 2.5)])
def test_who_waits_together_counts_for_less_the_more_on_busy_days(busier: float, least: float) -> None:
    counts = hourly(waited(12, 0, seed=5, swing=busier).level)
    usual = learn_baseline(counts, clock(12), np.tile(SCORES, (12, 1)))
    assert np.median(usual.spread) > least
    assert (usual.spread >= fit_baseline(counts, clock(12)).spread).all()


@pytest.mark.parametrize("metric", ["service_level_ratio", "abandon_ratio"])
def test_a_queue_that_is_congested_now_and_then_rings_no_more_often_than_promised(metric: str) -> None:
    """Within 20 % and three standard deviations of a Poisson number."""
    queue, promised = waited(30, 5, seed=6), 3.0
    counts = queue.level if metric == "service_level_ratio" else queue.abandoned
    (rule,) = load_alert_rules(only(one={"kind": "drop", "metric": metric, "false_alarms": promised}))
    life = run_center(RunningCenter(counts, counts, SCORES), rule)
    expected = promised * life.months
    assert expected > 10
    assert life.alert_count() < 1.2 * expected + 3 * expected**0.5
