"""Prometheus metrics of alerts: which fire, which server is leader, how many messages wait."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamer.delivery.bell import Bell
from streamer.delivery.record import Record
from streamer.readings.prometheus import group
from streamer.settings import Settings


class Seen(NamedTuple):
    """Values of one server at one moment, taken before they are exported.

    `state`: None if this server has not read the alert state recently. `is_leader`: it evaluates the rules.
    `sends_to_alertmanager`: servers post alerts themselves. `shows_agents`: the reader may see agents.
    """

    record: Record | None
    judges: bool
    tells: bool
    receivers: tuple[str, ...]
    agents: bool


def seen(bell: Bell, settings: Settings, agents: bool) -> Seen:
    """Take the values. Call it on the event loop of the server."""
    delivery = settings.delivery
    tells = bool(delivery.alertmanager) and delivery.via == "api"
    record = bell.record if bell.is_informed else None
    return Seen(record, bell.mine, tells, tuple(settings.receivers), agents)


def families(seen: Seen) -> Iterator[Metric]:
    """Yield the metrics.

    A server without a recent alert state exports nothing of it: that no alert fires can only be said by a
    server that exports `streamer_tells_alertmanager`. Silenced alerts are exported too: a silence only holds
    back messages.
    """
    judging = "1: this server evaluates the alert rules and sends messages."
    yield GaugeMetricFamily("streamer_alerts_judging", judging, seen.judges)
    if seen.record is not None:
        telling = "1: servers post alerts to Alertmanager themselves; 0: Prometheus may pass them on."
        yield GaugeMetricFamily("streamer_tells_alertmanager", telling, seen.tells)
        yield from _firing(seen.record, seen.agents)
        yield from _messages(seen.record, seen.receivers)


def _firing(record: Record, agents: bool) -> Iterator[Metric]:
    family = GaugeMetricFamily("cx_alert_firing", "1: this alert has fired and not resolved.")
    withheld = 0
    for told in record.firing():
        if not agents and "agent" in told.by.split(","):
            withheld += 1
        else:
            named = {"alert": told.rule, "severity": told.severity, "metric": told.metric}
            family.add_sample(family.name, named | group(told.by, told.key), 1)
    yield family
    yield GaugeMetricFamily(
        "cx_alerts_withheld", "Firing alerts of agents, hidden from Prometheus.", withheld
    )


def _messages(record: Record, receivers: tuple[str, ...]) -> Iterator[Metric]:
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
    for name in dict.fromkeys([*receivers, *record.waiting, *record.given_up]):
        waiting.add_metric([name], len(record.waiting.get(name, ())))
        given_up.add_metric([name], record.given_up.get(name, 0))
    yield waiting
    yield given_up
