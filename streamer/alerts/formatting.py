"""Figures, times and groups formatted for use in a sentence."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from streamer.metrics.catalogue import Metric
from streamer.metrics.intervals import Interval
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import NOW, TODAY
from streamer.readings.query import dimension_values

_MARKUP: Final = re.compile(
    r"(@(?=\S)|\](?=\()|://|[*_~`](?=\S)|!(?=\[)|:(?=[a-z0-9_+-]+:)|<(?=[!@#a-z/])|[.。．｡](?=[^\W\d_]))"
)
_ACRONYMS: Final = ("nps", "cnx", "csat", "ces", "fcr", "acw", "qa")
_SUFFIXES: Final = ("_seconds", "_ratio", "_score")
_UNITS: Final = {"m": "minute", "h": "hour", "d": "day"}


def inert(text: str) -> str:
    """Break up what a chat would take for a mention, a link or markup, by blanks without width.

    Names come from events: a queue called evil.example is not to become a link.

    >>> inert("evil.example") == "evil.\u200bexample", inert("Up by 1.5 %.")
    (True, 'Up by 1.5 %.')
    """
    return _MARKUP.sub("\\1\u200b", text)


def metric_label(metric: Metric) -> str:
    """Return a metric's display name: NPS, Handle time, Service level, Abandon rate."""
    if metric.label:
        return metric.label
    name = metric.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return spell_out(name)


def spell_out(name: str) -> str:
    """Return the words of a metric's name, abbreviations in capitals.

    >>> spell_out("nps_score"), spell_out("handle_time")
    ('NPS score', 'Handle time')
    """
    first, *others = [word.upper() if word in _ACRONYMS else word for word in name.split("_")]
    return " ".join([first[:1].upper() + first[1:], *others])


def format_metric(metric: Metric, value: float) -> str:
    """Format a value in the metric's unit: 81 %, 4:05 min, 31."""
    return format_in_unit(metric.unit, value)


def format_in_unit(unit: str, value: float) -> str:
    """Format a value in this unit.

    >>> format_in_unit("ratio", 0.81), format_in_unit("seconds", 245), format_in_unit("points", -9.2)
    ('81 %', '4:05 min', '−9')
    """
    match unit:
        case "ratio":
            return f"{100 * value:.1f} %".replace(".0 %", " %")
        case "seconds" if value >= 60:
            minutes, seconds = divmod(round(value), 60)
            return f"{minutes}:{seconds:02d} min"
        case "seconds":
            return f"{value:.0f} s"
        case "points":
            return f"{value:.0f}".replace("-", "−")
        case _:
            return f"{value:.2f}".rstrip("0").rstrip(".")


def format_difference(unit: str, value: float) -> str:
    """Format a difference with its sign and unit.

    >>> format_difference("points", -9), format_difference("seconds", 45), format_difference("ratio", -0.065)
    ('−9 points', '+45 s', '−6.5 percentage points')
    """
    sign = "−" if value < 0 else "+"
    match unit:
        case "ratio":
            return f"{sign}{100 * abs(value):.1f} percentage points".replace(".0 ", " ")
        case "points":
            return f"{sign}{abs(value):.0f} {'point' if round(abs(value)) == 1 else 'points'}"
        case _:
            return f"{sign}{format_in_unit(unit, abs(value))}"


def window_text(window: str) -> str:
    """Return a window as a phrase.

    >>> window_text("today"), window_text("1h"), window_text("7d")
    ('today', 'in the last hour', 'in the last 7 days')
    """
    if window in (NOW, TODAY):
        return window
    number, unit = int(window[:-1]), _UNITS[window[-1]]
    return f"in the last {unit}" if number == 1 else f"in the last {number} {unit}s"


def event_noun(metric: Metric) -> str:
    """Return the noun for the events of a count: contacts, callbacks."""
    return metric.events or metric_label(metric).lower()


def observations(metric: Metric, number: int) -> str:
    """Return the number of observations behind a figure, with its noun: 64 answers, 1 contact."""
    noun = metric.sample_noun
    return f"{number:,} {noun if number != 1 else noun.removesuffix('s')}"


def support_sentence(metric: Metric, support: int, interval: Interval | None) -> str:
    """Return on how many observations a figure rests, and its ordinary interval, as a sentence."""
    sentence = f"That rests on {observations(metric, support)}"
    if interval is None:
        return f"{sentence}."
    lower, upper = format_metric(metric, interval.lower), format_metric(metric, interval.upper)
    return f"{sentence}: with 95 % certainty it is between {lower} and {upper}."


def group_name(names: Mapping[str, Mapping[str, str]], by: str, key: str) -> str:
    """Return the display name of a group from the names set for each dimension: Billing, or Billing · Chat
    for a pair.

    >>> group_name({"queue": {"billing": "Billing"}}, "queue,channel", "billing,chat")
    'Billing · chat'
    """
    values = dimension_values(by, key).items()
    return " · ".join(names.get(dimension, {}).get(value, value) for dimension, value in values)


def arrivals_phrase(metric: Metric, by: str, name: str) -> str:
    """Return the events and their group as a phrase: contacts from Billing."""
    return f"{event_noun(metric)} {'in' if by == ALL else 'from'} {group_noun(by, name)}"


def group_noun(by: str, name: str) -> str:
    return "the whole center" if by == ALL else name


def clock(time_ms: int, at_ms: int, zone: str) -> str:
    """Format a time of day, with the date if it is not the day of `at_ms`: 10:35, or Fri 20 Nov 10:35."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(ZoneInfo(zone))
    today = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(ZoneInfo(zone)).date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%a %d %b %H:%M}"


def duration(duration_ms: float) -> str:
    """Format a duration in the largest unit that fits twice.

    >>> [duration(seconds * 1000) for seconds in (45, 720, 10_800, 172_800)]
    ['45 s', '12 min', '3 h', '2 days']
    """
    seconds = duration_ms / 1000
    for unit_s, unit in ((31_557_600, "years"), (86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
