"""Here is how Alertmanager is told who hears of what, and what needs no telling beside something worse.

An alert of the rules comes in one of two ways: from `serve`, under the rule's own name, or by Prometheus as
ContactCenterAlert with the rule's name as `alert`. Both say `by` which groups it is, as nothing else does.
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
"""Old data is silence, too, and noticed sooner there: so long Alertmanager waits for what says more."""
_BLIND: Final = ("NoServer", "NoWorker", "DataStale", "NeverCaughtUp")
"""While one of these holds, all that the rules could say follows from it."""
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
    """Routes for rules of silence."""
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
