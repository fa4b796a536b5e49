"""Assembly of one contact: fragments of several raw events, kept until the contact is complete.

Events are published before the commit. A process that dies, or one that lost its partition, may therefore
have published events of fragments that were not committed. That does no harm: they were made of some of the
fragments that are there in the end, and so have a lower version than events made of all of them.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.adapters.timelines import CONTACT_STATE, assemble_events

MAX_FRAGMENTS: Final = 500
"""Fragments kept of a contact: more than any has, except for loops and ids that are reused for ever."""
MAX_MINOR_FRAGMENTS: Final = 300
"""Fragments kept of a contact that are of minor kinds, such as offers where all agents ring in turn."""
ASSEMBLIES: Final = "a"
"""First letter of the keys of assemblies in the store."""
_DIGEST_BYTES: Final = 12


class ContactAssembly(msgspec.Struct, frozen=True, array_like=True):
    """Fragments (`notes`) of one contact, and how many were dropped beyond the limit.

    >>> ContactAssembly(dropped=2).version
    2
    """

    notes: tuple[Fragment, ...] = ()
    dropped: int = 0

    @property
    def version(self) -> int:
        """Number of fragments kept or dropped: grows with each one, and is the version of the events."""
        return len(self.notes) + self.dropped

    @property
    def outline(self) -> tuple[Fragment, ...]:
        """Fragments that tell which sweeps concern the contact: all."""
        return self.notes

    def with_fragments(
        self, fragments: Sequence[Fragment], minor_kinds: Collection[str] = ()
    ) -> tuple["ContactAssembly", list[bool]]:
        """Add fragments; return the new assembly, and for each fragment whether it was new.

        Beyond the limit the earliest fragments stay, and of those of minor kinds the earliest beyond theirs.
        Which these are does not depend on the order of arrival.
        """
        by_encoding = {fragment.encode(): fragment for fragment in self.notes}
        is_new = [by_encoding.setdefault(fragment.encode(), fragment) is fragment for fragment in fragments]
        if not any(is_new):
            return self, is_new
        ordered = sorted(by_encoding.items(), key=lambda item: (item[1].at, item[1].kind, item[0]))
        minor = [encoding for encoding, fragment in ordered if fragment.kind in minor_kinds]
        surplus = {*minor[MAX_MINOR_FRAGMENTS:]}
        fragments_within = [fragment for encoding, fragment in ordered if encoding not in surplus]
        kept_fragments = tuple(fragments_within[:MAX_FRAGMENTS])
        return ContactAssembly(kept_fragments, self.dropped + len(ordered) - len(kept_fragments)), is_new

    def events(
        self, source: SourceAdapter, options: Options, since_ms: int | None = None
    ) -> list[OutgoingEvent]:
        """Return the events that can be made of the fragments so far: states from `since_ms` on.

        Events have the version of the assembly, states that of their moment.
        """
        return [
            event
            if event.topic == CONTACT_STATE
            else OutgoingEvent(event.topic, {**event.data, "version": self.version})
            for event in assemble_events(source, self.notes, options, since_ms)
        ]


EMPTY_ASSEMBLY: Final = ContactAssembly()
encode_assembly = msgspec.msgpack.Encoder().encode
decode_assembly = msgspec.msgpack.Decoder(ContactAssembly).decode


def assembly_key(source: str, contact_id: str) -> bytes:
    """Return the key of the document of a contact's assembly: 13 bytes.

    >>> key = assembly_key("amazon-connect", "c-1")
    >>> len(key), key[:1]
    (13, b'a')
    """
    return ASSEMBLIES.encode() + sha256(f"{source}\x1f{contact_id}".encode()).digest()[:_DIGEST_BYTES]
