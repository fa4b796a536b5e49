"""Here is what Prometheus sees of alerts: which fire, who judges and tells, what waits to be sent."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamer.delivery.bell import Bell
from streamer.delivery.record import Record
from streamer.readings.prometheus import group
from streamer.settings import Settings


class Seen(NamedTuple):
    """By one server at one moment. `record` None: it does not know it, or no longer. `judges`: it is its
    turn. `tells`: servers tell Alertmanager themselves. `agents`: whether who asks may see them."""

    record: Record | None
    judges: bool
    tells: bool
    receivers: tuple[str, ...]
    agents: bool


def seen(bell: Bell, settings: Settings, agents: bool) -> Seen:
    """In the server's own loop."""
    delivery = settings.delivery
    tells = bool(delivery.alertmanager) and delivery.via == "api"
    record = bell.record if bell.is_informed else None
    return Seen(record, bell.mine, tells, tuple(settings.receivers), agents)


def families(seen: Seen) -> Iterator[Metric]:
    """Who does not know the record says nothing of it: that no alert fires, only a server can say that shows
    `streamer_tells_alertmanager`. Alerts that are silenced fire all the same: silences keep messages back."""
    judging = "1: this server judges the rules of alerts and sends messages."
    yield GaugeMetricFamily("streamer_alerts_judging", judging, seen.judges)
    if seen.record is not None:
        telling = "1: servers tell Alertmanager of cx_alert_firing themselves; 0: Prometheus may."
        yield GaugeMetricFamily("streamer_tells_alertmanager", telling, seen.tells)
        yield from _firing(seen.record, seen.agents)
        yield from _messages(seen.record, seen.receivers)


def _firing(record: Record, agents: bool) -> Iterator[Metric]:
    family = GaugeMetricFamily("cx_alert_firing", "1: somebody was told of this alert, and it is not over.")
    withheld = 0
    for told in record.firing():
        if not agents and "agent" in told.by.split(","):
            withheld += 1
        else:
            named = {"alert": told.rule, "severity": told.severity, "metric": told.metric}
            family.add_sample(family.name, named | group(told.by, told.key), 1)
    yield family
    yield GaugeMetricFamily("cx_alerts_withheld", "Alerts of agents, whom Prometheus may not see.", withheld)


def _messages(record: Record, receivers: tuple[str, ...]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "streamer_alert_messages_waiting",
        "Messages that a receiver is still to be sent.",
        labels=["receiver"],
    )
    given_up = CounterMetricFamily(
        "streamer_alert_messages_given_up", "Messages that a receiver was never sent.", labels=["receiver"]
    )
    for name in dict.fromkeys([*receivers, *record.waiting, *record.given_up]):
        waiting.add_metric([name], len(record.waiting.get(name, ())))
        given_up.add_metric([name], record.given_up.get(name, 0))
    yield waiting
    yield given_up
