"""Here is counting without Kafka: lanes over logs in memory, and what the store then holds."""

from collections.abc import Mapping, Sequence

from streamer.comparison import state
from streamer.events.decoding import Record
from streamer.events.rules import Rules
from streamer.metrics.tally import BUCKETS, COUNTS, DURATIONS, FIRST_BUCKET
from streamer.panes.posting import Posting, unpack
from streamer.pipeline import Counting, Lane, Letter
from streamer.store.port import Partition, Position, Store
from tests.strategies import START

FIRST = Position("first", 0, b"--------")
Tallies = dict[tuple[str, int, str], dict[str, int]]


class Letters:
    """Dead letters that are kept here."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letters: Sequence[Letter]) -> None:
        self.letters.extend(letters)


class Unwatched:
    def conflict(self) -> None: ...

    def committed(self, records: Sequence[Record], now_ms: int) -> None: ...


def counting(store: Store, rules: Rules, now_ms: int = START) -> Counting:
    return Counting(store, rules, Letters(), Unwatched(), lambda: now_ms)


async def lane(shared: Counting, topic: str, number: int) -> Lane:
    """A lane that goes on where the store is."""
    partition = Partition(topic, number)
    (position,) = await shared.store.positions([partition])
    if position is None:
        await shared.store.move(partition, None, FIRST)
    return Lane(partition, position or FIRST, shared)


def named(tally: Mapping[int, int]) -> dict[str, int]:
    """Counts by name, histogram buckets as "handle:17"."""
    return {_name(number): amount for number, amount in tally.items()}


def _name(number: int) -> str:
    if number < FIRST_BUCKET:
        return COUNTS[number]
    duration, bucket = divmod(number - FIRST_BUCKET, BUCKETS)
    return f"{DURATIONS[duration]}:{bucket}"


async def held(store: Store) -> Tallies:
    """All tallies of a store that are not empty, by family, pane and field."""
    found: Tallies = {}
    for (family, index), postings in (await state(store, ())).panes.items():
        for packed in postings:
            _add(found, family, index, unpack(packed))
    return {
        place: kept
        for place, tally in found.items()
        if (kept := {name: amount for name, amount in tally.items() if amount})
    }


def _add(found: Tallies, family: str, index: int, posting: Posting) -> None:
    for field, tally in posting.tallies():
        _sum(found.setdefault((family, index, field), {}), named(tally))
    for agent, row, amount in zip(posting.agents, posting.under, posting.linked, strict=True):
        place = family, index, posting.fields[agent]
        _sum(found.setdefault(place, {}), {posting.fields[row]: amount})


def _sum(tally: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        tally[name] = tally.get(name, 0) + amount
