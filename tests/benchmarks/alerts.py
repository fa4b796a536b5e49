"""Measure how soon a drop is noticed, and at how many false alarms: by us, by a threshold, at best.

Run as `python -m tests.benchmarks.alerts`; prints JSON, and a chart on standard error. All at one false alarm
per series and month of 200 answers a day:

- ours is told neither the drop nor the baseline, which it learns from eight weeks before, hour by hour;
- threshold is a rolling mean of the last n answers below a limit, tuned to that rate on data of its own; of
  all n tried, the one that is quickest to see this very drop at the median. Means of few answers lie on a
  grid, so that no limit has just that rate: those on the limit ring by lot. Of handle times it is the mean
  in seconds;
- optimum is a CUSUM that is told the true distributions before and after (Moustakides 1986: nothing can be
  faster at that rate, in the worst case; on the mean of delays, not on their median).

Delays are in answers after the drop, of those who did not ring just then, after a long while without one.
`se`: standard errors, of medians and quantiles by resampling.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.alerts.detection import dependence
from streamer.alerts.detection.baseline import WEEK_H, Baseline
from streamer.alerts.detection.evidence_replay import ReplayState
from streamer.alerts.detection.likelihood import DropLikelihoods
from streamer.alerts.statistics.evidence import Floats, decision_line, tilt_distribution

DAY: Final = 200
MONTH: Final = 30 * DAY
LEARNED_H: Final = 56 * 24
WINDOWS: Final = (20, 30, 50, 100, 200, 400)
WARM: Final = 1_500
BINS: Final = 12
FINE: Final = 20
"""Of which a bin is made: optimum and threshold see more of a handle time than its bin."""
TUNED: Final = 500
LOT: Final = 0.02
"""Of the grid that scores lie on."""
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Center(NamedTuple):
    """Answers by class: before and after the drop, their scores, and what a threshold is the mean of. `bins`:
    the class that we see."""

    before: Floats
    after: Floats
    scores: Floats
    means: Floats
    bins: Integers

    def draw(self, chance: np.random.Generator, after: bool, *shape: int) -> Integers:
        classes = np.cumsum(self.after if after else self.before)
        return np.searchsorted(classes, chance.random(shape)).clip(max=len(classes) - 1)


def moved(before: Floats, scores: Floats, to: float) -> Floats:
    """The tilted distribution with this mean."""
    low, high = 0.0, 5.0
    for _ in range(60):
        distance = (low + high) / 2
        found = tilt_distribution(before, scores, distance)
        low, high = (distance, high) if found @ scores > to else (low, distance)
    return found


def nps(points: float) -> Center:
    before, scores = np.array([0.2, 0.3, 0.5]), np.array([-1.0, 0.0, 1.0])
    return Center(before, moved(before, scores, 0.3 - points / 100), scores, scores, np.arange(3))


def csat() -> Center:
    scores = np.array([0.0, 1.0])
    return Center(np.array([0.15, 0.85]), np.array([0.25, 0.75]), scores, scores, np.arange(2))


def handle_time(share: float, spread: float = 0.6) -> Center:
    """Lognormal, in classes equally likely before."""
    number, normal = BINS * FINE, NormalDist()
    edges = [normal.inv_cdf(at / number) for at in range(1, number)]
    later = np.log1p(share) / spread
    after = np.diff([0.0, *(normal.cdf(edge - later) for edge in edges), 1.0])
    logs = spread * np.array([normal.inv_cdf((at + 0.5) / number) for at in range(number)])
    bins = np.arange(number) // FINE
    scores = -np.array([logs[bins == one].mean() for one in range(BINS)])
    return Center(np.full(number, 1 / number), after, scores, -np.exp(logs), bins)


CENTERS: Final[Mapping[str, Callable[[], Center]]] = {
    "NPS 30 to 20": lambda: nps(10),
    "NPS 30 to 10": lambda: nps(20),
    "NPS 30 to 0": lambda: nps(30),
    "CSAT 85 % to 75 %": csat,
    "AHT +20 %": lambda: handle_time(0.2),
}


class Found(NamedTuple):
    """Answers until it is noticed, by series; false alarms for each that was promised."""

    delays: Integers
    false_alarms: float
    expected: float


class Step(NamedTuple):
    """`take` one answer of each series: where an alarm is due. `rings`: where one lasts."""

    take: Callable[[Integers], Bools]
    rings: Callable[[], Bools | bool] = lambda: False


def watched(step: Step, center: Center, series: int, months: float, seed: int) -> Found:
    chance, steps, alarms = np.random.default_rng(seed), round(months * MONTH), 0
    for number in range(WARM + steps):
        due = step.take(center.draw(chance, False, series))
        alarms += int(due.sum()) if number >= WARM else 0
    delays, waits = np.zeros(series, np.int64), ~(np.zeros(series, np.bool_) | step.rings())
    for number in range(1, 50 * DAY):
        due = step.take(center.draw(chance, True, series))
        delays[due & (delays == 0)] = number
        if delays[waits].all():
            break
    expected = series * steps / MONTH
    return Found(delays[waits], alarms / expected, expected)


def learned(center: Center, series: int, chance: np.random.Generator) -> Baseline:
    shares = np.bincount(center.bins, center.before)
    hours = np.tile(np.arange(LEARNED_H)[:, None] % WEEK_H, (1, series))
    counts = chance.multinomial(chance.poisson(DAY / 24, hours.shape), shares)
    return dependence.learn_baseline(counts, hours, np.tile(center.scores, (series, 1)))


def ours(center: Center, series: int, seed: int) -> Step:
    """The replay of `streamer.alerts`, answer by answer, in parts that fit the memory."""
    chance, parts = np.random.default_rng(seed), np.array_split(np.arange(series), -(-series // 250))
    steps = [_ours(center, len(part), chance) for part in parts]
    ends = np.cumsum([len(part) for part in parts])[:-1]

    def take(seen: Integers) -> Bools:
        return np.concatenate([one.take(part) for one, part in zip(steps, np.split(seen, ends), strict=True)])

    return Step(take, lambda: np.concatenate([one.rings() for one in steps]))


def _ours(center: Center, series: int, chance: np.random.Generator) -> Step:
    usual, scores = learned(center, series, chance), np.tile(center.scores, (series, 1))
    tilts, course, one, number = (
        DropLikelihoods.from_baseline(usual, scores),
        ReplayState(series),
        np.ones(series, np.int64),
        0,
    )
    lines = np.array([decision_line(*given, MONTH) for given in zip(usual.mean, scores, strict=True)])
    shifted = scores[0] - scores[0].min()

    def take(seen: Integers) -> Bools:
        nonlocal number
        hours, before = np.full(series, number * 24 // DAY % WEEK_H), course.firing
        logs = (
            -tilts.strength * shifted[center.bins[seen]][:, None]
            - tilts.log_norms[course.group_indexes, hours]
        )
        more = course.advance(hours, one, usual, tilts)
        course.weigh(number, (logs - more / 2) / usual.spread[:, None], one, lines)
        number += 1
        return course.firing & ~before

    return Step(take, lambda: course.firing)


def cusum(center: Center, series: int, decision: float) -> Step:
    logs, total = np.log(center.after / center.before), np.zeros(series)

    def take(seen: Integers) -> Bools:
        nonlocal total
        total = np.maximum(total, 0.0) + logs[seen]
        due: Bools = total >= decision
        total[due] = 0.0
        return due

    return Step(take)


def threshold(center: Center, series: int, size: int, limit: float) -> Step:
    ring, sums, number = np.zeros((size, series)), np.zeros(series), 0
    since, lots = np.zeros(series, np.int64), np.random.default_rng(size)

    def take(seen: Integers) -> Bools:
        nonlocal number, sums
        new = center.means[seen] + LOT * (lots.random(series) - 0.5)
        sums += new - ring[number % size]
        ring[number % size] = new
        number, since[:] = number + 1, since + 1
        due: Bools = (since >= size) & (sums / size < limit)
        since[due] = 0  # a window of its own for each alarm
        return due

    return Step(take)


def tuned(make: Callable[[float], Step], center: Center, low: float, high: float) -> float:
    """The parameter at which false alarms come once a month; they become fewer from low to high."""
    for _ in range(16):
        middle, chance, alarms = (low + high) / 2, np.random.default_rng(17), 0
        step = make(middle)
        for number in range(WARM // 3 + MONTH):
            due = step.take(center.draw(chance, False, TUNED))
            alarms += int(due.sum()) if number >= WARM // 3 else 0
        low, high = (middle, high) if alarms > TUNED else (low, middle)
    return high


def others(center: Center, series: int) -> Iterator[tuple[str, Step]]:
    decision = tuned(lambda one: cusum(center, TUNED, one), center, 0.5, 12.0)
    yield "optimum", cusum(center, series, decision)
    mean = center.before @ center.means
    spread = np.sqrt(center.before @ (center.means - mean) ** 2)
    for size in WINDOWS:
        low, high = (mean - far * spread / np.sqrt(size) for far in (1.0, 6.0))
        limit = tuned(lambda one, n=size: threshold(center, TUNED, n, one), center, low, high)  # type: ignore[misc]
        yield f"threshold of the last {size}", threshold(center, series, size, limit)


def _quantile_error(delays: Integers, share: float) -> float:
    chance = np.random.default_rng(1)
    again = chance.choice(delays, (300, len(delays)))
    return round(float(np.quantile(again, share, axis=1).std()), 1)


def told(found: Found) -> dict[str, Any]:
    return {
        "median": float(np.median(found.delays)),
        "p90": float(np.quantile(found.delays, 0.9)),
        "mean": round(float(found.delays.mean()), 1),
        "se": {"median": _quantile_error(found.delays, 0.5), "p90": _quantile_error(found.delays, 0.9)},
        "false_alarms_to_promised": round(found.false_alarms, 3),
        "false_alarms_expected": round(found.expected),
        "false_alarms_se": round(found.expected**-0.5, 3),
    }


def compared(center: Center, series: int, months: float, seed: int) -> dict[str, Any]:
    detectors = {"ours": ours(center, series, seed), **dict(others(center, series))}
    found = {name: watched(step, center, series, months, seed + 1) for name, step in detectors.items()}
    rolling = [name for name in found if name.startswith("threshold")]
    best = min(rolling, key=lambda name: float(np.median(found[name].delays)))
    mine, optimum, other = (told(found[name]) for name in ("ours", "optimum", best))
    return {
        "ours": mine,
        "threshold": {"which": best, **other},
        "optimum": optimum,
        "to_optimum": {key: round(mine[key] / optimum[key], 3) for key in ("median", "mean", "p90")},
        "to_threshold": {key: round(mine[key] / other[key], 3) for key in ("median", "mean", "p90")},
    }


def chart(found: Mapping[str, Any]) -> str:
    """Median and 90th percentile of the delays, side by side."""
    widest = max(one[name]["p90"] for one in found.values() for name in ("ours", "threshold", "optimum"))
    lines = []
    for drop, one in found.items():
        lines.append(drop)
        for name in ("optimum", "ours", "threshold"):
            median, p90 = (round(60 * one[name][key] / widest) for key in ("median", "p90"))
            bar = "█" * median + "░" * (p90 - median)
            lines.append(f"  {name:9} {bar} {one[name]['median']:.0f}, {one[name]['p90']:.0f} answers")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.alerts")
    parser.add_argument("--series", type=int, default=1_500)
    parser.add_argument("--months", type=float, default=0.3, help="stable time of each series")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = {name: compared(make(), given.series, given.months, given.seed) for name, make in CENTERS.items()}
    print(chart(found), file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
