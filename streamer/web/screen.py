"""Reading of a wallboard view as time goes on, with a cache for what hardly changes; checks of its settings.

Current figures are read each time. What they are compared with, the same hours last week and the hours
before now, is read once a minute, and when an hour or a point of history is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from streamer.events.rules import DAY, HOUR, MINUTE, SECOND
from streamer.metrics.catalogue import CATALOGUE, Spans
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import WINDOWS, length
from streamer.readings.query import Query, Reading
from streamer.readings.reader import Reader, spans
from streamer.readings.suppression import ANSWERS, of_many
from streamer.settings import Settings, SettingsError, ViewSettings
from streamer.web.board import Aims, Page, Seen, Tile, tile
from streamer.web.people import Person
from streamer.web.rights import Sight

POINTS: Final = 60
SHORTEST: Final = 4 * HOUR


class Group(NamedTuple):
    """The group of a page: its dimension and key."""

    by: str
    key: str


class Past(NamedTuple):
    """Readings to compare a page with, in the order of its tiles, as of `read_at_ms`: those of last week, and
    for each tile the history as (ms since the epoch, reading)."""

    known_at: int
    last_week: Sequence[Reading]
    history: Sequence[Sequence[tuple[int, Reading]]]


VIEWER: Final = Person("", "viewer", agent_names=False)


class Screen:
    """A view of the wallboard: one page for each of its queues, or one of the whole center.

    `as_viewer`: without figures that would reveal single customers."""

    def __init__(self, reader: Reader, settings: Settings, view: ViewSettings, guarded: bool) -> None:
        self._reader, self._settings, self.view, self._guarded = reader, settings, view, guarded
        self._groups = [Group("queue", key) for key in view.queues] or [Group(ALL, "")]
        self._past: dict[Group, Past] = {}
        self._read_whole = False

    def pages(self, now_ms: int) -> list[Page]:
        """Read all pages as of `now_ms`. It blocks, so call it in a thread."""
        if not self._read_whole:  # readings from before the first complete read are void
            self._past, self._read_whole = {}, self._reader.ready
        self._sight = Sight(VIEWER, self._reader, now_ms)
        return [self._page(group, now_ms) for group in self._groups]

    def _page(self, group: Group, now_ms: int) -> Page:
        asked = self._query(group, now_ms)
        readings = self._read(asked)
        whole = self._reader.readings(asked) if self._guarded else readings
        past = self._known(group, now_ms)
        figures = zip(readings, whole, past.last_week, past.history, strict=True)
        tiles = [
            self._tile(group, Seen(now, last_week, [*history, (now_ms, now)], hidden=_hidden(now, known)))
            for now, known, last_week, history in figures
        ]
        names: Mapping[str, str] = self._settings.names.get(group.by, {})
        return Page(group.by, group.key, names.get(group.key, group.key), tiles)

    def _tile(self, group: Group, seen: Seen) -> Tile:
        queue = group.key if group.by == "queue" else None
        settings = self._settings
        target = settings.target(seen.now.metric, queue)
        return tile(seen, Aims(target, settings.least_support, settings.currency))

    def _read(self, query: Query) -> list[Reading]:
        return self._sight.readings(query) if self._guarded else self._reader.readings(query)

    def _query(self, group: Group, now_ms: int, week_before: bool = False) -> Query:
        return Query(
            now=now_ms,
            metrics=tuple(self.view.tiles),
            windows=(self.view.window,),
            by=group.by,
            key=group.key,
            week_before=week_before,
        )

    def _known(self, group: Group, now_ms: int) -> Past:
        past = self._past.get(group)
        if past is None or past.known_at // MINUTE != now_ms // MINUTE:
            last_week = self._read(self._query(group, now_ms, week_before=True))
            past = self._past[group] = Past(now_ms, last_week, [*self._histories(group, now_ms)])
        return past

    def _histories(self, group: Group, now_ms: int) -> Iterator[list[tuple[int, Reading]]]:
        """Yield for each tile the history without its newest point, which is the figure itself.

        Viewers get no history of survey figures of a queue: differences between points would reveal single
        answers."""
        step = step_ms(self.view.window)
        last = now_ms // step * step
        moments = range(last - (POINTS - 2) * step, last + 1, step)
        answers = [ANSWERS[metric] for metric in self.view.tiles if metric in ANSWERS and self._guarded]
        names = tuple(dict.fromkeys([*self.view.tiles, *answers]))
        asked = msgspec.structs.replace(self._query(group, now_ms), metrics=names)
        found = dict(zip(names, self._reader.histories(asked, moments), strict=True))
        for metric in self.view.tiles:
            points = found[metric]
            if self._guarded and metric in ANSWERS:
                points = of_many(points, found[ANSWERS[metric]]) if group.by == ALL else []
            yield [*zip(moments, points, strict=False)]


def _hidden(shown: Reading, known: Reading) -> bool:
    return shown.value is None and known.value is not None


def step_ms(window: str) -> int:
    """Return the ms between two points of history: a sixtieth of the span, in whole hours for long windows.

    >>> step_ms("1h"), step_ms("7d")
    (240000, 10800000)
    """
    span = max(SHORTEST, length(window))
    unit = HOUR if span > DAY else 10 * SECOND
    return -(-span // (POINTS * unit)) * unit


def check_views(settings: Settings) -> None:
    """Raise SettingsError for a view that cannot be read, or a display without its view."""
    for name, view in settings.all_views().items():
        _check_view(f"views.{name}", view, spans(settings))
    for name, display in settings.displays.items():
        if display.view not in settings.all_views():
            known = ", ".join(settings.all_views())
            raise SettingsError(f"displays.{name}.view = {display.view!r}: expected one of {known}")


def _check_view(name: str, view: ViewSettings, around: Spans) -> None:
    if view.window not in WINDOWS:
        raise SettingsError(f"{name}.window = {view.window!r}: expected one of {', '.join(WINDOWS)}")
    by = "queue" if view.queues else ALL
    for metric in view.tiles:
        _check_metric(f"{name}.tiles", metric)
        windows = [window for window in WINDOWS if CATALOGUE[metric].windows.serve(length(window), around)]
        if view.window not in windows:
            raise SettingsError(
                f"{name}.window = {view.window!r}: {metric} is read over {', '.join(windows) or 'none'}"
            )
        if not CATALOGUE[metric].readable_by(by):
            raise SettingsError(f"{name}.tiles: {metric!r} cannot be read by {by}")


def check_targets(settings: Settings) -> None:
    """Raise SettingsError for a target of an unknown metric, or a ratio outside 0 to 1."""
    _check_targets("targets", settings.targets.by_metric)
    for queue, targets in settings.targets.queues.items():
        _check_targets(f"targets.queues.{queue}", targets)


def _check_targets(name: str, targets: Mapping[str, float | None]) -> None:
    for metric, target in targets.items():
        _check_metric(name, metric)
        if CATALOGUE[metric].unit == "ratio" and target is not None and not 0 <= target <= 1:
            raise SettingsError(f"{name}.{metric} = {target:g}: expected a ratio from 0 to 1")


def _check_metric(name: str, metric: str) -> None:
    if metric not in CATALOGUE:
        raise SettingsError(f"{name}: {metric!r}: expected metrics such as {', '.join([*CATALOGUE][:3])}")
