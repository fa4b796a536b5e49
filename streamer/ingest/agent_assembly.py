"""Assembly of one agent: the fragments of the last day, and of each slot the last one before.

The latest fragments lie open. Those before are sealed: packed and compressed, beside those still in force.
A fragment that is later than the sealed ones, as nearly all are, leaves them as they are; for any other they
are opened, so that the day is always whole.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.adapters.timelines import (
    ANSWER_SLOT,
    CONTACT_SLOT,
    RESTART,
    agent_order,
    agent_timeline,
)
from streamer.events.counting_rules import DAY

SPAN_MS: Final = DAY
"""How late a fragment may come, after the agent's last."""
MOST_FRAGMENTS: Final = 4_000
"""Most fragments kept of an agent; with more, the day becomes shorter."""
MOST_OPEN: Final = 64
"""Most fragments that lie open; with more, the older half is sealed."""
_LONGEST_CONTACT_MS: Final = 8 * DAY
_SHARED: Final = "queues"
"""The value that nearly all fragments repeat, and that may be long."""


class SealedFragments(msgspec.Struct, frozen=True):
    """The fragments of an agent from `first_ms` up to `last_ms`, packed. `count`: those among them that are
    counted nowhere else; `in_force`: those that still say something, in order."""

    packed: bytes
    count: int
    first_ms: int
    last_ms: int
    in_force: tuple[Fragment, ...]


class AgentAssembly(msgspec.Struct, frozen=True):
    """Fragments of one agent from `floor_ms` on, those in force before it, and how many were before it.

    `open_notes`: the fragments but those that are sealed.
    """

    open_notes: tuple[Fragment, ...] = ()
    floor_ms: int = 0
    former_count: int = 0
    sealed: SealedFragments | None = None

    @property
    def notes(self) -> tuple[Fragment, ...]:
        """All fragments, in order."""
        return self._opened().open_notes

    @property
    def outline(self) -> tuple[Fragment, ...]:
        """Fragments that tell when the first was, and what sweeps are known."""
        if self.sealed is None:
            return self.open_notes
        first = Fragment(self.open_notes[0].contact, "", self.sealed.first_ms, {})
        return (first, *self.sealed.in_force, *self.open_notes)

    @property
    def dropped(self) -> int:
        """Number of fragments lost beyond a limit: none, as former ones are no longer needed."""
        return 0

    def with_fragments(
        self, fragments: Sequence[Fragment], minor_kinds: Collection[str] = ()
    ) -> tuple["AgentAssembly", list[bool]]:
        """Add fragments; return the new assembly, and for each fragment whether it was new.

        One that is a day older than the agent's last comes too late, and is not.
        """
        if self.sealed and any(self._may_change_sealed(fragment) for fragment in fragments):
            opened, is_new = self._opened().with_fragments(fragments)
            return (opened if any(is_new) else self), is_new
        notes = list(self.open_notes)
        is_new = [fragment.at >= self._first_open_ms and _insert(notes, fragment) for fragment in fragments]
        if not any(is_new):
            return self, is_new
        if len(notes) > MOST_OPEN:
            return replace(self, open_notes=tuple(notes))._opened()._folded()._sealed(), is_new
        assembly = replace(self, open_notes=tuple(notes))
        return (assembly if self.sealed else assembly._folded()), is_new

    def _may_change_sealed(self, fragment: Fragment) -> bool:
        assert self.sealed
        is_late = self.floor_ms <= fragment.at <= self.sealed.last_ms
        return is_late and fragment not in self.sealed.in_force

    @property
    def _first_open_ms(self) -> int:
        return self.sealed.last_ms + 1 if self.sealed else self.floor_ms

    def _opened(self) -> "AgentAssembly":
        if self.sealed is None:
            return self
        notes = decode_agent_assembly(zlib.decompress(self.sealed.packed)).open_notes
        return AgentAssembly((*notes, *self.open_notes), self.floor_ms, self.former_count)

    def _sealed(self) -> "AgentAssembly":
        """Return the assembly with all but the latest fragments sealed; those of one moment stay together."""
        notes = self.open_notes
        size = bisect_left(notes, notes[-MOST_OPEN // 2].at, key=_at) if len(notes) > MOST_OPEN else 0
        if not size:
            return self
        notes, open_notes = notes[:size], notes[size:]
        count = size - bisect_left(notes, self.floor_ms, key=_at)
        packed = zlib.compress(encode_agent_assembly(AgentAssembly(notes)), 1)
        in_force = tuple(_still_in_force(notes))
        sealed = SealedFragments(packed, count, notes[0].at, notes[-1].at, in_force)
        return replace(self, open_notes=open_notes, sealed=sealed)

    def _folded(self) -> "AgentAssembly":
        """Return the assembly without what is older than a day, but for what was in force then."""
        notes = self.open_notes
        floor_ms = max(self.floor_ms, notes[-1].at - SPAN_MS)
        if len(notes) > MOST_FRAGMENTS:
            floor_ms = max(floor_ms, notes[-MOST_FRAGMENTS].at)
        start, end = bisect_left(notes, self.floor_ms, key=_at), bisect_left(notes, floor_ms, key=_at)
        if start == end:
            return replace(self, floor_ms=floor_ms)
        former = {fragment.kind: fragment for fragment in notes[:end]}
        carried = [fragment for fragment in former.values() if _is_in_force(fragment, floor_ms)]
        carried.sort(key=agent_order)
        return AgentAssembly((*carried, *notes[end:]), floor_ms, self.former_count + end - start)

    def events(
        self, source: SourceAdapter, options: Options, since_ms: int | None = None
    ) -> list[OutgoingEvent]:
        """Return the agent's states from `since_ms` on, but not from before the day."""
        since_ms = max(since_ms or 0, self.floor_ms)
        if self.sealed and since_ms <= self.sealed.last_ms:
            return self._opened().events(source, options, since_ms)
        options = {**source.options, **options}
        if self.sealed:
            former_count = self.former_count + self.sealed.count - len(self.sealed.in_force)
            notes = (*self.sealed.in_force, *self.open_notes)
        else:
            former_count = self.former_count - bisect_left(self.open_notes, self.floor_ms, key=_at)
            notes = self.open_notes
        return list(agent_timeline(source, notes, options, since_ms, former_count))


def _at(fragment: Fragment) -> int:
    return fragment.at


def _insert(notes: list[Fragment], fragment: Fragment) -> bool:
    """Insert a fragment where it belongs. Return whether it is new."""
    start, end = bisect_left(notes, fragment.at, key=_at), bisect_right(notes, fragment.at, key=_at)
    if fragment in notes[start:end]:
        return False
    notes.insert(bisect_left(notes, agent_order(fragment), start, end, key=agent_order), fragment)
    return True


def _is_in_force(fragment: Fragment, floor_ms: int) -> bool:
    """Tell whether a slot's last fragment still says something; a contact that is over, or lost, does not."""
    return not fragment.kind.startswith(CONTACT_SLOT) or (
        "state" in fragment.data and floor_ms - fragment.at < _LONGEST_CONTACT_MS
    )


def _still_in_force(notes: Sequence[Fragment]) -> Iterator[Fragment]:
    """Yield the last fragment of each slot, in order, and all restarts. Of contacts that are over one is
    enough: that there was any."""
    last_of_slot = {note.kind: note for note in notes}
    over = [note for note in last_of_slot.values() if _is_over(note)]
    for note in notes:
        is_last = last_of_slot[note.kind] is note and (not _is_over(note) or note is over[-1])
        if is_last or note.kind == RESTART:
            yield note


def _is_over(note: Fragment) -> bool:
    is_contact = note.kind.startswith(CONTACT_SLOT) and not note.kind.startswith(ANSWER_SLOT)
    return is_contact and "state" not in note.data


class _StoredSeal(msgspec.Struct, frozen=True, array_like=True):
    """SealedFragments as they are stored."""

    packed: bytes
    count: int
    first_ms: int
    last_ms: int
    in_force: "list[_Row]"


class _StoredAssembly(msgspec.Struct, frozen=True, array_like=True):
    """An assembly as it is stored: rows of slot, time in ms and data. Each list of queues is stored once, and
    data hold its place."""

    agent: str
    floor_ms: int
    former_count: int
    queues: list[list[str]]
    rows: "list[_Row]"
    sealed: _StoredSeal | None = None


_Row = tuple[str, int, dict[str, Any]]
_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_StoredAssembly).decode


def encode_agent_assembly(assembly: AgentAssembly) -> bytes:
    places: dict[tuple[str, ...], int] = {}
    rows = _rows(assembly.open_notes, places)
    agent = assembly.open_notes[0].contact if assembly.open_notes else ""
    seal = None
    if assembly.sealed:
        packed, count, first_ms, last_ms, in_force = msgspec.structs.astuple(assembly.sealed)
        seal = _StoredSeal(packed, count, first_ms, last_ms, _rows(in_force, places))
    queues = [list(names) for names in places]
    return _encode(_StoredAssembly(agent, assembly.floor_ms, assembly.former_count, queues, rows, seal))


def _rows(notes: Iterable[Fragment], places: dict[tuple[str, ...], int]) -> list[_Row]:
    return [
        (note.kind, note.at, _with_place(note.data, places) if _SHARED in note.data else note.data)
        for note in notes
    ]


def _with_place(data: Mapping[str, Any], places: dict[tuple[str, ...], int]) -> dict[str, Any]:
    return {**data, _SHARED: places.setdefault(tuple(data[_SHARED]), len(places))}


def decode_agent_assembly(value: bytes) -> AgentAssembly:
    stored = _decode(value)
    seal = stored.sealed
    sealed = None
    if seal is not None:
        in_force = _notes(stored, seal.in_force)
        sealed = SealedFragments(seal.packed, seal.count, seal.first_ms, seal.last_ms, in_force)
    return AgentAssembly(_notes(stored, stored.rows), stored.floor_ms, stored.former_count, sealed)


def _notes(stored: _StoredAssembly, rows: Iterable[_Row]) -> tuple[Fragment, ...]:
    return tuple(
        Fragment(
            stored.agent,
            slot,
            at,
            {**data, _SHARED: stored.queues[data[_SHARED]]} if _SHARED in data else data,
        )
        for slot, at, data in rows
    )


EMPTY_AGENT: Final = AgentAssembly()
