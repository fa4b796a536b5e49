"""Tiles, pages and messages of the wallboard, and the verdicts on a reading: target, trend, sample size.

A figure decides nothing without its interval: a target is met when the whole interval is on its good side,
and missed when the whole interval is on the other one. Last week differs when the two intervals do not
overlap. Below the minimum sample the wallboard shows the number of answers, and no figure.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from streamer.metrics.catalogue import CATALOGUE
from streamer.readings.query import Reading
from streamer.settings import Severity

State = Literal["met", "missed", "unclear", "no_target", "few", "no_data"]
Trend = Literal["up", "down", "same", "unknown"]
What = Literal["missed", "fell", "rose", "silent", "odd"]
"""The cause of an alert: a target is missed; a figure fell, or rose, to worse than its baseline; no more data
comes; the data itself looks wrong."""
History = list[tuple[int, float | None]]
"""Points (ms since the epoch, value), oldest first; the value is None without data or with a small sample."""


class Before(msgspec.Struct, frozen=True):
    """The figure of the same hours last week, with its interval and support."""

    value: float | None
    lower: float | None
    upper: float | None
    support: int


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A reading as the wallboard shows it.

    `least_support` is None if the metric has no interval, or if not even the support may be shown;
    `currency` if the unit is not money; `last_week` if there is nothing to compare with."""

    id: str
    metric: str
    stat: str
    unit: str
    better: str
    window: str
    by: str
    key: str
    value: float | None
    lower: float | None
    upper: float | None
    support: int
    least_support: int | None
    currency: str | None
    target: float | None
    state: State
    trend: Trend
    trend_is_good: bool | None
    last_week: Before | None
    history: History

    def same(self, other: "Tile") -> bool:
        """Tell whether both tiles are equal but for the newest point of history."""
        return msgspec.structs.replace(self, history=_settled(self)) == msgspec.structs.replace(
            other, history=_settled(other)
        )


class Page(msgspec.Struct, frozen=True):
    """The tiles that a wallboard shows at once, of one group. `name` is the display name of the key."""

    by: str
    key: str
    name: str
    tiles: list[Tile]


class Aims(NamedTuple):
    """Settings of a tile: its target, the minimum sample to show a figure, and the currency."""

    target: float | None
    least_support: int
    currency: str


class Seen(NamedTuple):
    """The readings of one tile: the current one, that of the same hours last week (None: unknown), and the
    history of (ms since the epoch, reading). `is_hidden`: this audience may not see the figure."""

    now: Reading
    last_week: Reading | None
    history: Sequence[tuple[int, Reading]]
    hidden: bool = False


def tile(seen: Seen, aims: Aims) -> Tile:
    """Build a tile; a figure from a small or suppressed sample is left out, and only its support is shown."""
    now = seen.now
    few = seen.hidden or too_few(now, aims.least_support)
    before = _comparable(seen.last_week, aims.least_support)
    trend = "unknown" if few or before is None else _trend(now, before)
    return Tile(
        id="/".join((now.by, now.key, now.metric, now.stat, now.window)),
        metric=now.metric,
        stat=now.stat,
        unit=now.unit,
        better=now.better,
        window=now.window,
        by=now.by,
        key=now.key,
        value=None if few else now.value,
        lower=None if few else now.lower,
        upper=None if few else now.upper,
        support=now.support,
        least_support=aims.least_support if _has_interval(now) and not seen.hidden else None,
        currency=aims.currency if now.unit == "currency" else None,
        target=aims.target,
        state="few" if few else _state(now, aims.target),
        trend=trend,
        trend_is_good=_is_good(trend, now.better),
        last_week=before,
        history=[(at, _value(one, aims.least_support)) for at, one in seen.history],
    )


def too_few(reading: Reading, least_support: int) -> bool:
    """Tell whether a figure with an interval comes from a sample below `least_support`."""
    return reading.value is not None and _has_interval(reading) and reading.support < least_support


def _has_interval(reading: Reading) -> bool:
    return bool(CATALOGUE[reading.metric].measure.interval)


def _value(reading: Reading, least_support: int) -> float | None:
    return None if too_few(reading, least_support) else reading.value


def _state(now: Reading, target: float | None) -> State:
    if now.value is None:
        return "no_data"
    if target is None:
        return "no_target"
    lower, upper = _ends(now, now.value)
    if now.better == "lower":
        lower, upper, target = -upper, -lower, -target
    return "met" if lower >= target else "missed" if upper < target else "unclear"


def _ends(now: Reading, value: float) -> tuple[float, float]:
    """Return the interval, or (value, value) for a figure without one."""
    return (value if now.lower is None else now.lower), (value if now.upper is None else now.upper)


def _comparable(reading: Reading | None, least_support: int) -> Before | None:
    """Return the figure of last week if it can be compared.

    Without an interval a difference cannot be told from chance, all the more as the whole hours of last week
    are longer than the window."""
    if reading is None or reading.lower is None or too_few(reading, least_support):
        return None
    return Before(reading.value, reading.lower, reading.upper, reading.support)


def _trend(now: Reading, before: Before) -> Trend:
    if now.lower is None or now.upper is None or before.lower is None or before.upper is None:
        return "unknown"
    return "up" if now.lower > before.upper else "down" if now.upper < before.lower else "same"


_GOOD: Final = {
    ("up", "higher"): True,
    ("down", "lower"): True,
    ("down", "higher"): False,
    ("up", "lower"): False,
}


def _is_good(trend: Trend, better: str) -> bool | None:
    return _GOOD.get((trend, better))


def _settled(one: Tile) -> History:
    """Return the history without its newest point, which is the current figure itself."""
    return one.history[:-1]


# Messages to browsers.


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A warning on the wallboard, `since` in ms since the epoch.

    `kind` is "store", "worker", "behind" or "stale" for problems of the pipeline, which have no metric and no
    group; else it is the kind of the rule, and `what` its symptom. `group` is the display name of the key, ""
    for the whole center. `text` is a sentence in English."""

    id: str
    severity: Severity
    kind: str
    text: str
    since: int
    phase: Literal["firing", "clearing"] = "firing"
    acknowledged: bool = False
    what: What | None = None
    metric: str | None = None
    by: str | None = None
    key: str | None = None
    group: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The complete state of a view. `version` is that of the page's files; `now` in ms since the epoch."""

    version: str
    view: str
    title: str
    timezone: str
    now: int
    fresh_s: float | None
    rotate_s: float | None
    pages: list[Page]
    alerts: list[Alert]


class Change(msgspec.Struct, frozen=True):
    """The tiles that changed since the last message, and all alerts."""

    now: int
    fresh_s: float | None
    tiles: list[Tile]
    alerts: list[Alert]


class Heartbeat(msgspec.Struct, frozen=True):
    """A sign of life while nothing changes: the data's age (s) and the version of the page's files."""

    now: int
    fresh_s: float | None
    version: str


def changed(before: Sequence[Page], after: Sequence[Page]) -> list[Tile]:
    """Return the tiles that changed between two reads of the same pages."""
    known = {one.id: one for page in before for one in page.tiles}
    return [one for page in after for one in page.tiles if one.id not in known or not one.same(known[one.id])]
