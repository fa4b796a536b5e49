"""Erasure of a customer from the journeys: facts are deleted, the counts made from them stay.

The customer's contacts are deleted whole. Each of their facts leaves a tombstone under its identity, so that
it is not counted again when its source sends it again. Facts of the customer in somebody else's contact lose
the customer id and the comment.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from streamer.events.models import SurveyResponse
from streamer.journeys.journey import (
    ERASED,
    ContactFact,
    FactGroup,
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
    anonymized_facts: int = 0

    def __add__(self, other: "ErasedCounts") -> "ErasedCounts":  # type: ignore[override]
        return ErasedCounts(*map(sum, zip(self, other, strict=True)))


def erase_from_journeys(
    documents: WorkingSet, customer_ids: Collection[str], journeys: Iterable[Key]
) -> ErasedCounts:
    """Erase one customer, given by all their pseudonyms, from the journeys of a working set.

    These are the customer's own journeys, those with a contact that named the customer, and `journeys`.
    Raises DocumentsNotLoaded where a document is missing; the working set is then unchanged.

    >>> documents = WorkingSet(0)
    >>> documents.load(customer_key("ann"), None)
    >>> erase_from_journeys(documents, ["ann"], []).contacts  # nothing is known of the customer
    0
    """
    transaction, own_journeys = (
        Transaction(documents),
        {customer_key(customer_id) for customer_id in customer_ids},
    )
    transaction.require_documents(own_journeys)
    journey_keys = {*own_journeys, *journeys, *_claimed_journeys(transaction, own_journeys)}
    transaction.require_documents(journey_keys)
    erased = ErasedCounts()
    for journey_key in sorted(journey_keys):
        erased += _erase_journey(transaction, journey_key, customer_ids, is_own=journey_key in own_journeys)
    for key in own_journeys:
        journey = transaction.journey(key)
        if journey.valuations or journey.claimed_by or journey.is_shared:
            transaction.replace_journey(key, Journey({}))
    transaction.commit()
    return erased


def _claimed_journeys(transaction: Transaction, own_journeys: Iterable[Key]) -> set[Key]:
    """Return the keys of the journeys with groups that named the customer."""
    claims = {claim for key in own_journeys for claim in transaction.journey(key).claimed_by}
    transaction.require_documents(claims)
    groups = {group for claim in claims for group in _possible_groups(claim, transaction.record(claim))}
    transaction.require_documents(groups)
    return {journey for group in groups if (journey := transaction.record(group).journey) is not None}


def _possible_groups(claim: Key, record: IdentityRecord) -> set[Key]:
    """Return the keys of the groups that may by now hold what a customer was named for."""
    return {claim, record.group_key(claim), record.survey_group or claim}


def _erase_journey(
    transaction: Transaction, journey_key: Key, customer_ids: Collection[str], *, is_own: bool
) -> ErasedCounts:
    erased = ErasedCounts()
    for group in list(transaction.journey(journey_key).groups.values()):
        facts = group.facts.all()
        if is_own or group.customer_id() in customer_ids:
            _leave_tombstones(transaction, group.key, facts)
            transaction.remove_group(journey_key, group.key)
            erased += ErasedCounts(1, len(facts))
        elif fact_count := sum(fact.customer_id in customer_ids for fact in facts):
            transaction.put_group(
                journey_key,
                FactGroup.from_facts(
                    group.key, group.facts.mapped(lambda fact: _anonymized_fact(fact, customer_ids))
                ),
            )
            erased += ErasedCounts(anonymized_facts=fact_count)
    return erased


def _leave_tombstones(transaction: Transaction, group: Key, facts: tuple[ContactFact, ...]) -> None:
    identities = {identity_key(fact.identity) for fact in facts}
    related_keys = {group, *filter(None, map(survey_key, facts))} - identities
    transaction.require_documents([*identities, *related_keys])
    for key in identities:
        transaction.set_record(key, IdentityRecord(ERASED, namings=transaction.record(key).namings))
    for key in related_keys:
        record = transaction.record(key)
        state = record.fact
        if state is not None:
            state = state.moved(None)
        transaction.set_record(key, IdentityRecord(state, namings=record.namings, states=record.states))


def _anonymized_fact(fact: ContactFact, customer_ids: Collection[str]) -> ContactFact:
    """Remove the customer id and the text of the comment.

    An empty comment stays: the contribution of the fact counts that there was one.
    """
    if fact.customer_id not in customer_ids:
        return fact
    if isinstance(fact, SurveyResponse) and fact.comment is not None:
        fact = replace(fact, comment="")
    return replace(fact, customer_id=None)
