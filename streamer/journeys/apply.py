"""Effects of one event on the journeys: `PlannedEvent`, which needs no document, and `apply`.

Every fact takes the same way: detach what its identity stood for, add what it stands for now, then move every
survey and group concerned to where its facts say it belongs.
"""

from typing import Final

from streamer.events.counting_rules import CountingRules
from streamer.events.models import (
    CustomerValuation,
    Event,
    SurveyResponse,
    SurveySent,
    Tombstone,
)
from streamer.journeys.journey import (
    ERASED,
    NO_FACTS,
    ContactFact,
    FactGroup,
    FactState,
    IdentityRecord,
    Journey,
    Key,
    StatedValue,
    claim_key,
    contact_key,
    customer_key,
    fact_rank,
    identity_key,
    own_journey_key,
    survey_key,
)
from streamer.journeys.working_set import Transaction, WorkingSet

_DIGEST_BYTES: Final = 8


class PlannedEvent:
    """An event with what follows from it alone, before any document is read.

    `fact`: what it states about a contact; None for a tombstone or a valuation. `key`: key of its identity
    record; of a valuation, key of the customer's journey. `contact`, `survey`, `customer`: keys of what the
    fact names, None where it names none. `digest`: head of the event's SHA-256.
    """

    __slots__ = ("contact", "customer", "digest", "event", "fact", "identity", "key", "record_ms", "survey")

    def __init__(self, event: Event, record_ms: int) -> None:
        self.event = event
        self.record_ms = record_ms
        """Timestamp of the Kafka record, in ms. Facts more than two horizons older are forgotten."""
        self.digest = event.digest()[:_DIGEST_BYTES]
        self.identity = identity = event.identity
        self.fact: ContactFact | None = None
        self.contact: Key | None = None
        self.survey: Key | None = None
        self.customer: Key | None = None
        if identity.kind == CustomerValuation.kind:
            self.key = customer_key(identity.id)
            return
        self.key = identity_key(identity)
        if isinstance(event, Tombstone | CustomerValuation):
            return
        self.fact = event
        if event.contact_id is not None:
            self.contact = contact_key(event.contact_id)
        if event.customer_id is not None:
            self.customer = customer_key(event.customer_id)
        self.survey = survey_key(event)

    def document_keys(self) -> tuple[Key | None, ...]:
        """Return the keys of the documents that `apply` will usually ask for; skip those that are None."""
        fact = self.fact
        own_journey = own_journey_key(self.claim) if fact is not None and fact.customer_id is None else None
        return (self.key, self.contact, self.customer, self.survey, own_journey)

    @property
    def claim(self) -> Key:
        """Key of what the fact names its customer for, as `claim_key` defines it."""
        return self.contact or self.survey or self.key


def apply(planned: PlannedEvent, documents: WorkingSet, rules: CountingRules) -> bool:
    """Apply one event to the journeys of a working set. Return False where it changes no fact.

    Raises DocumentsNotLoaded where a document is missing; the working set is then unchanged.

    >>> from streamer.events.models import Segment
    >>> call = Segment(contact_id="c1", customer_id="ann", ended_at=1_750_000_000_000, outcome="answered")
    >>> planned, documents = PlannedEvent(call, record_ms=1_750_000_001_000), WorkingSet(0)
    >>> for key in filter(None, planned.document_keys()):
    ...     documents.load(key, None)
    >>> apply(planned, documents, CountingRules())
    True
    >>> apply(planned, documents, CountingRules())  # the second is a duplicate
    False
    >>> sorted(key[:1] for key in documents.writes())  # the customer's journey and an identity record
    [b'c', b'e']
    """
    transaction = Transaction(documents)
    if planned.identity.kind == CustomerValuation.kind:
        applied = _apply_valuation(transaction, planned)
    else:
        applied = _apply_fact(transaction, planned, rules)
    transaction.commit()
    return applied


def _apply_valuation(transaction: Transaction, planned: PlannedEvent) -> bool:
    event, key = planned.event, planned.key
    source = planned.identity.source
    valuations = transaction.journey(key).valuations
    former_value = next((value for value in valuations if value.source == source), None)
    if former_value is not None and (event.version, planned.digest) <= (
        former_value.as_of,
        former_value.digest,
    ):
        return False
    new_value = StatedValue(
        source, event.version, planned.digest, event.value if isinstance(event, CustomerValuation) else None
    )
    transaction.set_valuations(key, (*(value for value in valuations if value.source != source), new_value))
    return True


def _apply_fact(transaction: Transaction, planned: PlannedEvent, rules: CountingRules) -> bool:
    key, fact, version = planned.key, planned.fact, planned.event.version
    record = transaction.record(key)
    state = record.fact
    if state is not None and (version, planned.digest) <= (state.version, state.digest):
        if fact is not None and planned.digest != state.digest and state != ERASED:
            _record_claim(transaction, fact, planned.claim)
            _split_if_shared(transaction, planned, rules)
        return False
    group_key = record.group_key(key)
    former_fact = None
    if state is not None and not state.deleted:
        former_fact = _detach(transaction, planned, group_key, rules)
    state = FactState(version, planned.digest, fact is None, group_key if group_key != key else None)
    transaction.set_record(key, IdentityRecord(state, record.journey, record.survey_group))
    _regroup(transaction, planned, former_fact, group_key)
    if fact is not None:
        _record_claim(transaction, fact, planned.claim)
        _split_if_shared(transaction, planned, rules)
    return True


def _detach(
    transaction: Transaction, planned: PlannedEvent, group_key: Key, rules: CountingRules
) -> ContactFact | None:
    """Take the fact that an identity stood for out of its group, and return it.

    None: the group is gone, or the fact is more than two horizons older than the record and forgotten.
    """
    journey, group = transaction.find_group(group_key)
    if journey is None or group is None:
        return None
    identity, forget_before_ms = planned.identity, planned.record_ms - 2 * rules.horizon_ms
    for fact in group.facts.of_kind(identity.kind):
        if fact.identity == identity and fact.time >= forget_before_ms:
            transaction.put_group(journey, FactGroup.from_facts(group.key, group.facts.removed([fact])))
            return fact
    return None


def _regroup(
    transaction: Transaction, planned: PlannedEvent, former_fact: ContactFact | None, left_group: Key
) -> None:
    """Put the new fact, and what moves with it or with the former one, where it belongs now.

    `left_group`: the group that the former fact was taken out of.
    """
    fact = planned.fact
    group_keys = {left_group} if former_fact is not None else set()
    survey_keys = [] if former_fact is None else [survey_key(former_fact)]
    if fact is not None and planned.survey not in survey_keys:
        survey_keys.append(planned.survey)
    for survey in survey_keys:
        moved_event = planned if fact is not None and survey == planned.survey else None
        if survey is not None:
            group_keys |= _regroup_survey(transaction, survey, moved_event)
        elif moved_event is not None and not _add_facts(
            transaction, moved_event.contact or moved_event.key, moved_event, []
        ):
            group_keys.add(moved_event.contact or moved_event.key)
    members = [member for key in sorted(group_keys) for member in _rehome_group(transaction, key)]
    if former_fact is not None:
        members.append(former_fact)
    for member in members:
        if member is not fact:
            _record_claim(transaction, member, claim_key(member))


def _regroup_survey(transaction: Transaction, survey: Key, planned: PlannedEvent | None) -> set[Key]:
    """Put a survey's facts, including the new one, into the group they say they belong to.

    Returns the keys of the groups that may have to move to another journey because of it.
    """
    record = transaction.record(survey)
    present_group = record.survey_group
    journey, group = transaction.find_group(present_group) if present_group is not None else (None, None)
    members = _survey_facts(group, survey) if group is not None else []
    fact = planned.fact if planned is not None else None
    facts = [*members, fact] if fact is not None else members
    target_group = _survey_group_key(survey, facts) if facts else None
    if target_group != present_group:
        transaction.set_record(survey, IdentityRecord(record.fact, record.journey, target_group))
    if target_group is None:
        return set()
    if target_group == present_group and group is not None:
        if planned is not None:
            _add_facts(transaction, target_group, planned, [])
        return {target_group}
    if group is not None and journey is not None:
        transaction.put_group(journey, FactGroup.from_facts(group.key, group.facts.removed(members)))
    is_new = _add_facts(transaction, target_group, planned, members) and not members
    left_groups = {present_group} if present_group is not None and group is not None else set()
    return left_groups if is_new else {target_group, *left_groups}


def _survey_facts(group: FactGroup, survey: Key) -> list[ContactFact]:
    facts: tuple[ContactFact, ...] = (*group.facts.sent, *group.facts.responses)
    return [fact for fact in facts if survey_key(fact) == survey]


def _survey_group_key(survey: Key, facts: list[ContactFact]) -> Key:
    """Return the key of the group a survey belongs to.

    It is the contact named by the response of the highest rank, else by the invitation; where none is named,
    the survey is a group of its own.
    """
    responses = [fact for fact in facts if isinstance(fact, SurveyResponse) and fact.contact_id is not None]
    invitation = next((fact for fact in facts if isinstance(fact, SurveySent)), None)
    naming_fact = max(responses, key=fact_rank) if responses else invitation
    if naming_fact is not None and naming_fact.contact_id is not None:
        return contact_key(naming_fact.contact_id)
    return survey


def _add_facts(
    transaction: Transaction, group_key: Key, planned: PlannedEvent | None, members: list[ContactFact]
) -> bool:
    """Add the planned fact and others to a group. Return True for a new group, which is then in its place."""
    record = transaction.record(group_key)
    journey = record.journey
    group = transaction.journey(journey).groups.get(group_key) if journey is not None else None
    facts = NO_FACTS if group is None else group.facts
    for member in members:
        facts = facts.added(member)
    if planned is not None and planned.fact is not None:
        facts = facts.added(planned.fact)
    group = FactGroup.from_facts(group_key, facts)
    is_new = journey is None
    if journey is None:
        journey = _home_journey_key(transaction, group)
    # Written again even where nothing changes: the record that leads to a group outlives the group.
    transaction.set_record(group_key, IdentityRecord(record.fact, journey, record.survey_group))
    transaction.put_group(journey, group)
    for member in members:
        _set_fact_group(transaction, identity_key(member.identity), group_key)
    if planned is not None and planned.fact is not None:
        _set_fact_group(transaction, planned.key, group_key)
    return is_new


def _set_fact_group(transaction: Transaction, key: Key, group_key: Key) -> None:
    """Record which group the fact of this identity lies in."""
    record = transaction.record(key)
    state = record.fact
    if state is not None and (state.group or key) != group_key:
        state = FactState(state.version, state.digest, state.deleted, group_key if group_key != key else None)
        transaction.set_record(key, IdentityRecord(state, record.journey, record.survey_group))


def _rehome_group(transaction: Transaction, key: Key) -> tuple[ContactFact, ...]:
    """Move a group to its customer's journey, or to one of its own. Return the group's facts."""
    journey, group = transaction.find_group(key)
    if journey is None or group is None:
        return ()
    target_journey = None if group.is_empty else _home_journey_key(transaction, group)
    if target_journey != journey:
        transaction.remove_group(journey, key)
        transaction.set_journey(key, target_journey)
        if target_journey is not None:
            transaction.put_group(target_journey, group)
    return group.facts.all()


def _home_journey_key(transaction: Transaction, group: FactGroup) -> Key:
    customer_id = group.customer_id()
    if customer_id is None:
        return own_journey_key(group.key)
    key = customer_key(customer_id)
    return own_journey_key(group.key) if transaction.journey(key).is_shared else key


def _record_claim(transaction: Transaction, fact: ContactFact, claim: Key) -> None:
    """Record in the customer's journey that a fact names, or named, this customer.

    Nothing is recorded where the facts in that journey say so themselves.
    """
    if fact.customer_id is None:
        return
    key = customer_key(fact.customer_id)
    journey = transaction.journey(key)
    if journey.is_shared or _is_claim_implied(journey, fact, claim):
        return
    if journey.claimed_by.get(claim, -1) < fact.time:
        transaction.add_claim(key, claim, fact.time)


def _is_claim_implied(journey: Journey, fact: ContactFact, claim: Key) -> bool:
    """Tell whether the facts in the journey already say that the customer was named for this claim."""
    group = journey.groups.get(claim)
    if group is None:
        return False
    members = group.facts.all()
    return any(member is fact for member in members) or any(
        member.customer_id == fact.customer_id and claim_key(member) == claim for member in members
    )


def _split_if_shared(transaction: Transaction, planned: PlannedEvent, rules: CountingRules) -> None:
    """Split the journey of the customer id that the event names, if the id is now shared.

    An id that is named for more contacts than the limit belongs to nobody. Only an event that names the id
    can bring that about.
    """
    fact, key = planned.fact, planned.customer
    if fact is None or fact.customer_id is None or key is None:
        return
    journey = transaction.journey(key)
    if not journey.is_shared and _is_shared(journey, fact.customer_id, rules.shared_id_limit):
        _split(transaction, key)


def _is_shared(journey: Journey, customer_id: str, limit: int) -> bool:
    groups = journey.groups.values()
    if len(journey.claimed_by) + sum([group.size for group in groups]) <= limit:
        return False
    claims = set(journey.claimed_by)
    for group in groups:
        claims.update(claim_key(fact) for fact in group.facts.all() if fact.customer_id == customer_id)
    return len(claims) > limit


def _split(transaction: Transaction, key: Key) -> None:
    """Move each group of a shared id to a journey of its own."""
    shared = transaction.journey(key)
    groups = list(shared.groups.values())
    transaction.require_documents(
        [*(group.key for group in groups), *(own_journey_key(group.key) for group in groups)]
    )
    transaction.replace_journey(key, Journey({}, shared.valuations, is_shared=True))
    transaction.ids_found_shared += 1
    for group in groups:
        own_journey = own_journey_key(group.key)
        transaction.set_journey(group.key, own_journey)
        transaction.put_group(own_journey, group)
