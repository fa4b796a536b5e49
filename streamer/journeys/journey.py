"""Here is what belongs together: groups of facts of one contact, and journeys of such groups.

All facts of a contact lie in one group; a survey's invitation and responses move together; a group
lies in the journey of its customer, or in one of its own. What the store keeps of it are documents:
an entry per identity, which alone decides duplicates, and a journey per customer.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from streamer.events.models import Evaluation, Identity, Response, Segment, SurveySent

KEY_BYTES: Final = 13

Key = bytes
"""A document's key: a letter (e entry, c a customer's journey, o a group's own) and a 96-bit digest."""

Placed = Segment | SurveySent | Response | Evaluation


@lru_cache(maxsize=65536)
def _digest(kind: str, source: str, name: str) -> bytes:
    return blake2b(f"{kind}\x1f{source}\x1f{name}".encode(), digest_size=KEY_BYTES - 1).digest()


def entry_key(identity: Identity) -> Key:
    return b"e" + _digest(*identity)


def contact_key(contact_id: str) -> Key:
    """A contact's group. A segment that is the whole contact shares its entry with it."""
    return b"e" + _digest("s", "", contact_id)


def survey_key(source: str, survey_id: str) -> Key:
    return b"e" + _digest("v", source, survey_id)


def customer_key(customer_id: str) -> Key:
    return b"c" + _digest("c", "", customer_id)


def own_key(group: Key) -> Key:
    """The journey of a group that has no customer."""
    return b"o" + group[1:]


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which version of a fact is in force, and the group it lies in (None: that of its own key).
    `digest` is the head of its SHA-256."""

    version: int
    digest: bytes
    deleted: bool
    group: Key | None


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known under one identity: the fact's state; if it is a group, the journey that is its
    home; if it is a survey, the group its invitation and responses lie in."""

    fact: State | None = None
    home: Key | None = None
    unit: Key | None = None

    def group(self, key: Key) -> Key:
        """Where the fact of this entry lies, which is filed under `key`."""
        return (self.fact.group if self.fact is not None else None) or key


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All facts known to be of one contact; without one, a survey's, or a single fact."""

    key: Key
    segments: tuple[Segment, ...] = ()
    sent: tuple[SurveySent, ...] = ()
    responses: tuple[Response, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    def facts(self) -> tuple[Placed, ...]:
        return (*self.segments, *self.sent, *self.responses, *self.evaluations)

    def __bool__(self) -> bool:
        return bool(self.segments or self.sent or self.responses or self.evaluations)

    def reaches(self, time: int) -> bool:
        """Whether any of its facts is of this time or later."""
        others: tuple[Placed, ...] = (*self.sent, *self.responses, *self.evaluations)
        return any(one.ended_at >= time for one in self.segments) or any(one.time >= time for one in others)

    @property
    def customer(self) -> str | None:
        """Who it is of: what its segments say, else its surveys; the greatest (version, time, kind,
        source, id) decides."""
        return _named(self.segments) or _named((*self.sent, *self.responses))


def _named(facts: tuple[Placed, ...]) -> str | None:
    if len(facts) == 1:
        return facts[0].customer_id
    named = [fact for fact in facts if fact.customer_id is not None]
    return max(named, key=rank).customer_id if named else None


def rank(fact: Placed) -> tuple[int, int, str, str, str]:
    """Which of several facts that disagree is believed: the greatest."""
    return (fact.version, fact.time, *fact.identity)


class Worth(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's value as one source stated it last; `value` in hundredths, None: taken back."""

    source: str
    as_of: int
    digest: bytes
    value: int | None


class Journey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that is kept of one customer. `named` are groups that named the customer but lie elsewhere,
    with their time: with those that lie here they decide whether this is one customer or a crowd."""

    groups: tuple[Group, ...] = ()
    worth: tuple[Worth, ...] = ()
    named: dict[Key, int] = {}
    crowd: bool = False


ERASED: Final = State(2**53 - 1, b"\xff" * 8, True, None)
"""Of a fact that was erased with its customer: higher than whatever will be said of it again."""
EMPTY: Final = Journey()
NOTHING: Final = Entry()
