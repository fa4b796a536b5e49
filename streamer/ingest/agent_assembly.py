"""Assembly of one agent: the fragments of the last day, and of each slot the last one before."""

from collections.abc import Collection, Sequence
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

_Row = tuple[str, int, dict[str, int]]
"""Slot, time in ms, and the place of each value in the table of values."""


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
        by_encoding = {fragment.encode(): fragment for fragment in self.notes}
        is_new = [
            fragment.at >= self.floor_ms and by_encoding.setdefault(fragment.encode(), fragment) is fragment
            for fragment in fragments
        ]
        if not any(is_new):
            return self, is_new
        ordered = sorted(by_encoding.values(), key=agent_order)
        floor_ms = max(self.floor_ms, ordered[-1].at - SPAN_MS)
        if len(ordered) > MOST_FRAGMENTS:
            floor_ms = max(floor_ms, ordered[-MOST_FRAGMENTS].at)
        return AgentAssembly(*self._fold(ordered, floor_ms)), is_new

    def _fold(self, ordered: Sequence[Fragment], floor_ms: int) -> tuple[tuple[Fragment, ...], int, int]:
        former = {fragment.kind: fragment for fragment in ordered if fragment.at < floor_ms}
        carried = [fragment for fragment in former.values() if _is_in_force(fragment, floor_ms)]
        recent = [fragment for fragment in ordered if fragment.at >= floor_ms]
        count = self.former_count + sum(self.floor_ms <= fragment.at < floor_ms for fragment in ordered)
        return (*carried, *recent), floor_ms, count

    def events(
        self, source: SourceAdapter, options: Options, since_ms: int | None = None
    ) -> list[OutgoingEvent]:
        """Return the agent's states from `since_ms` on, but not from before the day."""
        options = {**source.options, **options}
        since_ms = max(since_ms or 0, self.floor_ms)
        carried_count = sum(fragment.at < self.floor_ms for fragment in self.notes)
        former_count = self.former_count - carried_count
        return list(agent_timeline(source, self.notes, options, since_ms, former_count))


def _is_in_force(fragment: Fragment, floor_ms: int) -> bool:
    """Tell whether a slot's last fragment still says something; a contact that is over, or lost, does not."""
    return not fragment.kind.startswith(CONTACT_SLOT) or (
        "state" in fragment.data and floor_ms - fragment.at < _LONGEST_CONTACT_MS
    )


class _StoredAssembly(msgspec.Struct, frozen=True, array_like=True):
    """An assembly as it is stored: an agent's fragments repeat few values, each of which is stored once."""

    agent: str
    floor_ms: int
    former_count: int
    values: list[Any]
    rows: list[_Row]


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_StoredAssembly).decode


def encode_agent_assembly(assembly: AgentAssembly) -> bytes:
    places: dict[bytes, int] = {}
    values: list[Any] = []

    def place(value: Any) -> int:
        found = places.setdefault(_encode(value), len(values))
        if found == len(values):
            values.append(value)
        return found

    rows = [
        (note.kind, note.at, {name: place(value) for name, value in note.data.items()})
        for note in assembly.notes
    ]
    agent = assembly.notes[0].contact if assembly.notes else ""
    return _encode(_StoredAssembly(agent, assembly.floor_ms, assembly.former_count, values, rows))


def decode_agent_assembly(value: bytes) -> AgentAssembly:
    stored = _decode(value)
    notes = (
        Fragment(stored.agent, slot, at, {name: stored.values[place] for name, place in places.items()})
        for slot, at, places in stored.rows
    )
    return AgentAssembly(tuple(notes), stored.floor_ms, stored.former_count)


EMPTY_AGENT: Final = AgentAssembly()
