"""Assembly of one agent: the fragments of the last day, and of each slot the last one before."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.adapters.timelines import CONTACT_SLOT, agent_order, agent_timeline
from streamer.events.counting_rules import DAY

SPAN_MS: Final = DAY
"""How late a fragment may come, after the agent's last."""
MOST_FRAGMENTS: Final = 4_000
"""Most fragments kept of an agent; with more, the day becomes shorter."""
_LONGEST_CONTACT_MS: Final = 8 * DAY
_SHARED: Final = "queues"
"""The value that nearly all fragments repeat, and that may be long."""


class AgentAssembly(msgspec.Struct, frozen=True):
    """Fragments of one agent from `floor_ms` on, those in force before it, and how many were before it."""

    notes: tuple[Fragment, ...] = ()
    floor_ms: int = 0
    former_count: int = 0

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
        notes = list(self.notes)
        is_new = [fragment.at >= self.floor_ms and _insert(notes, fragment) for fragment in fragments]
        if not any(is_new):
            return self, is_new
        floor_ms = max(self.floor_ms, notes[-1].at - SPAN_MS)
        if len(notes) > MOST_FRAGMENTS:
            floor_ms = max(floor_ms, notes[-MOST_FRAGMENTS].at)
        return self._folded(notes, floor_ms), is_new

    def _folded(self, notes: Sequence[Fragment], floor_ms: int) -> "AgentAssembly":
        start, end = bisect_left(notes, self.floor_ms, key=_at), bisect_left(notes, floor_ms, key=_at)
        if start == end:
            return AgentAssembly(tuple(notes), floor_ms, self.former_count)
        former = {fragment.kind: fragment for fragment in notes[:end]}
        carried = [fragment for fragment in former.values() if _is_in_force(fragment, floor_ms)]
        carried.sort(key=agent_order)
        return AgentAssembly((*carried, *notes[end:]), floor_ms, self.former_count + end - start)

    def events(
        self, source: SourceAdapter, options: Options, since_ms: int | None = None
    ) -> list[OutgoingEvent]:
        """Return the agent's states from `since_ms` on, but not from before the day."""
        options = {**source.options, **options}
        since_ms = max(since_ms or 0, self.floor_ms)
        carried_count = sum(fragment.at < self.floor_ms for fragment in self.notes)
        former_count = self.former_count - carried_count
        return list(agent_timeline(source, self.notes, options, since_ms, former_count))


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


class _StoredAssembly(msgspec.Struct, frozen=True, array_like=True):
    """An assembly as it is stored: rows of slot, time in ms and data. Each list of queues is stored once, and
    data hold its place."""

    agent: str
    floor_ms: int
    former_count: int
    queues: list[list[str]]
    rows: list[tuple[str, int, dict[str, Any]]]


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_StoredAssembly).decode


def encode_agent_assembly(assembly: AgentAssembly) -> bytes:
    places: dict[tuple[str, ...], int] = {}
    rows = [
        (note.kind, note.at, _with_place(note.data, places) if _SHARED in note.data else note.data)
        for note in assembly.notes
    ]
    agent = assembly.notes[0].contact if assembly.notes else ""
    queues = [list(names) for names in places]
    return _encode(_StoredAssembly(agent, assembly.floor_ms, assembly.former_count, queues, rows))


def _with_place(data: Mapping[str, Any], places: dict[tuple[str, ...], int]) -> dict[str, Any]:
    return {**data, _SHARED: places.setdefault(tuple(data[_SHARED]), len(places))}


def decode_agent_assembly(value: bytes) -> AgentAssembly:
    stored = _decode(value)
    for _, _, data in stored.rows:
        if _SHARED in data:
            data[_SHARED] = stored.queues[data[_SHARED]]
    notes = tuple(Fragment(stored.agent, slot, at, data) for slot, at, data in stored.rows)
    return AgentAssembly(notes, stored.floor_ms, stored.former_count)


EMPTY_AGENT: Final = AgentAssembly()
