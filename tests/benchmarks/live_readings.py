"""CPU of readings of now and of agents' time, with 200 queues, 2,000 agents and 500 contacts under way.

`python -m tests.benchmarks.live_readings` counts nothing: it puts the stored deltas into a store in memory,
and prints the median CPU time of each question, and of a refresh after one commit of 100 changed states.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Final

from streamer.events.counting_rules import HOUR, SECOND
from streamer.events.models import AGENT_STATES, CONTACT_STATES
from streamer.panes.agent_time import AgentInterval, AgentProfile
from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from tests.readings.live_center import agent, contact, live_deltas, time_deltas
from tests.readings.small_center import NOW, SmallCenter, answered, cell, pane

QUEUES: Final = [f"q{number:03}" for number in range(200)]
AGENTS: Final = 2_000
CONTACTS: Final = 500
INTERVAL_MS: Final = 180 * SECOND
REPEATS: Final = 30
chance: Final = random.Random(7)


def profile(number: int) -> AgentProfile:
    first = number % len(QUEUES)
    queues = tuple(sorted(QUEUES[(first + step) % len(QUEUES)] for step in range(5)))
    return AgentProfile(f"agent{number}", f"team{number % 40}", f"site{number % 4}", queues, ("voice",))


PROFILES: Final = [profile(number) for number in range(AGENTS)]


def signed_in(number: int) -> LiveAgent:
    _, team, site, queues, channels = PROFILES[number]
    state, age_s = chance.choice(AGENT_STATES[:6]), chance.uniform(0, 300)
    return agent(f"agent{number}", state, age_s, team=team, site=site, queues=queues, channels=channels)


def under_way(number: int) -> LiveContact:
    state, queue = chance.choice(CONTACT_STATES[:4]), chance.choice(QUEUES)
    return contact(state, chance.uniform(0, 300), contact_id=f"c{number}", queue=queue)


def day_of_intervals() -> Iterable[tuple[AgentInterval, int]]:
    """Yield 24 h of every agent, in states that change each INTERVAL_MS: 960,000 intervals."""
    for number in range(AGENTS):
        start_ms = NOW - 24 * HOUR + number * 37
        while start_ms < NOW - INTERVAL_MS:
            state, end_ms = chance.randrange(6), start_ms + INTERVAL_MS
            yield AgentInterval(PROFILES[number], state, None, start_ms, end_ms), 1
            start_ms = end_ms


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the median CPU time of a call in ms."""
    times = []
    for _ in range(REPEATS):
        began_s = time.process_time()
        work()
        times.append(1000 * (time.process_time() - began_s))
    return statistics.median(times)


async def large_center() -> SmallCenter:
    center = SmallCenter()
    await center.beat(NOW)
    tallies = {(pane(60_000), cell(queue)): answered(12) for queue in QUEUES}
    live = live_deltas(map(under_way, range(CONTACTS)), map(signed_in, range(AGENTS)))
    await center.add(tallies, more={**live, **time_deltas(day_of_intervals())})
    return center


async def measure() -> None:
    center = await large_center()
    reader = MetricsReader(center.store, Settings(dimension_pairs=["queue,channel"]))
    began_s = time.process_time()
    await reader.refresh(NOW)
    print(f"read everything: {time.process_time() - began_s:.2f} s CPU")
    moments = iter(range(NOW, NOW + 1_000_000, 7))

    def ask(metrics: tuple[str, ...], window: str, by: str) -> int:
        query = MetricQuery(now=next(moments), metrics=metrics, windows=(window,), by=by)
        return len(reader.readings(query))

    questions = [
        (("waiting",), "now", "queue"),
        (("waiting", "longest_wait_seconds", "agents_available"), "now", "queue"),
        ((), "now", "queue"),
        ((), "now", "all"),
        (("occupancy_ratio",), "15m", "queue"),
        (("occupancy_ratio",), "today", "queue"),
        (("occupancy_ratio",), "today", "agent"),
        (("occupancy_ratio",), "24h", "agent"),
    ]
    for metrics, window, by in questions:
        ms, readings = cpu_ms(lambda: ask(metrics, window, by)), ask(metrics, window, by)  # noqa: B023
        print(f"{','.join(metrics) or 'all metrics'} {window} by {by}: {ms:.2f} ms CPU, {readings} readings")
    changes, questions_after = [], []
    for _ in range(REPEATS):
        changed = live_deltas(
            map(under_way, chance.sample(range(CONTACTS), 50)),
            map(signed_in, chance.sample(range(AGENTS), 50)),
        )
        ended = [(AgentInterval(PROFILES[n], 2, None, NOW - 90_000, NOW - 1_000), 1) for n in range(50)]
        await center.add({}, more={**changed, **time_deltas(ended)})
        began_s = time.process_time()
        await reader.refresh(NOW)
        changes.append(1000 * (time.process_time() - began_s))
        began_s = time.process_time()
        ask((), "now", "queue")
        questions_after.append(1000 * (time.process_time() - began_s))
    print(f"refresh after 100 changed states: {statistics.median(changes):.2f} ms CPU")
    print(f"all metrics now by queue after it: {statistics.median(questions_after):.2f} ms CPU")


if __name__ == "__main__":
    asyncio.run(measure())
