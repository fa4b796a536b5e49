"""Generate Alertmanager's configuration: routes, receivers, and which alert inhibits which.

An alert of a contact center rule arrives in one of two ways: from `serve`, under the rule's own name, or from
Prometheus as ContactCenterAlert, with the rule's name as `alert`. Only these alerts have the label `by`.
"""

from collections.abc import Sequence
from typing import Any, Final

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.detection.detectors import DETECTORS
from streamer.artefacts import promql
from streamer.settings import Settings

Document = dict[str, Any]

DESK_RECEIVER: Final = "desk"
ON_CALL_RECEIVER: Final = "on-call"
GROUPED_BY: Final = ("alertname", "alert", "by", "queue")
NO_DATA_WAIT: Final = "90s"
"""Stale data also looks like no data, and the rule for that fires first: Alertmanager waits this long for
the alert that names the cause."""
_BLINDING_ALERTS: Final = ("NoServer", "NoWorker", "DataStale", "NeverCaughtUp")
"""While one of these fires, it explains any alert of a contact center rule."""
_RULE_ALERTS_MATCHER: Final = 'by!=""'


def alertmanager_config(settings: Settings) -> Document:
    no_data_routes = _no_data_routes(
        [rule.name for rule in load_alert_rules(settings) if DETECTORS[rule.kind].fires_on_stale_data]
    )
    critical = {"receiver": ON_CALL_RECEIVER, "matchers": ['severity="critical"'], "repeat_interval": "1h"}
    return {
        "route": {
            "receiver": DESK_RECEIVER,
            "group_by": [*GROUPED_BY],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [critical | ({"routes": no_data_routes} if no_data_routes else {}), *no_data_routes],
        },
        "inhibit_rules": [
            _inhibit_rule(["NoServer"], _alertname_matcher(["ServerDown", "AlertsNotJudged"])),
            _inhibit_rule(
                ["NoWorker"],
                _alertname_matcher(["WorkerDown", "WorkersBehind", "NeverCaughtUp", "DataStale"]),
            ),
            _inhibit_rule(["DataStale"], _alertname_matcher(["WorkersBehind", "AlertsNotJudged"])),
            _inhibit_rule(_BLINDING_ALERTS, _RULE_ALERTS_MATCHER),
        ],
        "receivers": [{"name": DESK_RECEIVER}, {"name": ON_CALL_RECEIVER}],
    }


def _no_data_routes(rule_names: Sequence[str]) -> list[Document]:
    """Return routes that wait longer for alerts of these no-data rules, in both ways they arrive."""
    return [
        {"matchers": [_label_matcher(label, rule_names)], "group_wait": NO_DATA_WAIT}
        for label in ("alertname", "alert")
        if rule_names
    ]


def _inhibit_rule(sources: Sequence[str], targets: str) -> Document:
    return {"source_matchers": [_alertname_matcher(sources)], "target_matchers": [targets]}


def _alertname_matcher(names: Sequence[str]) -> str:
    return _label_matcher("alertname", names)


def _label_matcher(label: str, values: Sequence[str]) -> str:
    return f"{label}=~{promql.quote_string(promql.any_of_pattern(values))}"
