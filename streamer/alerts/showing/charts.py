"""Charts of a verdict: how it came about over time, as points."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from streamer.alerts.judging import drops
from streamer.alerts.judging.drops import Drops
from streamer.alerts.judging.replay import OVER
from streamer.alerts.judging.series import Series
from streamer.alerts.verdict import Verdict
from streamer.events.rules import DAY, HOUR
from streamer.metrics.formulas import Counts
from streamer.panes.windows import length

POINTS: Final = 240
"""Most points of an evidence chart."""
LOOKS: Final = 48
"""Points of a score chart."""
_HOURS: Final = 24


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One point. `at` in ms since the epoch: for evidence and events the start of a step, for a score the
    end of its window. `value` None: there is nothing to say. `lower` and `upper`: of a target's interval,
    with the confidence required. `usual`: for events, the number expected."""

    at: int
    value: float | None
    lower: float | None = None
    upper: float | None = None
    usual: float | None = None


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One chart. `evidence` (drops; log likelihood): it fires from `line` on, and is over below `over`.
    `score` (targets; the metric's unit): it fires where the interval lies beyond `line`, the target.
    `events` (missing data): the number in each hour beside the expected one; there is no line."""

    of: Literal["evidence", "score", "events"]
    points: tuple[Point, ...]
    line: float | None = None
    over: float | None = None


def evidence(found: Drops, key: str, line: float) -> Chart:
    """Chart the highest evidence of each stretch of time; the last point is the last step."""
    points = [*drops.chart(found, key)]
    size = max(1, -(-len(points) // POINTS))
    stretches = [points[max(end - size, 0) : end] for end in range(len(points), 0, -size)][::-1]
    highest = (max(one, key=lambda point: point[1]) for one in stretches[:-1])
    told = [*highest, *(one[-1] for one in stretches[-1:])]
    return Chart(
        of="evidence", points=tuple(Point(at=at, value=value) for at, value in told), line=line,
        over=OVER * line,
    )  # fmt: skip


Samples = Mapping[int, Mapping[str, Counts] | None]
"""Counts of a target's window by key, by moment (ms); None: they are no longer kept."""


def looks(window: str, at: int) -> Sequence[int]:
    """Return the moments of the points of a score chart, in ms.

    >>> moments = looks("15m", 1_795_168_800_000)
    >>> len(moments), (moments[1] - moments[0]) // 60_000  # every 30 minutes of one day
    (48, 30)
    """
    every = max(DAY, length(window)) // LOOKS
    return [at - number * every for number in range(LOOKS)][::-1]


def score(samples: Samples, key: str, judge: Callable[[Counts], Verdict | None]) -> Chart | None:
    """Chart a score against its target; None: there is no target, or nothing to show."""
    points, target = [], None
    for at, counts in samples.items():
        verdict = judge(counts[key]) if counts and key in counts else None
        figures = verdict and verdict.figures
        target = figures.target if figures else target
        points.append(
            Point(at=at, value=figures.value, lower=figures.lower, upper=figures.upper)
            if figures
            else Point(at=at, value=None)
        )
    if target is None:
        return None
    return Chart(of="score", points=tuple(points), line=target)


def events(series: Series, key: str) -> Chart:
    return Chart(of="events", points=tuple(_hours(series, series.keys.index(key))))


def _hours(series: Series, group: int) -> Iterator[Point]:
    came = series.counts[:, group].sum(axis=1)
    hours = series.starts // HOUR
    for hour in range(series.at // HOUR - _HOURS + 1, series.at // HOUR + 1):
        steps = hours == hour
        if steps.any():
            part = min(1.0, (series.at - hour * HOUR) / HOUR)
            rate = float(series.usual.rates[group, series.hours[steps, group][0]])
            yield Point(at=hour * HOUR, value=float(came[steps].sum()), usual=rate * part)
