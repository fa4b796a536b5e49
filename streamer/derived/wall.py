"""Build the wall dashboard: the views' tiles as numbers, over time, and by group."""

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from streamer.derived import dashboards, exported, figures, panels, promql
from streamer.derived.dashboards import CHOSEN, GROUPED, LEGEND, WHOLE, Page, Section
from streamer.derived.panels import Query, properties
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.settings import Settings, ViewSettings


def wall(settings: Settings) -> Page:
    tiles = _tiles(settings)
    return Page(
        "wall",
        "Wall",
        "The tiles of the wallboard's views, of the whole center and by group.",
        [dashboards.window(settings), dashboards.by(settings), *dashboards.filters()],
        [
            *(_view(name, view, settings) for name, view in settings.all_views().items()),
            Section("The last hours, with 95 % intervals", [_trend(metric, settings) for metric in tiles]),
            Section("By $by", [_bars(metric, settings) for metric in tiles if metric.readable_by("queue")]),
        ],
        annotated=True,
    )


def _tiles(settings: Settings) -> list[Metric]:
    """Return the metrics of all views' tiles, each once."""
    names = dict.fromkeys(name for view in settings.all_views().values() for name in view.tiles)
    return [CATALOGUE[name] for name in names]


def _view(name: str, view: ViewSettings, settings: Settings) -> Section:
    metrics = [CATALOGUE[tile] for tile in view.tiles]
    queues: list[str | None] = [*view.queues] or [None]
    found = [_number(metric, queue, settings) for queue in queues for metric in metrics]
    return Section(view.title or name.capitalize(), found)


def _number(metric: Metric, queue: str | None, settings: Settings) -> stat.Panel:
    labels = {"window": "$window", "by": "queue", "queue": queue} if queue else WHOLE
    expr = promql.supported(metric, labels | promql.stat(metric), settings.least_support)
    panel = panels.of_metric(panels.number([Query(expr, queue or "")]), metric, settings)
    panel.thresholds(figures.thresholds(metric.better, settings.target(metric.name, queue)))
    if not queue:
        return panel
    return panel.title(f"{settings.names.get('queue', {}).get(queue, queue)}: {figures.title(metric)}")


def _trend(metric: Metric, settings: Settings) -> timeseries.Panel:
    labels = WHOLE | promql.stat(metric)
    queries = [Query(promql.supported(metric, labels, settings.least_support), figures.title(metric))]
    if metric.measure.interval:
        queries += [
            Query(promql.series(promql.figure(metric, end), labels), end, ref)
            for end, ref in (("lower", "B"), ("upper", "C"))
        ]
    panel = panels.of_metric(panels.lines(queries), metric, settings)
    panel.color_scheme(panels.one_colour())
    if metric.measure.interval:
        panel.override_by_name("lower", panels.interval_end())
        panel.override_by_name("upper", panels.interval_end("lower"))
    return panel


def _bars(metric: Metric, settings: Settings) -> bargauge.Panel:
    labels = GROUPED | promql.stat(metric)
    expr = promql.supported(metric, labels, settings.least_support, CHOSEN)
    panel = panels.of_metric(panels.bars([Query(expr, LEGEND)]), metric, settings)
    for queue, target in exported.own_targets(metric, settings).items():
        panel.override_by_name(
            queue, properties(thresholds=figures.thresholds(metric.better, target).build())
        )
    return panels.named(panel, exported.names(settings))
