"""Checks of the settings of what is shown and exported: views, displays, targets and windows."""

from collections.abc import Iterable, Mapping
from typing import Final

from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, WindowSpans
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import WINDOWS, is_read_over
from streamer.readings.metric_spans import window_spans
from streamer.readings.query import dimension_values
from streamer.runtime.choices import expected_choice
from streamer.settings import Settings, SettingsError, ViewSettings
from streamer.settings.wallboard import OwnTileSettings


def check_windows(windows: Iterable[str]) -> None:
    """Raise SettingsError for an unknown window.

    >>> check_windows(["15m", "1h", "today"])
    """
    for window in windows:
        if window not in WINDOWS:
            raise SettingsError(f"export_windows: {window!r}: expected some of {', '.join(WINDOWS)}")


def check_views(settings: Settings) -> None:
    """Raise SettingsError for a view that cannot be read, or a display without its view."""
    for name, view in settings.all_views().items():
        _check_view(f"views.{name}", view, window_spans(settings), settings.dimension_pairs)
    for name, display in settings.displays.items():
        if display.view not in settings.all_views():
            expected = expected_choice(display.view, settings.all_views())
            raise SettingsError(f"displays.{name}.view = {display.view!r}: {expected}")


def _check_view(name: str, view: ViewSettings, metric_spans: WindowSpans, pairs: Iterable[str]) -> None:
    if view.window not in WINDOWS:
        raise SettingsError(f"{name}.window = {view.window!r}: expected one of {', '.join(WINDOWS)}")
    _check_groups(name, view, pairs)
    _check_room(name, view)
    for tile_name, tile in view.figure_tiles.items():
        is_own = tile_name in view.own_tiles
        _check_tile(f"{name}.own_tiles.{tile_name}" if is_own else f"{name}.tiles", tile, view)
        window_setting = f"{name}.own_tiles.{tile_name}" if tile.window else name
        _check_tile_window(window_setting, tile.metric, tile.window or view.window, metric_spans)
    for tile_name in view.own_tiles.keys() - set(view.tiles):
        raise SettingsError(f"{name}.own_tiles.{tile_name}: expected to be named in tiles")


def _check_groups(name: str, view: ViewSettings, pairs: Iterable[str]) -> None:
    groupings = (*DIMENSIONS, *pairs)
    if bool(view.by) != bool(view.groups) or (view.groups and view.queues):
        raise SettingsError(f"{name}.groups: expected together with by, and without queues")
    if view.by and view.by not in groupings:
        raise SettingsError(f"{name}.by = {view.by!r}: expected one of {', '.join(groupings)}")
    for by, key in view.shown_groups:
        if not dimension_values(by, key):
            raise SettingsError(f"{name}.groups: {key!r}: expected a value for each of {by}")


def _check_tile(setting: str, tile: OwnTileSettings, view: ViewSettings) -> None:
    _check_metric(setting, tile.metric)
    metric, by = CATALOGUE[tile.metric], view.shown_groups[0][0] if view.shown_groups else ALL
    if tile.stat and tile.stat not in metric.stats:
        raise SettingsError(f"{setting}.stat = {tile.stat!r}: expected one of {', '.join(metric.stats)}")
    if not metric.can_group_by(by):
        raise SettingsError(f"{setting}: {tile.metric!r} cannot be read by {by}")


def _check_tile_window(setting: str, metric: str, window: str, metric_spans: WindowSpans) -> None:
    windows = [name for name in WINDOWS if is_read_over(CATALOGUE[metric].windows, name, metric_spans)]
    if window not in windows and not CATALOGUE[metric].windows.now:
        raise SettingsError(
            f"{setting}.window = {window!r}: {metric} is read over {', '.join(windows) or 'none'}"
        )


_MAX_BELOW: Final = 6
_MAX_NOW: Final = 4
_PLACES: Final = {"queue_table": 4, "agent_states": 2}
"""Places of single figures that a table takes."""


def _check_room(name: str, view: ViewSettings) -> None:
    """Raise SettingsError if there is no room for the tiles: figures of now stand in a strip above the
    others."""
    of_now = [
        name
        for name, tile in view.figure_tiles.items()
        if tile.metric in CATALOGUE and CATALOGUE[tile.metric].windows.now
    ]
    places = sum(_PLACES.get(tile, 1) for tile in view.tiles if tile not in of_now)
    if places > _MAX_BELOW:
        raise SettingsError(
            f"{name}.tiles: {places} places are taken (queue_table takes 4, agent_states 2), "
            f"expected at most {_MAX_BELOW}"
        )
    if len(of_now) > (_MAX_NOW if places else _MAX_BELOW):
        raise SettingsError(f"{name}.tiles: {len(of_now)} metrics of now, expected at most {_MAX_NOW}")


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
        raise SettingsError(f"{name}: {metric!r}: {expected_choice(metric, CATALOGUE)}")
