"""Backfill: a year of history counted at once gives the same numbers as live; past moments can be read."""

from collections.abc import Callable, Sequence
from functools import cache
from random import Random

import pytest

from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.simulator import CenterPlan, SimulatedCenter
from streamer.events.counting_rules import DAY, HOUR
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import Event, RejectedEvent
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import StoreClock
from streamer.settings import Settings
from streamer.store.memory import MemoryStore
from streamer.store.port import Heartbeat, Partition
from streamer.worker.pipeline import PartitionProcessor, ProcessingContext
from tests import oracle
from tests.counting import Tallies, partition_processor, processing_context, stored_tallies

START = 1_790_000_000_000
PARTITIONS = 2
BATCH = 400
SETTINGS = Settings(retention="400d", dimension_pairs=[])
RULES = SETTINGS.counting_rules()
VALUE_COUNTS = ("valued_contacts", "valued_sum")
WHOLE = ("nps_score", "csat_ratio", "fcr_ratio", "fcr_final_ratio", "repeat_ratio", "abandon_ratio")


@cache
def year() -> tuple[SimulatedMessage, ...]:
    """Return some 5,000 contacts with all events that follow them, in the order of publication."""
    return tuple(SimulatedCenter(CenterPlan(seed=3, start_ms=START, rate=0.00016)).history(365 * 24))


@cache
def logs() -> dict[tuple[str, int], list[KafkaRecord]]:
    """Return the logs of that year, partitioned by customer as a producer would do it."""
    logs_by_partition: dict[tuple[str, int], list[KafkaRecord]] = {}
    for message in year():
        partition = message.topic, sum(message.key) % PARTITIONS
        log = logs_by_partition.setdefault(partition, [])
        log.append(
            KafkaRecord(*partition, len(log), message.at_ms, message.key, message.value, message.headers)
        )
    return logs_by_partition


@cache
def decoded_events() -> tuple[Event, ...]:
    events = [decode(record, RULES) for log in logs().values() for record in log]
    return tuple(event for event in events if not isinstance(event, RejectedEvent))


class SteppedClock:
    def __init__(self, ms: int) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


async def count_history(
    store: MemoryStore,
    turn: Callable[[Sequence[PartitionProcessor]], PartitionProcessor],
    clock: SteppedClock,
    live: bool,
) -> None:
    """Count batch after batch of the partition that `turn` chooses.

    The watermark is the time that the partition furthest behind has reached, as in `AssignedPartitions`. With
    `live`, the clock follows the records and batches are small.
    """
    shared: ProcessingContext = processing_context(store, RULES)
    shared.clock = StoreClock(shared.store.time_ms, clock)
    processors = {partition: await partition_processor(shared, *partition) for partition in logs()}
    behind = {owner: logs()[partition] for partition, owner in processors.items()}
    while behind:
        owner = turn(list(behind))
        log, first = behind[owner], owner.position.next
        last = min(first + (20 if live else BATCH), len(log))
        if live:
            clock.ms = log[last - 1].timestamp
        await owner.count(log[first:last], last)
        if last == len(log):
            del behind[owner]
        shared.watermark_ms = min((reached_ms(owner) for owner in behind), default=clock.ms)


def reached_ms(owner: PartitionProcessor) -> int:
    return logs()[owner.partition][owner.position.next - 1].timestamp if owner.position.next else 0


def in_time(processors: Sequence[PartitionProcessor]) -> PartitionProcessor:
    return min(processors, key=lambda owner: logs()[owner.partition][owner.position.next].timestamp)


def by_topic(processors: Sequence[PartitionProcessor]) -> PartitionProcessor:
    """Count each log before the next: the surveys of a year before its contacts, or after them."""
    return max(processors, key=lambda owner: owner.partition)


def at_random(seed: int) -> Callable[[Sequence[PartitionProcessor]], PartitionProcessor]:
    chance = Random(seed)
    return lambda processors: chance.choice(sorted(processors, key=lambda owner: owner.partition))


async def count_hours(
    turn: Callable[[Sequence[PartitionProcessor]], PartitionProcessor], live: bool = False
) -> Tallies:
    store = MemoryStore(RULES)
    await count_history(store, turn, SteppedClock(START), live)
    return {key: tally for key, tally in (await stored_tallies(store)).items() if key[0] == "long"}


Rows = dict[tuple[int, str], dict[str, int]]


@cache
def expected_rows() -> Rows:
    return {key: tally for key, tally in oracle.by_hour_and_row(decoded_events(), RULES).items() if tally}


def rows_without_links(tallies: Tallies) -> Rows:
    """Return the tallies without the links of agents, which the oracle does not compute by hour."""
    counts = {
        (hour, row): {name: amount for name, amount in tally.items() if "\x1f" not in name and name != "all"}
        for (_, hour, row), tally in tallies.items()
    }
    return {key: tally for key, tally in counts.items() if tally}


def without_value(rows: Rows) -> Rows:
    return {
        key: {name: amount for name, amount in tally.items() if name not in VALUE_COUNTS}
        for key, tally in rows.items()
    }


@pytest.mark.parametrize("turn", [at_random(1), at_random(2), by_topic], ids=["1", "2", "by topic"])
async def test_a_year_at_once_gives_the_oracles_hours(
    turn: Callable[[Sequence[PartitionProcessor]], PartitionProcessor],
) -> None:
    assert len(expected_rows()) > 10_000
    assert rows_without_links(await count_hours(turn)) == expected_rows()


async def test_counted_live_a_year_differs_only_in_what_customers_are_worth_today() -> None:
    live = rows_without_links(await count_hours(in_time, live=True))
    assert without_value(live) == without_value(expected_rows())
    assert live != expected_rows()  # worth that is told 70 days later no longer reaches a contact


async def test_fine_panes_of_history_are_not_made() -> None:
    store = MemoryStore(RULES)
    await count_history(store, at_random(2), SteppedClock(START), live=False)
    fine_hours = {hour for family, hour in store.panes if family == "fine"}
    assert fine_hours
    assert min(fine_hours) * HOUR > START - 51 * HOUR


@pytest.mark.parametrize("days", [30, 180, 270])
async def test_a_past_moment_reads_as_it_was_with_what_is_known_today(days: int) -> None:
    store = MemoryStore(RULES)
    await count_history(store, at_random(4), SteppedClock(START), live=False)
    await store.beat({Partition(*partition): Heartbeat(START, 0, START) for partition in logs()})
    reader = MetricsReader(store, SETTINGS)
    await reader.refresh(START)
    at = (START - days * DAY) // HOUR * HOUR
    for window, length in (("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY), ("90d", 90 * DAY)):
        query = MetricQuery(now=START, at=at, windows=(window,), metrics=("contacts", *WHOLE))
        figures = {reading.metric: (reading.value, reading.support) for reading in reader.readings(query)}
        expected = oracle.readings(decoded_events(), RULES, oracle.Window(at - length, at, START))
        assert figures["contacts"][0] == expected["contacts", ""].value
        for metric in WHOLE:
            value, support = expected.get((metric, ""), (None, 0))
            assert figures[metric] == (pytest.approx(value), support), (metric, window)
