"""Generate the self-audit: PromQL rules that compute the same figures again from plain counters.

Readings come from journeys and panes, counters count what arrives: two paths that share little code. They may
differ a little, since readings go by event time and include corrections. A difference is reported from 5 % or
3/√n on, whichever is larger, of the figure itself (of the full scale for shares and scores). It is not
reported while many events are counted long after they happened: in a replay, or after an outage.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from streamer.artefacts import metric_display, promql
from streamer.artefacts.prometheus_rules import AlertingRule, RecordingRule, RuleGroup, RuleTest
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.metrics.formulas import RatioTerms
from streamer.metrics.tally import SCALES
from streamer.panes.windows import window_length_ms
from streamer.settings import Settings

FOR_DURATION: Final = "15m"
LATE_S: Final = 60
LATE_SHARE: Final = 0.01
_TOLERANCE: Final = 0.05


class AuditedFigure(NamedTuple):
    """A figure known in both ways, as PromQL expressions without labels. `sample` is its sample size;
    `scale` is what the tolerance is a share of."""

    name: str
    reading: str
    counted: str
    sample: str
    scale: str


def audit_groups(settings: Settings) -> list[RuleGroup]:
    """Return the rules of every exported window of an hour or more; `today` has no length PromQL can use."""
    windows = [window for window in settings.export_windows if window_length_ms(window) >= HOUR]
    return [_audit_group(window, [*_handle_figures(window), *_survey_figures(window)]) for window in windows]


def _audit_group(window: str, audited: Iterable[AuditedFigure]) -> RuleGroup:
    recorded = [rule for figure in audited for rule in _recording_rules(figure, window)]
    return RuleGroup(
        f"streamer_audit_{window}", (_late_share(window), *recorded, _disagreement_alert(window))
    )


# What is compared.


def _handle_figures(window: str) -> Iterator[AuditedFigure]:
    metric = CATALOGUE["handle_time_seconds"]
    labels = {"window": window, **promql.ALL_GROUPS, **promql.stat_label(metric)}
    count = _increase("cx_handle_duration_seconds_count", window)
    mean = f"{_increase('cx_handle_duration_seconds_sum', window)} / {count}"
    support = _without_labels(promql.series_selector(promql.series_name(metric, "support"), labels))
    offered = _without_labels(promql.series_selector("cx_answered", {"window": window, **promql.ALL_GROUPS}))
    # Where nothing was handled there is no support, but a count of answered segments while data is fresh.
    yield AuditedFigure("handled segments", f"{support} or 0 * {offered}", count, count, count)
    yield AuditedFigure(
        "handle time",
        _without_labels(promql.series_selector(promql.series_name(metric), labels)),
        mean,
        count,
        mean,
    )


def _survey_figures(window: str) -> Iterator[AuditedFigure]:
    for metric in CATALOGUE.values():
        terms = _answer_terms(metric)
        if terms is not None:
            sample = _answer_increase(terms.of, window)
            hits = f"({_answer_increase(terms.plus, window)} or vector(0))"
            less = f" - ({_answer_increase(terms.minus, window)} or vector(0))" if terms.minus else ""
            reading = _without_labels(
                promql.series_selector(promql.series_name(metric), {"window": window, **promql.ALL_GROUPS})
            )
            counted = f"{terms.scale} * ({hits}{less}) / {sample}"
            yield AuditedFigure(
                metric_display.metric_title(metric), reading, counted, sample, str(terms.scale)
            )


def _answer_terms(metric: Metric) -> RatioTerms | None:
    """Return the terms of a metric; None unless all are answers to one question."""
    terms = metric.formula.terms
    return terms if terms is not None and all(map(_counter_answer, terms.of)) else None


def _counter_answer(count: str) -> tuple[str, str] | None:
    """Return the question and answer of a count, as plain counters name them; None for other counts."""
    question, _, answer = count.rpartition("_")
    if question == "first":
        return "resolved_first", {"yes": "true", "no": "false"}[answer]
    return (question, answer) if question in SCALES else None


def _answer_increase(counts: Iterable[str], window: str) -> str:
    """Return the increase of the answers behind these counts, all to one question."""
    counter_answers = [answer for answer in map(_counter_answer, counts) if answer is not None]
    (question,) = {question for question, _ in counter_answers}
    bucket_matcher = {"bucket": f"=~{promql.quote_string('|'.join(answer for _, answer in counter_answers))}"}
    return _increase(
        promql.series_selector("cx_survey_answers_total", {"question": question}, bucket_matcher), window
    )


def _increase(name: str, window: str) -> str:
    return f"sum(increase({name}[{window}]))"


def _without_labels(name: str) -> str:
    """Return the expression without labels."""
    return f"sum({name})"


# The rules.


def _late_share(window: str) -> RecordingRule:
    """Record the share of events that were counted more than LATE_S after they were sent."""
    soon = f'streamer_event_to_commit_seconds_bucket{{le=~"{LATE_S}(\\\\.0)?"}}'
    all_ = _increase("streamer_event_to_commit_seconds_count", window)
    return RecordingRule("streamer:late:share", f"1 - {_increase(soon, window)} / {all_}", {"window": window})


def _recording_rules(figure: AuditedFigure, window: str) -> Iterator[RecordingRule]:
    labels = {"figure": figure.name, "window": window}
    tolerance = f"({figure.scale}) * clamp_min(3 / sqrt({figure.sample}), {_TOLERANCE})"
    if figure.scale.isdigit():
        tolerance = f"{figure.scale} * clamp_min(3 / sqrt({figure.sample}), {_TOLERANCE})"
    yield RecordingRule("cx:audit:reading", figure.reading, labels)
    yield RecordingRule("cx:audit:counted", figure.counted, labels)
    yield RecordingRule("cx:audit:tolerance", tolerance, labels)


def _disagreement_alert(window: str) -> AlertingRule:
    window_label = {"window": window}
    reading, counted, tolerance, late = (
        promql.series_selector(name, window_label)
        for name in ("cx:audit:reading", "cx:audit:counted", "cx:audit:tolerance", "streamer:late:share")
    )
    return AlertingRule(
        alert="ReadingDisagreesWithCounters",
        expr=(
            f"abs({reading} - {counted}) > {tolerance}\n"
            # Prometheus was scraping already when the window began.
            f"  and on () (streamer_fresh_seconds offset {window})\n"
            f"  unless on () (max_over_time(streamer_fresh_seconds[{window}]) > {LATE_S})\n"
            f"  unless on () ({late} > {LATE_SHARE})"
        ),
        for_duration=FOR_DURATION,
        severity="critical",
        summary="{{ $labels.figure }} of the last {{ $labels.window }} differs from plain counters.",
        description=(
            'The reading differs by {{ $value | printf "%.4g" }} from the figure that Prometheus counted as '
            "events arrived: more than corrections and late events explain. One of the two is wrong; compare "
            "with `streamer rebuild`."
        ),
        labels={},
        tests=tuple(_rule_tests(window)),
    )


# Tests of the rules: a center that handles ten segments a minute, 300 s each, and gets ten answers.

_EVENTS_PER_MINUTE: Final = 10
_HANDLE_S: Final = 300
_NPS: Final = 20


def _rule_tests(window: str) -> Iterator[RuleTest]:
    minutes = window_length_ms(window) // MINUTE
    handled = _EVENTS_PER_MINUTE * minutes
    share = max(_TOLERANCE, 3 / handled**0.5)
    early, late = f"{minutes + 14}m", f"{minutes + 20}m"

    def alert_labels(figure: str) -> tuple[Mapping[str, str], ...]:
        return ({"figure": figure, "window": window},)

    def support_series(value: float) -> dict[str, str]:
        return _center_series(window) | _reading_series(
            "cx_handle_time_seconds_support", window, value, "mean"
        )

    most, segments_figure = handled * (1 + share), "handled segments"
    yield RuleTest("a difference within the tolerance is not reported", support_series(most - 0.5), late)
    yield RuleTest(
        "one segment more is reported", support_series(most + 0.5), late, alert_labels(segments_figure)
    )
    yield RuleTest(
        "too few segments are reported as well",
        support_series(handled * (1 - share) - 0.5),
        late,
        alert_labels(segments_figure),
    )
    yield RuleTest("nothing is reported within the first 15 minutes", support_series(most + 0.5), early)
    without_support = _center_series(window) | _reading_series("cx_answered", window, 0)
    yield RuleTest("a reading that is gone is reported", without_support, late, alert_labels(segments_figure))

    yield RuleTest(
        "nothing is reported in a replay", support_series(2 * handled) | _late_series(11, window), late
    )
    yield RuleTest(
        "a difference is reported while few events are late",
        support_series(2 * handled) | _late_series(9, window),
        late,
        alert_labels(segments_figure),
    )
    outage = {"streamer_fresh_seconds": f"0x29 61 0x{minutes + 60}"}
    yield RuleTest("nothing is reported after an outage", support_series(2 * handled) | outage, late)
    late_start = {"streamer_fresh_seconds": f"_x8 0x{minutes + 60}"}
    yield RuleTest(
        "nothing is reported before a whole window was scraped",
        support_series(2 * handled) | late_start,
        late,
    )

    def mean_series(value: float) -> dict[str, str]:
        return _center_series(window) | _reading_series("cx_handle_time_seconds", window, value, "mean")

    longest = _HANDLE_S * (1 + share)
    yield RuleTest("a mean within its tolerance is not reported", mean_series(longest - 0.1), late)
    yield RuleTest("a mean beyond it is", mean_series(longest + 0.1), late, alert_labels("handle time"))

    def nps_series(value: float) -> dict[str, str]:
        return _center_series(window) | _reading_series("cx_nps_score", window, value)

    highest = _NPS + 100 * share
    yield RuleTest("a score within its tolerance is not reported", nps_series(highest - 0.1), late)
    yield RuleTest("a score beyond it is", nps_series(highest + 0.1), late, alert_labels("NPS score"))


def _center_series(window: str) -> dict[str, str]:
    """Return the series of the plain counters, with no late events."""
    answers = 'cx_survey_answers_total{{queue="billing",question="nps",bucket="{}"}}'
    promoters = _EVENTS_PER_MINUTE * (100 + _NPS) // 200
    rates = {
        'cx_handle_duration_seconds_count{queue="billing"}': _EVENTS_PER_MINUTE,
        'cx_handle_duration_seconds_sum{queue="billing"}': _EVENTS_PER_MINUTE * _HANDLE_S,
        answers.format(9): promoters,
        answers.format(6): _EVENTS_PER_MINUTE - promoters,
        "streamer_event_to_commit_seconds_count": 1000,
        'streamer_event_to_commit_seconds_bucket{le="60.0"}': 1000,
        "streamer_fresh_seconds": 0,
    }
    return {name: _constant_rate(rate, window) for name, rate in rates.items()}


def _late_series(of_thousand: int, window: str) -> dict[str, str]:
    return {'streamer_event_to_commit_seconds_bucket{le="60.0"}': _constant_rate(1000 - of_thousand, window)}


def _constant_rate(rate: int, window: str) -> str:
    return f"0+{rate}x{window_length_ms(window) // MINUTE + 60}"


def _reading_series(name: str, window: str, value: float, stat: str = "") -> dict[str, str]:
    labels = {"window": window, **promql.ALL_GROUPS} | ({"stat": stat} if stat else {})
    return {promql.series_selector(name, labels): f"{value:.3f}+0x{window_length_ms(window) // MINUTE + 60}"}
