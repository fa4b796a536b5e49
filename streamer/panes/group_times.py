"""Sums of agents' time by group row of an hour."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np

from streamer.events.counting_rules import UNKNOWN
from streamer.metrics.tally import NUMBER, TIMED_STATES
from streamer.panes.agent_time import AWAY, UNANSWERED, AgentInterval, AgentProfile, group_values
from streamer.panes.pane_delta import LongSums
from streamer.panes.pane_keys import ALL, SEPARATOR, Grouping

NUMBER_OF_STATE: Final = {
    **{state: NUMBER[f"{name}_ms"] for state, name in enumerate(TIMED_STATES)},
    UNANSWERED: NUMBER["offered_unanswered"],
}
"""Number of the count of each state, in ms, and of unanswered offers."""


class GroupTimes:
    """Group rows that an agent's time counts in.

    It counts once in `all`, and once in each queue and channel that the agent serves, so these do not add up
    to all. Only time away has reasons.

    >>> anna = AgentProfile("anna", "red", None, ("billing", "tech"), ("voice",))
    >>> away = AgentInterval(anna, 5, "lunch", 1_000, 4_000)
    >>> sums = GroupTimes(((), ("queue",), ("reason",))).sums([(away, 1)])
    >>> [row.replace(SEPARATOR, "=") for row in sums.rows], sums.amounts.tolist()
    (['all', 'queue=billing', 'queue=tech', 'reason=lunch'], [3000, 3000, 3000, 3000])
    """

    def __init__(self, groupings: Sequence[Grouping]) -> None:
        self._groupings = groupings
        self.row_names = lru_cache(maxsize=16_384)(self._new_row_names)
        """Names of the rows of an agent; with the reason of being away, where the agent is."""

    def sums(self, weighted: Iterable[tuple[AgentInterval, int]]) -> LongSums:
        """Return the sums of intervals within an hour, each with its weight."""
        sums: dict[str, dict[int, int]] = {}
        for (profile, state, reason, start_ms, end_ms), weight in weighted:
            number = NUMBER_OF_STATE[state]
            amount = weight if state == UNANSWERED else weight * (end_ms - start_ms)
            for name in self.row_names(profile, (reason or UNKNOWN) if state == AWAY else None):
                counts = sums.setdefault(name, {})
                counts[number] = counts.get(number, 0) + amount
        counts_of_row = [
            [(number, amount) for number, amount in counts.items() if amount] for counts in sums.values()
        ]
        flat = np.array([count for counts in counts_of_row for count in counts], np.int64).reshape(-1, 2)
        row = np.repeat(np.arange(len(sums)), [len(counts) for counts in counts_of_row])
        none = np.empty(0, np.int64)
        return LongSums([*sums], row, flat[:, 0], flat[:, 1], none, none, none)

    def _new_row_names(self, profile: AgentProfile, reason: str | None) -> list[str]:
        return [
            SEPARATOR.join([",".join(by), *combination]) if by else ALL
            for by in self._groupings
            for combination in product(*(group_values(profile, name, reason) for name in by))
        ]
