"""Measure how many false alarms of drops there are for each that was promised, as time goes on.

Run as `python -m tests.benchmarks.false_alarms`; prints JSON. Nothing ever changes in these centers, but they
have a rhythm of the day and week, learned from eight weeks, anew each day. `se`: the standard error
of the ratio, if alarms come independently. Queues: M/M/c with impatience, and with days that are busier.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from tests.alerts.queueing import Waited, waited
from tests.alerts.running_center import RunningCenter, run_center
from tests.alerts.simulated import only

SCORES: Final = np.array([1.0, 0.0])
Centers = Callable[[int, int, int], RunningCenter]
"""Of so many groups, days, and a seed."""


def rule(metric: str = "nps_score", **given: object) -> AlertRule:
    (found,) = load_alert_rules(only(one={"kind": "drop", "metric": metric, **given}))
    return found


def answers(swing: float, late: float = 0.0) -> Centers:
    return lambda groups, days, seed: RunningCenter.draw(groups, days, swing, seed, late=late)


def queues(busier: float, what: Callable[[Waited], np.ndarray]) -> Centers:
    def made(groups: int, days: int, seed: int) -> RunningCenter:
        counts = what(waited(groups, days, seed, swing=busier))
        return RunningCenter(counts, counts, SCORES)

    return made


LEVEL, ABANDON = "service_level_ratio", "abandon_ratio"
CASES: Final[Mapping[str, tuple[Centers, AlertRule]]] = {
    "no rhythm": (answers(0.0), rule()),
    "a rhythm": (answers(0.1), rule()),
    "a rhythm, half of the answers late, in bursts": (answers(0.1, late=0.5), rule()),
    "a rhythm, 12 a month shared by all": (answers(0.1), rule(false_alarms=12, shared=True)),
    "service level": (queues(0.0, lambda one: one.level), rule(LEVEL)),
    "service level, some days busier": (queues(0.2, lambda one: one.level), rule(LEVEL)),
    "abandoned": (queues(0.0, lambda one: one.abandoned), rule(ABANDON)),
    "abandoned, some days busier": (queues(0.2, lambda one: one.abandoned), rule(ABANDON)),
}


def found(groups: int, days: int, seeds: Iterable[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, (centers, which) in CASES.items():
        rings, promised = 0, 0.0
        for seed in seeds:
            life = run_center(centers(groups, days, seed), which)
            rings += life.alert_count()
            promised += life.months * which.false_alarms / (groups if which.shared else 1)
        yield (
            name,
            {
                "false_alarms": rings,
                "promised": round(promised, 1),
                "ratio": round(rings / promised, 3),
                "se": round(promised**-0.5, 3),
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.false_alarms")
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--days", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2, help="how many centers of each kind")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.seeds)
    print(json.dumps(dict(found(given.groups, given.days, seeds)), indent=2))


if __name__ == "__main__":
    main()
