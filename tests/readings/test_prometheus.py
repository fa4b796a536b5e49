"""Prometheus sees the readings under these names. They are literals, so that a rename fails here."""

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streamer.events.counting_rules import MINUTE, SECOND
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.tally import NUMBER
from streamer.readings import prometheus
from streamer.readings.prometheus import (
    ExportSelection,
    ExportSnapshot,
    PrometheusExporter,
    render_exposition,
)
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from tests.readings.live_center import agent, contact, live_deltas
from tests.readings.small_center import NOW, SETTINGS, SmallCenter, answered, cell, new_reader, pane

GAUGES = [
    "cx_nps_score",
    "cx_cnx_score",
    "cx_csat_ratio",
    "cx_csat_mean",
    "cx_ces_score",
    "cx_ces_easy_ratio",
    "cx_effort_score",
    "cx_fcr_survey_ratio",
    "cx_fcr_agent_ratio",
    "cx_fcr_ratio",
    "cx_fcr_maturity_ratio",
    "cx_fcr_final_ratio",
    "cx_repeat_ratio",
    "cx_handle_time_seconds",
    "cx_talk_time_seconds",
    "cx_hold_time_seconds",
    "cx_acw_time_seconds",
    "cx_wait_time_seconds",
    "cx_abandon_time_seconds",
    "cx_outbound_handle_time_seconds",
    "cx_service_level_ratio",
    "cx_abandon_ratio",
    "cx_transfer_ratio",
    "cx_waiting",
    "cx_longest_wait_seconds",
    "cx_waiting_over_target",
    "cx_in_progress",
    "cx_expected_wait_seconds",
    "cx_agents_signed_in",
    "cx_agents_available",
    "cx_agents_busy",
    "cx_agents_wrap_up",
    "cx_agents_away",
    "cx_agents_unknown",
    "cx_contacts_lost",
    "cx_contacts",
    "cx_offered",
    "cx_answered",
    "cx_abandoned",
    "cx_short_abandoned",
    "cx_callbacks",
    "cx_outbound",
    "cx_surveys",
    "cx_detractors",
    "cx_comments",
    "cx_workload_erlangs",
    "cx_active_agents",
    "cx_occupancy_ratio",
    "cx_signed_in_seconds",
    "cx_available_seconds",
    "cx_wrap_up_seconds",
    "cx_away_seconds",
    "cx_offered_seconds",
    "cx_offered_unanswered",
    "cx_response_ratio",
    "cx_qa_score",
    "cx_value_at_risk",
    "cx_value_mean",
    "cx_answer_ratio",
]

EXPORT = ExportSelection(("15m", "1h", "today"), agents=False)
COUNTS = {
    "events␟call-completed␟applied": 3,
    "segments␟billing␟voice␟answered": 2,
    "answers␟billing␟nps␟promoter": 4,
    "answers␟billing␟nps␟detractor": 1,
    "answers␟sales␟nps␟promoter": 4,
    "handle␟billing␟15": 1,
    "handle␟billing␟60": 2,
    "handle␟billing␟+Inf": 1,
    "handle_ms␟billing": 5_000_500,
    "crowds": 1,
    "shared␟contact": 2,
}


async def small_reader() -> MetricsReader:
    return await new_reader(await small_center())


async def small_center() -> SmallCenter:
    center = SmallCenter()
    await center.beat(NOW)
    surveyed = {NUMBER["nps_10"]: 6, NUMBER["nps_0"]: 2}
    tallies = {
        (pane(MINUTE), cell()): answered(3, 90_000) | surveyed,
        (pane(MINUTE), cell("sales", "bob", "chat")): answered(),
    }
    await center.add(tallies, {name.replace("␟", "\x1f"): count for name, count in COUNTS.items()})
    return center


def parsed(text: bytes) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float | None:
    values = [sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)]
    assert len(values) <= 1
    return values[0] if values else None


def test_the_names_are_those_of_the_catalogue() -> None:
    assert [f"cx_{name}" for name in CATALOGUE] == GAUGES


async def test_a_metric_has_value_interval_and_support() -> None:
    samples = parsed(PrometheusExporter(await small_reader()).render(EXPORT, NOW))
    assert value(samples, "cx_nps_score", window="1h", by="queue", queue="billing") == 50
    assert value(samples, "cx_nps_score", window="1h", by="all") == 50
    assert value(samples, "cx_nps_score_support", window="15m", by="all") == 8
    pair = {"by": "queue,channel", "queue": "billing", "channel": "voice"}
    low = value(samples, "cx_nps_score_lower", window="today", **pair)
    high = value(samples, "cx_nps_score_upper", window="today", **pair)
    assert low is not None
    assert high is not None
    assert low < 50 < high
    assert value(samples, "cx_answered", window="1h", by="channel", channel="chat") == 1
    assert value(samples, "cx_handle_time_seconds", window="1h", by="all", stat="mean") == 90
    assert value(samples, "cx_handle_time_seconds_support", window="1h", by="all", stat="p90") == 1
    assert value(samples, "cx_service_level_ratio", window="1h", by="all", stat="negative") is None
    assert value(samples, "cx_nps_score", window="1h", by="queue", queue="sales") is None


async def test_what_is_going_on_now_is_exported_beside_the_windows() -> None:
    center = await small_center()
    live = live_deltas([contact("queued", 5), contact("offered", 25)], [agent("ann")])
    await center.add({}, more=live)
    samples = parsed(PrometheusExporter(await new_reader(center)).render(EXPORT, NOW))
    assert value(samples, "cx_waiting", window="now", by="all") == 2
    assert value(samples, "cx_waiting", window="now", by="queue", queue="billing") == 2
    assert value(samples, "cx_waiting", window="now", by="queue", queue="sales") is None  # sends none
    assert value(samples, "cx_longest_wait_seconds", window="now", by="all") == 25
    assert value(samples, "cx_longest_wait_seconds_support", window="now", by="all") == 2
    assert value(samples, "cx_agents_available", window="now", by="queue", queue="billing") == 1
    assert value(samples, "cx_available_seconds", window="15m", by="all") == 60
    assert value(samples, "cx_service_level_ratio", window="1h", by="all", stat="with_waiting") == 0
    assert value(samples, "cx_waiting_support", window="now", by="all") is None  # a count is its support


async def test_without_states_no_figure_of_now_is_exported() -> None:
    samples = parsed(PrometheusExporter(await small_reader()).render(EXPORT, NOW))
    assert not [sample for sample in samples if sample.labels.get("window") == "now"]


async def test_agents_are_exported_only_if_asked() -> None:
    reader = await small_reader()
    assert not any(
        sample.labels.get("agent") for sample in parsed(PrometheusExporter(reader).render(EXPORT, NOW))
    )
    samples = parsed(PrometheusExporter(reader).render(EXPORT._replace(agents=True), NOW))
    assert value(samples, "cx_answered", window="1h", by="agent", agent="ann") == 3


async def test_counters_and_histograms_are_plain() -> None:
    samples = parsed(PrometheusExporter(await small_reader()).render(EXPORT, NOW))
    assert value(samples, "streamer_events_total", topic="call-completed", result="applied") == 3
    segments = {"queue": "billing", "channel": "voice", "outcome": "answered"}
    assert value(samples, "cx_segments_completed_total", **segments) == 2
    answers = {"queue": "billing", "question": "nps", "bucket": "promoter"}
    assert value(samples, "cx_survey_answers_total", **answers) == 4
    assert value(samples, "cx_survey_answers_total", **(answers | {"queue": "sales"})) is None
    assert value(samples, "streamer_crowd_customers_total") == 1
    assert value(samples, "streamer_shared_ids_total", kind="contact") == 2
    buckets = {
        sample.labels["le"]: sample.value
        for sample in samples
        if sample.name == "cx_handle_duration_seconds_bucket"
    }
    assert (buckets["15"], buckets["30"], buckets["60"], buckets["3600"], buckets["+Inf"]) == (1, 1, 3, 3, 4)
    assert value(samples, "cx_handle_duration_seconds_count", queue="billing") == 4
    assert value(samples, "cx_handle_duration_seconds_sum", queue="billing") == 5000.5


async def test_old_numbers_are_withheld_but_their_age_and_the_counters_are_not() -> None:
    reader = await small_reader()
    fresh = parsed(PrometheusExporter(reader).render(EXPORT, NOW + 60 * SECOND))
    old = parsed(PrometheusExporter(reader).render(EXPORT, NOW + 60 * SECOND + 1))
    assert value(fresh, "cx_answered", window="1h", by="all") == 4
    assert value(old, "cx_answered", window="1h", by="all") is None
    assert value(old, "streamer_fresh_seconds") == 60.001
    assert value(old, "streamer_events_total", topic="call-completed", result="applied") == 3


async def test_before_any_worker_spoke_nothing_is_said() -> None:
    samples = parsed(PrometheusExporter(await new_reader(SmallCenter())).render(EXPORT, NOW))
    name_values = [(sample.name, sample.value) for sample in samples]
    assert name_values == [
        ("cx_families_dropped", 0),
        ("cx_groupings_shortened", 0),
        ("cx_groupings_dropped", 0),
    ]


async def test_whole_families_drop_from_the_catalogues_end() -> None:
    (template,) = (await small_reader()).readings(MetricQuery(now=NOW, metrics=("answered",)))
    names = ("contacts", "offered", "answered", "abandoned")
    readings = {name: copies(template, name, 4_000) for name in names}
    samples = parsed(render_exposition(ExportSnapshot(readings, {"crowds": 1}, 0)))
    kept_names = {sample.name for sample in samples}
    assert {"cx_contacts", "cx_offered"} <= kept_names
    assert not kept_names & {"cx_answered", "cx_abandoned"}
    assert value(samples, "cx_families_dropped") == 2
    assert len(samples) <= prometheus.MAX_SERIES


def copies(template: Reading, name: str, times: int) -> list[Reading]:
    fields = {field: getattr(template, field) for field in template.__struct_fields__}
    return [
        Reading(**(fields | {"metric": name, "by": "queue", "key": f"q{number}"})) for number in range(times)
    ]


async def test_the_most_series_that_fit_are_kept() -> None:
    (template,) = (await small_reader()).readings(MetricQuery(now=NOW, metrics=("answered",)))
    room = prometheus.MAX_SERIES - 4  # what was left out or shortened, and fresh_seconds
    whole = parsed(render_exposition(ExportSnapshot({"contacts": copies(template, "contacts", room)}, {}, 0)))
    assert (len(whole), value(whole, "cx_families_dropped")) == (prometheus.MAX_SERIES, 0)
    more = parsed(
        render_exposition(ExportSnapshot({"contacts": copies(template, "contacts", room + 1)}, {}, 0))
    )
    assert (len(more), value(more, "cx_families_dropped")) == (4, 1)


def alert_families(number: int) -> list[Metric]:
    family = GaugeMetricFamily("cx_alert_firing", "Of any.", labels=["queue"])
    for queue in range(number):
        family.add_metric([f"q{queue}"], 1)
    return [family]


async def test_what_comes_before_the_figures_takes_their_room() -> None:
    (template,) = (await small_reader()).readings(MetricQuery(now=NOW, metrics=("answered",)))
    room = prometheus.MAX_SERIES - 4
    for more, is_kept in ((0, True), (1, False)):
        readings = {"contacts": copies(template, "contacts", room - 100)}
        export_snapshot = ExportSnapshot(readings, {}, 0, leading=alert_families(100 + more))
        samples = parsed(render_exposition(export_snapshot))
        assert value(samples, "cx_families_dropped") == (0 if is_kept else 1)
        assert len([sample for sample in samples if sample.name == "cx_alert_firing"]) == 100 + more
        assert (len(samples) == prometheus.MAX_SERIES) is is_kept


async def test_it_is_never_left_out_even_where_nothing_else_finds_room() -> None:
    reader = await small_reader()
    samples = parsed(
        PrometheusExporter(reader).render(EXPORT, NOW, leading=alert_families(prometheus.MAX_SERIES))
    )
    assert len([sample for sample in samples if sample.name == "cx_alert_firing"]) == prometheus.MAX_SERIES
    assert not [sample for sample in samples if sample.name == "cx_answered"]
    assert value(samples, "cx_families_dropped") is not None


async def test_it_is_there_while_numbers_are_old() -> None:
    reader = await small_reader()
    old = parsed(PrometheusExporter(reader).render(EXPORT, NOW + 61 * SECOND, leading=alert_families(1)))
    assert value(old, "cx_alert_firing", queue="q0") == 1
    assert value(old, "cx_answered", window="1h", by="all") is None


async def test_a_long_family_is_written_in_portions_as_it_would_be_whole() -> None:
    (template,) = (await small_reader()).readings(MetricQuery(now=NOW, metrics=("answered",)))
    pauses: list[None] = []
    export_snapshot = ExportSnapshot({"contacts": copies(template, "contacts", 450)}, {}, 0)
    text = render_exposition(export_snapshot, lambda: pauses.append(None)).decode()
    family = text[text.index("# HELP cx_contacts ") : text.index("# HELP cx_families_dropped ")].splitlines()
    assert [line[:26] for line in family[:2]] == ["# HELP cx_contacts Inbound", "# TYPE cx_contacts gauge"]
    assert [line.split(" ")[0] for line in family[2:]] == [
        f'cx_contacts{{by="queue",queue="q{number}",window="1h"}}' for number in range(450)
    ]
    assert len(pauses) == 450 + 3 + 3 + 7  # each reading, each portion, and those of the counters


async def grouped_by_reason(reasons: int, before: Iterable[Metric] = ()) -> list[Sample]:
    center = SmallCenter()
    cells = [(None, "billing", None, "ann", "voice", f"reason-{number}", None) for number in range(reasons)]
    await center.add({(pane(MINUTE), cell): answered(1, 90_000) for cell in cells})
    await center.beat(NOW)
    samples = parsed(PrometheusExporter(await new_reader(center)).render(EXPORT, NOW, leading=before))
    assert len(samples) <= prometheus.MAX_SERIES
    assert value(samples, "cx_families_dropped") == 0
    assert value(samples, "cx_handle_time_seconds", window="1h", by="queue", queue="billing", stat="p90")
    return samples


async def test_a_grouping_is_left_out_before_any_metric_is_and_smaller_ones_are_not() -> None:
    samples = await grouped_by_reason(300)
    assert not [sample for sample in samples if sample.labels.get("by") == "reason"]
    assert value(samples, "cx_answered", window="1h", by="language", language="unknown") == 300
    assert value(samples, "cx_groupings_dropped") == 1
    assert value(samples, "cx_groupings_shortened") == 0


async def test_alerts_leave_out_a_grouping_before_any_metric() -> None:
    samples = await grouped_by_reason(100, alert_families(4_000))
    assert value(samples, "cx_groupings_dropped") == 1


async def test_a_grouping_is_shown_in_short_before_it_is_left_out() -> None:
    samples = await grouped_by_reason(100)
    labels = {"window": "1h", "by": "reason", "reason": "reason-7"}
    assert value(samples, "cx_handle_time_seconds", stat="mean", **labels) == 90
    assert value(samples, "cx_handle_time_seconds", stat="p90", **labels) is None
    assert value(samples, "cx_handle_time_seconds_support", stat="mean", **labels) == 1
    assert value(samples, "cx_answered", **labels) == 1
    assert value(samples, "cx_answered_support", **labels) is None
    assert value(samples, "cx_groupings_dropped") == 0
    assert value(samples, "cx_groupings_shortened") == 1


class CountedReader(MetricsReader):
    query_count = 0

    def iter_readings(self, query: MetricQuery) -> Iterator[Reading]:
        self.query_count += 1
        return super().iter_readings(query)


async def test_readings_are_rendered_once_per_change_and_their_age_each_time() -> None:
    center = await small_center()
    reader = CountedReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    exporter = PrometheusExporter(reader)
    first = exporter.render(EXPORT, NOW).decode()
    query_count = reader.query_count
    again = exporter.render(EXPORT, NOW + SECOND).decode()
    assert reader.query_count == query_count > 0
    assert again == first.replace("streamer_fresh_seconds 0.0", "streamer_fresh_seconds 1.0") != first
    warned = exporter.render(EXPORT, NOW + SECOND, leading=alert_families(1)).decode()
    assert [line for line in warned.splitlines() if line.startswith("cx_alert")]
    query_count = reader.query_count
    await center.add({(pane(MINUTE), cell()): answered(1, 90_000)})
    await reader.refresh(NOW)
    changed = exporter.render(EXPORT, NOW + SECOND).decode()
    assert reader.query_count > query_count
    assert changed != again
    query_count = reader.query_count
    exporter.render(EXPORT, NOW + 10 * SECOND)  # windows moved on
    assert reader.query_count > query_count
