"""The catalogue: the names that others rely on, and each formula against published figures."""

from math import ceil
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import DAY, HOUR, SERVICE_LEVEL_FORMULAS
from streamer.metrics.catalogue import CATALOGUE, Metric, WindowSpans, evaluate_metric
from streamer.metrics.formulas import SERVICE_LEVELS, ReadingContext, TallyCounts, service_level
from streamer.metrics.intervals import adjusted_wald, wilson
from streamer.metrics.tally import FIRST_BUCKET_OF, NUMBER, NUMBERS, Tally, bucket, squared

ONE = ("",)
TIMES = ("mean", "p50", "p90", "p95", "max")
LEVELS = ("own", "negative", "exclude_short", "ignore", "positive", "answered_only", "with_waiting")

# What dashboards, queries and alerts name. A line that changes here breaks them.
PINNED = [
    ("nps_score", ONE, "points", "higher"),
    ("cnx_score", ONE, "points", "higher"),
    ("csat_ratio", ONE, "ratio", "higher"),
    ("csat_mean", ONE, "score", "higher"),
    ("ces_score", ONE, "score", "higher"),
    ("ces_easy_ratio", ONE, "ratio", "higher"),
    ("effort_score", ONE, "score", "lower"),
    ("fcr_survey_ratio", ONE, "ratio", "higher"),
    ("fcr_agent_ratio", ONE, "ratio", "higher"),
    ("fcr_ratio", ONE, "ratio", "higher"),
    ("fcr_maturity_ratio", ONE, "ratio", "higher"),
    ("fcr_final_ratio", ONE, "ratio", "higher"),
    ("repeat_ratio", ONE, "ratio", "lower"),
    ("handle_time_seconds", TIMES, "seconds", "lower"),
    ("talk_time_seconds", TIMES, "seconds", "lower"),
    ("hold_time_seconds", TIMES, "seconds", "lower"),
    ("acw_time_seconds", TIMES, "seconds", "lower"),
    ("wait_time_seconds", TIMES, "seconds", "lower"),
    ("abandon_time_seconds", TIMES, "seconds", "lower"),
    ("outbound_handle_time_seconds", TIMES, "seconds", "lower"),
    ("service_level_ratio", LEVELS, "ratio", "higher"),
    ("abandon_ratio", ONE, "ratio", "lower"),
    ("transfer_ratio", ONE, "ratio", "lower"),
    ("waiting", ONE, "count", "lower"),
    ("longest_wait_seconds", ONE, "seconds", "lower"),
    ("waiting_over_target", ONE, "count", "lower"),
    ("in_progress", ONE, "count", "higher"),
    ("expected_wait_seconds", ONE, "seconds", "lower"),
    ("agents_signed_in", ONE, "count", "higher"),
    ("agents_available", ONE, "count", "higher"),
    ("agents_busy", ONE, "count", "higher"),
    ("agents_wrap_up", ONE, "count", "lower"),
    ("agents_away", ONE, "count", "lower"),
    ("agents_unknown", ONE, "count", "lower"),
    ("contacts_lost", ONE, "count", "lower"),
    ("contacts", ONE, "count", "higher"),
    ("offered", ONE, "count", "higher"),
    ("answered", ONE, "count", "higher"),
    ("abandoned", ONE, "count", "lower"),
    ("short_abandoned", ONE, "count", "lower"),
    ("callbacks", ONE, "count", "lower"),
    ("outbound", ONE, "count", "higher"),
    ("surveys", ONE, "count", "higher"),
    ("detractors", ONE, "count", "lower"),
    ("comments", ONE, "count", "higher"),
    ("workload_erlangs", ONE, "erlangs", "lower"),
    ("active_agents", ONE, "count", "higher"),
    ("occupancy_ratio", ONE, "ratio", "higher"),
    ("signed_in_seconds", ONE, "seconds", "higher"),
    ("available_seconds", ONE, "seconds", "higher"),
    ("wrap_up_seconds", ONE, "seconds", "lower"),
    ("away_seconds", ONE, "seconds", "lower"),
    ("offered_seconds", ONE, "seconds", "lower"),
    ("offered_unanswered", ONE, "count", "lower"),
    ("response_ratio", ONE, "ratio", "higher"),
    ("qa_score", ONE, "points", "higher"),
    ("value_at_risk", ONE, "currency", "lower"),
    ("value_mean", ONE, "currency", "higher"),
    ("answer_ratio", ONE, "ratio", "higher"),
]
NOW_METRICS = [name for name, metric in CATALOGUE.items() if metric.windows.now]
TIME_METRICS = [name for name, metric in CATALOGUE.items() if metric.formula.needs == "time"]
COUNT_METRICS = [
    name for name, _, unit, _ in PINNED if unit == "count" and name not in (*NOW_METRICS, *TIME_METRICS)
]

DURATION_METRICS = {
    "handle_time_seconds": "handle",
    "talk_time_seconds": "talk",
    "hold_time_seconds": "hold",
    "acw_time_seconds": "acw",
    "wait_time_seconds": "wait",
    "abandon_time_seconds": "abandon",
    "outbound_handle_time_seconds": "outbound_handle",
}

HOUR_OF = ReadingContext(window_s=3600)


def counts(**counts_by_name):
    return TallyCounts({NUMBER[name]: count for name, count in counts_by_name.items()})


def durations(name, amounts):
    tally: Tally = {}

    def add(number, amount):
        tally[number] = tally.get(number, 0) + amount

    for ms in amounts:
        add(NUMBER[f"{name}_n"], 1)
        add(NUMBER[f"{name}_ms"], ms)
        add(NUMBER[f"{name}_s2"], squared(ms, 1000))
        add(FIRST_BUCKET_OF[name] + bucket(ms), 1)
    return TallyCounts(tally)


def read(name, these=None, stat="", context=HOUR_OF):
    return evaluate_metric(CATALOGUE[name], stat, these or counts(), context)


def test_names_stats_units_and_directions_are_the_pinned_ones():
    assert [(m.name, m.stats, m.unit, m.better) for m in CATALOGUE.values()] == PINNED


def test_every_metric_says_what_it_is():
    for metric in CATALOGUE.values():
        measure = metric.measure
        assert all((metric.help, metric.source, metric.placed, measure.words, measure.support)), metric.name
        assert metric.help.endswith("."), metric.name


def test_intervals_are_declared_as_the_contract_has_them():
    declared = {
        name: metric.measure.interval for name, metric in CATALOGUE.items() if metric.measure.interval
    }
    assert declared == {
        "nps_score": "adjusted Wald",
        "cnx_score": "adjusted Wald",
        "csat_ratio": "Wilson",
        "csat_mean": "normal",
        "ces_score": "normal",
        "ces_easy_ratio": "Wilson",
        "effort_score": "normal",
        "fcr_survey_ratio": "Wilson",
        "fcr_agent_ratio": "Wilson",
        "fcr_ratio": "Wilson",
        "fcr_final_ratio": "Wilson",
        "repeat_ratio": "Wilson",
        **dict.fromkeys(DURATION_METRICS, "normal (mean)"),
        "service_level_ratio": "Wilson",
        "abandon_ratio": "Wilson",
        "transfer_ratio": "Wilson",
        "response_ratio": "Wilson",
        "qa_score": "normal",
        "answer_ratio": "Wilson",
    }


def test_events_are_placed_as_the_contract_has_it():
    placed = {name: metric.placed for name, metric in CATALOGUE.items() if metric.placed != "ended_at"}
    answered = (
        "nps_score",
        "cnx_score",
        "csat_ratio",
        "csat_mean",
        "ces_score",
        "ces_easy_ratio",
        "effort_score",
    )
    also = ("fcr_survey_ratio", "surveys", "detractors", "comments", "value_at_risk")
    assert placed == {
        **dict.fromkeys((*answered, *also), "answered_at"),
        "response_ratio": "sent_at",
        "qa_score": "evaluated_at",
        **dict.fromkeys(NOW_METRICS, "now"),
        **dict.fromkeys(TIME_METRICS, "as it passes"),
    }


# No data.


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in COUNT_METRICS])
def test_without_support_there_is_no_value(name):
    context = ReadingContext(window_s=3600, active_agents=0, mature=counts())
    for stat in CATALOGUE[name].stats:
        assert read(name, stat=stat, context=context) == (None, None, None, 0)


@pytest.mark.parametrize("name", COUNT_METRICS)
def test_counts_are_zero_where_nothing_happened(name):
    assert read(name, context=ReadingContext(window_s=3600, active_agents=0)) == (0, None, None, 0)


def test_a_name_that_is_no_count_is_an_error():
    with pytest.raises(KeyError):
        counts()["anwsered"]


# Net scores.


def test_nps_is_promoters_less_detractors_per_answer():
    answers = counts(nps_10=5, nps_9=5, nps_8=3, nps_7=2, nps_6=2, nps_3=2, nps_0=1)
    assert read("nps_score", answers) == (25.0, *adjusted_wald(10, 5, 20), 20)


@pytest.mark.parametrize(("score", "value"), [(0, -100), (6, -100), (7, 0), (8, 0), (9, 100), (10, 100)])
def test_nps_classes_on_both_sides_of_their_bounds(score, value):
    assert read("nps_score", counts(**{f"nps_{score}": 1})).value == value
    assert read("detractors", counts(**{f"nps_{score}": 1})).value == (value == -100)


@pytest.mark.parametrize(("score", "value"), [(1, -100), (6, -100), (7, 0), (8, 0), (9, 100), (10, 100)])
def test_cnx_classes_on_both_sides_of_their_bounds(score, value):
    assert read("cnx_score", counts(**{f"cnx_{score}": 1})).value == value


def test_skipped_answers_are_in_no_denominator():
    skipped = counts(surveys=10, nps_10=1, csat_5=1, first_yes=1)
    assert read("nps_score", skipped)[::3] == (100, 1)
    assert read("csat_ratio", skipped)[::3] == (1, 1)
    assert read("fcr_survey_ratio", skipped)[::3] == (1, 1)
    assert read("ces_score", skipped) == (None, None, None, 0)


# Other survey figures.


@pytest.mark.parametrize(("score", "value"), [(1, 0), (3, 0), (4, 1), (5, 1)])
def test_csat_counts_the_top_two(score, value):
    assert read("csat_ratio", counts(**{f"csat_{score}": 1})).value == value


@pytest.mark.parametrize(("score", "value"), [(1, 0), (4, 0), (5, 1), (7, 1)])
def test_ces_counts_five_to_seven_as_easy(score, value):
    assert read("ces_easy_ratio", counts(**{f"ces_{score}": 1})).value == value


def test_means_of_scales_have_an_interval_on_the_scale():
    assert read("csat_mean", counts(csat_5=9, csat_4=1))[::3] == (4.9, 10)
    assert read("csat_mean", counts(csat_5=9, csat_4=1)).upper == 5
    assert read("csat_mean", counts(csat_1=1, csat_5=1))[1:3] == (1, 5)
    assert read("ces_score", counts(ces_7=1, ces_1=3)).value == 2.5
    assert read("effort_score", counts(effort_1=1, effort_2=1)).value == 1.5


def test_a_single_answer_has_a_mean_but_no_interval():
    assert read("csat_mean", counts(csat_3=1)) == (3, None, None, 1)


# Ratios of two counts.

RATIOS = [
    ("fcr_survey_ratio", {"first_yes": 3, "first_no": 1}),
    ("fcr_agent_ratio", {"disposed": 4, "disposed_resolved": 3}),
    ("fcr_ratio", {"fcr_firsts": 4, "fcr_kept": 3}),
    ("fcr_final_ratio", {"fcr_firsts": 4, "fcr_kept": 3}),
    ("repeat_ratio", {"fcr_contacts": 4, "fcr_repeats": 3}),
    ("abandon_ratio", {"offered": 4, "abandoned": 3}),
    ("answer_ratio", {"offered": 4, "answered": 3}),
    ("transfer_ratio", {"answered": 4, "transferred": 3}),
    ("response_ratio", {"surveys_sent": 4, "surveys_sent_answered": 3}),
]


@pytest.mark.parametrize(("name", "named"), RATIOS)
def test_three_of_four_is_three_quarters(name, named):
    assert read(name, counts(**named)) == (0.75, *wilson(3, 4), 4)


def test_maturity_is_the_share_of_first_contacts_that_can_no_longer_change():
    context = ReadingContext(window_s=3600, mature=counts(fcr_firsts=3, fcr_kept=1))
    assert read("fcr_maturity_ratio", counts(fcr_firsts=4), context=context) == (0.75, None, None, 4)
    assert read("fcr_maturity_ratio", counts(fcr_firsts=4)) == (None, None, None, 0)


# Service level.

EXAMPLE = {
    "answered_waited": 1000,
    "answered_within": 860,
    "abandoned": 60,
    "abandoned_waited": 60,
    "abandoned_within": 20,
    "abandoned_short": 10,
}
CISCO = {
    "answered_waited": 90,
    "answered_within": 70,
    "abandoned": 10,
    "abandoned_waited": 10,
    "abandoned_within": 10,
}
LEVEL_FIGURES = [
    (EXAMPLE, "negative", 860, 1060, 0.8113),
    (EXAMPLE, "exclude_short", 860, 1050, 0.8190),
    (EXAMPLE, "ignore", 860, 1040, 0.8269),
    (EXAMPLE, "positive", 880, 1060, 0.8302),
    (EXAMPLE, "answered_only", 860, 1000, 0.8600),
    (CISCO, "ignore", 70, 90, 0.778),
    (CISCO, "negative", 70, 100, 0.70),
    (CISCO, "positive", 80, 100, 0.80),
]


@pytest.mark.parametrize(("named", "formula", "hits", "of", "value"), LEVEL_FIGURES)
def test_service_level_gives_the_published_figures(named, formula, hits, of, value):
    assert service_level(formula, counts(**named)) == (hits, of)
    figure = read("service_level_ratio", counts(**named), formula)
    assert figure == (hits / of, *wilson(hits, of), of)
    assert figure.value == pytest.approx(value, abs=0.0005)


def test_there_is_a_formula_for_every_one_that_can_be_configured():
    assert tuple(SERVICE_LEVELS) == SERVICE_LEVEL_FORMULAS


@pytest.mark.parametrize("lost", ["timeout", "voicemail"])
def test_timeout_and_voicemail_are_never_within(lost):
    named = {"answered_waited": 1, "answered_within": 1, lost: 1}
    levels = {formula: service_level(formula, counts(**named)) for formula in SERVICE_LEVEL_FORMULAS}
    assert levels == {**dict.fromkeys(SERVICE_LEVEL_FORMULAS, (1, 2)), "answered_only": (1, 1)}


def test_an_abandonment_of_unknown_wait_is_lost_in_negative_and_left_out_elsewhere():
    named = {"answered_waited": 1, "answered_within": 1, "abandoned": 1}
    levels = {formula: service_level(formula, counts(**named)) for formula in SERVICE_LEVEL_FORMULAS}
    assert levels == {**dict.fromkeys(SERVICE_LEVEL_FORMULAS, (1, 1)), "negative": (1, 2)}


def test_an_answer_of_unknown_wait_is_left_out():
    assert read("service_level_ratio", counts(answered=5), "negative").value is None


def test_by_default_each_queue_is_counted_by_its_own_formula():
    own = counts(own_level_hits=3, own_level_of=4, answered_waited=9, answered_within=9)
    assert (
        read("service_level_ratio", own)
        == read("service_level_ratio", own, "own")
        == (0.75, *wilson(3, 4), 4)
    )


# Times.

AMOUNTS = st.one_of(st.just(0), st.integers(0, 2_000), st.integers(0, 3_600_000), st.integers(0, 30 * DAY))


@pytest.mark.parametrize(("metric", "duration"), DURATION_METRICS.items())
@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=60))
@settings(deadline=None, max_examples=40)
def test_times_agree_with_sorting_them_all(metric, duration, amounts):
    these, ordered = durations(duration, amounts), sorted(amounts)
    exact = {f"p{p}": ordered[ceil(p * len(ordered) / 100) - 1] for p in (50, 90, 95)} | {"max": ordered[-1]}
    for stat, ms in exact.items():
        value, lower, upper, support = read(metric, these, stat)
        assert abs(value - ms / 1000) <= 0.02 * ms / 1000 + 1e-9, stat
        assert (lower, upper, support) == (None, None, len(amounts))
    mean = read(metric, these)
    assert mean.value == pytest.approx(fmean(amounts) / 1000)
    assert mean.value <= read(metric, these, "max").value + 1e-9


def test_each_time_reads_its_own_counts():
    for metric, duration in DURATION_METRICS.items():
        others = [other for other in DURATION_METRICS.values() if other != duration]
        for other in others:
            assert read(metric, durations(other, [1_000])).value is None
            assert read(metric, durations(other, [1_000]), "p50").value is None


def test_a_mean_time_has_an_interval_from_two_on_that_never_falls_below_zero():
    assert read("wait_time_seconds", durations("wait", [4_000])) == (4, None, None, 1)
    # s = √8, half = 1.96 · √8 / √2
    assert read("wait_time_seconds", durations("wait", [4_000, 8_000])) == pytest.approx(
        (6, 6 - 3.92, 6 + 3.92, 2), abs=0.001
    )
    assert read("wait_time_seconds", durations("wait", [0, 100_000])).lower == 0


def test_all_percentiles_of_zeros_are_zero():
    zeros = durations("hold", [0, 0, 0])
    assert [read("hold_time_seconds", zeros, stat).value for stat in TIMES] == [0, 0, 0, 0, 0]


# Counts, work, quality, value.


@pytest.mark.parametrize(
    ("metric", "count"),
    [
        ("contacts", "contacts"),
        ("offered", "offered"),
        ("answered", "answered"),
        ("abandoned", "abandoned"),
        ("short_abandoned", "abandoned_short"),
        ("callbacks", "callback"),
        ("outbound", "outbound"),
        ("surveys", "surveys"),
        ("comments", "comments"),
    ],
)
def test_a_count_is_its_own_support(metric, count):
    assert read(metric, counts(**{count: 7})) == (7, None, None, 7)


def test_workload_is_handled_time_per_time():
    assert read("workload_erlangs", durations("handle", [3_600_000, 1_800_000])) == (1.5, None, None, 2)
    assert (
        read("workload_erlangs", durations("handle", [1]), context=ReadingContext(window_s=0)).value is None
    )


def test_active_agents_are_those_the_reader_found():
    assert read("active_agents", context=ReadingContext(window_s=60, active_agents=12)) == (
        12,
        None,
        None,
        12,
    )
    assert read("active_agents") == (None, None, None, 0)


def test_qa_score_is_a_mean_in_points_on_its_scale():
    scores = [8_000, 10_000]
    these = counts(qa=2, qa_sum=sum(scores), qa_squares=sum(squared(score, 100) for score in scores))
    value, lower, upper, support = read("qa_score", these)
    assert (value, support) == (90, 2)
    assert lower == pytest.approx(70.4, abs=0.01)
    assert upper == 100


def test_value_at_risk_is_a_sum_and_value_mean_a_mean_in_whole_currency():
    assert read("value_at_risk", counts(risk_customers=2, risk_sum=12_345)) == (123.45, None, None, 2)
    assert read("value_mean", counts(valued_contacts=2, valued_sum=12_345)) == (61.725, None, None, 2)


def test_a_known_value_of_zero_is_a_value():
    assert read("value_at_risk", counts(risk_customers=1)) == (0, None, None, 1)


# Windows and groups.

SPANS = WindowSpans()


@pytest.mark.parametrize(
    ("metric", "length", "served"),
    [
        ("fcr_ratio", 7 * DAY - 1, False),
        ("fcr_ratio", 7 * DAY, True),
        ("fcr_maturity_ratio", 24 * HOUR, False),
        ("fcr_final_ratio", 24 * HOUR - 1, False),
        ("fcr_final_ratio", 24 * HOUR, True),
        ("fcr_final_ratio", 0, False),
        ("value_at_risk", 30 * DAY, True),
        ("value_at_risk", 35 * DAY, True),
        ("value_at_risk", 90 * DAY, False),
        ("nps_score", 0, True),
        ("nps_score", 90 * DAY, True),
    ],
)
def test_windows_are_served_on_the_right_side_of_their_limits(metric, length, served):
    assert CATALOGUE[metric].windows.allows(length, SPANS) is served


def test_limits_follow_the_settings():
    assert CATALOGUE["fcr_ratio"].windows.allows(DAY, WindowSpans(fcr_ms=DAY))
    assert not CATALOGUE["value_at_risk"].windows.allows(30 * DAY, WindowSpans(horizon_ms=7 * DAY))


def test_shifted_windows_are_these():
    shifts = {
        name: SPANS.ms(metric.windows.shift) for name, metric in CATALOGUE.items() if metric.windows.shift
    }
    assert shifts == {"fcr_final_ratio": 7 * DAY, "response_ratio": 24 * HOUR}


def test_who_waits_abandon_answer_and_service_level_are_not_read_by_agent():
    assert [name for name, metric in CATALOGUE.items() if not metric.can_group_by("agent")] == [
        "service_level_ratio",
        "abandon_ratio",
        "waiting",
        "longest_wait_seconds",
        "waiting_over_target",
        "expected_wait_seconds",
        "answer_ratio",
    ]
    assert not CATALOGUE["abandon_ratio"].can_group_by("queue,agent")
    assert CATALOGUE["abandon_ratio"].can_group_by("all")
    assert CATALOGUE["abandon_ratio"].can_group_by("queue,channel")


@pytest.mark.parametrize(
    "metric", [one for one in CATALOGUE.values() if one.formula.needs == "counts"], ids=lambda one: one.name
)
def test_what_needs_but_the_counts_says_the_same_whatever_the_context(metric: Metric) -> None:
    """The reader caches such a figure as long as the counts are the same."""
    counts = TallyCounts(dict.fromkeys(range(NUMBERS), 3))
    contexts = (ReadingContext(0), ReadingContext(3600, 5, TallyCounts({NUMBER["fcr_firsts"]: 1})))
    for stat, formula in metric.measure.formulas.items():
        if formula.needs != "counts":
            continue
        one, other = (evaluate_metric(metric, stat, counts, context) for context in contexts)
        assert one == other
        assert one.value is not None
