"""An alert rule in force."""

from collections.abc import Mapping

import msgspec

from streamer.alerts.opening_hours import OpeningHours
from streamer.alerts.verdict import RuleKind
from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import ObservationClasses
from streamer.settings import Severity


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """One alert rule. `key` "": every group. `targets` by queue, "" for all others; None: no target.
    `classes`: the observation classes that are counted for it, in the series named `series`. `false_alarms` a
    month: for each series, or, if `shared`, for all series together."""

    name: str
    kind: RuleKind
    metric: Metric
    by: str
    key: str
    window: str
    targets: Mapping[str, float | None]
    series: str
    classes: ObservationClasses | None
    false_alarms: float
    shared: bool
    least_support: int
    for_ms: int
    clear_ms: int
    severity: Severity
    hours: OpeningHours
    tell: tuple[str, ...]

    def target(self, queue: str) -> float | None:
        return self.targets[queue if queue in self.targets else ""]

    def observations_per_alarm(self, a_month: float, series_count: int) -> float:
        """Return the observations between two false alarms of one of that many series."""
        return max(a_month * (series_count if self.shared else 1) / self.false_alarms, 2.0)
