"""Count the answers to one survey question by score."""

from typing import Final

import msgspec

from streamer.metrics.formulas import NamedCounts
from streamer.metrics.tally import SCALES

METRIC_OF_QUESTION: Final = {
    "nps": "nps_score",
    "csat": "csat_ratio",
    "ces": "ces_score",
    "effort": "effort_score",
    "cnx": "cnx_score",
}
"""A metric that reads the answers to a question, by question."""


class ScoreCount(msgspec.Struct, frozen=True):
    """A score of the scale and how many answers gave it."""

    score: int
    count: int


class ScoreDistribution(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Answers to one question by score, of one group in one window; `answers` is their sum."""

    question: str
    window: str
    by: str
    key: str
    from_: str
    to: str
    answers: int
    scores: list[ScoreCount]


def score_counts(question: str, counts: NamedCounts) -> list[ScoreCount]:
    """List every score of the question's scale, ascending, with its count; scores nobody gave have 0.

    >>> from streamer.metrics.formulas import TallyCounts
    >>> from streamer.metrics.tally import NUMBER
    >>> counts = TallyCounts({NUMBER["csat_5"]: 7, NUMBER["csat_1"]: 2})
    >>> [(each.score, each.count) for each in score_counts("csat", counts)]
    [(1, 2), (2, 0), (3, 0), (4, 0), (5, 7)]
    """
    return [ScoreCount(score, counts[f"{question}_{score}"]) for score in SCALES[question]]
