"""Backfill: a year of history counted at once gives the same numbers as live; past moments can be read."""

from collections.abc import Callable, Sequence
from functools import cache
from random import Random

import pytest

from streamer.demo.letters import Message
from streamer.demo.simulator import Center, Plan
from streamer.events.decoding import Record, decode
from streamer.events.models import Event, Rejected
from streamer.events.rules import DAY, HOUR
from streamer.readings.query import Query
from streamer.readings.reader import Reader
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext
from tests import oracle
from tests.counting import Tallies, context, held, processor

START = 1_790_000_000_000
PARTITIONS = 2
BATCH = 400
SETTINGS = Settings(retention="400d", pairs=[])
RULES = SETTINGS.rules()
WORTH = ("valued_contacts", "valued_sum")
WHOLE = ("nps_score", "csat_ratio", "fcr_ratio", "fcr_final_ratio", "repeat_ratio", "abandon_ratio")


@cache
def year() -> tuple[Message, ...]:
    """Return some 5,000 contacts with all events that follow them, in the order of publication."""
    return tuple(Center(Plan(seed=3, start_ms=START, rate=0.00016)).history(365 * 24))


@cache
def logs() -> dict[tuple[str, int], list[Record]]:
    """Return the logs of that year, partitioned by customer as a producer would do it."""
    found: dict[tuple[str, int], list[Record]] = {}
    for one in year():
        place = one.topic, sum(one.key) % PARTITIONS
        log = found.setdefault(place, [])
        log.append(Record(*place, len(log), one.at_ms, one.key, one.value, one.headers))
    return found


@cache
def told() -> tuple[Event, ...]:
    found = [decode(record, RULES) for log in logs().values() for record in log]
    return tuple(event for event in found if not isinstance(event, Rejected))


class Clock:
    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


async def count(
    store: MemoryStore,
    turn: Callable[[Sequence[PartitionProcessor]], PartitionProcessor],
    clock: Clock,
    live: bool,
) -> None:
    """Count batch after batch of the partition that `turn` chooses.

    The watermark is the time that the partition furthest behind has reached, as in `AssignedPartitions`. With
    `live`, the clock follows the records and batches are small.
    """
    shared: ProcessingContext = context(store, RULES)
    shared.clock = clock
    processors = {place: await processor(shared, *place) for place in logs()}
    behind = {one: logs()[place] for place, one in processors.items()}
    while behind:
        one = turn(list(behind))
        log, first = behind[one], one.position.next
        last = min(first + (20 if live else BATCH), len(log))
        if live:
            clock.ms = log[last - 1].timestamp
        await one.count(log[first:last], last)
        if last == len(log):
            del behind[one]
        shared.watermark = min((reached(one) for one in behind), default=clock.ms)


def reached(one: PartitionProcessor) -> int:
    return logs()[one.partition][one.position.next - 1].timestamp if one.position.next else 0


def in_time(processors: Sequence[PartitionProcessor]) -> PartitionProcessor:
    return min(processors, key=lambda one: logs()[one.partition][one.position.next].timestamp)


def by_topic(processors: Sequence[PartitionProcessor]) -> PartitionProcessor:
    """Count each log before the next: the surveys of a year before its contacts, or after them."""
    return max(processors, key=lambda one: one.partition)


def at_random(seed: int) -> Callable[[Sequence[PartitionProcessor]], PartitionProcessor]:
    chance = Random(seed)
    return lambda processors: chance.choice(sorted(processors, key=lambda one: one.partition))


async def hours(
    turn: Callable[[Sequence[PartitionProcessor]], PartitionProcessor], live: bool = False
) -> Tallies:
    store = MemoryStore(RULES)
    await count(store, turn, Clock(START), live)
    return {place: tally for place, tally in (await held(store)).items() if place[0] == "long"}


Rows = dict[tuple[int, str], dict[str, int]]


@cache
def wanted() -> Rows:
    return {place: tally for place, tally in oracle.by_hour_and_row(told(), RULES).items() if tally}


def rows(found: Tallies) -> Rows:
    """Return the tallies without the links of agents, which the oracle does not compute by hour."""
    counts = {
        (hour, row): {name: amount for name, amount in tally.items() if "\x1f" not in name and name != "all"}
        for (_, hour, row), tally in found.items()
    }
    return {place: tally for place, tally in counts.items() if tally}


def without_worth(found: Rows) -> Rows:
    return {
        place: {name: amount for name, amount in tally.items() if name not in WORTH}
        for place, tally in found.items()
    }


@pytest.mark.parametrize("turn", [at_random(1), at_random(2), by_topic], ids=["1", "2", "by topic"])
async def test_a_year_at_once_gives_the_oracles_hours(
    turn: Callable[[Sequence[PartitionProcessor]], PartitionProcessor],
) -> None:
    assert len(wanted()) > 10_000
    assert rows(await hours(turn)) == wanted()


async def test_counted_live_a_year_differs_only_in_what_customers_are_worth_today() -> None:
    live = rows(await hours(in_time, live=True))
    assert without_worth(live) == without_worth(wanted())
    assert live != wanted()  # worth that is told 70 days later no longer reaches a contact


async def test_fine_panes_of_history_are_not_made() -> None:
    store = MemoryStore(RULES)
    await count(store, at_random(2), Clock(START), live=False)
    kept = {hour for family, hour in store.panes if family == "fine"}
    assert kept
    assert min(kept) * HOUR > START - 51 * HOUR


@pytest.mark.parametrize("days", [30, 180, 270])
async def test_a_past_moment_reads_as_it_was_with_what_is_known_today(days: int) -> None:
    store = MemoryStore(RULES)
    await count(store, at_random(4), Clock(START), live=False)
    await store.beat({Partition(*place): Heartbeat(START, 0, START) for place in logs()})
    reader = Reader(store, SETTINGS)
    await reader.refresh(START)
    at = (START - days * DAY) // HOUR * HOUR
    for window, length in (("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY), ("90d", 90 * DAY)):
        asked = Query(now=START, at=at, windows=(window,), metrics=("contacts", *WHOLE))
        found = {one.metric: (one.value, one.support) for one in reader.readings(asked)}
        known = oracle.readings(told(), RULES, oracle.Window(at - length, at, START))
        assert found["contacts"][0] == known["contacts", ""].value
        for metric in WHOLE:
            value, support = known.get((metric, ""), (None, 0))
            assert found[metric] == (pytest.approx(value), support), (metric, window)
