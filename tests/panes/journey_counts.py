"""Journeys built from facts, and the counts that the fold makes of them."""

from collections.abc import Iterable

from streamer.events.counting_rules import CountingRules
from streamer.events.models import DIMENSIONS, CustomerValuation, StatedFact
from streamer.journeys.journey import (
    NO_FACTS,
    FactGroup,
    Journey,
    Key,
    StatedValue,
    claim_key,
    customer_key,
)
from streamer.metrics.tally import Tally
from streamer.panes.fold import Contribution, fold
from streamer.panes.pane_keys import Cell
from tests.counting import tally_by_name

ANN = customer_key("ann")


def journey_of(*facts: StatedFact) -> Journey:
    """Return a journey of these facts, grouped by contact; valuations become its valuations."""
    groups: dict[Key, FactGroup] = {}
    valuations: tuple[StatedValue, ...] = ()
    for fact in facts:
        if isinstance(fact, CustomerValuation):
            valuations += (StatedValue(fact.source, fact.as_of, fact.digest()[:8], fact.value),)
            continue
        key = claim_key(fact)
        former_facts = groups[key].facts if key in groups else NO_FACTS
        groups[key] = FactGroup.from_facts(key, former_facts.added(fact))
    return Journey(groups, valuations)


def cell_of(**dimensions: str) -> Cell:
    assert dimensions.keys() <= set(DIMENSIONS)
    return tuple(dimensions.get(name) for name in DIMENSIONS)


def sum_rows(rows: Iterable[Contribution]) -> Tally:
    sums: Tally = {}
    for row in rows:
        for number, amount in row.tally().items():
            sums[number] = sums.get(number, 0) + amount
    return sums


def count_facts(*facts: StatedFact, rules: CountingRules | None = None, key: Key = ANN) -> dict[str, int]:
    """Return the counts of a journey of these facts, by name; counts of 0 are absent."""
    rows = [row for _, _, rows in fold(key, journey_of(*facts), rules or CountingRules()) for row in rows]
    return tally_by_name(sum_rows(rows))
