"""Tiles, pages and messages of the wallboard, and the verdicts on a reading: target, trend, sample size.

A figure decides nothing without its interval: a target is met when the whole interval is on its good side,
and missed when the whole interval is on the other one. Last week differs when the two intervals do not
overlap. Below the minimum sample the wallboard shows the number of answers, and no figure.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from streamer.alerts.verdict import AlertSymptom
from streamer.readings.figure_state import FigureState, figure_state, has_interval, has_small_sample
from streamer.readings.query import Reading
from streamer.settings import Severity

TileState = FigureState | Literal["few", "unserved"]
"""`unserved`: contacts wait, and nobody is available."""
TileTrend = Literal["up", "down", "same", "unknown"]
TileHistory = list[tuple[int, float | None]]
"""Points (ms since the epoch, value), oldest first; the value is None without data or with a small sample."""


class LastWeekValue(msgspec.Struct, frozen=True):
    """The figure of the same hours last week, with its interval and support."""

    value: float | None
    lower: float | None
    upper: float | None
    support: int


class WallboardTile(msgspec.Struct, frozen=True, kw_only=True):
    """Anything on a wallboard's page; `metric` is that of a figure, or the name of a table."""

    id: str
    metric: str
    window: str

    def shows_same_as(self, other: "WallboardTile") -> bool:
        """Tell whether both look the same on the page."""
        return self == other


class Tile(WallboardTile, frozen=True, kw_only=True):
    """A reading as the wallboard shows it.

    `least_support` is None if the metric has no interval, or if not even the support may be shown;
    `currency` if the unit is not money; `last_week` if there is nothing to compare with. `label`: the
    name that the settings give it."""

    stat: str
    unit: str
    better: str
    by: str
    key: str
    value: float | None
    lower: float | None
    upper: float | None
    support: int
    least_support: int | None
    currency: str | None
    target: float | None
    state: TileState
    trend: TileTrend
    trend_is_good: bool | None
    last_week: LastWeekValue | None
    history: TileHistory
    label: str = ""

    def shows_same_as(self, other: WallboardTile) -> bool:
        """Tell whether both tiles are equal but for the newest point of history."""
        if not isinstance(other, Tile):
            return False
        return msgspec.structs.replace(self, history=_history_before_now(self)) == msgspec.structs.replace(
            other, history=_history_before_now(other)
        )


class WallboardPage(msgspec.Struct, frozen=True):
    """The tiles that a wallboard shows at once, of one group. `name` is the display name of the key."""

    by: str
    key: str
    name: str
    tiles: list[WallboardTile]


class TileTargets(NamedTuple):
    """Settings of a tile: its target, the minimum sample to show a figure, and the currency."""

    target: float | None
    least_support: int
    currency: str


class TileReadings(NamedTuple):
    """The readings of one tile: the current one, that of the same hours last week (None: unknown), and the
    history of (ms since the epoch, reading). `is_hidden`: this audience may not see the figure."""

    current: Reading
    last_week: Reading | None
    history: Sequence[tuple[int, Reading]]
    is_hidden: bool = False


def build_tile(readings: TileReadings, targets: TileTargets) -> Tile:
    """Build a tile; a figure from a small or suppressed sample is left out, and only its support is shown."""
    reading = readings.current
    is_withheld = readings.is_hidden or has_small_sample(reading, targets.least_support)
    last_week = _comparable_last_week(readings.last_week, targets.least_support)
    trend = "unknown" if is_withheld or last_week is None else _trend(reading, last_week)
    return Tile(
        id="/".join((reading.by, reading.key, reading.metric, reading.stat, reading.window)),
        metric=reading.metric,
        stat=reading.stat,
        unit=reading.unit,
        better=reading.better,
        window=reading.window,
        by=reading.by,
        key=reading.key,
        value=None if is_withheld else reading.value,
        lower=None if is_withheld else reading.lower,
        upper=None if is_withheld else reading.upper,
        support=reading.support,
        least_support=targets.least_support if has_interval(reading) and not readings.is_hidden else None,
        currency=targets.currency if reading.unit == "currency" else None,
        target=targets.target,
        state="few" if is_withheld else figure_state(reading, targets.target),
        trend=trend,
        trend_is_good=_IS_GOOD.get((trend, reading.better)),
        last_week=last_week,
        history=[
            (at_ms, None if has_small_sample(point, targets.least_support) else point.value)
            for at_ms, point in readings.history
        ],
    )


def _comparable_last_week(reading: Reading | None, least_support: int) -> LastWeekValue | None:
    """Return the figure of last week if it can be compared.

    Without an interval a difference cannot be told from chance, all the more as the whole hours of last week
    are longer than the window."""
    if reading is None or reading.lower is None or has_small_sample(reading, least_support):
        return None
    return LastWeekValue(reading.value, reading.lower, reading.upper, reading.support)


def _trend(reading: Reading, last_week: LastWeekValue) -> TileTrend:
    if reading.lower is None or reading.upper is None or last_week.lower is None or last_week.upper is None:
        return "unknown"
    return "up" if reading.lower > last_week.upper else "down" if reading.upper < last_week.lower else "same"


_IS_GOOD: Final = {
    ("up", "higher"): True,
    ("down", "lower"): True,
    ("down", "higher"): False,
    ("up", "lower"): False,
}


def _history_before_now(tile: Tile) -> TileHistory:
    """Return the history without its newest point, which is the current figure itself."""
    return tile.history[:-1]


# Messages to browsers.


class AlertFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The figure that an alert is about as it is now, with the fields of a tile."""

    value: float | None
    lower: float | None
    upper: float | None
    support: int
    least_support: int | None
    currency: str | None
    target: float | None
    state: TileState


class WallboardAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A warning on the wallboard, `since` in ms since the epoch.

    `kind` is "store", "worker", "behind" or "stale" for problems of the pipeline, which have no metric and no
    group; else it is the kind of the rule, and `what` its symptom. `group` is the display name of the key, ""
    for the whole center. `text` is a sentence in English. `current` is its figure over `window` now, and
    `fired_value` what it was when receivers were notified, at `fired_at`; None: unknown, or not shown."""

    id: str
    severity: Severity
    kind: str
    text: str
    since: int
    phase: Literal["firing", "clearing"] = "firing"
    acknowledged: bool = False
    what: AlertSymptom | None = None
    metric: str | None = None
    by: str | None = None
    key: str | None = None
    group: str | None = None
    unit: str | None = None
    better: str | None = None
    window: str | None = None
    fired_at: int | None = None
    fired_value: float | None = None
    current: AlertFigure | None = None


class WallboardSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The complete state of a view. `version` is that of the page's files; `now` in ms since the epoch;
    `fresh_s` is `data_age_s` under its former name, until 0.3, here and in the other messages.
    `long_states_s`: for how long an agent may be in a state before that is unusual, in seconds by state."""

    version: str
    view: str
    title: str
    timezone: str
    now: int
    data_age_s: float | None
    fresh_s: float | None
    rotate_s: float | None
    pages: list[WallboardPage]
    alerts: list[WallboardAlert]
    long_states_s: dict[str, float] = {}


class WallboardChange(msgspec.Struct, frozen=True):
    """The tiles that changed since the last message, and all alerts."""

    now: int
    data_age_s: float | None
    fresh_s: float | None
    tiles: list[WallboardTile]
    alerts: list[WallboardAlert]


class WallboardHeartbeat(msgspec.Struct, frozen=True):
    """A sign of life while nothing changes: the data's age (s) and the version of the page's files."""

    now: int
    data_age_s: float | None
    fresh_s: float | None
    version: str


def tile_ids(pages: Sequence[WallboardPage]) -> list[list[str]]:
    """Return the ids of each page's tiles. While they are the same, changed tiles say what is new."""
    return [[tile.id for tile in page.tiles] for page in pages]


def changed_tiles(
    pages_before: Sequence[WallboardPage], pages_after: Sequence[WallboardPage]
) -> list[WallboardTile]:
    """Return the tiles that changed between two reads of the same pages."""
    tiles_before = {tile.id: tile for page in pages_before for tile in page.tiles}
    return [
        tile
        for page in pages_after
        for tile in page.tiles
        if tile.id not in tiles_before or not tile.shows_same_as(tiles_before[tile.id])
    ]
