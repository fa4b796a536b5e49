"""One event at a time: the fact that is in force afterwards, and the customer it lies with."""

from collections.abc import Callable, Sequence
from itertools import permutations

import pytest

from streamer.events.counting_rules import CountingRules
from streamer.events.models import CustomerValuation, Event, FactIdentity, StatedFact, Tombstone
from streamer.journeys.journey import Journey, customer_key
from tests.facts import answer, call, evaluation, invitation, tombstone, valuation
from tests.journeys.journey_documents import JourneyDocuments

FactMaker = Callable[[int, str], StatedFact]
KINDS: dict[str, FactMaker] = {
    "segment": lambda version, content: call(segment_id="s1", version=version, queue=content),
    "contact": lambda version, content: call(version=version, queue=content),
    "invitation": lambda version, content: invitation(version=version, queue=content),
    "response": lambda version, content: answer(version=version, comment=content),
    "evaluation": lambda version, content: evaluation(50, version=version, form=content),
    "valuation": lambda version, content: valuation("ann", ord(content), as_of=version),
}
"""One fact of each kind, in a version with a content of one letter."""

DELETED = "-"
"""Content of a tombstone."""


def stated(kind: str, text: str) -> Event:
    """Return the event of a version and a content: "2a", or "3-" for a tombstone."""
    version, content = int(text[0]), text[1]
    if content == DELETED:
        return Tombstone(KINDS[kind](0, "a").identity, version)
    return KINDS[kind](version, content)


def in_force(documents: JourneyDocuments, identity: FactIdentity) -> StatedFact | int | None:
    """Return the fact in force; of a valuation its value."""
    if identity.kind != CustomerValuation.kind:
        return documents.fact_in_force(identity)
    valuations = documents.journeys().get(customer_key(identity.id), Journey({})).valuations
    assert len(valuations) <= 1
    return valuations[0].value if valuations else None


def as_in_force(event: Event) -> StatedFact | int | None:
    if isinstance(event, Tombstone):
        return None
    return event.value if isinstance(event, CustomerValuation) else event


VERSIONS = [
    ("the first is applied", "1a", "y", "1a"),
    ("version 0 is one too", "0a", "y", "0a"),
    ("a duplicate changes nothing", "1a 1a", "yn", "1a"),
    ("a third time neither", "1a 1a 1a", "ynn", "1a"),
    ("a higher version corrects it", "1a 2b", "yy", "2b"),
    ("the same content in a higher version is in force", "1a 2a 1b", "yyn", "2a"),
    ("a lower version changes nothing", "2a 1b", "yn", "2a"),
    ("the corrected version that comes again changes nothing", "1a 2b 1a", "yyn", "2b"),
    ("a correction between two versions comes too late", "1a 3b 2c", "yyn", "3b"),
    ("a tombstone of a higher version takes it back", "1a 2-", "yy", "2-"),
    ("a tombstone of a lower version changes nothing", "2a 1-", "yn", "2a"),
    ("a second tombstone changes nothing", "1a 2- 2-", "yyn", "2-"),
    ("a tombstone before its fact stands in its way", "2- 1a", "yn", "2-"),
    ("a fact above a tombstone that came first is applied", "2- 3a", "yy", "3a"),
    ("what was taken back and comes again stays so", "1a 2- 1a", "yyn", "2-"),
    ("a higher version revives it", "1a 2- 3b", "yyy", "3b"),
    ("a version below the tombstone does not", "1a 3- 2b", "yyn", "3-"),
    ("the revived is taken back", "1a 2- 3b 4-", "yyyy", "4-"),
    ("the former tombstone does not take the revived back", "1a 2- 3b 2-", "yyyn", "3b"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("sentence", "steps", "applied", "expected"), VERSIONS, ids=[r[0] for r in VERSIONS])
def test_versions(kind: str, sentence: str, steps: str, applied: str, expected: str) -> None:
    documents, events = JourneyDocuments(), [stated(kind, step) for step in steps.split()]
    assert documents.apply_all(events) == [letter == "y" for letter in applied]
    assert in_force(documents, events[0].identity) == as_in_force(stated(kind, expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", ["1a 1b", "1b 1a", "1a 1-", "1- 1a"])
def test_of_equal_versions_the_greater_digest_is_in_force_in_either_order(kind: str, steps: str) -> None:
    documents = JourneyDocuments()
    first, second = (stated(kind, step) for step in steps.split())
    is_second_greater = second.digest() > first.digest()
    assert documents.apply_all([first, second, first, second]) == [True, is_second_greater, False, False]
    expected = second if is_second_greater else first
    assert in_force(documents, first.identity) == as_in_force(expected)


LAYOUTS: list[tuple[str, Sequence[Event], Sequence[str]]] = [
    # the customer of a contact
    ("a contact lies with the customer it names", [call(customer_id="ann")], ["ann: c1"]),
    ("a contact that names nobody lies alone", [call()], ["nobody: c1"]),
    (
        "a correction that names another customer moves it",
        [call(customer_id="ann"), call(customer_id="bob", version=1)],
        ["bob: c1"],
    ),
    (
        "a lower version does not",
        [call(customer_id="ann", version=1), call(customer_id="bob")],
        ["ann: c1"],
    ),
    (
        "it can move back",
        [
            call(customer_id="ann"),
            call(customer_id="bob", version=1),
            call(customer_id="ann", version=2),
        ],
        ["ann: c1"],
    ),
    (
        "a correction that names nobody takes it from its customer",
        [call(customer_id="ann"), call(version=1)],
        ["nobody: c1"],
    ),
    (
        "its answers and evaluations move with it, the customer's other contacts do not",
        [
            call(customer_id="ann"),
            answer(contact_id="c1"),
            evaluation(50, contact_id="c1"),
            call("c2", customer_id="ann"),
            call(customer_id="bob", version=1),
        ],
        ["ann: c2", "bob: c1 e1 r1"],
    ),
    (
        "where no segment names a customer, the answer does",
        [call(), answer(contact_id="c1", customer_id="ann")],
        ["ann: c1 r1"],
    ),
    (
        "a segment beats the answer",
        [call(customer_id="ann"), answer(contact_id="c1", customer_id="bob", version=9)],
        ["ann: c1 r1"],
    ),
    (
        "the answer's customer takes over when the segment is taken back",
        [
            call(customer_id="ann"),
            answer(contact_id="c1", customer_id="bob"),
            tombstone("s", "c1"),
        ],
        ["bob: r1"],
    ),
    (
        "of two segments the higher version names the customer",
        [
            call(segment_id="s1", customer_id="ann", version=1),
            call(segment_id="s2", customer_id="bob", version=2),
        ],
        ["bob: s1 s2"],
    ),
    (
        "a segment that names nobody does not overrule one that does",
        [
            call(segment_id="s1", customer_id="ann"),
            call(segment_id="s2", version=2),
        ],
        ["ann: s1 s2"],
    ),
    (
        "a segment that turns out to be another contact's leaves this one",
        [
            call("c1", segment_id="s1", customer_id="ann"),
            call("c1", segment_id="s2", customer_id="ann"),
            call("c2", segment_id="s2", customer_id="ann", version=1),
        ],
        ["ann: s1", "ann: s2"],
    ),
    ("nothing is left of a contact that was taken back", [call(customer_id="ann"), tombstone("s", "c1")], []),
    # a survey and its contact
    ("an answer without its contact waits alone", [answer(contact_id="c1")], ["nobody: r1"]),
    (
        "its contact finds it",
        [answer(contact_id="c1"), call(customer_id="ann")],
        ["ann: c1 r1"],
    ),
    (
        "an answer lies with the customer it names, and with its contact's once that is there",
        [answer(contact_id="c1", customer_id="ann"), call(customer_id="bob")],
        ["bob: c1 r1"],
    ),
    (
        "an answer that knows only its survey finds the contact through the invitation",
        [answer(survey_id="v1"), invitation(contact_id="c1"), call(customer_id="ann")],
        ["ann: c1 r1 v1"],
    ),
    (
        "the survey of another source is another one",
        [answer(survey_id="v1", source="crm"), invitation(contact_id="c1"), call(customer_id="ann")],
        ["ann: c1 v1", "nobody: r1"],
    ),
    (
        "an answer's contact beats its invitation's, and the whole survey follows",
        [
            invitation(contact_id="c1"),
            answer(survey_id="v1", contact_id="c2"),
            call("c1", customer_id="ann"),
            call("c2", customer_id="bob"),
        ],
        ["ann: c1", "bob: c2 r1 v1"],
    ),
    (
        "the survey goes back to its invitation's contact when that answer is taken back",
        [
            invitation(contact_id="c1"),
            answer(survey_id="v1", contact_id="c2"),
            tombstone("r", "r1"),
            call("c1", customer_id="ann"),
        ],
        ["ann: c1 v1"],
    ),
    (
        "an evaluation before its contact is found by it",
        [evaluation(50, contact_id="c1"), call(customer_id="ann")],
        ["ann: c1 e1"],
    ),
]


@pytest.mark.parametrize(("sentence", "events", "expected"), LAYOUTS, ids=[row[0] for row in LAYOUTS])
def test_facts_lie_with_their_contact_and_it_with_its_customer_in_any_order(
    sentence: str, events: Sequence[Event], expected: Sequence[str]
) -> None:
    for order in permutations(events) if len(events) < 5 else (events, events[::-1]):
        documents = JourneyDocuments()
        documents.apply_all(order)
        assert documents.layout() == expected, order


LIMIT = CountingRules(shared_id_limit=2)
ANNS = [call(name, customer_id="ann") for name in ("c1", "c2", "c3", "c4")]
SHARED: list[tuple[str, Sequence[Event], Sequence[str]]] = [
    ("as many contacts as the limit are one customer's", ANNS[:2], ["ann: c1", "ann: c2"]),
    ("with one more the id is nobody's", ANNS[:3], ["nobody: c1", "nobody: c2", "nobody: c3"]),
    ("and stays so", ANNS, ["nobody: c1", "nobody: c2", "nobody: c3", "nobody: c4"]),
    (
        "a contact counts once, whatever its facts",
        [ANNS[0], answer(contact_id="c1", customer_id="ann"), ANNS[1]],
        ["ann: c1 r1", "ann: c2"],
    ),
    (
        "a survey without a contact counts as one",
        [*ANNS[:2], answer(survey_id="v1", customer_id="ann")],
        ["nobody: c1", "nobody: c2", "nobody: r1"],
    ),
    (
        "its invitation does not count again",
        [ANNS[0], answer(survey_id="v1", customer_id="ann"), invitation(customer_id="ann")],
        ["ann: c1", "ann: r1 v1"],
    ),
    (
        "a contact that moved away still counts",
        [*ANNS[:3], call("c2", customer_id="bob", version=1)],
        ["bob: c2", "nobody: c1", "nobody: c3"],
    ),
    (
        "so does one that was taken back",
        [*ANNS[:3], tombstone("s", "c2")],
        ["nobody: c1", "nobody: c3"],
    ),
    (
        "and one whose version was never in force",
        [ANNS[0], ANNS[2], call("c2", customer_id="bob", version=1), ANNS[1]],
        ["bob: c2", "nobody: c1", "nobody: c3"],
    ),
    (
        "and one that only its answer names it for",
        [ANNS[1], ANNS[2], call("c1", customer_id="bob"), answer(contact_id="c1", customer_id="ann")],
        ["bob: c1 r1", "nobody: c2", "nobody: c3"],
    ),
    (
        "a duplicate does not count",
        [ANNS[0], ANNS[0], ANNS[1], ANNS[1]],
        ["ann: c1", "ann: c2"],
    ),
    (
        "another customer's contacts do not",
        [*ANNS[:2], call("c3", customer_id="bob"), call("c4", customer_id="bob")],
        ["ann: c1", "ann: c2", "bob: c3", "bob: c4"],
    ),
]


@pytest.mark.parametrize(("sentence", "events", "expected"), SHARED, ids=[row[0] for row in SHARED])
def test_an_id_named_for_more_contacts_than_the_limit_is_no_customer_in_any_order(
    sentence: str, events: Sequence[Event], expected: Sequence[str]
) -> None:
    is_shared = any(row.startswith("nobody") for row in expected)
    for order in permutations(events):
        documents = JourneyDocuments(LIMIT)
        documents.apply_all(order)
        assert documents.layout() == expected, order
        assert documents.ids_found_shared["customer"] == int(is_shared), order


def legs(*names: str) -> list[Event]:
    return [call("c1", segment_id=name, customer_id="ann") for name in names]


LIMIT_OF_FACTS: list[tuple[str, Sequence[Event], Sequence[str], Sequence[str]]] = [
    ("as many facts as the limit are one contact", legs("s1", "s2"), ["ann: s1 s2"], []),
    (
        "with one more each stands alone, and is nobody's",
        legs("s1", "s2", "s3"),
        ["nobody: s1", "nobody: s2", "nobody: s3"],
        ["contact"],
    ),
    (
        "a segment whose id is that of another contact does not join it",
        [*legs("c2", "s2", "s3"), call("c2", source="crm", customer_id="ann")],
        ["ann: c2", "nobody: c2", "nobody: s2", "nobody: s3"],
        ["contact"],
    ),
    (
        "answers and evaluations count",
        [*legs("s1"), answer(contact_id="c1"), evaluation(50, contact_id="c1")],
        ["nobody: e1", "nobody: r1", "nobody: s1"],
        ["contact"],
    ),
    (
        "a fact counts once, whatever its versions",
        [*legs("s1", "s2"), call("c1", segment_id="s1", customer_id="ann", version=1)],
        ["ann: s1 s2"],
        [],
    ),
    (
        "one that moved to another contact still counts",
        [*legs("s1", "s2", "s3"), call("c2", segment_id="s1", customer_id="ann", version=1)],
        ["ann: s1", "nobody: s2", "nobody: s3"],
        ["contact"],
    ),
    (
        "so does one that was taken back",
        [*legs("s1", "s2", "s3"), tombstone("s", "s1")],
        ["nobody: s2", "nobody: s3"],
        ["contact"],
    ),
    (
        "a survey goes to the contact its invitation names, if its response names a shared one",
        [
            *legs("s1", "s2"),
            answer(survey_id="v1", contact_id="c1"),
            invitation(contact_id="c2"),
            call("c2", customer_id="ann"),
        ],
        ["ann: c2 r1 v1", "nobody: s1", "nobody: s2"],
        ["contact"],
    ),
    (
        "else it stands alone as a whole",
        [*legs("s1", "s2"), answer(survey_id="v1", contact_id="c1", customer_id="ann"), invitation()],
        ["nobody: r1 v1", "nobody: s1", "nobody: s2"],
        ["contact"],
    ),
    (
        "as many answers as the limit are one survey",
        [answer(survey_id="v1", customer_id="ann"), answer("r2", survey_id="v1")],
        ["ann: r1 r2"],
        [],
    ),
    (
        "with one more each goes to the contact it names, else it stands alone",
        [
            answer("r1", survey_id="v1", contact_id="c1"),
            answer("r2", survey_id="v1", contact_id="c2"),
            answer("r3", survey_id="v1", customer_id="ann"),
            call("c1", customer_id="ann"),
        ],
        ["ann: c1 r1", "nobody: r2", "nobody: r3"],
        ["survey"],
    ),
    (
        "an invitation counts, and stands alone too",
        [answer("r1", survey_id="v1"), answer("r2", survey_id="v1"), invitation(customer_id="ann")],
        ["nobody: r1", "nobody: r2", "nobody: v1"],
        ["survey"],
    ),
    (
        "a shared survey that a customer is named for counts as one of that customer's contacts",
        [
            call("c1", segment_id="s1", customer_id="ann"),
            answer("r1", survey_id="v1", contact_id="c1"),
            answer("r2", survey_id="v1", contact_id="c1"),
            answer("r3", survey_id="v1", customer_id="ann"),
            call("c2", customer_id="ann"),
        ],
        ["nobody: c2", "nobody: r1", "nobody: r2", "nobody: r3", "nobody: s1"],
        ["contact", "customer", "survey"],
    ),
]


@pytest.mark.parametrize(
    ("sentence", "events", "expected", "shared"), LIMIT_OF_FACTS, ids=[row[0] for row in LIMIT_OF_FACTS]
)
def test_a_contact_or_survey_named_by_more_facts_than_the_limit_is_none_in_any_order(
    sentence: str, events: Sequence[Event], expected: Sequence[str], shared: Sequence[str]
) -> None:
    for order in permutations(events):
        documents = JourneyDocuments(LIMIT)
        documents.apply_all(order)
        assert documents.layout() == expected, order
        assert sorted(documents.ids_found_shared) == shared, order


def test_the_valuation_of_a_shared_id_is_kept() -> None:
    documents = JourneyDocuments(LIMIT)
    documents.apply_all([valuation("ann", 500), *ANNS[:3]])
    journey = documents.journeys()[customer_key("ann")]
    assert (journey.is_shared, [stated.value for stated in journey.valuations]) == (True, [500])
