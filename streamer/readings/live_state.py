"""Hold what is live, as the store's index has it, and read it by group as of one moment.

What agents do is summed by group once, until the index changes or an agent falls silent; contacts, of which
there are fewer and whose waits grow, are summed at each reading.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import inf
from typing import Final, NamedTuple

from streamer.events.counting_rules import DAY, MINUTE, UNKNOWN, CountingRules
from streamer.events.models import AGENT_STATES, CONTACT_STATES
from streamer.journeys.journey import Key
from streamer.journeys.state_history import LIVE_HORIZON_MS, SLOW_HORIZON_MS
from streamer.metrics.live_group import LiveGroup
from streamer.panes.agent_time import AWAY, group_values
from streamer.panes.live_index import (
    AHEAD_MS,
    LiveAgent,
    LiveContact,
    add_agents,
    add_contacts,
    agent_as_of,
    stated_groups,
)
from streamer.panes.pane_keys import ALL, format_key, parse_row_field

UNKNOWN_MS: Final = DAY
"""An agent who fell silent counts as unknown for so long, and is dropped then."""
STARTS_MS: Final = 30 * MINUTE
"""Starts of service so recent tell how long a wait will be."""
MIN_STARTS: Final = 10
"""Fewer starts of service tell nothing of the next wait."""
MAX_LES_AGE: Final = 2
"""The wait of the last to enter service tells nothing once it is older than so many times itself."""

_QUEUED, _OFFERED, _CONNECTED, _HELD = map(CONTACT_STATES.index, ("queued", "offered", "connected", "held"))
AGENT_FIELDS: Final = ("agents_available", "agents_busy", "agents_wrap_up", "agents_away", "agents_unknown")
NO_AGENTS: Final = (0,) * len(AGENT_FIELDS)
_AWAY_PLACE: Final = AGENT_FIELDS.index("agents_away")
_UNKNOWN_PLACE: Final = AGENT_FIELDS.index("agents_unknown")
_PLACE_OF_STATE: Final = [
    AGENT_FIELDS.index(f"agents_{'busy' if state in ('offered', 'held') else state}")
    for state in AGENT_STATES
    if state != "offline"
]

MomentsByKey = Mapping[str, int]
"""Moments in ms by the key of a group."""


class ServiceHistory(NamedTuple):
    """Service of groups before now: the segments of a group answered in the last 30 minutes, and the agents
    who served groups at past moments, by their closed intervals."""

    recently_answered: Callable[[str], int]
    served_before: Callable[[MomentsByKey], Mapping[str, int]]


class LiveContext(NamedTuple):
    """What a reading of now depends on beside the index: the moment in ms, and for expected waits the service
    before."""

    now_ms: int
    service: ServiceHistory | None = None


class LiveLimits(NamedTuple):
    """Time in ms after which a contact under way is lost: by voice or chat, and by other channels."""

    quick_ms: int
    slow_ms: int


class LiveState:
    """Contacts under way and agents signed in, by the key of their document."""

    def __init__(self, rules: CountingRules, limits: LiveLimits) -> None:
        self._rules, self._limits = rules, limits
        self.contacts: dict[Key, LiveContact] = {}
        self.agents: dict[Key, LiveAgent] = {}
        self.stated_contacts, self.stated_agents = StatedDays(), StatedDays()
        self._agent_tables: dict[str, AgentTable] = {}

    def copy(self) -> "LiveState":
        """Return the same, which later changes do not reach: entries are replaced, never changed."""
        same = LiveState(self._rules, self._limits)
        same.contacts, same.agents = self.contacts, self.agents
        return same

    def put_contacts(self, deltas: Sequence[bytes], whole: bool) -> None:
        self.contacts = add_contacts(deltas, None if whole else self.contacts)
        self.stated_contacts = self.stated_contacts.updated(deltas, whole)

    def put_agents(self, deltas: Sequence[bytes], whole: bool) -> None:
        before, after = self.agents, add_agents(deltas, None if whole else self.agents)
        self.agents = after
        self.stated_agents = self.stated_agents.updated(deltas, whole)
        for table in self._agent_tables.values():
            for key in before.keys() | after.keys():
                if before.get(key) is not after.get(key):
                    table.replace(key, before.get(key), after.get(key))

    def under_way(self, now_ms: int) -> list[LiveContact]:
        """Return the contacts under way, without those that are lost."""
        return [contact for contact in self._remembered(now_ms) if not self.is_lost(contact, now_ms)]

    def _remembered(self, now_ms: int) -> Iterator[LiveContact]:
        """Yield the contacts, but those so long lost that the index forgets them when it is merged."""
        quick_ms, slow_ms = self._limits.quick_ms + LIVE_HORIZON_MS, self._limits.slow_ms + SLOW_HORIZON_MS
        for contact in self.contacts.values():
            if now_ms - contact.latest_ms <= (slow_ms if contact.is_slow else quick_ms):
                yield contact

    def signed_in(self, now_ms: int) -> list[LiveAgent]:
        """Return the agents signed in, as of a moment, and those who fell silent less than UNKNOWN_MS ago."""
        return [
            agent_as_of(agent, now_ms)
            for agent in self.agents.values()
            if now_ms < silent_from_ms(agent) + UNKNOWN_MS
        ]

    def is_lost(self, contact: LiveContact, now_ms: int) -> bool:
        """Tell whether a contact has been under way for longer than the limit."""
        return is_contact_lost(contact, self._limits, now_ms)

    def is_over_target(self, contact: LiveContact, now_ms: int) -> bool:
        """Tell whether a contact waits, and has waited for longer than its queue's T."""
        return (
            is_waiting(contact)
            and now_ms - contact_start_ms(contact) > self._rules.service_level_of(contact.queue).within_ms
        )

    def groups(self, by: str, context: LiveContext) -> "LiveGroups":
        """Return what is going on in each group."""
        agents = self._agent_table(by, context.now_ms)
        lines = self._lines(by, context.now_ms)
        return LiveGroups(lines, agents, context, self.stated_keys(by, context.now_ms))

    def stated_keys(self, by: str, now_ms: int) -> "StatedKeys":
        """Return the keys of the groups that states were sent of within the retention."""
        first_day = (now_ms - self._rules.retention_ms) // DAY
        return StatedKeys(self.stated_contacts.keys(by, first_day), self.stated_agents.keys(by, first_day))

    def _agent_table(self, by: str, now_ms: int) -> "AgentTable":
        table = self._agent_tables.get(by)
        if table is None or not table.first_ms <= now_ms < table.end_ms:
            table = self._agent_tables[by] = AgentTable(self.agents, by, now_ms)
        return table

    def _lines(self, by: str, now_ms: int) -> dict[str, "ContactLine"]:
        dimensions = grouping_dimensions(by)
        lines: dict[str, ContactLine] = defaultdict(ContactLine)
        (quick_ms, slow_ms), service_level = self._limits, self._rules.service_level_of
        for contact in self._remembered(now_ms):
            start_ms = contact_start_ms(contact)
            lines[live_contact_key(contact, dimensions)].add(
                contact,
                start_ms,
                now_ms - start_ms > (slow_ms if contact.is_slow else quick_ms),
                is_waiting(contact) and now_ms - start_ms > service_level(contact.queue).within_ms,
            )
        return lines


class StatedKeys(NamedTuple):
    """Keys of the groups of a grouping that the states of contacts, and of agents, were sent of."""

    contacts: Collection[str]
    agents: Collection[str]


class StatedDays:
    """Groups that states were sent of, by grouping and key, with the last day of one. It is never changed."""

    def __init__(self, days: Mapping[str, Mapping[str, int]] | None = None) -> None:
        self._days: Mapping[str, Mapping[str, int]] = days or {}

    def updated(self, deltas: Sequence[bytes], whole: bool) -> "StatedDays":
        """Return the groups with those of further deltas; if `whole`, with those alone."""
        groups = stated_groups(deltas)
        if not groups.last_day and not whole:
            return self
        days = {} if whole else {by: {**of_key} for by, of_key in self._days.items()}
        for row, day in groups.last_day.items():
            by, key = parse_row_field(row)
            of_key = days.setdefault(by, {})
            of_key[key] = max(day, of_key.get(key, day))
        return StatedDays(days)

    def keys(self, by: str, first_day: int) -> set[str]:
        """Return the keys of a grouping of which states were sent on `first_day` or later."""
        return {key for key, day in self._days.get(by, {}).items() if day >= first_day}


def grouping_dimensions(by: str) -> tuple[str, ...]:
    """Return the dimensions of a grouping.

    >>> grouping_dimensions("all"), grouping_dimensions("queue,channel")
    ((), ('queue', 'channel'))
    """
    return () if by == ALL else tuple(by.split(","))


def silent_from_ms(agent: LiveAgent) -> int:
    """Return the moment from which on nothing is known of an agent, unless heard of again."""
    return agent.heard_at + agent.silence_ms


def is_silent(agent: LiveAgent, now_ms: int) -> bool:
    return now_ms >= silent_from_ms(agent)


def is_waiting(contact: LiveContact) -> bool:
    return contact.state in (_QUEUED, _OFFERED)


def contact_start_ms(contact: LiveContact) -> int:
    """Return when a contact began what it is in: waiting, or being served."""
    start_ms = contact.waiting_since if is_waiting(contact) else contact.connected_at
    return contact.since if start_ms is None else start_ms


def is_contact_lost(contact: LiveContact, limits: LiveLimits, now_ms: int) -> bool:
    """Tell whether a contact has been waiting, or being served, for longer than the limit."""
    limit_ms = limits.slow_ms if contact.is_slow else limits.quick_ms
    return now_ms - contact_start_ms(contact) > limit_ms


def live_contact_key(contact: LiveContact, dimensions: Sequence[str]) -> str:
    """Return the key of the group that a contact belongs to."""
    if not dimensions:
        return ""
    values = [getattr(contact, _CONTACT_FIELD.get(name, name)) or UNKNOWN for name in dimensions]
    return values[0] if len(values) == 1 else format_key(values)


_CONTACT_FIELD: Final = {"agent": "agent_id"}


@dataclass(slots=True)
class ContactLine:
    """Contacts under way of one group: those who wait, and what tells how long a wait will be."""

    waiting: int = 0
    over_target: int = 0
    in_progress: int = 0
    lost: int = 0
    first_waiting_since: int | None = None
    queues: set[str | None] = field(default_factory=set)
    priorities: set[int] = field(default_factory=set)
    is_callback: set[bool] = field(default_factory=set)
    starts: list[int] = field(default_factory=list)
    """When service of contacts under way began."""
    last_start: tuple[int, int] | None = None
    """When the last one entered service, and its wait in ms."""

    def add(self, contact: LiveContact, start_ms: int, is_lost: bool, is_over_target: bool) -> None:
        """Add a contact, in what it is in since `start_ms`. Outbound ones only count if they are lost."""
        if is_lost:
            self.lost += 1
        elif contact.is_outbound:
            return
        elif is_waiting(contact):
            self._add_waiting(contact, start_ms, is_over_target)
        else:
            self._add_served(contact)

    def _add_waiting(self, contact: LiveContact, start_ms: int, is_over_target: bool) -> None:
        self.waiting += 1
        self.over_target += is_over_target
        if self.first_waiting_since is None or start_ms < self.first_waiting_since:
            self.first_waiting_since = start_ms
        self.queues.add(contact.queue)
        self.priorities.add(contact.priority or 0)
        self.is_callback.add(contact.channel == "callback")

    def _add_served(self, contact: LiveContact) -> None:
        self.in_progress += contact.state in (_CONNECTED, _HELD)
        self.queues.add(contact.queue)
        if contact.connected_at is None:
            return
        self.starts.append(contact.connected_at)
        if contact.waiting_since is not None:
            start = contact.connected_at, max(0, contact.connected_at - contact.waiting_since)
            self.last_start = max(self.last_start or start, start)

    def longest_wait_ms(self, now_ms: int) -> int:
        return 0 if self.first_waiting_since is None else max(0, now_ms - self.first_waiting_since)

    def recent_starts(self, now_ms: int) -> int:
        return sum(now_ms - STARTS_MS <= start <= now_ms for start in self.starts)

    def delay(self, now_ms: int) -> tuple[int, int] | None:
        """Return the wait in ms that a newcomer may expect, and when that wait began: of the head of the
        line, else of the last to enter service; None where contacts overtake, or where neither is known."""
        if len(self.queues) > 1 or len(self.priorities) > 1 or len(self.is_callback) > 1:
            return None
        if self.first_waiting_since is not None:
            return self.longest_wait_ms(now_ms), self.first_waiting_since
        if self.last_start is None:
            return None
        start_ms, wait_ms = self.last_start
        is_recent = 0 <= now_ms - start_ms <= MAX_LES_AGE * wait_ms
        return (wait_ms, start_ms - wait_ms) if is_recent else None


EMPTY_LINE: Final = ContactLine()


class AgentTable:
    """Agents by group and by what they do, as of `first_ms`, and until one of them falls silent, is dropped,
    or begins what was told ahead, at `end_ms`. `counts` are in the order of AGENT_FIELDS."""

    def __init__(self, agents: Mapping[Key, LiveAgent], by: str, now_ms: int) -> None:
        self._dimensions = grouping_dimensions(by)
        self.first_ms: int = now_ms
        self.end_ms: float = inf
        self.counts: dict[str, list[int]] = {}
        self._serving: dict[Key, tuple[int, Collection[str]]] = {}
        """Of each agent who serves, since when, and the keys of the groups."""
        for key, agent in agents.items():
            self._count(key, agent, 1)

    def replace(self, key: Key, before: LiveAgent | None, after: LiveAgent | None) -> None:
        """Count an agent whose entry changed; None: there was none, or is none any more."""
        if before is not None:
            self._count(key, before, -1)
        if after is not None:
            self._count(key, after, 1)

    def _count(self, key: Key, agent: LiveAgent, weight: int) -> None:
        if agent.open_from > self.first_ms + AHEAD_MS:
            self.end_ms = min(self.end_ms, agent.open_from - AHEAD_MS)
            agent = agent_as_of(agent, self.first_ms)
        silent_ms, keys = silent_from_ms(agent), agent_keys(agent, self._dimensions)
        if self.first_ms >= silent_ms + UNKNOWN_MS:
            return
        is_unknown = self.first_ms >= silent_ms
        self.end_ms = min(self.end_ms, silent_ms + UNKNOWN_MS if is_unknown else silent_ms)
        place = _UNKNOWN_PLACE if is_unknown else _PLACE_OF_STATE[agent.state]
        for group_key in keys:
            counts = self.counts.get(group_key)
            if counts is None:
                counts = self.counts[group_key] = [0] * len(AGENT_FIELDS)
            counts[place] += weight
            if weight < 0 and not any(counts):
                del self.counts[group_key]
        if weight < 0:
            self._serving.pop(key, None)
        elif not is_unknown and agent.state != AWAY:
            self._serving[key] = (agent.open_from, keys)

    def serving(self, key: str) -> int:
        """Return how many agents of a group take contacts."""
        return sum(self.counts.get(key, NO_AGENTS)[:_AWAY_PLACE])

    def serving_since(self, moments: MomentsByKey) -> Counter[str]:
        """Return how many agents of each group serve since its moment or longer, in one interval."""
        counts, no_moment = Counter[str](), -inf
        for open_from, keys in self._serving.values() if moments else ():
            for key in keys:
                if open_from <= moments.get(key, no_moment):
                    counts[key] += 1
        return counts


def agent_keys(agent: LiveAgent, dimensions: Sequence[str]) -> Collection[str]:
    """Return the keys of the groups that an agent belongs to: one for each queue and channel served. By
    reason only agents who are away."""
    match dimensions:
        case ():
            return ("",)
        case ("queue",):
            return agent.queues or (UNKNOWN,)
    away_reason = (agent.reason or UNKNOWN) if agent.state == AWAY else None
    values = (group_values(agent, name, away_reason) for name in dimensions)
    return [format_key(combination) for combination in product(*values)]


class LiveGroups:
    """What is going on in each group of a grouping at one moment. Later changes do not reach it."""

    def __init__(
        self,
        lines: Mapping[str, ContactLine],
        agents: AgentTable,
        context: LiveContext,
        stated: StatedKeys,
    ) -> None:
        self._lines, self._agents, self._context, self._stated = lines, agents.counts, context, stated
        self._expected_waits = dict(_expected_waits(lines, agents, context))
        self._groups = {key: self._new_group(key) for key in {*lines, *agents.counts}}

    @property
    def keys(self) -> set[str]:
        return {*self._groups}

    def group(self, key: str) -> LiveGroup:
        """Return one group; nothing goes on in an unknown one."""
        return self._groups.get(key) or LiveGroup(*(key in keys for keys in self._stated))

    def _new_group(self, key: str) -> LiveGroup:
        line, now_ms = self._lines.get(key, EMPTY_LINE), self._context.now_ms
        expected_wait_ms, service_starts = self._expected_waits.get(key, (None, 0))
        available, busy, wrap_up, away, unknown = self._agents.get(key, NO_AGENTS)
        # Positional arguments are faster: there may be hundreds of groups at each reading.
        return LiveGroup(
            key in self._lines or key in self._stated.contacts,
            key in self._agents or key in self._stated.agents,
            line.waiting, line.longest_wait_ms(now_ms), line.over_target, line.in_progress, line.lost,
            available, busy, wrap_up, away, unknown, expected_wait_ms, service_starts,
        )  # fmt: skip


class _Estimate(NamedTuple):
    """An expected wait in ms, when the wait it is taken from began, the starts of service it rests on, and
    how many agents serve the group now."""

    wait_ms: int
    from_ms: int
    starts: int
    serving: int


def _expected_waits(
    lines: Mapping[str, ContactLine], agents: AgentTable, context: LiveContext
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the expected wait in ms and the starts of service it rests on, for each group that has one."""
    if context.service is None:
        return
    estimates = dict(_estimates(lines, agents, context.now_ms, context.service))
    moments = {key: estimate.from_ms for key, estimate in estimates.items()}
    served_before, serving_since = context.service.served_before(moments), agents.serving_since(moments)
    for key, estimate in estimates.items():
        serving_then = served_before.get(key, 0) + serving_since[key]
        if serving_then == estimate.serving:
            yield key, (estimate.wait_ms, estimate.starts)


def _estimates(
    lines: Mapping[str, ContactLine], agents: AgentTable, now_ms: int, service: ServiceHistory
) -> Iterator[tuple[str, _Estimate]]:
    """Yield the estimates of groups where somebody serves, nobody overtakes, and enough entered service."""
    for key, line in lines.items():
        serving = agents.serving(key)
        delay = line.delay(now_ms) if serving else None
        if delay is None:
            continue
        starts = line.recent_starts(now_ms) + service.recently_answered(key)
        if starts >= MIN_STARTS:
            yield key, _Estimate(*delay, starts, serving)
