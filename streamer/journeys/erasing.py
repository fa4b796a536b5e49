"""Erasure of a customer from the journeys: facts are deleted, the counts made from them stay.

The customer's contacts are deleted whole. Each of their facts leaves a tombstone under its identity, so that
it is not counted again when its source sends it again. Facts of the customer in somebody else's contact lose
the customer id and the comment.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from streamer.events.models import Response
from streamer.journeys.journey import (
    ERASED,
    NO_RECORD,
    ContactFact,
    ContactFacts,
    FactState,
    Group,
    IdentityRecord,
    Journey,
    Key,
    customer_key,
    identity_key,
    survey_key,
)
from streamer.journeys.working_set import Transaction, WorkingSet


class ErasedCounts(NamedTuple):
    """Numbers of erased contacts, of the facts in them, and of facts elsewhere that named the customer.

    >>> ErasedCounts(1, 3) + ErasedCounts(contacts=1, facts=2) == ErasedCounts(contacts=2, facts=5)
    True
    """

    contacts: int = 0
    facts: int = 0
    named: int = 0

    def __add__(self, more: "ErasedCounts") -> "ErasedCounts":  # type: ignore[override]
        return ErasedCounts(*map(sum, zip(self, more, strict=True)))


def erase(documents: WorkingSet, names: Collection[str], journeys: Iterable[Key]) -> ErasedCounts:
    """Erase one customer, given by all their pseudonyms, from the journeys of a working set.

    These are the customer's own journeys, those with a contact that named the customer, and `journeys`.
    Raises DocumentsNotLoaded where a document is missing; the working set is then unchanged.

    >>> documents = WorkingSet(0)
    >>> documents.load(customer_key("ann"), None)
    >>> erase(documents, ["ann"], []).contacts  # nothing is known of the customer
    0
    """
    transaction, own = Transaction(documents), {customer_key(name) for name in names}
    transaction.need(own)
    places = {*own, *journeys, *_claimed_journeys(transaction, own)}
    transaction.need(places)
    erased = ErasedCounts()
    for place in sorted(places):
        erased += _erase_journey(transaction, place, names, whole=place in own)
    for key in own:
        journey = transaction.journey(key)
        if journey.valuations or journey.claimed_by or journey.is_shared:
            transaction.replace(key, Journey({}))
    transaction.commit()
    return erased


def _claimed_journeys(transaction: Transaction, own: Iterable[Key]) -> set[Key]:
    """Return the keys of the journeys with groups that named the customer."""
    claims = {claim for key in own for claim in transaction.journey(key).claimed_by}
    transaction.need(claims)
    groups = {group for claim in claims for group in _groups(claim, transaction.record(claim))}
    transaction.need(groups)
    return {journey for group in groups if (journey := transaction.record(group).journey) is not None}


def _groups(claim: Key, record: IdentityRecord) -> set[Key]:
    """Return the keys of the groups that may by now hold what a customer was named for."""
    return {claim, record.group_key(claim), record.survey_group or claim}


def _erase_journey(
    transaction: Transaction, place: Key, names: Collection[str], *, whole: bool
) -> ErasedCounts:
    erased = ErasedCounts()
    for group in list(transaction.journey(place).groups.values()):
        facts = group.facts.all()
        if whole or group.customer() in names:
            _seal(transaction, group.key, facts)
            transaction.remove(place, group.key)
            erased += ErasedCounts(1, len(facts))
        elif number := sum(fact.customer_id in names for fact in facts):
            transaction.put(place, Group.of(group.key, _without_names(group.facts, names)))
            erased += ErasedCounts(named=number)
    return erased


def _seal(transaction: Transaction, group: Key, facts: tuple[ContactFact, ...]) -> None:
    identities = {identity_key(fact.identity) for fact in facts}
    around = {group, *filter(None, map(survey_key, facts))} - identities
    transaction.need([*identities, *around])
    for key in identities:
        transaction.set_record(key, IdentityRecord(ERASED))
    for key in around:
        state = transaction.record(key).fact
        sealed = None if state is None else FactState(state.version, state.digest, state.deleted, None)
        transaction.set_record(key, NO_RECORD if sealed is None else IdentityRecord(sealed))


def _without_names(facts: ContactFacts, names: Collection[str]) -> ContactFacts:
    return ContactFacts(
        tuple(_anonymous(fact, names) for fact in facts.segments),
        tuple(_anonymous(fact, names) for fact in facts.sent),
        tuple(_anonymous(fact, names) for fact in facts.responses),
        tuple(_anonymous(fact, names) for fact in facts.evaluations),
    )


F = TypeVar("F", bound=ContactFact)


def _anonymous(fact: F, names: Collection[str]) -> F:
    """Remove the customer id and the text of the comment.

    An empty comment stays: the contribution of the fact counts that there was one.
    """
    if fact.customer_id not in names:
        return fact
    if isinstance(fact, Response) and fact.comment is not None:
        fact = replace(fact, comment="")
    return replace(fact, customer_id=None)
