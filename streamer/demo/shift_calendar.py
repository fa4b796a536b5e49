"""Calendar of the simulated agents: their shifts and breaks, and the contacts they are taken by.

No agent is in two places: a break or a contact never overlaps another one of the same agent.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from streamer.demo import roster
from streamer.demo.roster import Agent, QueueRota
from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND

_USUAL_BREAKS = (("break", 0.9, 2.1, 10, 15), ("lunch", 3.0, 5.4, 30, 45), ("break", 6.2, 8.2, 10, 15))
"""Reason, earliest and latest start in hours after the shift's, shortest and longest length in minutes."""
_TRAINING = ("training", 2.4, 2.5, 20, 30)
_TRAINING_SHARE = 0.15
_OUTAGE_SHARE = 0.3
_DELAY_MS = 10 * SECOND
_MAX_DELAYS = 180
"""Longest wait for a free agent, in delays: half an hour."""


class Absence(NamedTuple):
    """Time of a shift away from work: [start_ms, end_ms)."""

    reason: str
    start_ms: int
    end_ms: int


class Shift(NamedTuple):
    """Shift of an agent, from signing in to signing out, with its absences in order."""

    start_ms: int
    end_ms: int
    absences: tuple[Absence, ...]


class Assignment(NamedTuple):
    """Agent who takes a contact, the time by which it had to wait longer for one, and whether the agent's
    calendar has room for it: not so only where the whole rota had none for half an hour."""

    agent: Agent
    delay_ms: int = 0
    is_reserved: bool = True


class ShiftCalendar:
    """Shifts of all agents by local day, and reservations within them.

    >>> agents = roster.create_agents(Random("staff"))
    >>> calendar = ShiftCalendar(1, agents, ZoneInfo("Europe/Madrid"))
    >>> agent, shift = next(iter(calendar.plan_day(date(2026, 11, 21))))
    >>> lunch = next(absence for absence in shift.absences if absence.reason == "lunch")
    >>> calendar.is_free(agent, lunch.start_ms - 1, lunch.start_ms)
    True
    >>> calendar.is_free(agent, lunch.start_ms, lunch.end_ms)
    False
    """

    def __init__(
        self,
        seed: int,
        agents: Sequence[Agent],
        zone: ZoneInfo,
        outages: Callable[[int, int], Iterable[Absence]] = lambda start_ms, end_ms: (),
        outage_queue: str = "",
    ) -> None:
        """Begin without shifts. `outages` returns the times between start and end in which some agents of a
        queue cannot work."""
        self._seed, self._agents, self._zone = seed, agents, zone
        self._outages, self._outage_queue = outages, outage_queue
        self._shifts: dict[str, list[Shift]] = {agent.id: [] for agent in agents}
        self._taken: dict[str, list[tuple[int, int]]] = {agent.id: [] for agent in agents}

    def plan_day(self, day: date) -> Iterator[tuple[Agent, Shift]]:
        """Add and yield the shifts that begin on a local day. Shifts of two days before are dropped."""
        for agent in self._agents:
            shift = self._shift(agent, day)
            forget_before_ms = shift.start_ms - 2 * DAY
            kept_shifts = [former for former in self._shifts[agent.id] if former.end_ms > forget_before_ms]
            self._shifts[agent.id] = [*kept_shifts, shift]
            taken = [period for period in self._taken[agent.id] if period[1] > forget_before_ms]
            taken += [(absence.start_ms, absence.end_ms) for absence in shift.absences]
            self._taken[agent.id] = sorted(taken)
            yield agent, shift

    def is_free(self, agent: Agent, start_ms: int, end_ms: int) -> bool:
        """Tell whether an agent is at work and not taken, from start to end."""
        if not any(shift.start_ms <= start_ms and end_ms <= shift.end_ms for shift in self._shifts[agent.id]):
            return False
        taken = self._taken[agent.id]
        next_index = bisect_right(taken, (start_ms, end_ms))
        is_free_before = next_index == 0 or taken[next_index - 1][1] <= start_ms
        return is_free_before and (next_index == len(taken) or taken[next_index][0] >= end_ms)

    def reserve(self, agent: Agent, start_ms: int, end_ms: int) -> None:
        """Take a free agent from start to end."""
        insort(self._taken[agent.id], (start_ms, end_ms))

    def assign(
        self, rota: QueueRota, first_index: int, start_ms: int, duration_ms: Callable[[Agent], int]
    ) -> Assignment:
        """Reserve the first free agent of a rota, from that index on; if nobody is free, the contact waits.
        `duration_ms` returns how long an agent would need."""
        agents = rota.agents
        for delay_ms in range(0, _MAX_DELAYS * _DELAY_MS, _DELAY_MS):
            for step in range(len(agents)):
                agent, begin_ms = agents[(first_index + step) % len(agents)], start_ms + delay_ms
                end_ms = begin_ms + duration_ms(agent)
                if self.is_free(agent, begin_ms, end_ms):
                    self.reserve(agent, begin_ms, end_ms)
                    return Assignment(agent, delay_ms)
        return Assignment(agents[first_index], is_reserved=False)

    def _shift(self, agent: Agent, day: date) -> Shift:
        random = Random(f"shift {self._seed} {agent.id} {day.toordinal()}")
        midnight = datetime.combine(day, time(), self._zone)
        begin = midnight + timedelta(hours=agent.shift_start_h)
        start_ms = round(begin.timestamp() * SECOND) + round(random.uniform(-5, 1) * MINUTE)
        end_ms = start_ms + roster.SHIFT_H * HOUR + round(random.uniform(4, 12) * MINUTE)
        usual = [*_USUAL_BREAKS, *((_TRAINING,) if random.random() < _TRAINING_SHARE else ())]
        absences = [_absence(random, start_ms, *limits) for limits in usual]
        if self._outage_queue in roster.queues_of_team(agent.team):
            absences += self._own_outages(random, start_ms, end_ms, tuple(absences))
        return Shift(start_ms, end_ms, tuple(sorted(absences, key=lambda absence: absence.start_ms)))

    def _own_outages(
        self, random: Random, start_ms: int, end_ms: int, absences: Sequence[Absence]
    ) -> Iterator[Absence]:
        """Yield the outages that find an agent of that share at work, not all at the same second."""
        for outage in self._outages(start_ms, end_ms):
            is_hit = random.random() < _OUTAGE_SHARE
            own = outage._replace(start_ms=outage.start_ms + round(random.uniform(0, 20) * SECOND))
            is_at_work = start_ms <= own.start_ms and own.end_ms <= end_ms
            is_taken = any(
                absence.start_ms < own.end_ms and own.start_ms < absence.end_ms for absence in absences
            )
            if is_hit and is_at_work and not is_taken:
                yield own


def _absence(
    random: Random, start_ms: int, reason: str, low_h: float, high_h: float, low_min: float, high_min: float
) -> Absence:
    begin_ms = start_ms + round(random.uniform(low_h, high_h) * HOUR)
    return Absence(reason, begin_ms, begin_ms + round(random.uniform(low_min, high_min) * MINUTE))
