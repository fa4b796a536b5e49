"""Explanations: why a rule fires or does not, as a verdict with everything it rests on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np

from streamer.alerts.judging.drops import LEAST_LEARNED
from streamer.alerts.judging.series import Series, hours_of_week, queue_of
from streamer.alerts.rules import Rule
from streamer.alerts.showing import charts, distance
from streamer.alerts.showing.charts import Chart
from streamer.alerts.showing.terms import Term, terms
from streamer.alerts.verdict import Figures, Kind, State, Verdict
from streamer.alerts.watch import Judged, Moment, Streams, Watch, place
from streamer.alerts.words import title
from streamer.metrics.formulas import Counts
from streamer.readings.table import NOTHING
from streamer.settings import Severity


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """The baseline in figures, and the data it was learned from: `observations` of [since, until) (ms);
    `least` are needed. `value` over all hours and `value_now` in this hour of the week, in the metric's
    unit; None: unknown yet, or a rule for missing data. `an_hour`: observations expected in this hour of
    the week."""

    observations: int
    least: int
    since: int
    until: int
    value: float | None = None
    value_now: float | None = None
    an_hour: float | None = None
    a_month: float = 0.0


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One rule on one group as of `at` (ms). `group` is the display name of the key ("" of the whole
    center), `title` that of the metric. `reason` and `needed` (the change needed for another verdict) are
    sentences. `terms`: the rule's settings in words. `learned` and `chart`: None where there is none."""

    rule: str
    kind: Kind
    severity: Severity
    metric: str
    title: str
    unit: str
    better: str
    window: str
    by: str
    key: str
    group: str
    zone: str
    at: int
    state: State
    reason: str
    needed: str
    figures: Figures
    terms: tuple[Term, ...]
    learned: Learned | None = None
    chart: Chart | None = None


class _Why(NamedTuple):
    """A verdict, the change needed for another, and how it came about."""

    verdict: Verdict
    needed: str
    chart: Chart | None


class _Asked(NamedTuple):
    """Query about one rule at one moment; `key` None: all groups."""

    watch: Watch
    rule: Rule
    key: str | None
    moment: Moment
    series: Series | None

    def chosen(self, found: Iterable[Judged]) -> Iterator[Verdict]:
        return (one.verdict for one in found if self.key in (None, one.verdict.key))


def explanation(
    watch: Watch, rule: Rule, key: str | None, now: int, at: int | None = None
) -> list[Explanation]:
    """Explain the rule on this group, or on each of its groups (None); empty for an unknown group. It
    reads only, as `RuleEvaluator.evaluate_rules` does; use it from one thread at a time."""
    moment = watch.moment(now, at)
    asked = _Asked(watch, rule, key, moment, watch.seen(rule.by, moment).get(place(rule)))
    return [_made(asked, why) for why in _WHY[rule.kind](asked)]


def _dropped(asked: _Asked) -> Iterator[_Why]:
    watch, rule, key, moment, series = asked
    if series is None or (key is not None and key not in series.keys):
        return
    found = watch.evidence(rule, series, moment)
    for verdict in asked.chosen(watch.dropped(rule, found, moment, None if key is None else [key])):
        line = float(found.lines[series.keys.index(verdict.key)])
        chart = None if np.isnan(line) else charts.evidence(found, verdict.key, line)
        yield _Why(verdict, distance.gated(rule, verdict) or distance.of_drop(rule, found, verdict), chart)


def _missed(asked: _Asked) -> Iterator[_Why]:
    watch, rule, moment = asked.watch, asked.rule, asked.moment
    seen = {} if asked.series is None else {place(rule): asked.series}
    held = {at: watch.samples(rule, moment.before(at)) for at in charts.looks(rule.window, moment.at)}
    streams = watch.streams(rule, seen, held[moment.at] or {})
    for verdict in [*asked.chosen(watch.ruled(rule, seen, moment))] or [*_empty(asked, streams)]:
        needed = distance.gated(rule, verdict) or distance.of_target(rule, verdict)
        yield _Why(verdict, needed, charts.score(held, verdict.key, _judge(asked, verdict.key, streams)))


def _empty(asked: _Asked, streams: Streams) -> Iterator[Verdict]:
    """Return the verdict on a known group without data in the window."""
    if asked.series is not None and asked.key is not None and asked.key in asked.series.keys:
        found = asked.watch.of_sample(asked.rule, asked.key, NOTHING, streams)
        if found is not None:
            yield asked.watch.gated(asked.rule, found, asked.moment)


def _judge(asked: _Asked, key: str, streams: Streams) -> Callable[[Counts], Verdict | None]:
    return lambda counts: asked.watch.of_sample(asked.rule, key, counts, streams)


def _silent(asked: _Asked) -> Iterator[_Why]:
    watch, rule, series = asked.watch, asked.rule, asked.series
    seen = {} if series is None else {place(rule): series}
    for verdict in asked.chosen(watch.ruled(rule, seen, asked.moment)):
        subject = watch.subject(rule, verdict.key)
        needed = distance.gated(rule, verdict) or distance.of_silence(rule, series, subject, verdict)
        yield _Why(verdict, needed, series and charts.events(series, verdict.key))


_WHY: Final[Mapping[Kind, Callable[[_Asked], Iterator[_Why]]]] = {
    "drop": _dropped,
    "target": _missed,
    "silence": _silent,
}


def _made(asked: _Asked, why: _Why) -> Explanation:
    rule, verdict = asked.rule, why.verdict
    subject = asked.watch.subject(rule, verdict.key)
    target = rule.target(queue_of(rule.by, verdict.key)) if rule.kind == "target" else None
    return Explanation(
        rule=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        metric=rule.metric.name,
        title=title(rule.metric),
        unit=rule.metric.unit,
        better=rule.metric.better,
        window=rule.window,
        by=rule.by,
        key=verdict.key,
        group=subject.name,
        zone=subject.zone,
        at=asked.moment.at,
        state=verdict.state,
        reason=verdict.reason,
        needed=why.needed,
        figures=verdict.figures,
        terms=terms(rule, target),
        learned=_learned(asked, verdict.key, subject.zone),
        chart=why.chart,
    )


def _learned(asked: _Asked, key: str, zone: str) -> Learned | None:
    series = asked.series
    if series is None or key not in series.keys:
        return None
    group, usual, values = series.keys.index(key), series.usual, series.values[series.keys.index(key)]
    hour = int(hours_of_week(np.array([series.at]), zone)[0])
    is_known = asked.rule.kind != "silence" and bool(usual.support[group])
    return Learned(
        observations=int(usual.support[group]),
        least=LEAST_LEARNED,
        since=series.begun,
        until=int(series.starts[0]) if len(series.starts) else series.at,
        value=float(usual.mean[group] @ values) if is_known else None,
        value_now=float(usual.by_hour[group, hour] @ values) if is_known else None,
        an_hour=float(usual.rates[group, hour]),
        a_month=float(usual.a_month[group]),
    )
