"""Tests: evaluations stored before they had items are read and compared as before; which ones count."""

import pytest
from msgspec.structs import replace

from streamer.events.counting_rules import CountingRules
from streamer.events.models import QualityEvaluation
from streamer.journeys.apply import PlannedEvent, apply
from streamer.journeys.erasure import erase_from_journeys
from streamer.journeys.journey import (
    NO_FACTS,
    FactGroup,
    Journey,
    contact_key,
    customer_key,
    identity_key,
    own_journey_key,
)
from streamer.journeys.working_set import DocumentsNotLoaded, WorkingSet
from streamer.panes.fold import NO_CONTEXT, contributions

EVALUATED_MS = 1_750_000_000_000
EVALUATION = QualityEvaluation(
    source="/qa",
    version=3,
    customer_id="k1",
    evaluation_id="e1",
    contact_id="c1",
    agent_id="ann",
    score=8_750,
    evaluated_at=EVALUATED_MS,
    form="f1",
)
FULL = replace(EVALUATION, evaluator_id="bert", items=(("greeting", 9_000), ("tone", None)), calibration=True)
FORMER_DIGEST = bytes.fromhex("2ca00e62fd028283cc697174bbf39c39efe63820a0075428f6c1091c069f2606")
FORMER_DOCUMENTS = {
    bytes.fromhex(key): bytes.fromhex(document)
    for key, document in {
        "653aaccb37e5fb6b0561b7759a": "939403c4082ca00e62fd028283c2c40d6542deff7abde01a85edfe0d88c0c0",
        "6542deff7abde01a85edfe0d88": "93c0c40d6f42deff7abde01a85edfe0d88c0",
        "632b507b46c052208ae3df58f7": "94909081c40d6542deff7abde01a85edfe0d88cf000001977420dc00c2",
        "6f42deff7abde01a85edfe0d88": "949196c40d6542deff7abde01a85edfe0d88cf000001977420dc00c000009490909091"
        "99a32f716103a26b31a26531a26331a3616e6ecd222ecf000001977420dc00a266319080c2",
    }.items()
}
"""Documents of EVALUATION as the release before these fields wrote them."""


def applied(documents: WorkingSet, evaluation: QualityEvaluation) -> bool:
    planned = PlannedEvent(evaluation, EVALUATED_MS)
    while True:
        try:
            return apply(planned, documents, CountingRules())
        except DocumentsNotLoaded as missing:
            for key in missing.keys:
                documents.load(key, FORMER_DOCUMENTS.get(key))


def stored_evaluations(documents: WorkingSet, journey: bytes) -> list[QualityEvaluation]:
    document = documents.writes().get(journey)
    groups = Journey.unpacked(document, 0).groups.values() if document else ()
    return [evaluation for group in groups for evaluation in group.facts.evaluations]


def test_a_journey_stored_before_is_read() -> None:
    journey = Journey.unpacked(FORMER_DOCUMENTS[own_journey_key(contact_key("c1"))], 0)
    assert journey.groups[contact_key("c1")].facts.evaluations == (EVALUATION,)


def test_an_evaluation_without_the_new_fields_keeps_its_digest() -> None:
    assert EVALUATION.digest() == FORMER_DIGEST


def test_each_new_field_changes_the_digest() -> None:
    variants = [
        EVALUATION,
        FULL,
        *(
            replace(EVALUATION, **{name: getattr(FULL, name)})
            for name in ("evaluator_id", "items", "calibration")
        ),
    ]
    assert len({variant.digest() for variant in variants}) == len(variants)


def test_an_identical_restatement_after_the_upgrade_changes_nothing() -> None:
    documents = WorkingSet(0)
    assert not applied(documents, EVALUATION)
    assert documents.writes() == {}


def test_a_higher_version_adds_the_new_fields_and_they_are_stored() -> None:
    documents, newer = WorkingSet(0), replace(FULL, version=4)
    assert applied(documents, newer)
    assert stored_evaluations(documents, own_journey_key(contact_key("c1"))) == [newer]


def test_erasing_a_customer_keeps_the_new_fields_where_the_contact_is_another_customers() -> None:
    documents, journey = WorkingSet(0), own_journey_key(contact_key("c1"))
    newer = replace(FULL, version=4)
    applied(documents, newer)
    keys = [customer_key("k1"), contact_key("c1"), identity_key(newer.identity), journey]
    for key in keys:
        if key not in documents:
            documents.load(key, FORMER_DOCUMENTS.get(key))
    assert erase_from_journeys(documents, ["k1"], [journey]).anonymized_facts == 1
    assert stored_evaluations(documents, journey) == [replace(newer, customer_id=None)]


@pytest.mark.parametrize(("calibration", "row_count"), [(False, 1), (True, 0)])
def test_an_evaluation_counts_unless_it_is_for_calibration(calibration: bool, row_count: int) -> None:
    facts = NO_FACTS.added(replace(FULL, calibration=calibration))
    group = FactGroup.from_facts(contact_key("c1"), facts)
    assert len(contributions(group, NO_CONTEXT, CountingRules())) == row_count
