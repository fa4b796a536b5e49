"""A rule that cannot work stops the start with one line that says what to change."""

import pytest

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.opening_hours import HoursError, OpeningHours, parse_hours
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.settings import AlertSettings, Settings, SettingsError

SATURDAY = 1_795_212_000_000  # 2026-11-20T22:00:00Z, 23:00 in Madrid, a Friday
FRIDAY = SATURDAY - 24 * HOUR


def named(name: str, settings: Settings) -> AlertRule:
    return next(rule for rule in load_alert_rules(settings) if rule.name == name)


def one(**given: object) -> Settings:
    return Settings(alerts={"one": given})  # type: ignore[arg-type, dict-item]


def test_a_center_that_sets_nothing_watches_targets_drops_silence_and_what_waits() -> None:
    found = load_alert_rules(Settings())
    assert {rule.kind for rule in found} == {"threshold", "drop", "no_data", "limit", "unattended"}
    assert {"nps-target", "nps-drop", "handle-time-drop", "silence"} <= {rule.name for rule in found}
    chancy = [rule for rule in found if rule.kind not in ("limit", "unattended")]
    assert all(rule.shared for rule in chancy if rule.by == "queue")


def test_a_usual_target_that_nobody_set_is_not_watched() -> None:
    assert "handle-time-target" not in {rule.name for rule in load_alert_rules(Settings())}
    settings = Settings(targets={"handle_time_seconds": 300})  # type: ignore[arg-type]
    assert named("handle-time-target", settings).target("billing") == 300


def test_a_usual_rule_is_changed_where_it_is_named_and_otherwise_stays() -> None:
    rule = named("nps-drop", Settings(alerts={"nps-drop": {"for": "1m"}}))  # type: ignore[dict-item]
    assert (rule.for_ms, rule.shared, rule.metric.name) == (MINUTE, True, "nps_score")
    off = Settings(alerts={"nps-drop": AlertSettings(enabled=False)})
    assert "nps-drop" not in {rule.name for rule in load_alert_rules(off)}


@pytest.mark.parametrize(
    ("tell", "told"),
    [(None, ("floor", "duty")), (["duty"], ("duty",)), ([], ())],
    ids=["all", "some", "none"],
)
def test_a_rule_tells_whom_it_names_or_all(tell: list[str] | None, told: tuple[str, ...]) -> None:
    receivers = {name: {"url": "https://chat.example/"} for name in ("floor", "duty")}
    given = {} if tell is None else {"nps-drop": {"receivers": tell}}
    assert named("nps-drop", Settings(receivers=receivers, alerts=given)).tell == told  # type: ignore[arg-type]


def test_a_queues_own_target_is_its_target() -> None:
    settings = Settings(targets={"nps_score": 40, "queues": {"billing": {"nps_score": 10}}})  # type: ignore[arg-type]
    rule = named("nps-target", settings)
    assert (rule.target("billing"), rule.target("sales")) == (10, 40)


def test_a_shared_budget_is_divided_and_another_is_not() -> None:
    assert named("one", one(kind="drop", metric="nps_score")).observations_per_alarm(6_000, 200) == 6_000
    shared = named("one", one(kind="drop", metric="nps_score", shared=True, false_alarms=2))
    assert shared.observations_per_alarm(6_000, 200) == 600_000


TARGET = {"kind": "threshold", "metric": "csat_ratio"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"metric": "nps_score"}, "alerts.one.kind: expected one of threshold, drop, no_data"),
        ({"kind": "drop", "metric": "nps"}, "alerts.one.metric = 'nps': did you mean nps_score?"),
        (
            {"kind": "drop", "metric": "qa_score"},
            "alerts.one.metric = 'qa_score': a drop can be detected in nps_",
        ),
        (
            {"kind": "drop", "metric": "fcr_ratio"},
            "alerts.one.metric = 'fcr_ratio': a drop can be detected in",
        ),
        ({"kind": "drop", "metric": "response_ratio"}, "alerts.one.metric = 'response_ratio': a drop can be"),
        (
            {"kind": "no_data", "metric": "nps_score"},
            "alerts.one.metric = 'nps_score': missing data can be detected in",
        ),
        (
            {"kind": "threshold", "metric": "contacts"},
            "alerts.one.metric = 'contacts': a target needs a metric",
        ),
        (
            {"kind": "threshold", "metric": "handle_time_seconds"},
            "alerts.one.target: required, since targets.",
        ),
        (TARGET | {"target": 1.2}, "alerts.one.target = 1.2: csat_ratio lies between 0 and 1"),
        (TARGET | {"target": 0}, "alerts.one.target = 0: no csat_ratio is worse, so the rule"),
        (
            {"kind": "threshold", "metric": "abandon_ratio", "target": 1},
            "alerts.one.target = 1: no abandon_ratio is worse",
        ),
        (
            TARGET | {"min_sample": 3},
            "alerts.one.target = 0.8: the rule would never fire; set min_sample",
        ),
        (TARGET | {"window": "2h"}, "alerts.one.window = '2h': expected one of 5m, 15m"),
        (
            {"kind": "threshold", "metric": "fcr_ratio"},
            "alerts.one.window = 'today': fcr_ratio is read over 7d",
        ),
        (
            TARGET | {"receivers": ["floor"]},
            "alerts.one.receivers = 'floor': expected some of the names in [re",
        ),
        (TARGET | {"by": "floor"}, "alerts.one.by = 'floor': expected one of all, site, queue"),
        (
            {"kind": "drop", "metric": "abandon_ratio", "by": "agent"},
            "alerts.one.by = 'agent': abandon_ratio is not available by that",
        ),
        (TARGET | {"by": "all", "key": "x"}, "alerts.one.key = 'x': there are no keys by all"),
        (TARGET | {"by": "queue,channel", "key": "x"}, "alerts.one.key = 'x': expected a value for each of"),
        (TARGET | {"hours": {"mon": "9-17"}}, "alerts.one.hours: mon = '9-17': expected hours such as 08:00"),
    ],
)
def test_a_rule_that_cannot_work_says_why(given: dict[str, object], line: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_alert_rules(one(**given))
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "given", [TARGET | {"min_sample": 4}, TARGET | {"target": 1}, TARGET | {"by": "all"}]
)
def test_a_rule_that_can_just_work_is_taken(given: dict[str, object]) -> None:
    assert named("one", one(**given)).kind == "threshold"


# Hours of operation.


@pytest.mark.parametrize(
    ("at", "zone", "is_open"),
    [
        (SATURDAY, "UTC", False),
        (FRIDAY - 3 * HOUR, "UTC", True),
        (FRIDAY - 2 * HOUR, "UTC", False),
        (FRIDAY - 2 * HOUR - 1, "UTC", True),
        (FRIDAY - 3 * HOUR, "Europe/Madrid", False),
    ],
)
def test_hours_are_those_of_the_queues_clock(at: int, zone: str, is_open: bool) -> None:
    assert parse_hours({"mon-fri": "08:00-20:00"}).is_open(at, zone) is is_open


def test_hours_past_midnight_belong_to_the_day_they_began() -> None:
    found = parse_hours({"fri": "20:00-02:00"})
    assert found.is_open(SATURDAY, "UTC")
    assert found.is_open(SATURDAY + 4 * HOUR - 1, "UTC")
    assert not found.is_open(SATURDAY + 4 * HOUR, "UTC")
    assert not found.is_open(FRIDAY, "UTC")


def test_without_hours_it_is_always_open() -> None:
    assert parse_hours({}) == OpeningHours()
    assert all(OpeningHours().is_open(FRIDAY + number * HOUR, "UTC") for number in range(7 * 24))


@pytest.mark.parametrize(
    "given",
    [
        {"monday": "08:00-20:00"},
        {"mon": "08:00-08:00"},
        {"mon": "24:00-01:00"},
        {"mon": "08:00-24:30"},
        {"": "08:00-20:00"},
        {"mon-fri": "08:00-20:00", "wed": "09:00-10:00"},
    ],
)
def test_hours_that_cannot_be_read_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(HoursError):
        parse_hours(given)
