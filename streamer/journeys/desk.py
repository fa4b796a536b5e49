"""Here is where a batch is worked on: the documents read so far, and what became of them.

A change is tried on the side (`Change`) and accepted as a whole: when a document is asked for that
was not read yet, `Missing` ends the try, nothing has happened, and it is tried again after reading.
What was read together may not fit together, since commits of others may lie between; the commit's
comparison refuses such a batch, so here it only must not fail.
"""

from collections.abc import Iterable

import msgspec

from streamer.journeys.journey import EMPTY, NOTHING, Entry, Group, Journey, Key, Worth


class Missing(Exception):  # noqa: N818 - it asks for more, nothing went wrong
    """Documents that must be read first."""

    def __init__(self, keys: Iterable[Key]) -> None:
        super().__init__()
        self.keys = frozenset(keys)


class Draft:
    """A journey being changed. Groups are immutable: an untouched one stays the same object."""

    __slots__ = ("crowd", "groups", "named", "worth")

    def __init__(
        self, groups: dict[Key, Group], worth: tuple[Worth, ...], named: dict[Key, int], crowd: bool
    ) -> None:
        self.groups = groups
        self.worth = worth
        self.named = named
        self.crowd = crowd

    def copy(self) -> "Draft":
        return Draft(self.groups.copy(), self.worth, self.named.copy(), self.crowd)

    def journey(self) -> Journey:
        return Journey(tuple(self.groups.values()), self.worth, self.named, self.crowd)


_decode_entry = msgspec.msgpack.Decoder(Entry).decode
_decode_journey = msgspec.msgpack.Decoder(Journey).decode
_encode = msgspec.msgpack.Encoder().encode


class Desk:
    """Documents of one batch. `forget_before` (ms): contacts older than that are left out when read;
    they count where they lie, but nothing can change them any more."""

    def __init__(self, forget_before: int) -> None:
        self._forget_before = forget_before
        self.entries: dict[Key, Entry] = {}
        self.before: dict[Key, Draft] = {}
        self.after: dict[Key, Draft] = {}
        self.changed: set[Key] = set()
        self.crowds = 0

    def __contains__(self, key: Key) -> bool:
        return key in self.entries or key in self.before

    def put(self, key: Key, value: bytes | None) -> None:
        """Lay down what was read; None: absent."""
        if key[:1] == b"e":
            self.entries[key] = _decode_entry(value) if value else NOTHING
            return
        self.before[key] = self.after[key] = self._draft(_decode_journey(value) if value else EMPTY)

    def _draft(self, journey: Journey) -> Draft:
        limit = self._forget_before
        groups = {group.key: group for group in journey.groups if group.reaches(limit)}
        named = {key: time for key, time in journey.named.items() if time >= limit}
        return Draft(groups, journey.worth, named, journey.crowd)

    def follow(self, keys: Iterable[Key]) -> set[Key]:
        """What the documents just read name, and is not here yet."""
        wanted: set[Key] = set()
        for key in keys:
            entry = self.entries.get(key)
            if entry is None:
                continue
            if entry.fact is not None and entry.fact.group is not None:
                wanted.add(entry.fact.group)
            if entry.home is not None:
                wanted.add(entry.home)
            if entry.unit is not None:
                wanted.add(entry.unit)
        return {key for key in wanted if key not in self}

    def writes(self) -> dict[Key, bytes | None]:
        """The changed documents; None: to be deleted."""
        written: dict[Key, bytes | None] = {}
        for key in self.changed:
            if key[:1] == b"e":
                entry = self.entries[key]
                written[key] = None if entry == NOTHING else _encode(entry)
            else:
                journey = self.after[key].journey()
                written[key] = None if journey == EMPTY else _encode(journey)
        return written


class Change:
    """One event's effect, on the side until `accept`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._entries: dict[Key, Entry] = {}
        self._drafts: dict[Key, Draft] = {}
        self.crowds = 0

    def entry(self, key: Key) -> Entry:
        entry = self._entries.get(key) or self._desk.entries.get(key)
        if entry is None:
            raise Missing([key])
        return entry

    def set_entry(self, key: Key, entry: Entry) -> None:
        self._entries[key] = entry

    def look(self, key: Key) -> Draft:
        """A journey to read from."""
        draft = self._drafts.get(key) or self._desk.after.get(key)
        if draft is None:
            raise Missing([key])
        return draft

    def draft(self, key: Key) -> Draft:
        """A journey to write to."""
        if key not in self._drafts:
            self._drafts[key] = self.look(key).copy()
        return self._drafts[key]

    def need(self, keys: Iterable[Key]) -> None:
        """Raises Missing for all that are not here at once."""
        if absent := [key for key in keys if key not in self._desk]:
            raise Missing(absent)

    def accept(self) -> None:
        self._desk.entries.update(self._entries)
        self._desk.after.update(self._drafts)
        self._desk.changed.update(self._entries, self._drafts)
        self._desk.crowds += self.crowds
