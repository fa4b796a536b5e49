"""Formulas of the metrics: the shapes a formula can have, and the five of the service level.

A formula is data with the names of the counts it reads, and returns a `MetricFigure`. It also knows what
others need of it: its unit and bounds, the observations it is the mean of, the classes a drop is detected in,
and the terms it is computed again from in PromQL.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final, Literal, NamedTuple, Protocol

import msgspec

from streamer.metrics.live_group import LiveGroup
from streamer.metrics.samples import MeanSample, MetricSample, NetScoreSample, ProportionSample
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
    `live`: what is going on now in the group.
    """

    window_s: float
    active_agents: int | None = None
    mature: WindowCounts | None = None
    live: LiveGroup | None = None


class MetricFigure(NamedTuple):
    """Value of a metric (None: no data), its 95 % interval (None: there is none) and the sample size."""

    value: float | None
    lower: float | None
    upper: float | None
    support: int


NO_DATA: Final = MetricFigure(None, None, None, 0)


def _sum(counts: NamedCounts, names: Iterable[str]) -> int:
    return sum(map(counts.__getitem__, names))


# What a formula knows.

Moments = tuple[float, float, float]
"""Number of observations, their sum, and the sum of their squares."""


class ObservationClasses(msgspec.Struct, frozen=True):
    """Classes of observations. A class adds up the tally `counts` by their `weights` (by count and class).
    `scores`: order and distance of the classes. `duration`: the classes are bins of its histogram, which
    have names, weights and scores only once a baseline is known."""

    names: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    weights: tuple[tuple[int, ...], ...] = ()
    scores: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    """Amount that an observation of the class adds to the metric's mean."""
    duration: str = ""


class RatioTerms(NamedTuple):
    """Terms of scale × (plus − minus) / of, each the sum of the named counts."""

    plus: tuple[str, ...]
    minus: tuple[str, ...]
    of: tuple[str, ...]
    scale: int


class MetricFormula(msgspec.Struct, frozen=True):
    """Formula of a metric. Here is what holds for most; each formula overrides what differs.

    `needs`: part of the context that it needs; "counts": the counts alone; "time": the counts of agents'
    time, with the intervals that are still open.
    """

    unit: ClassVar[str] = "count"
    needs: ClassVar[Literal["counts", "length", "agents", "mature", "time", "live"]] = "counts"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        raise NotImplementedError

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return 0, float("inf")

    @property
    def mean(self) -> "ObservationMean | None":
        """The formula itself if it is the mean of a sample of observations, else None."""
        return None

    @property
    def classes(self) -> ObservationClasses | None:
        """Classes in which a drop can be detected; None: it is not known observation by observation."""
        return None

    @property
    def events(self) -> tuple[str, ...]:
        """Counts whose sum it is; empty if it is no count of events."""
        return ()

    @property
    def terms(self) -> RatioTerms | None:
        """Terms to compute it from again; None: it is not such a quotient."""
        return None


class ObservationMean(MetricFormula, frozen=True):
    """Mean of a sample of observations, with a confidence interval of the kind `interval`."""

    interval: ClassVar[str] = "normal"
    least_size: ClassVar[int] = 2
    """Observations without which there is no interval."""

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        return self.figure(self.sample(counts))

    @property
    def mean(self) -> "ObservationMean":
        return self

    @property
    def moments(self) -> Mapping[str, Moments]:
        """Moments that one of each count adds."""
        raise NotImplementedError

    def sample(self, counts: NamedCounts) -> MetricSample:
        """Return the sample in these counts. It may be empty (`size` 0)."""
        raise NotImplementedError

    def sample_of(self, size: float, total: float, squares: float) -> MetricSample:
        """Return the sample that has these moments.

        >>> CountRatio(("transferred",), ("answered",)).sample_of(size=4, total=3, squares=3)
        ProportionSample(hits=3, size=4)
        """
        return MeanSample(round(size), total, squares)

    def figure(self, sample: MetricSample) -> MetricFigure:
        """Return the mean of the sample with its ordinary 95 % interval."""
        if not sample.size:
            return NO_DATA
        interval = sample.ordinary_interval()
        lower, upper = interval.clipped(*self.bounds) if interval else (None, None)
        return MetricFigure(sample.value, lower, upper, sample.size)


# Shapes of formulas. Each is data: the names of the counts it reads.


class CountRatio(ObservationMean, frozen=True):
    """Ratio hits / (of − less), each the sum of the named counts, with a Wilson interval.

    >>> counts = TallyCounts({NUMBER["transferred"]: 3, NUMBER["answered"]: 4})
    >>> figure = CountRatio(("transferred",), ("answered",))(counts, ReadingContext(window_s=3600))
    >>> figure.value, round(figure.lower, 2), round(figure.upper, 2), figure.support
    (0.75, 0.3, 0.95, 4)
    """

    hits: tuple[str, ...]
    of: tuple[str, ...]
    less: tuple[str, ...] = ()

    unit: ClassVar = "ratio"
    interval: ClassVar = "Wilson"
    least_size: ClassVar = 1

    def hits_and_total(self, counts: NamedCounts) -> tuple[int, int]:
        return _sum(counts, self.hits), _sum(counts, self.of) - _sum(counts, self.less)

    @property
    def bounds(self) -> tuple[float, float]:
        return 0, 1

    @property
    def moments(self) -> Mapping[str, Moments]:
        counts = dict.fromkeys((*self.of, *self.less, *self.hits))
        return {name: (self._size_of(name), self.hits.count(name), self.hits.count(name)) for name in counts}

    def _size_of(self, name: str) -> int:
        """Return the number of observations that one of a count adds."""
        return self.of.count(name) - self.less.count(name)

    def sample(self, counts: NamedCounts) -> ProportionSample:
        return ProportionSample(*self.hits_and_total(counts))

    def sample_of(self, size: float, total: float, squares: float) -> ProportionSample:
        return ProportionSample(round(total), round(size))

    @property
    def classes(self) -> ObservationClasses:
        counts = tuple(dict.fromkeys((*self.hits, *self.of, *self.less)))
        hits = [self.hits.count(name) for name in counts]
        weights = tuple((hit, self._size_of(name) - hit) for name, hit in zip(counts, hits, strict=True))
        return ObservationClasses(("hits", "misses"), counts, weights, (1.0, 0.0), (1.0, 0.0))

    @property
    def terms(self) -> RatioTerms | None:
        return None if self.less else RatioTerms(self.hits, (), self.of, 1)


class NetScore(ObservationMean, frozen=True):
    """Net score 100 (promoters − detractors) / answers, with an adjusted Wald interval.

    >>> counts = TallyCounts({NUMBER["nps_10"]: 6, NUMBER["nps_8"]: 1, NUMBER["nps_3"]: 3})
    >>> net = NetScore(("nps_10",), ("nps_3",), ("nps_10", "nps_8", "nps_3"))
    >>> net(counts, ReadingContext(window_s=3600)).value
    30.0
    """

    promoters: tuple[str, ...]
    detractors: tuple[str, ...]
    answers: tuple[str, ...]

    unit: ClassVar = "points"
    interval: ClassVar = "adjusted Wald"
    least_size: ClassVar = 1

    @property
    def bounds(self) -> tuple[float, float]:
        return -100, 100

    @property
    def moments(self) -> Mapping[str, Moments]:
        signs = {name: (name in self.promoters) - (name in self.detractors) for name in self.answers}
        return {name: (1.0, 100.0 * sign, 1e4 * sign * sign) for name, sign in signs.items()}

    def sample(self, counts: NamedCounts) -> NetScoreSample:
        return NetScoreSample(
            _sum(counts, self.promoters), _sum(counts, self.detractors), _sum(counts, self.answers)
        )

    def sample_of(self, size: float, total: float, squares: float) -> NetScoreSample:
        decided, net = squares / 1e4, total / 100
        return NetScoreSample(round((decided + net) / 2), round((decided - net) / 2), round(size))

    @property
    def classes(self) -> ObservationClasses:
        def weights(name: str) -> tuple[int, int, int]:
            is_detractor, is_promoter = name in self.detractors, name in self.promoters
            return int(is_detractor), int(not is_detractor and not is_promoter), int(is_promoter)

        return ObservationClasses(
            ("detractors", "passives", "promoters"),
            self.answers,
            tuple(map(weights, self.answers)),
            (-1.0, 0.0, 1.0),
            (-100.0, 0.0, 100.0),
        )

    @property
    def terms(self) -> RatioTerms:
        return RatioTerms(self.promoters, self.detractors, self.answers, 100)


class ScaleMean(ObservationMean, frozen=True):
    """Mean answer to a question, with a normal interval clipped to the scale.

    >>> counts = TallyCounts({NUMBER["csat_5"]: 3, NUMBER["csat_1"]: 1})
    >>> ScaleMean("csat")(counts, ReadingContext(window_s=3600)).value
    4.0
    """

    question: str

    unit: ClassVar = "score"

    @property
    def bounds(self) -> tuple[float, float]:
        scale = SCALES[self.question]
        return scale[0], scale[-1]

    @property
    def moments(self) -> Mapping[str, Moments]:
        return {
            f"{self.question}_{score}": (1.0, float(score), float(score * score))
            for score in SCALES[self.question]
        }

    def sample(self, counts: NamedCounts) -> MeanSample:
        answers = [(score, counts[f"{self.question}_{score}"]) for score in SCALES[self.question]]
        return MeanSample(
            sum(count for _, count in answers),
            sum(score * count for score, count in answers),
            sum(score * score * count for score, count in answers),
        )

    @property
    def classes(self) -> ObservationClasses:
        scale = SCALES[self.question]
        scores = tuple(map(float, scale))
        return ObservationClasses(
            tuple(map(str, scale)),
            tuple(f"{self.question}_{score}" for score in scale),
            tuple(tuple(int(score == other) for other in scale) for score in scale),
            scores,
            scores,
        )


class DurationMean(ObservationMean, frozen=True):
    """Mean of a duration in seconds, exact to the millisecond, with a normal interval.

    >>> counts = TallyCounts({NUMBER["talk_n"]: 2, NUMBER["talk_ms"]: 90_000, NUMBER["talk_s2"]: 4_500})
    >>> DurationMean("talk")(counts, ReadingContext(window_s=3600)).value
    45.0
    """

    duration: str

    unit: ClassVar = "seconds"

    @property
    def moments(self) -> Mapping[str, Moments]:
        name = self.duration
        return {f"{name}_n": (1, 0, 0), f"{name}_ms": (0, 0.001, 0), f"{name}_s2": (0, 0, 1)}

    def sample(self, counts: NamedCounts) -> MeanSample:
        count, ms, squares = (counts[f"{self.duration}_{suffix}"] for suffix in ("n", "ms", "s2"))
        return MeanSample(count, ms / 1000, squares)

    @property
    def classes(self) -> ObservationClasses:
        return ObservationClasses(duration=self.duration)


class PointsMean(ObservationMean, frozen=True):
    """Mean of points from 0 to 100, counted in hundredths, with a normal interval."""

    name: str

    unit: ClassVar = "points"

    @property
    def bounds(self) -> tuple[float, float]:
        return 0, 100

    @property
    def moments(self) -> Mapping[str, Moments]:
        return {self.name: (1, 0, 0), f"{self.name}_sum": (0, 0.01, 0), f"{self.name}_squares": (0, 0, 1)}

    def sample(self, counts: NamedCounts) -> MeanSample:
        return MeanSample(counts[self.name], counts[f"{self.name}_sum"] / 100, counts[f"{self.name}_squares"])


class DurationPercentile(MetricFormula, frozen=True):
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

    unit: ClassVar = "seconds"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        histogram = list(counts.histogram(self.duration))
        n = sum(count for _, count in histogram)
        rank = -(-self.percent * n // 100)
        cumulative_count = 0
        for bucket, count in histogram:
            cumulative_count += count
            if cumulative_count >= rank:
                return MetricFigure(bucket_value(bucket) / 1000, None, None, n)
        return NO_DATA


class DurationMax(MetricFormula, frozen=True):
    """Longest duration in seconds: within 2 %, 0 exactly, and never below the mean."""

    duration: str

    unit: ClassVar = "seconds"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        longest = DurationPercentile(self.duration, 100)(counts, context)
        mean = DurationMean(self.duration)(counts, context)
        if longest.value is None or mean.value is None:
            return longest
        return longest._replace(value=max(longest.value, mean.value))


class CountTotal(MetricFormula, frozen=True):
    """Sum of the named counts: 0 where nothing happened. The value is its own support."""

    of: tuple[str, ...]

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        total = _sum(counts, self.of)
        return MetricFigure(total, None, None, total)

    @property
    def events(self) -> tuple[str, ...]:
        return self.of


class MoneySum(MetricFormula, frozen=True):
    """Sum that is counted in hundredths: the total, or with `each` the mean over its support."""

    total: str
    support: str
    each: bool

    unit: ClassVar = "currency"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        support = counts[self.support]
        if not support:
            return NO_DATA
        return MetricFigure(counts[self.total] / 100 / (support if self.each else 1), None, None, support)


class WorkloadRate(MetricFormula, frozen=True):
    """Handled seconds per second of the window."""

    unit: ClassVar = "erlangs"
    needs: ClassVar = "length"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        support = counts["handle_n"]
        if not support or not context.window_s:
            return NO_DATA
        return MetricFigure(counts["handle_ms"] / 1000 / context.window_s, None, None, support)


class AgentCount(MetricFormula, frozen=True):
    """Number of agents that the reader found in the window."""

    needs: ClassVar = "agents"

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        agents = context.active_agents
        return NO_DATA if agents is None else MetricFigure(agents, None, None, agents)


class MatureShare(MetricFormula, frozen=True):
    """Share of a count that lies in the mature part of the window."""

    of: str

    unit: ClassVar = "ratio"
    needs: ClassVar = "mature"

    @property
    def bounds(self) -> tuple[float, float]:
        return 0, 1

    def __call__(self, counts: WindowCounts, context: ReadingContext) -> MetricFigure:
        total = counts[self.of]
        if not total or context.mature is None:
            return NO_DATA
        return MetricFigure(context.mature[self.of] / total, None, None, total)


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
