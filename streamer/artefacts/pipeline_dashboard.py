"""Build the dashboard of the pipeline's health: data age, lag, rejected events, alert delivery."""

from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import stat, timeseries

from streamer.artefacts import panels, promql
from streamer.artefacts.dashboards import DashboardPage, DashboardSection
from streamer.artefacts.metric_display import FieldScale, target_thresholds
from streamer.artefacts.panels import PanelQuery
from streamer.artefacts.pipeline_alerts import BEHIND_S, MAX_REJECTED_SHARE, SERVER_JOB, STALE_S, WORKER_JOB
from streamer.settings import Settings

_SECONDS: Final = FieldScale("s", 1)
_COUNT: Final = FieldScale("none", 0)
_RATE: Final = FieldScale("suffix:/s", 2)
_SHARE: Final = FieldScale("percentunit", 2)
_NUMBER: Final = FieldScale("none", 1)


class HealthPanel(NamedTuple):
    """A panel of the pipeline; values from `limit` on are bad."""

    title: str
    description: str
    queries: tuple[PanelQuery, ...]
    scale: FieldScale
    limit: float | None = None


def _quantile_queries(histogram: str, window: str, *shares: float) -> tuple[PanelQuery, ...]:
    rates = f"sum by (le) (rate({histogram}_bucket[{window}]))"
    return tuple(
        PanelQuery(f"histogram_quantile({share}, {rates})", f"{share:.0%} within", ref)
        for share, ref in zip(shares, "ABC", strict=False)
    )


CURRENT_PANELS: Final = (
    HealthPanel(
        "Data age",
        "Seconds since all partitions were last caught up: 0 in a quiet night. Beyond "
        f"{STALE_S} s Prometheus gets no figures.",
        (PanelQuery("streamer_fresh_seconds"),),
        _SECONDS,
        STALE_S,
    ),
    HealthPanel(
        "Records waiting",
        "Records in Kafka that are not counted yet, in all partitions.",
        (PanelQuery("streamer:lag_records:sum"),),
        _COUNT,
        1000,
    ),
    HealthPanel(
        "Workers up",
        "Workers that answer Prometheus; there can be one per partition.",
        (PanelQuery(f'count(up{{job="{WORKER_JOB}"}} == 1) or vector(0)'),),
        _COUNT,
    ),
    HealthPanel(
        "Rejected events",
        "Share of the events of the last 15 minutes that went to the dead letters.",
        (
            PanelQuery(
                '(sum(increase(streamer_events_total{result="rejected"}[15m])) or vector(0))'
                " / sum(increase(streamer_events_total[15m]))"
            ),
        ),
        _SHARE,
        MAX_REJECTED_SHARE,
    ),
    HealthPanel(
        "Alerts firing",
        "Firing alerts of all Prometheus rules.",
        (PanelQuery('count(ALERTS{alertstate="firing"}) or vector(0)'),),
        _COUNT,
        1,
    ),
    HealthPanel(
        "Metrics left out",
        "Left out of the exposition, to stay below 10,000 series: groupings first, then whole metrics from "
        "the catalogue's end.",
        (PanelQuery("cx_families_dropped", "metrics"), PanelQuery("cx_groupings_dropped", "groupings", "B")),
        _COUNT,
        1,
    ),
)

FLOW_PANELS: Final = (
    HealthPanel(
        "Events",
        "Events per second, by result: applied, unchanged (duplicates, older versions), rejected. Exact, "
        "since they are counted in the commit itself.",
        (PanelQuery("streamer:events:rate5m", "{{topic}}, {{result}}"),),
        _RATE,
    ),
    HealthPanel(
        "Records waiting, by topic",
        "Records that are not counted yet, in all partitions of each topic.",
        (PanelQuery("sum by (topic) (streamer_lag_records)", "{{topic}}"),),
        _COUNT,
    ),
    HealthPanel(
        "From event to commit",
        "Time from a record's Kafka timestamp to the commit that counted it, in the last 5 minutes. A replay "
        "of old records shows long times here.",
        _quantile_queries("streamer_event_to_commit_seconds", "5m", 0.5, 0.95, 0.99),
        _SECONDS,
    ),
    HealthPanel(
        "Time to catch up",
        "Records waiting, divided by the records counted per second in the last 5 minutes.",
        (PanelQuery("streamer:lag_records:sum / streamer:committed:rate5m", "seconds behind"),),
        _SECONDS,
        BEHIND_S,
    ),
    HealthPanel(
        "Age of the last event",
        "Time since the Kafka timestamp of the last record counted, by topic. Long in a quiet night.",
        (PanelQuery("time() - max by (topic) (streamer_last_event_timestamp_seconds)", "{{topic}}"),),
        _SECONDS,
    ),
    HealthPanel(
        "Commit conflicts",
        "Commits per second that were computed again, because another commit changed the same journeys "
        "first. Many mean that events of the same customers arrive in several topics at once.",
        (PanelQuery("sum(rate(streamer_commit_conflicts_total[5m]))", "conflicts"),),
        _RATE,
    ),
)

COUNTER_PANELS: Final = (
    HealthPanel(
        "Segments, as they arrive",
        "First applications per minute, by outcome, over 5 minutes; plain counters, which never decrease.",
        (PanelQuery("60 * sum by (outcome) (rate(cx_segments_completed_total[5m]))", "{{outcome}}"),),
        _NUMBER,
    ),
    HealthPanel(
        "Answers, as they arrive",
        "Answers to survey questions per minute, over 5 minutes; plain counters.",
        (PanelQuery("60 * sum by (question) (rate(cx_survey_answers_total[5m]))", "{{question}}"),),
        _NUMBER,
    ),
    HealthPanel(
        "Handle time, as it arrives",
        "From the plain histogram, over 15 minutes, interpolated between its limits.",
        _quantile_queries("cx_handle_duration_seconds", "15m", 0.5, 0.9),
        _SECONDS,
    ),
    HealthPanel(
        "Self-audit: readings against counters",
        "The difference between a reading and the same figure from plain counters, as a share of the "
        "tolerance; above 1 for 15 minutes an alert fires. Not valid until Prometheus has scraped for a "
        "whole window, nor after a replay or an outage.",
        (
            PanelQuery(
                "abs(cx:audit:reading - cx:audit:counted) / cx:audit:tolerance", "{{figure}}, {{window}}"
            ),
        ),
        FieldScale("none", 2),
        1,
    ),
    HealthPanel(
        "Up",
        "1: the process answers Prometheus; 0: it does not.",
        (PanelQuery(f'up{{job=~"{SERVER_JOB}|{WORKER_JOB}"}}', "{{job}} {{instance}}"),),
        _COUNT,
    ),
    HealthPanel(
        "Shared ids",
        "Customer ids with more contacts than one person has (robots, shared phone numbers), and ids of "
        "contacts and surveys that more facts name than belong together (N/A, 0). What names them stands "
        "alone; first contact resolution leaves it out.",
        (
            PanelQuery("streamer_crowd_customers_total or vector(0)", "customers"),
            PanelQuery('streamer_shared_ids_total{kind="contact"} or vector(0)', "contacts"),
            PanelQuery('streamer_shared_ids_total{kind="survey"} or vector(0)', "surveys"),
        ),
        _COUNT,
    ),
)


ALERT_PANELS: Final = (
    HealthPanel(
        "Contact center alerts firing",
        "Firing alerts of the server's alert rules; the supervisor's dashboard lists them.",
        (PanelQuery(f"count({promql.across_servers('cx_alert_firing')}) or vector(0)"),),
        _COUNT,
        1,
    ),
    HealthPanel(
        "Servers evaluating rules",
        "Exactly one server evaluates alert rules and sends messages; 0: no alert can fire.",
        (PanelQuery("sum(streamer_alerts_judging) or vector(0)"),),
        _COUNT,
    ),
    HealthPanel(
        "Messages waiting",
        "Alert messages not sent yet, to all receivers.",
        (PanelQuery("sum(max by (receiver) (streamer_alert_messages_waiting)) or vector(0)"),),
        _COUNT,
        1,
    ),
    HealthPanel(
        "Messages given up",
        "Alert messages dropped unsent, to all receivers, since the alert record began.",
        (PanelQuery("sum(max by (receiver) (streamer_alert_messages_given_up_total)) or vector(0)"),),
        _COUNT,
        1,
    ),
)


def pipeline_page(settings: Settings) -> DashboardPage:
    return DashboardPage(
        "pipeline",
        "Pipeline health",
        "Whether figures are complete and correct, and how soon after the event.",
        [],
        [
            DashboardSection("Now", [_number_panel(health_panel) for health_panel in CURRENT_PANELS]),
            DashboardSection("Alerts", [_number_panel(health_panel) for health_panel in ALERT_PANELS]),
            DashboardSection("Event flow", [_line_panel(health_panel) for health_panel in FLOW_PANELS]),
            DashboardSection("Counters", [_line_panel(health_panel) for health_panel in COUNTER_PANELS]),
        ],
    )


def _number_panel(health_panel: HealthPanel) -> stat.Panel:
    panel = (
        panels.number_panel(health_panel.queries)
        .title(health_panel.title)
        .description(health_panel.description)
    )
    return panels.apply_defaults(
        panel.thresholds(target_thresholds("lower", health_panel.limit)), health_panel.scale
    )


def _line_panel(health_panel: HealthPanel) -> timeseries.Panel:
    panel = panels.apply_limit(
        panels.line_panel(health_panel.queries),
        target_thresholds("lower", health_panel.limit),
        health_panel.limit,
    )
    return panels.apply_defaults(
        panel.title(health_panel.title).description(health_panel.description), health_panel.scale
    )
