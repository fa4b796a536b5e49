"""Classes of a metric's observations, and the score of each class.

A share has hits and misses, a net score detractors, passives and promoters, a scale its scores. Durations
are cut into BINS classes, equally likely in the baseline of a group.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts.judging.evidence import Floats, Integers
from streamer.metrics.catalogue import Metric, Windows
from streamer.metrics.formulas import DurationMean, Net, ScaleMean, Share, Total
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET_OF, NUMBER, NUMBERS, SCALES, bucket_value

BINS: Final = 12
NONE: Final = -1


class Classes(msgspec.Struct, frozen=True):
    """Classes of one metric. A class adds up the tally `counts` by their `weights` (by count and class).
    `scores`: higher is better. `duration`: classes are bins, with neither weights nor scores before the
    baseline is known."""

    names: tuple[str, ...]
    counts: tuple[str, ...] = ()
    weights: tuple[tuple[int, ...], ...] = ()
    scores: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    """Amount that an observation of the class adds to the metric's mean."""
    duration: str = ""

    def columns(self) -> Integers:
        """Return, for each number of a tally, the position of its count; ABSENT where it is none of these."""
        found = np.full(NUMBERS, NONE, np.int64)
        for place, name in enumerate(self.counts):
            found[NUMBER[name]] = place
        return found

    def buckets(self) -> Integers:
        """Return, for each number of a tally, its bucket of the duration's histogram; ABSENT where it is
        none."""
        found = np.full(NUMBERS, NONE, np.int64)
        first = FIRST_BUCKET_OF[self.duration]
        found[first : first + BUCKETS] = np.arange(BUCKETS)
        return found


def classes(metric: Metric) -> Classes | None:
    """Return the classes of the metric's default stat; None: it has none, or covers past windows only.

    >>> from streamer.metrics.catalogue import CATALOGUE
    >>> classes(CATALOGUE["nps_score"]).names
    ('detractors', 'passives', 'promoters')
    >>> classes(CATALOGUE["csat_ratio"]).scores
    (1.0, 0.0)
    """
    if metric.windows != Windows():
        return None
    formula, sign = metric.measure.formulas[metric.stats[0]], 1 if metric.better == "higher" else -1
    match formula:
        case Net():
            return _net(formula, sign)
        case Share():
            return _share(formula, sign)
        case ScaleMean():
            return _scale(formula, sign)
        case DurationMean():
            return Classes(tuple(f"bin {number}" for number in range(1, BINS + 1)), duration=formula.duration)
    return None


def events(metric: Metric) -> Classes | None:
    """Return the single class of a count: its events; None: the metric is not a count."""
    formula = metric.measure.formulas[metric.stats[0]]
    if not isinstance(formula, Total):
        return None
    return Classes(("events",), formula.of, ((1,),) * len(formula.of), (1.0,), (1.0,))


def _net(formula: Net, sign: int) -> Classes:
    up, down = formula.promoters, formula.detractors
    weights = tuple((int(n in down), int(n not in (*up, *down)), int(n in up)) for n in formula.answers)
    names = ("detractors", "passives", "promoters")
    return Classes(names, formula.answers, weights, (-sign * 1.0, 0.0, sign * 1.0), (-100.0, 0.0, 100.0))


def _share(formula: Share, sign: int) -> Classes:
    counts = _different((*formula.hits, *formula.of, *formula.less))

    def weights(name: str) -> tuple[int, int]:
        hits = formula.hits.count(name)
        return hits, formula.of.count(name) - formula.less.count(name) - hits

    return Classes(("hits", "misses"), counts, tuple(map(weights, counts)), (sign * 1.0, 0.0), (1.0, 0.0))


def _scale(formula: ScaleMean, sign: int) -> Classes:
    scale = SCALES[formula.question]
    counts = tuple(f"{formula.question}_{score}" for score in scale)
    weights = tuple(tuple(int(one == other) for other in scale) for one in scale)
    values = tuple(map(float, scale))
    return Classes(tuple(map(str, scale)), counts, weights, tuple(sign * value for value in values), values)


def _different(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


_SECONDS: Final = np.array([bucket_value(number) / 1000 for number in range(BUCKETS)])


class Bins(NamedTuple):
    """Bins of durations by group: the bin of each bucket, G × BUCKETS; the bins' scores and mean seconds,
    G × BINS."""

    of: Integers
    scores: Floats
    values: Floats


def binned(histograms: Integers) -> Bins:
    """Cut the histograms of a baseline, G × BUCKETS, into bins. A score is the negative logarithm: twice
    as long is as much worse from 1 to 2 minutes as from 5 to 10."""
    sums = np.maximum(histograms.sum(axis=1, keepdims=True), 1)
    middles = (np.cumsum(histograms, axis=1) - histograms / 2) / sums
    of = np.clip((middles * BINS).astype(np.int64), 0, BINS - 1)
    scores, values = np.zeros((2, len(histograms), BINS))
    for group, (bin_of, counts) in enumerate(zip(of, histograms, strict=True)):
        scores[group] = -_means(bin_of, counts, np.log(1 + _SECONDS))
        values[group] = _means(bin_of, counts, _SECONDS)
    return Bins(of, scores, values)


def _means(bin_of: Integers, counts: Integers, amounts: Floats) -> Floats:
    """Return the mean of each bin; an empty bin lies between its neighbours."""
    held, total = np.bincount(bin_of, counts, BINS), np.bincount(bin_of, counts * amounts, BINS)
    known = np.flatnonzero(held)
    if not len(known):
        return np.arange(BINS, dtype=np.float64)
    found: Floats = np.interp(np.arange(BINS), known, total[known] / held[known])
    return found
