"""Fold of journeys into contributions, and the one rule of counting: delta = fold(after) − fold(before).

A contribution is a row: a time, a cell, counts that come together and some durations. Only those groups are
folded whose facts, or whose place in the journey (`GroupContext`), differ before and after: what is the same
on both sides cancels out.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple

from streamer.events.counting_rules import CountingRules, ServiceLevel
from streamer.events.models import (
    DIMENSIONS,
    QUESTIONS,
    QualityEvaluation,
    Segment,
    SurveyResponse,
    SurveySent,
)
from streamer.journeys.journey import (
    SCORED,
    VALUED,
    FactGroup,
    Journey,
    Key,
    customer_key,
    inbound_segment,
    last_segment,
)
from streamer.metrics.formulas import service_level
from streamer.metrics.tally import DURATIONS, FIRST_BUCKET_OF, NUMBER, SCALES, Tally, bucket, squared
from streamer.panes.pane_keys import FINE_MS, Cell

CountRow = tuple[int, ...]
"""Counts that come together: number, amount, number, amount, …. One tuple is shared by many rows."""
DurationRow = tuple[int, ...]
"""Durations of one row: kind (its place in DURATIONS), ms, kind, ms, …."""

_AGENT: Final = DIMENSIONS.index("agent")
_N: Final = NUMBER
_HANDLE, _TALK, _HOLD, _ACW, _WAIT, _ABANDON, _OUTBOUND_HANDLE = map(
    DURATIONS.index, ("handle", "talk", "hold", "acw", "wait", "abandon", "outbound_handle")
)
_SCORE_ZERO: Final = {question: _N[f"{question}_{scale[0]}"] - scale[0] for question, scale in SCALES.items()}
_NO_COUNTS: Final[CountRow] = ()


class Contribution(NamedTuple):
    """One row of the counts that a group adds: at `time_ms` of event time, under `cell`."""

    time_ms: int
    cell: Cell
    counts: CountRow
    durations: DurationRow = ()

    def tally(self) -> Tally:
        """Return all counts of the row, with those of its durations; counts of 0 are left out.

        >>> row = Contribution(0, (None,) * 7, (NUMBER["answered"], 1), (DURATIONS.index("wait"), 2_000))
        >>> [row.tally()[NUMBER[name]] for name in ("answered", "wait_n", "wait_ms", "wait_s2")]
        [1, 1, 2000, 4]
        """
        tally = dict(zip(self.counts[::2], self.counts[1::2], strict=True))
        for slot, ms in zip(self.durations[::2], self.durations[1::2], strict=True):
            name = DURATIONS[slot]
            tally[_N[f"{name}_n"]] = 1
            tally[_N[f"{name}_ms"]] = ms
            tally[_N[f"{name}_s2"]] = squared(ms, 1000)
            tally[FIRST_BUCKET_OF[name] + bucket(ms)] = 1
        return {number: amount for number, amount in tally.items() if amount}


class GroupContext(NamedTuple):
    """A contact's place among the others of its journey.

    `is_first`: it is a first contact. `is_resolved`: it is one, and no other followed within the FCR window;
    None for repeats. Both are None for contacts that first-contact resolution (FCR) leaves out. `value`:
    value of the customer in hundredths, None: unknown. `risk`: the response that puts this value at risk.
    """

    is_first: bool | None = None
    is_resolved: bool | None = None
    value: int | None = None
    risk: SurveyResponse | None = None


NO_CONTEXT: Final = GroupContext()


class CommitDelta(NamedTuple):
    """Rows that a commit takes away and adds, and the keys of the journeys that add some, by 10 s pane."""

    removed: list[Contribution]
    added: list[Contribution]
    journeys: dict[int, list[Key]]

    @classmethod
    def empty(cls) -> "CommitDelta":
        return cls([], [], {})

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.journeys)


def add_delta(delta: CommitDelta, key: Key, before: Journey, after: Journey, rules: CountingRules) -> None:
    """Add fold(after) − fold(before) of the journey `key` to `delta`.

    >>> from streamer.journeys.journey import NO_FACTS, contact_key
    >>> call = Segment(contact_id="c1", ended_at=1_750_000_000_000, outcome="answered", wait_ms=9_000)
    >>> group = FactGroup.from_facts(contact_key("c1"), NO_FACTS.added(call))
    >>> delta, key, journey = CommitDelta.empty(), customer_key("ann"), Journey({group.key: group})
    >>> add_delta(delta, key, Journey({}), journey, CountingRules())
    >>> len(delta.removed), len(delta.added)  # one row of the segment, which stands for the contact
    (0, 1)
    >>> add_delta(delta, key, journey, journey.copy(), CountingRules())  # nothing differs, nothing is added
    >>> len(delta.removed), len(delta.added)
    (0, 1)
    """
    if before is after:
        return
    contexts_before, contexts_after = group_contexts(key, before, rules), group_contexts(key, after, rules)
    for group_key, group in after.groups.items():
        context, former_group = contexts_after.get(group_key, NO_CONTEXT), before.groups.get(group_key)
        if former_group is None:
            rows = contributions(group, context, rules)
        else:
            former_context = contexts_before.get(group_key, NO_CONTEXT)
            if group is former_group and (context is former_context or context == former_context):
                continue
            delta.removed.extend(_changed_rows(former_group, former_context, group, context, rules))
            rows = _changed_rows(group, context, former_group, former_context, rules)
        delta.added.extend(rows)
        for pane in {row.time_ms // FINE_MS for row in rows}:
            delta.journeys.setdefault(pane, []).append(key)
    for group_key, group in before.groups.items():
        if group_key not in after.groups:
            delta.removed.extend(contributions(group, contexts_before.get(group_key, NO_CONTEXT), rules))


def fold(
    key: Key, journey: Journey, rules: CountingRules
) -> Iterator[tuple[FactGroup, GroupContext, list[Contribution]]]:
    """Yield each group of a journey, its place there, and the rows that it adds.

    >>> from streamer.journeys.journey import NO_FACTS, contact_key
    >>> call = Segment(contact_id="c1", ended_at=1_750_000_000_000, outcome="answered", wait_ms=9_000)
    >>> group = FactGroup.from_facts(contact_key("c1"), NO_FACTS.added(call))
    >>> [(_, _, rows)] = fold(customer_key("ann"), Journey({group.key: group}), CountingRules())
    >>> tallies = [row.tally() for row in rows]
    >>> [sum(tally.get(NUMBER[name], 0) for tally in tallies) for name in ("answered", "contacts", "wait_ms")]
    [1, 1, 9000]
    """
    context_by_group = group_contexts(key, journey, rules)
    for group_key, group in journey.groups.items():
        context = context_by_group.get(group_key, NO_CONTEXT)
        yield group, context, contributions(group, context, rules)


def contributions(group: FactGroup, context: GroupContext, rules: CountingRules) -> list[Contribution]:
    """Return all rows that a group adds: of its segments, of the contact, and of its surveys.

    The counts of the contact are in the row of the segment that stands for it.
    """
    facts = group.facts
    inbound = inbound_segment(facts.segments)
    rows = [
        _segment_row(segment, rules, _contact_counts_of(segment, context) if segment is inbound else ())
        for segment in facts.segments
    ]
    if inbound is not None and context.value is not None:
        rows.append(_value_row(inbound, context.value))
    if facts.sent or facts.responses or facts.evaluations:
        rows.extend(_survey_rows(group, context, rules))
    return rows


def _changed_rows(
    group: FactGroup,
    context: GroupContext,
    other: FactGroup,
    other_context: GroupContext,
    rules: CountingRules,
) -> list[Contribution]:
    """Return the rows that a group adds, without those that the other side adds too."""
    facts = group.facts
    if facts.segments is not other.facts.segments:
        return contributions(group, context, rules)
    rows = []
    if context != other_context and (inbound := inbound_segment(facts.segments)) is not None:
        counts = _contact_counts_of(inbound, context)
        rows.append(Contribution(inbound.ended_at, fact_cell(inbound), counts))
        if context.value is not None:
            rows.append(_value_row(inbound, context.value))
    if facts.sent or facts.responses or facts.evaluations:
        rows.extend(_survey_rows(group, context, rules))
    return rows


# A contact among the others of its journey.


def group_contexts(key: Key, journey: Journey, rules: CountingRules) -> dict[Key, GroupContext]:
    """Return the contexts of the groups of the journey `key`, by group; of others it is NO_CONTEXT."""
    groups = journey.groups.values()
    value = _customer_value(journey)
    if key[:1] != b"c":
        return {} if value is None else {group.key: GroupContext(value=value) for group in groups}
    context_by_group = _visit_contexts(groups, rules)
    if value is None:
        return context_by_group
    context_by_group = {
        group.key: context_by_group.get(group.key, NO_CONTEXT)._replace(value=value) for group in groups
    }
    if (newest := _newest_score(key, groups, rules)) is not None:
        group_key, risk = newest
        context_by_group[group_key] = context_by_group[group_key]._replace(risk=risk)
    return context_by_group


def _customer_value(journey: Journey) -> int | None:
    """Return the customer's value in hundredths, as stated last; None: nobody stated one."""
    if not journey.valuations and not any(group.traits & VALUED for group in journey.groups.values()):
        return None
    stated_values = [
        (segment.ended_at, 0, segment.version, segment.source, segment.identity.id, segment.customer_value)
        for group in journey.groups.values()
        if group.traits & VALUED
        for segment in group.facts.segments
        if segment.customer_value is not None
    ]
    stated_values += [
        (stated.as_of, 1, stated.as_of, stated.source, "", stated.value)
        for stated in journey.valuations
        if stated.value is not None
    ]
    return max(stated_values)[-1] if stated_values else None


_FIRST_RESOLVED, _FIRST, _REPEAT = (
    GroupContext(True, True), GroupContext(True, False), GroupContext(False, None),
)  # fmt: skip


def _visit_contexts(groups: Iterable[FactGroup], rules: CountingRules) -> dict[Key, GroupContext]:
    """Return the contexts of the contacts that count for first-contact resolution, by group.

    Depending on the rules, only contacts of the same reason are repeats of each other.
    """
    visits = [group for group in groups if group.visit_ms is not None]
    if len(visits) <= 1:
        return {visit.key: _FIRST_RESOLVED for visit in visits}
    if not rules.fcr_same_reason:
        return _repeat_contexts(visits, rules.fcr_ms)
    visits_by_reason: dict[str | None, list[FactGroup]] = {}
    for group in visits:
        segment = inbound_segment(group.facts.segments)
        visits_by_reason.setdefault(segment.reason if segment is not None else None, []).append(group)
    return {
        key: context
        for same_reason_visits in visits_by_reason.values()
        for key, context in _repeat_contexts(same_reason_visits, rules.fcr_ms).items()
    }


def _repeat_contexts(visits: list[FactGroup], fcr_ms: int) -> dict[Key, GroupContext]:
    """Return the contexts of contacts that may be repeats of each other, by group.

    A contact that ends within the FCR window (`fcr_ms`) after the previous one is a repeat.
    """
    ordered_visits = sorted(visits, key=_visit_end)
    ends_ms = [*map(_visit_end, ordered_visits)]
    if len(set(ends_ms)) < len(ends_ms):  # contacts that ended in the same millisecond are ordered by id
        ordered_visits.sort(key=lambda visit: (_visit_end(visit), _contact_id(visit), visit.key))
    context_by_group: dict[Key, GroupContext] = {}
    previous_key, previous_end_ms = b"", ends_ms[0] - fcr_ms - 1
    for visit, end_ms in zip(ordered_visits, ends_ms, strict=True):
        if end_ms - previous_end_ms > fcr_ms:
            context_by_group[visit.key] = _FIRST_RESOLVED
        else:
            context_by_group[visit.key] = _REPEAT
            if context_by_group[previous_key] is _FIRST_RESOLVED:
                context_by_group[previous_key] = _FIRST
        previous_key, previous_end_ms = visit.key, end_ms
    return context_by_group


_visit_end: Final = attrgetter("visit_ms")


def _contact_id(group: FactGroup) -> str:
    segment = inbound_segment(group.facts.segments)
    return segment.contact_id if segment is not None else ""


def _newest_score(
    key: Key, groups: Iterable[FactGroup], rules: CountingRules
) -> tuple[Key, SurveyResponse] | None:
    """Return the key of the group of the customer's newest NPS answer, and the answer.

    None where the newest one is not a detractor's (0 to 6), or where there is none.
    """
    scored = [
        (response.answered_at, response.source, response.response_id, group.key, response)
        for group in groups
        if group.traits & SCORED
        for response in group.facts.responses
        if response.nps is not None
        and not response.excluded
        and _counts_for_customer(key, group, response, rules)
    ]
    if not scored:
        return None
    *_, group_key, newest = max(scored, key=lambda row: row[:3])
    return (group_key, newest) if newest.nps is not None and newest.nps <= 6 else None


def _counts_for_customer(key: Key, group: FactGroup, response: SurveyResponse, rules: CountingRules) -> bool:
    """Tell whether a response counts for the customer of the journey `key`.

    A response outside the horizon around its contact counts only for the customer it names itself.
    """
    handled_segment = last_segment(group.facts.segments)
    if handled_segment is None or _is_within_horizon(handled_segment, response.answered_at, rules):
        return True
    return response.customer_id is not None and customer_key(response.customer_id) == key


def _is_within_horizon(handled_segment: Segment | None, time_ms: int, rules: CountingRules) -> bool:
    return handled_segment is not None and abs(time_ms - handled_segment.ended_at) <= rules.horizon_ms


# Rows.


def fact_cell(fact: Segment | SurveySent | SurveyResponse) -> Cell:
    """Return a fact's own dimensions, in the order of DIMENSIONS.

    >>> fact_cell(Segment(contact_id="c1", ended_at=0, outcome="answered", queue="billing", channel="voice"))
    (None, 'billing', None, None, 'voice', None, None)
    """
    return (fact.site, fact.queue, fact.team, fact.agent_id, fact.channel, fact.reason, fact.language)


def _merged_cell(*facts: Segment | SurveySent | SurveyResponse | None) -> Cell:
    """Return a cell with each dimension from the first of these facts that knows it."""
    cells = [fact_cell(fact) for fact in facts if fact is not None]
    cell = cells[0]
    for other_cell in cells[1:]:
        cell = tuple(
            [other if value is None else value for value, other in zip(cell, other_cell, strict=True)]
        )
    return cell


def handle_ms(segment: Segment) -> int:
    """Return the handle time of a segment: talk, plus hold and after-call work where these are known.

    The talk time must be known.

    >>> handle_ms(Segment(contact_id="c1", ended_at=0, outcome="answered", talk_ms=60_000, acw_ms=5_000))
    65000
    """
    assert segment.talk_ms is not None
    return segment.talk_ms + (segment.hold_ms or 0) + (segment.acw_ms or 0)


def _segment_row(segment: Segment, rules: CountingRules, contact_counts: CountRow) -> Contribution:
    talk, outcome = segment.talk_ms, segment.outcome
    if segment.direction == "outbound":
        is_handled = outcome == "answered" and talk is not None
        handle_duration: DurationRow = (_OUTBOUND_HANDLE, handle_ms(segment)) if is_handled else ()
        return Contribution(segment.ended_at, fact_cell(segment), _OUTBOUND, handle_duration)
    wait = segment.wait_ms
    durations: DurationRow = ()
    if outcome == "answered":
        durations = _handling_durations(segment)
        if wait is not None:
            durations += (_WAIT, wait)
    elif outcome == "abandoned" and wait is not None:
        durations = (_ABANDON, wait)
    target = rules.service_level_of(segment.queue)
    counts = _segment_counts(
        outcome,
        segment.transfer != "none",
        rules.offered_counts_overflow,
        rules.offered_counts_callback,
        target.formula,
        _wait_class(outcome, wait, target),
    )
    return Contribution(segment.ended_at, fact_cell(segment), counts + contact_counts, durations)


def _handling_durations(segment: Segment) -> DurationRow:
    talk, hold, acw = segment.talk_ms, segment.hold_ms, segment.acw_ms
    if talk is not None and hold is not None and acw is not None:
        return (_TALK, talk, _HANDLE, talk + hold + acw, _HOLD, hold, _ACW, acw)
    durations: DurationRow = () if talk is None else (_TALK, talk, _HANDLE, handle_ms(segment))
    if hold is not None:
        durations += (_HOLD, hold)
    if acw is not None:
        durations += (_ACW, acw)
    return durations


def _wait_class(outcome: str, wait_ms: int | None, target: ServiceLevel) -> str:
    """Classify a wait for the service level.

    "": unknown, or the outcome does not count. "within": within the target. "long": beyond it. "short": an
    abandonment within the short limit; "short within": one that is also within the target.
    """
    if wait_ms is None or outcome not in ("answered", "abandoned"):
        return ""
    within = wait_ms <= target.within_ms
    if outcome == "abandoned" and wait_ms <= target.short_ms:
        return "short within" if within else "short"
    return "within" if within else "long"


_OUTBOUND: Final[CountRow] = (_N["outbound"], 1)
_LEVEL_COUNTS: Final = (
    "timeout", "voicemail", "abandoned", "answered_waited", "answered_within",
    "abandoned_waited", "abandoned_within", "abandoned_short",
)  # fmt: skip


@lru_cache(maxsize=4096)
def _segment_counts(
    outcome: str,
    transferred: bool,
    offers_overflow: bool,
    offers_callback: bool,
    formula: str,
    wait_class: str,
) -> CountRow:
    """Return the counts of an inbound segment without those of its durations.

    The rules are passed as single values, so that equal segments share one cached tuple.
    """
    counts_by_name = {outcome: 1}
    is_offered = {"overflow": offers_overflow, "callback": offers_callback}.get(outcome, True)
    counts_by_name["offered"] = int(is_offered)
    counts_by_name["transferred"] = int(transferred and outcome == "answered")
    if outcome not in ("overflow", "callback"):
        counts_by_name |= _level_counts(outcome, formula, wait_class)
    return _count_row(counts_by_name)


def _level_counts(outcome: str, formula: str, wait_class: str) -> dict[str, int]:
    """Return what a segment adds to the service level: the plain counts, and hits by its queue's formula."""
    counts_by_name = dict.fromkeys(_LEVEL_COUNTS, 0) | {outcome: 1}
    if wait_class:
        counts_by_name[f"{outcome}_waited"] = 1
        counts_by_name[f"{outcome}_within"] = int("within" in wait_class)
        counts_by_name["abandoned_short"] = int("short" in wait_class)
    hits, of = service_level(formula, counts_by_name)
    return counts_by_name | {"own_level_hits": hits, "own_level_of": of}


def _count_row(counts_by_name: dict[str, int]) -> CountRow:
    return tuple(number for name, amount in counts_by_name.items() if amount for number in (_N[name], amount))


def _contact_counts_of(inbound: Segment, context: GroupContext) -> CountRow:
    """Return the counts of a contact that this segment stands for."""
    resolved = inbound.resolved if inbound.outcome == "answered" else None
    return _contact_counts(resolved, context.is_first, context.is_resolved)


def _value_row(inbound: Segment, value: int) -> Contribution:
    counts = (_N["valued_contacts"], 1, _N["valued_sum"], value)
    return Contribution(inbound.ended_at, fact_cell(inbound), counts)


@lru_cache(maxsize=64)
def _contact_counts(
    disposed_resolved: bool | None, is_first: bool | None, is_resolved: bool | None
) -> CountRow:
    counts_by_name = {"contacts": 1}
    if disposed_resolved is not None:
        counts_by_name |= {"disposed": 1, "disposed_resolved": int(disposed_resolved)}
    if is_first is not None:
        counts_by_name |= {
            "fcr_contacts": 1,
            "fcr_firsts" if is_first else "fcr_repeats": 1,
            "fcr_kept": int(bool(is_resolved)),
        }
    return _count_row(counts_by_name)


def _survey_rows(group: FactGroup, context: GroupContext, rules: CountingRules) -> Iterator[Contribution]:
    facts = group.facts
    handled_segment = last_segment(facts.segments)
    for invitation in facts.sent:
        contact = handled_segment if _is_within_horizon(handled_segment, invitation.sent_at, rules) else None
        is_answered = any(
            _answers_invitation(invitation, response) and _has_answers(response)
            for response in facts.responses
        )
        yield Contribution(
            invitation.sent_at, _merged_cell(contact, invitation), _ANSWERED if is_answered else _SENT
        )
    for response in facts.responses:
        if not response.excluded:
            yield from _response_rows(group, response, handled_segment, context, rules)
    for evaluation in facts.evaluations:
        if evaluation.calibration:
            continue
        contact = (
            handled_segment if _is_within_horizon(handled_segment, evaluation.evaluated_at, rules) else None
        )
        yield Contribution(
            evaluation.evaluated_at,
            _evaluation_cell(evaluation, contact),
            _evaluation_counts(evaluation.score),
        )


_SENT: Final[CountRow] = (_N["surveys_sent"], 1)
_ANSWERED: Final[CountRow] = (_N["surveys_sent"], 1, _N["surveys_sent_answered"], 1)


def _response_rows(
    group: FactGroup,
    response: SurveyResponse,
    handled_segment: Segment | None,
    context: GroupContext,
    rules: CountingRules,
) -> Iterator[Contribution]:
    contact = handled_segment if _is_within_horizon(handled_segment, response.answered_at, rules) else None
    invitation = next(
        (candidate for candidate in group.facts.sent if _answers_invitation(candidate, response)), None
    )
    row_cell = _merged_cell(contact, response, invitation)
    yield Contribution(response.answered_at, row_cell, _response_counts(response))
    if response is context.risk and context.value is not None:
        risk = (_N["risk_customers"], 1, _N["risk_sum"], context.value)
        yield Contribution(response.answered_at, row_cell, risk)


def _answers_invitation(invitation: SurveySent, response: SurveyResponse) -> bool:
    return invitation.survey_id == response.survey_id and invitation.source == response.source


def _has_answers(response: SurveyResponse) -> bool:
    return any(getattr(response, question) is not None for question in QUESTIONS)


def _response_counts(response: SurveyResponse) -> CountRow:
    counts: CountRow = ()
    for question, zero in _SCORE_ZERO.items():
        score = getattr(response, question)
        if score is not None:
            counts += (zero + score, 1)
    if response.resolved_first is not None:
        counts += (_N["first_yes" if response.resolved_first else "first_no"], 1)
    if response.comment is not None:
        counts += (_N["comments"], 1)
    return (*counts, _N["surveys"], 1) if counts else _NO_COUNTS


def _evaluation_cell(evaluation: QualityEvaluation, contact: Segment | None) -> Cell:
    contact_cell = fact_cell(contact) if contact is not None else (None,) * len(DIMENSIONS)
    if evaluation.agent_id is None:
        return contact_cell
    return (*contact_cell[:_AGENT], evaluation.agent_id, *contact_cell[_AGENT + 1 :])


@lru_cache(maxsize=1024)
def _evaluation_counts(score: int) -> CountRow:
    return _count_row({"qa": 1, "qa_sum": score, "qa_squares": squared(score, 100)})
