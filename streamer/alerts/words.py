"""Here is how figures are said in a sentence."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from streamer.metrics.catalogue import Metric

_ACRONYMS: Final = ("nps", "cnx", "csat", "ces", "fcr", "qa")
_SUFFIXES: Final = ("_seconds", "_ratio", "_score")


def title(metric: Metric) -> str:
    """NPS, Handle time, Service level."""
    name = metric.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    first, *others = [part.upper() if part in _ACRONYMS else part for part in name.split("_")]
    return " ".join([first[:1].upper() + first[1:], *others])


def said(metric: Metric, value: float) -> str:
    """81 %, 4:05 min, 31 points."""
    match metric.unit:
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


def whom(by: str, name: str) -> str:
    return "the whole center" if by == "all" else name


def clock(ms: int, at: int, zone: str) -> str:
    """10:35; of another day, Fri 20 Nov 10:35."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).astimezone(ZoneInfo(zone))
    today = datetime.fromtimestamp(at // 1000, UTC).astimezone(ZoneInfo(zone)).date()
    return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%a %d %b %H:%M}"


def lasting(ms: float) -> str:
    """45 s, 12 min, 3 h, 2 days."""
    seconds = ms / 1000
    for size, unit in ((2 * 86_400, "days"), (7200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{seconds:.0f} s"
