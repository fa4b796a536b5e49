"""ProcessingContext without Kafka: partitions over logs in memory, and what the store then holds."""

from collections.abc import Mapping, Sequence

from streamer.comparison import state
from streamer.events.decoding import Record
from streamer.events.rules import Rules
from streamer.metrics.tally import BUCKETS, COUNTS, DURATIONS, FIRST_BUCKET
from streamer.panes.pane_keys import SEPARATOR, Cell
from streamer.store.port import Partition, Position, Store
from streamer.worker.pipeline import DeadLetter, PartitionProcessor, ProcessingContext
from tests.strategies import START

FIRST = Position("first", 0, b"--------")
Tallies = dict[tuple[str, int, str], dict[str, int]]


class Letters:
    """Dead letters that are kept here."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letters)


class NoObserver:
    def conflict(self) -> None: ...

    def committed(self, records: Sequence[Record], now_ms: int) -> None: ...


def context(store: Store, rules: Rules, now_ms: int = START) -> ProcessingContext:
    return ProcessingContext(store, rules, Letters(), NoObserver(), lambda: now_ms)


async def processor(shared: ProcessingContext, topic: str, number: int) -> PartitionProcessor:
    """A processor that goes on where the store is."""
    partition = Partition(topic, number)
    (position,) = await shared.store.positions([partition])
    if position is None:
        await shared.store.move(partition, None, FIRST)
    return PartitionProcessor(partition, position or FIRST, shared)


def named(tally: Mapping[int | str, int]) -> dict[str, int]:
    """Counts by name, histogram buckets as "handle:17", links of agents by the row they lead to."""
    return {_name(number): amount for number, amount in tally.items()}


def _name(number: int | str) -> str:
    if isinstance(number, str):
        return number
    if number < FIRST_BUCKET:
        return COUNTS[number]
    duration, bucket = divmod(number - FIRST_BUCKET, BUCKETS)
    return f"{DURATIONS[duration]}:{bucket}"


def cell_field(cell: Cell) -> str:
    """Spell a cell in one line."""
    return SEPARATOR.join(value or "" for value in cell)


async def held(store: Store) -> Tallies:
    """All tallies of a store that are not empty, by family, pane and field."""
    now = await state(store)
    found: Tallies = {}
    for family, hour in now.panes:
        if family == "counters":
            continue
        for (pane, group), tally in now.tallies(family, hour).items():
            field = group if isinstance(group, str) else cell_field(group)
            if kept := {name: amount for name, amount in named(tally).items() if amount}:
                found[family, pane, field] = kept
    return found
