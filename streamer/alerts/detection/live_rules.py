"""Detectors of what is going on now: a limit is exceeded, or contacts wait and nobody is there for them.

Contacts under way and agents are counted, not sampled. So there is no chance in such a figure and no rate
of false alarms to promise: a rule fires when its condition has held for as long as `for` says. What was
going on at a past moment is not stored, so nothing can be said of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.backtest_segment import NO_VERDICTS, BacktestSegment, SegmentVerdicts
from streamer.alerts.detection.detector import (
    NO_FIGURES,
    ExplanationQuery,
    RuleDetector,
    TitleVerbs,
    VerdictReasons,
)
from streamer.alerts.detection.evaluation import EvaluationData, EvaluationMoment, RuleVerdict, SeriesByName
from streamer.alerts.detection.series import queue_of
from streamer.alerts.formatting import format_metric, group_noun, metric_label
from streamer.alerts.subject import SentenceContext
from streamer.alerts.verdict import AlertSymptom, RuleKind, Verdict, VerdictFigures, VerdictState
from streamer.events.counting_rules import UNKNOWN
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.metrics.formulas import ObservationClasses
from streamer.metrics.intervals import Interval
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import NOW
from streamer.settings import Settings, SettingsError

CONTACTS_METRIC: Final = "waiting"
AGENTS_METRIC: Final = "agents_signed_in"
UNATTENDED_METRICS: Final = ("agents_available", AGENTS_METRIC)

ValuesByMetric = Mapping[str, float | None]


class LiveDetector(RuleDetector):
    """Detector of a condition on the metrics of `now`. It is silent where no source sends the states."""

    needs_baseline = False
    is_live = True
    stretch = "none"

    def classes(self, metric: Metric) -> ObservationClasses | None:
        return None

    def check_metric(self, setting: str, rule: AlertRule, settings: Settings) -> None:
        names = self.metric_names()
        if rule.metric.name not in names:
            raise SettingsError(
                f"{setting}.metric = {rule.metric.name!r}: {self.symptom_noun} can be detected in "
                f"{', '.join(names)}"
            )
        if rule.window != NOW:
            raise SettingsError(f"{setting}.window = {rule.window!r}: expected {NOW}, or nothing")

    def metric_names(self) -> Sequence[str]:
        """Return the metrics that a rule of this kind may name."""
        raise NotImplementedError

    def read_metrics(self, rule: AlertRule) -> tuple[str, ...]:
        """Return the metrics that a verdict rests on."""
        raise NotImplementedError

    def evaluate_group(self, rule: AlertRule, key: str, name: str, values: ValuesByMetric) -> Verdict:
        """Return the verdict on one group; a metric without a value is None."""
        raise NotImplementedError

    def _verdicts(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        reason = self._missing_reason(rule, data, moment)
        if reason is not None:
            yield RuleVerdict(rule, Verdict(kind=self.kind, key=rule.key, state="no_data", reason=reason))
            return
        values_by_key = data.live_values(rule, self.read_metrics(rule), moment)
        for key in self._keys(rule, values_by_key, moment):
            values = values_by_key.get(key) or data.live_values_of(
                rule.by, key, self.read_metrics(rule), moment
            )
            verdict = self.evaluate_group(rule, key, data.subject(rule, key).name, values)
            yield RuleVerdict(rule, verdict)

    def _missing_reason(self, rule: AlertRule, data: EvaluationData, moment: EvaluationMoment) -> str | None:
        if moment.is_past:
            return "What was going on at a past moment is not stored."
        needs_agents = [name.startswith("agents_") for name in self.read_metrics(rule)]
        needed = {"contacts": not all(needs_agents), "agents": any(needs_agents)}
        stated, is_single = data.stated_keys(rule.by, moment), rule.by == ALL or rule.key != ""
        missing = [
            kind
            for kind, keys in stated._asdict().items()
            if needed[kind] and not (rule.key in keys if is_single else keys)
        ]
        where = f" in {group_noun(rule.by, data.subject(rule, rule.key).name)}" if rule.key else ""
        return f"No source sends the states of {' and '.join(missing)}{where}: {_SEE}." if missing else None

    def _keys(self, rule: AlertRule, keys: Iterable[str], moment: EvaluationMoment) -> list[str]:
        """Return the groups to evaluate: where nothing goes on any more, an alert is over."""
        if rule.by == ALL or rule.key:
            return [rule.key]
        alerted = (key for name, key in moment.notified if name == rule.name)
        return [*dict.fromkeys([*keys, *alerted])]

    def _reasons(self, query: ExplanationQuery) -> Iterator[VerdictReasons]:
        rule_verdicts = self._verdicts(query.rule, query.data, query.series_by_name, query.moment)
        for verdict in query.select_verdicts(rule_verdicts):
            yield VerdictReasons(verdict, self.needed_change(query.rule, verdict), None)

    def needed_change(self, rule: AlertRule, verdict: Verdict) -> str:
        """Return what would have to be for another verdict, as a sentence."""
        raise NotImplementedError

    def past_verdicts(
        self, rule: AlertRule, segment: BacktestSegment, at_ms: int, open_keys: Sequence[str]
    ) -> SegmentVerdicts:
        return NO_VERDICTS

    def verdict(
        self, key: str, state: VerdictState, reason: str, figures: VerdictFigures = NO_FIGURES
    ) -> Verdict:
        kind: RuleKind = self.kind
        return Verdict(kind=kind, key=key, state=state, reason=reason, figures=figures)

    def firing_text(
        self,
        rule: AlertRule,
        figures: VerdictFigures,
        context: SentenceContext,
        interval: Interval | None,
        since: int,
    ) -> str | None:
        return (
            f"{self.firing_reason(rule, context.name, figures)} It has been so since {context.clock(since)}."
        )

    def firing_reason(self, rule: AlertRule, name: str, figures: VerdictFigures) -> str:
        raise NotImplementedError


_SEE: Final = "see the pages of `streamer sources`"


class LimitDetector(LiveDetector):
    """Detects a figure of now beyond its limit, such as a wait of more than two minutes."""

    kind = "limit"
    symptom_noun = "a limit that is exceeded"
    uses_target = True
    verbs: ClassVar = {
        "lower": TitleVerbs(
            "is over its limit", "is within its limit again", "was not over its limit after all"
        ),
        "higher": TitleVerbs(
            "is below its limit", "is within its limit again", "was not below its limit after all"
        ),
    }

    def metric_names(self) -> Sequence[str]:
        return [metric.name for metric in CATALOGUE.values() if metric.windows.now]

    def read_metrics(self, rule: AlertRule) -> tuple[str, ...]:
        return (rule.metric.name,)

    def check_targets(self, setting: str, rule: AlertRule) -> None:
        is_better_lower = rule.metric.better == "lower"
        for queue, target in rule.targets.items():
            if target is not None and (target < 0 or (not is_better_lower and target == 0)):
                of_queue = f" (of queue {queue})" if queue else ""
                expected, fires = ("0 or more", "always") if is_better_lower else ("more than 0", "never")
                raise SettingsError(
                    f"{setting}.target = {target:g}{of_queue}: expected {expected}, "
                    f"or the rule would {fires} fire"
                )

    def evaluate_group(self, rule: AlertRule, key: str, name: str, values: ValuesByMetric) -> Verdict:
        value, target = values.get(rule.metric.name), rule.target(queue_of(rule.by, key))
        phrase = _capitalized(self.subject_phrase(rule.metric, rule.by, name))
        if target is None:
            return self.verdict(key, "few", f"{phrase} has no limit.")
        figures = VerdictFigures(value=value, target=target)
        if value is None:
            return self.verdict(key, "few", f"{phrase} cannot be told now.", figures)
        is_beyond = value > target if rule.metric.better == "lower" else value < target
        if is_beyond:
            return self.verdict(key, "fires", self.firing_reason(rule, name, figures), figures)
        limit = format_metric(rule.metric, target)
        reason = f"{phrase} is {format_metric(rule.metric, value)} now; its limit is {limit}."
        return self.verdict(key, "holds", reason, figures)

    def firing_reason(self, rule: AlertRule, name: str, figures: VerdictFigures) -> str:
        assert figures.value is not None
        assert figures.target is not None
        phrase = _capitalized(self.subject_phrase(rule.metric, rule.by, name))
        value, limit = (format_metric(rule.metric, figure) for figure in (figures.value, figures.target))
        side = "over" if rule.metric.better == "lower" else "below"
        return f"{phrase} is {value} now, {side} its limit of {limit}."

    def needed_change(self, rule: AlertRule, verdict: Verdict) -> str:
        if verdict.figures.target is None:
            return "It is evaluated once there is something to evaluate."
        limit = format_metric(rule.metric, verdict.figures.target)
        side, other = ("above", "less") if rule.metric.better == "lower" else ("below", "more")
        return (
            f"It is over at {limit} or {other}." if verdict.state == "fires" else f"It fires {side} {limit}."
        )

    def subject_phrase(self, metric: Metric, by: str, name: str) -> str:
        """Return the subject of a title: Longest wait in Billing; the number of contacts waiting in
        Billing."""
        label = metric_label(metric)
        of_what = f"the number of {label.lower()}" if metric.unit == "count" else label
        return f"{of_what} in {group_noun(by, name)}"

    def firing_title(self, metric: Metric, phrase: str) -> str:
        return f"{_capitalized(phrase)} {self.verbs[metric.better].firing}"

    def symptom(self, better: str, figures: VerdictFigures) -> AlertSymptom:
        return "exceeded" if better == "lower" else "short"


class UnattendedDetector(LiveDetector):
    """Detects contacts that wait while nobody is available for them, or nobody signed in.

    `value` of its figures is the number of agents, 0 when it fires."""

    kind = "unattended"
    symptom_noun = "contacts that wait for nobody"
    is_plural = True
    verbs: ClassVar = dict.fromkeys(
        ("lower", "higher"),
        TitleVerbs("wait for nobody", "do not wait for nobody any more", "did not wait for nobody after all"),
    )

    def metric_names(self) -> Sequence[str]:
        return UNATTENDED_METRICS

    def check_metric(self, setting: str, rule: AlertRule, settings: Settings) -> None:
        super().check_metric(setting, rule, settings)
        if rule.by not in (ALL, "queue"):
            raise SettingsError(
                f"{setting}.by = {rule.by!r}: contacts wait in queues, expected {ALL} or queue"
            )

    def read_metrics(self, rule: AlertRule) -> tuple[str, ...]:
        return CONTACTS_METRIC, rule.metric.name, AGENTS_METRIC

    def _verdicts(
        self, rule: AlertRule, data: EvaluationData, series_by_name: SeriesByName, moment: EvaluationMoment
    ) -> Iterator[RuleVerdict]:
        """Yield the verdicts; of a queue nobody is known to serve nothing is said while there are agents
        whose queues are unknown."""
        agents_anywhere: float | None = None
        for rule_verdict in super()._verdicts(rule, data, series_by_name, moment):
            verdict = rule_verdict.verdict
            if rule.by == "queue" and verdict.figures.waiting and not verdict.figures.signed_in:
                if agents_anywhere is None:
                    of_unknown = data.live_values_of(rule.by, UNKNOWN, (AGENTS_METRIC,), moment)
                    agents_anywhere = of_unknown[AGENTS_METRIC] or 0.0
                if agents_anywhere:
                    verdict = self.verdict(
                        verdict.key,
                        "no_data",
                        "It is not known which queues agents serve who are signed in "
                        f"({agents_anywhere:.0f}).",
                    )
            yield RuleVerdict(rule, verdict)

    def evaluate_group(self, rule: AlertRule, key: str, name: str, values: ValuesByMetric) -> Verdict:
        waiting, agents, signed_in = (values[metric] for metric in self.read_metrics(rule))
        group = group_noun(rule.by, name)
        figures = VerdictFigures(value=agents, waiting=round(waiting or 0), signed_in=round(signed_in or 0))
        if waiting is None or agents is None:
            missing = "contacts" if waiting is None else "agents"
            return self.verdict(
                key, "no_data", f"No source sends the states of {missing} in {group}: {_SEE}.", figures
            )
        if waiting and not agents:
            return self.verdict(key, "fires", self.firing_reason(rule, name, figures), figures)
        wait = f"{_contacts(waiting)} in {group}" if waiting else f"Nobody waits in {group}"
        state = "available" if rule.metric.name != AGENTS_METRIC else "signed in"
        return self.verdict(key, "holds", f"{wait}; agents {state}: {agents:,.0f}.", figures)

    def firing_reason(self, rule: AlertRule, name: str, figures: VerdictFigures) -> str:
        waiting = f"{_contacts(figures.waiting or 0)} in {group_noun(rule.by, name)}"
        if not figures.signed_in:
            return f"{waiting}, and nobody is signed in."
        return f"{waiting}, and none of the {figures.signed_in} agents signed in is available."

    def needed_change(self, rule: AlertRule, verdict: Verdict) -> str:
        state = "signed in" if rule.metric.name == AGENTS_METRIC else "available"
        if verdict.state == "fires":
            return f"It is over once somebody is {state}, or nobody waits any more."
        return f"It fires while contacts wait and nobody is {state}."

    def subject_phrase(self, metric: Metric, by: str, name: str) -> str:
        return f"contacts in {group_noun(by, name)}"

    def firing_title(self, metric: Metric, phrase: str) -> str:
        state = "signed in" if metric.name == AGENTS_METRIC else "available"
        return f"{_capitalized(phrase)} wait, and nobody is {state}"

    def symptom(self, better: str, figures: VerdictFigures) -> AlertSymptom:
        return "unserved"


def _contacts(count: float) -> str:
    return f"{count:,.0f} contact waits" if count == 1 else f"{count:,.0f} contacts wait"


def _capitalized(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
