"""Time of agents in states: closed intervals, cut at full hours, as rows that are added and taken away.

One delta holds the rows of one hour. The reader sums them within any bounds, to the millisecond; what an
agent does now is in the live index instead. The same amounts go into the group rows of the hourly panes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np

from streamer.events.counting_rules import HOUR, UNKNOWN
from streamer.events.models import AGENT_STATES
from streamer.panes.integers import Integers, PackedIntegers, pack_integers, unique_codes, unpack_integers
from streamer.panes.pane_delta import DeltaFormatError

VERSION: Final = b"\x01"
AWAY: Final = AGENT_STATES.index("away")
UNANSWERED: Final = 7
"""State of a row without length, the end of an offer that was not answered; others are places in
AGENT_STATES."""


class AgentProfile(NamedTuple):
    """What an agent's time counts under."""

    agent_id: str
    team: str | None = None
    site: str | None = None
    queues: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class GroupedAgent(Protocol):
    """What tells the groups of an agent: the fields of AgentProfile."""

    @property
    def agent_id(self) -> str: ...
    @property
    def team(self) -> str | None: ...
    @property
    def site(self) -> str | None: ...
    @property
    def queues(self) -> tuple[str, ...]: ...
    @property
    def channels(self) -> tuple[str, ...]: ...


def group_values(agent: GroupedAgent, dimension: str, away_reason: str | None) -> Sequence[str]:
    """Return an agent's values of a dimension: each queue and channel served. `away_reason`: nothing
    unless away, since only time away has reasons.

    >>> anna = AgentProfile("anna", "red", None, ("billing", "tech"))
    >>> [group_values(anna, name, None) for name in ("queue", "team", "site", "reason")]
    [('billing', 'tech'), ('red',), ('unknown',), ()]
    """
    match dimension:
        case "queue":
            return agent.queues or (UNKNOWN,)
        case "channel":
            return agent.channels or (UNKNOWN,)
        case "agent":
            return (agent.agent_id,)
        case "team":
            return (agent.team or UNKNOWN,)
        case "site":
            return (agent.site or UNKNOWN,)
        case "reason":
            return (away_reason,) if away_reason else ()
    return (UNKNOWN,)


class AgentInterval(NamedTuple):
    """Time of an agent in one state, from `start_ms` to `end_ms`. `reason`: why away, else None."""

    profile: AgentProfile
    state: int
    reason: str | None
    start_ms: int
    end_ms: int


class TimeDelta(msgspec.Struct, array_like=True, gc=False):
    """Format of the rows of one hour, behind the version byte.

    `profiles` and `reasons`: what the rows have. One value for each row: profile and reason (their places
    there), state, start in ms of the hour, length in ms, and weight (1 or -1).
    """

    profiles: list[AgentProfile]
    reasons: list[str | None]
    profile: PackedIntegers
    state: PackedIntegers
    reason: PackedIntegers
    start_ms: PackedIntegers
    length_ms: PackedIntegers
    weight: PackedIntegers


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(TimeDelta).decode


class TimeRows(NamedTuple):
    """Rows of one hour, as columns. `start_ms` is that of the hour, 0 to 3,599,999.

    >>> shift = AgentInterval(AgentProfile("anna"), 0, None, 3_000_000, 4_000_000)
    >>> rows = {hour: TimeRows.from_intervals(hour, cut) for hour, cut in cut_at_hours([(shift, 1)]).items()}
    >>> [(hour, row.start_ms.tolist(), row.length_ms.tolist()) for hour, row in rows.items()]
    [(0, [3000000], [600000]), (1, [0], [400000])]
    """

    profiles: list[AgentProfile]
    reasons: list[str | None]
    profile: Integers
    state: Integers
    reason: Integers
    start_ms: Integers
    length_ms: Integers
    weight: Integers

    @classmethod
    def from_intervals(cls, hour: int, weighted: Sequence[tuple[AgentInterval, int]]) -> "TimeRows":
        """Return the rows of intervals that lie within an hour, each with its weight."""
        profiles: dict[AgentProfile, int] = {}
        reasons: dict[str | None, int] = {}
        rows = [
            (
                profiles.setdefault(interval.profile, len(profiles)),
                interval.state,
                reasons.setdefault(interval.reason, len(reasons)),
                interval.start_ms - hour * HOUR,
                interval.end_ms - interval.start_ms,
                weight,
            )
            for interval, weight in weighted
        ]
        return cls([*profiles], [*reasons], *np.array(rows, np.int64).reshape(-1, 6).T)

    def packed(self) -> bytes:
        columns = (self.profile, self.state, self.reason, self.start_ms, self.length_ms, self.weight)
        return VERSION + _pack(TimeDelta(self.profiles, self.reasons, *map(pack_integers, columns)))

    @classmethod
    def unpacked(cls, packed: bytes) -> "TimeRows":
        if packed[:1] != VERSION:
            raise DeltaFormatError(f"time delta has format {packed[:1].hex()}, expected {VERSION.hex()}")
        delta = _unpack(memoryview(packed)[1:])
        columns = (delta.profile, delta.state, delta.reason, delta.start_ms, delta.length_ms, delta.weight)
        return cls(delta.profiles, delta.reasons, *map(unpack_integers, columns))

    def amounts(self) -> dict[tuple[AgentProfile, int, str | None, int, int], int]:
        """Return the weights by profile, state, reason, start and length, without 0. Slow: loops over
        rows."""
        weights: dict[tuple[AgentProfile, int, str | None, int, int], int] = {}
        columns = (self.profile, self.state, self.reason, self.start_ms, self.length_ms, self.weight)
        for profile, state, reason, start, length, weight in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            key = (self.profiles[profile], state, self.reasons[reason], start, length)
            weights[key] = weights.get(key, 0) + weight
        return {key: weight for key, weight in weights.items() if weight}


def cut_at_hours(
    weighted: Iterable[tuple[AgentInterval, int]],
) -> dict[int, list[tuple[AgentInterval, int]]]:
    """Cut intervals, each with its weight, at full hours; return the pieces by hour since the epoch."""
    pieces: dict[int, list[tuple[AgentInterval, int]]] = {}
    for interval, weight in weighted:
        for piece in _pieces(interval):
            pieces.setdefault(piece.start_ms // HOUR, []).append((piece, weight))
    return pieces


def _pieces(interval: AgentInterval) -> Iterator[AgentInterval]:
    profile, state, reason, start_ms, end_ms = interval
    while (hour_end_ms := (start_ms // HOUR + 1) * HOUR) < end_ms:
        yield AgentInterval(profile, state, reason, start_ms, hour_end_ms)
        start_ms = hour_end_ms
    yield AgentInterval(profile, state, reason, start_ms, end_ms)


def merge_time(packed: Sequence[bytes]) -> bytes:
    """Merge deltas of one hour into one, without rows that cancel out.

    >>> busy = AgentInterval(AgentProfile("anna"), 2, None, 1_000, 4_000)
    >>> added, removed = (TimeRows.from_intervals(0, [(busy, weight)]).packed() for weight in (1, -1))
    >>> len(TimeRows.unpacked(merge_time([added, removed])).state)
    0
    >>> TimeRows.unpacked(merge_time([added, added, removed])).length_ms.tolist()
    [3000]
    """
    tables = [*map(TimeRows.unpacked, packed)]
    profiles: dict[AgentProfile, int] = {}
    reasons: dict[str | None, int] = {}
    profile, reason = [], []
    for table in tables:
        profile_codes = [profiles.setdefault(name, len(profiles)) for name in table.profiles]
        reason_codes = [reasons.setdefault(name, len(reasons)) for name in table.reasons]
        profile.append(np.array(profile_codes, np.int64)[table.profile])
        reason.append(np.array(reason_codes, np.int64)[table.reason])
    columns = (
        np.concatenate(profile),
        np.concatenate([table.state for table in tables]),
        np.concatenate(reason),
        np.concatenate([table.start_ms for table in tables]),
        np.concatenate([table.length_ms for table in tables]),
    )
    rows, row_index = np.unique(np.array(columns), axis=1, return_inverse=True)
    weight = np.zeros(rows.shape[1], np.int64)
    np.add.at(weight, row_index.ravel(), np.concatenate([table.weight for table in tables]))
    left = np.flatnonzero(weight)
    return _without_unused([*profiles], [*reasons], rows[:, left], weight[left]).packed()


def _without_unused(
    profiles: list[AgentProfile], reasons: list[str | None], rows: Integers, weight: Integers
) -> TimeRows:
    """Return the rows with only those profiles and reasons that they have."""
    used_profiles, profile = unique_codes(rows[0])
    used_reasons, reason = unique_codes(rows[2])
    return TimeRows(
        [profiles[code] for code in used_profiles.tolist()],
        [reasons[code] for code in used_reasons.tolist()],
        profile,
        rows[1],
        reason,
        rows[3],
        rows[4],
        weight,
    )
