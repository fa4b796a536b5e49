"""Debian's Prometheus on a live center: every expression of every panel and rule parses and returns data."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.artefacts import generated_files
from streamer.artefacts.metric_display import VERDICT_COLORS
from streamer.events.counting_rules import UNKNOWN
from streamer.metrics.catalogue import CATALOGUE
from streamer.settings import Settings
from tests.artefacts.expressions import Expression, expressions
from tests.artefacts.live_services import DemoCenter, PrometheusServer, wait_until
from tests.artefacts.traffic import publish
from tests.parts.server import run

pytestmark = pytest.mark.prometheus
ROOT = Path(__file__).parents[2]
WINDOWS = ["1h"]
PATIENCE_S = 30

HEALTH = {
    "ServerDown",
    "NoServer",
    "NoWorker",
    "WorkerDown",
    "DataStale",
    "NeverCaughtUp",
    "WorkersBehind",
    "EventsRejected",
    "FiguresLeftOut",
    "ReadingDisagreesWithCounters",
    "AlertsWithheld",
    "AlertsNotJudged",
    "MessagesNotSent",
}
"""Alerts that a center in order does not raise."""


@pytest.fixture(scope="module")
def derived() -> dict[str, str]:
    """Return the derived files by path below grafana/."""
    contents = generated_files.generate_files(ROOT, Settings(export_windows=WINDOWS))
    below = {path for path in contents if path.is_relative_to(ROOT / "grafana")}
    return {str(path.relative_to(ROOT / "grafana")): contents[path] for path in below}


@pytest.fixture(scope="module")
def center() -> Iterator[DemoCenter]:
    center = DemoCenter(WINDOWS)
    try:
        run(center.start())
        run(publish(center.kafka, "before", now()))
        yield center
    finally:
        run(center.close())


@pytest.fixture(scope="module")
def watching(derived: dict[str, str], center: DemoCenter) -> Iterator[PrometheusServer]:
    watching = PrometheusServer(prometheus_files(derived), center.watched)
    try:
        run(watching.start())
        # Counts from before the first scrape are not an increase.
        for name in ("cx_nps_score", "streamer_event_to_commit_seconds_count"):
            assert wait_until(lambda seen=name: watching.query(seen), PATIENCE_S)  # type: ignore[misc]
        yield watching
    finally:
        run(watching.close())


@pytest.fixture
def prometheus(watching: PrometheusServer, center: DemoCenter) -> PrometheusServer:
    """Return Prometheus, scraping a busy center. New events are published before each test, since a rate
    covers the last minute only and earlier tests may have been slow."""
    run(publish(center.kafka, f"at {now()}", now()))
    return watching


def now() -> float:
    return time.time()  # noqa: TID251 - the center is live


def prometheus_files(derived: dict[str, str]) -> dict[str, str]:
    """Return the files that Prometheus itself reads, by name."""
    paths = [path for path in derived if path.startswith("prometheus/") and path.count("/") == 1]
    return {Path(path).name: derived[path] for path in paths}


def panel_expressions(derived: dict[str, str], **chosen: str) -> list[Expression]:
    """Return the expressions of the panels; those by verdict as one, since a group has a single verdict."""
    boards = {Path(name).stem: text for name, text in derived.items() if name.startswith("dashboards/")}
    assert boards.keys() == {"wall", "supervisor", "pipeline"}
    found: dict[str, list[str]] = {}
    for expression in (one for name, text in boards.items() for one in expressions(name, text, chosen)):
        panel = re.sub(f" ({'|'.join(VERDICT_COLORS)})$", " by verdict", expression.panel)
        found.setdefault(panel, []).append(f"({expression.expr})")
    return [Expression(panel, " or ".join(exprs)) for panel, exprs in found.items()]


def without_data(prometheus: PrometheusServer, center: DemoCenter, queried: list[Expression]) -> set[str]:
    """Return the panels of expressions that never had data. Expressions without data are queried again
    while more events are published: on a slow machine a rate over the last minute may be empty by then."""
    missing = set(queried)

    def all_had_data() -> bool:
        missing.difference_update(
            [expression for expression in missing if has_data(prometheus, expression.expr)]
        )
        if missing:
            run(publish(center.kafka, f"at {now()}", now()))
        return not missing

    wait_until(all_had_data, PATIENCE_S)
    return {expression.panel for expression in missing}


def is_of_alerts(expression: Expression) -> bool:
    """Tell whether an expression is of firing alerts, which have no data while none fires."""
    return expression.panel.partition(": ")[2].removeprefix("annotation ").split()[0] == "Alerts"


def is_readable(expression: Expression, by: str) -> bool:
    """Tell whether its metrics are read by this. The expected wait of several queues is not known."""
    names = re.findall(r"cx_([a-z_]+?)(?:_support)?\{", expression.expr)
    metrics = [CATALOGUE[name] for name in names if name in CATALOGUE]
    is_known = "cx_expected_wait_seconds" not in expression.expr
    return is_known and (
        f'by="{by}"' not in expression.expr or all(metric.can_group_by(by) for metric in metrics)
    )


def has_data(prometheus: PrometheusServer, expr: str) -> bool:
    return any(sample["value"][1] != "NaN" for sample in prometheus.query(expr))


@pytest.mark.parametrize("by", ["queue", "team", "channel", "site", "reason", "language"])
def test_every_panel_has_data(
    prometheus: PrometheusServer, center: DemoCenter, derived: dict[str, str], by: str
) -> None:
    queried = [
        expression
        for expression in panel_expressions(derived, by=by)
        if not is_of_alerts(expression) and is_readable(expression, by)
    ]
    assert len(queried) > 100
    assert without_data(prometheus, center, queried) == set()


@pytest.mark.parametrize(("stat", "formula"), [("p50", "negative"), ("max", "answered_only")])
def test_every_stat_has_data(
    prometheus: PrometheusServer, center: DemoCenter, derived: dict[str, str], stat: str, formula: str
) -> None:
    queried = [
        expression
        for expression in panel_expressions(derived, stat=stat, formula=formula)
        if not is_of_alerts(expression) and is_readable(expression, "queue")
    ]
    assert without_data(prometheus, center, queried) == set()


@pytest.mark.parametrize(
    ("chosen", "queues"),
    [(".*", {"billing", "sales"}), ("billing", {"billing"}), ("(billing|sales)", {"billing", "sales"})],
)
def test_panels_show_the_groups_that_were_chosen(
    prometheus: PrometheusServer, derived: dict[str, str], chosen: str, queues: set[str]
) -> None:
    (expr,) = (
        expression.expr
        for expression in panel_expressions(derived, queue=chosen)
        if expression.panel == "supervisor: Handle time A"
    )
    assert wait_until(lambda: has_data(prometheus, expr), PATIENCE_S)
    assert {sample["metric"]["queue"] for sample in prometheus.query(expr)} == queues


@pytest.mark.parametrize(
    ("name", "values"),
    [("queue", ["billing", "sales"]), ("team", ["blue", "red"]), ("channel", ["chat", "voice"])],
)
def test_a_variable_offers_what_there_is(prometheus: PrometheusServer, name: str, values: list[str]) -> None:
    match = f'cx_offered{{by="{name}"}}'
    assert wait_until(lambda: prometheus.get(f"label/{name}/values", **{"match[]": match}), PATIENCE_S)
    offered = {*prometheus.get(f"label/{name}/values", **{"match[]": match})}
    assert offered - {UNKNOWN} == {*values}  # a survey that comes before its contact is of nobody's yet


def test_every_rule_is_evaluated_without_error(prometheus: PrometheusServer) -> None:
    assert wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), PATIENCE_S)
    assert {rule["type"] for rule in prometheus.rules()} == {"recording", "alerting"}
    assert [rule["name"] for rule in prometheus.rules() if rule.get("lastError")] == []


def test_every_recorded_series_has_data(prometheus: PrometheusServer, center: DemoCenter) -> None:
    recorded = [
        Expression(f"{rule['name']} {rule.get('labels', '')}", rule["query"])
        for rule in prometheus.rules()
        if rule["type"] == "recording"
    ]
    assert len(recorded) > 20
    assert without_data(prometheus, center, recorded) == set()


def test_a_center_in_order_raises_no_alarm_about_itself(prometheus: PrometheusServer) -> None:
    assert wait_until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), PATIENCE_S)
    alerts = {rule["name"]: rule["query"] for rule in prometheus.rules() if rule["type"] == "alerting"}
    assert alerts.keys() == HEALTH | {"ContactCenterAlert"}

    def raised() -> set[str]:
        return {name for name in HEALTH if prometheus.query(alerts[name])}

    wait_until(lambda: not raised(), PATIENCE_S)
    assert raised() == set()
