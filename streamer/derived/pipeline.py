"""Here is the dashboard of the pipeline's health: is what is shown true, and how soon."""

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
    """What is shown, and from where on it is too much."""

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
        "Age of the numbers",
        "Seconds since all partitions were last seen caught up: 0 in a quiet night. Beyond "
        f"{STALE_S} s the figures are withheld.",
        (Query("streamer_fresh_seconds"),),
        _SECONDS,
        STALE_S,
    ),
    Gauge(
        "Records waiting",
        "Records in Kafka that are not counted yet, over all partitions.",
        (Query("streamer:lag_records:sum"),),
        _COUNT,
        1000,
    ),
    Gauge(
        "Workers up",
        "Workers that answer; start as many as there are partitions.",
        (Query(f'count(up{{job="{WORKER}"}} == 1) or vector(0)'),),
        _COUNT,
    ),
    Gauge(
        "Rejected, share",
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
        "Of all rules in Prometheus.",
        (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
        _COUNT,
        1,
    ),
    Gauge(
        "Metrics left out",
        "Left out of the exposition, to stay below 10,000 series: whole metrics from the catalogue's end, "
        "and, before any of them, groupings.",
        (Query("cx_families_dropped", "metrics"), Query("cx_groupings_dropped", "groupings", "B")),
        _COUNT,
        1,
    ),
)

FLOW: Final = (
    Gauge(
        "Events",
        "Events by what became of them, per second: applied, unchanged (duplicates, older versions), "
        "rejected. Counted in the commit itself, exact.",
        (Query("streamer:events:rate5m", "{{topic}}, {{result}}"),),
        _RATE,
    ),
    Gauge(
        "Records waiting, by topic",
        "Records that are not counted yet, over the partitions of each topic.",
        (Query("sum by (topic) (streamer_lag_records)", "{{topic}}"),),
        _COUNT,
    ),
    Gauge(
        "From event to commit",
        "From a record's Kafka timestamp to the commit that counted it, in the last 5 minutes. A replay "
        "of the past shows here as long.",
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
        "Since the Kafka timestamp of the last record counted, by topic. Long in a quiet night.",
        (Query("time() - max by (topic) (streamer_last_event_timestamp_seconds)", "{{topic}}"),),
        _SECONDS,
    ),
    Gauge(
        "Commits computed again",
        "Per second: another commit changed the same journeys first. Many mean that topics with the same "
        "customers arrive at once.",
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
        "The difference between a reading and the same figure from plain counters, as a share of what is "
        "tolerated; beyond 1 for 15 minutes it is told of. Means nothing before Prometheus looked on for a "
        "whole window, nor after a replay or an outage.",
        (Query("abs(cx:audit:reading - cx:audit:counted) / cx:audit:tolerance", "{{figure}}, {{window}}"),),
        Scale("none", 2),
        1,
    ),
    Gauge(
        "Up",
        "1: the part answers Prometheus; 0: it does not.",
        (Query(f'up{{job=~"{SERVER}|{WORKER}"}}', "{{job}} {{instance}}"),),
        _COUNT,
    ),
    Gauge(
        "Crowds",
        "Customer ids with more contacts than a person has (robots, shared numbers); left out of first "
        "contact resolution.",
        (Query("streamer_crowd_customers_total or vector(0)", "crowds"),),
        _COUNT,
    ),
)


ALERTS: Final = (
    Gauge(
        "Rules' alerts firing",
        "Of the server's rules: they are on the supervisor's dashboard.",
        (Query(f"count({promql.any_server('cx_alert_firing')}) or vector(0)"),),
        _COUNT,
        1,
    ),
    Gauge(
        "Servers that judge",
        "One of all servers judges the rules and sends messages; 0: no alert can fire.",
        (Query("sum(streamer_alerts_judging) or vector(0)"),),
        _COUNT,
    ),
    Gauge(
        "Messages waiting",
        "Messages about alerts that receivers are still to be sent, over all receivers.",
        (Query("sum(max by (receiver) (streamer_alert_messages_waiting)) or vector(0)"),),
        _COUNT,
        1,
    ),
    Gauge(
        "Messages given up",
        "Messages about alerts that a receiver was never sent, since the record of alerts began.",
        (Query("sum(max by (receiver) (streamer_alert_messages_given_up_total)) or vector(0)"),),
        _COUNT,
        1,
    ),
)


def pipeline(settings: Settings) -> Page:
    return Page(
        "pipeline",
        "Pipeline health",
        "Is what is shown true, and how soon after it happened.",
        [],
        [
            Section("Now", [_number(gauge) for gauge in NOW]),
            Section("Alerts", [_number(gauge) for gauge in ALERTS]),
            Section("The way of events", [_lines(gauge) for gauge in FLOW]),
            Section("What is counted", [_lines(gauge) for gauge in COUNTERS]),
        ],
    )


def _number(gauge: Gauge) -> stat.Panel:
    panel = panels.number(gauge.queries).title(gauge.title).description(gauge.description)
    return panels.plain(panel.thresholds(thresholds("lower", gauge.limit)), gauge.scale)


def _lines(gauge: Gauge) -> timeseries.Panel:
    panel = panels.limited(panels.lines(gauge.queries), thresholds("lower", gauge.limit), gauge.limit)
    return panels.plain(panel.title(gauge.title).description(gauge.description), gauge.scale)
