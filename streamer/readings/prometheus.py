"""Here is the exposition for Prometheus: the readings of the exported windows, and the plain counters.

A family is one metric with its value, interval and support. When there are more than MOST_SERIES,
groupings are left out first, from the end of SHOWN: a dashboard rather lacks a reason than its handle
times. Where `all` and `queue` alone are too many, whole families drop from the catalogue's end.
`cx_groupings_dropped` and `cx_families_dropped` say how many.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from streamer.metrics import catalogue
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.tally import HANDLE_LIMITS_S
from streamer.panes.grid import ALL, SEPARATOR, groupings
from streamer.readings.query import Query, Reading, key_parts
from streamer.readings.reader import Reader

MOST_SERIES: Final = 10_000
STALE_S: Final = 60
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

SHOWN: Final = ("all", "queue", "site", "team", "channel", "agent", "reason", "language")
"""The groupings in the order of their worth; pairs come last."""
ALWAYS: Final = 2

Labelled = dict[tuple[str, ...], float]
"""Values by the values of labels."""


class Export(NamedTuple):
    """Which windows are exported, and whether agents are."""

    windows: tuple[str, ...]
    agents: bool


class Snapshot(NamedTuple):
    """What is shown: readings by metric in the catalogue's order, counters, age in seconds, and how many
    groupings were left out."""

    readings: Mapping[str, list[Reading]]
    counts: Mapping[str, int]
    fresh_s: float | None
    left_out: int = 0


def render(reader: Reader, export: Export, now_ms: int) -> bytes:
    """The whole text; for a thread of its own, since it takes some 20 µs a series."""
    return exposition(snapshot(reader, export, now_ms))


def snapshot(reader: Reader, export: Export, now_ms: int) -> Snapshot:
    fresh_s = reader.fresh_s(now_ms)
    known = fresh_s is not None and fresh_s <= STALE_S
    readings, left_out = _readings(reader, export, now_ms) if known else ({}, 0)
    return Snapshot(readings, reader.counts, fresh_s, left_out)


def exposition(shown: Snapshot) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(shown))
    return generate_latest(registry)


def _readings(reader: Reader, export: Export, now_ms: int) -> tuple[dict[str, list[Reading]], int]:
    found: dict[str, list[Reading]] = {name: [] for name in CATALOGUE}
    shown, room = _groupings(reader, export), MOST_SERIES
    for place, by in enumerate(shown):
        readings = reader.readings(Query(now=now_ms, windows=export.windows, by=by, stat="*"))
        room -= sum(map(_series, readings))
        if room < 0 and place >= ALWAYS:
            return found, len(shown) - place
        for reading in readings:
            found[reading.metric].append(reading)
    return found, 0


def _groupings(reader: Reader, export: Export) -> list[str]:
    names = [",".join(by) or ALL for by in groupings(reader.pairs) if export.agents or "agent" not in by]
    return sorted(names, key=lambda by: SHOWN.index(by) if by in SHOWN else len(SHOWN))


def _series(reading: Reading) -> int:
    parts = (reading.value, reading.lower, reading.upper, reading.support)
    return 0 if reading.value is None else sum(part is not None for part in parts)


class _Shown(Collector):
    def __init__(self, shown: Snapshot) -> None:
        self._shown = shown

    def collect(self) -> Iterator[Metric]:
        counters = [*_own(self._shown), *_counters(self._shown.counts)]
        room = MOST_SERIES - 2 - sum(len(family.samples) for family in counters)
        dropped = 0
        for name, readings in self._shown.readings.items():
            families = [family for family in _families(CATALOGUE[name], readings) if family.samples]
            room -= sum(len(family.samples) for family in families)
            if room >= 0 and not dropped:
                yield from families
            else:
                dropped += bool(families)
        yield GaugeMetricFamily("cx_families_dropped", "Metrics left out to stay below the limit.", dropped)
        left_out = self._shown.left_out
        yield GaugeMetricFamily("cx_groupings_dropped", "Groupings left out for the same reason.", left_out)
        yield from counters


def _families(metric: catalogue.Metric, readings: Iterable[Reading]) -> list[Metric]:
    name = f"cx_{metric.name}"
    families = {
        "value": GaugeMetricFamily(name, metric.help),
        "lower": GaugeMetricFamily(f"{name}_lower", f"Lower end of the 95 % interval of {name}."),
        "upper": GaugeMetricFamily(f"{name}_upper", f"Upper end of the 95 % interval of {name}."),
        "support": GaugeMetricFamily(f"{name}_support", f"Sample size of {name}: {metric.measure.support}."),
    }
    for reading in readings:
        if reading.value is not None:
            labels = _labels(metric, reading)
            for part, family in families.items():
                value = getattr(reading, part)
                if value is not None:
                    family.add_sample(family.name, labels, value)
    return [*families.values()]


def _labels(metric: catalogue.Metric, reading: Reading) -> dict[str, str]:
    labels = {"window": reading.window, "by": reading.by}
    if reading.by != ALL:
        labels |= zip(reading.by.split(","), key_parts(reading.by, reading.key), strict=True)
    if len(metric.stats) > 1:
        labels["stat"] = reading.stat
    return labels


def _own(shown: Snapshot) -> Iterator[Metric]:
    if shown.fresh_s is not None:
        help_text = "Seconds since all partitions were last seen caught up."
        yield GaugeMetricFamily("streamer_fresh_seconds", help_text, shown.fresh_s)


def _counters(counts: Mapping[str, int]) -> Iterator[Metric]:
    """The names are the store's: kind, then the values of labels, joined by SEPARATOR."""
    by_kind: dict[str, Labelled] = defaultdict(dict)
    for name, value in sorted(counts.items()):
        kind, *values = name.split(SEPARATOR)
        by_kind[kind][tuple(values)] = value
    yield _counter(
        "streamer_events", "Events by what became of them.", ("topic", "result"), by_kind["events"]
    )
    yield _counter(
        "cx_segments_completed",
        "Segments, as they first arrived.",
        ("queue", "channel", "outcome"),
        by_kind["segments"],
    )
    yield _counter(
        "cx_survey_answers",
        "Answers to survey questions, as they first arrived.",
        ("queue", "question", "bucket"),
        by_kind["answers"],
    )
    yield _handle_durations(by_kind["handle"], by_kind["handle_ms"])
    yield _counter("streamer_crowd_customers", "Customers found to be a crowd.", (), by_kind["crowds"])


def _counter(name: str, help_text: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family


def _handle_durations(buckets: Labelled, sums_ms: Labelled) -> Metric:
    family = HistogramMetricFamily(
        "cx_handle_duration_seconds",
        "Handle time of answered segments, as they first arrived.",
        labels=("queue",),
    )
    for queue in sorted({queue for queue, _ in buckets}):
        counts, total = [], 0.0
        for bound in (*map(str, HANDLE_LIMITS_S), "+Inf"):
            total += buckets.get((queue, bound), 0)
            counts.append((bound, total))
        family.add_metric((queue,), counts, sums_ms.get((queue,), 0) / 1000)
    return family
