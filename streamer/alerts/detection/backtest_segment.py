"""Segments of a backtest: past moments that share one and the same baseline.

Series are built once, and the evidence of drops replayed once, for the last of these moments: as of an
earlier one it was the same up to there, for nothing in it looks ahead.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.drop_evidence import DropEvidence, detect_drops
from streamer.alerts.detection.evaluation import EvaluationData, EvaluationMoment, SeriesByName
from streamer.alerts.detection.series import FINE_STEPS_MS, STEP_MS, MetricSeries
from streamer.alerts.verdict import Verdict
from streamer.events.counting_rules import DAY, HOUR
from streamer.panes.pane_keys import FINE_RETENTION_MS


class SegmentVerdicts(NamedTuple):
    """Verdicts of one rule on those of its groups that fire or were asked for; `series_count`: the groups
    it could be evaluated on."""

    verdicts: Sequence[Verdict]
    series_count: int


NO_VERDICTS: Final = SegmentVerdicts((), 0)


def split_segments(moments: Sequence[int], now_ms: int) -> Iterator[Sequence[int]]:
    """Split moments (ms, ascending) where the baseline changes, or the range that is kept in steps of 5
    minutes.

    >>> midnight = 1_795_132_800_000
    >>> moments = [midnight - HOUR, midnight, midnight + HOUR]
    >>> [len(segment) for segment in split_segments(moments, midnight + 30 * DAY)]
    [1, 2]
    """
    first = 0
    for index in range(1, len(moments) + 1):
        if index == len(moments) or _baseline_era(moments[index], now_ms) != _baseline_era(
            moments[first], now_ms
        ):
            yield moments[first:index]
            first = index


def _baseline_era(at_ms: int, now_ms: int) -> tuple[int, int]:
    return at_ms // DAY, -(-max(at_ms - FINE_STEPS_MS, now_ms - FINE_RETENTION_MS + HOUR) // HOUR)


class BacktestSegment:
    """Data of rules at the moments of one segment. Use it from one thread at a time."""

    def __init__(
        self, data: EvaluationData, rules: Sequence[AlertRule], moments: Sequence[int], now_ms: int
    ) -> None:
        self.data, self._now = data, now_ms
        last = self.moment(moments[-1])
        self.series: dict[str, SeriesByName] = {
            by: data.gather_series(by, last) for by in {rule.by: None for rule in rules}
        }
        """By grouping, as of the last moment."""
        self._evidence_by_rule: dict[str, DropEvidence | None] = {}

    def moment(self, at_ms: int) -> EvaluationMoment:
        return EvaluationMoment(self._now, at_ms, is_past=True)

    def series_at(self, by: str, at_ms: int) -> SeriesByName:
        """Return the series as they were built then."""
        return {name: self._series_until(series, at_ms) for name, series in self.series[by].items()}

    def drop_evidence(self, rule: AlertRule) -> DropEvidence | None:
        """Return the evidence of drops as of the last moment; None: there is no data."""
        if rule.name not in self._evidence_by_rule:
            series = self.series[rule.by].get(rule.series)
            self._evidence_by_rule[rule.name] = None if series is None else detect_drops(series, rule)
        return self._evidence_by_rule[rule.name]

    def steps_until(self, series: MetricSeries, at_ms: int) -> int:
        """Return the number of steps that had ended; as of now itself, the unfinished one too."""
        starts, (_, fine_hour) = series.starts, _baseline_era(at_ms, self._now)
        ended_steps = int(
            np.searchsorted(starts + np.where(starts < fine_hour * HOUR, HOUR, STEP_MS), at_ms, side="right")
        )
        return len(starts) if at_ms >= self._now else ended_steps

    def _series_until(self, series: MetricSeries, at_ms: int) -> MetricSeries:
        steps = self.steps_until(series, at_ms)
        return series._replace(
            at=at_ms, starts=series.starts[:steps], counts=series.counts[:steps], hours=series.hours[:steps]
        )
