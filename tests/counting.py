"""ProcessingContext without Kafka: partitions over logs in memory, and what the store then holds."""

from collections.abc import Iterator, Mapping, Sequence

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord
from streamer.metrics.tally import BUCKETS, COUNTS, DURATIONS, FIRST_BUCKET
from streamer.operations.comparison import StoreState, read_store_state
from streamer.panes.pane_keys import SEPARATOR, Cell
from streamer.store.port import LogPosition, Partition, StateStore
from streamer.worker.pipeline import DeadLetter, PartitionProcessor, ProcessingContext
from tests.strategies import START

FIRST = LogPosition("first", 0, b"--------")
TallyPlace = tuple[str, int, str]
"""Family, pane and field."""
Tallies = dict[TallyPlace, dict[str, int]]


class RecordedDeadLetters:
    """Dead letters that are kept here."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    async def send(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letters)


class NullObserver:
    def conflict(self) -> None: ...

    def committed(self, records: Sequence[KafkaRecord], now_ms: int) -> None: ...


def processing_context(store: StateStore, rules: CountingRules, now_ms: int = START) -> ProcessingContext:
    return ProcessingContext(store, rules, RecordedDeadLetters(), NullObserver(), lambda: now_ms)


async def partition_processor(shared: ProcessingContext, topic: str, number: int) -> PartitionProcessor:
    """A processor that goes on where the store is."""
    partition = Partition(topic, number)
    (position,) = await shared.store.positions([partition])
    if position is None:
        await shared.store.move(partition, None, FIRST)
    return PartitionProcessor(partition, position or FIRST, shared)


def tally_by_name(tally: Mapping[int | str, int]) -> dict[str, int]:
    """Counts by name, histogram buckets as "handle:17", links of agents by the row they lead to."""
    return {_count_name(number): amount for number, amount in tally.items()}


def _count_name(number: int | str) -> str:
    if isinstance(number, str):
        return number
    if number < FIRST_BUCKET:
        return COUNTS[number]
    duration, bucket = divmod(number - FIRST_BUCKET, BUCKETS)
    return f"{DURATIONS[duration]}:{bucket}"


def cell_field(cell: Cell) -> str:
    """Spell a cell in one line."""
    return SEPARATOR.join(value or "" for value in cell)


async def stored_tallies(store: StateStore) -> Tallies:
    """All tallies of a store that are not empty, by family, pane and field."""
    return dict(tallies_of(await read_store_state(store)))


def tallies_of(store_state: StoreState) -> Iterator[tuple[TallyPlace, dict[str, int]]]:
    """Yield the tallies that are not empty, hour by hour."""
    for family, hour in store_state.panes:
        if family != "fine" and family != "long":
            continue
        for (pane, group), tally in store_state.tallies(family, hour).items():
            field = group if isinstance(group, str) else cell_field(group)
            if named_counts := {name: amount for name, amount in tally_by_name(tally).items() if amount}:
                yield (family, pane, field), named_counts


def differing_tallies(
    store_state: StoreState, wanted: Tallies
) -> Iterator[tuple[TallyPlace, dict[str, int] | None, dict[str, int] | None]]:
    """Yield place, found and wanted tally where both differ. Nothing is kept of what is found."""
    missing = dict(wanted)
    for place, found in tallies_of(store_state):
        if (expected := missing.pop(place, None)) != found:
            yield place, found, expected
    for place, expected in missing.items():
        yield place, None, expected
