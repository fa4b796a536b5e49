"""Assembly of one contact: fragments of several raw events, kept until the contact is complete.

Events are published before the commit. A process that dies, or one that lost its partition, may therefore
have published events of fragments that were not committed. That does no harm: they were made of some of the
fragments that are there in the end, and so have a lower version than events made of all of them.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from streamer.events.adapters.source import Note, Options, Sent, Source, known

MOST: Final = 500
"""Fragments kept of a contact: more than any has, except for loops and ids that are reused for ever."""
ASSEMBLIES: Final = "a"
"""First letter of the keys of assemblies in the store."""
_DIGEST_BYTES: Final = 12


class Assembly(msgspec.Struct, frozen=True, array_like=True):
    """Fragments (`notes`) of one contact, and how many were dropped beyond the limit.

    >>> Assembly(dropped=2).version
    2
    """

    notes: tuple[Note, ...] = ()
    dropped: int = 0

    @property
    def version(self) -> int:
        """Number of fragments kept or dropped: grows with each one, and is the version of the events."""
        return len(self.notes) + self.dropped

    def extended(self, notes: Sequence[Note]) -> tuple["Assembly", list[bool]]:
        """Add fragments; return the new assembly, and for each fragment whether it was new.

        Beyond the limit the earliest fragments stay. Which these are does not depend on the order of arrival.
        """
        written = {note.written(): note for note in self.notes}
        new = [written.setdefault(note.written(), note) is note for note in notes]
        if not any(new):
            return self, new
        ordered = sorted(written.items(), key=lambda item: (item[1].at, item[1].kind, item[0]))
        kept = tuple(note for _, note in ordered[:MOST])
        return Assembly(kept, self.dropped + len(ordered) - len(kept)), new

    def events(self, source: Source, options: Options) -> list[Sent]:
        """Return the events that can be made of the fragments so far, with the version of the assembly."""
        found = known(source, self.notes, options)
        return [Sent(sent.topic, {**sent.data, "version": self.version}) for sent in found]


EMPTY: Final = Assembly()
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Assembly).decode


def assembly_key(source: str, contact: str) -> bytes:
    """Return the key of the document of a contact's assembly: 13 bytes.

    >>> key = assembly_key("amazon-connect", "c-1")
    >>> len(key), key[:1]
    (13, b'a')
    """
    return ASSEMBLIES.encode() + sha256(f"{source}\x1f{contact}".encode()).digest()[:_DIGEST_BYTES]
