"""Here is how soon a drop is noticed, and at how many false alarms: by us, by a threshold, at best.

Run as `python -m tests.benchmarks.alerts`; prints JSON, and a chart on standard error. All at one false alarm
per series and month of 200 answers a day:

- ours is told neither the drop nor the baseline, which it learns from eight weeks before;
- threshold is a rolling mean of the last n answers below a limit, tuned to that rate on data of its own; of
  all n tried, the one that is quickest to see this very drop at the median;
- optimum is a CUSUM that is told the true distributions before and after (Moustakides 1986: nothing can be
  faster at that rate, in the worst case).

Delays are in answers after the drop, from a state in which no alarm was due for a long while.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.alerts.evidence import Evidence, Floats, line, ratios, smoothed, tilted

DAY: Final = 200
MONTH: Final = 30 * DAY
LEARNED: Final = 56 * DAY
WINDOWS: Final = (20, 30, 50, 100, 200, 400)
WARM: Final = 1_500
BINS: Final = 12
Integers = NDArray[np.int64]


class Center(NamedTuple):
    """Answers by class: before and after the drop, and their scores."""

    before: Floats
    after: Floats
    scores: Floats

    def draw(self, chance: np.random.Generator, after: bool, *shape: int) -> Integers:
        classes = np.cumsum(self.after if after else self.before)
        return np.searchsorted(classes, chance.random(shape)).clip(max=len(classes) - 1)


def moved(before: Floats, scores: Floats, to: float) -> Floats:
    """The tilted distribution with this mean."""
    low, high = 0.0, 5.0
    for _ in range(60):
        distance = (low + high) / 2
        found = tilted(before, scores, distance)
        low, high = (distance, high) if found @ scores > to else (low, distance)
    return found


def nps(points: float) -> Center:
    before, scores = np.array([0.2, 0.3, 0.5]), np.array([-1.0, 0.0, 1.0])
    return Center(before, moved(before, scores, 0.3 - points / 100), scores)


def csat() -> Center:
    return Center(np.array([0.15, 0.85]), np.array([0.25, 0.75]), np.array([0.0, 1.0]))


def handle_time(share: float, spread: float = 0.6) -> Center:
    """Lognormal, in bins equally likely before; all detectors see the bins."""
    chance = np.random.default_rng(99)
    logs = chance.normal(0.0, spread, 2_000_000)
    edges = np.quantile(logs, np.arange(1, BINS) / BINS)

    def binned(values: Floats) -> Floats:
        return np.bincount(np.searchsorted(edges, values), minlength=BINS) / len(values)

    middles = np.array([logs[np.searchsorted(edges, logs) == one].mean() for one in range(BINS)])
    return Center(binned(logs), binned(logs + np.log1p(share)), -middles)


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


Step = Callable[[Integers], NDArray[np.bool_]]
"""Takes one answer of each series; where an alarm is due. What was told begins anew."""


def watched(step: Step, center: Center, series: int, months: float, seed: int) -> Found:
    chance, steps, alarms = np.random.default_rng(seed), round(months * MONTH), 0
    for _ in range(steps):
        alarms += int(step(center.draw(chance, False, series)).sum())
    delays = np.zeros(series, np.int64)
    for number in range(1, 50 * DAY):
        due = step(center.draw(chance, True, series))
        delays[due & (delays == 0)] = number
        if delays.all():
            break
    expected = series * steps / MONTH
    return Found(delays, alarms / expected, expected)


def ours(center: Center, series: int, seed: int) -> Step:
    chance, evidence = np.random.default_rng(seed), Evidence(series)
    classes = len(center.before)
    learned = [smoothed(chance.multinomial(LEARNED, center.before) / LEARNED) for _ in range(series)]
    logs = np.array([ratios(baseline, center.scores) for baseline in learned])
    decision, one_hot = line(learned[0], center.scores, MONTH), np.eye(classes, dtype=np.int64)

    def step(seen: Integers) -> NDArray[np.bool_]:
        evidence.add(logs, one_hot[seen])
        due: NDArray[np.bool_] = evidence.log() >= decision
        evidence.reset(due)
        return due

    return step


def cusum(center: Center, series: int, decision: float) -> Step:
    logs, total = np.log(center.after / center.before), np.zeros(series)

    def step(seen: Integers) -> NDArray[np.bool_]:
        nonlocal total
        total = np.maximum(total, 0.0) + logs[seen]
        due: NDArray[np.bool_] = total >= decision
        total[due] = 0.0
        return due

    return step


def threshold(center: Center, series: int, size: int, limit: float) -> Step:
    ring, sums, number = np.zeros((size, series)), np.zeros(series), 0
    since = np.zeros(series, np.int64)

    def step(seen: Integers) -> NDArray[np.bool_]:
        nonlocal number, sums
        new = center.scores[seen]
        sums += new - ring[number % size]
        ring[number % size] = new
        number, since[:] = number + 1, since + 1
        due: NDArray[np.bool_] = (since >= size) & (sums / size < limit - 1e-9)
        since[due] = 0  # a window of its own for each alarm
        return due

    return step


def tuned(make: Callable[[float], Step], center: Center, low: float, high: float) -> float:
    """The parameter at which false alarms come once a month; they become fewer from low to high."""
    for _ in range(12):
        middle, chance, alarms = (low + high) / 2, np.random.default_rng(17), 0
        step = make(middle)
        for _ in range(MONTH):
            alarms += int(step(center.draw(chance, False, 500)).sum())
        low, high = (middle, high) if alarms > 500 else (low, middle)
    return high


def others(center: Center, series: int) -> Iterator[tuple[str, Step]]:
    decision = tuned(lambda one: cusum(center, 500, one), center, 0.5, 12.0)
    yield "optimum", cusum(center, series, decision)
    mean, spread = center.before @ center.scores, np.ptp(center.scores)
    for size in WINDOWS:
        limit = tuned(lambda one, n=size: threshold(center, 500, n, one), center, mean, mean - spread)  # type: ignore[misc]
        yield f"threshold of the last {size}", threshold(center, series, size, limit)


def told(found: Found) -> dict[str, Any]:
    return {
        "median": float(np.median(found.delays)),
        "p90": float(np.quantile(found.delays, 0.9)),
        "false_alarms_to_promised": round(found.false_alarms, 3),
        "false_alarms_expected": round(found.expected),
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
        "to_optimum": {key: round(mine[key] / optimum[key], 3) for key in ("median", "p90")},
        "to_threshold": {key: round(mine[key] / other[key], 3) for key in ("median", "p90")},
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
