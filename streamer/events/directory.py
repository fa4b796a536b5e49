"""Agent directory: the team and site of each agent over time."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from streamer.events.adapters.source import Sent
from streamer.events.envelopes import WrongError
from streamer.events.outgoing import happened_ms

_NAMED: Final = ("team", "site")
_COMPLETED: Final = frozenset({"call-completed", "survey-sent", "survey-completed"})
"""Topics whose events may name a team and a site."""


class Stay(NamedTuple):
    """An agent's time with a team at a site: [start, end) in ms since the epoch. None: unknown, or open."""

    team: str | None = None
    site: str | None = None
    start: int | None = None
    end: int | None = None


class Directory:
    """Team memberships by agent id. Memberships of one agent do not overlap.

    >>> red, blue = Stay("red", end=1_000), Stay("blue", start=1_000)
    >>> directory = Directory({"anna": [red, blue]})
    >>> directory.at("anna", 999).team, directory.at("anna", 1_000).team
    ('red', 'blue')
    """

    def __init__(self, stays: Mapping[str, Iterable[Stay]]) -> None:
        self._stays = {agent: sorted(found, key=_start) for agent, found in stays.items()}
        self._starts = {agent: [_start(stay) for stay in found] for agent, found in self._stays.items()}

    def at(self, agent: str, time_ms: int) -> Stay:
        """Return the membership at that time, or an empty one where none is known."""
        number = bisect_right(self._starts.get(agent, ()), time_ms) - 1
        if number < 0:
            return Stay()
        stay = self._stays[agent][number]
        return stay if stay.end is None or time_ms < stay.end else Stay()

    def completed(self, sent: Sent) -> Sent:
        """Add the team and site its agent had at the time of the event, unless the event names its own."""
        agent = sent.data.get("agent_id")
        if sent.topic not in _COMPLETED or agent is None or str(agent) not in self._stays:
            return sent
        missing = [name for name in _NAMED if sent.data.get(name) in (None, "")]
        try:
            stay = self.at(str(agent), happened_ms(sent)) if missing else Stay()
        except WrongError:  # no time: reported when the event is sent
            return sent
        found = {name: value for name in missing if (value := getattr(stay, name)) is not None}
        return Sent(sent.topic, {**sent.data, **found}) if found else sent


NOBODY: Final = Directory({})


def overlapping(stays: Sequence[Stay]) -> bool:
    """Tell whether two memberships of one agent cover the same time."""
    ordered = sorted(stays, key=_start)
    return any(earlier.end is None or earlier.end > _start(later) for earlier, later in pairwise(ordered))


def _start(stay: Stay) -> float:
    return float("-inf") if stay.start is None else stay.start
