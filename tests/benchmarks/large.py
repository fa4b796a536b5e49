"""A large center in memory, and how soon all of its groups and windows are read after a change."""

import random
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, Final

from streamer.events.counting_rules import DAY, HOUR, SECOND
from streamer.metrics.tally import FIRST_BUCKET_OF, NUMBER, Tally, bucket
from streamer.panes.pane_keys import ALL, FINE_MS, Cell, groupings
from streamer.panes.windows import WINDOWS
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from tests.pane_deltas import PaneTallies
from tests.readings.small_center import NOW, SmallCenter

AGENTS: Final = 5_000
QUEUES: Final = 200
CALLS: Final = 240_000
"""Six an hour for each agent, a shift of eight hours."""
SETTINGS: Final = Settings(dimension_pairs=["queue,channel"])
METRICS: Final = ("nps_score", "handle_time_seconds", "service_level_ratio")
_CHANNELS: Final = ("voice", "voice", "chat", "email")
_AT_A_TIME: Final = 2_000
_ROUNDS: Final = 7
_PER_ROUND: Final = 50
"""What comes at 200 a second between two looks of a wall."""


def call(chance: random.Random) -> tuple[Cell, Tally]:
    agent = chance.randrange(AGENTS)
    cell = (
        f"site-{agent % 8}", f"queue-{agent % QUEUES:03}", f"team-{agent // 12:03}", f"agent-{agent:04}",
        chance.choice(_CHANNELS), f"reason-{chance.randrange(8)}", chance.choice(("en", "es")),
    )  # fmt: skip
    handled, waited = round(chance.lognormvariate(5.5, 0.6) * 1000), round(chance.expovariate(1 / 25) * 1000)
    tally = {
        NUMBER[name]: 1 for name in ("contacts", "offered", "answered", "fcr_firsts", "handle_n", "wait_n")
    }
    tally |= {
        NUMBER["handle_ms"]: handled, NUMBER["handle_s2"]: round((handled / 1000) ** 2),
        NUMBER["wait_ms"]: waited, NUMBER["wait_s2"]: round((waited / 1000) ** 2),
        FIRST_BUCKET_OF["handle"] + bucket(handled): 1, FIRST_BUCKET_OF["wait"] + bucket(waited): 1,
    }  # fmt: skip
    if chance.random() < 0.2:
        tally[NUMBER[f"nps_{chance.randrange(11)}"]] = 1
    return cell, tally


def calls(chance: random.Random, number: int, first_ms: int, last_ms: int) -> Iterator[PaneTallies]:
    """Yield calls in portions, spread evenly over the time."""
    for begin in range(0, number, _AT_A_TIME):
        portion: PaneTallies = {}
        for index in range(begin, min(number, begin + _AT_A_TIME)):
            cell, tally = call(chance)
            at = first_ms + (last_ms - first_ms) * index // number
            portion[at // FINE_MS, cell] = tally
        yield portion


async def reading() -> dict[str, Any]:
    """Measure the read time in ms, the median of some rounds. Each commits some calls of the last seconds,
    refreshes the reader, and reads a metric of all groups of all groupings over all windows."""
    chance, center = random.Random(1), SmallCenter(MemoryStore())
    began = time.perf_counter()
    for portion in calls(chance, CALLS, NOW - DAY + HOUR, NOW):
        await center.add(portion)
    await center.beat(NOW)
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    filled = time.perf_counter() - began
    rounds = [await _round(center, reader, chance, NOW + number * SECOND) for number in range(_ROUNDS + 1)][
        1:
    ]
    return {
        "agents": AGENTS,
        "queues": QUEUES,
        "calls": CALLS,
        "filled_s": round(filled, 1),
        "readings": rounds[0].pop("readings"),
        **{name: round(median(one[name] for one in rounds), 1) for name in rounds[0]},
    }


async def _round(
    center: SmallCenter, reader: MetricsReader, chance: random.Random, now: int
) -> dict[str, Any]:
    for portion in calls(chance, _PER_ROUND, now - 10 * SECOND, now):
        await center.add(portion)
    began = time.perf_counter()
    await reader.refresh(now)
    found: dict[str, Any] = {"readings": {}, "refresh_ms": 1000 * (time.perf_counter() - began)}
    for metric in METRICS:
        began, count = time.perf_counter(), 0
        for by in (",".join(grouping) or ALL for grouping in groupings(reader.pairs)):
            if metric != "service_level_ratio" or by != "agent":
                count += len(reader.readings(MetricQuery(now=now, metrics=(metric,), windows=WINDOWS, by=by)))
        found[f"{metric}_ms"] = 1000 * (time.perf_counter() - began)
        found["readings"][metric] = count
    return found
