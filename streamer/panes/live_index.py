"""Index of what is live: contacts under way and agents who are signed in, by the key of their document.

It is written by the commit that changes the document. A delta holds the new entry of each document that
changed, or None: it is no longer live. Later deltas win, so their order counts; what is merged from the very
first one on is a state, and holds entries alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from streamer.events.counting_rules import SECOND
from streamer.journeys.journey import Key
from streamer.panes.pane_delta import DeltaFormatError

QUICK_CHANNELS: Final = frozenset({"voice", "chat"})
"""Channels whose contacts are over within hours; others may take days."""
AHEAD_MS: Final = SECOND
"""How far ahead of a moment a state may begin that holds then."""
_CONTACTS_FORMAT: Final = b"\x01"
_AGENTS_FORMAT: Final = b"\x02"
"""First byte of a delta: what it holds."""


class LiveContact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A segment of a contact under way. `state` is a place in CONTACT_STATES; it holds since `since`.

    `segment_id` is "" where it is the contact's. `waiting_since`: when the present wait, else the one before
    it was connected, began. `connected_at`: when it was connected; None: it waits. Times in ms; None:
    unknown.
    """

    contact_id: str
    segment_id: str
    source: str
    state: int
    since: int
    waiting_since: int | None
    connected_at: int | None
    queue: str | None
    team: str | None
    site: str | None
    agent_id: str | None
    channel: str | None
    reason: str | None
    language: str | None
    is_outbound: bool
    priority: int | None

    @property
    def direction(self) -> str:
        return "outbound" if self.is_outbound else "inbound"

    @property
    def latest_ms(self) -> int:
        return self.since

    @property
    def is_slow(self) -> bool:
        return self.channel is not None and self.channel not in QUICK_CHANNELS


class FormerState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an agent did before the last state, named as in LiveAgent."""

    state: int
    reason: str | None
    since: int
    open_from: int
    contact_id: str | None


class LiveAgent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An agent who is not offline. `state` is a place in AGENT_STATES.

    `since`: when the last state and reason began, `open_from`: when they were last stated, from where on
    their time is not yet counted. `heard_at`: last sign of the agent; after `silence_ms` more nothing is
    known. Times in ms. `former`: what holds until `open_from`, since the end of after-call work is often
    known ahead.
    """

    agent_id: str
    state: int
    reason: str | None
    since: int
    open_from: int
    heard_at: int
    silence_ms: int
    queues: tuple[str, ...]
    team: str | None
    site: str | None
    channels: tuple[str, ...]
    contact_id: str | None
    former: FormerState | None = None

    @property
    def latest_ms(self) -> int:
        return self.heard_at

    @property
    def is_slow(self) -> bool:
        return False


def agent_as_of(agent: LiveAgent, now_ms: int) -> LiveAgent:
    """Return an agent with what holds at a moment: not yet a state that begins later. One that begins within
    a second does, since clocks differ."""
    former = agent.former
    if former is None or agent.open_from <= now_ms + AHEAD_MS:
        return agent
    return replace(
        agent,
        state=former.state,
        reason=former.reason,
        since=former.since,
        open_from=former.open_from,
        contact_id=former.contact_id,
    )


E = TypeVar("E", LiveContact, LiveAgent)


class StatedGroups(msgspec.Struct, frozen=True, array_like=True):
    """Rows of groups (pane_keys.row_field) that states were sent of, with the last day of one, in days since
    the epoch. Rows before `first_kept_day` are forgotten.

    >>> known = StatedGroups({"all": 20_000, "queue=billing": 19_000})
    >>> merge_stated_groups([known, StatedGroups({"all": 20_001}, 19_001)]).last_day
    {'all': 20001}
    """

    last_day: dict[str, int] = {}
    first_kept_day: int = 0


NO_GROUPS_STATED: Final = StatedGroups()


def merge_stated_groups(groups: Sequence[StatedGroups]) -> StatedGroups:
    first_kept_day = max((part.first_kept_day for part in groups), default=0)
    last_day: dict[str, int] = {}
    for part in groups:
        for row, day in part.last_day.items():
            last_day[row] = max(day, last_day.get(row, day))
    return StatedGroups({row: day for row, day in last_day.items() if day >= first_kept_day}, first_kept_day)


class LiveDelta(msgspec.Struct, Generic[E], array_like=True):
    """Entries of documents that changed, by their key; None: no longer live. Beside them the groups that
    states were sent of.

    `forget_before_ms`: entries older than that are forgotten; in the second place contacts that
    may take days.
    """

    forget_before_ms: tuple[int, int]
    entries: dict[Key, E | None]
    stated: StatedGroups = NO_GROUPS_STATED


class _StatedDelta(msgspec.Struct, array_like=True):
    """A delta of which only the groups are read."""

    forget_before_ms: msgspec.Raw
    entries: msgspec.Raw
    stated: StatedGroups = NO_GROUPS_STATED


_pack = msgspec.msgpack.Encoder().encode
_unpack_contacts = msgspec.msgpack.Decoder(LiveDelta[LiveContact]).decode
_unpack_agents = msgspec.msgpack.Decoder(LiveDelta[LiveAgent]).decode
_unpack_stated = msgspec.msgpack.Decoder(_StatedDelta).decode
_FORGET_NOTHING: Final = (0, 0)


def pack_contacts(
    entries: Mapping[Key, LiveContact | None],
    forget_before_ms: tuple[int, int] = _FORGET_NOTHING,
    stated: StatedGroups = NO_GROUPS_STATED,
) -> bytes:
    return _CONTACTS_FORMAT + _pack((forget_before_ms, entries, stated))


def pack_agents(
    entries: Mapping[Key, LiveAgent | None],
    forget_before_ms: tuple[int, int] = _FORGET_NOTHING,
    stated: StatedGroups = NO_GROUPS_STATED,
) -> bytes:
    return _AGENTS_FORMAT + _pack((forget_before_ms, entries, stated))


def unpack_contacts(packed: bytes) -> LiveDelta[LiveContact]:
    """Unpack a delta of contacts.

    >>> unpack_contacts(pack_contacts({b"e" * 13: None})).entries
    {b'eeeeeeeeeeeee': None}
    """
    return _unpack_contacts(_body(packed, _CONTACTS_FORMAT))


def unpack_agents(packed: bytes) -> LiveDelta[LiveAgent]:
    return _unpack_agents(_body(packed, _AGENTS_FORMAT))


def stated_groups(packed: Sequence[bytes]) -> StatedGroups:
    """Return the groups that states were sent of, as deltas of contacts or of agents tell."""
    return merge_stated_groups([_unpack_stated(memoryview(delta)[1:]).stated for delta in packed])


def _body(packed: bytes, expected: bytes) -> memoryview:
    if packed[:1] != expected:
        raise DeltaFormatError(f"live delta has format {packed[:1].hex()}, expected {expected.hex()}")
    return memoryview(packed)[1:]


def add_contacts(
    deltas: Iterable[bytes], known: Mapping[Key, LiveContact] | None = None
) -> dict[Key, LiveContact]:
    """Return the contacts under way after these deltas, which are in the order of their commits; `known`:
    those under way before."""
    return _add_deltas(map(unpack_contacts, deltas), known or {})


def add_agents(deltas: Iterable[bytes], known: Mapping[Key, LiveAgent] | None = None) -> dict[Key, LiveAgent]:
    """Return the agents signed in after these deltas, which are in the order of their commits; `known`: those
    signed in before."""
    return _add_deltas(map(unpack_agents, deltas), known or {})


def _add_deltas(deltas: Iterable[LiveDelta[E]], known: Mapping[Key, E]) -> dict[Key, E]:
    entries = dict(known)
    for delta in deltas:
        for key, entry in delta.entries.items():
            if entry is None:
                entries.pop(key, None)
            else:
                entries[key] = entry
    return entries


def merge_live(packed: Sequence[bytes]) -> bytes:
    """Merge the oldest deltas into one, in the order of their commits: without what is over or forgotten.

    >>> caller = LiveContact("c1", "", "", 0, 9_000, 9_000, None, "billing", *[None] * 6, False, None)
    >>> first = pack_contacts({b"1": caller, b"2": caller})
    >>> second = pack_contacts({b"2": None}, (5_000, 5_000))
    >>> unpack_contacts(merge_live([first, second])).entries == {b"1": caller}
    True
    >>> unpack_contacts(merge_live([first, pack_contacts({}, (9_001, 0))])).entries
    {}
    """
    if packed[0][:1] == _CONTACTS_FORMAT:
        return pack_contacts(*_merge_deltas([*map(unpack_contacts, packed)]))
    return pack_agents(*_merge_deltas([*map(unpack_agents, packed)]))


def latest_limits(packed: Sequence[bytes]) -> bytes:
    """Return a delta without entries, by which what any of these would forget is forgotten."""
    if packed[0][:1] == _CONTACTS_FORMAT:
        return pack_contacts({}, _latest_limits([*map(unpack_contacts, packed)]))
    return pack_agents({}, _latest_limits([*map(unpack_agents, packed)]))


def _latest_limits(deltas: Sequence[LiveDelta[E]]) -> tuple[int, int]:
    return (
        max(delta.forget_before_ms[0] for delta in deltas),
        max(delta.forget_before_ms[1] for delta in deltas),
    )


def _merge_deltas(
    deltas: Sequence[LiveDelta[E]],
) -> tuple[dict[Key, E | None], tuple[int, int], StatedGroups]:
    """Return what is left of the entries, the latest limits, since clocks of workers differ, and the groups
    that states were sent of."""
    limits = _latest_limits(deltas)
    entries = _add_deltas(deltas, {})
    kept: dict[Key, E | None] = {
        key: entry for key, entry in entries.items() if entry.latest_ms >= limits[entry.is_slow]
    }
    return kept, limits, merge_stated_groups([delta.stated for delta in deltas])
