"""Here is what is printed of judgements: a line each, and of one why it is so, with evidence over time."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from streamer.alerts import drops
from streamer.alerts.verdict import Figures, State
from streamer.alerts.watch import Judged, Watch
from streamer.metrics.catalogue import Metric
from streamer.readings import display

WORST: Final[Sequence[State]] = ("fires", "unclear", "holds", "few", "no_baseline", "no_data", "closed")
_ROWS: Final = 24
_WIDE: Final = 40


class Judgement(NamedTuple):
    """All rules' verdicts as of one moment (ms; None: now)."""

    watch: Watch
    now: int
    at: int | None
    zone: str
    judged: Sequence[Judged]

    @classmethod
    def of(cls, watch: Watch, now: int, at: int | None, zone: str) -> "Judgement":
        return cls(watch, now, at, zone, watch.judged(now, at))


def as_json(judged: Iterable[Judged]) -> bytes:
    """A list of verdicts with the names of their rules."""
    return msgspec.json.encode(
        [{"rule": one.rule.name, **msgspec.to_builtins(one.verdict)} for one in judged]
    )


def listed(judged: Iterable[Judged]) -> str:
    """The worst first."""
    found = sorted(judged, key=lambda one: (WORST.index(one.verdict.state), one.rule.name, one.verdict.key))
    return "\n".join(f"{one.verdict.state:<11} {_named(one)}: {one.verdict.reason}" for one in found)


def explained(judgement: Judgement, judged: Judged) -> str:
    """The verdict, what it rests on, and of a drop how the evidence came about."""
    rule, verdict = judged.rule, judged.verdict
    lines = [
        f"{_named(judged)}: {verdict.state}",
        f"  {verdict.reason}",
        *_figures(rule.metric, verdict.figures),
    ]
    if rule.kind == "drop" and verdict.figures.line is not None:
        found = judgement.watch.drops(rule, judgement.now, judgement.at)
        assert found is not None
        lines += _chart([*drops.chart(found, verdict.key)], verdict.figures.line, judgement.zone)
    return "\n".join(lines)


def _named(judged: Judged) -> str:
    key = judged.verdict.key
    return f"{judged.rule.name} [{key}]" if key else judged.rule.name


def _figures(metric: Metric, figures: Figures) -> Iterator[str]:
    for name in ("value", "lower", "upper", "target", "usual"):
        if (found := getattr(figures, name)) is not None:
            yield f"  {name:<24} {display.value(found, metric.unit, '')}"
    for name, found in (
        ("support", figures.support or None),
        ("least support", figures.least or None),
        ("z", figures.z),
        ("observations a month", figures.a_month),
        ("learned of", figures.learned_of),
        ("evidence", figures.evidence),
        ("decision line", figures.line),
    ):
        if found is not None:
            yield f"  {name:<24} {found:,.4g}" if isinstance(found, float) else f"  {name:<24} {found:,}"


def _chart(points: Sequence[tuple[int, float]], line: float, zone: str) -> Iterator[str]:
    """The highest of each stretch of time, as a share of the decision line."""
    size = max(1, -(-len(points) // _ROWS))
    yield f"  evidence over time; the decision line stands at the right edge ({line:.3g})"
    for first in range(0, len(points), size):
        stretch = points[first : first + size]
        share = min(max(one for _, one in stretch) / line, 1.0)
        bar = "█" * round(_WIDE * share)
        begins = datetime.fromtimestamp(stretch[0][0] / 1000, UTC).astimezone(ZoneInfo(zone))
        yield f"  {begins:%a %d %b %H:%M} │{bar:<{_WIDE}}│{' fires' if share >= 1 else ''}"
