"""Options of the command line, the length of the history that they give, and the rules of the demo."""

import json
from collections.abc import Iterable, Iterator
from itertools import takewhile

import pytest

from streamer.alerts.alert_rules import DEFAULT_RULES, load_alert_rules
from streamer.demo import roster, scenario
from streamer.demo.event_encoding import SimulatedMessage
from streamer.demo.run import DEMO_RULES, DemoAddresses, _environment
from streamer.demo.scenario import DemoScenario, HistoryPlan
from streamer.demo.simulator import CenterPlan, Incident, SimulatedCenter
from streamer.events.counting_rules import DAY, HOUR
from streamer.settings import Settings, SettingsError

START = 1_790_000_000_000
GIVEN = {"queue": "billing", "after": "1m", "lasts": "5m", "every": "20m"}


def test_what_is_asked_for_is_played() -> None:
    made = scenario.parse_scenario(4, 7, "14d", 500, queue="sales", after="90s", lasts="2m", every="1h")
    assert made == DemoScenario(4, 7, HistoryPlan(14, 500), Incident("sales", 90, 120, 3600))


@pytest.mark.parametrize(
    ("history", "more", "said"),
    [
        ("soon", {}, "--history = 'soon': expected a duration such as 90s, 20m or 28d"),
        ("1d", {"queue": "nobody"}, "--incident-queue = 'nobody': expected one of billing, support"),
        ("1d", {"lasts": "21m"}, "--incident-every = '20m': expected no less than --incident-lasts"),
    ],
)
def test_what_cannot_be_played_is_said(history: str, more: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        scenario.parse_scenario(1, 1, history, 100, **GIVEN | more)


def test_no_center_has_no_contacts() -> None:
    with pytest.raises(SettingsError, match="--rate = 0: expected contacts per second"):
        scenario.parse_scenario(0, 1, "1d", 100, **GIVEN)


def calls_of(messages: Iterable[SimulatedMessage]) -> Iterator[int]:
    """When each contact was told to have ended."""
    return (message.at_ms for message in messages if message.topic == "call-completed")


def test_the_past_is_as_long_as_asked_for_and_not_much_larger() -> None:
    play, plan = DemoScenario(0.2, 3, HistoryPlan(28, 1_000)), CenterPlan(3, START, 0.2, states_s=60)
    center = SimulatedCenter(plan)
    last = [*takewhile(lambda message: message.at_ms < START, scenario.scenario_messages(center, play))]
    older = [*scenario.older_messages(plan, center, play)]
    assert 27 * DAY < START - min(message.at_ms for message in older) <= 28 * DAY
    assert 600 < len([*calls_of([*last, *older])]) < 1_350
    assert not {"agent-state", "contact-state"} & {message.topic for message in older}


def test_the_same_hours_a_week_before_are_as_full_as_the_present_and_come_first() -> None:
    play, plan = DemoScenario(2, 3, HistoryPlan(28, 4_000)), CenterPlan(3, START, 2)
    center, span_ms, week_ago = SimulatedCenter(plan), round(0.1 * HOUR), START - 7 * DAY
    now = [at_ms for at_ms in calls_of(center.history(0.3)) if at_ms >= START - span_ms]
    older = calls_of(scenario.older_messages(plan, center, play))
    last_week = [*takewhile(lambda at_ms: at_ms < week_ago + span_ms, older)]
    beside = [at_ms for at_ms in last_week if at_ms >= week_ago]
    assert 0.7 < len(now) / len(beside) < 1.4


@pytest.mark.parametrize("past", [HistoryPlan(0, 1_000), HistoryPlan(28, 0)])
def test_without_a_past_it_begins_now(past: HistoryPlan) -> None:
    plan, play = CenterPlan(3, START, 2), DemoScenario(2, 3, past)
    center = SimulatedCenter(plan)
    assert next(scenario.scenario_messages(center, play)).at_ms >= START
    assert not [*scenario.older_messages(plan, center, play)]


def test_the_demo_changes_usual_rules_only_and_all_of_them_work() -> None:
    assert DEMO_RULES.keys() < DEFAULT_RULES.keys()
    assert DEFAULT_RULES.keys() - DEMO_RULES.keys() == {"nobody-available"}
    ours = {name: rule for name, rule in DEMO_RULES.items() if name != "handle-time-target"}
    assert load_alert_rules(Settings.model_validate({"alerts": ours}))


def test_what_somebody_set_holds_in_the_demo_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = '{"silence": {"keep_firing_for": "7m"}, "nps-drop": {"enabled": false}}'
    monkeypatch.setenv("STREAMER_ALERTS", rules)
    monkeypatch.setenv("STREAMER_NAMES", '{"queue": {"billing": "Bills"}}')
    names = roster.center_names(roster.staff(1, 2.0))
    env = _environment(DemoAddresses("k", "redis://r", "http://h:1"), names)
    assert json.loads(env["STREAMER_NAMES"]) == {**names, "queue": {"billing": "Bills"}}
    assert len(set(names["agent"].values())) == len(names["agent"])
    found = json.loads(env["STREAMER_ALERTS"])
    assert found["silence"] == {"keep_firing_for": 420.0}
    assert found["nps-drop"] == {"enabled": False}
    assert found["csat-drop"] == DEMO_RULES["csat-drop"]
