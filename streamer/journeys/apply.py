"""Effects of one event on the documents: `PlannedEvent`, which needs no document, and `apply`.

Every fact takes the same way: detach what its identity stood for, add what it stands for now, then move every
survey and group concerned to where its facts say it belongs.

An id that is named more often than the limit is shared by many, and names nothing: see `_note_ids`.

States of what is live go into the history of their segment or agent: see `_apply_contact_state`.
"""

from collections.abc import Iterable
from typing import Final, cast

from streamer.events.counting_rules import DAY, CountingRules
from streamer.events.models import (
    LIVE_KINDS,
    SLOW_CHANNELS,
    AgentState,
    ContactState,
    CustomerValuation,
    Event,
    FactIdentity,
    Segment,
    SurveyResponse,
    Tombstone,
)
from streamer.journeys.journey import (
    ERASED,
    NO_FACTS,
    ContactFact,
    FactGroup,
    FactNamings,
    FactState,
    IdentityRecord,
    Journey,
    Key,
    StatedValue,
    claim_key,
    contact_key,
    customer_key,
    fact_rank,
    forgotten_group_key,
    highest_fact,
    identity_key,
    lone_group_key,
    own_journey_key,
    survey_key,
)
from streamer.journeys.state_history import (
    LIVE_HORIZON_MS,
    SLOW_HORIZON_MS,
    AgentHistory,
    ContactHistory,
    agent_key,
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
        if identity.kind == AgentState.kind:
            self.key = agent_key(identity.id)
            return
        if identity.kind == ContactState.kind:
            self.key = identity_key(FactIdentity(Segment.kind, identity.source, identity.id))
            return
        self.key = identity_key(identity)
        if isinstance(event, Tombstone):
            return
        self.fact = fact = cast(ContactFact, event)  # all other kinds returned before
        if fact.contact_id is not None:
            self.contact = contact_key(fact.contact_id)
        if fact.customer_id is not None:
            self.customer = customer_key(fact.customer_id)
        self.survey = survey_key(fact)

    def document_keys(self) -> tuple[Key | None, ...]:
        """Return the keys of the documents that `apply` will usually ask for; skip those that are None."""
        if self.identity.kind in LIVE_KINDS:
            return (self.key,)
        fact = self.fact
        own_journey = own_journey_key(self.claim) if fact is not None and fact.customer_id is None else None
        return (self.key, self.contact, self.customer, self.survey, own_journey)

    def lone_keys(self, documents: WorkingSet) -> Iterable[Key]:
        """Return the keys of a group and journey of its own, which a fact needs if it names a shared id."""
        claim = self.claim
        if documents.is_shared(claim):
            is_survey_kept = self.survey is not None and not documents.is_shared(self.survey)
            group_key = self.survey if is_survey_kept else None
            group_key = group_key or lone_group_key(self.identity)
        elif self.customer is not None and documents.is_shared(self.customer):
            group_key = claim
        else:
            return ()
        return (group_key, own_journey_key(group_key))

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
    kind = planned.identity.kind
    if kind == CustomerValuation.kind:
        applied = _apply_valuation(transaction, planned)
    elif kind == ContactState.kind:
        applied = _apply_contact_state(transaction, planned, rules)
    elif kind == AgentState.kind:
        applied = _apply_agent_state(transaction, planned)
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


def _apply_contact_state(transaction: Transaction, planned: PlannedEvent, rules: CountingRules) -> bool:
    """Apply a state of a segment, or take states back. What completes or deletes the segment ends it for
    good, whichever comes first."""
    event, key = planned.event, planned.key
    if _is_past_live_horizon(event, planned.record_ms):
        return False
    record = transaction.record(key)
    if record.fact is not None and not is_forgotten(record.fact, planned.record_ms, rules):
        return False
    history = record.states or ContactHistory(planned.identity.id, planned.identity.source)
    if isinstance(event, ContactState):
        changed = history.with_state(event)
    else:
        assert isinstance(event, Tombstone)
        changed = history.without(event.at, event.version)
    if changed is None:
        return False
    transaction.set_states(key, changed)
    return True


def _apply_agent_state(transaction: Transaction, planned: PlannedEvent) -> bool:
    """Apply a state of an agent, or take states back.

    One that began before the live horizon, but was seen since, counts from then on.
    """
    event, key = planned.event, planned.key
    history = transaction.agent(key) or AgentHistory(planned.identity.id)
    if isinstance(event, AgentState):
        oldest_ms = planned.record_ms - LIVE_HORIZON_MS
        at = event.at if event.at >= oldest_ms else event.time
        changed = history.with_state(event, at) if at >= oldest_ms else None
    else:
        assert isinstance(event, Tombstone)
        is_past = _is_past_live_horizon(event, planned.record_ms)
        changed = None if is_past else history.without(event.at, event.version)
    if changed is None:
        return False
    transaction.set_agent(key, changed)
    return True


def _is_past_live_horizon(event: Event, record_ms: int) -> bool:
    """Tell whether a state, or the moment whose states are taken back, is too old to change anything."""
    if isinstance(event, ContactState):
        horizon_ms = SLOW_HORIZON_MS if event.channel in SLOW_CHANNELS else LIVE_HORIZON_MS
        return event.at < record_ms - horizon_ms
    if isinstance(event, Tombstone) and event.at is not None:
        horizon_ms = LIVE_HORIZON_MS if event.identity.kind == AgentState.kind else SLOW_HORIZON_MS
        return event.at < record_ms - horizon_ms
    return False


def _apply_fact(transaction: Transaction, planned: PlannedEvent, rules: CountingRules) -> bool:
    key, fact, version = planned.key, planned.fact, planned.event.version
    record = transaction.record(key)
    state = record.fact
    if is_forgotten(state, planned.record_ms, rules):
        state = None
    if fact is not None:
        _set_forgotten_aside(transaction, planned, rules)
    if state is not None and (version, planned.digest) <= (state.version, state.digest):
        if fact is not None and planned.digest != state.digest and state != ERASED:
            _note_ids(transaction, planned, fact, rules)
        return False
    group_key = record.group_key(key) if state is not None else key
    former_fact = None
    if state is not None and not state.deleted:
        former_fact = _detach(transaction, planned, group_key, rules)
    time_ms = planned.record_ms if fact is None else fact.time
    state = FactState(version, planned.digest, fact is None, group_key if group_key != key else None, time_ms)
    record = transaction.record(key)
    transaction.set_record(
        key, IdentityRecord(state, record.journey, record.survey_group, record.namings, record.states)
    )
    if record.states is not None:
        transaction.set_states(key, None)
    _regroup(transaction, planned, former_fact, group_key)
    if fact is not None:
        _note_ids(transaction, planned, fact, rules)
    return True


def is_forgotten(state: FactState | None, record_ms: int, rules: CountingRules) -> bool:
    """Tell whether a fact is forgotten: two horizons older than a record (its timestamp in ms).

    What is stated of its identity then is another fact.

    >>> rules, state = CountingRules(), FactState(0, b"", False, None, time_ms=1_750_000_000_000)
    >>> later_ms = 1_750_000_000_000 + 2 * rules.horizon_ms
    >>> is_forgotten(state, later_ms, rules), is_forgotten(state, later_ms + 1, rules)
    (False, True)
    """
    if state is None or state.time_ms is None:
        return False
    return state.time_ms < record_ms - 2 * rules.horizon_ms


def _set_forgotten_aside(transaction: Transaction, planned: PlannedEvent, rules: CountingRules) -> None:
    """Make room for a contact or survey whose id was that of a forgotten one.

    Usually forgotten groups were left out when their journey was loaded. A batch that reaches far back, as in
    a rebuild, still has them: their counts stay, but no fact of today joins them.
    """
    forget_before_ms = planned.record_ms - 2 * rules.horizon_ms - 2 * rules.fcr_ms
    for named_key in (planned.contact, planned.survey):
        namings = None if named_key is None else transaction.record(named_key).namings
        if named_key is not None and namings is not None and not namings.is_recent(forget_before_ms):
            transaction.set_namings(named_key, namings.since(forget_before_ms))
    survey_group = None if planned.survey is None else transaction.record(planned.survey).survey_group
    for key in filter(None, {planned.key, planned.contact, survey_group}):
        journey, group = transaction.find_group(key)
        if journey is not None and group is not None and group.latest_ms < forget_before_ms:
            _set_group_aside(transaction, journey, group)


def _set_group_aside(transaction: Transaction, journey: Key, group: FactGroup) -> None:
    """Give a forgotten group another key, in the customer's journey or in another one of its own."""
    key, aside = group.key, forgotten_group_key(group.key, group.latest_ms)
    journey_aside = own_journey_key(aside) if journey == own_journey_key(key) else journey
    transaction.require_documents([journey_aside])
    transaction.remove_group(journey, key)
    transaction.set_journey(key, None)
    transaction.put_group(journey_aside, group.renamed(aside))


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


# Groups: which facts lie together.


def _regroup(
    transaction: Transaction, planned: PlannedEvent, former_fact: ContactFact | None, left_group: Key
) -> None:
    """Put the new fact, and what moves with it or with the former one, where it belongs now.

    `left_group`: the group that the former fact was taken out of.
    """
    fact = planned.fact
    group_keys = {left_group} if former_fact is not None else set()
    moved_facts = [] if former_fact is None else [former_fact]
    survey = None if fact is None else _unshared(transaction, planned.survey)
    former_survey = None if former_fact is None else _unshared(transaction, survey_key(former_fact))
    if former_survey is not None and former_survey != survey:
        group_keys |= _regroup_survey(transaction, former_survey, None, moved_facts)
    if survey is not None:
        group_keys |= _regroup_survey(transaction, survey, planned, moved_facts)
    elif fact is not None:
        group_key = _unshared(transaction, planned.contact) or lone_group_key(planned.identity)
        if not _add_facts(transaction, group_key, planned, []):
            group_keys.add(group_key)
    for key in sorted(group_keys):
        _rehome_group(transaction, key)
    for moved_fact in moved_facts:
        _note_departure(transaction, moved_fact)


def _regroup_survey(
    transaction: Transaction, survey: Key, planned: PlannedEvent | None, moved_facts: list[ContactFact]
) -> set[Key]:
    """Put a survey's facts, including the new one, into the group they say they belong to.

    Returns the keys of the groups that may have to move to another journey because of it. Appends the facts
    that leave their group to `moved_facts`.
    """
    record = transaction.record(survey)
    present_group = record.survey_group
    journey, group = transaction.find_group(present_group) if present_group is not None else (None, None)
    members = _survey_facts(group, survey) if group is not None else []
    fact = planned.fact if planned is not None else None
    facts = [*members, fact] if fact is not None else members
    target_group = _survey_group_key(transaction, survey, facts) if facts else None
    if target_group != present_group:
        _set_survey_group(transaction, survey, target_group)
    if target_group is None:
        return set()
    if target_group == present_group and group is not None:
        if planned is not None:
            _add_facts(transaction, target_group, planned, [])
        return {target_group}
    if group is not None and journey is not None:
        transaction.put_group(journey, FactGroup.from_facts(group.key, group.facts.removed(members)))
        moved_facts.extend(members)
    is_new = _add_facts(transaction, target_group, planned, members) and not members
    left_groups = {present_group} if present_group is not None and group is not None else set()
    return left_groups if is_new else {target_group, *left_groups}


def _set_survey_group(transaction: Transaction, survey: Key, group: Key | None) -> None:
    record = transaction.record(survey)
    transaction.set_record(
        survey, IdentityRecord(record.fact, record.journey, group, record.namings, record.states)
    )


def _survey_facts(group: FactGroup, survey: Key) -> list[ContactFact]:
    facts: tuple[ContactFact, ...] = (*group.facts.sent, *group.facts.responses)
    return [fact for fact in facts if survey_key(fact) == survey]


def _survey_group_key(transaction: Transaction, survey: Key, facts: list[ContactFact]) -> Key:
    """Return the key of the group a survey belongs to.

    It is the contact named by the response of the highest rank, else by the invitation; where none is named,
    the survey is a group of its own.
    """
    ordered_facts = sorted(facts, key=lambda fact: (isinstance(fact, SurveyResponse), fact_rank(fact)))
    contacts = (_contact_group_key(transaction, fact) for fact in reversed(ordered_facts))
    return next((contact for contact in contacts if contact is not None), survey)


def _contact_group_key(transaction: Transaction, fact: ContactFact) -> Key | None:
    """Return the key of the group of the contact that a fact names; None: it names none, or a shared id."""
    return None if fact.contact_id is None else _unshared(transaction, contact_key(fact.contact_id))


def _unshared(transaction: Transaction, key: Key | None) -> Key | None:
    """Return the key of a contact or survey, but None where the id is shared, and names nothing."""
    return None if key is None or transaction.record(key).is_shared else key


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
    transaction.set_journey(group_key, journey)
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
        state = state.moved(group_key if group_key != key else None)
        transaction.set_record(
            key, IdentityRecord(state, record.journey, record.survey_group, record.namings, record.states)
        )


# Journeys: whose groups they are.


def _rehome_group(transaction: Transaction, key: Key) -> None:
    """Move a group to its customer's journey, or to one of its own."""
    journey, group = transaction.find_group(key)
    if journey is None or group is None:
        return
    target_journey = None if group.is_empty else _home_journey_key(transaction, group)
    if target_journey == journey:
        return
    transaction.remove_group(journey, key)
    transaction.set_journey(key, target_journey)
    if target_journey is not None:
        transaction.put_group(target_journey, group)
    for fact in group.facts.all():
        if fact.customer_id is not None and customer_key(fact.customer_id) == journey:
            _record_claim(transaction, fact, claim_key(fact))


def _home_journey_key(transaction: Transaction, group: FactGroup) -> Key:
    """Return the key of the journey a group belongs to. A fact that names a shared contact or survey names
    no customer."""
    facts = group.naming_facts()
    if facts and isinstance(facts[0], Segment):  # all name the same contact
        facts = [highest_fact(facts)]
    facts = [fact for fact in facts if not transaction.record(claim_key(fact)).is_shared]
    customer_id = highest_fact(facts).customer_id if facts else None
    if customer_id is None:
        return own_journey_key(group.key)
    key = customer_key(customer_id)
    return own_journey_key(group.key) if transaction.journey(key).is_shared else key


# Shared ids.


def _note_ids(
    transaction: Transaction, planned: PlannedEvent, fact: ContactFact, rules: CountingRules
) -> None:
    """Note which ids a fact names, or named, and split those that are now shared by many.

    A customer id is shared if it is named for more contacts than the limit, the id of a contact or survey if
    more facts than the limit name it. Every version of a fact counts, so that order decides nothing. Only an
    event that names an id can make it shared.
    """
    _record_claim(transaction, fact, planned.claim)
    for key in (planned.contact, planned.survey):
        if key is not None:
            _record_naming(transaction, key, planned.key, fact)
    _split_if_shared(transaction, planned, rules)
    contact, survey = planned.contact, planned.survey
    if contact is not None and _is_named_too_often(transaction, contact, contact, rules):
        _split_contact(transaction, contact, fact.time)
    if survey is not None:
        group_key = transaction.record(survey).survey_group
        if _is_named_too_often(transaction, survey, group_key, rules):
            _split_survey(transaction, survey, fact.time)


def _note_departure(transaction: Transaction, fact: ContactFact) -> None:
    """Note the ids that a fact named which left its group."""
    _record_claim(transaction, fact, claim_key(fact))
    for named_key in _named_keys(fact):
        _record_naming(transaction, named_key, identity_key(fact.identity), fact)


def _record_claim(transaction: Transaction, fact: ContactFact, claim: Key) -> None:
    """Record in the customer's journey that a fact names, or named, this customer.

    Nothing is recorded where the facts in that journey say so themselves.
    """
    if fact.customer_id is None:
        return
    key = customer_key(fact.customer_id)
    journey = transaction.journey(key)
    if journey.is_shared:
        if journey.shared_ms is None or fact.time >= journey.shared_ms + DAY:
            transaction.replace_journey(key, _shared_journey(journey, fact.time))
        return
    if _is_claim_implied(journey, fact, claim):
        return
    if journey.claimed_by.get(claim, -1) < fact.time:
        transaction.add_claim(key, claim, fact.time)


def _is_claim_implied(journey: Journey, fact: ContactFact, claim: Key) -> bool:
    """Tell whether the facts in the journey already say that the customer was named for this claim."""
    group = journey.groups.get(claim)
    if group is None:
        return False
    members = group.facts.all()
    return fact in members or any(
        member.customer_id == fact.customer_id and claim_key(member) == claim for member in members
    )


def _record_naming(transaction: Transaction, named_key: Key, key: Key, fact: ContactFact) -> None:
    """Record that a fact, of the identity `key`, names, or named, a contact or survey.

    Nothing is recorded where the facts in its group say so themselves.
    """
    namings = transaction.record(named_key).namings
    if namings is not None and namings.shared_ms is not None:
        if fact.time >= namings.shared_ms + DAY:
            transaction.set_namings(named_key, FactNamings(shared_ms=fact.time))
        return
    former_facts = {} if namings is None else namings.facts
    if former_facts.get(key, -1) < fact.time and not _is_naming_implied(transaction, named_key, key, fact):
        transaction.set_namings(named_key, FactNamings(former_facts | {key: fact.time}))


def _is_naming_implied(transaction: Transaction, named_key: Key, key: Key, fact: ContactFact) -> bool:
    """Tell whether the fact in force of the same identity lies in the group of what it names."""
    group_key = transaction.record(key).group_key(key)
    if group_key not in (named_key, transaction.record(named_key).survey_group):
        return False
    _, group = transaction.find_group(group_key)
    members = () if group is None else group.facts.of_kind(fact.kind)
    return fact in members or any(
        member.identity == fact.identity and named_key in _named_keys(member) for member in members
    )


def _named_keys(fact: ContactFact) -> list[Key]:
    """Return the keys of the contact and the survey that a fact names."""
    keys = [] if fact.contact_id is None else [contact_key(fact.contact_id)]
    survey = survey_key(fact)
    return keys if survey is None else [*keys, survey]


def _is_named_too_often(
    transaction: Transaction, named_key: Key, group_key: Key | None, rules: CountingRules
) -> bool:
    """Tell whether more facts than the limit name a contact or survey, whose facts lie in a group."""
    record = transaction.record(named_key)
    if record.is_shared:
        return False
    elsewhere = {} if record.namings is None else record.namings.facts
    _, group = (None, None) if group_key is None else transaction.find_group(group_key)
    facts = NO_FACTS if group is None else group.facts
    if len(elsewhere) + facts.fact_count <= rules.shared_id_limit:
        return False
    members = {identity_key(fact.identity) for fact in facts.all() if named_key in _named_keys(fact)}
    return len(elsewhere.keys() | members) > rules.shared_id_limit


def _split_contact(transaction: Transaction, contact: Key, time_ms: int) -> None:
    """Let each fact that names a shared contact stand alone, in a group and a journey of its own.

    Surveys go to another contact that their facts name, else they stand alone as a whole.
    """
    elsewhere = _groups_elsewhere(transaction, contact)
    journey, group = transaction.find_group(contact)
    facts = () if group is None else group.facts.all()
    transaction.require_documents(identity_key(fact.identity) for fact in facts)
    transaction.set_namings(contact, FactNamings(shared_ms=time_ms))
    transaction.ids_found_shared.append("contact")
    lone_facts: dict[Key, list[ContactFact]] = {}
    surveys: dict[Key, list[ContactFact]] = {}
    for fact in facts:
        survey = _unshared(transaction, survey_key(fact))
        if survey is None:
            lone_facts[lone_group_key(fact.identity)] = [fact]
        else:
            surveys.setdefault(survey, []).append(fact)
    own_groups = [*lone_facts, *surveys]
    transaction.require_documents([*own_groups, *map(own_journey_key, [*own_groups, *elsewhere])])
    facts_by_group = lone_facts
    for survey, members in surveys.items():
        group_key = _survey_group_key(transaction, survey, members)
        _set_survey_group(transaction, survey, group_key)
        facts_by_group.setdefault(group_key, []).extend(members)
    _move_facts(transaction, contact, facts_by_group)
    _finish_split(transaction, {contact, *elsewhere, *facts_by_group}, journey, facts)


def _groups_elsewhere(transaction: Transaction, contact: Key) -> set[Key]:
    """Return the keys of the groups, other than the contact's own, in which facts name the contact."""
    namings = transaction.record(contact).namings
    if namings is None:
        return set()
    transaction.require_documents(namings.facts)
    group_keys = {transaction.record(key).group_key(key) for key in namings.facts} - {contact}
    transaction.require_documents(group_keys)
    return _require_journeys(transaction, group_keys)


def _require_journeys(transaction: Transaction, group_keys: Iterable[Key]) -> set[Key]:
    """Require the journeys that groups lie in. Return the keys of the groups that lie in one."""
    journeys = {
        key: journey for key in group_keys if (journey := transaction.record(key).journey) is not None
    }
    transaction.require_documents(journeys.values())
    return set(journeys)


def _split_survey(transaction: Transaction, survey: Key, time_ms: int) -> None:
    """Let each fact of a shared survey go to the contact it names itself, else stand alone."""
    group_key = transaction.record(survey).survey_group
    journey, group = (None, None) if group_key is None else transaction.find_group(group_key)
    members = [] if group is None else _survey_facts(group, survey)
    keys = [identity_key(fact.identity) for fact in members]
    contacts = {contact_key(fact.contact_id) for fact in members if fact.contact_id is not None}
    transaction.require_documents([*keys, *contacts, *map(own_journey_key, [*keys, *contacts])])
    _require_journeys(transaction, contacts)
    transaction.set_namings(survey, FactNamings(shared_ms=time_ms))
    _set_survey_group(transaction, survey, None)
    transaction.ids_found_shared.append("survey")
    if group_key is None:
        return
    members_by_group: dict[Key, list[ContactFact]] = {}
    for key, fact in zip(keys, members, strict=True):
        members_by_group.setdefault(_contact_group_key(transaction, fact) or key, []).append(fact)
    _move_facts(transaction, group_key, members_by_group)
    _finish_split(transaction, {group_key, *members_by_group}, journey, members)


def _move_facts(
    transaction: Transaction, group_key: Key, facts_by_group: dict[Key, list[ContactFact]]
) -> None:
    """Move facts out of one group, each to another or to this one."""
    journey, group = transaction.find_group(group_key)
    if journey is None or group is None:
        return
    moved_facts = [fact for facts in facts_by_group.values() for fact in facts]
    transaction.put_group(journey, FactGroup.from_facts(group_key, group.facts.removed(moved_facts)))
    for target_group, facts in facts_by_group.items():
        _add_facts(transaction, target_group, None, facts)


def _finish_split(
    transaction: Transaction, group_keys: set[Key], left_journey: Key | None, facts: Iterable[ContactFact]
) -> None:
    """Bring groups to their customers, and note the claims of facts that left a customer's journey."""
    for key in sorted(group_keys):
        _rehome_group(transaction, key)
    for fact in facts:
        if fact.customer_id is not None and customer_key(fact.customer_id) == left_journey:
            _record_claim(transaction, fact, claim_key(fact))


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
        _split_customer(transaction, key, fact.time)


def _is_shared(journey: Journey, customer_id: str, limit: int) -> bool:
    groups = journey.groups.values()
    if len(journey.claimed_by) + sum([group.size for group in groups]) <= limit:
        return False
    claims = set(journey.claimed_by)
    for group in groups:
        claims.update(claim_key(fact) for fact in group.facts.all() if fact.customer_id == customer_id)
    return len(claims) > limit


def _split_customer(transaction: Transaction, key: Key, time_ms: int) -> None:
    """Move each group of a shared customer id to a journey of its own."""
    shared = transaction.journey(key)
    groups = list(shared.groups.values())
    transaction.require_documents(
        [*(group.key for group in groups), *(own_journey_key(group.key) for group in groups)]
    )
    transaction.replace_journey(key, _shared_journey(shared, time_ms))
    transaction.ids_found_shared.append("customer")
    for group in groups:
        own_journey = own_journey_key(group.key)
        transaction.set_journey(group.key, own_journey)
        transaction.put_group(own_journey, group)


def _shared_journey(journey: Journey, time_ms: int) -> Journey:
    """Return the journey of a customer id that is shared: it holds valuations alone."""
    return Journey({}, journey.valuations, is_shared=True, shared_ms=time_ms)
