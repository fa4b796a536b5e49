"""Tiles of what is going on now: figures of `now`, a table of the queues, and the agents by state.

Waits grow by themselves: a tile says since when somebody waits and from when on that is too long, and the
page's clock does the rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from streamer.events.counting_rules import UNKNOWN, CountingRules
from streamer.panes.live_index import LiveContact
from streamer.panes.windows import NOW
from streamer.readings.live_state import contact_start_ms
from streamer.web.wallboard import Tile, TileState, WallboardTile

NEAR_SHARE: Final = 0.75
"""Share of the time that a contact may wait, its queue's T, from which on it is warned of."""
MAX_QUEUE_ROWS: Final = 9
"""Queues of a table: what is read from five metres."""
MAX_AWAY_REASONS: Final = 4
QUEUE_TABLE: Final = "queue_table"
AGENT_STATES: Final = "agent_states"
NowValues = Mapping[str, float | None]
"""Values of metrics of now by name."""

# What waits.


class WaitTimes(NamedTuple):
    """Since when the first one waits in a group, in ms, and in which queue; from when on somebody in it
    waits for nearly, and for more than its queue's T."""

    since: int
    near_at: int
    late_at: int
    queue: str


def wait_times(contacts: Iterable[LiveContact], rules: CountingRules) -> dict[str, WaitTimes]:
    """Return the wait times of each queue in which one of these contacts waits.

    >>> caller = LiveContact(
    ...     "c1", "", "", 0, 60_000, 60_000, None, "billing", *[None] * 6, False, None
    ... )
    >>> wait_times([caller], CountingRules())["billing"]  # T is 20 s
    WaitTimes(since=60000, near_at=75000, late_at=80001, queue='billing')
    """
    first_by_queue: dict[str, int] = {}
    for contact in contacts:
        since_ms, queue = contact_start_ms(contact), contact.queue or UNKNOWN
        first_by_queue[queue] = min(first_by_queue.get(queue, since_ms), since_ms)
    return {queue: _wait_times(queue, since_ms, rules) for queue, since_ms in first_by_queue.items()}


def _wait_times(queue: str, since_ms: int, rules: CountingRules) -> WaitTimes:
    within_ms = rules.service_level_of(queue).within_ms
    return WaitTimes(since_ms, since_ms + round(NEAR_SHARE * within_ms), since_ms + within_ms + 1, queue)


def earliest_wait(waits: Iterable[WaitTimes]) -> WaitTimes | None:
    """Return the wait times of several queues together; None: nobody waits."""
    known = [*waits]
    if not known:
        return None
    first = min(known)
    return WaitTimes(
        first.since, min(wait.near_at for wait in known), min(wait.late_at for wait in known), first.queue
    )


# Figures.


class TileNote(msgspec.Struct, frozen=True, kw_only=True):
    """What is said below a figure of now: where somebody waits longest, how many wait too long, of how
    many agents these are, that nobody waits or is signed in, or that no states are sent."""

    kind: Literal["where", "over", "signed_in", "none_signed_in", "nobody", "no_states"]
    text: str = ""
    count: int | None = None


class LiveTile(Tile, frozen=True, kw_only=True):
    """A figure of now. `since`: its value is the time since then. `near_at`, `late_at`: from when on
    somebody has waited for nearly, or for more than T. Times in ms since the epoch; None: nobody waits."""

    since: int | None = None
    near_at: int | None = None
    late_at: int | None = None
    note: TileNote | None = None

    def shows_same_as(self, other: WallboardTile) -> bool:
        """Tell whether both show the same: a wait that has only grown does."""
        return _without_growth(self) == _without_growth(other)


def _without_growth(tile: WallboardTile) -> WallboardTile:
    grows = isinstance(tile, LiveTile) and tile.since is not None
    return msgspec.structs.replace(tile, value=None, support=0) if grows else tile


class LiveSituation(NamedTuple):
    """What a tile of a group rests on beside its figure: who waits (None: nobody), the name of the queue
    somebody waits longest in ("": the group is a queue), and whether any source sends these states."""

    wait: WaitTimes | None
    where: str
    is_sent: bool


def build_live_tile(tile: Tile, values: NowValues, situation: LiveSituation) -> LiveTile:
    """Build the tile of a figure of now from its plain one. `values`: those of its group."""
    wait = situation.wait
    fields = {name: getattr(tile, name) for name in tile.__struct_fields__}
    is_wait = tile.metric in _WAIT_METRICS and tile.value is not None and wait is not None
    return LiveTile(
        **fields | {"state": _live_state(tile, values)},
        since=wait.since if is_wait and wait and tile.metric == "longest_wait_seconds" else None,
        near_at=wait.near_at if is_wait and wait else None,
        late_at=wait.late_at if is_wait and wait else None,
        note=_note(tile, values, situation),
    )


_WAIT_METRICS: Final = ("waiting", "longest_wait_seconds")
_AGENTS: Final = "agents_"


def _live_state(tile: Tile, values: NowValues) -> TileState:
    is_unserved = tile.metric == "agents_available" and tile.value == 0 and bool(values.get("waiting"))
    return "unserved" if is_unserved else tile.state


def _note(tile: Tile, values: NowValues, situation: LiveSituation) -> TileNote | None:
    signed_in = values.get("agents_signed_in")
    if tile.value is None:
        return None if situation.is_sent else TileNote(kind="no_states")
    if tile.metric in _WAIT_METRICS and not values.get("waiting"):
        return TileNote(kind="nobody")
    match tile.metric:
        case "waiting":
            over = values.get("waiting_over_target")
            return TileNote(kind="over", count=round(over)) if over else None
        case "longest_wait_seconds":
            return TileNote(kind="where", text=situation.where) if situation.where else None
        case "agents_available" | "agents_busy" | "agents_wrap_up" | "agents_away" if signed_in is not None:
            return TileNote(kind="signed_in", count=round(signed_in)) if signed_in else _NONE_SIGNED_IN
    return None


_NONE_SIGNED_IN: Final = TileNote(kind="none_signed_in")

# Tables.


class QueueLevel(msgspec.Struct, frozen=True):
    """Service level of a queue today, and whether its target is met."""

    value: float | None
    state: TileState


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A queue: who waits since when (as of `LiveTile`), agents available for it; service level and abandoned
    contacts of today. None: unknown, no source sends states."""

    key: str
    name: str
    waiting: int | None
    since: int | None
    near_at: int | None
    late_at: int | None
    available: int | None
    service_level: QueueLevel
    abandoned: int | None


class QueueTableTile(WallboardTile, frozen=True, kw_only=True):
    """The queues of a view; `more`: that many further ones, in which nobody waits longer."""

    rows: list[QueueRow]
    more: int
    metric: str = QUEUE_TABLE
    window: str = NOW


class AgentStatesTile(WallboardTile, frozen=True, kw_only=True):
    """Agents by state, of a center or of those who serve a queue; `reasons`: those of being away, with the
    number of agents, the most frequent first. None: unknown, no source sends states."""

    signed_in: int | None
    counts: dict[str, int | None]
    reasons: list[tuple[str, int]]
    metric: str = AGENT_STATES
    window: str = NOW


SHOWN_STATES: Final = ("available", "busy", "wrap_up", "away", "unknown")


def build_queue_row(
    key: str, name: str, values: NowValues, wait: WaitTimes | None, today: Mapping[str, Tile]
) -> QueueRow:
    """Build the row of a queue; `today`: the tiles of its service level and of its abandoned contacts."""
    level, abandoned, waiting = (
        today.get("service_level_ratio"),
        today.get("abandoned"),
        _whole(values.get("waiting")),
    )
    return QueueRow(
        key=key,
        name=name,
        waiting=waiting,
        since=wait.since if waiting and wait else None,
        near_at=wait.near_at if waiting and wait else None,
        late_at=wait.late_at if waiting and wait else None,
        available=_whole(values.get("agents_available")),
        service_level=QueueLevel(None, "no_data") if level is None else QueueLevel(level.value, level.state),
        abandoned=None if abandoned is None else _whole(abandoned.value),
    )


def shown_rows(rows: Sequence[QueueRow], are_chosen: bool) -> list[QueueRow]:
    """Return the rows to show: those that were chosen in their order; all by name if there is room for
    them, else those first that need somebody to act."""
    if are_chosen:
        return [*rows[:MAX_QUEUE_ROWS]]
    by_name = sorted(rows, key=lambda row: (row.name.casefold(), row.key))
    if len(by_name) <= MAX_QUEUE_ROWS:
        return by_name
    return sorted(by_name, key=_urgency)[:MAX_QUEUE_ROWS]


def _urgency(row: QueueRow) -> tuple[bool, int]:
    return row.since is None, row.since or 0


def build_agent_states(
    tile_id: str, values: NowValues, reasons: Iterable[tuple[str, int]]
) -> AgentStatesTile:
    counts = {state: _whole(values.get(_AGENTS + state)) for state in SHOWN_STATES}
    most_frequent = sorted(reasons, key=lambda reason: (-reason[1], reason[0]))[:MAX_AWAY_REASONS]
    return AgentStatesTile(
        id=tile_id,
        signed_in=_whole(values.get("agents_signed_in")),
        counts=counts,
        reasons=most_frequent if counts["away"] else [],
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
