"""Formulas of the metrics: the shapes a formula can have, and the five of the service level.

A formula is data with the names of the counts it reads, and returns a `MetricFigure`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

import msgspec

from streamer.metrics.intervals import Interval, adjusted_wald, normal, wilson
from streamer.metrics.tally import BUCKETS, FIRST_BUCKET_OF, NUMBER, SCALES, Tally, bucket_value

# Input and output of a formula.


class NamedCounts(Protocol):
    """Counts by name; a count that never occurred is 0 (a `Counter` is one)."""

    def __getitem__(self, name: str, /) -> int: ...


class WindowCounts(NamedCounts, Protocol):
    """Counts and histograms of one window and group. Raises KeyError for a name that is not a count."""

    def histogram(self, duration: str, /) -> Iterable[tuple[int, int]]:
        """Return pairs of bucket and count, ascending by bucket; empty buckets are left out."""
        ...


class TallyCounts:
    """Counts of a tally.

    >>> counts = TallyCounts({NUMBER["answered"]: 12, FIRST_BUCKET_OF["wait"] + 3: 2})
    >>> counts["answered"], counts["abandoned"], counts.histogram("wait")
    (12, 0, [(3, 2)])
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __getitem__(self, name: str, /) -> int:
        return self._tally.get(NUMBER[name], 0)

    def histogram(self, duration: str, /) -> list[tuple[int, int]]:
        first = FIRST_BUCKET_OF[duration]
        numbers = range(first, first + BUCKETS)
        return sorted((number - first, count) for number, count in self._tally.items() if number in numbers)


class ReadingContext(msgspec.Struct, frozen=True):
    """Input of a formula beside the counts; None where the reader did not look it up.

    `window_s`: length of the window in seconds. `active_agents`: number of agents with an answered segment in
    it. `mature`: counts of the part of the window that ends N (the FCR window) before the time asked for.
    """

    window_s: float
    active_agents: int | None = None
    mature: WindowCounts | None = None


class MetricFigure(NamedTuple):
    """Value of a metric (None: no data), its 95 % interval (None: there is none) and the sample size."""

    value: float | None
    lower: float | None
    upper: float | None
    support: int


NO_DATA: Final = MetricFigure(None, None, None, 0)

Formula = Callable[[WindowCounts, ReadingContext], MetricFigure]


def _figure(value: float, interval: Interval | None, support: int) -> MetricFigure:
    lower, upper = interval or (None, None)
    return MetricFigure(value, lower, upper, support)


def _sum(counts: NamedCounts, names: Iterable[str]) -> int:
    return sum(map(counts.__getitem__, names))


# Shapes of formulas. Each is data: the names of the counts it reads.


class CountRatio(msgspec.Struct, frozen=True):
    """Ratio hits / (of − less), each the sum of the named counts, with a Wilson interval.

    >>> counts = TallyCounts({NUMBER["transferred"]: 3, NUMBER["answered"]: 4})
    >>> figure = CountRatio(("transferred",), ("answered",))(counts, ReadingContext(window_s=3600))
    >>> figure.value, round(figure.lower, 2), round(figure.upper, 2), figure.support
    (0.75, 0.3, 0.95, 4)
    """

    hits: tuple[str, ...]
    of: tuple[str, ...]
    less: tuple[str, ...] = ()

    def hits_and_total(self, counts: NamedCounts) -> tuple[int, int]:
        return _sum(counts, self.hits), _sum(counts, self.of) - _sum(counts, self.less)

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        hits, total = self.hits_and_total(counts)
        return _figure(hits / total, wilson(hits, total), total) if total else NO_DATA


class NetScore(msgspec.Struct, frozen=True):
    """Net score 100 (promoters − detractors) / answers, with an adjusted Wald interval.

    >>> counts = TallyCounts({NUMBER["nps_10"]: 6, NUMBER["nps_8"]: 1, NUMBER["nps_3"]: 3})
    >>> net = NetScore(("nps_10",), ("nps_3",), ("nps_10", "nps_8", "nps_3"))
    >>> net(counts, ReadingContext(window_s=3600)).value
    30.0
    """

    promoters: tuple[str, ...]
    detractors: tuple[str, ...]
    answers: tuple[str, ...]

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        up, down = _sum(counts, self.promoters), _sum(counts, self.detractors)
        answer_count = _sum(counts, self.answers)
        return (
            _figure(100 * (up - down) / answer_count, adjusted_wald(up, down, answer_count), answer_count)
            if answer_count
            else NO_DATA
        )


class ScaleMean(msgspec.Struct, frozen=True):
    """Mean answer to a question, with a normal interval clipped to the scale.

    >>> counts = TallyCounts({NUMBER["csat_5"]: 3, NUMBER["csat_1"]: 1})
    >>> ScaleMean("csat")(counts, ReadingContext(window_s=3600)).value
    4.0
    """

    question: str

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        scale = SCALES[self.question]
        answers = [(score, counts[f"{self.question}_{score}"]) for score in scale]
        n = sum(count for _, count in answers)
        total = sum(score * count for score, count in answers)
        squares = sum(score * score * count for score, count in answers)
        return _mean(n, total, squares, scale[0], scale[-1])


class DurationMean(msgspec.Struct, frozen=True):
    """Mean of a duration in seconds, exact to the millisecond, with a normal interval.

    >>> counts = TallyCounts({NUMBER["talk_n"]: 2, NUMBER["talk_ms"]: 90_000, NUMBER["talk_s2"]: 4_500})
    >>> DurationMean("talk")(counts, ReadingContext(window_s=3600)).value
    45.0
    """

    duration: str

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        n, ms, squares = (counts[f"{self.duration}_{suffix}"] for suffix in ("n", "ms", "s2"))
        return _mean(n, ms / 1000, squares, 0, float("inf"))


class DurationPercentile(msgspec.Struct, frozen=True):
    """Nearest-rank percentile of a duration in seconds: within 2 %, and 0 exactly.

    >>> from streamer.metrics.tally import bucket
    >>> first = FIRST_BUCKET_OF["wait"]
    >>> counts = TallyCounts({first: 9, first + bucket(20_000): 1})  # nine waits of 0 s, one of 20 s
    >>> context = ReadingContext(window_s=3600)
    >>> [DurationPercentile("wait", percent)(counts, context).value for percent in (90, 95)]
    [0.0, 20.126]
    """

    duration: str
    percent: int

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        histogram = list(counts.histogram(self.duration))
        n = sum(count for _, count in histogram)
        rank = -(-self.percent * n // 100)
        cumulative_count = 0
        for bucket, count in histogram:
            cumulative_count += count
            if cumulative_count >= rank:
                return _figure(bucket_value(bucket) / 1000, None, n)
        return NO_DATA


class DurationMax(msgspec.Struct, frozen=True):
    """Longest duration in seconds: within 2 %, 0 exactly, and never below the mean."""

    duration: str

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        longest = DurationPercentile(self.duration, 100)(counts, context)
        mean = DurationMean(self.duration)(counts, context)
        if longest.value is None or mean.value is None:
            return longest
        return longest._replace(value=max(longest.value, mean.value))


class CountTotal(msgspec.Struct, frozen=True):
    """Sum of the named counts: 0 where nothing happened. The value is its own support."""

    of: tuple[str, ...]

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        total = _sum(counts, self.of)
        return _figure(total, None, total)


class HundredthsSum(msgspec.Struct, frozen=True):
    """Sum that is counted in hundredths: the total, or with `each` the mean over its support."""

    total: str
    support: str
    each: bool

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        support = counts[self.support]
        if not support:
            return NO_DATA
        return _figure(counts[self.total] / 100 / (support if self.each else 1), None, support)


def _mean(n: int, total: float, squares: float, low: float, high: float) -> MetricFigure:
    if not n:
        return NO_DATA
    interval = normal(n, total, squares)
    return _figure(total / n, interval and interval.clipped(low, high), n)


def qa_score(counts: WindowCounts, context: ReadingContext) -> MetricFigure:
    return _mean(counts["qa"], counts["qa_sum"] / 100, counts["qa_squares"], 0, 100)


def workload(counts: WindowCounts, context: ReadingContext) -> MetricFigure:
    support = counts["handle_n"]
    if not support or not context.window_s:
        return NO_DATA
    return _figure(counts["handle_ms"] / 1000 / context.window_s, None, support)


def active_agents(counts: WindowCounts, context: ReadingContext) -> MetricFigure:
    agents = context.active_agents
    return NO_DATA if agents is None else _figure(agents, None, agents)


def fcr_maturity(counts: WindowCounts, context: ReadingContext) -> MetricFigure:
    firsts = counts["fcr_firsts"]
    if not firsts or context.mature is None:
        return NO_DATA
    return _figure(context.mature["fcr_firsts"] / firsts, None, firsts)


# Service level.

_LOST = ("timeout", "voicemail")
SERVICE_LEVELS: Final[Mapping[str, CountRatio]] = {
    "negative": CountRatio(("answered_within",), ("answered_waited", "abandoned", *_LOST)),
    "exclude_short": CountRatio(
        ("answered_within",), ("answered_waited", "abandoned_waited", *_LOST), less=("abandoned_short",)
    ),
    "ignore": CountRatio(
        ("answered_within",), ("answered_waited", "abandoned_waited", *_LOST), less=("abandoned_within",)
    ),
    "positive": CountRatio(
        ("answered_within", "abandoned_within"), ("answered_waited", "abandoned_waited", *_LOST)
    ),
    "answered_only": CountRatio(("answered_within",), ("answered_waited",)),
}
"""The five named formulas, after Cisco's service level types (Unified Contact Center Enterprise
reporting: ignore, negative and positive impact of abandoned calls) and the customs of the trade."""


def service_level(formula: str, count: NamedCounts) -> tuple[int, int]:
    """Return hits and denominator of one of the five named formulas, for one segment or many.

    >>> from collections import Counter
    >>> counts = Counter(answered_within=70, answered_waited=90, abandoned=10, abandoned_waited=10)
    >>> service_level("negative", counts), service_level("answered_only", counts)
    ((70, 100), (70, 90))
    """
    return SERVICE_LEVELS[formula].hits_and_total(count)
