"""/metrics says which alerts fire, to whom may see their groups, from every server alike."""

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import AlertState, apply_evaluation
from streamer.readings.reader import MetricsReader
from streamer.settings import DeliverySettings, Settings, UserSettings
from streamer.store.memory_documents import MemoryDocument
from streamer.web.credentials import token_hash
from streamer.web.server import application
from tests.delivery.alert_samples import alert, evaluation_round, message
from tests.readings.small_center import NOW, SmallCenter
from tests.web.asgi_client import send_request

WHO = ("viewer", "viewer of agents", "admin")
PEOPLE = {
    "vera": UserSettings(role="viewer", tokens=[token_hash("viewer")]),
    "victor": UserSettings(role="viewer", agent_names=True, tokens=[token_hash("viewer of agents")]),
    "adam": UserSettings(role="admin", tokens=[token_hash("admin")]),
}
ALERTMANAGER = DeliverySettings(alertmanager="http://127.0.0.1:9093")
BILLING = (
    'cx_alert_firing{alert="nps-drop",by="queue",metric="nps_score",queue="billing",severity="warning"} 1.0'
)
BOB = 'cx_alert_firing{agent="bob",alert="nps-drop",by="agent",metric="nps_score",severity="warning"} 1.0'


async def nothing(*given: object) -> list[AlertMessage]:
    return []


def bell_of(document: MemoryDocument, reader: MetricsReader, settings: Settings) -> AlertCoordinator:
    in_force = load_alert_rules(settings)
    return AlertCoordinator(
        document,
        RuleEvaluator(reader, settings, in_force),
        reader,
        nothing,
        lambda: NOW,
    )


def served(bell: AlertCoordinator, reader: MetricsReader, settings: Settings) -> Starlette:
    return application(reader, settings, lambda: NOW, coordinator=bell)


def two_fire(record: AlertState) -> AlertState:
    billing, bob = alert(), alert("bob")
    return apply_evaluation(
        record, evaluation_round(billing, bob, messages=[message(billing), replace(message(bob), by="agent")])
    )


async def told(app: Starlette, who: str) -> list[str]:
    answer = await send_request(app, "/metrics", headers={"authorization": f"Bearer {who}"})
    return answer.body.decode().splitlines()


@pytest.mark.parametrize(("exported", "who_hears_of_bob"), [(True, WHO[1:]), (False, ())])
async def test_alerts_of_agents_are_told_to_whom_figures_of_agents_are(
    document: MemoryDocument, exported: bool, who_hears_of_bob: tuple[str, ...]
) -> None:
    settings = Settings(users=PEOPLE, export_agents=exported)
    reader = MetricsReader(SmallCenter().store, settings)
    bell = bell_of(document, reader, settings)
    await bell.update(two_fire)
    lines = {who: await told(served(bell, reader, settings), who) for who in WHO}
    assert {who for who in WHO if BILLING in lines[who]} == set(WHO)
    assert {who for who in WHO if BOB in lines[who]} == set(who_hears_of_bob)


async def test_every_server_says_the_same_and_one_that_it_judges(document: MemoryDocument) -> None:
    settings = Settings(users=PEOPLE, delivery=ALERTMANAGER)
    reader = MetricsReader(SmallCenter().store, settings)
    first, second = (bell_of(document, reader, settings) for _ in range(2))
    await first.update(two_fire)
    before = await told(served(second, reader, settings), "admin")
    assert BILLING not in before
    assert "streamer_tells_alertmanager 1.0" not in before  # who has not read the record says nothing of it
    await second.update(lambda record: record)
    for bell in (first, second):
        lines = await told(served(bell, reader, settings), "admin")
        assert {BILLING, "streamer_tells_alertmanager 1.0", "streamer_alerts_judging 0.0"} <= {*lines}
