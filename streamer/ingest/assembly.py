"""An assembly: what several raw events said of one contact, until all is known.

Whoever assembles publishes before committing, so that a process that dies, or one that lost its partition,
may have published what is not committed. That does no harm: what it published was made of some of the notes
that will be there in the end, and so bears a lower version than what is made of all of them.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from streamer.events.adapters.source import Note, Options, Sent, Source, known

MOST: Final = 500
"""Notes kept of a contact: as many as no contact has, but for loops and ids used for ever."""
ASSEMBLIES: Final = "a"
"""The letter of their documents."""
_DIGEST_BYTES: Final = 12


class Assembly(msgspec.Struct, frozen=True, array_like=True):
    """`dropped`: how often a note was one too many."""

    notes: tuple[Note, ...] = ()
    dropped: int = 0

    @property
    def version(self) -> int:
        """Grows with every note, kept or dropped."""
        return len(self.notes) + self.dropped

    def extended(self, notes: Sequence[Note]) -> tuple["Assembly", list[bool]]:
        """With these notes, and which of them said something new. Where there are too many, the earliest
        stay: which these are does not depend on the order in which they came."""
        written = {note.written(): note for note in self.notes}
        new = [written.setdefault(note.written(), note) is note for note in notes]
        if not any(new):
            return self, new
        ordered = sorted(written.items(), key=lambda item: (item[1].at, item[1].kind, item[0]))
        kept = tuple(note for _, note in ordered[:MOST])
        return Assembly(kept, self.dropped + len(ordered) - len(kept)), new

    def events(self, source: Source, options: Options) -> list[Sent]:
        """What is known by now."""
        found = known(source, self.notes, options)
        return [Sent(sent.topic, {**sent.data, "version": self.version}) for sent in found]


EMPTY: Final = Assembly()
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Assembly).decode


def assembly_key(source: str, contact: str) -> bytes:
    """Of the document that holds it: 13 bytes."""
    return ASSEMBLIES.encode() + sha256(f"{source}\x1f{contact}".encode()).digest()[:_DIGEST_BYTES]
