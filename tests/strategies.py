"""Hypothesis strategies for small centers: a few customers, contacts and surveys whose events often collide.

Ids come from tiny pools that overlap on purpose: a customer, a contact, a segment and a survey may all be
called "k1". Times lie on a coarse grid, at most a millisecond off it where a boundary is.

Strategies are made once: Hypothesis looks at each new one at length, which cost more than the draws.
"""

from functools import cache

from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.events.counting_rules import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SERVICE_LEVEL_FORMULAS,
    CountingRules,
    ServiceLevel,
)
from streamer.events.models import (
    OUTCOMES,
    TRANSFERS,
    CustomerValuation,
    Event,
    FactIdentity,
    QualityEvaluation,
    Segment,
    StatedFact,
    SurveyResponse,
    SurveySent,
    Tombstone,
)
from streamer.metrics.tally import SCALES

START = 1_750_032_000_000
"""A midnight in UTC: the first day of all events, in ms."""
FIRST, LAST = START - 1, START + 21 * DAY
"""No event is earlier than FIRST or later than LAST."""

SOURCES = ("", "crm")
CUSTOMERS = ("ann", "bob", "k1")
CONTACTS = ("k1", "k2", "k3", "k4", "ñ5")
SEGMENTS = ("", "k1", "s1", "s2", "s3")
SURVEYS = ("k1", "v1", "v2")
RESPONSES = ("r1", "r2", "r3", "v1")
EVALUATIONS = ("e1", "e2")

_days = st.sampled_from((0, 0, 1, 6, 7, 7, 8, 14, 20))
_offsets = st.sampled_from((0, 0, 0, 0, -1, 1, 10 * SECOND - 1, 10 * SECOND, HOUR))


@cache
def times() -> st.SearchStrategy[int]:
    """Draw times in ms: often equal, often exactly 7 days or 10 s apart, or 1 ms more or less."""
    return st.builds(lambda day, offset: START + day * DAY + offset, _days, _offsets)


@cache
def maybe(pool: tuple) -> st.SearchStrategy:
    return st.sampled_from((*pool, None))


@cache
def versions() -> st.SearchStrategy[int]:
    return st.sampled_from((0, 0, 1, 1, 2, 3))


sources = st.sampled_from(SOURCES)
customers = st.sampled_from(("ann", "ann", *CUSTOMERS, None))

# One draw for values that vary together: examples stay small to generate and to read.
_PROFILES = tuple(
    dict(zip(("site", "queue", "team", "agent_id", "channel", "reason", "language"), values, strict=True))
    for values in (
        ("north", "billing", "red", "anna", "voice", "refund", "en"),
        ("north", "billing", "red", "ben", "voice", "refund", "en"),
        ("north", "billing", "red", "ben", "chat", None, None),
        (None, "tech", None, "anna", "voice", "fault", None),
        (None, "tech", None, None, "callback", None, None),
        (None, "unknown", "red", None, None, "refund", None),
        (None, None, None, "anna", None, None, "de"),
        (None,) * 7,
    )
)
# dimensions that a call must name, or has by default
_CALLS = tuple(
    profile | {"queue": profile["queue"] or "billing", "channel": profile["channel"] or "voice"}
    for profile in _PROFILES
)
_DURATIONS = tuple(
    dict(zip(("wait_ms", "talk_ms", "hold_ms", "acw_ms"), values, strict=True))
    for values in (
        (20_000, 61_500, 5_000, 30_000),
        (20_001, 61_499, None, 1),
        (5_000, 600_000, 0, None),
        (5_001, 27, None, None),
        (4_999, 0, 0, 0),
        (0, None, 7_000, 7_000),
        (None, 120_000, 1_000, None),
        (None, None, None, None),
    )
)
_ANSWERS = tuple(
    dict(zip((*SCALES, "resolved_first", "comment"), values, strict=True))
    for values in (
        (0, None, None, None, None, None, None),
        (6, 4, 5, 1, 6, True, "late"),
        (7, 3, 4, 5, 7, False, None),
        (8, None, 7, None, 9, None, None),
        (9, 5, None, 2, 10, True, None),
        (10, 1, 1, 3, 1, False, "good"),
        (None, 2, None, None, None, None, None),
        (None, None, None, None, None, False, None),
        (None, None, None, None, None, None, "only this"),
        (None, None, None, None, None, None, None),
    )
)


def _built_from(kind: type, *profiles: tuple[dict, ...], **fields: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(
        lambda *chosen, **rest: kind(
            **{name: value for profile_fields in chosen for name, value in profile_fields.items()}, **rest
        ),
        *(st.sampled_from(profile) for profile in profiles),
        source=sources,
        version=versions(),
        **fields,
    )


@cache
def segments() -> st.SearchStrategy[Segment]:
    return _built_from(
        Segment,
        _CALLS,
        _DURATIONS,
        customer_id=customers,
        contact_id=st.sampled_from(CONTACTS),
        segment_id=st.sampled_from(("", "", "", *SEGMENTS)),
        direction=st.sampled_from(("inbound", "inbound", "inbound", "inbound", "outbound")),
        ended_at=times(),
        outcome=st.sampled_from((*["answered"] * 9, "abandoned", "abandoned", *OUTCOMES)),
        transfer=st.sampled_from(("none", "none", *TRANSFERS)),
        resolved=maybe((True, False)),
        customer_value=maybe((0, 100, 25_000)),
    )


@cache
def invitations() -> st.SearchStrategy[SurveySent]:
    return _built_from(
        SurveySent,
        _PROFILES,
        customer_id=customers,
        survey_id=st.sampled_from(SURVEYS),
        contact_id=maybe(CONTACTS),
        sent_at=times(),
    )


@cache
def responses() -> st.SearchStrategy[SurveyResponse]:
    return _built_from(
        SurveyResponse,
        _PROFILES,
        _ANSWERS,
        customer_id=customers,
        response_id=st.sampled_from(RESPONSES),
        survey_id=maybe(SURVEYS),
        contact_id=maybe(CONTACTS),
        answered_at=times(),
        excluded=st.sampled_from((False, False, False, True)),
    )


@cache
def evaluations() -> st.SearchStrategy[QualityEvaluation]:
    return _built_from(
        QualityEvaluation,
        evaluation_id=st.sampled_from(EVALUATIONS),
        contact_id=maybe(CONTACTS),
        agent_id=maybe(("anna", "ben")),
        score=st.sampled_from((0, 50, 8_150, 10_000)),
        evaluated_at=times(),
        evaluator_id=maybe(("cleo",)),
        items=st.sampled_from(((), (("greeting", 9_000), ("solution", None)))),
        calibration=st.sampled_from((False, False, False, True)),
    )


@cache
def valuations() -> st.SearchStrategy[CustomerValuation]:
    return st.builds(
        lambda source, customer, value, as_of: CustomerValuation(
            source=source, version=as_of, customer_id=customer, value=value, as_of=as_of
        ),
        sources,
        st.sampled_from(CUSTOMERS),
        st.sampled_from((-500, 0, 100, 12_345)),
        times(),
    )


@cache
def identities() -> st.SearchStrategy[FactIdentity]:
    return st.one_of(
        st.builds(FactIdentity, st.just("s"), sources, st.sampled_from((*CONTACTS, *SEGMENTS[1:]))),
        st.builds(FactIdentity, st.just("v"), sources, st.sampled_from(SURVEYS)),
        st.builds(FactIdentity, st.just("r"), sources, st.sampled_from(RESPONSES)),
        st.builds(FactIdentity, st.just("e"), sources, st.sampled_from(EVALUATIONS)),
    )


@cache
def tombstones() -> st.SearchStrategy[Tombstone]:
    """Draw deletions of facts that may or may not exist; of a customer's value, the version is a time."""
    of_value = st.builds(FactIdentity, st.just("c"), sources, st.sampled_from(CUSTOMERS))
    return st.one_of(
        st.builds(Tombstone, identities(), versions()),
        st.builds(Tombstone, of_value, times()),
    )


def weighted(strategy: st.SearchStrategy, weight: int) -> list[st.SearchStrategy]:
    """Return a strategy several times, for `one_of`, which takes equal ones for one."""
    return [strategy.map(lambda value: value) for _ in range(weight)]


@cache
def facts() -> st.SearchStrategy[StatedFact]:
    rare = (invitations(), evaluations(), valuations())
    return st.one_of(*weighted(segments(), 3), *weighted(responses(), 2), *rare)


@st.composite
def corrections(draw: st.DrawFn, fact: StatedFact) -> list[Event]:
    """Draw what its source says of a fact later, with versions that may tie.

    The fact may be sent again, changed, given to another customer or contact, deleted, or revived.
    """
    if isinstance(fact, CustomerValuation):
        return [draw(st.sampled_from((fact, replace(fact, value=777))))]
    later = fact.version + draw(st.sampled_from((0, 1, 1)))
    match draw(st.sampled_from(("same", "changed", "moved", "deleted", "revived"))):
        case "same":
            return [fact]
        case "changed":
            return [replace(draw(_changes(fact)), version=later)]
        case "moved":
            to_whom = "contact_id" if isinstance(fact, QualityEvaluation) else "customer_id"
            return [replace(fact, version=later, **{to_whom: draw(_movers[to_whom])})]
        case "deleted":
            return [Tombstone(fact.identity, later)]
    return [Tombstone(fact.identity, later), replace(fact, version=later + 1)]


_movers = {"contact_id": maybe(CONTACTS), "customer_id": customers}


def _changes(fact: StatedFact) -> st.SearchStrategy[StatedFact]:
    """Draw other facts under the same identity."""
    match fact:
        case Segment():
            identity_fields, others = {"segment_id": fact.segment_id}, segments()
            if not fact.segment_id:
                identity_fields["contact_id"] = fact.contact_id
        case SurveySent():
            identity_fields, others = {"survey_id": fact.survey_id}, invitations()
        case SurveyResponse():
            identity_fields, others = {"response_id": fact.response_id}, responses()
        case _:
            identity_fields, others = {"evaluation_id": fact.evaluation_id}, evaluations()
    return others.map(lambda other: replace(other, **identity_fields, source=fact.source))


@st.composite
def sequels(draw: st.DrawFn, fact: StatedFact) -> list[Event]:
    """Draw the events that follow a fact: the customer comes back, is transferred, is invited, answers."""
    match fact:
        case Segment():
            another, away = draw(segments()), draw(_away)
            kind = draw(st.sampled_from(("comes back", "comes back", "passed on", "asked", "answers")))
            if kind == "comes back":
                again = replace(fact, contact_id=another.contact_id, segment_id="", outcome="answered")
                return [replace(again, ended_at=_apart(fact.ended_at, away), agent_id=another.agent_id)]
            if kind == "passed on":
                return [replace(another, contact_id=fact.contact_id, ended_at=_apart(fact.ended_at, away))]
            if kind == "asked":
                return [replace(draw(invitations()), contact_id=fact.contact_id)]
            return [replace(draw(responses()), contact_id=fact.contact_id)]
        case SurveySent():
            return [replace(draw(responses()), source=fact.source, survey_id=fact.survey_id)]
    return []


_away = st.sampled_from((0, 1, DAY, DAY + 1, 7 * DAY - 1, 7 * DAY, 7 * DAY, 7 * DAY + 1, -7 * DAY, -DAY))


def _apart(time: int, away: int) -> int:
    """Return a time that far away, later or earlier so that it stays between FIRST and LAST."""
    return time + away if FIRST <= time + away <= LAST else time - away


@cache
@st.composite
def visits(draw: st.DrawFn) -> list[Segment]:
    """Draw answered contacts of one customer, days apart."""
    customer, ended_at, visits = draw(st.sampled_from(CUSTOMERS)), START, []
    for contact_id in draw(st.lists(st.sampled_from(CONTACTS), max_size=4, unique=True)):
        ended_at = _apart(ended_at, draw(_away))
        visit_fields = {
            "customer_id": customer,
            "contact_id": contact_id,
            "segment_id": "",
            "ended_at": ended_at,
        }
        visits.append(replace(draw(segments()), **visit_fields, direction="inbound", outcome="answered"))
    return visits


@st.composite
def _histories(draw: st.DrawFn, max_facts: int) -> list[Event]:
    size = draw(st.sampled_from((2, max_facts // 3, max_facts // 2, max_facts)))
    first = draw(visits()) + draw(st.lists(facts(), min_size=size // 2, max_size=size))
    continued_facts = (
        draw(st.lists(st.sampled_from(first), min_size=size // 4, max_size=size)) if first else []
    )
    sequel_events = [event for fact in continued_facts for event in draw(sequels(fact))]
    corrected_facts = (
        draw(st.lists(st.sampled_from([*first, *sequel_events]), max_size=size // 2)) if first else []
    )
    correction_events = [event for fact in corrected_facts for event in draw(corrections(fact))]
    return [*first, *sequel_events, *correction_events, *draw(st.lists(tombstones(), max_size=2))]


def events(max_facts: int = 20) -> st.SearchStrategy[list[Event]]:
    """Draw all events of a center, in some order. Tests may shuffle and repeat them."""
    return _histories(max_facts)


@cache
def service_levels() -> st.SearchStrategy[ServiceLevel]:
    return st.builds(
        ServiceLevel,
        within_ms=st.sampled_from((20_000, 5_000)),
        short_ms=st.sampled_from((5_000, 0)),
        formula=st.sampled_from(SERVICE_LEVEL_FORMULAS),
    )


@cache
def rules() -> st.SearchStrategy[CountingRules]:
    return st.builds(
        CountingRules,
        horizon_ms=st.sampled_from((35 * DAY, 35 * DAY, 14 * DAY, 12 * DAY)),
        fcr_ms=st.sampled_from((7 * DAY, 7 * DAY, 7 * DAY, DAY, 10 * MINUTE)),
        fcr_same_reason=st.sampled_from((False, False, True)),
        shared_id_limit=st.sampled_from((500, 500, 500, 500, 500, 3, 2, 1)),
        offered_counts_overflow=st.booleans(),
        offered_counts_callback=st.booleans(),
        service_level=service_levels(),
        queues=st.dictionaries(st.sampled_from(("billing", "unknown")), service_levels()),
        dimension_pairs=st.sampled_from(
            ((), (("queue", "channel"),), (("agent", "queue"), ("queue", "channel")))
        ),
    )
