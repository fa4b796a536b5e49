"""Here is how the exported series are asked for in PromQL."""

from collections.abc import Iterable, Mapping
from typing import Final

from streamer.metrics.catalogue import Metric

ALL: Final = {"by": "all"}


def series(name: str, labels: Mapping[str, str], differing: Mapping[str, str] | None = None) -> str:
    """`labels` are to be equal; `differing` hold an operator of their own, as in {"by": '=~"all|queue"'}."""
    equal = [f"{label}={quoted(value)}" for label, value in labels.items()]
    others = [f"{label}{matcher}" for label, matcher in (differing or {}).items()]
    return f"{name}{{{','.join([*equal, *others])}}}"


def quoted(text: str) -> str:
    """As a string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def any_of(values: Iterable[str]) -> str:
    """A regular expression that matches these values and no other."""
    return "|".join("".join(f"\\{sign}" if sign in r"\.+*?()|[]{}^$" else sign for sign in v) for v in values)


def stat(metric: Metric, name: str = "") -> dict[str, str]:
    """The label that tells a metric's stats apart, if it has several: its default, or the one named."""
    return {"stat": name or metric.stats[0]} if len(metric.stats) > 1 else {}


def any_server(series: str) -> str:
    """What every server says of the whole center, once."""
    return f"max without (instance, job) ({series})"


def figure(metric: Metric, part: str = "") -> str:
    """The name of a metric's series; `part` is "", lower, upper or support."""
    return f"cx_{metric.name}_{part}" if part else f"cx_{metric.name}"


def supported(
    metric: Metric, labels: Mapping[str, str], least: int, differing: Mapping[str, str] | None = None
) -> str:
    """The metric's value, where its sample is no smaller than `least`; only figures with an interval
    have a sample too small to be shown."""
    value = series(figure(metric), labels, differing)
    if not metric.measure.interval:
        return value
    return f"{value} and {series(figure(metric, 'support'), labels, differing)} >= {least}"
