"""Charts of a verdict: how it came about over time, as points."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from streamer.alerts.detection.evidence_replay import OVER_SHARE
from streamer.alerts.detection.series import MetricSeries
from streamer.alerts.verdict import Verdict
from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.formulas import WindowCounts
from streamer.panes.windows import window_length_ms

EVIDENCE_POINTS: Final = 240
"""Most points of an evidence chart."""
SCORE_POINTS: Final = 48
"""Points of a score chart."""
_EVENT_HOURS: Final = 24


class ChartPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One point. `at` in ms since the epoch: for evidence and events the start of a step, for a score the
    end of its window. `value` None: there is nothing to say. `lower` and `upper`: of a target's interval,
    with the confidence required. `usual`: for events, the number expected."""

    at: int
    value: float | None
    lower: float | None = None
    upper: float | None = None
    usual: float | None = None


class VerdictChart(msgspec.Struct, frozen=True, kw_only=True):
    """One chart. `evidence` (drops; log likelihood): it fires from `line` on, and is over below `over`.
    `score` (targets; the metric's unit): it fires where the interval lies beyond `line`, the target.
    `events` (missing data): the number in each hour beside the expected one; there is no line."""

    of: Literal["evidence", "score", "events"]
    points: tuple[ChartPoint, ...]
    line: float | None = None
    over: float | None = None


def evidence_chart(evidence_points: Iterable[tuple[int, float]], line: float) -> VerdictChart:
    """Chart the highest evidence of each stretch of time; the last point is the last step."""
    points = [*evidence_points]
    size = max(1, -(-len(points) // EVIDENCE_POINTS))
    stretches = [points[max(end - size, 0) : end] for end in range(len(points), 0, -size)][::-1]
    highest_points = (max(stretch, key=lambda point: point[1]) for stretch in stretches[:-1])
    chart_points = [*highest_points, *(stretch[-1] for stretch in stretches[-1:])]
    return VerdictChart(
        of="evidence", points=tuple(ChartPoint(at=at_ms, value=value) for at_ms, value in chart_points),
        line=line, over=OVER_SHARE * line,
    )  # fmt: skip


CountsByMoment = Mapping[int, Mapping[str, WindowCounts] | None]
"""Counts of a target's window by key, by moment (ms); None: they are no longer kept."""


def chart_moments(window: str, at_ms: int) -> Sequence[int]:
    """Return the moments of the points of a score chart, in ms.

    >>> moments = chart_moments("15m", 1_795_168_800_000)
    >>> len(moments), (moments[1] - moments[0]) // 60_000  # every 30 minutes of one day
    (48, 30)
    """
    interval_ms = max(DAY, window_length_ms(window)) // SCORE_POINTS
    return [at_ms - number * interval_ms for number in range(SCORE_POINTS)][::-1]


def score_chart(
    counts_by_moment: CountsByMoment, key: str, evaluate: Callable[[WindowCounts], Verdict | None]
) -> VerdictChart | None:
    """Chart a score against its target; None: there is no target, or nothing to show."""
    points, target = [], None
    for at_ms, counts in counts_by_moment.items():
        verdict = evaluate(counts[key]) if counts and key in counts else None
        figures = verdict and verdict.figures
        target = figures.target if figures else target
        points.append(
            ChartPoint(at=at_ms, value=figures.value, lower=figures.lower, upper=figures.upper)
            if figures
            else ChartPoint(at=at_ms, value=None)
        )
    if target is None:
        return None
    return VerdictChart(of="score", points=tuple(points), line=target)


def event_chart(series: MetricSeries, key: str) -> VerdictChart:
    return VerdictChart(of="events", points=tuple(_hourly_points(series, series.keys.index(key))))


def _hourly_points(series: MetricSeries, group: int) -> Iterator[ChartPoint]:
    counts = series.counts[:, group].sum(axis=1)
    hours = series.starts // HOUR
    for hour in range(series.at // HOUR - _EVENT_HOURS + 1, series.at // HOUR + 1):
        steps = hours == hour
        if steps.any():
            elapsed_share = min(1.0, (series.at - hour * HOUR) / HOUR)
            rate = float(series.baseline.rates[group, series.hours[steps, group][0]])
            yield ChartPoint(at=hour * HOUR, value=float(counts[steps].sum()), usual=rate * elapsed_share)
