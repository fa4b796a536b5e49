"""Define the Prometheus rules that watch the pipeline: parts down, stale data, lag, rejected events."""

from typing import Final

from streamer.artefacts.prometheus_rules import AlertingRule, RecordingRule, RuleGroup, RuleTest

SERVER_JOB: Final = "streamer"
WORKER_JOB: Final = "streamer-worker"
"""Job names in the scrape configuration."""

STALE_S: Final = 60
BEHIND_S: Final = 60
MAX_REJECTED_SHARE: Final = 0.01
_UP: Final = f'up{{job="{SERVER_JOB}",instance="serve:8080"}}'
_SERVERS: Final = (_UP, f'up{{job="{SERVER_JOB}",instance="serve-2:8080"}}')
_WORKERS: Final = tuple(f'up{{job="{WORKER_JOB}",instance="worker-{number}"}}' for number in (1, 2))
_SERVER_LABELS: Final = {"job": SERVER_JOB, "instance": "serve:8080"}
_FRESH: Final = f'streamer_fresh_seconds{{job="{SERVER_JOB}",instance="serve:8080"}}'
_LAG: Final = 'streamer_lag_records{topic="call-completed",partition="0"}'
_COMMITTED: Final = "streamer_event_to_commit_seconds_count"

PIPELINE_RECORDINGS: Final = RuleGroup(
    "streamer_pipeline_recorded",
    (
        RecordingRule("streamer:lag_records:sum", "sum(streamer_lag_records)"),
        RecordingRule("streamer:committed:rate5m", "sum(rate(streamer_event_to_commit_seconds_count[5m]))"),
        RecordingRule("streamer:events:rate5m", "sum by (topic, result) (rate(streamer_events_total[5m]))"),
        RecordingRule(
            "streamer:event_to_commit_seconds:p99_5m",
            "histogram_quantile(0.99, sum by (le) (rate(streamer_event_to_commit_seconds_bucket[5m])))",
        ),
    ),
)


def _event_series(rejected: str, applied: str) -> dict[str, str]:
    name = 'streamer_events_total{{topic="call-completed",result="{}"}}'
    return {name.format("rejected"): rejected, name.format("applied"): applied}


def _left_out_series(metrics: str, groupings: str) -> dict[str, str]:
    return {"cx_families_dropped": metrics, "cx_groupings_dropped": groupings}


PIPELINE_ALERTS: Final = RuleGroup(
    "streamer_pipeline",
    (
        AlertingRule(
            alert="ServerDown",
            expr=f'up{{job="{SERVER_JOB}"}} == 0',
            for_duration="1m",
            severity="critical",
            summary="The server {{ $labels.instance }} does not answer.",
            description="It serves wallboards, API and these metrics. Check `streamer serve` and its log.",
            labels={},
            tests=(
                RuleTest("a server that is down is reported", {_UP: "0+0x10"}, "1m", (_SERVER_LABELS,)),
                RuleTest("one that comes back in time is not", {_UP: "1 0 1 1 1"}, "2m"),
            ),
        ),
        AlertingRule(
            alert="NoServer",
            expr=f'absent(up{{job="{SERVER_JOB}"}} == 1)',
            for_duration="1m",
            severity="critical",
            summary="No server is up: no figures are shown, and no alert rules are evaluated.",
            description="Counting goes on and is shown once a server is back. Check `streamer serve`.",
            labels={"job": SERVER_JOB},
            tests=(
                RuleTest(
                    "no server at all is reported",
                    dict.fromkeys(_SERVERS, "0+0x10"),
                    "2m",
                    ({"job": SERVER_JOB},),
                ),
                RuleTest("one of two is enough", {_SERVERS[0]: "0+0x10", _SERVERS[1]: "1+0x10"}, "2m"),
            ),
        ),
        AlertingRule(
            alert="NoWorker",
            expr=f'absent(up{{job="{WORKER_JOB}"}} == 1)',
            for_duration="1m",
            severity="critical",
            summary="No worker is up: nothing is counted.",
            description="Events wait in Kafka until a worker is back. Check `streamer worker`.",
            labels={"job": WORKER_JOB},
            tests=(
                RuleTest(
                    "no worker at all is reported",
                    dict.fromkeys(_WORKERS, "0+0x10"),
                    "2m",
                    ({"job": WORKER_JOB},),
                ),
                RuleTest("one of two is enough", {_WORKERS[0]: "0+0x10", _WORKERS[1]: "1+0x10"}, "2m"),
            ),
        ),
        AlertingRule(
            alert="WorkerDown",
            expr=f'up{{job="{WORKER_JOB}"}} == 0',
            for_duration="5m",
            severity="warning",
            summary="The worker {{ $labels.instance }} is down.",
            description="The other workers count its partitions, with less capacity to spare.",
            labels={},
            tests=(
                RuleTest(
                    "a worker that stays down is reported",
                    {_WORKERS[0]: "0+0x10"},
                    "6m",
                    ({"job": WORKER_JOB, "instance": "worker-1"},),
                ),
                RuleTest("a restart is not", {_WORKERS[0]: "1 0 0 1 1 1 1 1 1 1"}, "6m"),
            ),
        ),
        AlertingRule(
            alert="DataStale",
            expr=f"streamer_fresh_seconds > {STALE_S}",
            for_duration="1m",
            severity="critical",
            summary="The data is {{ $value | humanizeDuration }} old.",
            description=(
                f"At least one partition last caught up that long ago. Beyond {STALE_S} s Prometheus gets "
                "no figures, and wallboards mark theirs as old. Check `streamer worker`."
            ),
            labels={},
            tests=(
                RuleTest("stale data is reported", {_FRESH: f"{STALE_S + 1}+60x10"}, "2m", (_SERVER_LABELS,)),
                RuleTest("the oldest data that is still shown is not", {_FRESH: f"{STALE_S}+0x10"}, "5m"),
            ),
        ),
        AlertingRule(
            alert="NeverCaughtUp",
            expr=f'up{{job="{SERVER_JOB}"}} == 1 unless on (job, instance) streamer_fresh_seconds',
            for_duration="5m",
            severity="critical",
            summary="The server {{ $labels.instance }} has no data to show yet.",
            description="Since the server started, workers have not caught up with every partition.",
            labels={},
            tests=(
                RuleTest("a server without data is reported", {_UP: "1+0x10"}, "6m", (_SERVER_LABELS,)),
                RuleTest("one with data is not", {_UP: "1+0x10", _FRESH: "0+0x10"}, "6m"),
            ),
        ),
        AlertingRule(
            alert="WorkersBehind",
            expr=f"streamer:lag_records:sum / streamer:committed:rate5m > {BEHIND_S}",
            for_duration="10m",
            severity="warning",
            summary="The workers are {{ $value | humanizeDuration }} behind.",
            description=(
                "Counting the waiting records takes that long at the rate of the last 5 minutes. Start more "
                "workers, up to one per partition, or find out why these are slow. Expected during a replay."
            ),
            labels={},
            tests=(
                RuleTest(
                    "a lag that takes longer to count is reported",
                    {_LAG: "61+0x20", _COMMITTED: "0+60x20"},
                    "16m",
                    ({},),
                ),
                RuleTest(
                    "one that takes just that long is not", {_LAG: "60+0x20", _COMMITTED: "0+60x20"}, "16m"
                ),
                RuleTest("an idle pipeline is not", {_LAG: "0+0x20", _COMMITTED: "7+0x20"}, "16m"),
                RuleTest(
                    "a pipeline that stands still is reported",
                    {_LAG: "1+0x20", _COMMITTED: "7+0x20"},
                    "16m",
                    ({},),
                ),
            ),
        ),
        AlertingRule(
            alert="EventsRejected",
            expr=(
                'sum by (topic) (increase(streamer_events_total{result="rejected"}[15m]))\n'
                f"  / sum by (topic) (increase(streamer_events_total[15m])) > {MAX_REJECTED_SHARE}\n"
                '  and sum by (topic) (increase(streamer_events_total{result="rejected"}[15m])) >= 10'
            ),
            for_duration="5m",
            severity="warning",
            summary="{{ $value | humanizePercentage }} of the events of {{ $labels.topic }} are rejected.",
            description="A producer sends invalid events; the topic streamer-dead-letters has the reasons.",
            labels={},
            tests=(
                RuleTest(
                    "more than one in a hundred is reported",
                    _event_series("0+11x40", "0+989x40"),
                    "35m",
                    ({"topic": "call-completed"},),
                ),
                RuleTest("one in a hundred is not", _event_series("0+10x40", "0+990x40"), "35m"),
                RuleTest("a handful is not", _event_series("0+0.6x40", "0+0.6x40"), "35m"),
                RuleTest(
                    "ten are enough",
                    _event_series("0+0.7x40", "0+0.7x40"),
                    "35m",
                    ({"topic": "call-completed"},),
                ),
            ),
        ),
        AlertingRule(
            alert="FiguresLeftOut",
            expr="cx_families_dropped + cx_groupings_dropped > 0",
            for_duration="15m",
            severity="warning",
            summary="Prometheus does not get all figures: {{ $value }} metrics or groupings are left out.",
            description="The groups need more than export_max_series: raise it, or export fewer windows.",
            labels={},
            tests=(
                RuleTest("a metric is reported", _left_out_series("1+0x30", "0+0x30"), "20m", ({},)),
                RuleTest("a grouping is reported", _left_out_series("0+0x30", "1+0x30"), "20m", ({},)),
                RuleTest("none is not", _left_out_series("0+0x30", "0+0x30"), "20m"),
            ),
        ),
    ),
)
