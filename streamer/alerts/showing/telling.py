"""Text output of verdicts (a line each), of an explanation, and of a backtest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from streamer.alerts.showing.drawing import drawn
from streamer.alerts.showing.explaining import Explanation, Learned
from streamer.alerts.showing.rehearsal import Outcome, Rehearsal, Ring
from streamer.alerts.states import Alert, Why
from streamer.alerts.verdict import Figures, State, Verdict
from streamer.alerts.watch import Judged
from streamer.alerts.words import clock, observations, said
from streamer.metrics.catalogue import CATALOGUE, Metric

WORST: Final[Sequence[State]] = ("fires", "unclear", "holds", "few", "no_baseline", "no_data", "closed")
_ENDED: Final[Mapping[Why, str]] = {
    "corrected": ", since with today's data it was not due",
    "closed": ", since the hours of operation ended",
}
_STANDS: Final = ("firing", "clearing", "pending")
"""Phases in which an alert is listed."""


class Standing(NamedTuple):
    """An alert, and the actions of people on it, in words; None: none."""

    alert: Alert
    acknowledged: str | None = None
    silenced: str | None = None
    told: str | None = None


Standings = Mapping[tuple[str, str], Standing]
"""By rule and key."""


class Listed(NamedTuple):
    """Active alerts and all verdicts, as of a moment (ms)."""

    standings: Standings
    judged: Sequence[Judged]
    at: int
    zone: str


def list_as_json(listed: Listed) -> bytes:
    """Encode the verdicts as a list, each with the name of its rule and its active alert, if there is one."""
    found = {(one.rule.name, one.verdict.key): one.verdict for one in listed.judged}
    for place, one in listed.standings.items():
        if one.alert.phase in _STANDS and one.alert.fired is not None:
            found.setdefault(place, _gone(one.alert.fired))
    return msgspec.json.encode(
        [
            {
                "rule": rule,
                **msgspec.to_builtins(verdict),
                "alert": _standing(listed.standings.get((rule, key))),
            }
            for (rule, key), verdict in found.items()
        ]
    )


def _gone(told: Verdict) -> Verdict:
    """Return the verdict on a group that is no longer evaluated."""
    return msgspec.structs.replace(told, state="few", reason="There is no data.", figures=Figures())


def _standing(one: Standing | None) -> dict[str, Any] | None:
    if one is None or one.alert.phase not in _STANDS:
        return None
    alert = one.alert
    return {
        "id": alert.id,
        "phase": alert.phase,
        "since": alert.began_at,
        "fired_at": alert.fired_at,
        "told": one.told,
        "acknowledged": one.acknowledged,
        "silenced": one.silenced,
    }


def listed(found: Listed) -> str:
    """Format the active alerts, then all verdicts, the worst first."""
    standing = [one for one in found.standings.values() if one.alert.phase in _STANDS]
    standing.sort(key=lambda one: (_STANDS.index(one.alert.phase), one.alert.began_at, one.alert.rule))
    judged = sorted(
        found.judged, key=lambda one: (WORST.index(one.verdict.state), one.rule.name, one.verdict.key)
    )
    told = [line for one in standing for line in _stands(one, found)]
    verdicts = [
        f"{one.verdict.state:<11} {named(one.rule.name, one.verdict.key)}: {one.verdict.reason}"
        for one in judged
    ]
    return "\n".join([*told, *([""] if told and verdicts else []), *verdicts])


def _stands(one: Standing, found: Listed) -> Iterator[str]:
    place = named(one.alert.rule, one.alert.key)
    yield f"{one.alert.phase.upper():<11} {place} {'; '.join(standing(one, found.at, found.zone))}"


def standing(one: Standing, at: int, zone: str) -> Iterator[str]:
    """Return the status of an alert in phrases: since 09:10; fired at 09:12; floor was sent it;
    acknowledged by ana at 09:15."""
    alert = one.alert
    yield f"{'began at' if alert.phase == 'resolved' else 'since'} {clock(alert.began_at, at, zone)}"
    if alert.fired_at is not None:
        yield f"fired at {clock(alert.fired_at, at, zone)}"
    if alert.resolved_at is not None:
        yield f"over since {clock(alert.resolved_at, at, zone)}{_ENDED.get(alert.why, '')}"
    yield from (words for words in (one.told, one.acknowledged, one.silenced) if words)


def named(rule: str, key: str) -> str:
    return f"{rule} [{key}]" if key else rule


# Explanations.


def explained(why: Explanation, one: Standing | None = None) -> str:
    """Format an explanation: the verdict, what it rests on, what the rule promises, and how it came about."""
    metric = CATALOGUE[why.metric]
    lines = [f"{named(why.rule, why.key)}: {why.state}", f"  {why.reason}", f"  {why.needed}"]
    if one is not None:
        words = "; ".join(standing(one, why.at, why.zone))
        lines += ["", f"  {one.alert.phase}: {words}"]
    lines += ["", *_figures(metric, why.figures)] if why.figures.value is not None else []
    lines += _usual(metric, why.learned, why) if why.learned else ()
    lines += ["", "  the rule", *(f"    {term.name:<22} {term.words}" for term in why.terms)]
    if why.chart is not None and why.chart.points:
        chart = drawn(why.chart, why.zone, lambda value: said(metric, value))
        lines += ["", *(f"  {line}" for line in chart)]
    return "\n".join(lines)


def _figures(metric: Metric, figures: Figures) -> Iterator[str]:
    yield "  what it rests on"
    for name in ("value", "lower", "upper", "target", "usual"):
        if (found := getattr(figures, name)) is not None:
            is_count = metric.unit == "count"
            yield f"    {name:<22} {found:,.1f}" if is_count else f"    {name:<22} {said(metric, found)}"
    for name, found in (
        ("support", figures.support or None),
        ("least support", figures.least or None),
        ("standard deviations", figures.z),
        ("evidence", figures.evidence),
        ("decision line", figures.line),
    ):
        if found is not None:
            yield f"    {name:<22} {found:,.3g}" if isinstance(found, float) else f"    {name:<22} {found:,}"


def _usual(metric: Metric, learned: Learned, why: Explanation) -> Iterator[str]:
    yield ""
    since, until = (clock(ms, why.at, why.zone) for ms in (learned.since, learned.until))
    if learned.observations < learned.least:
        seen = observations(metric, learned.observations)
        yield f"  there is no baseline yet: {seen} so far, {learned.least} are needed"
        return
    yield f"  the baseline, learned from {observations(metric, learned.observations)} from {since} to {until}"
    if learned.value is not None:
        yield f"    {'over all hours':<22} {said(metric, learned.value)}"
    if learned.value_now is not None:
        yield f"    {'at this hour':<22} {said(metric, learned.value_now)}"
    if learned.an_hour is not None:
        yield f"    {'how many':<22} {learned.an_hour:,.1f} in this hour, {learned.a_month:,.0f} a month"


# Backtests.


def rehearsed(found: Rehearsal, zone: str) -> str:
    """Format a backtest: when rules would have fired, then how often each did."""
    first, last = (clock(ms, 0, zone) for ms in (found.since, found.until))
    head = f"{first} to {last}, evaluated {found.moments:,} times"
    rings = [line for ring in found.rings for line in _ring(ring, found)]
    return "\n".join([head, "", *(rings or ["No rule would have fired."]), "", *_outcomes(found, zone)])


def _ring(ring: Ring, found: Rehearsal) -> Iterator[str]:
    fired = clock(ring.fired_at, 0, ring.zone)
    early = " or before" if ring.began_at == found.since else ""
    yield f"{fired}{early}  {named(ring.rule, ring.key)}: {ring.reason}"
    if ring.resolved_at is not None:
        yield f"  over {clock(ring.resolved_at, ring.fired_at, ring.zone)}: {ring.over}"
    elif ring.phase == "clearing":
        yield "  clearing at the end, not yet for long enough to be over"
    else:
        yield "  still firing at the end"


def _outcomes(found: Rehearsal, zone: str) -> Iterator[str]:
    wide = max([4, *(len(one.rule) for one in found.rules)])
    yield f"{'rule':<{wide}}  fired  groups  by chance"
    for one in found.rules:
        rest = f"{_chance(one):>9}{_from(one, found, zone)}"
        yield f"{one.rule:<{wide}}  {one.times:>5}  {one.series:>6}  {rest}"
    yield ""
    yield "by chance: the most false alarms that the rule allows in this time"


def _chance(one: Outcome) -> str:
    return "–" if one.judged_from is None else f"{one.false_alarms:.2g}"


def _from(one: Outcome, found: Rehearsal, zone: str) -> str:
    """Return since when a rule could be evaluated, if not all the time."""
    if one.judged_from is None:
        return "  not evaluated: too little data"
    if one.judged_from > found.since:
        return f"  evaluated from {clock(one.judged_from, 0, zone)} on"
    return ""
