"""Rules on what is going on now: limits, contacts that wait for nobody, and what is said of them."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.evaluation import NotifiedAlerts, RuleVerdict
from streamer.alerts.messages.composer import MessageComposer
from streamer.alerts.reports.backtest import Backtester, backtest_moments
from streamer.alerts.reports.explanation import explain_rule
from streamer.alerts.reports.text_output import backtest_as_text, explanation_as_text
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert, AlertNotice, advance_alerts
from streamer.events.counting_rules import HOUR, MINUTE, SECOND
from streamer.events.models import AGENT_STATES
from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings, SettingsError
from tests.readings.live_center import agent, contact, live_deltas
from tests.readings.small_center import NOW, SmallCenter

LONG_WAIT = {"kind": "limit", "metric": "longest_wait_seconds", "target": 120, "for": "30s"}
OFFLINE = AGENT_STATES.index("offline")
SEE = "see the pages of `streamer sources`"
UNATTENDED = {"kind": "unattended", "metric": "agents_available", "for": "1m"}


def only(**rules: Mapping[str, Any]) -> Settings:
    """Return settings with these rules, and none of the default ones but `silence`."""
    off = {rule.name: {"enabled": False} for rule in load_alert_rules(Settings()) if rule.name != "silence"}
    names = {"queue": {"billing": "Billing"}}
    return Settings.model_validate({"alerts": off | rules, "names": names, "delivery": {"url": "http://x"}})


async def evaluator(
    settings: Settings,
    contacts: Iterable[LiveContact] = (),
    agents: Iterable[LiveAgent] = (),
    gone: Iterable[LiveContact | LiveAgent] = (),
) -> RuleEvaluator:
    center = SmallCenter()
    await center.add({}, more=live_deltas(contacts, agents, gone))
    await center.beat(NOW)
    reader = MetricsReader(center.store, settings)
    await reader.refresh(NOW)
    return RuleEvaluator(reader, settings, load_alert_rules(settings))


def verdicts(evaluator: RuleEvaluator, notified: NotifiedAlerts | None = None) -> dict[str, RuleVerdict]:
    """Return the verdicts of all rules but `silence`, by key."""
    return {
        found.verdict.key: found
        for found in evaluator.evaluate_rules(NOW, notified=notified or {})
        if found.rule.name != "silence"
    }


# Limits.


@pytest.mark.parametrize(
    ("sentence", "rule", "state", "reason"),
    [
        (
            "a wait of two minutes is within them",
            LONG_WAIT, "holds", "Longest wait in Billing is 2:00 min now; its limit is 2:00 min.",
        ),
        (
            "beyond the limit it fires",
            LONG_WAIT | {"target": 119}, "fires",
            "Longest wait in Billing is 2:00 min now, over its limit of 1:59 min.",
        ),
        (
            "a count is over its limit",
            {"kind": "limit", "metric": "waiting", "target": 1}, "fires",
            "The number of contacts waiting in Billing is 2 now, over its limit of 1.",
        ),
        (
            "of agents more are better",
            {"kind": "limit", "metric": "agents_available", "target": 2}, "fires",
            "The number of agents available in Billing is 1 now, below its limit of 2.",
        ),
        (
            "enough agents are within the limit",
            {"kind": "limit", "metric": "agents_available", "target": 1}, "holds",
            "The number of agents available in Billing is 1 now; its limit is 1.",
        ),
    ],
)  # fmt: skip
async def test_a_figure_of_now_is_held_against_its_limit(
    sentence: str, rule: Mapping[str, Any], state: str, reason: str
) -> None:
    contacts = [contact(age_s=120), contact(age_s=5)]
    found = verdicts(await evaluator(only(mine=rule), contacts, [agent("ann")]))["billing"].verdict
    assert (found.state, found.reason) == (state, reason), sentence


async def test_a_limit_may_be_that_of_the_targets_and_another_in_each_queue() -> None:
    rule = {"kind": "limit", "metric": "waiting"}
    settings = only(mine=rule)
    targets = {"waiting": 5, "queues": {"sales": {"waiting": 0}}}
    settings = Settings.model_validate(settings.model_dump(exclude_unset=True) | {"targets": targets})
    contacts = [contact(), contact(queue="sales")]
    found = verdicts(await evaluator(settings, contacts))
    assert {key: one.verdict.state for key, one in found.items()} == {"billing": "holds", "sales": "fires"}


async def test_a_rule_may_be_of_the_whole_center_or_of_one_queue() -> None:
    contacts = [contact(age_s=10), contact(age_s=200, queue="sales")]
    (key,) = verdicts(await evaluator(only(mine=LONG_WAIT | {"by": "all"}), contacts))
    assert key == ""
    found = verdicts(await evaluator(only(mine=LONG_WAIT | {"key": "billing"}), contacts))
    assert {key: one.verdict.state for key, one in found.items()} == {"billing": "holds"}


# Nobody there.


def serving(state: str, queue: str = "billing") -> LiveAgent:
    return agent(f"{state} {queue}", state, queues=(queue,) if queue else ())


@pytest.mark.parametrize(
    ("sentence", "waiting", "agents", "state", "reason"),
    [
        (
            "nobody is available", 2, [serving("busy"), serving("away")], "fires",
            "2 contacts wait in Billing, and none of the 2 agents signed in is available.",
        ),
        (
            "nobody is signed in any more", 1, [serving("available", "sales"), serving("offline")], "fires",
            "1 contact waits in Billing, and nobody is signed in.",
        ),
        (
            "of the agents of this queue no source tells", 1, [serving("available", "sales")], "no_data",
            f"No source sends the states of agents in Billing: {SEE}.",
        ),
        (
            "somebody is available", 2, [serving("busy"), serving("available")], "holds",
            "2 contacts wait in Billing; agents available: 1.",
        ),
        (
            "nobody waits", 0, [serving("busy")], "holds", "Nobody waits in Billing; agents available: 0.",
        ),
        (
            "which queues agents serve is unknown", 2, [serving("available", "")], "no_data",
            "It is not known which queues agents serve who are signed in (1).",
        ),
    ],
)  # fmt: skip
async def test_contacts_that_wait_for_nobody_are_told_of(
    sentence: str, waiting: int, agents: list[LiveAgent], state: str, reason: str
) -> None:
    contacts = [contact() for _ in range(waiting)] + [contact("connected")]
    signed_in = [one for one in agents if one.state != OFFLINE]
    found = verdicts(await evaluator(only(mine=UNATTENDED), contacts, signed_in, agents))["billing"].verdict
    assert (found.state, found.reason) == (state, reason), sentence


async def test_nobody_signed_in_is_another_rule() -> None:
    rule = UNATTENDED | {"metric": "agents_signed_in"}
    states = [
        verdicts(await evaluator(only(mine=rule), [contact()], agents, [serving("busy")]))["billing"].verdict
        for agents in ([serving("busy")], [serving("available", "sales")])
    ]
    assert [verdict.state for verdict in states] == ["holds", "fires"]


# Nothing is known.


async def test_without_states_every_default_rule_of_now_is_silent_and_says_why() -> None:
    found = {
        one.rule.name: (one.verdict.key, one.verdict.state, one.verdict.reason)
        for one in (await evaluator(Settings())).evaluate_rules(NOW)
        if one.rule.kind in ("limit", "unattended")
    }
    assert found == {
        "long-wait": ("", "no_data", f"No source sends the states of contacts: {SEE}."),
        "nobody-available": ("", "no_data", f"No source sends the states of contacts and agents: {SEE}."),
    }


async def test_the_states_of_agents_alone_tell_nothing_of_waits() -> None:
    found = verdicts(await evaluator(only(mine=LONG_WAIT), agents=[agent("ann")]))
    assert {one.verdict.state for one in found.values()} == {"no_data"}


async def test_the_past_is_not_stored_so_neither_an_explanation_nor_a_backtest_judges_it() -> None:
    watch = await evaluator(only(mine=LONG_WAIT), [contact(age_s=200)])
    rule = next(rule for rule in watch.rules if rule.name == "mine")
    (past,) = explain_rule(watch, rule, None, NOW, NOW - HOUR)
    assert (past.state, past.reason) == ("no_data", "What was going on at a past moment is not stored.")
    moments = backtest_moments(NOW - HOUR, NOW, NOW)
    result = Backtester(watch, [rule], NOW).run(moments)
    assert "cannot be tested: what was going on at a past moment is not stored" in backtest_as_text(
        result, "UTC"
    )


# What is said.


async def test_an_explanation_promises_no_rate_of_false_alarms() -> None:
    watch = await evaluator(only(mine=LONG_WAIT), [contact(age_s=161)])
    rule = next(rule for rule in watch.rules if rule.name == "mine")
    (report,) = explain_rule(watch, rule, "billing", NOW)
    text = explanation_as_text(report)
    assert "Longest wait in Billing is 2:41 min now, over its limit of 2:00 min." in text
    assert "It is over at 2:00 min or less." in text
    assert "none to promise: what is going on now is counted, so no chance is involved" in text


async def told(rule: Mapping[str, Any], contacts: list[LiveContact], agents: list[LiveAgent]) -> AlertMessage:
    """Return the message of the rule's alert once it is due."""
    settings = only(mine=rule)
    watch = await evaluator(settings, contacts, agents)
    found = verdicts(watch)["billing"]
    alerts: dict[tuple[str, str], Alert] = {}
    notices: list[AlertNotice] = []
    for at_ms in range(NOW, NOW + 2 * MINUTE, 10 * SECOND):
        alerts, due = advance_alerts(alerts, watch.rules, [(found.rule, found.verdict, None)], at_ms)
        notices += due
    (notice,) = notices
    reader = watch.data._reader
    (message,) = await MessageComposer(reader, settings, watch.rules).compose(
        [notice], {}, notice.alert.seen_at
    )
    return message


async def test_a_message_says_what_is_so_since_when_and_leads_to_it() -> None:
    message = await told(LONG_WAIT, [contact(age_s=161)], [])
    assert message.title == "Longest wait in Billing is over its limit"
    assert message.text == (
        "Longest wait in Billing is 2:41 min now, over its limit of 2:00 min. It has been so since 10:00."
    )
    assert message.links["contacts"] == "http://x/supervisor?by=now&queue=billing"
    assert (message.at, message.window, message.contributors) == (NOW + 30 * SECOND, "now", ())
    message = await told(UNATTENDED, [contact()], [serving("busy")])
    assert message.title == "Contacts in Billing wait, and nobody is available"
    assert (message.figures.waiting, message.figures.signed_in) == (1, 1)


async def test_an_alert_is_over_in_a_queue_that_nothing_goes_on_in_any_more() -> None:
    settings = only(mine=LONG_WAIT)
    fired = verdicts(await evaluator(settings, [contact(age_s=161)]))["billing"].verdict
    alert = Alert(
        rule="mine",
        key="billing",
        phase="firing",
        began_at=NOW - MINUTE,
        seen_at=NOW,
        fired_at=NOW,
        fired=fired,
    )
    watch = await evaluator(settings, [contact(queue="sales")], gone=[contact()])
    found = verdicts(watch, {("mine", "billing"): alert})["billing"].verdict
    assert (found.state, found.figures.value) == ("holds", 0)


# Settings.


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (
            {"kind": "limit", "metric": "nps_score", "target": 3},
            "alerts.mine.metric = 'nps_score': a limit that is exceeded can be detected in waiting, longest",
        ),
        (LONG_WAIT | {"window": "1h"}, "alerts.mine.window = '1h': expected now, or nothing"),
        (LONG_WAIT | {"false_alarms": 2}, "alerts.mine.false_alarms: expected nothing, since a rule of kind"),
        (LONG_WAIT | {"target": -1}, "alerts.mine.target = -1: expected 0 or more, or the rule would always"),
        (
            {"kind": "limit", "metric": "agents_available", "target": 0},
            "alerts.mine.target = 0: expected more than 0, or the rule would never fire",
        ),
        ({"kind": "limit", "metric": "waiting"}, "alerts.mine.target: required, since targets.waiting has"),
        (UNATTENDED | {"by": "team"}, "alerts.mine.by = 'team': contacts wait in queues, expected all or"),
        (UNATTENDED | {"metric": "waiting"}, "can be detected in agents_available, agents_signed_in"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_work_stops_the_start(rule: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_alert_rules(only(mine=rule))
    assert complaint in str(raised.value)
