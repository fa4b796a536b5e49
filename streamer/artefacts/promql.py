"""Build PromQL expressions over the exported series."""

from collections.abc import Iterable, Mapping
from typing import Final

from streamer.metrics.catalogue import Metric
from streamer.metrics.target_verdict import TARGET_CONDITIONS, TargetVerdict

ALL_GROUPS: Final = {"by": "all"}


def series_selector(name: str, labels: Mapping[str, str], matchers: Mapping[str, str] | None = None) -> str:
    """Return a series selector. `labels` must be equal; `matchers` bring their own operator.

    >>> series_selector("cx_nps_score", {"window": "1h", "by": "queue"}, {"queue": '=~"billing|sales"'})
    'cx_nps_score{window="1h",by="queue",queue=~"billing|sales"}'
    """
    equal = [f"{label}={quote_string(value)}" for label, value in labels.items()]
    others = [f"{label}{matcher}" for label, matcher in (matchers or {}).items()]
    return f"{name}{{{','.join([*equal, *others])}}}"


def quote_string(text: str) -> str:
    """Quote a text as a PromQL string.

    >>> print(quote_string('the "quiet" queue'))
    "the \\"quiet\\" queue"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def any_of_pattern(values: Iterable[str]) -> str:
    """Return a regular expression that matches these values and no other.

    >>> print(any_of_pattern(["billing", "a|b"]))
    billing|a\\|b
    """
    return "|".join("".join(f"\\{sign}" if sign in r"\.+*?()|[]{}^$" else sign for sign in v) for v in values)


def stat_label(metric: Metric, name: str = "") -> dict[str, str]:
    """Return the `stat` label, for its default or the stat `name`; empty for a metric with a single stat."""
    return {"stat": name or metric.stats[0]} if len(metric.stats) > 1 else {}


def across_servers(series: str) -> str:
    """Return one series for what all servers export about the whole center."""
    return f"max without (instance, job) ({series})"


def series_name(metric: Metric, field: str = "") -> str:
    """Return the name of a metric's series; `field` is "" (its value), "lower", "upper" or "support".

    >>> from streamer.metrics.catalogue import CATALOGUE
    >>> series_name(CATALOGUE["nps_score"], "support")
    'cx_nps_score_support'
    """
    return f"cx_{metric.name}_{field}" if field else f"cx_{metric.name}"


def supported_value(
    metric: Metric, labels: Mapping[str, str], min_support: int, matchers: Mapping[str, str] | None = None
) -> str:
    """Return an expression for the metric's value where its support is at least `min_support`; metrics
    without an interval, such as counts, are shown with any support."""
    value = series_selector(series_name(metric), labels, matchers)
    if not metric.measure.interval:
        return value
    return f"{value} and {series_selector(series_name(metric, 'support'), labels, matchers)} >= {min_support}"


def verdict_value(
    metric: Metric,
    verdict: TargetVerdict,
    target: float,
    labels: Mapping[str, str],
    min_support: int,
    matchers: Mapping[str, str] | None = None,
) -> str:
    """Return an expression for the metric's supported value where this is the verdict on it.

    >>> from streamer.metrics.catalogue import CATALOGUE
    >>> verdict_value(CATALOGUE["contacts"], "missed", 40, ALL_GROUPS, 20)
    'cx_contacts{by="all"} and cx_contacts{by="all"} < 40'
    """
    value = supported_value(metric, labels, min_support, matchers)
    conditions = TARGET_CONDITIONS[metric.better]
    holds = {
        name: f"{_series_of_end(metric, end, labels, matchers)} {comparison} {target:g}"
        for name, (end, comparison) in conditions.items()
    }
    if verdict in holds:
        return f"{value} and {holds[verdict]}"
    return " unless ".join([value, *holds.values()])


def _series_of_end(
    metric: Metric, end: str, labels: Mapping[str, str], matchers: Mapping[str, str] | None
) -> str:
    """Return an end of the interval, or the value of a metric without one."""
    return series_selector(series_name(metric, end if metric.measure.interval else ""), labels, matchers)


def with_sample(value: str, support: str, by: str) -> str:
    """Return an expression for the value with its sample as the label `n`."""
    return f'({value}) * on({by}) group_left(n) count_values by ({by}) ("n", max by ({by}) ({support}))'
