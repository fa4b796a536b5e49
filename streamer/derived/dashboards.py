"""Build what all dashboards have in common: variables, rows, annotations, and the JSON encoding."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    CustomVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from streamer.derived import configuration, exported, promql
from streamer.derived.panels import SOURCE, Panel
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import Metric
from streamer.settings import Settings

FILTERS: Final = ("queue", "team", "channel")
"""Dimensions with a variable in which several values can be chosen."""
EVERY: Final = ".*"
TAG: Final = "streamer"

LEGEND: Final = "".join(f"{{{{{dimension}}}}}" for dimension in DIMENSIONS)
"""The legend of a group: its series has only one of these labels, or those of a pair."""
NAMED: Final = f"{{{{alert}}}} {LEGEND}"
"""The legend of an alert: its rule and its group."""
CHOSEN: Final = {name: f'=~"${name}|"' for name in FILTERS}
"""Matchers: the chosen values, or no value, for series without such a label."""
GROUPED: Final = {"window": "$window", "by": "$by"}
WHOLE: Final = {"window": "$window", **promql.ALL}

_STATS: Final = {"mean": "stat", "own": "formula"}
"""The variable that selects a metric's stat, by the metric's default stat."""


class Section(NamedTuple):
    """A row of a dashboard with its panels. Grafana queries the panels of a closed row once it is opened."""

    title: str
    panels: Sequence[Panel]


class Page(NamedTuple):
    """A dashboard. `slug` names its file; if `annotated`, it marks the alerts of the chosen groups."""

    slug: str
    title: str
    description: str
    variables: Sequence[Builder[VariableModel]]
    sections: Iterable[Section]
    annotated: bool = False


def written(page: Page, settings: Settings) -> str:
    """Encode a dashboard as JSON for Grafana."""
    board = Dashboard(page.title).uid(f"{TAG}-{page.slug}").description(page.description).tags([TAG])
    board.timezone(settings.timezone).time("now-4h", "now").refresh("10s")
    board.tooltip(DashboardCursorSync.CROSSHAIR).link(_others()).variables([_source(), *page.variables])
    if page.annotated:
        board.annotation(_annotation())
    number = 0
    for section in page.sections:
        number += 1
        board.with_row(Row(section.title).id(number))
        for panel in section.panels:
            number += 1
            board.with_panel(panel.id(number))
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(board.build()) + "\n"


def firing(severity: str = "") -> str:
    """Return the expression for the firing alerts of the chosen groups; no severity: any."""
    labels = {"severity": severity} if severity else {}
    return promql.any_server(promql.series("cx_alert_firing", labels, CHOSEN))


def _annotation() -> AnnotationQuery:
    """Return the annotation that marks firing alerts in every panel over time."""
    asked = prometheus.Dataquery().expr(firing()).ref_id("Alerts").datasource(SOURCE).range()
    found = AnnotationQuery().name("Alerts").datasource(SOURCE).enable(True).icon_color("red")
    return found.target(asked).title_format(NAMED).tag_keys("severity,by")


# Variables.


def window(settings: Settings) -> CustomVariable:
    return _choice("window", "Window", settings.export_windows, exported.usual_window(settings))


def by(settings: Settings) -> CustomVariable:
    names = [name for name in DIMENSIONS if name != "agent" or settings.export_agents]
    return _choice("by", "By", names, "queue")


def filters() -> list[QueryVariable]:
    return [_values(name) for name in FILTERS]


def stats(metrics: Iterable[Metric]) -> list[CustomVariable]:
    """Return one variable for each list of stats among the metrics."""
    lists = {_STATS[metric.stats[0]]: metric.stats for metric in metrics if len(metric.stats) > 1}
    return [_choice(name, name.capitalize(), found, found[0]) for name, found in lists.items()]


def chosen_stat(metric: Metric) -> dict[str, str]:
    """Return the label that the variable of the metric's stats sets; none for a single stat."""
    return promql.stat(metric, f"${_STATS[metric.stats[0]]}") if len(metric.stats) > 1 else {}


def _choice(name: str, label: str, values: Sequence[str], usual: str) -> CustomVariable:
    options = [VariableOption(value == usual, value, value) for value in values]
    variable = CustomVariable(name).label(label).values(",".join(values)).options(options)
    return variable.current(VariableOption(True, usual, usual)).allow_custom_value(False)


def _values(name: str) -> QueryVariable:
    query = f"label_values({promql.series('cx_offered', {'by': name})}, {name})"
    variable = QueryVariable(name).label(name.capitalize()).datasource(SOURCE)
    variable.query({"query": query, "refId": name, "qryType": 1}).definition(query)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    variable.multi(True).include_all(True).all_value(EVERY)
    return variable.current(VariableOption(True, ["All"], ["$__all"]))


def _source() -> DatasourceVariable:
    current = VariableOption(True, "Prometheus", configuration.SOURCE)
    return DatasourceVariable("datasource").label("Data source").type("prometheus").current(current)


def _others() -> DashboardLink:
    links = DashboardLink("Contact center").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return links.as_dropdown(True).keep_time(True).include_vars(True)
