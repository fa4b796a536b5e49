"""The oracle: the numbers of all events, computed from scratch by the plainest code.

It deduplicates events, sorts facts into contacts and customers, and loops. It keeps no state, knows no
deltas, and is slow. `tallies` counts; `readings` computes every metric from the facts by its definition, not
from the tallies, so that the two can be compared.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple, TypeVar

from streamer.events.counting_rules import (
    DAY,
    HOUR,
    SECOND,
    SERVICE_LEVEL_FORMULAS,
    UNKNOWN,
    CountingRules,
    ServiceLevel,
)
from streamer.events.models import (
    DIMENSIONS,
    QUESTIONS,
    CustomerValuation,
    DimensionedFact,
    Event,
    FactIdentity,
    QualityEvaluation,
    Segment,
    StatedFact,
    SurveyResponse,
    SurveySent,
    Tombstone,
)
from streamer.metrics.tally import bucket, squared
from streamer.panes.pane_keys import FINE_MS, LONG_MS, Cell, Grouping, groupings, row_field

Counts = dict[str, int]
Key = TypeVar("Key", bound=Hashable)

# Facts in force


def facts_in_force(events: Iterable[Event], rules: CountingRules | None = None) -> list[StatedFact]:
    """Return the facts in force: of each identity the greatest (version, digest), unless a tombstone.

    With `rules`, what is stated more than two horizons later is another fact of the same identity.
    """
    events = list(events)
    stated_times = [
        (event.identity, event.time)
        for event in events
        if not isinstance(event, Tombstone | CustomerValuation)
    ]
    lives = Lives(times_by_id(stated_times), None if rules is None else 2 * rules.horizon_ms)
    winners: dict[tuple[FactIdentity, int], Event] = {}
    for event in events:
        is_timeless = isinstance(event, Tombstone | CustomerValuation)
        life = 0 if is_timeless else lives.number(event.identity, event.time)
        rival = winners.get((event.identity, life))
        if rival is None or (event.version, event.digest()) > (rival.version, rival.digest()):
            winners[event.identity, life] = event
    return [winner for _, winner in sorted(winners.items()) if not isinstance(winner, Tombstone)]


class Lives:
    """Lives of each id: after a gap of more than `gap_ms` without a fact it is forgotten, and lives anew."""

    def __init__(self, times_by_id: Mapping[Hashable, Iterable[int]], gap_ms: int | None) -> None:
        self._starts: dict[Hashable, list[int]] = {}
        for name, unordered_times in times_by_id.items():
            times = sorted(unordered_times)
            self._starts[name] = [
                later for earlier, later in pairwise(times) if gap_ms is not None and later - earlier > gap_ms
            ]

    def number(self, name: Hashable, time: int) -> int:
        """Return in which life of the id that time is: 0 in the first."""
        return sum(start <= time for start in self._starts.get(name, ()))


def contacts_by_customer(events: Iterable[Event]) -> dict[str, set[Hashable]]:
    """Return the different contacts that each customer was ever named for, by any version of a fact.

    It is the contact that the fact names, else its survey, else the fact itself.
    """
    names: dict[str, set[Hashable]] = defaultdict(set)
    for event in events:
        if not isinstance(event, Segment | SurveySent | SurveyResponse) or event.customer_id is None:
            continue
        if event.contact_id is not None:
            names[event.customer_id].add(("contact", event.contact_id))
        elif not isinstance(event, Segment) and event.survey_id is not None:
            names[event.customer_id].add(("survey", event.source, event.survey_id))
        else:
            names[event.customer_id].add(event.identity)
    return dict(names)


def shared_ids(events: Iterable[Event], rules: CountingRules) -> set[str]:
    """Return the shared customer ids: those named for more than `rules.shared_id_limit` contacts."""
    return {
        customer
        for customer, contacts in contacts_by_customer(events).items()
        if len(contacts) > rules.shared_id_limit
    }


class SharedNames(NamedTuple):
    """Ids of contacts, and of surveys by their source, that more than the limit of facts ever named."""

    contacts: set[str]
    surveys: set[tuple[str, str]]

    def name_nobody(self, fact: StatedFact) -> bool:
        """Tell whether a fact names its customer for a shared contact or survey, and so nobody."""
        if isinstance(fact, CustomerValuation):
            return False
        if fact.contact_id is not None:
            return fact.contact_id in self.contacts
        return survey_name(fact) in self.surveys

    def contact_id(self, fact: Segment | SurveySent | SurveyResponse | QualityEvaluation) -> str | None:
        return None if fact.contact_id in self.contacts else fact.contact_id


def survey_name(fact: StatedFact) -> tuple[str, str] | None:
    """Return the source and id of the survey that a fact is an invitation or a response to."""
    if not isinstance(fact, SurveySent | SurveyResponse) or fact.survey_id is None:
        return None
    return fact.source, fact.survey_id


def shared_names(events: Iterable[Event], rules: CountingRules) -> SharedNames:
    """Return the shared contacts and surveys: those named by more than `rules.shared_id_limit` facts, each
    counted once, by any of its versions."""
    contact_names: dict[str, set[Hashable]] = defaultdict(set)
    survey_names: dict[tuple[str, str], set[Hashable]] = defaultdict(set)
    for event in events:
        if isinstance(event, Tombstone | CustomerValuation):
            continue
        if event.contact_id is not None:
            contact_names[event.contact_id].add(event.identity)
        if (survey := survey_name(event)) is not None:
            survey_names[survey].add(event.identity)
    limit = rules.shared_id_limit
    return SharedNames(
        {name for name, facts in contact_names.items() if len(facts) > limit},
        {name for name, facts in survey_names.items() if len(facts) > limit},
    )


# Contacts and journeys


def fact_rank(fact: StatedFact) -> tuple[int, int, str, str, str]:
    """Return the rank of a fact: of two facts the one of the higher rank is believed."""
    return (fact.version, fact.time, *fact.identity)


def cell_of(fact: DimensionedFact) -> Cell:
    return (fact.site, fact.queue, fact.team, fact.agent_id, fact.channel, fact.reason, fact.language)


def merged_cell(first: Cell, second: Cell) -> Cell:
    """Return for each dimension the first cell's value where known, else the second's."""
    return tuple(value if value is not None else other for value, other in zip(first, second, strict=True))


UNKNOWN_CELL: Cell = (None,) * len(DIMENSIONS)
AGENT = DIMENSIONS.index("agent")


@dataclass
class Survey:
    """One survey: its invitation and its responses; or a response that names no survey."""

    shared: SharedNames
    invitation: SurveySent | None = None
    responses: list[SurveyResponse] = field(default_factory=list)

    def facts(self) -> list[SurveySent | SurveyResponse]:
        return [*self.responses, *([self.invitation] if self.invitation else [])]

    def contact_id(self) -> str | None:
        naming_one = [response for response in self.responses if self.shared.contact_id(response) is not None]
        if naming_one:
            return max(naming_one, key=fact_rank).contact_id
        return self.shared.contact_id(self.invitation) if self.invitation else None

    def is_answered(self) -> bool:
        return any(answers(response) for response in self.responses)

    def own_cell(self, fact: SurveySent | SurveyResponse) -> Cell:
        return merged_cell(cell_of(fact), cell_of(self.invitation)) if self.invitation else cell_of(fact)


@dataclass
class Contact:
    """A contact with all its facts; where `id` is None, one survey or one evaluation without a contact."""

    id: str | None
    shared: SharedNames
    segments: list[Segment] = field(default_factory=list)
    surveys: list[Survey] = field(default_factory=list)
    evaluations: list[QualityEvaluation] = field(default_factory=list)

    def add(self, member: Segment | QualityEvaluation | Survey) -> None:
        match member:
            case Segment():
                self.segments.append(member)
            case QualityEvaluation():
                self.evaluations.append(member)
            case Survey():
                self.surveys.append(member)

    def counted_evaluations(self) -> list[QualityEvaluation]:
        return [evaluation for evaluation in self.evaluations if not evaluation.calibration]

    def customer_id(self) -> str | None:
        from_segments = [segment for segment in self.segments if segment.customer_id is not None]
        from_surveys = [
            fact for survey in self.surveys for fact in survey.facts() if fact.customer_id is not None
        ]
        naming_one = [fact for fact in from_segments or from_surveys if not self.shared.name_nobody(fact)]
        return max(naming_one, key=fact_rank).customer_id if naming_one else None

    @cached_property
    def handled(self) -> Segment | None:
        """The last answered segment, else the last."""
        return _last_answered(self.segments)

    @cached_property
    def inbound(self) -> Segment | None:
        """The same among the inbound segments: it decides where and when the contact counts."""
        return _last_answered([segment for segment in self.segments if segment.direction == "inbound"])

    def is_joined_by(
        self, fact: SurveySent | SurveyResponse | QualityEvaluation, rules: CountingRules
    ) -> bool:
        return self.handled is not None and abs(fact.time - self.handled.ended_at) <= rules.horizon_ms

    def cell(
        self, fact: SurveySent | SurveyResponse | QualityEvaluation, own_cell: Cell, rules: CountingRules
    ) -> Cell:
        """Return the dimensions of a fact: its contact's where known, else its own."""
        if self.handled is not None and self.is_joined_by(fact, rules):
            return merged_cell(cell_of(self.handled), own_cell)
        return own_cell

    def responses(self) -> Iterator[tuple[Survey, SurveyResponse]]:
        for survey in self.surveys:
            for response in survey.responses:
                yield survey, response


def _last_answered(segments: list[Segment]) -> Segment | None:
    answered = [segment for segment in segments if segment.outcome == "answered"]
    return max(answered or segments, key=lambda s: (s.ended_at, s.identity.id, s.source), default=None)


@dataclass
class Journey:
    """All contacts of one known customer, or a single contact of an unknown one."""

    customer_id: str | None
    contacts: list[Contact]
    valuations: list[CustomerValuation] = field(default_factory=list)

    def value(self) -> int | None:
        """Return the newest stated value of the customer in hundredths."""
        stated_values = [(v.as_of, 1, v.version, v.source, v.identity.id, v.value) for v in self.valuations]
        stated_values += [
            (s.ended_at, 0, s.version, s.source, s.identity.id, s.customer_value)
            for contact in self.contacts
            for s in contact.segments
            if s.customer_value is not None
        ]
        return max(stated_values)[-1] if stated_values else None


def contacts(facts: Iterable[StatedFact], shared: SharedNames, rules: CountingRules) -> list[Contact]:
    """Sort all facts but valuations into contacts. A shared contact is none, and its facts stand alone; a
    shared survey is one survey for each contact that its facts name, and without one they stand alone. An id
    that was forgotten is another contact, or survey, in its next life."""
    gap_ms = 2 * rules.horizon_ms + 2 * rules.fcr_ms

    def survey_key(fact: SurveySent | SurveyResponse) -> Hashable:
        name = survey_name(fact)
        if name in shared.surveys:
            contact_id = shared.contact_id(fact)
            return fact.identity if contact_id is None else (name, contact_id)
        return name or fact.identity

    survey_facts = [fact for fact in facts if isinstance(fact, SurveySent | SurveyResponse)]
    survey_lives = Lives(times_by_id((survey_key(fact), fact.time) for fact in survey_facts), gap_ms)
    surveys: dict[Hashable, Survey] = defaultdict(lambda: Survey(shared))
    for fact in survey_facts:
        key = survey_key(fact)
        survey = surveys["survey", key, survey_lives.number(key, fact.time)]
        if isinstance(fact, SurveySent):
            survey.invitation = fact
        else:
            survey.responses.append(fact)
    members: list[tuple[Hashable, str | None, Segment | QualityEvaluation | Survey, int]] = []
    for fact in facts:
        if isinstance(fact, Segment | QualityEvaluation):
            contact_id = shared.contact_id(fact)
            members.append((contact_id or fact.identity, contact_id, fact, fact.time))
    for key, survey in surveys.items():
        contact_id, time = survey.contact_id(), max(fact.time for fact in survey.facts())
        members.append((contact_id or key, contact_id, survey, time))
    lives = Lives(times_by_id((key, time) for key, _, _, time in members), gap_ms)
    contact_by_life: dict[Hashable, Contact] = {}
    for key, contact_id, member, time in members:
        life = (key, lives.number(key, time))
        contact_by_life.setdefault(life, Contact(contact_id, shared)).add(member)
    return list(contact_by_life.values())


def times_by_id(timed_ids: Iterable[tuple[Hashable, int]]) -> dict[Hashable, list[int]]:
    times: dict[Hashable, list[int]] = defaultdict(list)
    for name, time in timed_ids:
        times[name].append(time)
    return times


def journeys(events: Iterable[Event], rules: CountingRules) -> list[Journey]:
    events = list(events)
    facts = facts_in_force(events, rules)
    crowd = shared_ids(events, rules)
    of_nobody: list[Journey] = []
    of_customer: dict[str, Journey] = {}
    for contact in contacts(facts, shared_names(events, rules), rules):
        customer = contact.customer_id()
        if customer is None or customer in crowd:
            of_nobody.append(Journey(None, [contact]))
        else:
            of_customer.setdefault(customer, Journey(customer, [])).contacts.append(contact)
    for fact in facts:
        if isinstance(fact, CustomerValuation) and fact.customer_id in of_customer:
            of_customer[fact.customer_id].valuations.append(fact)
    return [*of_nobody, *of_customer.values()]


# Counting rules


def answers(response: SurveyResponse) -> list[tuple[str, int | bool]]:
    """Return the questions that were answered, with their answers."""
    pairs = [(question, getattr(response, question)) for question in QUESTIONS]
    return [(question, answer) for question, answer in pairs if answer is not None]


def counts_as_survey(response: SurveyResponse) -> bool:
    return not response.excluded and (bool(answers(response)) or response.comment is not None)


def handle_ms(segment: Segment) -> int | None:
    """Return talk plus known hold and after-call work; None where talk is unknown."""
    if segment.talk_ms is None:
        return None
    return segment.talk_ms + (segment.hold_ms or 0) + (segment.acw_ms or 0)


class FirstContact(NamedTuple):
    """Result of first-contact resolution for one contact."""

    inbound: Segment
    is_repeat: bool
    is_kept: bool


def first_contacts(journey: Journey, rules: CountingRules) -> list[FirstContact]:
    """Return the answered inbound contacts of a known customer in order, without callback legs."""
    if journey.customer_id is None:
        return []
    ordered_visits = sorted(
        (inbound.ended_at, (contact.id or "").encode(), inbound)
        for contact in journey.contacts
        if (inbound := contact.inbound) and inbound.outcome == "answered" and inbound.channel != "callback"
    )
    verdicts = []
    for index, (time, _, inbound) in enumerate(ordered_visits):

        def is_near(other: tuple[int, bytes, Segment], time: int = time, inbound: Segment = inbound) -> bool:
            if rules.fcr_same_reason and other[2].reason != inbound.reason:
                return False
            return abs(other[0] - time) <= rules.fcr_ms

        is_repeat = any(is_near(earlier) for earlier in ordered_visits[:index])
        has_repeat = any(is_near(later) for later in ordered_visits[index + 1 :])
        verdicts.append(FirstContact(inbound, is_repeat, is_kept=not is_repeat and not has_repeat))
    return verdicts


class AtRisk(NamedTuple):
    time: int
    cell: Cell
    value: int


def at_risk(journey: Journey, rules: CountingRules) -> AtRisk | None:
    """Return the value that a customer's newest NPS answer puts at risk, if it is a detractor's."""
    value = journey.value()
    if journey.customer_id is None or value is None:
        return None
    scored = []
    for contact in journey.contacts:
        for survey, response in contact.responses():
            if response.nps is None or response.excluded:
                continue
            is_too_far = contact.handled is not None and not contact.is_joined_by(response, rules)
            if is_too_far and response.customer_id != journey.customer_id:
                continue
            cell = contact.cell(response, survey.own_cell(response), rules)
            scored.append((response.answered_at, response.source, response.response_id, response.nps, cell))
    if not scored:
        return None
    time, _, _, nps, cell = max(scored, key=lambda one: one[:3])
    return AtRisk(time, cell, value) if nps <= 6 else None


# Tallies


class Contribution(NamedTuple):
    """Counts at an exact time, in a cell."""

    time: int
    cell: Cell
    counts: Counts


def contributions(events: Iterable[Event], rules: CountingRules) -> Iterator[Contribution]:
    for journey in journeys(events, rules):
        value = journey.value()
        for contact in journey.contacts:
            for segment in contact.segments:
                yield Contribution(segment.ended_at, cell_of(segment), _segment_counts(segment, rules))
            if inbound := contact.inbound:
                yield Contribution(inbound.ended_at, cell_of(inbound), _contact_counts(inbound, value))
            for survey in contact.surveys:
                yield from _survey_contributions(contact, survey, rules)
            for evaluation in contact.counted_evaluations():
                yield _evaluation_contribution(contact, evaluation, rules)
        for visit in first_contacts(journey, rules):
            yield Contribution(visit.inbound.ended_at, cell_of(visit.inbound), _first_contact_counts(visit))
        if risk := at_risk(journey, rules):
            yield Contribution(risk.time, risk.cell, {"risk_customers": 1, "risk_sum": risk.value})


def _duration(name: str, ms: int | None) -> Counts:
    if ms is None:
        return {}
    return {f"{name}_n": 1, f"{name}_ms": ms, f"{name}_s2": squared(ms, SECOND), f"{name}:{bucket(ms)}": 1}


def _segment_counts(segment: Segment, rules: CountingRules) -> Counts:
    is_answered = segment.outcome == "answered"
    if segment.direction == "outbound":
        return {"outbound": 1} | (_duration("outbound_handle", handle_ms(segment)) if is_answered else {})
    target = rules.service_level_of(segment.queue)
    counts = {segment.outcome: 1, "offered": int(is_offered(segment, rules))}
    if is_answered:
        counts["transferred"] = int(segment.transfer != "none")
        counts |= _duration("wait", segment.wait_ms)
        counts |= _duration("talk", segment.talk_ms)
        counts |= _duration("handle", handle_ms(segment))
        counts |= _duration("hold", segment.hold_ms)
        counts |= _duration("acw", segment.acw_ms)
        if segment.wait_ms is not None:
            counts["answered_waited"] = 1
            counts["answered_within"] = int(segment.wait_ms <= target.within_ms)
    if segment.outcome == "abandoned" and segment.wait_ms is not None:
        counts["abandoned_waited"] = 1
        counts["abandoned_within"] = int(segment.wait_ms <= target.within_ms)
        counts["abandoned_short"] = int(segment.wait_ms <= target.short_ms)
        counts |= _duration("abandon", segment.wait_ms)
    hits, of = _own_level(defaultdict(int, counts), target.formula)
    return counts | {"own_level_hits": hits, "own_level_of": of}


def is_offered(segment: Segment, rules: CountingRules) -> bool:
    if segment.outcome == "overflow":
        return rules.offered_counts_overflow
    if segment.outcome == "callback":
        return rules.offered_counts_callback
    return True


def _own_level(n: Counts, formula: str) -> tuple[int, int]:
    never = n["timeout"] + n["voicemail"]
    waited = n["answered_waited"] + n["abandoned_waited"]
    match formula:
        case "negative":
            return n["answered_within"], n["answered_waited"] + n["abandoned"] + never
        case "exclude_short":
            return n["answered_within"], waited - n["abandoned_short"] + never
        case "ignore":
            return n["answered_within"], waited - n["abandoned_within"] + never
        case "positive":
            return n["answered_within"] + n["abandoned_within"], waited + never
        case "answered_only":
            return n["answered_within"], n["answered_waited"]
    raise AssertionError(formula)


def _contact_counts(inbound: Segment, value: int | None) -> Counts:
    counts = {"contacts": 1}
    if inbound.outcome == "answered" and inbound.resolved is not None:
        counts |= {"disposed": 1, "disposed_resolved": int(inbound.resolved)}
    if value is not None:
        counts |= {"valued_contacts": 1, "valued_sum": value}
    return counts


def _first_contact_counts(visit: FirstContact) -> Counts:
    if visit.is_repeat:
        return {"fcr_contacts": 1, "fcr_repeats": 1}
    return {"fcr_contacts": 1, "fcr_firsts": 1, "fcr_kept": int(visit.is_kept)}


def _survey_contributions(contact: Contact, survey: Survey, rules: CountingRules) -> Iterator[Contribution]:
    if invitation := survey.invitation:
        counts = {"surveys_sent": 1, "surveys_sent_answered": int(survey.is_answered())}
        yield Contribution(invitation.sent_at, contact.cell(invitation, cell_of(invitation), rules), counts)
    for response in survey.responses:
        if not counts_as_survey(response):
            continue
        counts = {"surveys": 1, "comments": int(response.comment is not None)}
        for question, answer in answers(response):
            if question == "resolved_first":
                counts["first_yes" if answer else "first_no"] = 1
            else:
                counts[f"{question}_{answer}"] = 1
        yield Contribution(
            response.answered_at, contact.cell(response, survey.own_cell(response), rules), counts
        )


def _evaluation_cell(contact: Contact, evaluation: QualityEvaluation, rules: CountingRules) -> Cell:
    cell = list(contact.cell(evaluation, UNKNOWN_CELL, rules))
    if evaluation.agent_id is not None:
        cell[AGENT] = evaluation.agent_id
    return tuple(cell)


def _evaluation_contribution(
    contact: Contact, evaluation: QualityEvaluation, rules: CountingRules
) -> Contribution:
    counts = {"qa": 1, "qa_sum": evaluation.score, "qa_squares": squared(evaluation.score, 100)}
    return Contribution(evaluation.evaluated_at, _evaluation_cell(contact, evaluation, rules), counts)


def tallies(events: Iterable[Event], rules: CountingRules) -> dict[tuple[int, Cell], Counts]:
    """Return counts by (10 s pane, cell) and name, histogram buckets as "handle:17"; 0 is absent."""
    return _summed(((c.time // FINE_MS, c.cell), c.counts) for c in contributions(events, rules))


def by_hour_and_row(events: Iterable[Event], rules: CountingRules) -> dict[tuple[int, str], Counts]:
    """Return counts by (hour, group row) and name, as `tallies` does."""
    return _summed(
        ((c.time // LONG_MS, row_field(by, c.cell)), c.counts)
        for c in contributions(events, rules)
        for by in groupings(rules.dimension_pairs)
    )


def _summed(placed: Iterable[tuple[Key, Counts]]) -> dict[Key, Counts]:
    sums: dict[Key, Counts] = defaultdict(lambda: defaultdict(int))
    for key, counts in placed:
        for name, amount in counts.items():
            sums[key][name] += amount
    clean = {key: {name: n for name, n in counts.items() if n} for key, counts in sums.items()}
    return {key: counts for key, counts in clean.items() if counts}


# Readings


@dataclass(frozen=True)
class Window:
    """Time and group of a reading: [start, end) in ms; `by` ("queue", "channel"), `key` ("billing", "voice").

    Both are () for all. `at`: the current time in ms.
    """

    start: int
    end: int
    at: int
    by: Grouping = ()
    key: tuple[str, ...] = ()

    def __contains__(self, placed: tuple[int, Cell]) -> bool:
        time, cell = placed
        group_key = tuple(cell[DIMENSIONS.index(name)] or UNKNOWN for name in self.by)
        return self.start <= time < self.end and group_key == self.key

    def earlier(self, ms: int) -> "Window":
        return Window(self.start - ms, self.end - ms, self.at, self.by, self.key)


class Reading(NamedTuple):
    value: float | None
    support: int


Readings = dict[tuple[str, str], Reading]
"""Readings by metric and stat; `stat` is "" where there is only one, "own" for the service level by each
queue's formula."""


def readings(
    events: Iterable[Event], rules: CountingRules, window: Window, response_age_ms: int = DAY
) -> Readings:
    """Return every metric in its unit. Metrics that are not defined for this window or group are absent.

    Percentiles are exact (nearest rank). `today` of several time zones is not supported.
    """
    all_journeys = journeys(events, rules)
    all_contacts = [contact for journey in all_journeys for contact in journey.contacts]
    segments = [s for contact in all_contacts for s in contact.segments if (s.ended_at, cell_of(s)) in window]
    return {
        **_survey_readings(all_contacts, rules, window, response_age_ms),
        **_segment_readings(segments, rules, window),
        **_contact_readings(all_journeys, rules, window),
        **_first_contact_readings(all_journeys, rules, window),
    }


def mean(numbers: list[float]) -> Reading:
    return Reading(fmean(numbers) if numbers else None, len(numbers))


def share(verdicts: Iterable[bool]) -> Reading:
    return mean([float(verdict) for verdict in verdicts])


def share_of(numbers: Iterable[int], good: Callable[[int], bool]) -> Reading:
    return share(good(number) for number in numbers)


def count(number: int) -> Reading:
    return Reading(number, number)


def net_promoters(scores: list[int]) -> Reading:
    return mean([100.0 if score >= 9 else -100.0 if score <= 6 else 0.0 for score in scores])


def nearest_rank(numbers: list[float], percent: int) -> float:
    return sorted(numbers)[-(-len(numbers) * percent // 100) - 1]


def _survey_readings(
    all_contacts: list[Contact], rules: CountingRules, window: Window, response_age_ms: int
) -> Readings:
    responses = [
        response
        for contact in all_contacts
        for survey, response in contact.responses()
        if counts_as_survey(response)
        and (response.answered_at, contact.cell(response, survey.own_cell(response), rules)) in window
    ]
    old_enough = window.earlier(response_age_ms)
    answered_invitations = [
        survey.is_answered()
        for contact in all_contacts
        for survey in contact.surveys
        if survey.invitation
        and (survey.invitation.sent_at, contact.cell(survey.invitation, cell_of(survey.invitation), rules))
        in old_enough
    ]
    qa = [
        evaluation.score / 100
        for contact in all_contacts
        for evaluation in contact.counted_evaluations()
        if (evaluation.evaluated_at, _evaluation_cell(contact, evaluation, rules)) in window
    ]
    nps = [r.nps for r in responses if r.nps is not None]
    csat = [r.csat for r in responses if r.csat is not None]
    ces = [r.ces for r in responses if r.ces is not None]
    return {
        ("nps_score", ""): net_promoters(nps),
        ("cnx_score", ""): net_promoters([r.cnx for r in responses if r.cnx is not None]),
        ("csat_ratio", ""): share_of(csat, lambda score: score >= 4),
        ("csat_mean", ""): mean([float(score) for score in csat]),
        ("ces_score", ""): mean([float(score) for score in ces]),
        ("ces_easy_ratio", ""): share_of(ces, lambda score: score >= 5),
        ("effort_score", ""): mean([float(r.effort) for r in responses if r.effort is not None]),
        ("fcr_survey_ratio", ""): share(r.resolved_first for r in responses if r.resolved_first is not None),
        ("surveys", ""): count(len(responses)),
        ("detractors", ""): count(len([score for score in nps if score <= 6])),
        ("comments", ""): count(len([r for r in responses if r.comment is not None])),
        ("response_ratio", ""): share(answered_invitations),
        ("qa_score", ""): mean(qa),
    }


def _segment_readings(segments: list[Segment], rules: CountingRules, window: Window) -> Readings:
    inbound = [s for s in segments if s.direction == "inbound"]
    outbound = [s for s in segments if s.direction == "outbound"]
    answered = [s for s in inbound if s.outcome == "answered"]
    abandoned = [s for s in inbound if s.outcome == "abandoned"]
    offered = [s for s in inbound if is_offered(s, rules)]
    handled = [handle_ms(s) for s in answered]
    agents = {s.agent_id for s in answered if s.agent_id is not None}
    workload = sum(ms for ms in handled if ms is not None) / (window.end - window.start)
    support = len([ms for ms in handled if ms is not None])
    short = [
        s
        for s in abandoned
        if s.wait_ms is not None and s.wait_ms <= rules.service_level_of(s.queue).short_ms
    ]
    readings_by_stat = {
        ("transfer_ratio", ""): share(s.transfer != "none" for s in answered),
        ("offered", ""): count(len(offered)),
        ("answered", ""): count(len(answered)),
        ("abandoned", ""): count(len(abandoned)),
        ("short_abandoned", ""): count(len(short)),
        ("callbacks", ""): count(len([s for s in inbound if s.outcome == "callback"])),
        ("outbound", ""): count(len(outbound)),
        ("active_agents", ""): count(len(agents)),
        ("workload_erlangs", ""): Reading(workload if support else None, support),
        **_times("handle_time_seconds", handled),
        **_times("talk_time_seconds", [s.talk_ms for s in answered]),
        **_times("hold_time_seconds", [s.hold_ms for s in answered]),
        **_times("acw_time_seconds", [s.acw_ms for s in answered]),
        **_times("wait_time_seconds", [s.wait_ms for s in answered]),
        **_times("abandon_time_seconds", [s.wait_ms for s in abandoned]),
        **_times("outbound_handle_time_seconds", [handle_ms(s) for s in outbound if s.outcome == "answered"]),
    }
    if "agent" not in window.by:
        readings_by_stat["abandon_ratio", ""] = share(s.outcome == "abandoned" for s in offered)
        readings_by_stat["answer_ratio", ""] = share(s.outcome == "answered" for s in offered)
        for stat in ("own", *SERVICE_LEVEL_FORMULAS):
            readings_by_stat["service_level_ratio", stat] = _service_level(inbound, rules, stat)
    return readings_by_stat


def _times(metric: str, durations_ms: Iterable[int | None]) -> Readings:
    seconds = [ms / SECOND for ms in durations_ms if ms is not None]
    stats = {"mean": mean(seconds), "max": Reading(max(seconds, default=None), len(seconds))}
    for percent in (50, 90, 95):
        value = nearest_rank(seconds, percent) if seconds else None
        stats[f"p{percent}"] = Reading(value, len(seconds))
    return {(metric, stat): reading for stat, reading in stats.items()}


def _service_level(inbound: list[Segment], rules: CountingRules, stat: str) -> Reading:
    verdicts = []
    for segment in inbound:
        target = rules.service_level_of(segment.queue)
        verdicts.append(in_time(segment, target, target.formula if stat == "own" else stat))
    return share(verdict for verdict in verdicts if verdict is not None)


def in_time(segment: Segment, target: ServiceLevel, formula: str) -> bool | None:
    """Tell whether an inbound segment met the service level; None: it is left out."""
    wait = segment.wait_ms
    match segment.outcome:
        case "answered":
            return None if wait is None else wait <= target.within_ms
        case "timeout" | "voicemail":
            return None if formula == "answered_only" else False
        case "abandoned" if formula == "negative":
            return False
        case "abandoned" if formula == "exclude_short":
            return None if wait is None or wait <= target.short_ms else False
        case "abandoned" if formula == "ignore":
            return None if wait is None or wait <= target.within_ms else False
        case "abandoned" if formula == "positive":
            return None if wait is None else wait <= target.within_ms
    return None


def _contact_readings(all_journeys: list[Journey], rules: CountingRules, window: Window) -> Readings:
    disposed, values, risks = [], [], []
    number = 0
    for journey in all_journeys:
        value = journey.value()
        for contact in journey.contacts:
            inbound = contact.inbound
            if inbound is None or (inbound.ended_at, cell_of(inbound)) not in window:
                continue
            number += 1
            if inbound.outcome == "answered" and inbound.resolved is not None:
                disposed.append(inbound.resolved)
            if value is not None:
                values.append(value / 100)
        risk = at_risk(journey, rules)
        if risk is not None and (risk.time, risk.cell) in window:
            risks.append(risk.value / 100)
    readings_by_stat = {
        ("contacts", ""): count(number),
        ("fcr_agent_ratio", ""): share(disposed),
        ("value_mean", ""): mean(values),
    }
    if window.end - window.start <= rules.horizon_ms:
        readings_by_stat["value_at_risk", ""] = Reading(sum(risks) if risks else None, len(risks))
    return readings_by_stat


def _first_contact_readings(all_journeys: list[Journey], rules: CountingRules, window: Window) -> Readings:
    everything = [first for journey in all_journeys for first in first_contacts(journey, rules)]

    def within(some: Window) -> list[FirstContact]:
        return [visit for visit in everything if (visit.inbound.ended_at, cell_of(visit.inbound)) in some]

    def firsts(some: Window) -> list[FirstContact]:
        return [visit for visit in within(some) if not visit.is_repeat]

    length = window.end - window.start
    readings_by_stat = {("repeat_ratio", ""): share(visit.is_repeat for visit in within(window))}
    if length >= rules.fcr_ms:
        window_firsts = firsts(window)
        readings_by_stat["fcr_ratio", ""] = share(visit.is_kept for visit in window_firsts)
        # a repeat that ends at or after `at` is still to come
        readings_by_stat["fcr_maturity_ratio", ""] = share(
            visit.inbound.ended_at + rules.fcr_ms < window.at for visit in window_firsts
        )
    if length >= 24 * HOUR:
        readings_by_stat["fcr_final_ratio", ""] = share(
            visit.is_kept for visit in firsts(window.earlier(rules.fcr_ms))
        )
    return readings_by_stat


def active_agents(events: Iterable[Event], window: Window) -> set[str]:
    """Return the agents of answered inbound segments in a window."""
    return {
        fact.agent_id
        for fact in facts_in_force(events)
        if isinstance(fact, Segment)
        and (fact.direction, fact.outcome) == ("inbound", "answered")
        and fact.agent_id is not None
        and (fact.ended_at, cell_of(fact)) in window
    }
