"""Checks of the settings of what is shown and exported: views, displays, targets and windows."""

from collections.abc import Iterable, Mapping
from typing import Final

from streamer.metrics.catalogue import CATALOGUE, WindowSpans
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import WINDOWS, is_read_over
from streamer.readings.metric_spans import window_spans
from streamer.runtime.choices import expected_choice
from streamer.settings import Settings, SettingsError, ViewSettings


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
        _check_view(f"views.{name}", view, window_spans(settings))
    for name, display in settings.displays.items():
        if display.view not in settings.all_views():
            expected = expected_choice(display.view, settings.all_views())
            raise SettingsError(f"displays.{name}.view = {display.view!r}: {expected}")


def _check_view(name: str, view: ViewSettings, metric_spans: WindowSpans) -> None:
    if view.window not in WINDOWS:
        raise SettingsError(f"{name}.window = {view.window!r}: expected one of {', '.join(WINDOWS)}")
    by = "queue" if view.queues else ALL
    _check_room(name, view)
    for metric in view.metrics:
        _check_metric(f"{name}.tiles", metric)
        windows = [
            window for window in WINDOWS if is_read_over(CATALOGUE[metric].windows, window, metric_spans)
        ]
        if view.window not in windows and not CATALOGUE[metric].windows.now:
            raise SettingsError(
                f"{name}.window = {view.window!r}: {metric} is read over {', '.join(windows) or 'none'}"
            )
        if not CATALOGUE[metric].can_group_by(by):
            raise SettingsError(f"{name}.tiles: {metric!r} cannot be read by {by}")


_MAX_BELOW: Final = 6
_MAX_NOW: Final = 4
_PLACES: Final = {"queue_table": 4, "agent_states": 2}
"""Places of single figures that a table takes."""


def _check_room(name: str, view: ViewSettings) -> None:
    """Raise SettingsError if there is no room for the tiles: figures of now stand in a strip above the
    others."""
    of_now = [metric for metric in view.metrics if metric in CATALOGUE and CATALOGUE[metric].windows.now]
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
