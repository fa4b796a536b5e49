"""Charts as text, for a terminal."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from streamer.alerts.detection.charts import ChartPoint, VerdictChart

_ROWS: Final = 24
_WIDTH: Final = 40
ValueFormat = Callable[[float], str]
"""Formats a value with its unit."""


def draw_chart(chart: VerdictChart, zone: str, show: ValueFormat) -> Iterator[str]:
    """Draw a line of text for each stretch of time, the oldest first.

    >>> from streamer.alerts.detection.charts import VerdictChart, ChartPoint
    >>> points = (ChartPoint(at=1_795_165_200_000, value=4.0, usual=8.0),)
    >>> for line in draw_chart(VerdictChart(of="events", points=points), "UTC", str):
    ...     print(line)
    events in each hour; ┊ is usual
    Fri 20 Nov 09:00 │█████████████              ┊              4, usual 8
    """
    return _DRAW_BY_KIND[chart.of](chart, zone, show)


def _draw_evidence(chart: VerdictChart, zone: str, show: ValueFormat) -> Iterator[str]:
    """Draw the highest evidence of each stretch, as a share of the decision line."""
    line, over = chart.line or 1.0, chart.over or 0.0
    yield f"evidence; it fires at the right edge ({line:.3g}), and is over left of ┊ ({over:.3g})"
    for stretch in _stretches(chart.points):
        highest = max(point.value or 0.0 for point in stretch)
        share = min(highest / line, 1.0)
        bar = _mark_bar("█" * round(_WIDTH * share), round(_WIDTH * over / line), "┊")
        yield f"{_day_time(stretch[0], zone)} │{bar}│{' fires' if share >= 1 else ''}"


def _draw_score(chart: VerdictChart, zone: str, show: ValueFormat) -> Iterator[str]:
    """Draw the last score of each stretch: ● and the interval around it."""
    target = chart.line or 0.0
    points = [stretch[-1] for stretch in _stretches(chart.points)]
    ends = [end for point in points for end in (point.lower, point.upper, point.value) if end is not None]
    low, high = min([target, *ends]), max([target, *ends])
    column_of = _scale(low, high)
    yield f"● the figure in its interval, from {show(low)} to {show(high)}; the target is │ ({show(target)})"
    for point in points:
        bar = [" "] * (_WIDTH + 1)
        if point.lower is not None and point.upper is not None:
            for column in range(column_of(point.lower), column_of(point.upper) + 1):
                bar[column] = "─"
        bar[column_of(target)] = "│"
        if point.value is not None:
            bar[column_of(point.value)] = "●"
        yield f"{_day_time(point, zone)}  {''.join(bar)}  {'–' if point.value is None else show(point.value)}"


def _draw_events(chart: VerdictChart, zone: str, show: ValueFormat) -> Iterator[str]:
    """Draw event counts; the scale ends at 1.5 times the highest expected number."""
    high = 1.5 * max([1.0, *(point.usual or 0.0 for point in chart.points)])
    yield "events in each hour; ┊ is usual"
    for point in chart.points:
        value, usual = point.value or 0.0, point.usual or 0.0
        bar = _mark_bar("█" * min(round(_WIDTH * value / high), _WIDTH), round(_WIDTH * usual / high), "┊")
        overflow_mark = "…" if value > high else " "
        yield f"{_day_time(point, zone)} │{bar}{overflow_mark} {value:,.0f}, usual {usual:,.0f}"


_DRAW_BY_KIND: Final = {"evidence": _draw_evidence, "score": _draw_score, "events": _draw_events}


def _stretches(points: Sequence[ChartPoint]) -> Iterator[Sequence[ChartPoint]]:
    size = max(1, -(-len(points) // _ROWS))
    return (points[first : first + size] for first in range(0, len(points), size))


def _mark_bar(bar: str, column: int, mark: str) -> str:
    padded = f"{bar:<{_WIDTH}}"
    return padded if padded[column : column + 1] != " " else padded[:column] + mark + padded[column + 1 :]


def _scale(low: float, high: float) -> Callable[[float], int]:
    return lambda value: round(_WIDTH * (value - low) / (high - low)) if high > low else 0


def _day_time(point: ChartPoint, zone: str) -> str:
    moment = datetime.fromtimestamp(point.at // 1000, UTC).astimezone(ZoneInfo(zone))
    return f"{moment:%a %d %b %H:%M}"
