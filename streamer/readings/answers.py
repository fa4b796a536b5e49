"""Here is how the answers to one question are spread over its scale."""

from typing import Final

import msgspec

from streamer.metrics.formulas import Counted
from streamer.metrics.tally import SCALES

METRIC_OF: Final = {
    "nps": "nps_score",
    "csat": "csat_ratio",
    "ces": "ces_score",
    "effort": "effort_score",
    "cnx": "cnx_score",
}
"""A metric that reads a question's answers, by question."""


class Score(msgspec.Struct, frozen=True):
    score: int
    count: int


class Distribution(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """How often each score was given in one window by one group; `answers` is their sum."""

    question: str
    window: str
    by: str
    key: str
    from_: str
    to: str
    answers: int
    scores: list[Score]


def scores(question: str, counts: Counted) -> list[Score]:
    """All of the scale, ascending."""
    return [Score(score, counts[f"{question}_{score}"]) for score in SCALES[question]]
