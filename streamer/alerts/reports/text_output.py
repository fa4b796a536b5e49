"""Text output of verdicts (a line each), of an explanation, and of a backtest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from streamer.alerts.detection.evaluation import RuleVerdict
from streamer.alerts.formatting import clock, format_metric, observations
from streamer.alerts.reports.backtest import BacktestResult, FiredAlert, RuleOutcome
from streamer.alerts.reports.explanation import Explanation, LearnedBaseline
from streamer.alerts.reports.text_chart import draw_chart
from streamer.alerts.states import Alert, NoticeReason
from streamer.alerts.verdict import Verdict, VerdictFigures, VerdictState
from streamer.metrics.catalogue import CATALOGUE, Metric

STATES_WORST_FIRST: Final[Sequence[VerdictState]] = (
    "fires",
    "unclear",
    "holds",
    "few",
    "no_baseline",
    "no_data",
    "closed",
)
_ENDING_WORDS: Final[Mapping[NoticeReason, str]] = {
    "corrected": ", since with today's data it was not due",
    "closed": ", since the hours of operation ended",
}
_ACTIVE_PHASES: Final = ("firing", "clearing", "pending")
"""Phases in which an alert is listed."""


class AlertStatus(NamedTuple):
    """An alert, and the actions of people on it, in words; None: none."""

    alert: Alert
    acknowledged: str | None = None
    silenced: str | None = None
    notified: str | None = None


AlertStatuses = Mapping[tuple[str, str], AlertStatus]
"""By rule and key."""


class AlertListing(NamedTuple):
    """Active alerts and all verdicts, as of a moment (ms)."""

    statuses: AlertStatuses
    verdicts: Sequence[RuleVerdict]
    at_ms: int
    zone: str


def list_as_json(listing: AlertListing) -> bytes:
    """Encode the verdicts as a list, each with the name of its rule and its active alert, if there is one."""
    verdicts = {(entry.rule.name, entry.verdict.key): entry.verdict for entry in listing.verdicts}
    for series_key, entry in listing.statuses.items():
        if entry.alert.phase in _ACTIVE_PHASES and entry.alert.fired is not None:
            verdicts.setdefault(series_key, _ended_verdict(entry.alert.fired))
    return msgspec.json.encode(
        [
            {
                "rule": rule,
                **msgspec.to_builtins(verdict),
                "alert": _status_as_json(listing.statuses.get((rule, key))),
            }
            for (rule, key), verdict in verdicts.items()
        ]
    )


def _ended_verdict(fired_verdict: Verdict) -> Verdict:
    """Return the verdict on a group that is no longer evaluated."""
    return msgspec.structs.replace(
        fired_verdict, state="few", reason="There is no data.", figures=VerdictFigures()
    )


def _status_as_json(status: AlertStatus | None) -> dict[str, Any] | None:
    if status is None or status.alert.phase not in _ACTIVE_PHASES:
        return None
    alert = status.alert
    return {
        "id": alert.id,
        "phase": alert.phase,
        "since": alert.began_at,
        "fired_at": alert.fired_at,
        "told": status.notified,
        "acknowledged": status.acknowledged,
        "silenced": status.silenced,
    }


def list_as_text(listing: AlertListing) -> str:
    """Format the active alerts, then all verdicts, the worst first."""
    active = [entry for entry in listing.statuses.values() if entry.alert.phase in _ACTIVE_PHASES]
    active.sort(
        key=lambda entry: (_ACTIVE_PHASES.index(entry.alert.phase), entry.alert.began_at, entry.alert.rule)
    )
    sorted_verdicts = sorted(
        listing.verdicts,
        key=lambda entry: (STATES_WORST_FIRST.index(entry.verdict.state), entry.rule.name, entry.verdict.key),
    )
    active_lines = [line for entry in active for line in _status_lines(entry, listing)]
    verdict_lines = [
        f"{entry.verdict.state:<11} {rule_label(entry.rule.name, entry.verdict.key)}: {entry.verdict.reason}"
        for entry in sorted_verdicts
    ]
    return "\n".join([*active_lines, *([""] if active_lines and verdict_lines else []), *verdict_lines])


def _status_lines(status: AlertStatus, listing: AlertListing) -> Iterator[str]:
    label = rule_label(status.alert.rule, status.alert.key)
    phrases = "; ".join(status_phrases(status, listing.at_ms, listing.zone))
    yield f"{status.alert.phase.upper():<11} {label} {phrases}"


def status_phrases(status: AlertStatus, at_ms: int, zone: str) -> Iterator[str]:
    """Return the status of an alert in phrases: since 09:10; fired at 09:12; floor was sent it;
    acknowledged by ana at 09:15."""
    alert = status.alert
    yield f"{'began at' if alert.phase == 'resolved' else 'since'} {clock(alert.began_at, at_ms, zone)}"
    if alert.fired_at is not None:
        yield f"fired at {clock(alert.fired_at, at_ms, zone)}"
    if alert.resolved_at is not None:
        yield f"over since {clock(alert.resolved_at, at_ms, zone)}{_ENDING_WORDS.get(alert.why, '')}"
    yield from (words for words in (status.notified, status.acknowledged, status.silenced) if words)


def rule_label(rule: str, key: str) -> str:
    return f"{rule} [{key}]" if key else rule


# Explanations.


def explanation_as_text(report: Explanation, status: AlertStatus | None = None) -> str:
    """Format an explanation: the verdict, what it rests on, what the rule promises, and how it came about."""
    metric = CATALOGUE[report.metric]
    lines = [
        f"{rule_label(report.rule, report.key)}: {report.state}",
        f"  {report.reason}",
        f"  {report.needed}",
    ]
    if status is not None:
        words = "; ".join(status_phrases(status, report.at, report.zone))
        lines += ["", f"  {status.alert.phase}: {words}"]
    lines += ["", *_figure_lines(metric, report.figures)] if report.figures.value is not None else []
    lines += _baseline_lines(metric, report.learned, report) if report.learned else ()
    lines += ["", "  the rule", *(f"    {term.name:<22} {term.words}" for term in report.terms)]
    if report.chart is not None and report.chart.points:
        chart_lines = draw_chart(report.chart, report.zone, lambda value: format_metric(metric, value))
        lines += ["", *(f"  {line}" for line in chart_lines)]
    return "\n".join(lines)


def _figure_lines(metric: Metric, figures: VerdictFigures) -> Iterator[str]:
    yield "  what it rests on"
    for name in ("value", "lower", "upper", "target", "usual"):
        if (figure := getattr(figures, name)) is not None:
            is_count = metric.unit == "count"
            yield (
                f"    {name:<22} {figure:,.1f}"
                if is_count
                else f"    {name:<22} {format_metric(metric, figure)}"
            )
    for name, figure in (
        ("support", figures.support or None),
        ("least support", figures.least or None),
        ("standard deviations", figures.z),
        ("evidence", figures.evidence),
        ("waiting", figures.waiting),
        ("signed in", figures.signed_in),
        ("decision line", figures.line),
    ):
        if figure is not None:
            yield (
                f"    {name:<22} {figure:,.3g}" if isinstance(figure, float) else f"    {name:<22} {figure:,}"
            )


def _baseline_lines(metric: Metric, learned: LearnedBaseline, report: Explanation) -> Iterator[str]:
    yield ""
    since, until = (clock(ms, report.at, report.zone) for ms in (learned.since, learned.until))
    if learned.observations < learned.least:
        observed = observations(metric, learned.observations)
        yield f"  there is no baseline yet: {observed} so far, {learned.least} are needed"
        return
    yield f"  the baseline, learned from {observations(metric, learned.observations)} from {since} to {until}"
    if learned.value is not None:
        yield f"    {'over all hours':<22} {format_metric(metric, learned.value)}"
    if learned.value_now is not None:
        yield f"    {'at this hour':<22} {format_metric(metric, learned.value_now)}"
    if learned.an_hour is not None:
        yield f"    {'how many':<22} {learned.an_hour:,.1f} in this hour, {learned.a_month:,.0f} a month"


# Backtests.


def backtest_as_text(result: BacktestResult, zone: str) -> str:
    """Format a backtest: when rules would have fired, then how often each did."""
    first, last = (clock(ms, 0, zone) for ms in (result.since, result.until))
    head = f"{first} to {last}, evaluated {result.moments:,} times"
    alert_lines = [line for ring in result.rings for line in _fired_alert_lines(ring, result)]
    return "\n".join(
        [head, "", *(alert_lines or ["No rule would have fired."]), "", *_outcome_lines(result, zone)]
    )


def _fired_alert_lines(alert: FiredAlert, result: BacktestResult) -> Iterator[str]:
    fired_at = clock(alert.fired_at, 0, alert.zone)
    early = " or before" if alert.began_at == result.since else ""
    yield f"{fired_at}{early}  {rule_label(alert.rule, alert.key)}: {alert.reason}"
    if alert.resolved_at is not None:
        yield f"  over {clock(alert.resolved_at, alert.fired_at, alert.zone)}: {alert.over}"
    elif alert.phase == "clearing":
        yield "  clearing at the end, not yet for long enough to be over"
    else:
        yield "  still firing at the end"


def _outcome_lines(result: BacktestResult, zone: str) -> Iterator[str]:
    width = max([4, *(len(outcome.rule) for outcome in result.rules)])
    yield f"{'rule':<{width}}  fired  groups  by chance"
    for outcome in result.rules:
        rest = f"{_by_chance(outcome):>9}{_evaluated_from(outcome, result, zone)}"
        yield f"{outcome.rule:<{width}}  {outcome.times:>5}  {outcome.series:>6}  {rest}"
    yield ""
    yield "by chance: the most false alarms that the rule allows in this time"


def _by_chance(outcome: RuleOutcome) -> str:
    return "–" if outcome.judged_from is None else f"{outcome.false_alarms:.2g}"


def _evaluated_from(outcome: RuleOutcome, result: BacktestResult, zone: str) -> str:
    """Return since when a rule could be evaluated, if not all the time."""
    if not outcome.is_stored:
        return "  cannot be tested: what was going on at a past moment is not stored"
    if outcome.judged_from is None:
        return "  not evaluated: too little data"
    if outcome.judged_from > result.since:
        return f"  evaluated from {clock(outcome.judged_from, 0, zone)} on"
    return ""
