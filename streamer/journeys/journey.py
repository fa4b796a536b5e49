"""Documents of the journeys: the journey of a customer, its fact groups, and the record of each identity.

All facts of a contact lie in one group. The invitation and the responses of a survey move together. A group
lies in the journey of its customer, or in one of its own. The store keeps two kinds of documents: identity
records, which alone decide what is a duplicate, and journeys.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec.structs import astuple

from streamer.events.models import FactIdentity, QualityEvaluation, Segment, SurveyResponse, SurveySent
from streamer.journeys.state_history import ContactHistory

KEY_BYTES: Final = 13

Key = bytes
"""A document's key: a letter (e identity record, c a customer's journey, o a group's own, a an agent) and a
digest of 96 bits."""

SurveyFact = SurveySent | SurveyResponse
ContactFact = Segment | SurveyFact | QualityEvaluation
F = TypeVar("F", bound=ContactFact)


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=KEY_BYTES - 1).digest()


@lru_cache(maxsize=4096)
def identity_key(identity: FactIdentity) -> Key:
    """Return the key of an identity's record."""
    kind, source, name = identity
    return b"e" + _digest(f"{kind}\x1f{source}\x1f{name}")


@lru_cache(maxsize=4096)
def contact_key(contact_id: str) -> Key:
    """Return the key of a contact's group. A segment that is the whole contact shares its record.

    >>> call = Segment(contact_id="c1", ended_at=1_750_000_000_000, outcome="answered")
    >>> identity_key(call.identity) == contact_key("c1")
    True
    """
    return identity_key(FactIdentity(Segment.kind, "", contact_id))


def lone_group_key(identity: FactIdentity) -> Key:
    """Return the key of the group of a fact that stands alone, which is that of its identity. Of a segment it
    is another one, since its identity may be the id of a contact, to which it does not belong.

    >>> response = SurveyResponse(response_id="r1", answered_at=1_750_000_060_000)
    >>> lone_group_key(response.identity) == identity_key(response.identity)
    True
    """
    kind, source, name = identity
    return b"e" + _digest(f"lone\x1f{source}\x1f{name}") if kind == Segment.kind else identity_key(identity)


def survey_key(fact: ContactFact) -> Key | None:
    """Return the key of the survey that a fact moves with; None for a fact that moves alone.

    >>> invitation = SurveySent(survey_id="v1", contact_id="c1", sent_at=1_750_000_000_000)
    >>> response = SurveyResponse(response_id="r1", survey_id="v1", answered_at=1_750_000_060_000)
    >>> survey_key(invitation) == survey_key(response)
    True
    """
    if isinstance(fact, SurveyFact) and fact.survey_id is not None:
        return identity_key(FactIdentity(SurveySent.kind, fact.source, fact.survey_id))
    return None


def claim_key(fact: ContactFact) -> Key:
    """Return the key of what a fact names its customer for: its contact, else its survey, else itself.

    >>> response = SurveyResponse(response_id="r1", survey_id="v1", answered_at=1_750_000_060_000)
    >>> claim_key(response) == survey_key(response)
    True
    """
    if fact.contact_id is not None:
        return contact_key(fact.contact_id)
    return survey_key(fact) or identity_key(fact.identity)


@lru_cache(maxsize=8192)
def customer_key(customer_id: str) -> Key:
    return b"c" + _digest(f"c\x1f\x1f{customer_id}")


def forgotten_group_key(group: Key, latest_ms: int) -> Key:
    """Return the key of a forgotten group whose key another one bears now."""
    return b"e" + blake2b(group + latest_ms.to_bytes(8, "big"), digest_size=KEY_BYTES - 1).digest()


def own_journey_key(group: Key) -> Key:
    """Return the key of the journey of a group that has no customer."""
    return b"o" + group[1:]


class FactState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Version of a fact that is in force, and key of the group it lies in (None: the key of its record).

    `digest`: head of its SHA-256; of equal versions the higher digest is in force. `time_ms`: time of the
    fact, of a deleted one that of the deletion's record; None: unknown.
    """

    version: int
    digest: bytes
    deleted: bool
    group: Key | None
    time_ms: int | None = None

    def moved(self, group: Key | None) -> "FactState":
        """Return the state of the same fact in another group."""
        return FactState(self.version, self.digest, self.deleted, group, self.time_ms)


class FactNamings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Facts that name a contact or a survey, or that a former version named it for.

    `facts`: times, in ms, of those that do not lie in its group, by the key of their identity. With those
    that do they decide whether it is one contact, or one survey, or an id that many share. `shared_ms`: of a
    shared id the time, to a day, of the latest fact that names it; None: it is not shared.

    >>> namings = FactNamings({contact_key("c1"): 1_750_000_000_000})
    >>> namings.since(1_750_000_000_000) == namings, namings.since(1_750_000_000_001)
    (True, None)
    """

    facts: dict[Key, int] = {}
    shared_ms: int | None = None

    def since(self, forget_before_ms: int) -> "FactNamings | None":
        """Return the namings that are not older; None where there are none."""
        if self.shared_ms is not None:
            return self if self.shared_ms >= forget_before_ms else None
        facts = {key: time_ms for key, time_ms in self.facts.items() if time_ms >= forget_before_ms}
        return FactNamings(facts) if facts else None

    def is_recent(self, forget_before_ms: int) -> bool:
        """Tell whether all namings are from then on."""
        return min(self.facts.values(), default=self.shared_ms or 0) >= forget_before_ms


class IdentityRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Record of one identity, which may be a fact, a group and a survey at once.

    `fact`: state of the fact. `journey`: key of the journey that holds the group. `survey_group`: key of the
    group that the survey's invitation and responses lie in. `namings`: facts that name the contact or survey.
    `states`: states of the segment while it is under way; None once its fact is known.
    """

    fact: FactState | None = None
    journey: Key | None = None
    survey_group: Key | None = None
    namings: FactNamings | None = None
    states: ContactHistory | None = None

    @property
    def is_shared(self) -> bool:
        """Tell whether this is the id of a contact or survey that too many facts name: it names nothing."""
        return self.namings is not None and self.namings.shared_ms is not None

    def group_key(self, key: Key) -> Key:
        """Return the key of the group that the fact of this record, filed under `key`, lies in."""
        return (self.fact.group if self.fact is not None else None) or key


class ContactFacts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Facts of one group, by kind. Never changes: `added` and `removed` return another one.

    >>> call = Segment(contact_id="c1", ended_at=1_750_000_000_000, outcome="answered")
    >>> facts = NO_FACTS.added(call)
    >>> len(facts.all()), facts.removed([call]) == NO_FACTS
    (1, True)
    """

    segments: tuple[Segment, ...] = ()
    sent: tuple[SurveySent, ...] = ()
    responses: tuple[SurveyResponse, ...] = ()
    evaluations: tuple[QualityEvaluation, ...] = ()

    @property
    def fact_count(self) -> int:
        return len(self.segments) + len(self.sent) + len(self.responses) + len(self.evaluations)

    def all(self) -> tuple[ContactFact, ...]:
        return (*self.segments, *self.sent, *self.responses, *self.evaluations)

    def of_kind(self, letter: str) -> tuple[ContactFact, ...]:
        """Return the facts of one kind, given by its letter."""
        facts: tuple[ContactFact, ...] = _facts_by_field(self)[_FIELD_INDEX[letter]]
        return facts

    def added(self, fact: ContactFact) -> "ContactFacts":
        facts = [*_facts_by_field(self)]  # nearly as fast as a branch for each kind
        field_index = _FIELD_INDEX[fact.kind]
        facts[field_index] = (*facts[field_index], fact)
        return ContactFacts(*facts)

    def removed(self, facts: Iterable[ContactFact]) -> "ContactFacts":
        removed_ids = [id(fact) for fact in facts]
        return ContactFacts(
            *[_without(facts_of_kind, removed_ids) for facts_of_kind in _facts_by_field(self)]
        )

    def mapped(self, change: Callable[[ContactFact], ContactFact]) -> "ContactFacts":
        """Return other facts, each made by `change` from the one here."""
        changed: list[Any] = [tuple(map(change, facts_of_kind)) for facts_of_kind in _facts_by_field(self)]
        return ContactFacts(*changed)


def _without(facts: tuple[F, ...], removed_ids: list[int]) -> tuple[F, ...]:
    """Remove facts by their ids. Return the same tuple where none is removed.

    The fold recognizes by that what did not change.
    """
    remaining_facts = tuple(fact for fact in facts if id(fact) not in removed_ids)
    return facts if len(remaining_facts) == len(facts) else remaining_facts


_facts_by_field: Final[Callable[[ContactFacts], tuple[Any, ...]]] = astuple
_FIELD_INDEX: Final = {
    get_args(annotation)[0].kind: index
    for index, annotation in enumerate(get_type_hints(ContactFacts).values())
}
"""Places of the fields of ContactFacts by the letters of the facts they hold."""
NO_FACTS: Final = ContactFacts()
_unpack_facts = msgspec.msgpack.Decoder(ContactFacts).decode

StoredGroup = tuple[bytes, int, int | None, int, int, msgspec.Raw]
"""Fields of a stored group: key, latest_ms, visit_ms, size, traits, packed facts."""

VALUED: Final = 1
SCORED: Final = 2


class FactGroup:
    """All facts known of one contact; where there is no contact, of one survey, or a single fact.

    Never changes. A group that was read from the store unpacks its facts only when they are asked for: most
    groups of a journey are only written back.
    """

    __slots__ = ("_facts", "_packed", "key", "latest_ms", "size", "traits", "visit_ms")

    def __init__(
        self,
        key: Key,
        latest_ms: int,
        visit_ms: int | None,
        size: int,
        traits: int,
        packed: msgspec.Raw | None,
        facts: ContactFacts | None = None,
    ) -> None:
        """Keep what is known of the facts without unpacking them.

        `latest_ms`: time of the latest fact. `visit_ms`: end of the contact for first-contact resolution;
        None where the contact is not part of it. `size`: number of segments, invitations and responses.
        `traits`: VALUED where a segment states the customer's value, SCORED where a response counts for NPS.
        """
        self.key = key
        self.latest_ms = latest_ms
        self.visit_ms = visit_ms
        self.size = size
        self.traits = traits
        self._packed = packed
        self._facts = facts

    @classmethod
    def from_facts(cls, key: Key, facts: ContactFacts) -> "FactGroup":
        segments, invitations, responses, evaluations = (
            facts.segments,
            facts.sent,
            facts.responses,
            facts.evaluations,
        )
        if len(segments) == 1 and not (invitations or responses or evaluations):
            segment = segments[0]
            traits = VALUED if segment.customer_value is not None else 0
            return cls(key, segment.ended_at, _visit_ms(segment), 1, traits, None, facts)
        latest_ms = max((fact.time for fact in facts.all()), default=0)
        last_inbound = inbound_segment(segments)
        traits = VALUED if any(fact.customer_value is not None for fact in segments) else 0
        if any(fact.nps is not None and not fact.excluded for fact in responses):
            traits |= SCORED
        size = len(segments) + len(invitations) + len(responses)
        visit_ms = None if last_inbound is None else _visit_ms(last_inbound)
        return cls(key, latest_ms, visit_ms, size, traits, None, facts)

    def renamed(self, key: Key) -> "FactGroup":
        """Return the same facts under another key."""
        return FactGroup(
            key, self.latest_ms, self.visit_ms, self.size, self.traits, self._packed, self._facts
        )

    @property
    def facts(self) -> ContactFacts:
        if self._facts is None:
            assert self._packed is not None
            self._facts = _unpack_facts(self._packed)
        return self._facts

    def to_stored(self) -> tuple[object, ...]:
        """Return the fields of a `StoredGroup`, to be encoded."""
        facts = self._facts if self._packed is None else self._packed
        return (self.key, self.latest_ms, self.visit_ms, self.size, self.traits, facts)

    @property
    def is_empty(self) -> bool:
        return not self.facts.all()

    def customer_id(self) -> str | None:
        """Return the id of the customer whose contact it is; None where no fact names one.

        Segments decide, else surveys; of several facts that name a customer the one of the highest rank.
        """
        naming_facts = self.naming_facts()
        return highest_fact(naming_facts).customer_id if naming_facts else None

    def naming_facts(self) -> list[ContactFact]:
        """Return the segments that name a customer; where none does, the invitations and responses."""
        facts = self.facts
        return _naming_facts(facts.segments) or _naming_facts((*facts.sent, *facts.responses))


def _naming_facts(facts: Iterable[ContactFact]) -> list[ContactFact]:
    return [fact for fact in facts if fact.customer_id is not None]


def fact_rank(fact: ContactFact) -> tuple[int, int, str, str, str]:
    """Return the rank of a fact. Where several facts disagree, the one of the highest rank is believed."""
    return (fact.version, fact.time, *fact.identity)


def highest_fact(facts: Sequence[ContactFact]) -> ContactFact:
    """Return the fact of the highest rank, of at least one."""
    return facts[0] if len(facts) == 1 else max(facts, key=fact_rank)


def last_segment(segments: Iterable[Segment]) -> Segment | None:
    """Return the last answered segment, else the last; None without segments. Ties are broken by id.

    >>> first = Segment(contact_id="c1", segment_id="s1", ended_at=1_750_000_000_000, outcome="answered")
    >>> second = Segment(contact_id="c1", segment_id="s2", ended_at=1_750_000_060_000, outcome="abandoned")
    >>> last_segment([first, second]).segment_id
    's1'
    """
    return max(segments, key=_segment_rank, default=None)


def _segment_rank(segment: Segment) -> tuple[bool, int, str, str]:
    return (
        segment.outcome == "answered",
        segment.ended_at,
        segment.segment_id or segment.contact_id,
        segment.source,
    )


def inbound_segment(segments: tuple[Segment, ...]) -> Segment | None:
    """Return the segment that stands for the contact: `last_segment` of the inbound ones, None without."""
    if len(segments) == 1:
        return segments[0] if segments[0].direction == "inbound" else None
    return last_segment(segment for segment in segments if segment.direction == "inbound")


def _visit_ms(segment: Segment) -> int | None:
    """Return the end of an answered inbound segment in ms; None for others and for legs of a callback."""
    is_visit = (
        segment.outcome == "answered" and segment.direction == "inbound" and segment.channel != "callback"
    )
    return segment.ended_at if is_visit else None


class StatedValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Customer value as one source stated it last, in hundredths; None: the source took it back."""

    source: str
    as_of: int
    digest: bytes
    value: int | None


class StoredJourney(msgspec.Struct, array_like=True, gc=False):
    """Format of a journey in the store."""

    groups: list[StoredGroup] = []
    valuations: tuple[StatedValue, ...] = ()
    claimed_by: dict[Key, int] = {}
    is_shared: bool = False
    shared_ms: int | None = None


class Journey:
    """All that is kept of one customer, or of one group that has no customer.

    `claimed_by`: times, in ms, of contacts that named the customer but lie elsewhere, by key. Together with
    the contacts that lie here they decide whether this is one customer or an id that many share
    (`is_shared`); `shared_ms`: of such an id the time, to a day, of the latest fact that names it; None:
    unknown. A transaction changes a copy. Groups never change: an untouched one stays the same object.

    >>> journey = Journey({}, claimed_by={contact_key("c1"): 1_750_000_000_000})
    >>> Journey.unpacked(journey.packed(), 1_750_000_000_000).claimed_by == journey.claimed_by
    True
    >>> Journey.unpacked(journey.packed(), 1_750_000_000_001).claimed_by  # too old, left out
    {}
    """

    __slots__ = ("claimed_by", "groups", "is_shared", "shared_ms", "valuations")

    def __init__(
        self,
        groups: dict[Key, FactGroup],
        valuations: tuple[StatedValue, ...] = (),
        claimed_by: dict[Key, int] | None = None,
        is_shared: bool = False,
        shared_ms: int | None = None,
    ) -> None:
        self.groups = groups
        self.valuations = valuations
        self.claimed_by = claimed_by or {}
        self.is_shared = is_shared
        self.shared_ms = shared_ms

    def copy(self) -> "Journey":
        return Journey(
            self.groups.copy(), self.valuations, self.claimed_by.copy(), self.is_shared, self.shared_ms
        )

    @classmethod
    def unpacked(cls, packed: bytes, forget_before_ms: int) -> "Journey":
        """Read a document, leaving out groups and claims older than `forget_before_ms`."""
        stored = _unpack_journey(packed)
        groups = {group[0]: FactGroup(*group) for group in stored.groups if group[1] >= forget_before_ms}
        claimed_by = {
            key: time_ms for key, time_ms in stored.claimed_by.items() if time_ms >= forget_before_ms
        }
        is_shared = stored.is_shared and (stored.shared_ms is None or stored.shared_ms >= forget_before_ms)
        shared_ms = stored.shared_ms if is_shared else None
        return cls(groups, stored.valuations, claimed_by, is_shared, shared_ms)

    def packed(self) -> bytes | None:
        """Return the document as the store keeps it; None where there is nothing to keep."""
        if not (self.groups or self.valuations or self.claimed_by or self.is_shared):
            return None
        groups = [group.to_stored() for group in self.groups.values()]
        return _pack((groups, self.valuations, self.claimed_by, self.is_shared, self.shared_ms))


_pack = msgspec.msgpack.Encoder().encode
_unpack_journey = msgspec.msgpack.Decoder(StoredJourney).decode
_unpack_record = msgspec.msgpack.Decoder(IdentityRecord).decode

ERASED: Final = FactState(2**53 - 1, b"\xff" * 8, True, None)
"""State of a fact that was erased with its customer. No later version of the fact is higher."""
NO_RECORD: Final = IdentityRecord()


def unpack_record(packed: bytes | None) -> IdentityRecord:
    return _unpack_record(packed) if packed else NO_RECORD


def pack_record(record: IdentityRecord) -> bytes | None:
    """Return the document as the store keeps it; None where there is nothing to keep."""
    return None if record == NO_RECORD else _pack(record)
