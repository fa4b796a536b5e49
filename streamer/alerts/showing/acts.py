"""Segments of a backtest: past moments that share one and the same baseline.

Series are built once, and the evidence of drops replayed once, for the last of these moments: as of an
earlier one it was the same up to there, for nothing in it looks ahead.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.judging import drops
from streamer.alerts.judging.bounds import sample
from streamer.alerts.judging.drops import Drops
from streamer.alerts.judging.series import FINE_STEPS_MS, STEP_MS, Series, queue_of
from streamer.alerts.rules import Rule
from streamer.alerts.verdict import State, Verdict
from streamer.alerts.watch import Moment, Watch, place
from streamer.events.rules import DAY, HOUR
from streamer.metrics.formulas import Counts
from streamer.panes.pane_keys import FINE_KEPT_MS

Seen = Mapping[str, Series]


class Judged(NamedTuple):
    """Verdicts of one rule on those of its groups that fire or were asked for; `series_count`: the groups
    it could be evaluated on."""

    verdicts: Sequence[Verdict]
    series: int


NOTHING: Final = Judged((), 0)


def acts(moments: Sequence[int], now: int) -> Iterator[Sequence[int]]:
    """Split moments (ms, ascending) where the baseline changes, or the range that is kept in steps of 5
    minutes.

    >>> midnight = 1_795_132_800_000
    >>> [len(segment) for segment in acts([midnight - HOUR, midnight, midnight + HOUR], midnight + 30 * DAY)]
    [1, 2]
    """
    begin = 0
    for number in range(1, len(moments) + 1):
        if number == len(moments) or _era(moments[number], now) != _era(moments[begin], now):
            yield moments[begin:number]
            begin = number


def _era(at: int, now: int) -> tuple[int, int]:
    return at // DAY, -(-max(at - FINE_STEPS_MS, now - FINE_KEPT_MS + HOUR) // HOUR)


class Act:
    """Evaluates rules at the moments of one segment. Use it from one thread at a time."""

    def __init__(self, watch: Watch, rules: Sequence[Rule], moments: Sequence[int], now: int) -> None:
        self._watch, self._now = watch, now
        last = self._moment(moments[-1])
        self._seen: dict[str, Seen] = {by: watch.seen(by, last) for by in {rule.by: None for rule in rules}}
        self._drops = {rule.name: found for rule in rules if (found := self._found(rule))}

    def judged(self, rule: Rule, at: int, asked: Sequence[str]) -> Judged:
        """Evaluate a rule. `open_keys`: groups whose verdict matters even if it does not fire. A drop's
        verdict is only its state: see `full_verdict`."""
        if rule.kind == "target":
            return self._missed(rule, at, asked)
        if rule.kind == "silence":
            return self._silent(rule, at)
        return self._dropped(rule, at, asked)

    def whole(self, rule: Rule, key: str, at: int) -> Verdict:
        """Return the verdict of a drop rule with reason and figures."""
        found = drops.drops(_until(self._seen[rule.by][place(rule)], at, self._now), rule)
        (judged,) = self._watch.dropped(rule, found, self._moment(at), [key])
        return judged.verdict

    def _moment(self, at: int) -> Moment:
        return Moment(self._now, at, past=True)

    def _found(self, rule: Rule) -> Drops | None:
        series = self._seen[rule.by].get(place(rule)) if rule.kind == "drop" else None
        return None if series is None else drops.drops(series, rule)

    def _dropped(self, rule: Rule, at: int, asked: Sequence[str]) -> Judged:
        if rule.name not in self._drops:
            return NOTHING
        found, moment = self._drops[rule.name], self._moment(at)
        steps, keys = _steps(found.series, at, self._now), found.series.keys
        firing = np.flatnonzero(found.told[steps - 1]).tolist() if steps else []
        judged = [keys[group] for group in firing if rule.key in ("", keys[group])]
        verdicts = (
            Verdict(kind="drop", key=key, state=_state(found, keys.index(key), steps), reason="")
            for key in dict.fromkeys((*judged, *asked))
        )
        known = int((~np.isnan(found.lines)).sum())
        return Judged(
            [self._watch.gated(rule, verdict, moment) for verdict in verdicts],
            min(known, 1) if rule.key else known,
        )

    def _silent(self, rule: Rule, at: int) -> Judged:
        seen = {name: _until(series, at, self._now) for name, series in self._seen[rule.by].items()}
        verdicts = [one.verdict for one in self._watch.ruled(rule, seen, self._moment(at))]
        return Judged(verdicts, sum(1 for one in verdicts if one.state != "no_baseline"))

    def _missed(self, rule: Rule, at: int, asked: Sequence[str]) -> Judged:
        watch, moment = self._watch, self._moment(at)
        held = watch.samples(rule, moment)
        if held is None:
            return NOTHING
        streams = watch.streams(rule, self._seen[rule.by], held)
        aims = {key: _Aim(rule, rule.target(queue_of(rule.by, key)), counts) for key, counts in held.items()}
        found = (
            watch.of_sample(rule, key, held[key], streams)
            for key, aim in aims.items()
            if key in asked or aim.is_missed
        )
        verdicts = [watch.gated(rule, verdict, moment) for verdict in found if verdict is not None]
        return Judged(verdicts, sum(1 for aim in aims.values() if aim.is_judged))


class _Aim:
    """Check of a sample against its target. Only one with enough observations, and worse than the target,
    can fire."""

    def __init__(self, rule: Rule, target: float | None, counts: Counts) -> None:
        observed = sample(rule.metric, counts)
        of = observed.of if observed is not None and target is not None else 0
        self.is_judged = of >= max(rule.least_support, 1)
        self.is_missed = False
        if self.is_judged and observed is not None and target is not None:
            higher = rule.metric.better == "higher"
            self.is_missed = observed.value < target if higher else observed.value > target


def _state(found: Drops, group: int, steps: int) -> State:
    """Return the state after that many steps."""
    if not steps and not np.isnan(found.lines[group]):
        return "holds"
    return found.state(group, steps - 1)


def _until(series: Series, at: int, now: int) -> Series:
    """Return the series as it was built then."""
    steps = _steps(series, at, now)
    return series._replace(
        at=at, starts=series.starts[:steps], counts=series.counts[:steps], hours=series.hours[:steps]
    )


def _steps(series: Series, at: int, now: int) -> int:
    """Return the number of steps that had ended; as of now itself, the unfinished one too."""
    starts, (_, fine) = series.starts, _era(at, now)
    over = int(np.searchsorted(starts + np.where(starts < fine * HOUR, HOUR, STEP_MS), at, side="right"))
    return len(starts) if at >= now else over
