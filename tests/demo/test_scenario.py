"""Options of the command line, the length of the history that they give, and the rules of the demo."""

import json
from itertools import takewhile

import pytest

from streamer.alerts.alert_rules import DEFAULT_RULES, load_alert_rules
from streamer.demo import scenario
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


def test_the_past_is_as_long_as_asked_for_and_not_much_larger() -> None:
    play = DemoScenario(2, 3, HistoryPlan(28, 2_000))
    told = scenario.scenario_messages(SimulatedCenter(CenterPlan(3, START, 2)), play)
    past = [*takewhile(lambda message: message.at_ms < START, told)]
    assert 27 * DAY < START - past[0].at_ms <= 28 * DAY
    calls = {message.value for message in past if message.topic == "call-completed"}
    assert 1_200 < len(calls) < 2_700
    hour = [message for message in past if START - message.at_ms < 0.1 * HOUR]
    assert len(hour) > 10 * len([one for one in past if 0.4 * HOUR < START - one.at_ms < 0.5 * HOUR])


@pytest.mark.parametrize("past", [HistoryPlan(0, 1_000), HistoryPlan(28, 0)])
def test_without_a_past_it_begins_now(past: HistoryPlan) -> None:
    told = scenario.scenario_messages(SimulatedCenter(CenterPlan(3, START, 2)), DemoScenario(2, 3, past))
    assert next(told).at_ms >= START


def test_the_demo_changes_usual_rules_only_and_all_of_them_work() -> None:
    assert DEMO_RULES.keys() < DEFAULT_RULES.keys()
    assert DEFAULT_RULES.keys() - DEMO_RULES.keys() == {"nobody-available"}
    ours = {name: rule for name, rule in DEMO_RULES.items() if name != "handle-time-target"}
    assert load_alert_rules(Settings.model_validate({"alerts": ours}))


def test_what_somebody_set_holds_in_the_demo_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = '{"silence": {"keep_firing_for": "7m"}, "nps-drop": {"enabled": false}}'
    monkeypatch.setenv("STREAMER_ALERTS", rules)
    found = json.loads(_environment(DemoAddresses("k", "redis://r", "http://h:1"))["STREAMER_ALERTS"])
    assert found["silence"] == {"keep_firing_for": 420.0}
    assert found["nps-drop"] == {"enabled": False}
    assert found["csat-drop"] == DEMO_RULES["csat-drop"]
