"""Build expressions for the chosen groups by the verdict on them; queues may have targets of their own."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from streamer.artefacts import exported_metrics, promql
from streamer.artefacts.dashboards import CHOSEN_GROUPS
from streamer.artefacts.metric_display import VERDICT_COLORS
from streamer.metrics.catalogue import Metric
from streamer.metrics.target_verdict import TargetVerdict
from streamer.settings import Settings

VERDICT_CODES: Final[Mapping[TargetVerdict, int]] = {"met": 1, "unclear": 0, "missed": -1}
"""Values of a column that says the verdict."""
NOT_JUDGED: Final = "A"
"""The reference of a query for groups without a target."""


class _JudgedGroups(NamedTuple):
    """Groups that share a target, by the matchers that select them."""

    target: float | None
    matchers: Mapping[str, str]


def values_by_verdict(metric: Metric, labels: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return an expression for each verdict, and for the groups without a target (NOT_JUDGED), where there
    are any. Each group has a value in one of them."""
    judged, min_support = [*_judged_groups(metric, settings)], settings.min_sample
    plain = [
        promql.supported_value(metric, labels, min_support, matchers)
        for target, matchers in judged
        if target is None
    ]
    exprs_by_ref = {
        str(verdict): [
            promql.verdict_value(metric, verdict, target, labels, min_support, matchers)
            for target, matchers in judged
            if target is not None
        ]
        for verdict in VERDICT_COLORS
    }
    return {
        ref: " or ".join(f"({expr})" for expr in exprs) if len(exprs) > 1 else exprs[0]
        for ref, exprs in (exprs_by_ref | {NOT_JUDGED: plain}).items()
        if exprs
    }


def verdict_code(metric: Metric, labels: Mapping[str, str], settings: Settings) -> str:
    """Return an expression for the code of the verdict of each group that has a target."""
    exprs_by_ref = values_by_verdict(metric, labels, settings)
    return " or ".join(f"0 * ({exprs_by_ref[verdict]}) + {code}" for verdict, code in VERDICT_CODES.items())


def _judged_groups(metric: Metric, settings: Settings) -> Iterator[_JudgedGroups]:
    own_targets, chosen = exported_metrics.queue_targets(metric, settings), CHOSEN_GROUPS["queue"]
    others = f",queue!~{promql.quote_string(promql.any_of_pattern(own_targets))}" if own_targets else ""
    yield _JudgedGroups(settings.target(metric.name), CHOSEN_GROUPS | {"queue": chosen + others})
    for queue, target in own_targets.items():
        own = f"{chosen},queue={promql.quote_string(queue)}"
        yield _JudgedGroups(target, CHOSEN_GROUPS | {"queue": own})
