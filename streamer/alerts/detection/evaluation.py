"""Data that detectors evaluate: series, window counts and the replayed evidence of all rules."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.data_quality import NO_ISSUES, DataIssues
from streamer.alerts.detection.evidence_replay import EvidenceReplay
from streamer.alerts.detection.series import MetricSeries, SeriesBuilder, queue_of
from streamer.alerts.detection.window_samples import SampledCounts, WindowSampler
from streamer.alerts.formatting import group_name
from streamer.alerts.states import Alert
from streamer.alerts.subject import AlertSubject
from streamer.alerts.verdict import Verdict, VerdictState
from streamer.metrics.catalogue import WindowLimits
from streamer.metrics.formulas import WindowCounts
from streamer.panes.windows import NOW
from streamer.readings.live_state import StatedKeys
from streamer.readings.pane_families import QueueZones
from streamer.readings.query import MetricQuery
from streamer.readings.reader import MetricsReader
from streamer.readings.window_table import NO_ROW_COUNTS
from streamer.settings import Settings

SeriesByName = Mapping[str, MetricSeries]


class RuleVerdict(NamedTuple):
    """A rule's verdict on one group. `state_at_firing`: for a notified alert, the state that today's
    counts give for the moment it fired; None: unchanged, or unknown."""

    rule: AlertRule
    verdict: Verdict
    state_at_firing: VerdictState | None = None


NotifiedAlerts = Mapping[tuple[str, str], Alert]
"""Alerts that were notified, by rule and key."""
NO_ALERTS: Final[NotifiedAlerts] = {}


class EvaluationMoment(NamedTuple):
    """Moment to evaluate: `at_ms`, with the knowledge of `now_ms`. The data issues of a past moment are
    not kept, so `issues` is empty if `is_past`."""

    now_ms: int
    at_ms: int
    is_past: bool = False
    issues: DataIssues = NO_ISSUES
    notified: NotifiedAlerts = NO_ALERTS

    def before(self, at_ms: int) -> "EvaluationMoment":
        """Return another, past moment with the same knowledge."""
        return EvaluationMoment(self.now_ms, at_ms, is_past=True)


class EvaluationData:
    """Data of alert rules, from the counts that a reader holds. Use it from one thread at a time."""

    def __init__(self, reader: MetricsReader, settings: Settings, rules: Sequence[AlertRule]) -> None:
        self._reader, self._settings, self._rules = reader, settings, rules
        zones = QueueZones(settings.timezone, settings.zones())
        self._samplers = {rule.by: WindowSampler(reader, zones, rule.by) for rule in rules}
        self._builders, self._past_builders = self._new_builders(), self._new_builders()
        self._replays = {rule.name: EvidenceReplay() for rule in rules}

    def _new_builders(self) -> dict[str, SeriesBuilder]:
        return {
            by: SeriesBuilder(
                self._reader,
                self._settings,
                by,
                {rule.series: rule.classes for rule in self._rules if rule.by == by and rule.classes},
            )
            for by in self._samplers
        }

    def gather_series(self, by: str, moment: EvaluationMoment) -> SeriesByName:
        """Return the series of one grouping. Queries about the past do not disturb the builders that keep
        up."""
        builders = self._past_builders if moment.is_past else self._builders
        return builders[by].build(moment.at_ms, moment.now_ms)

    def replay(self, rule: AlertRule, moment: EvaluationMoment) -> EvidenceReplay | None:
        """Return what was replayed of the rule's evidence; None for a past moment, which shares nothing."""
        return None if moment.is_past else self._replays[rule.name]

    def window_counts(self, rule: AlertRule, moment: EvaluationMoment) -> Mapping[str, WindowCounts] | None:
        """Return the counts of a target's window by key; None: they are no longer kept."""
        if not moment.is_past or rule.metric.windows != WindowLimits():
            return self._read_counts(rule, moment)
        sampled = self.sampled_counts(rule, moment.at_ms, moment.now_ms)
        if sampled is None or not rule.key:
            return sampled and sampled.counts
        return {rule.key: sampled.counts.get(rule.key, NO_ROW_COUNTS)}

    def sampled_counts(self, rule: AlertRule, at_ms: int, now_ms: int) -> SampledCounts | None:
        """Return the counts of a target's window as of a past moment; None: they are no longer kept."""
        return self._samplers[rule.by].counts_at(rule.window, at_ms, now_ms)

    def _read_counts(self, rule: AlertRule, moment: EvaluationMoment) -> Mapping[str, WindowCounts]:
        query = MetricQuery(
            now=moment.now_ms, metrics=(rule.metric.name,), windows=(rule.window,), by=rule.by, key=rule.key,
            at=moment.at_ms,
        )  # fmt: skip
        return {reading.key: counts for reading, counts in self._reader.samples(query)}

    def live_values(
        self, rule: AlertRule, metrics: tuple[str, ...], moment: EvaluationMoment
    ) -> Mapping[str, Mapping[str, float | None]]:
        """Return the values of metrics of now by key, then by metric."""
        return self._read_live(metrics, rule.by, rule.key, moment)

    def stated_keys(self, by: str, moment: EvaluationMoment) -> StatedKeys:
        """Return the keys of the groups that any source sends the states of."""
        return self._reader.stated_keys(by, moment.now_ms)

    def live_values_of(
        self, by: str, key: str, metrics: tuple[str, ...], moment: EvaluationMoment
    ) -> Mapping[str, float | None]:
        """Return the values of metrics of now of one group, in which nothing may go on."""
        return self._read_live(metrics, by, key, moment)[key]

    def _read_live(
        self, metrics: tuple[str, ...], by: str, key: str, moment: EvaluationMoment
    ) -> Mapping[str, Mapping[str, float | None]]:
        query = MetricQuery(now=moment.now_ms, metrics=metrics, windows=(NOW,), by=by, key=key)
        values_by_key: dict[str, dict[str, float | None]] = {}
        for reading in self._reader.readings(query):
            values_by_key.setdefault(reading.key, {})[reading.metric] = reading.value
        return values_by_key

    def subject(self, rule: AlertRule, key: str) -> AlertSubject:
        zone = self._settings.zones().get(queue_of(rule.by, key), self._settings.timezone)
        return AlertSubject(key, group_name(self._settings.names, rule.by, key), zone)


def selected_keys(rule: AlertRule, keys: Iterable[str]) -> list[str]:
    """Return the keys that the rule is about."""
    return [key for key in keys if rule.key in ("", key)]
