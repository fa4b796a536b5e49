"""Here is the promise: in any order, however often, over any partitions, the numbers are the oracle's."""

from collections.abc import Mapping, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streamer.events.decoding import Record, decode
from streamer.events.models import Event, Rejected, Tombstone
from streamer.events.rules import Rules
from streamer.panes.grid import cell_field
from streamer.store.memory import MemoryStore
from tests import oracle, strategies
from tests.counting import Tallies, counting, held, lane
from tests.messages import logs
from tests.strategies import START

SLOW = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


def published(event: Event) -> int:
    """Each at its own time: what may be too late or forgotten is another test's matter."""
    return START if isinstance(event, Tombstone) else event.time


def stated(logs: Mapping[object, Sequence[Record]], rules: Rules) -> list[Event]:
    """What the records say, as the oracle is told it."""
    events = [decode(record, rules) for log in logs.values() for record in log]
    assert not [event for event in events if isinstance(event, Rejected)]
    return events


def wanted(events: list[Event], rules: Rules) -> Tallies:
    """What the oracle says the store holds, presence of agents aside."""
    fine = oracle.tallies(events, rules).items()
    long = oracle.by_hour_and_row(events, rules).items()
    return {("fine", pane, cell_field(cell).decode()): tally for (pane, cell), tally in fine} | {
        ("long", hour, row): tally for (hour, row), tally in long
    }


def without_presence(tallies: Tallies) -> Tallies:
    kept = {
        place: {name: amount for name, amount in tally.items() if not _is_row(name)}
        for place, tally in tallies.items()
    }
    return {place: tally for place, tally in kept.items() if tally}


def _is_row(name: str) -> bool:
    return name == "all" or "\x1f" in name


@SLOW
@given(strategies.events(), strategies.rules(), st.data())
async def test_any_order_duplication_and_batching_gives_the_oracles_tallies(events, rules, data):
    again = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    order = data.draw(st.permutations([*events, *again]))
    placed = [(event, data.draw(st.integers(0, 1))) for event in order]
    store = MemoryStore()
    shared = counting(store, rules)
    turns = []
    published_logs = logs(placed, published)
    for (topic, number), log in published_logs.items():
        at = await lane(shared, topic, number)
        size = data.draw(st.integers(1, 5))
        turns += [(at, log[first : first + size]) for first in range(0, len(log), size)]
    for at, batch in sorted(turns, key=lambda turn: data.draw(st.integers(0, 3))):
        if batch[0].offset == at.position.next:
            await at.count(batch, batch[-1].offset + 1)
    for at, batch in turns:
        if batch[0].offset == at.position.next:
            await at.count(batch, batch[-1].offset + 1)
    assert without_presence(await held(store)) == wanted(stated(published_logs, rules), rules)
    counts = await store.counts()
    assert sum(amount for name, amount in counts.items() if name.startswith("events")) == len(order)
