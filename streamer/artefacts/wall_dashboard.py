"""Build the wall dashboard: the views' tiles as numbers, over time, and by group."""

from typing import Final

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from streamer.artefacts import dashboards, exported_metrics, metric_display, panels, promql
from streamer.artefacts.dashboards import (
    CENTER_LABELS,
    CHOSEN_GROUPS,
    GROUP_LABELS,
    LEGEND,
    DashboardPage,
    DashboardSection,
)
from streamer.artefacts.panels import PanelQuery, override_properties
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.settings import Settings, ViewSettings

LIVE_METRICS: Final = (
    "waiting",
    "longest_wait_seconds",
    "in_progress",
    "agents_available",
    "agents_busy",
    "agents_away",
)
"""Metrics of now in the first row."""


def wall_page(settings: Settings) -> DashboardPage:
    tiles = _tile_metrics(settings)
    return DashboardPage(
        "wall",
        "Wall",
        "The tiles of the wallboard's views, of the whole center and by group.",
        [
            dashboards.window_variable(settings),
            dashboards.by_variable(settings),
            *dashboards.filter_variables(),
        ],
        [
            DashboardSection(
                "Now", [_number_panel(CATALOGUE[name], None, settings) for name in LIVE_METRICS]
            ),
            *(_view_section(name, view, settings) for name, view in settings.all_views().items()),
            DashboardSection(
                "The last hours, with 95 % intervals", [_trend_panel(metric, settings) for metric in tiles]
            ),
            DashboardSection(
                "By $by", [_bar_panel(metric, settings) for metric in tiles if metric.can_group_by("queue")]
            ),
        ],
        annotated=True,
    )


def _tile_metrics(settings: Settings) -> list[Metric]:
    """Return the metrics of all views' tiles, each once."""
    return [
        *{
            metric.name: metric for view in settings.all_views().values() for metric in _window_metrics(view)
        }.values()
    ]


def _window_metrics(view: ViewSettings) -> list[Metric]:
    """Return the metrics of a view's window. Those of now have a row of their own."""
    return [CATALOGUE[name] for name in view.metrics if not CATALOGUE[name].windows.now]


def _view_section(name: str, view: ViewSettings, settings: Settings) -> DashboardSection:
    metrics = _window_metrics(view)
    queues: list[str | None] = [*view.queues] or [None]
    number_panels = [_number_panel(metric, queue, settings) for queue in queues for metric in metrics]
    return DashboardSection(view.title or name.capitalize(), number_panels)


def _number_panel(metric: Metric, queue: str | None, settings: Settings) -> stat.Panel:
    labels = {"window": "$window", "by": "queue", "queue": queue} if queue else CENTER_LABELS
    if metric.windows.now:
        labels = labels | dashboards.NOW_LABELS
    expr = promql.supported_value(metric, labels | promql.stat_label(metric), settings.min_sample)
    panel = panels.apply_metric(panels.number_panel([PanelQuery(expr, queue or "")]), metric, settings)
    panel.thresholds(metric_display.target_thresholds(metric.better, settings.target(metric.name, queue)))
    if not queue:
        return panel
    return panel.title(
        f"{settings.names.get('queue', {}).get(queue, queue)}: {metric_display.metric_title(metric)}"
    )


def _trend_panel(metric: Metric, settings: Settings) -> timeseries.Panel:
    labels = CENTER_LABELS | promql.stat_label(metric)
    queries = [
        PanelQuery(
            promql.supported_value(metric, labels, settings.min_sample), metric_display.metric_title(metric)
        )
    ]
    if metric.measure.interval:
        queries += [
            PanelQuery(promql.series_selector(promql.series_name(metric, end), labels), end, ref)
            for end, ref in (("lower", "B"), ("upper", "C"))
        ]
    panel = panels.apply_metric(panels.line_panel(queries), metric, settings)
    panel.color_scheme(panels.fixed_color())
    if metric.measure.interval:
        panel.override_by_name("lower", panels.interval_properties())
        panel.override_by_name("upper", panels.interval_properties("lower"))
    return panel


def _bar_panel(metric: Metric, settings: Settings) -> bargauge.Panel:
    labels = GROUP_LABELS | promql.stat_label(metric)
    expr = promql.supported_value(metric, labels, settings.min_sample, CHOSEN_GROUPS)
    panel = panels.apply_metric(panels.bar_panel([PanelQuery(expr, LEGEND)]), metric, settings)
    for queue, target in exported_metrics.queue_targets(metric, settings).items():
        panel.override_by_name(
            queue,
            override_properties(thresholds=metric_display.target_thresholds(metric.better, target).build()),
        )
    return panels.apply_display_names(panel, exported_metrics.display_names(settings))
