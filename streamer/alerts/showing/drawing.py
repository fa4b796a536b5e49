"""Charts as text, for a terminal."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from streamer.alerts.showing.charts import Chart, Point

_ROWS: Final = 24
_WIDE: Final = 40
Say = Callable[[float], str]
"""Formats a value with its unit."""


def drawn(chart: Chart, zone: str, say: Say) -> Iterator[str]:
    """Draw a line of text for each stretch of time, the oldest first.

    >>> from streamer.alerts.showing.charts import Chart, Point
    >>> points = (Point(at=1_795_165_200_000, value=4.0, usual=8.0),)
    >>> for line in drawn(Chart(of="events", points=points), "UTC", str):
    ...     print(line)
    events in each hour; ┊ is usual
    Fri 20 Nov 09:00 │█████████████              ┊              4, usual 8
    """
    return _DRAWN[chart.of](chart, zone, say)


def _evidence(chart: Chart, zone: str, say: Say) -> Iterator[str]:
    """Draw the highest evidence of each stretch, as a share of the decision line."""
    line, over = chart.line or 1.0, chart.over or 0.0
    yield f"evidence; it fires at the right edge ({line:.3g}), and is over left of ┊ ({over:.3g})"
    for stretch in _stretches(chart.points):
        highest = max(point.value or 0.0 for point in stretch)
        share = min(highest / line, 1.0)
        bar = _marked("█" * round(_WIDE * share), round(_WIDE * over / line), "┊")
        yield f"{_when(stretch[0], zone)} │{bar}│{' fires' if share >= 1 else ''}"


def _score(chart: Chart, zone: str, say: Say) -> Iterator[str]:
    """Draw the last score of each stretch: ● and the interval around it."""
    target = chart.line or 0.0
    shown = [stretch[-1] for stretch in _stretches(chart.points)]
    ends = [end for one in shown for end in (one.lower, one.upper, one.value) if end is not None]
    low, high = min([target, *ends]), max([target, *ends])
    place = _scale(low, high)
    yield f"● the figure in its interval, from {say(low)} to {say(high)}; the target is │ ({say(target)})"
    for one in shown:
        bar = [" "] * (_WIDE + 1)
        if one.lower is not None and one.upper is not None:
            for at in range(place(one.lower), place(one.upper) + 1):
                bar[at] = "─"
        bar[place(target)] = "│"
        if one.value is not None:
            bar[place(one.value)] = "●"
        yield f"{_when(one, zone)}  {''.join(bar)}  {'–' if one.value is None else say(one.value)}"


def _events(chart: Chart, zone: str, say: Say) -> Iterator[str]:
    """Draw event counts; the scale ends at 1.5 times the highest expected number."""
    high = 1.5 * max([1.0, *(one.usual or 0.0 for one in chart.points)])
    yield "events in each hour; ┊ is usual"
    for one in chart.points:
        value, usual = one.value or 0.0, one.usual or 0.0
        bar = _marked("█" * min(round(_WIDE * value / high), _WIDE), round(_WIDE * usual / high), "┊")
        yield f"{_when(one, zone)} │{bar}{'…' if value > high else ' '} {value:,.0f}, usual {usual:,.0f}"


_DRAWN: Final = {"evidence": _evidence, "score": _score, "events": _events}


def _stretches(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    size = max(1, -(-len(points) // _ROWS))
    return (points[first : first + size] for first in range(0, len(points), size))


def _marked(bar: str, at: int, mark: str) -> str:
    padded = f"{bar:<{_WIDE}}"
    return padded if padded[at : at + 1] != " " else padded[:at] + mark + padded[at + 1 :]


def _scale(low: float, high: float) -> Callable[[float], int]:
    return lambda value: round(_WIDE * (value - low) / (high - low)) if high > low else 0


def _when(point: Point, zone: str) -> str:
    moment = datetime.fromtimestamp(point.at // 1000, UTC).astimezone(ZoneInfo(zone))
    return f"{moment:%a %d %b %H:%M}"
