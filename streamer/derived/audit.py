"""Generate the self-audit: PromQL rules that compute the same figures again from plain counters.

Readings come from journeys and panes, counters count what arrives: two paths that share little code. They may
differ a little, since readings go by event time and include corrections. A difference is reported from 5 % or
3/√n on, whichever is larger, of the figure itself (of the full scale for shares and scores). It is not
reported while many events are counted long after they happened: in a replay, or after an outage.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from streamer.derived import figures, promql
from streamer.derived.rules import Alert, Group, Recording, Trial
from streamer.events.rules import HOUR, MINUTE
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.metrics.formulas import Net, Share
from streamer.metrics.tally import SCALES
from streamer.panes.windows import length
from streamer.settings import Settings

LASTING: Final = "15m"
LATE_S: Final = 60
LATE_SHARE: Final = 0.01
_TOLERANCE: Final = 0.05


class Figure(NamedTuple):
    """A figure known in both ways, as PromQL expressions without labels. `sample` is its sample size;
    `scale` is what the tolerance is a share of."""

    name: str
    reading: str
    counted: str
    sample: str
    scale: str


def audit(settings: Settings) -> list[Group]:
    """Return the rules of every exported window of an hour or more; `today` has no length PromQL can use."""
    windows = [window for window in settings.export_windows if length(window) >= HOUR]
    return [_group(window, [*_handled(window), *_surveys(window)]) for window in windows]


def _group(window: str, audited: Iterable[Figure]) -> Group:
    recorded = [rule for figure in audited for rule in _recorded(figure, window)]
    return Group(f"streamer_audit_{window}", (_late(window), *recorded, _alert(window)))


# What is compared.


def _handled(window: str) -> Iterator[Figure]:
    metric = CATALOGUE["handle_time_seconds"]
    labels = {"window": window, **promql.ALL, **promql.stat(metric)}
    count = _increase("cx_handle_duration_seconds_count", window)
    mean = f"{_increase('cx_handle_duration_seconds_sum', window)} / {count}"
    support = _one(promql.series(promql.figure(metric, "support"), labels))
    none = _one(promql.series("cx_answered", {"window": window, **promql.ALL}))
    # Where nothing was handled there is no support, but a count of answered segments while data is fresh.
    yield Figure("handled segments", f"{support} or 0 * {none}", count, count, count)
    yield Figure("handle time", _one(promql.series(promql.figure(metric), labels)), mean, count, mean)


def _surveys(window: str) -> Iterator[Figure]:
    for metric in CATALOGUE.values():
        parts = _parts(metric)
        if parts is not None:
            up, down, of, scale = parts
            sample = _answers(of, window)
            hits = f"({_answers(up, window)} or vector(0))"
            less = f" - ({_answers(down, window)} or vector(0))" if down else ""
            reading = _one(promql.series(promql.figure(metric), {"window": window, **promql.ALL}))
            counted = f"{scale} * ({hits}{less}) / {sample}"
            yield Figure(figures.title(metric), reading, counted, sample, str(scale))


def _parts(metric: Metric) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], int] | None:
    """Return the counts added, subtracted and divided by, and the scale; None unless all are answers to one
    question."""
    formula = metric.measure.formulas[metric.stats[0]]
    if isinstance(formula, Net):
        return formula.promoters, formula.detractors, formula.answers, 100
    if isinstance(formula, Share) and not formula.less and all(_answer(name) for name in formula.of):
        return formula.hits, (), formula.of, 1
    return None


def _answer(count: str) -> tuple[str, str] | None:
    """Return the question and answer of a count, as plain counters name them; None for other counts."""
    question, _, answer = count.rpartition("_")
    if question == "first":
        return "resolved_first", {"yes": "true", "no": "false"}[answer]
    return (question, answer) if question in SCALES else None


def _answers(counts: Iterable[str], window: str) -> str:
    """Return the increase of the answers behind these counts, all to one question."""
    named = [answer for answer in map(_answer, counts) if answer is not None]
    (question,) = {question for question, _ in named}
    among = {"bucket": f"=~{promql.quoted('|'.join(answer for _, answer in named))}"}
    return _increase(promql.series("cx_survey_answers_total", {"question": question}, among), window)


def _increase(name: str, window: str) -> str:
    return f"sum(increase({name}[{window}]))"


def _one(name: str) -> str:
    """Return the expression without labels."""
    return f"sum({name})"


# The rules.


def _late(window: str) -> Recording:
    """Record the share of events that were counted more than LATE_S after they were sent."""
    soon = f'streamer_event_to_commit_seconds_bucket{{le=~"{LATE_S}(\\\\.0)?"}}'
    all_ = _increase("streamer_event_to_commit_seconds_count", window)
    return Recording("streamer:late:share", f"1 - {_increase(soon, window)} / {all_}", {"window": window})


def _recorded(figure: Figure, window: str) -> Iterator[Recording]:
    labels = {"figure": figure.name, "window": window}
    tolerance = f"({figure.scale}) * clamp_min(3 / sqrt({figure.sample}), {_TOLERANCE})"
    if figure.scale.isdigit():
        tolerance = f"{figure.scale} * clamp_min(3 / sqrt({figure.sample}), {_TOLERANCE})"
    yield Recording("cx:audit:reading", figure.reading, labels)
    yield Recording("cx:audit:counted", figure.counted, labels)
    yield Recording("cx:audit:tolerance", tolerance, labels)


def _alert(window: str) -> Alert:
    here = {"window": window}
    reading, counted, tolerance, late = (
        promql.series(name, here)
        for name in ("cx:audit:reading", "cx:audit:counted", "cx:audit:tolerance", "streamer:late:share")
    )
    return Alert(
        alert="ReadingDisagreesWithCounters",
        expr=(
            f"abs({reading} - {counted}) > {tolerance}\n"
            # Prometheus was scraping already when the window began.
            f"  and on () (streamer_fresh_seconds offset {window})\n"
            f"  unless on () (max_over_time(streamer_fresh_seconds[{window}]) > {LATE_S})\n"
            f"  unless on () ({late} > {LATE_SHARE})"
        ),
        lasting=LASTING,
        severity="critical",
        summary="{{ $labels.figure }} of the last {{ $labels.window }} differs from plain counters.",
        description=(
            'The reading differs by {{ $value | printf "%.4g" }} from the figure that Prometheus counted as '
            "events arrived: more than corrections and late events explain. One of the two is wrong; compare "
            "with `streamer rebuild`."
        ),
        labels={},
        trials=tuple(_trials(window)),
    )


# Tests of the rules: a center that handles ten segments a minute, 300 s each, and gets ten answers.

_A_MINUTE: Final = 10
_HANDLE_S: Final = 300
_NPS: Final = 20


def _trials(window: str) -> Iterator[Trial]:
    minutes = length(window) // MINUTE
    handled = _A_MINUTE * minutes
    share = max(_TOLERANCE, 3 / handled**0.5)
    soon, late = f"{minutes + 14}m", f"{minutes + 20}m"

    def told(figure: str) -> tuple[Mapping[str, str], ...]:
        return ({"figure": figure, "window": window},)

    def support(value: float) -> dict[str, str]:
        return _center(window) | _reading("cx_handle_time_seconds_support", window, value, "mean")

    most, many = handled * (1 + share), "handled segments"
    yield Trial("a difference within the tolerance is not reported", support(most - 0.5), late)
    yield Trial("one segment more is reported", support(most + 0.5), late, told(many))
    yield Trial(
        "too few segments are reported as well", support(handled * (1 - share) - 0.5), late, told(many)
    )
    yield Trial("nothing is reported within the first 15 minutes", support(most + 0.5), soon)
    lost = _center(window) | _reading("cx_answered", window, 0)
    yield Trial("a reading that is gone is reported", lost, late, told(many))

    yield Trial("nothing is reported in a replay", support(2 * handled) | _late_ones(11, window), late)
    yield Trial(
        "a difference is reported while few events are late",
        support(2 * handled) | _late_ones(9, window),
        late,
        told(many),
    )
    outage = {"streamer_fresh_seconds": f"0x29 61 0x{minutes + 60}"}
    yield Trial("nothing is reported after an outage", support(2 * handled) | outage, late)
    began = {"streamer_fresh_seconds": f"_x8 0x{minutes + 60}"}
    yield Trial("nothing is reported before a whole window was scraped", support(2 * handled) | began, late)

    def mean(value: float) -> dict[str, str]:
        return _center(window) | _reading("cx_handle_time_seconds", window, value, "mean")

    longest = _HANDLE_S * (1 + share)
    yield Trial("a mean within its tolerance is not reported", mean(longest - 0.1), late)
    yield Trial("a mean beyond it is", mean(longest + 0.1), late, told("handle time"))

    def nps(value: float) -> dict[str, str]:
        return _center(window) | _reading("cx_nps_score", window, value)

    highest = _NPS + 100 * share
    yield Trial("a score within its tolerance is not reported", nps(highest - 0.1), late)
    yield Trial("a score beyond it is", nps(highest + 0.1), late, told("NPS score"))


def _center(window: str) -> dict[str, str]:
    """Return the series of the plain counters, with no late events."""
    answers = 'cx_survey_answers_total{{queue="billing",question="nps",bucket="{}"}}'
    happy = _A_MINUTE * (100 + _NPS) // 200
    rates = {
        'cx_handle_duration_seconds_count{queue="billing"}': _A_MINUTE,
        'cx_handle_duration_seconds_sum{queue="billing"}': _A_MINUTE * _HANDLE_S,
        answers.format(9): happy,
        answers.format(6): _A_MINUTE - happy,
        "streamer_event_to_commit_seconds_count": 1000,
        'streamer_event_to_commit_seconds_bucket{le="60.0"}': 1000,
        "streamer_fresh_seconds": 0,
    }
    return {name: _constant(rate, window) for name, rate in rates.items()}


def _late_ones(of_thousand: int, window: str) -> dict[str, str]:
    return {'streamer_event_to_commit_seconds_bucket{le="60.0"}': _constant(1000 - of_thousand, window)}


def _constant(rate: int, window: str) -> str:
    return f"0+{rate}x{length(window) // MINUTE + 60}"


def _reading(name: str, window: str, value: float, stat: str = "") -> dict[str, str]:
    labels = {"window": window, **promql.ALL} | ({"stat": stat} if stat else {})
    return {promql.series(name, labels): f"{value:.3f}+0x{length(window) // MINUTE + 60}"}
