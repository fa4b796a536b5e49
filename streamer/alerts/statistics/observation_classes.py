"""Classes of a metric's observations, and the score of each class.

A share has hits and misses, a net score detractors, passives and promoters, a scale its scores. Durations
are cut into BINS classes, equally likely in the baseline of a group.
"""

from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts.statistics.evidence import Floats, Integers
from streamer.metrics.catalogue import Metric, WindowLimits
from streamer.metrics.formulas import CountRatio, CountTotal, DurationMean, NetScore, ScaleMean
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET_OF, NUMBER, NUMBERS, SCALES, bucket_value

BINS: Final = 12
ABSENT: Final = -1


class ObservationClasses(msgspec.Struct, frozen=True):
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

    def column_by_number(self) -> Integers:
        """Return, for each number of a tally, the position of its count; ABSENT where it is none of these."""
        columns = np.full(NUMBERS, ABSENT, np.int64)
        for column, name in enumerate(self.counts):
            columns[NUMBER[name]] = column
        return columns

    def bucket_by_number(self) -> Integers:
        """Return, for each number of a tally, its bucket of the duration's histogram; ABSENT where it is
        none."""
        buckets = np.full(NUMBERS, ABSENT, np.int64)
        first = FIRST_BUCKET_OF[self.duration]
        buckets[first : first + BUCKETS] = np.arange(BUCKETS)
        return buckets


def metric_classes(metric: Metric) -> ObservationClasses | None:
    """Return the classes of the metric's default stat; None: it has none, or covers past windows only.

    >>> from streamer.metrics.catalogue import CATALOGUE
    >>> metric_classes(CATALOGUE["nps_score"]).names
    ('detractors', 'passives', 'promoters')
    >>> metric_classes(CATALOGUE["csat_ratio"]).scores
    (1.0, 0.0)
    """
    if metric.windows != WindowLimits():
        return None
    formula, sign = metric.measure.formulas[metric.stats[0]], 1 if metric.better == "higher" else -1
    match formula:
        case NetScore():
            return _net(formula, sign)
        case CountRatio():
            return _share(formula, sign)
        case ScaleMean():
            return _scale(formula, sign)
        case DurationMean():
            return ObservationClasses(
                tuple(f"bin {number}" for number in range(1, BINS + 1)), duration=formula.duration
            )
    return None


def event_classes(metric: Metric) -> ObservationClasses | None:
    """Return the single class of a count: its events; None: the metric is not a count."""
    formula = metric.measure.formulas[metric.stats[0]]
    if not isinstance(formula, CountTotal):
        return None
    return ObservationClasses(("events",), formula.of, ((1,),) * len(formula.of), (1.0,), (1.0,))


def _net(formula: NetScore, sign: int) -> ObservationClasses:
    promoters, detractors = formula.promoters, formula.detractors
    weights = tuple(
        (int(n in detractors), int(n not in (*promoters, *detractors)), int(n in promoters))
        for n in formula.answers
    )
    names = ("detractors", "passives", "promoters")
    return ObservationClasses(
        names, formula.answers, weights, (-sign * 1.0, 0.0, sign * 1.0), (-100.0, 0.0, 100.0)
    )


def _share(formula: CountRatio, sign: int) -> ObservationClasses:
    counts = tuple(dict.fromkeys((*formula.hits, *formula.of, *formula.less)))

    def weights(name: str) -> tuple[int, int]:
        hits = formula.hits.count(name)
        return hits, formula.of.count(name) - formula.less.count(name) - hits

    return ObservationClasses(
        ("hits", "misses"), counts, tuple(map(weights, counts)), (sign * 1.0, 0.0), (1.0, 0.0)
    )


def _scale(formula: ScaleMean, sign: int) -> ObservationClasses:
    scale = SCALES[formula.question]
    counts = tuple(f"{formula.question}_{score}" for score in scale)
    weights = tuple(tuple(int(level == other) for other in scale) for level in scale)
    values = tuple(map(float, scale))
    return ObservationClasses(
        tuple(map(str, scale)), counts, weights, tuple(sign * value for value in values), values
    )


_SECONDS: Final = np.array([bucket_value(number) / 1000 for number in range(BUCKETS)])


class DurationBins(NamedTuple):
    """Bins of durations by group: the bin of each bucket, G × BUCKETS; the bins' scores and mean seconds,
    G × BINS."""

    bin_by_bucket: Integers
    scores: Floats
    values: Floats


def cut_bins(histograms: Integers) -> DurationBins:
    """Cut the histograms of a baseline, G × BUCKETS, into bins. A score is the negative logarithm: twice
    as long is as much worse from 1 to 2 minutes as from 5 to 10."""
    sums = np.maximum(histograms.sum(axis=1, keepdims=True), 1)
    middles = (np.cumsum(histograms, axis=1) - histograms / 2) / sums
    bin_by_bucket = np.clip((middles * BINS).astype(np.int64), 0, BINS - 1)
    scores, values = np.zeros((2, len(histograms), BINS))
    for group, (bin_of, counts) in enumerate(zip(bin_by_bucket, histograms, strict=True)):
        scores[group] = -_bin_means(bin_of, counts, np.log(1 + _SECONDS))
        values[group] = _bin_means(bin_of, counts, _SECONDS)
    return DurationBins(bin_by_bucket, scores, values)


def _bin_means(bin_of: Integers, counts: Integers, amounts: Floats) -> Floats:
    """Return the mean of each bin; an empty bin lies between its neighbours."""
    counts_by_bin, sums_by_bin = (
        np.bincount(bin_of, counts, BINS),
        np.bincount(bin_of, counts * amounts, BINS),
    )
    filled_bins = np.flatnonzero(counts_by_bin)
    if not len(filled_bins):
        return np.arange(BINS, dtype=np.float64)
    means: Floats = np.interp(
        np.arange(BINS), filled_bins, sums_by_bin[filled_bins] / counts_by_bin[filled_bins]
    )
    return means
