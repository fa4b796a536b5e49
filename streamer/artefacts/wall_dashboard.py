"""Build the wall dashboard: the views' tiles as numbers, over time, and by group."""

from collections.abc import Mapping
from typing import Final

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from streamer.alerts.formatting import group_name
from streamer.artefacts import dashboards, exported_metrics, metric_display, panels, promql
from streamer.artefacts.dashboards import (
    CENTER_LABELS,
    CHOSEN_GROUPS,
    GROUP_LABELS,
    LEGEND,
    DashboardPage,
    DashboardSection,
)
from streamer.artefacts.metric_display import VERDICT_COLORS
from streamer.artefacts.panels import PanelQuery
from streamer.artefacts.verdict_queries import values_by_verdict
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.panes.pane_keys import ALL
from streamer.readings.query import dimension_values
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
WHOLE_CENTER: Final = (ALL, "")


def wall_page(settings: Settings) -> DashboardPage:
    tiles = _tile_metrics(settings)
    return DashboardPage(
        "wall",
        "Wall",
        "The tiles of the wallboard's views, of the whole center and by group. Green: the whole 95 % "
        "interval is on the good side of the target; red: on the other; orange: the target lies within.",
        [
            dashboards.window_variable(settings),
            dashboards.by_variable(settings),
            *dashboards.filter_variables(),
        ],
        [
            DashboardSection(
                "Now", [_number_panel(CATALOGUE[name], WHOLE_CENTER, settings) for name in LIVE_METRICS]
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
    groups = view.shown_groups or [WHOLE_CENTER]
    number_panels = [_number_panel(metric, group, settings) for group in groups for metric in metrics]
    return DashboardSection(view.title or name.capitalize(), number_panels)


def _number_panel(metric: Metric, group: tuple[str, str], settings: Settings) -> stat.Panel:
    by, key = group
    values = dimension_values(by, key)
    labels = {"window": "$window", "by": by} | values
    if metric.windows.now:
        labels = labels | dashboards.NOW_LABELS
    labels = labels | promql.stat_label(metric)
    target = settings.target(metric.name, values.get("queue"))
    queries = _verdict_queries(metric, labels, target, settings, key)
    if metric.measure.interval:
        support = promql.series_selector(promql.series_name(metric, "support"), labels)
        queries.append(PanelQuery(support, panels.SAMPLE_REF, panels.SAMPLE_REF))
    panel = panels.apply_metric(panels.number_panel(queries), metric, settings)
    panels.color_verdicts(panel, [query.ref for query in queries])
    if not key:
        return panel
    return panel.title(f"{group_name(settings.names, by, key)}: {metric_display.metric_title(metric)}")


def _verdict_queries(
    metric: Metric, labels: Mapping[str, str], target: float | None, settings: Settings, legend: str
) -> list[PanelQuery]:
    """Return a query for each verdict, of which at most one has a value; without a target a single one."""
    if target is None:
        return [PanelQuery(promql.supported_value(metric, labels, settings.min_sample), legend)]
    return [
        PanelQuery(
            promql.verdict_value(metric, verdict, target, labels, settings.min_sample), legend, verdict
        )
        for verdict in VERDICT_COLORS
    ]


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
    queries = _group_queries(metric, settings)
    panel = panels.apply_metric(panels.bar_panel(queries), metric, settings)
    panels.color_verdicts(panel, [query.ref for query in queries])
    return panels.apply_display_names(panel, exported_metrics.display_names(settings))


def _group_queries(metric: Metric, settings: Settings) -> list[PanelQuery]:
    """Return the queries of the bars, those of each verdict together, each group with its sample."""
    labels, is_sampled = GROUP_LABELS | promql.stat_label(metric), metric.measure.interval
    support = promql.series_selector(promql.series_name(metric, "support"), labels, CHOSEN_GROUPS)
    legend = LEGEND + panels.SAMPLE_SUFFIX.format("{{n}}") if is_sampled else LEGEND
    return [
        PanelQuery(promql.with_sample(expr, support, "$by") if is_sampled else expr, legend, ref)
        for ref, expr in values_by_verdict(metric, labels, settings).items()
    ]
