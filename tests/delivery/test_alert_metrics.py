"""Prometheus metrics of alerts. Names are literals: dashboards and rules of others depend on them."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.states import Alert, Phase
from streamer.delivery import alert_coordinator
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_metrics import AlertMetricsSnapshot, metric_families, take_metrics_snapshot
from streamer.delivery.alert_state import EMPTY_STATE, AlertState, add_silence, apply_evaluation
from streamer.readings.prometheus import ExportSnapshot, render_exposition
from streamer.settings import DeliverySettings, ReceiverSettings, Settings
from streamer.store.memory_documents import MemoryDocument
from tests.delivery.alert_samples import NOW, alert, evaluation_round, message, silence

SEEN = AlertMetricsSnapshot(
    EMPTY_STATE, is_leader=True, sends_to_alertmanager=False, receivers=(), shows_agents=False
)
BILLING = {
    "alert": "nps-drop",
    "severity": "warning",
    "metric": "nps_score",
    "by": "queue",
    "queue": "billing",
}


def samples(known: AlertMetricsSnapshot) -> list[Sample]:
    text = render_exposition(ExportSnapshot({}, {}, None, leading=[*metric_families(known)])).decode()
    found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return [one for one in found if not one.name.startswith("cx_families") and "groupings" not in one.name]


def value(known: AlertMetricsSnapshot, name: str, **labels: str) -> float | None:
    found = [one.value for one in samples(known) if (one.name, one.labels) == (name, labels)]
    assert len(found) <= 1
    return found[0] if found else None


def firing(record: AlertState, agents: bool = False) -> list[Mapping[str, str]]:
    found = [one for one in samples(SEEN._replace(state=record, shows_agents=agents)) if "firing" in one.name]
    assert {(one.name, one.value) for one in found} <= {("cx_alert_firing", 1)}
    return [one.labels for one in found]


def told(*alerts: Alert, said: Sequence[AlertMessage] = (), to: Sequence[str] = ()) -> AlertState:
    return apply_evaluation(
        EMPTY_STATE, evaluation_round(*alerts, messages=said or [message(one) for one in alerts], to=to)
    )


@pytest.mark.parametrize(
    ("phase", "fires"), [("pending", False), ("firing", True), ("clearing", True), ("resolved", False)]
)
def test_an_alert_fires_from_when_somebody_is_told_until_it_is_over(phase: Phase, fires: bool) -> None:
    one = alert(phase=phase)
    record = told(one, said=[replace(message(one), id=f"{one.id}/firing", what="firing")])
    assert firing(record) == ([BILLING] if fires else [])


def test_a_silence_keeps_messages_back_and_the_alert_fires_all_the_same() -> None:
    assert firing(add_silence(told(alert()), silence())) == [BILLING]


def test_each_group_has_its_own_severity_and_labels() -> None:
    alerts = [alert(key) for key in ("", r"a\,b,chat", "late")]
    said = [message(one) for one in alerts]
    placed = [
        replace(said[0], by="all", severity="critical"),
        replace(said[1], by="queue,channel"),
        replace(said[2], by="team"),
    ]
    common = {"alert": "nps-drop", "severity": "warning", "metric": "nps_score"}
    assert firing(told(*alerts, said=placed)) == [
        common | {"severity": "critical", "by": "all"},
        common | {"by": "queue,channel", "queue": "a,b", "channel": "chat"},
        common | {"by": "team", "team": "late"},
    ]


@pytest.mark.parametrize("by", ["queue", "queue,channel"])
def test_silence_where_no_group_was_ever_heard_of_is_of_no_group(by: str) -> None:
    one = alert("")
    record = told(one, said=[replace(message(one), by=by)])
    assert firing(record) == [
        {"alert": "nps-drop", "severity": "warning", "metric": "nps_score", "by": by},
    ]


@pytest.mark.parametrize(("by", "key"), [("agent", "bob"), ("team,agent", "red,bob")])
def test_an_alert_of_an_agent_is_for_whom_may_see_agents(by: str, key: str) -> None:
    one = alert(key)
    record = told(one, alert(), said=[replace(message(one), by=by), message(alert())])
    assert firing(record) == [BILLING]
    assert value(SEEN._replace(state=record), "cx_alerts_withheld") == 1
    assert value(SEEN._replace(state=record, shows_agents=True), "cx_alerts_withheld") == 0
    (of_agent,) = (labels for labels in firing(record, agents=True) if labels != BILLING)
    assert of_agent["agent"] == "bob"


def test_a_server_says_whether_it_judges_and_whether_alertmanager_is_told() -> None:
    for judges, tells in ((True, False), (False, True)):
        known = SEEN._replace(is_leader=judges, sends_to_alertmanager=tells)
        assert value(known, "streamer_alerts_judging") == judges
        assert value(known, "streamer_tells_alertmanager") == tells


def test_who_does_not_know_the_record_says_only_that_it_does_not_judge() -> None:
    found = samples(SEEN._replace(state=None, is_leader=False))
    assert [(one.name, one.value) for one in found] == [("streamer_alerts_judging", 0)]


def test_what_waits_and_what_was_given_up_is_counted_by_receiver() -> None:
    record = replace(told(alert(), alert("sales"), to=["desk"]), given_up={"pager": 3, "former": 1})
    known = SEEN._replace(state=record, receivers=("desk", "pager"))
    counted = {
        (one.labels["receiver"], one.name.removeprefix("streamer_alert_messages_")): one.value
        for one in samples(known)
        if "messages" in one.name
    }
    assert counted == {
        ("desk", "waiting"): 2,
        ("pager", "waiting"): 0,
        ("former", "waiting"): 0,
        ("desk", "given_up_total"): 0,
        ("pager", "given_up_total"): 3,
        ("former", "given_up_total"): 1,
    }


# Values of an alert coordinator.


def idle_coordinator() -> AlertCoordinator:
    """Make a coordinator of which only the alert state is used."""

    async def nothing(*given: object) -> list[AlertMessage]:
        return []

    return AlertCoordinator(MemoryDocument(), None, None, nothing, lambda: NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("delivery", "tells"),
    [
        ({}, False),
        ({"alertmanager": "http://127.0.0.1:9093"}, True),
        ({"alertmanager": "http://127.0.0.1:9093", "alertmanager_via": "prometheus"}, False),
        ({"alertmanager_via": "api"}, False),
    ],
)
async def test_servers_tell_alertmanager_where_it_is_set_and_not_left_to_prometheus(
    delivery: dict[str, str], tells: bool
) -> None:
    settings = Settings(
        delivery=DeliverySettings.model_validate(delivery),
        receivers={"desk": ReceiverSettings.model_validate({"url": "http://127.0.0.1:9/"})},
    )
    bell = idle_coordinator()
    known = take_metrics_snapshot(bell, settings, shows_agents=True)
    assert (known.sends_to_alertmanager, known.receivers, known.shows_agents) == (tells, ("desk",), True)


async def test_a_record_is_known_once_it_was_read_and_as_long_as_that_was_not_long_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bell = idle_coordinator()
    before = take_metrics_snapshot(bell, Settings(), shows_agents=False)
    await bell.update(lambda record: told(alert()))
    after = take_metrics_snapshot(bell, Settings(), shows_agents=False)
    monkeypatch.setattr(alert_coordinator, "STATE_VALID_S", 0)
    later = take_metrics_snapshot(bell, Settings(), shows_agents=False)
    assert before.state is None
    assert after.state is not None
    assert [one.rule for one in after.state.firing_messages()] == ["nps-drop"]
    assert later.state is None
