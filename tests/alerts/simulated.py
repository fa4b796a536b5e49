"""Simulated center with random days: counts by hour, and by 10 s in the last 50 hours."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import DEFAULT_RULES, load_alert_rules
from streamer.alerts.detection.drop_evidence import DropEvidence, detect_drops
from streamer.alerts.detection.evaluation import EvaluationMoment, NotifiedAlerts, RuleVerdict
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.tally import NUMBER
from streamer.panes.pane_keys import FINE_MS, Cell, PaneHour, row_field
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import EMPTY_STORE, Commit, Heartbeat, LogPosition, Partition
from tests.pane_deltas import deltas, row_sums

NOW = 1_795_255_203_000  # 2026-11-21T10:00:03Z, a Saturday
PARTITION = Partition("survey-completed", 0)
NPS = tuple(NUMBER[name] for name in ("nps_0", "nps_7", "nps_10"))
CSAT = tuple(NUMBER[name] for name in ("csat_2", "csat_5"))
FINE_H = 50
Chances = Callable[[str, int], np.ndarray]
"""The probabilities of classes, by queue and hour since the epoch."""


class Drawn(NamedTuple):
    """Hours since the epoch, by queue and class: H × G × C; `numbers` of the classes in a tally."""

    first: int
    queues: Sequence[str]
    numbers: Sequence[int]
    counts: np.ndarray


def rhythm(hour: int) -> float:
    """Return the rate relative to a mean hour; at night there is hardly any traffic."""
    return float(max(0.05, 1.9 * np.sin(np.pi * ((hour % 24) - 5) / 17))) if 5 <= hour % 24 < 22 else 0.05


def steady(*chances: float) -> Chances:
    return lambda queue, hour: np.array(chances)


def swinging(*chances: float, by: float = 0.1) -> Chances:
    """Worse at night and on weekends: from the last class to the first."""

    def found(queue: str, hour: int) -> np.ndarray:
        swing = by * np.cos(2 * np.pi * (hour % 24) / 24) + (by / 2 if hour // 24 % 7 in (2, 3) else 0)
        moved = np.array(chances)
        moved[0], moved[-1] = moved[0] + swing / 2, moved[-1] - swing / 2
        return moved

    return found


def drawn(
    queues: Sequence[str],
    a_day: float,
    numbers: Sequence[int],
    chances: Chances,
    days: int = 70,
    seed: int = 1,
) -> Drawn:
    chance, last, now = np.random.default_rng(seed), NOW // HOUR + 1, NOW
    first = last - 24 * days
    counts = np.zeros((last - first, len(queues), len(numbers)), np.int64)
    for at in range(first, last):
        part = (now % HOUR) / HOUR if at == last - 1 else 1.0
        several = chance.poisson(a_day / 24 * rhythm(at) * part, len(queues))
        counts[at - first] = chance.multinomial(several, [chances(queue, at) for queue in queues])
    return Drawn(first, queues, numbers, counts)


async def written(*parts: Drawn, now: int = NOW, store: MemoryStore | None = None) -> MemoryStore:
    store = store or MemoryStore()
    chance, number = np.random.default_rng(5), 0
    position = (await store.positions([PARTITION]))[0]
    if position is None:
        await store.move(PARTITION, None, LogPosition("e", 0, bytes(8)))
    else:
        number = position.next
    for part in parts:
        number += 1
        place = LogPosition("e", number, number.to_bytes(8, "big"))
        changed = dict(_fine(part, now, chance)) | dict(_long(part))
        commit = Commit(PARTITION, "e", number - 1, place, EMPTY_STORE, (), {}, changed)
        await store.commit(commit, now)
    await store.beat({PARTITION: Heartbeat(now, 0, now)})
    return store


def cell(queue: str) -> tuple[str | None, ...]:
    return (None, queue, None, None, "voice", None, None)


def _long(part: Drawn) -> Iterator[tuple[PaneHour, bytes]]:
    rows = ["all", *(row_field(("queue",), cell(queue)) for queue in part.queues)]
    for number, counts in enumerate(part.counts):
        tallies = (
            dict(zip(part.numbers, row.tolist(), strict=True)) for row in [counts.sum(axis=0), *counts]
        )
        yield ("long", part.first + number), row_sums(dict(zip(rows, tallies, strict=True)))


def _fine(part: Drawn, now: int, chance: np.random.Generator) -> Iterator[tuple[PaneHour, bytes]]:
    for number in range(max(0, len(part.counts) - FINE_H), len(part.counts)):
        panes: dict[tuple[int, Cell], Counter[int]] = {}
        start = (part.first + number) * HOUR
        end = min(start + HOUR, now)
        for place, queue in enumerate(part.queues):
            for which, amount in zip(part.numbers, part.counts[number, place].tolist(), strict=True):
                for at in chance.integers(start, end, abs(amount)).tolist():
                    panes.setdefault((at // FINE_MS, cell(queue)), Counter())[which] += sign(amount)
        yield from ((place, delta) for place, delta in deltas(dict(panes)).items() if place[0] == "fine")


def sign(amount: int) -> int:
    return 1 if amount > 0 else -1


async def read(store: MemoryStore, settings: Settings, now: int = NOW) -> MetricsReader:
    reader = MetricsReader(store, settings)
    await reader.refresh(now)
    return reader


def days_ago(days: float) -> int:
    """The hour since the epoch."""
    return round((NOW - days * DAY) // HOUR)


def only(**rules: Mapping[str, object]) -> Settings:
    """Settings with these rules and no usual one."""
    off: dict[str, object] = {name: {"enabled": False} for name in DEFAULT_RULES}
    return Settings(alerts=off | {name.replace("_", "-"): one for name, one in rules.items()})  # type: ignore[arg-type]


async def watched(store: MemoryStore, settings: Settings) -> RuleEvaluator:
    return RuleEvaluator(await read(store, settings), settings, load_alert_rules(settings))


def drop_evidence_now(evaluator: RuleEvaluator, rule: AlertRule) -> DropEvidence | None:
    moment = EvaluationMoment(NOW, NOW)
    series = evaluator.data.gather_series(rule.by, moment).get(rule.series)
    return series and detect_drops(series, rule, evaluator.data.replay(rule, moment))


def by_key(
    watch: RuleEvaluator, now: int = NOW, at: int | None = None, fired: NotifiedAlerts | None = None
) -> dict[str, RuleVerdict]:
    """The verdicts of the only rule."""
    return {judged.verdict.key: judged for judged in watch.evaluate_rules(now, at, fired or {})}
