"""Commands `streamer alerts`: list the alerts, explain a rule, backtest rules."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import Progress

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.formatting import clock
from streamer.alerts.reports import text_output
from streamer.alerts.reports.backtest import Backtester, BacktestResult, backtest_moments
from streamer.alerts.reports.explanation import Explanation, explain_rule
from streamer.alerts.reports.text_output import AlertListing, AlertStatus
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.delivery.alert_state import EMPTY_STATE, AlertState, decode_state
from streamer.delivery.alert_status import describe_alerts
from streamer.delivery.command_reader import open_reader
from streamer.events.counting_rules import DAY, HOUR
from streamer.panes.pane_keys import ALL
from streamer.readings.query import QueryError
from streamer.readings.query_times import parse_query_time_ms
from streamer.readings.reader import MetricsReader
from streamer.runtime.choices import expected_choice
from streamer.runtime.terminal import visible_text
from streamer.settings import Settings
from streamer.store.layout import ALERTS_NAME
from streamer.store.redis import RedisDocument

MAX_EXPLAINED: Final = 3
"""Number of groups of a rule that are explained in full if no key was given."""
_DEFAULT_SPAN_MS: Final = 7 * DAY


class CommandContext(NamedTuple):
    """Settings, data and alert state that a command works on, as of `now_ms`."""

    settings: Settings
    reader: MetricsReader
    evaluator: RuleEvaluator
    state: AlertState
    now_ms: int

    def find_rule(self, name: str) -> AlertRule:
        """Return the rule of that name. Raises QueryError with similar names if there is none."""
        rules_by_name = {rule.name: rule for rule in self.evaluator.rules}
        if name not in rules_by_name:
            raise QueryError(f"{name}: no such rule, {expected_choice(name, rules_by_name)}")
        return rules_by_name[name]

    def parse_moment(self, option: str, text: str) -> int:
        """Return the time (ms) given for an option. Raises QueryError if no data is kept of it."""
        at_ms = parse_query_time_ms(option, text)
        earliest_ms = self.earliest_ms()
        if at_ms > self.now_ms:
            raise QueryError(f"{option} = {text!r}: expected a time in the past")
        if at_ms < earliest_ms:
            earliest_text = clock(earliest_ms, 0, self.settings.timezone)
            raise QueryError(f"{option} = {text!r}: no data from before {earliest_text} is kept")
        return at_ms

    def earliest_ms(self) -> int:
        """Return the start of the first hour that is kept (ms). Raises QueryError if there is none."""
        hours = self.reader.kept_panes(ALL, "long", 0, self.now_ms // HOUR + 1).panes
        if not hours:
            raise QueryError("no data was counted yet")
        return min(hours) * HOUR

    def alert_statuses(self) -> dict[tuple[str, str], AlertStatus]:
        return describe_alerts(self.state, self.evaluator.rules, self.now_ms, self.settings.timezone)


@asynccontextmanager
async def _open_context(settings: Settings, now_ms: int) -> AsyncIterator[CommandContext]:
    alert_rules = load_alert_rules(settings)
    async with open_reader(settings, now_ms) as (store, reader, store_now_ms):
        document = await RedisDocument(store, ALERTS_NAME).read()
        state = EMPTY_STATE if document is None else decode_state(document.value)
        evaluator = RuleEvaluator(reader, settings, alert_rules)
        yield CommandContext(settings, reader, evaluator, state, store_now_ms)


async def run_list(settings: Settings, now_ms: int, at: str | None, as_json: bool) -> str:
    """Return the output of `streamer alerts list`."""
    async with _open_context(settings, now_ms) as context:
        return format_list(context, at, as_json)


def format_list(context: CommandContext, at: str | None, as_json: bool) -> str:
    """List the current alerts (none for a moment in the past) and the verdicts of every rule."""
    moment_ms = None if at is None else context.parse_moment("at", at)
    listing = AlertListing(
        {} if moment_ms is not None else context.alert_statuses(),
        context.evaluator.evaluate_rules(context.now_ms, moment_ms),
        context.now_ms if moment_ms is None else moment_ms,
        context.settings.timezone,
    )
    if as_json:
        return text_output.list_as_json(listing).decode()
    return visible_text(text_output.list_as_text(listing))  # names of people come from Alertmanager too


async def run_explain(
    settings: Settings, now_ms: int, name: str, key: str | None, at: str | None, as_json: bool
) -> str:
    async with _open_context(settings, now_ms) as context:
        return format_explanation(context, name, key, at, as_json)


def format_explanation(
    context: CommandContext, name: str, key: str | None, at: str | None, as_json: bool
) -> str:
    rule = context.find_rule(name)
    moment_ms = None if at is None else context.parse_moment("at", at)
    explanations = explain_rule(context.evaluator, rule, key, context.now_ms, moment_ms)
    if not explanations and key is not None:
        _require_known_key(rule, key, explain_rule(context.evaluator, rule, None, context.now_ms, moment_ms))
    if as_json:
        return msgspec.json.encode(explanations).decode()
    return _format_explanations(context, explanations) if explanations else "No data for this rule yet."


def _require_known_key(rule: AlertRule, key: str, others: Sequence[Explanation]) -> None:
    """Raise QueryError: the rule has no group of that key."""
    if rule.by == ALL:
        raise QueryError(f"key = {key!r}: {rule.name} covers the whole center and has no keys")
    raise QueryError(
        f"key = {key!r}: no such {rule.by}, {expected_choice(key, [other.key for other in others])}"
    )


def _format_explanations(context: CommandContext, explanations: Sequence[Explanation]) -> str:
    """Explain the worst groups in full, and name the others with a line each."""
    worst = sorted(
        explanations,
        key=lambda item: (text_output.STATES_WORST_FIRST.index(item.state), -_evidence_ratio(item), item.key),
    )
    statuses = context.alert_statuses()
    sections = [
        text_output.explanation_as_text(item, statuses.get((item.rule, item.key)))
        for item in worst[:MAX_EXPLAINED]
    ]
    others = [
        f"{item.state:<11} {text_output.rule_label(item.rule, item.key)}: {item.reason}"
        for item in worst[MAX_EXPLAINED:]
    ]
    if others:
        sections.append("\n".join(["Others (--key explains one):", *others]))
    return "\n\n".join(sections)


def _evidence_ratio(item: Explanation) -> float:
    evidence, threshold = item.figures.evidence, item.figures.line
    return evidence / threshold if evidence is not None and threshold else 0.0


async def run_backtest(
    settings: Settings, now_ms: int, since: str | None, until: str | None, names: Sequence[str], as_json: bool
) -> str:
    """Return the output of `streamer alerts test`. Shows progress on standard error if that is a terminal."""
    async with _open_context(settings, now_ms) as context:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            backtest = backtest_rules(context, since, until, names, progress)
    return (
        msgspec.json.encode(backtest).decode()
        if as_json
        else text_output.backtest_as_text(backtest, settings.timezone)
    )


def backtest_rules(
    context: CommandContext, since: str | None, until: str | None, names: Sequence[str], progress: Progress
) -> BacktestResult:
    chosen_rules = [context.find_rule(name) for name in dict.fromkeys(names)] or context.evaluator.rules
    last_ms = context.now_ms if until is None else context.parse_moment("to", until)
    first_ms = (
        max(last_ms - _DEFAULT_SPAN_MS, context.earliest_ms())
        if since is None
        else context.parse_moment("from", since)
    )
    moments_ms = backtest_moments(first_ms, last_ms, context.now_ms)
    if not moments_ms:
        raise QueryError("from, to: expected an hour or more between them")
    task = progress.add_task("backtesting", total=len(moments_ms))
    backtester = Backtester(context.evaluator, chosen_rules, context.now_ms)
    return backtester.run(moments_ms, lambda completed: progress.update(task, completed=completed))
