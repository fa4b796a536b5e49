"""Reading of the figures that alerts are about, as they are now, judged as a tile of the wallboard is."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from msgspec.structs import replace

from streamer.metrics.catalogue import CATALOGUE
from streamer.readings.query import MetricQuery, QueryError, dimension_values
from streamer.settings import Settings
from streamer.web.alert_view import AlertView
from streamer.web.permissions import DataScope, Forbidden
from streamer.web.wallboard import AlertFigure, TileReadings, TileTargets, build_tile

MAX_FIGURES: Final = 50
"""Alerts of a list that are given their current figure: the worst ones."""


def with_current_figures(
    views: Sequence[AlertView], data_scope: DataScope, settings: Settings, now_ms: int
) -> list[AlertView]:
    """Return the views, of which the first are given their figure as of `now_ms`. It blocks."""
    first = [
        replace(view, current=_current_figure(view, data_scope, settings, now_ms))
        for view in islice(views, MAX_FIGURES)
    ]
    return [*first, *views[MAX_FIGURES:]]


def _current_figure(
    view: AlertView, data_scope: DataScope, settings: Settings, now_ms: int
) -> AlertFigure | None:
    """Return the figure over the window of the alert's rule; None where an alert is about no figure, or it
    cannot be read any more."""
    is_about_figure = view.what not in (None, "silent", "odd") and view.metric in CATALOGUE
    if not is_about_figure or view.metric is None or view.window is None or view.by is None:
        return None
    query = MetricQuery(
        now=now_ms, metrics=(view.metric,), windows=(view.window,), by=view.by, key=view.key or ""
    )
    try:
        readings = data_scope.readings(query)
    except (QueryError, Forbidden):  # the settings have changed since
        return None
    if not readings:
        return None
    targets = TileTargets(_target(view, settings), settings.min_sample, settings.currency)
    tile = build_tile(TileReadings(readings[0], None, ()), targets)
    return AlertFigure(
        **{name: getattr(tile, name) for name in AlertFigure.__struct_fields__}  # the same by name
    )


def _target(view: AlertView, settings: Settings) -> float | None:
    """Return the target of the alert's own rule, else that of its tile."""
    if view.figures is not None and view.figures.target is not None:
        return view.figures.target
    assert view.metric is not None
    assert view.by is not None
    return settings.target(view.metric, dimension_values(view.by, view.key or "").get("queue"))
