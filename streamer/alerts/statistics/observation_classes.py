"""Classes of a metric's observations, and the score of each class.

A share has hits and misses, a net score detractors, passives and promoters, a scale its scores. Durations
are cut into BINS classes, equally likely in the baseline of a group.
"""

from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from streamer.alerts.statistics.evidence import Floats, Integers
from streamer.metrics.catalogue import Metric, WindowLimits
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET_OF, NUMBER, NUMBERS, bucket_value

BINS: Final = 12
ABSENT: Final = -1


def column_by_number(classes: ObservationClasses) -> Integers:
    """Return, for each number of a tally, the position of its count; ABSENT where it is none of these."""
    columns = np.full(NUMBERS, ABSENT, np.int64)
    for column, name in enumerate(classes.counts):
        columns[NUMBER[name]] = column
    return columns


def bucket_by_number(classes: ObservationClasses) -> Integers:
    """Return, for each number of a tally, its bucket of the duration's histogram; ABSENT where it is none."""
    buckets = np.full(NUMBERS, ABSENT, np.int64)
    first = FIRST_BUCKET_OF[classes.duration]
    buckets[first : first + BUCKETS] = np.arange(BUCKETS)
    return buckets


def metric_classes(metric: Metric) -> ObservationClasses | None:
    """Return the classes of the metric's default stat, where a higher score is better; None: it has none, or
    covers past windows only.

    >>> from streamer.metrics.catalogue import CATALOGUE
    >>> metric_classes(CATALOGUE["nps_score"]).names
    ('detractors', 'passives', 'promoters')
    >>> metric_classes(CATALOGUE["csat_ratio"]).scores
    (1.0, 0.0)
    """
    classes = metric.formula.classes
    if classes is None or metric.windows != WindowLimits():
        return None
    sign = 1 if metric.better == "higher" else -1
    return replace(classes, scores=tuple(sign * score for score in classes.scores))


def event_classes(metric: Metric) -> ObservationClasses | None:
    """Return the single class of a count: its events; None: the metric is not a count."""
    events = metric.formula.events
    if not events:
        return None
    return ObservationClasses(("events",), events, ((1,),) * len(events), (1.0,), (1.0,))


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
