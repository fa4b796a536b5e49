"""Facts with the fields that a test does not care about filled in."""

from streamer.events.counting_rules import HOUR
from streamer.events.models import (
    CustomerValuation,
    FactIdentity,
    QualityEvaluation,
    Segment,
    SurveyResponse,
    SurveySent,
    Tombstone,
)
from tests.strategies import START

NOON = START + 12 * HOUR


def call(contact_id: str = "c1", ended_at: int = NOON, outcome: str = "answered", **more: object) -> Segment:
    return Segment(contact_id=contact_id, ended_at=ended_at, outcome=outcome, **more)


def answer(response_id: str = "r1", answered_at: int = NOON, **more: object) -> SurveyResponse:
    return SurveyResponse(response_id=response_id, answered_at=answered_at, **more)


def invitation(survey_id: str = "v1", sent_at: int = NOON, **more: object) -> SurveySent:
    return SurveySent(survey_id=survey_id, sent_at=sent_at, **more)


def evaluation(
    score: int, evaluation_id: str = "e1", evaluated_at: int = NOON, **more: object
) -> QualityEvaluation:
    return QualityEvaluation(evaluation_id=evaluation_id, score=score, evaluated_at=evaluated_at, **more)


def valuation(customer_id: str, value: int, as_of: int = NOON, **more: object) -> CustomerValuation:
    return CustomerValuation(customer_id=customer_id, value=value, as_of=as_of, version=as_of, **more)


def tombstone(kind: str, name: str, version: int = 1) -> Tombstone:
    return Tombstone(FactIdentity(kind, "", name), version)
