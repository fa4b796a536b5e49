"""False alarms come as often as promised, with a rhythm of day and week that the rule has to learn."""

import numpy as np
import pytest

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.baseline import WEEK_H, fit_baseline
from streamer.alerts.detection.drop_evidence import DropEvidence, detect_drops
from streamer.alerts.detection.evidence_replay import OVER_SHARE
from streamer.alerts.detection.series import STEP_MS, MetricSeries
from streamer.events.counting_rules import HOUR
from tests.alerts.simulated import only, rhythm

LEARNED_H, DAYS, STEPS = 56 * 24, 30, HOUR // STEP_MS
RATES = np.array([rhythm(hour) for hour in range(24)])
SCORES = np.array([-1.0, 0.0, 1.0])


def chances(swing: float) -> np.ndarray:
    """Return class probabilities by hour of the week: worse at night and on weekends."""
    hours = np.arange(WEEK_H)
    found = np.tile([0.2, 0.3, 0.5], (WEEK_H, 1))
    moved = swing * np.cos(2 * np.pi * hours / 24) / 2 + swing / 4 * (hours >= 5 * 24)
    found[:, 0] += moved
    found[:, 2] -= moved
    return found


def simulated(series: int, a_day: float, swing: float, seed: int) -> MetricSeries:
    chance, shares = np.random.default_rng(seed), chances(swing)
    keys = [str(number) for number in range(series)]

    def counted(hours: np.ndarray, steps: int) -> np.ndarray:
        several = chance.poisson(a_day / 24 / steps * RATES[hours % 24, None], (len(hours), series))
        return chance.multinomial(several, shares[hours][:, None])

    learned = np.arange(LEARNED_H) % WEEK_H
    usual = fit_baseline(counted(learned, 1), np.repeat(learned[:, None], series, axis=1))
    hours = np.arange(DAYS * 24 * STEPS) // STEPS % WEEK_H
    starts, clock = np.arange(len(hours)) * STEP_MS, np.repeat(hours[:, None], series, axis=1)
    scores = np.tile(SCORES, (series, 1))
    counts, at = counted(hours, STEPS), int(starts[-1])
    return MetricSeries("nps_score", keys, at, starts, counts, clock, scores, 100 * scores, usual, 0)


def rule(**given: object) -> AlertRule:
    (found,) = load_alert_rules(only(one={"kind": "drop", "metric": "nps_score", **given}))
    return found


def alarms(found: DropEvidence) -> int:
    number = 0
    for evidence, line in zip(found.evidence.T, found.lines, strict=True):
        armed = True
        for one in evidence[(evidence >= line) | (evidence < OVER_SHARE * line)]:
            number += armed and one >= line
            armed = one < OVER_SHARE * line
    return number


@pytest.mark.parametrize("swing", [0.0, 0.1])
def test_false_alarms_come_as_often_as_promised(swing: float) -> None:
    """Evidence begins with nothing: the first third is left out."""
    series, promised = simulated(200, 200, swing, seed=7), 3.0
    found, warm = detect_drops(series, rule(false_alarms=promised)), len(series.starts) // 3
    seen = series.counts[warm:].sum(axis=(0, 2)) / series.baseline.a_month
    expected = promised * float(seen.sum())
    assert expected > 390
    assert alarms(found._replace(evidence=found.evidence[warm:])) == pytest.approx(expected, rel=0.2)


def test_200_series_that_share_a_budget_ring_together_as_often_as_promised() -> None:
    """Not 200 times as often. What is not known of the baseline weighs more, the surer one must be."""
    series, promised = simulated(200, 200, 0.1, seed=8), 12.0
    found = detect_drops(series, rule(false_alarms=promised, shared=True))
    assert alarms(found) < 2 * promised * DAYS / 30.44
    alone = detect_drops(series, rule(false_alarms=promised / 4))
    assert alarms(alone) > 20 * alarms(found)


def test_what_depends_on_each_other_counts_for_less() -> None:
    series = simulated(20, 200, 0.0, seed=9)
    thrice = series._replace(
        counts=3 * series.counts, baseline=fit_baseline(*_learned(20, times=3))
    )  # each answer comes with two that say the same
    found = detect_drops(thrice, rule(false_alarms=1))
    assert thrice.baseline.spread == pytest.approx(3, rel=0.35)
    assert alarms(found) < 3 * 20 * DAYS / 30.44
    blind = thrice._replace(baseline=thrice.baseline._replace(spread=np.ones(20)))
    assert alarms(detect_drops(blind, rule(false_alarms=1))) > 5 * max(alarms(found), 1)


def _learned(series: int, times: int) -> tuple[np.ndarray, np.ndarray]:
    chance, hours = np.random.default_rng(10), np.arange(LEARNED_H) % WEEK_H
    several = chance.poisson(200 / 24 * RATES[hours % 24, None], (LEARNED_H, series))
    counts = times * chance.multinomial(several, [0.2, 0.3, 0.5])
    return counts, np.repeat(hours[:, None], series, axis=1)
