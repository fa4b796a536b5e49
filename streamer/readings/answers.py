"""Count the answers to one survey question by score."""

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
"""A metric that reads the answers to a question, by question."""


class Score(msgspec.Struct, frozen=True):
    """A score of the scale and how many answers gave it."""

    score: int
    count: int


class Distribution(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Answers to one question by score, of one group in one window; `answers` is their sum."""

    question: str
    window: str
    by: str
    key: str
    from_: str
    to: str
    answers: int
    scores: list[Score]


def scores(question: str, counts: Counted) -> list[Score]:
    """List every score of the question's scale, ascending, with its count; scores nobody gave have 0.

    >>> from streamer.metrics.formulas import TallyCounts
    >>> from streamer.metrics.tally import NUMBER
    >>> counts = TallyCounts({NUMBER["csat_5"]: 7, NUMBER["csat_1"]: 2})
    >>> [(each.score, each.count) for each in scores("csat", counts)]
    [(1, 2), (2, 0), (3, 0), (4, 0), (5, 7)]
    """
    return [Score(score, counts[f"{question}_{score}"]) for score in SCALES[question]]
