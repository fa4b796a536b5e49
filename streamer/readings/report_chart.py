"""Draw the course of a figure as SVG: a line, its 95 % interval as a band, the target as a dashed line."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from streamer.readings.interval_report import IntervalReading

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 150, 58, 8, 130
_ROOM: Final = 0.06
"""Part of the range that is left free above and below."""


def chart(
    readings: Sequence[IntervalReading], zone: ZoneInfo, label: str, written: Callable[[float], str]
) -> str:
    """Return an SVG element. `label`: what it shows, in words; `written`: how a value is written."""
    low, high = _range(readings)
    step = (WIDTH - LEFT - 8) / max(1, len(readings) - 1)

    def x(place: int) -> float:
        return round(LEFT + step * place, 1)

    def y(value: float) -> float:
        return round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1)

    parts = [
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{y(edge)}" y2="{y(edge)}"/>'
        f'<text x="{LEFT - 6}" y="{y(edge) + 4}" text-anchor="end">{escape(written(edge))}</text>'
        for edge in (low, high)
    ]
    for place, anchor in ((0, "start"), (len(readings) - 1, "end")):
        moment = _moment(readings[place], zone)
        parts.append(f'<text x="{x(place)}" y="{HEIGHT - 4}" text-anchor="{anchor}">{moment}</text>')
    if (target := readings[0].target) is not None:
        parts.append(f'<line class="target" x1="{LEFT}" x2="{WIDTH}" y1="{y(target)}" y2="{y(target)}"/>')
    for run in _known_runs(readings):
        if all(readings[place].lower is not None for place in run):
            edges = [(place, readings[place].upper or 0.0) for place in run]
            edges += [(place, readings[place].lower or 0.0) for place in reversed(run)]
            parts.append(f'<polygon class="band" points="{_points((x(at), y(end)) for at, end in edges)}"/>')
        values = [(x(place), y(readings[place].value or 0.0)) for place in run]
        parts.append(f'<polyline class="line" points="{_points(iter(values))}"/>')
        for place, (at, height) in zip(run, values, strict=True):
            told = _told(readings[place], zone, written)
            parts.append(
                f'<circle class="dot" cx="{at}" cy="{height}" r="2.5"><title>{told}</title></circle>'
            )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _range(readings: Sequence[IntervalReading]) -> tuple[float, float]:
    """Return the ends of the scale: all values, intervals and the target lie between."""
    values = [
        value
        for reading in readings
        for value in (reading.value, reading.lower, reading.upper, reading.target)
        if value is not None
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
    return (0.0 if low >= 0 else low - room), high + room


def _known_runs(readings: Sequence[IntervalReading]) -> Iterator[list[int]]:
    """Yield the places of values that follow one another without a gap."""
    for is_known, run in groupby(range(len(readings)), lambda place: readings[place].value is not None):
        if is_known:
            yield [*run]


def _points(points: Iterator[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _moment(reading: IntervalReading, zone: ZoneInfo) -> str:
    form = "%H:%M" if reading.window == "1h" else "%Y-%m-%d"
    return f"{datetime.fromisoformat(reading.from_).astimezone(zone):{form}}"


def _told(reading: IntervalReading, zone: ZoneInfo, written: Callable[[float], str]) -> str:
    return escape(f"{_moment(reading, zone)}: {written(reading.value or 0.0)}, n {reading.support:,}")
