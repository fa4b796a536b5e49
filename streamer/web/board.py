"""Here is the board: what a wall shows of readings, and what may be said of them.

A figure without its interval decides nothing: a target is met when the whole interval is on its good
side, missed when the whole interval is on the other one; last week was different when the intervals are
apart. Below the least support the wall shows how many answers there are, and no figure.
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
"""A target is missed; a figure fell, or rose, to where it is worse than usual; nothing comes any more; the
data itself is odd."""
History = list[tuple[int, float | None]]
"""Values by time in ms since the epoch, oldest first; None is no data, or too few."""


class Before(msgspec.Struct, frozen=True):
    """A figure of last week."""

    value: float | None
    lower: float | None
    upper: float | None
    support: int


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A reading as the wall shows it. `least_support` None: the metric has no interval, or not even the
    support is for those who look; `currency` None: no money; `last_week` None: nothing to compare with."""

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
        """Whether both say the same, but for the time of the newest point of history."""
        return msgspec.structs.replace(self, history=_settled(self)) == msgspec.structs.replace(
            other, history=_settled(other)
        )


class Page(msgspec.Struct, frozen=True):
    """What is on the wall at a time. `name` is what people call the key."""

    by: str
    key: str
    name: str
    tiles: list[Tile]


class Aims(NamedTuple):
    """What a tile is measured by: its target, the least support to show a figure, and the currency."""

    target: float | None
    least_support: int
    currency: str


class Seen(NamedTuple):
    """One figure: now, in the same hours of last week (None: not known), and before now. `hidden`: there
    is one, but not for those who look."""

    now: Reading
    last_week: Reading | None
    history: Sequence[tuple[int, Reading]]
    hidden: bool = False


def tile(seen: Seen, aims: Aims) -> Tile:
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
    """Whether there is a figure, of a sample too small to show it."""
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
    """The interval; of a figure without one, the figure."""
    return (value if now.lower is None else now.lower), (value if now.upper is None else now.upper)


def _comparable(reading: Reading | None, least_support: int) -> Before | None:
    """A figure without an interval cannot be told from chance, and whole hours are longer than a window."""
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
    """History without its newest point, which is the figure itself as of now."""
    return one.history[:-1]


# What is sent.


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What a wall warns of, `since` (ms since the epoch). `kind` of the pipeline's own troubles: "store",
    "worker", "behind", "stale"; these are of no metric and no group. Else the kind of rule, and what it saw:
    `what`. `group` is what people call the key, "" of the whole center. `text` is a sentence in English."""

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
    """All of a view. `version`: of the page's own files; `now` in ms since the epoch."""

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
    """The tiles that are not as they were, and all alerts."""

    now: int
    fresh_s: float | None
    tiles: list[Tile]
    alerts: list[Alert]


class Heartbeat(msgspec.Struct, frozen=True):
    now: int
    fresh_s: float | None
    version: str


def changed(before: Sequence[Page], after: Sequence[Page]) -> list[Tile]:
    """The tiles that do not say what they said; pages and tiles are the same ones."""
    known = {one.id: one for page in before for one in page.tiles}
    return [one for page in after for one in page.tiles if one.id not in known or not one.same(known[one.id])]
