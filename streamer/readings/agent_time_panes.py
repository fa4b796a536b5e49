"""Hold agents' closed intervals of the last days in memory, and sum their time by group, exact to the ms.

Sums of whole hours are kept; at the edges of a window the rows of one hour are cut. Intervals that are still
open come from the index of what is live.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from streamer.events.counting_rules import HOUR, UNKNOWN
from streamer.metrics.tally import NUMBERS
from streamer.panes.agent_time import AWAY, UNANSWERED, AgentProfile, TimeRows, group_values
from streamer.panes.group_times import NUMBER_OF_STATE
from streamer.panes.integers import Integers, sum_by_index
from streamer.panes.live_index import LiveAgent
from streamer.panes.pane_keys import ALL, Grouping, format_key, groupings, parse_key
from streamer.readings.pane_sums import NO_COUNTS, SparseCounts, sum_counts
from streamer.readings.string_table import StringTable

_NUMBER_OF_STATE: Final = np.array([NUMBER_OF_STATE.get(state, 0) for state in range(UNANSWERED + 1)])


class TimeOwner(NamedTuple):
    """What time counts under: the agent's profile, and why the agent was away ("" in other states)."""

    profile: AgentProfile
    away_reason: str


class TimeColumns(NamedTuple):
    """Intervals as columns: number of the owner, state, start and length in ms, weight."""

    owner: Integers
    state: Integers
    start_ms: Integers
    length_ms: Integers
    weight: Integers

    def amounts(self, start_ms: int, end_ms: int) -> Integers:
        """Return the amount that each interval adds within [start, end): ms, or offers that ended there."""
        begin = np.maximum(self.start_ms, start_ms)
        inside_ms = np.maximum(np.minimum(self.start_ms + self.length_ms, end_ms) - begin, 0)
        is_offer = self.state == UNANSWERED
        is_inside = (self.start_ms >= start_ms) & (self.start_ms < end_ms)
        return self.weight * np.where(is_offer, is_inside, inside_ms)


NO_COLUMNS: Final = TimeColumns(*[np.empty(0, np.int64)] * 5)


class _OwnerRows:
    """The group rows of each owner under one grouping, as two columns of links."""

    def __init__(self, by: Grouping, rows: StringTable) -> None:
        self._by, self._rows = by, rows
        self._row_numbers: list[int] = []
        self._first_link: list[int] = [0]
        self._arrays: tuple[Integers, Integers] | None = None

    def add(self, owner: TimeOwner) -> None:
        """Add the next owner: one row for each queue and channel; by reason only time away."""
        values = (group_values(owner.profile, name, owner.away_reason) for name in self._by)
        keys = map(format_key, product(*values)) if self._by else [""]
        self._row_numbers += map(self._rows.add, keys)
        self._first_link.append(len(self._row_numbers))
        self._arrays = None

    def expand(self, owners: Integers) -> tuple[Integers, Integers]:
        """Return the places in `owners`, each once for each of its rows, and these rows."""
        if self._arrays is None:
            self._arrays = np.array(self._row_numbers, np.int64), np.array(self._first_link, np.int64)
        rows, first_link = self._arrays
        sizes = first_link[owners + 1] - first_link[owners]
        places = np.repeat(np.arange(len(owners)), sizes)
        within = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return places, rows[first_link[owners][places] + within]


class _HourColumns:
    """The rows of one hour, and their sums by grouping."""

    def __init__(self) -> None:
        self._parts: list[TimeColumns] = []
        self.sums: dict[str, SparseCounts] = {}

    def add(self, parts: Iterable[TimeColumns], whole: bool) -> None:
        self._parts = [*([] if whole else self._parts), *parts]
        self.sums = {}

    def owners(self) -> Integers:
        """Return the owners of all rows; may be called while others add some."""
        return np.concatenate([NO_COLUMNS.owner, *(part.owner for part in self._parts)])

    @property
    def columns(self) -> TimeColumns:
        if len(self._parts) != 1:
            columns = zip(*(self._parts or [NO_COLUMNS]), strict=True)
            self._parts = [TimeColumns(*map(np.concatenate, columns))]
        return self._parts[0]


class AgentTimePanes:
    """Closed intervals of agents by hour. `rows`: group keys of each grouping by number."""

    def __init__(self, pairs: tuple[Grouping, ...], zone_of_queue: Callable[[str | None], str]) -> None:
        by_name = {",".join(by) or ALL: by for by in groupings(pairs)}
        self.rows = {name: StringTable() for name in by_name}
        self._zone_of_queue = zone_of_queue
        self._owners: dict[TimeOwner, int] = {}
        self._owner_rows = {name: _OwnerRows(by, self.rows[name]) for name, by in by_name.items()}
        self._hours: dict[int, _HourColumns] = {}
        self._floor_hour = 0

    def put(self, hour: int, deltas: Sequence[bytes], whole: bool) -> None:
        """Add the packed deltas of an hour; if `whole`, they replace all it held."""
        if hour >= self._floor_hour:
            parts = [self._numbered(hour, TimeRows.unpacked(delta)) for delta in deltas]
            self._hours.setdefault(hour, _HourColumns()).add(parts, whole)

    def _numbered(self, hour: int, rows: TimeRows) -> TimeColumns:
        reasons = [reason or UNKNOWN for reason in rows.reasons]
        is_away = rows.state == AWAY
        code = np.where(is_away, rows.reason + 1, 0) + rows.profile * (len(reasons) + 1)
        used, place = np.unique(code, return_inverse=True)
        numbers = [
            self._owner_number(rows.profiles[profile], reasons[reason - 1] if reason else "")
            for profile, reason in zip(
                *(part.tolist() for part in np.divmod(used, len(reasons) + 1)), strict=True
            )
        ]
        return TimeColumns(
            np.array(numbers, np.int64)[place],
            rows.state,
            rows.start_ms + hour * HOUR,
            rows.length_ms,
            rows.weight,
        )

    def _owner_number(self, profile: AgentProfile, away_reason: str) -> int:
        owner = TimeOwner(profile, away_reason)
        number = self._owners.get(owner)
        if number is None:
            number = self._owners[owner] = len(self._owners)
            for owner_rows in self._owner_rows.values():
                owner_rows.add(owner)
        return number

    def open_intervals(self, agents: Iterable[LiveAgent], now_ms: int) -> TimeColumns:
        """Return the present intervals of agents, up to now, or up to when they fell silent."""
        columns = [
            (
                self._owner_number(
                    AgentProfile(agent.agent_id, agent.team, agent.site, agent.queues, agent.channels),
                    (agent.reason or UNKNOWN) if agent.state == AWAY else "",
                ),
                agent.state,
                agent.open_from,
                max(0, min(now_ms, agent.heard_at + agent.silence_ms) - agent.open_from),
                1,
            )
            for agent in agents
        ]
        return TimeColumns(*np.array(columns, np.int64).reshape(-1, 5).T)

    def group(self, by: str, columns: TimeColumns, start_ms: int, end_ms: int) -> SparseCounts:
        """Return the time of intervals within [start, end), with keys row * NUMBERS + number."""
        amounts = columns.amounts(start_ms, end_ms)
        present = np.flatnonzero(amounts)
        codes = columns.owner[present] * NUMBERS + _NUMBER_OF_STATE[columns.state[present]]
        by_owner = sum_counts([SparseCounts(codes, amounts[present])])
        owners, numbers = np.divmod(by_owner.keys, NUMBERS)
        places, rows = self._owner_rows[by].expand(owners)
        return sum_counts([SparseCounts(rows * NUMBERS + numbers[places], by_owner.values[places])])

    def total(self, by: str, start_ms: int, end_ms: int, zone: str | None = None) -> SparseCounts:
        """Return the closed time within [start, end). `zone`: only queues of this time zone, where grouped by
        queue."""
        first, last = start_ms // HOUR, -(-end_ms // HOUR)
        parts = [
            self._hour_total(by, hour, start_ms, end_ms) for hour in range(first, last) if hour in self._hours
        ]
        return self.within_zone(by, parts[0] if len(parts) == 1 else sum_counts(parts), zone)

    def _hour_total(self, by: str, hour: int, start_ms: int, end_ms: int) -> SparseCounts:
        hour_columns, hour_start_ms = self._hours[hour], hour * HOUR
        if start_ms > hour_start_ms or end_ms < hour_start_ms + HOUR:
            return self.group(by, hour_columns.columns, start_ms, end_ms)
        if by not in hour_columns.sums:
            hour_columns.sums[by] = self.group(by, hour_columns.columns, hour_start_ms, hour_start_ms + HOUR)
        return hour_columns.sums[by]

    def within_zone(self, by: str, counts: SparseCounts, zone: str | None) -> SparseCounts:
        dimensions = by.split(",")
        if zone is None or "queue" not in dimensions:
            return counts
        place, names = dimensions.index("queue"), self.rows[by].names
        in_zone = np.array(
            [
                self._zone_of_queue((parse_key(name, len(dimensions)) or [""])[place]) == zone
                for name in names
            ],
            bool,
        )
        return counts.select(in_zone[counts.keys // NUMBERS]) if len(counts.keys) else NO_COUNTS

    def served(self, by: str, moments: Mapping[str, int]) -> dict[str, int]:
        """Return how many agents took contacts of each group at its moment, by their closed intervals."""
        if not moments:
            return {}
        rows = self.rows[by]
        moment_of_row = np.full(len(rows.names), -1, np.int64)
        row_of_key = {key: row for key in moments if (row := rows.get(key)) is not None}
        for key, row in row_of_key.items():
            moment_of_row[row] = moments[key]
        serving = np.zeros(len(rows.names), np.int64)
        first_ms, last_ms = min(moments.values()), max(moments.values())
        for columns in self._columns_between(first_ms, last_ms):
            near = np.flatnonzero(
                (columns.state < AWAY)
                & (columns.start_ms <= last_ms)
                & (columns.start_ms + columns.length_ms > first_ms)
            )
            places, served_rows = self._owner_rows[by].expand(columns.owner[near])
            moment = moment_of_row[served_rows]
            start_ms = columns.start_ms[near][places]
            covers = (start_ms <= moment) & (moment < start_ms + columns.length_ms[near][places])
            serving += sum_by_index(served_rows[covers], columns.weight[near][places][covers], len(serving))
        return {key: int(serving[row]) for key, row in row_of_key.items()}

    def _columns_between(self, first_ms: int, last_ms: int) -> Iterator[TimeColumns]:
        for hour in range(first_ms // HOUR, last_ms // HOUR + 1):
            if hour in self._hours:
                yield self._hours[hour].columns

    def drop_before(self, hour: int) -> None:
        if hour > self._floor_hour:
            self._floor_hour = hour
            self._hours = {held: columns for held, columns in self._hours.items() if held >= hour}

    def unused_names(self) -> int:
        """Return how many owners are numbered that have no interval any more."""
        held = [np.unique(hour.owners()) for hour in [*self._hours.values()]]
        return len(self._owners) - (len(np.unique(np.concatenate(held))) if held else 0)
