"""Build the dashboard of the pipeline's health: data age, lag, rejected events, alert delivery."""

from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import stat, timeseries

from streamer.derived import panels, promql
from streamer.derived.dashboards import Page, Section
from streamer.derived.figures import Scale, thresholds
from streamer.derived.health import BEHIND_S, REJECTED, SERVER, STALE_S, WORKER
from streamer.derived.panels import Query
from streamer.settings import Settings

_SECONDS: Final = Scale("s", 1)
_COUNT: Final = Scale("none", 0)
_RATE: Final = Scale("suffix:/s", 2)
_SHARE: Final = Scale("percentunit", 2)
_NUMBER: Final = Scale("none", 1)


class Gauge(NamedTuple):
    """A panel of the pipeline; values from `limit` on are bad."""

    title: str
    description: str
    queries: tuple[Query, ...]
    scale: Scale
    limit: float | None = None


def _within(histogram: str, window: str, *shares: float) -> tuple[Query, ...]:
    rates = f"sum by (le) (rate({histogram}_bucket[{window}]))"
    return tuple(
        Query(f"histogram_quantile({share}, {rates})", f"{share:.0%} within", ref)
        for share, ref in zip(shares, "ABC", strict=False)
    )


NOW: Final = (
    Gauge(
        "Data age",
        "Seconds since all partitions were last caught up: 0 in a quiet night. Beyond "
        f"{STALE_S} s Prometheus gets no figures.",
        (Query("streamer_fresh_seconds"),),
        _SECONDS,
        STALE_S,
    ),
    Gauge(
        "Records waiting",
        "Records in Kafka that are not counted yet, in all partitions.",
        (Query("streamer:lag_records:sum"),),
        _COUNT,
        1000,
    ),
    Gauge(
        "Workers up",
        "Workers that answer Prometheus; there can be one per partition.",
        (Query(f'count(up{{job="{WORKER}"}} == 1) or vector(0)'),),
        _COUNT,
    ),
    Gauge(
        "Rejected events",
        "Share of the events of the last 15 minutes that went to the dead letters.",
        (
            Query(
                '(sum(increase(streamer_events_total{result="rejected"}[15m])) or vector(0))'
                " / sum(increase(streamer_events_total[15m]))"
            ),
        ),
        _SHARE,
        REJECTED,
    ),
    Gauge(
        "Alerts firing",
        "Firing alerts of all Prometheus rules.",
        (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
        _COUNT,
        1,
    ),
    Gauge(
        "Metrics left out",
        "Left out of the exposition, to stay below 10,000 series: groupings first, then whole metrics from "
        "the catalogue's end.",
        (Query("cx_families_dropped", "metrics"), Query("cx_groupings_dropped", "groupings", "B")),
        _COUNT,
        1,
    ),
)

FLOW: Final = (
    Gauge(
        "Events",
        "Events per second, by result: applied, unchanged (duplicates, older versions), rejected. Exact, "
        "since they are counted in the commit itself.",
        (Query("streamer:events:rate5m", "{{topic}}, {{result}}"),),
        _RATE,
    ),
    Gauge(
        "Records waiting, by topic",
        "Records that are not counted yet, in all partitions of each topic.",
        (Query("sum by (topic) (streamer_lag_records)", "{{topic}}"),),
        _COUNT,
    ),
    Gauge(
        "From event to commit",
        "Time from a record's Kafka timestamp to the commit that counted it, in the last 5 minutes. A replay "
        "of old records shows long times here.",
        _within("streamer_event_to_commit_seconds", "5m", 0.5, 0.95, 0.99),
        _SECONDS,
    ),
    Gauge(
        "Time to catch up",
        "Records waiting, divided by the records counted per second in the last 5 minutes.",
        (Query("streamer:lag_records:sum / streamer:committed:rate5m", "seconds behind"),),
        _SECONDS,
        BEHIND_S,
    ),
    Gauge(
        "Age of the last event",
        "Time since the Kafka timestamp of the last record counted, by topic. Long in a quiet night.",
        (Query("time() - max by (topic) (streamer_last_event_timestamp_seconds)", "{{topic}}"),),
        _SECONDS,
    ),
    Gauge(
        "Commit conflicts",
        "Commits per second that were computed again, because another commit changed the same journeys "
        "first. Many mean that events of the same customers arrive in several topics at once.",
        (Query("sum(rate(streamer_commit_conflicts_total[5m]))", "conflicts"),),
        _RATE,
    ),
)

COUNTERS: Final = (
    Gauge(
        "Segments, as they arrive",
        "First applications per minute, by outcome, over 5 minutes; plain counters, which never decrease.",
        (Query("60 * sum by (outcome) (rate(cx_segments_completed_total[5m]))", "{{outcome}}"),),
        _NUMBER,
    ),
    Gauge(
        "Answers, as they arrive",
        "Answers to survey questions per minute, over 5 minutes; plain counters.",
        (Query("60 * sum by (question) (rate(cx_survey_answers_total[5m]))", "{{question}}"),),
        _NUMBER,
    ),
    Gauge(
        "Handle time, as it arrives",
        "From the plain histogram, over 15 minutes, interpolated between its limits.",
        _within("cx_handle_duration_seconds", "15m", 0.5, 0.9),
        _SECONDS,
    ),
    Gauge(
        "Self-audit: readings against counters",
        "The difference between a reading and the same figure from plain counters, as a share of the "
        "tolerance; above 1 for 15 minutes an alert fires. Not valid until Prometheus has scraped for a "
        "whole window, nor after a replay or an outage.",
        (Query("abs(cx:audit:reading - cx:audit:counted) / cx:audit:tolerance", "{{figure}}, {{window}}"),),
        Scale("none", 2),
        1,
    ),
    Gauge(
        "Up",
        "1: the process answers Prometheus; 0: it does not.",
        (Query(f'up{{job=~"{SERVER}|{WORKER}"}}', "{{job}} {{instance}}"),),
        _COUNT,
    ),
    Gauge(
        "Shared customer ids",
        "Customer ids with more contacts than one person has (robots, shared phone numbers); excluded from "
        "first contact resolution.",
        (Query("streamer_crowd_customers_total or vector(0)", "crowds"),),
        _COUNT,
    ),
)


ALERTS: Final = (
    Gauge(
        "Contact center alerts firing",
        "Firing alerts of the server's alert rules; the supervisor's dashboard lists them.",
        (Query(f"count({promql.any_server('cx_alert_firing')}) or vector(0)"),),
        _COUNT,
        1,
    ),
    Gauge(
        "Servers evaluating rules",
        "Exactly one server evaluates alert rules and sends messages; 0: no alert can fire.",
        (Query("sum(streamer_alerts_judging) or vector(0)"),),
        _COUNT,
    ),
    Gauge(
        "Messages waiting",
        "Alert messages not sent yet, to all receivers.",
        (Query("sum(max by (receiver) (streamer_alert_messages_waiting)) or vector(0)"),),
        _COUNT,
        1,
    ),
    Gauge(
        "Messages given up",
        "Alert messages dropped unsent, to all receivers, since the alert record began.",
        (Query("sum(max by (receiver) (streamer_alert_messages_given_up_total)) or vector(0)"),),
        _COUNT,
        1,
    ),
)


def pipeline(settings: Settings) -> Page:
    return Page(
        "pipeline",
        "Pipeline health",
        "Whether figures are complete and correct, and how soon after the event.",
        [],
        [
            Section("Now", [_number(gauge) for gauge in NOW]),
            Section("Alerts", [_number(gauge) for gauge in ALERTS]),
            Section("Event flow", [_lines(gauge) for gauge in FLOW]),
            Section("Counters", [_lines(gauge) for gauge in COUNTERS]),
        ],
    )


def _number(gauge: Gauge) -> stat.Panel:
    panel = panels.number(gauge.queries).title(gauge.title).description(gauge.description)
    return panels.plain(panel.thresholds(thresholds("lower", gauge.limit)), gauge.scale)


def _lines(gauge: Gauge) -> timeseries.Panel:
    panel = panels.limited(panels.lines(gauge.queries), thresholds("lower", gauge.limit), gauge.limit)
    return panels.plain(panel.title(gauge.title).description(gauge.description), gauge.scale)
