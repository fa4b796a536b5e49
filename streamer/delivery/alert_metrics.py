"""Prometheus metrics of alerts: which fire, which server is leader, how many messages wait."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import AlertState
from streamer.readings.prometheus import group_labels
from streamer.settings import Settings


class AlertMetricsSnapshot(NamedTuple):
    """Values of one server at one moment, taken before they are exported.

    `state`: None if this server has not read the alert state recently. `is_leader`: it evaluates the rules.
    `sends_to_alertmanager`: servers post alerts themselves. `shows_agents`: the reader may see agents.
    """

    state: AlertState | None
    is_leader: bool
    sends_to_alertmanager: bool
    receivers: tuple[str, ...]
    shows_agents: bool


def take_metrics_snapshot(
    coordinator: AlertCoordinator, settings: Settings, shows_agents: bool
) -> AlertMetricsSnapshot:
    """Take the values. Call it on the event loop of the server."""
    delivery = settings.delivery
    sends_to_alertmanager = bool(delivery.alertmanager) and delivery.alertmanager_via == "api"
    state = coordinator.state if coordinator.has_recent_state else None
    return AlertMetricsSnapshot(
        state, coordinator.is_leader, sends_to_alertmanager, tuple(settings.receivers), shows_agents
    )


def metric_families(snapshot: AlertMetricsSnapshot) -> Iterator[Metric]:
    """Yield the metrics.

    A server without a recent alert state exports nothing of it: that no alert fires can only be said by a
    server that exports `streamer_tells_alertmanager`. Silenced alerts are exported too: a silence only holds
    back messages.
    """
    leader_help = "1: this server evaluates the alert rules and sends messages."
    yield GaugeMetricFamily("streamer_alerts_judging", leader_help, snapshot.is_leader)
    if snapshot.state is not None:
        sends_help = "1: servers post alerts to Alertmanager themselves; 0: Prometheus may pass them on."
        yield GaugeMetricFamily("streamer_tells_alertmanager", sends_help, snapshot.sends_to_alertmanager)
        yield from _firing_families(snapshot.state, snapshot.shows_agents)
        yield from _message_families(snapshot.state, snapshot.receivers)


def _firing_families(state: AlertState, shows_agents: bool) -> Iterator[Metric]:
    family = GaugeMetricFamily("cx_alert_firing", "1: this alert has fired and not resolved.")
    withheld_count = 0
    for message in state.firing_messages():
        if not shows_agents and "agent" in message.by.split(","):
            withheld_count += 1
        else:
            labels = {"alert": message.rule, "severity": message.severity, "metric": message.metric}
            family.add_sample(family.name, labels | group_labels(message.by, message.key), 1)
    yield family
    yield GaugeMetricFamily(
        "cx_alerts_withheld", "Firing alerts of agents, hidden from Prometheus.", withheld_count
    )


def _message_families(state: AlertState, receivers: tuple[str, ...]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "streamer_alert_messages_waiting",
        "Messages waiting to be sent to a receiver.",
        labels=["receiver"],
    )
    given_up = CounterMetricFamily(
        "streamer_alert_messages_given_up",
        "Messages that were given up and never sent to a receiver.",
        labels=["receiver"],
    )
    for name in dict.fromkeys([*receivers, *state.waiting, *state.given_up]):
        waiting.add_metric([name], len(state.waiting.get(name, ())))
        given_up.add_metric([name], state.given_up.get(name, 0))
    yield waiting
    yield given_up
