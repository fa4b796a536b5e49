"""Generate Alertmanager's configuration: routes, receivers, and which alert inhibits which.

An alert of a contact center rule arrives in one of two ways: from `serve`, under the rule's own name, or from
Prometheus as ContactCenterAlert, with the rule's name as `alert`. Only these alerts have the label `by`.
"""

from collections.abc import Sequence
from typing import Any, Final

from streamer.alerts.rules import rules
from streamer.derived import promql
from streamer.settings import Settings

Document = dict[str, Any]

DESK: Final = "desk"
ON_CALL: Final = "on-call"
GROUPED_BY: Final = ("alertname", "alert", "by", "queue")
WHILE_STALE: Final = "90s"
"""Stale data also looks like no data, and the rule for that fires first: Alertmanager waits this long for
the alert that names the cause."""
_BLIND: Final = ("NoServer", "NoWorker", "DataStale", "NeverCaughtUp")
"""While one of these fires, it explains any alert of a contact center rule."""
_RULES_ALERTS: Final = 'by!=""'


def alertmanager(settings: Settings) -> Document:
    patient = _patient([rule.name for rule in rules(settings) if rule.kind == "silence"])
    critical = {"receiver": ON_CALL, "matchers": ['severity="critical"'], "repeat_interval": "1h"}
    return {
        "route": {
            "receiver": DESK,
            "group_by": [*GROUPED_BY],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [critical | ({"routes": patient} if patient else {}), *patient],
        },
        "inhibit_rules": [
            _needless(["NoServer"], _named(["ServerDown", "AlertsNotJudged"])),
            _needless(["NoWorker"], _named(["WorkerDown", "WorkersBehind", "NeverCaughtUp", "DataStale"])),
            _needless(["DataStale"], _named(["WorkersBehind", "AlertsNotJudged"])),
            _needless(_BLIND, _RULES_ALERTS),
        ],
        "receivers": [{"name": DESK}, {"name": ON_CALL}],
    }


def _patient(silences: Sequence[str]) -> list[Document]:
    """Return routes that wait longer for alerts of these no-data rules, in both ways they arrive."""
    return [
        {"matchers": [_among(label, silences)], "group_wait": WHILE_STALE}
        for label in ("alertname", "alert")
        if silences
    ]


def _needless(sources: Sequence[str], targets: str) -> Document:
    return {"source_matchers": [_named(sources)], "target_matchers": [targets]}


def _named(alerts: Sequence[str]) -> str:
    return _among("alertname", alerts)


def _among(label: str, values: Sequence[str]) -> str:
    return f"{label}=~{promql.quoted(promql.any_of(values))}"
