"""Reading of a wallboard view as time goes on, with a cache for what hardly changes; checks of its settings.

Current figures are read each time. What they are compared with, the same hours last week and the hours
before now, is read once a minute, and when an hour or a point of history is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamer.alerts.formatting import group_name
from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND
from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import window_length_ms
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from streamer.readings.suppression import ANSWER_METRIC_OF, suppress_history
from streamer.settings import Settings, ViewSettings
from streamer.web.live_floor import LiveFloor
from streamer.web.permissions import DataScope
from streamer.web.users import User
from streamer.web.wallboard import (
    Tile,
    TileReadings,
    TileTargets,
    WallboardPage,
    WallboardTile,
    build_tile,
)

HISTORY_POINTS: Final = 60
MIN_HISTORY_MS: Final = 4 * HOUR


class WallboardGroup(NamedTuple):
    """The group of a page: its dimension and key."""

    by: str
    key: str


class ComparisonReadings(NamedTuple):
    """Readings to compare a page with, in the order of its tiles, as of `read_at_ms`: those of last week, and
    for each tile the history as (ms since the epoch, reading)."""

    read_at_ms: int
    last_week: Sequence[Reading]
    history: Sequence[Sequence[tuple[int, Reading]]]


class TileSubject(NamedTuple):
    """The metric of a tile, and its name if the settings give it one."""

    metric: str
    label: str


class TileQuestion(NamedTuple):
    """Tiles that are read together: those of one window and stat, by their name in the settings. `stat` ""
    is the default of each metric."""

    window: str
    stat: str
    tiles: tuple[tuple[str, TileSubject], ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tile.metric for _, tile in self.tiles))


def _tile_questions(view: ViewSettings) -> list[TileQuestion]:
    found: dict[tuple[str, str], list[tuple[str, TileSubject]]] = {}
    for name, tile in view.figure_tiles.items():
        if not CATALOGUE[tile.metric].windows.now:
            subject = TileSubject(tile.metric, tile.label)
            found.setdefault((tile.window or view.window, tile.stat), []).append((name, subject))
    return [TileQuestion(*key, tuple(tiles)) for key, tiles in found.items()]


WALLBOARD_VIEWER: Final = User("", "viewer", agent_names=False)


class WallboardView:
    """A view of the wallboard: one page for each of its queues, or one of the whole center.

    `as_viewer`: without figures that would reveal single customers."""

    def __init__(
        self, reader: MetricsReader, settings: Settings, view: ViewSettings, as_viewer: bool
    ) -> None:
        self._reader, self._settings, self.view, self._as_viewer = reader, settings, view, as_viewer
        self._groups = [WallboardGroup(*group) for group in view.shown_groups] or [WallboardGroup(ALL, "")]
        self._questions = _tile_questions(view)
        self._comparisons: dict[tuple[WallboardGroup, TileQuestion], ComparisonReadings] = {}
        self._is_complete = False

    def read_pages(self, now_ms: int) -> list[WallboardPage]:
        """Read all pages as of `now_ms`. It blocks, so call it in a thread."""
        if not self._is_complete:  # readings from before the first complete read are void
            self._comparisons, self._is_complete = {}, self._reader.ready
        self._data_scope = DataScope(WALLBOARD_VIEWER, self._reader, now_ms)
        floor = LiveFloor(self._reader, self._settings, self._readings, now_ms)
        return [self._read_page(group, floor, now_ms) for group in self._groups]

    def _read_page(self, group: WallboardGroup, floor: LiveFloor, now_ms: int) -> WallboardPage:
        scores = {
            name: tile
            for question in self._questions
            for name, tile in self._read_scores(group, question, now_ms).items()
        }
        tiles = [
            scores[name] if name in scores else self._read_live_tile(name, group, floor)
            for name in self._shown_tiles(floor)
        ]
        return WallboardPage(group.by, group.key, group_name(self._settings.names, *group), tiles)

    def _shown_tiles(self, floor: LiveFloor) -> list[str]:
        """Return the tiles of the settings. Where they name none, what is going on now comes before the
        scores, once it is known."""
        has_own_tiles = "tiles" in self.view.model_fields_set
        return [*([] if has_own_tiles else floor.opening_tiles()), *self.view.tiles]

    def _read_live_tile(self, name: str, group: WallboardGroup, floor: LiveFloor) -> WallboardTile:
        match name:
            case "queue_table":
                return floor.queue_table(*group, self.view.queues)
            case "agent_states":
                return floor.agent_states(*group)
            case _:
                own = self.view.own_tiles.get(name)
                tile = floor.tile(own.metric if own else name, *group)
                return msgspec.structs.replace(tile, label=own.label) if own else tile

    def _read_scores(self, group: WallboardGroup, question: TileQuestion, now_ms: int) -> Mapping[str, Tile]:
        """Read the tiles of one window and stat, by their name in the settings."""
        query = self._query(group, question, now_ms)
        readings = self._readings(query)
        unsuppressed_readings = self._reader.readings(query) if self._as_viewer else readings
        comparison = self._comparison(group, question, now_ms)
        figures = zip(
            question.metrics, readings, unsuppressed_readings, comparison.last_week, comparison.history,
            strict=True,
        )  # fmt: skip
        tiles = {
            metric: self._build_tile(
                group,
                TileReadings(
                    reading,
                    last_week,
                    [*history, (now_ms, reading)],
                    is_hidden=reading.value is None and unsuppressed.value is not None,
                ),
            )
            for metric, reading, unsuppressed, last_week, history in figures
        }
        return {
            name: msgspec.structs.replace(tiles[tile.metric], label=tile.label)
            for name, tile in question.tiles
        }

    def _build_tile(self, group: WallboardGroup, readings: TileReadings) -> Tile:
        queue = group.key if group.by == "queue" else None
        settings = self._settings
        target = settings.target(readings.current.metric, queue)
        return build_tile(readings, TileTargets(target, settings.min_sample, settings.currency))

    def _readings(self, query: MetricQuery) -> list[Reading]:
        return self._data_scope.readings(query) if self._as_viewer else self._reader.readings(query)

    def _query(
        self, group: WallboardGroup, question: TileQuestion, now_ms: int, week_before: bool = False
    ) -> MetricQuery:
        return MetricQuery(
            now=now_ms,
            metrics=question.metrics,
            windows=(question.window,),
            stat=question.stat or None,
            by=group.by,
            key=group.key,
            week_before=week_before,
        )

    def _comparison(self, group: WallboardGroup, question: TileQuestion, now_ms: int) -> ComparisonReadings:
        comparison = self._comparisons.get((group, question))
        if comparison is None or comparison.read_at_ms // MINUTE != now_ms // MINUTE:
            last_week = self._readings(self._query(group, question, now_ms, week_before=True))
            comparison = self._comparisons[group, question] = ComparisonReadings(
                now_ms, last_week, [*self._histories(group, question, now_ms)]
            )
        return comparison

    def _histories(
        self, group: WallboardGroup, question: TileQuestion, now_ms: int
    ) -> Iterator[list[tuple[int, Reading]]]:
        """Yield for each tile the history without its newest point, which is the figure itself.

        Viewers get no history of survey figures of a queue: differences between points would reveal single
        answers."""
        interval_ms = history_step_ms(question.window)
        last_ms = now_ms // interval_ms * interval_ms
        times_ms = range(last_ms - (HISTORY_POINTS - 2) * interval_ms, last_ms + 1, interval_ms)
        answers = [
            ANSWER_METRIC_OF[metric]
            for metric in question.metrics
            if metric in ANSWER_METRIC_OF and self._as_viewer
        ]
        metrics = tuple(dict.fromkeys([*question.metrics, *answers]))
        query = msgspec.structs.replace(self._query(group, question, now_ms), metrics=metrics)
        readings_by_metric = dict(zip(metrics, self._reader.histories(query, times_ms), strict=True))
        for metric in question.metrics:
            points = readings_by_metric[metric]
            if self._as_viewer and metric in ANSWER_METRIC_OF:
                points = (
                    suppress_history(points, readings_by_metric[ANSWER_METRIC_OF[metric]])
                    if group.by == ALL
                    else []
                )
            yield [*zip(times_ms, points, strict=False)]


def history_step_ms(window: str) -> int:
    """Return the ms between two points of history: a sixtieth of the span, in whole hours for long windows.

    >>> history_step_ms("1h"), history_step_ms("7d")
    (240000, 10800000)
    """
    span_ms = max(MIN_HISTORY_MS, window_length_ms(window))
    unit_ms = HOUR if span_ms > DAY else 10 * SECOND
    return -(-span_ms // (HISTORY_POINTS * unit_ms)) * unit_ms
