"""Render the text exposition for Prometheus: readings of the exported windows, and the plain counters.

A family is one metric with its value, interval and support; a count has no support, since it equals its
value. `max_series` limits the series of all. Groupings take them up in the order of GROUPING_PRIORITY: first
`all` and `queue` as they are; then as many others as fit, each in short (only default stats), as a dashboard
can do without percentiles sooner than without a site; what is left shows these as they are, in the same
order. If `all` and `queue` alone are too many, whole families are dropped from the catalogue's end.
`cx_groupings_shortened`, `cx_groupings_dropped` and `cx_families_dropped` say how many. The families in front
of the readings (alerts, process) and the plain counters are never dropped: readings make room for them.
Counters of queues are as many as metrics/counters.py keeps.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from streamer.metrics import catalogue
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.counters import COUNTER_SEPARATOR, OTHER
from streamer.metrics.tally import HANDLE_LIMITS_S
from streamer.panes.pane_keys import ALL, FINE_MS, groupings
from streamer.panes.windows import NOW
from streamer.readings import suppression
from streamer.readings.pauses import Pause, no_pause, with_pauses
from streamer.readings.query import MetricQuery, Reading, dimension_values
from streamer.readings.reader import MetricsReader
from streamer.runtime.distribution import installed_version

MAX_SERIES: Final = 10_000
"""Most series by default."""
STALE_S: Final = 60

GROUPING_PRIORITY: Final = ("all", "queue", "team", "channel", "site", "agent", "reason", "language")
"""Groupings, the most important first; pairs come last."""
PROTECTED_GROUPINGS: Final = 2
"""The first groupings of GROUPING_PRIORITY, which are never shortened or dropped."""
OWN_SERIES: Final = 3
"""Number of series that say what was shortened or dropped."""
OF_OTHER_QUEUES: Final = f"queue {OTHER}: those that have no counters to themselves"
_PORTION_SIZE: Final = 200
_OPENMETRICS_END: Final = b"# EOF\n"

LabelledValues = dict[tuple[str, ...], float]
"""Values by label values."""


class ExportSelection(NamedTuple):
    """The windows to export beside what is going on now, whether to export agents, and the most series."""

    windows: tuple[str, ...]
    agents: bool
    max_series: int = MAX_SERIES


class ExportSnapshot(NamedTuple):
    """The content of one exposition: readings by metric in the catalogue's order, counters, the data's age in
    seconds, the groupings that were shortened or dropped, and the families in front."""

    readings: Mapping[str, list[Reading]]
    counts: Mapping[str, int]
    data_age_s: float | None
    shortened: Sequence[str] = ()
    dropped: Sequence[str] = ()
    leading: Sequence[Metric] = ()
    max_series: int = MAX_SERIES


class GroupingReadings(NamedTuple):
    """All readings of a grouping, and the numbers of series that they are as they are and in short."""

    by: str
    readings: list[Reading]
    size: int
    short_size: int


class ExpositionFormat(NamedTuple):
    """Format of an exposition: its content type, and the function that writes the families of a registry."""

    content_type: str
    encode: Callable[[CollectorRegistry], bytes]

    @classmethod
    def accepted_by(cls, accept: str) -> "ExpositionFormat":
        """Return the format that an Accept header asks for, else the classic text.

        >>> ExpositionFormat.accepted_by("application/openmetrics-text;version=1.0.0").content_type
        'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores'
        """
        encode, content_type = choose_encoder(accept)
        return cls(content_type, encode)

    @property
    def end(self) -> bytes:
        """Mark of the exposition's end."""
        return _OPENMETRICS_END if self.content_type.startswith("application/openmetrics") else b""


CLASSIC_TEXT: Final = ExpositionFormat(CONTENT_TYPE_PLAIN_0_0_4, generate_latest)


class PrometheusExporter:
    """Renders the exposition, once per change of the data: scrapes of the same data share the text. Run it in
    a thread of its own, since it takes about 50 µs a series."""

    def __init__(self, reader: MetricsReader) -> None:
        self._reader = reader
        self._lock = Lock()
        self._rendered: dict[tuple[ExportSelection, str], tuple[object, bytes]] = {}

    def render(
        self,
        export: ExportSelection,
        now_ms: int,
        pause: Pause = no_pause,
        leading: Iterable[Metric] = (),
        text_format: ExpositionFormat = CLASSIC_TEXT,
    ) -> bytes:
        """Return the exposition; `leading` families come first."""
        leading, data_age_s = [*leading], self._reader.data_age_s(now_ms)
        cache_key = (self._reader.version, now_ms // FINE_MS, _is_fresh(data_age_s), _series_count(leading))
        with self._lock:
            rendered = self._rendered.get((export, text_format.content_type))
            if rendered is None or rendered[0] != cache_key:
                taken = take_snapshot(self._reader, export, now_ms, pause, leading)
                families = _cached_families(taken, pause)
                rendered = (cache_key, _render_families(families, pause, text_format))
                self._rendered[export, text_format.content_type] = rendered
        return b"".join(
            (
                _render_families(leading, pause, text_format),
                rendered[1],
                _render_families(_age_family(data_age_s), pause, text_format),
                text_format.end,
            )
        )


def take_snapshot(
    reader: MetricsReader,
    export: ExportSelection,
    now_ms: int,
    pause: Pause = no_pause,
    leading: Iterable[Metric] = (),
) -> ExportSnapshot:
    """Read what is to be exported. Readings are left out while the data is older than STALE_S."""
    data_age_s, leading = reader.data_age_s(now_ms), [*leading]
    empty_snapshot = ExportSnapshot(
        {}, reader.counters, data_age_s, leading=leading, max_series=export.max_series
    )
    if not _is_fresh(data_age_s):
        return empty_snapshot
    return _add_readings(
        empty_snapshot,
        reader,
        MetricQuery(now=now_ms, windows=(NOW, *export.windows), stat="*"),
        export,
        pause,
    )


def _is_fresh(data_age_s: float | None) -> bool:
    return data_age_s is not None and data_age_s <= STALE_S


def render_exposition(export_snapshot: ExportSnapshot, pause: Pause = no_pause) -> bytes:
    return _render_families(
        [
            *export_snapshot.leading,
            *_cached_families(export_snapshot, pause),
            *_age_family(export_snapshot.data_age_s),
        ],
        pause,
    )


def _render_families(
    families: Iterable[Metric], pause: Pause, text_format: ExpositionFormat = CLASSIC_TEXT
) -> bytes:
    return b"".join(_render_family(family, pause, text_format) for family in families)


def _render_family(family: Metric, pause: Pause, text_format: ExpositionFormat) -> bytes:
    """Render a family, a portion of samples at a time; only the first keeps the HELP and TYPE lines."""
    samples, texts = family.samples, []
    for first in range(0, max(1, len(samples)), _PORTION_SIZE):
        pause()
        family.samples = samples[first : first + _PORTION_SIZE]
        text = text_format.encode(_SingleFamilyRegistry(family)).removesuffix(text_format.end)
        texts.append(text if first == 0 else text[_header_length(text) :])
    return b"".join(texts)


def _header_length(text: bytes) -> int:
    """Return the length in bytes of a family's HELP and TYPE lines."""
    return text.index(b"\n", text.index(b"\n# TYPE ") + 1) + 1


def _add_readings(
    empty_snapshot: ExportSnapshot,
    reader: MetricsReader,
    query: MetricQuery,
    export: ExportSelection,
    pause: Pause,
) -> ExportSnapshot:
    groupings = [_read_grouping(reader, query, by, pause) for by in _exported_groupings(reader, export)]
    shortened, dropped = _fit_groupings(groupings, _room_for_readings(empty_snapshot))
    readings_by_metric: dict[str, list[Reading]] = {name: [] for name in CATALOGUE}
    dropped_surveys: list[Reading] = []
    for by, readings, _, _ in groupings:
        for reading in with_pauses(readings, pause):
            if by in dropped:
                if reading.metric in suppression.ANSWER_METRICS:
                    dropped_surveys.append(reading)
            elif by not in shortened or _is_default_stat(reading):
                readings_by_metric[reading.metric].append(reading)
    public_readings = _suppress_surveys(readings_by_metric, dropped_surveys, pause)
    return empty_snapshot._replace(readings=public_readings, shortened=shortened, dropped=dropped)


def _read_grouping(reader: MetricsReader, query: MetricQuery, by: str, pause: Pause) -> GroupingReadings:
    readings = [*with_pauses(reader.iter_readings(replace(query, by=by)), pause)]
    size = sum(len(_series_values(reading)) for reading in readings)
    short_size = sum(len(_series_values(reading)) for reading in readings if _is_default_stat(reading))
    return GroupingReadings(by, readings, size, short_size)


def _is_default_stat(reading: Reading) -> bool:
    return reading.stat == CATALOGUE[reading.metric].stats[0]


def _fit_groupings(groupings: Sequence[GroupingReadings], room: int) -> tuple[list[str], list[str]]:
    """Return the groupings to show in short, and those to drop, so that no more than `room` series remain.

    >>> groupings = [GroupingReadings(by, [], 40, 10) for by in ("all", "queue", "team", "site", "reason")]
    >>> _fit_groupings(groupings, 140)  # 40 and 40, then 10 each, and 30 more for one of them
    (['site', 'reason'], [])
    >>> _fit_groupings(groupings, 105)
    (['team', 'site'], ['reason'])
    """
    protected, others = groupings[:PROTECTED_GROUPINGS], groupings[PROTECTED_GROUPINGS:]
    room -= sum(grouping.size for grouping in protected)
    shortened, dropped = list[GroupingReadings](), list[str]()
    for grouping in others:
        if grouping.short_size <= room:
            room -= grouping.short_size
            shortened.append(grouping)
        else:
            dropped.append(grouping.by)
    for grouping in [*shortened]:
        if (more := grouping.size - grouping.short_size) <= room:
            room -= more
            shortened.remove(grouping)
    return [grouping.by for grouping in shortened], dropped


def _suppress_surveys(
    readings_by_metric: Mapping[str, list[Reading]], dropped_surveys: Iterable[Reading], pause: Pause
) -> dict[str, list[Reading]]:
    """Suppress figures that would reveal what single customers said. `dropped_surveys` are readings that are
    not exported, but from which a hidden one could be computed."""
    surveys = [
        *dropped_surveys,
        *(reading for name in suppression.ANSWER_METRICS for reading in readings_by_metric[name]),
    ]
    hidden_groups = suppression.hidden_groups(with_pauses(surveys, pause), pause)
    counted_groups = suppression.counted_groups(with_pauses(surveys, pause))
    return {
        name: [*suppression.blank_hidden(with_pauses(readings, pause), hidden_groups, counted_groups)]
        if name in suppression.ANSWER_METRIC_OF
        else readings
        for name, readings in readings_by_metric.items()
    }


def _exported_groupings(reader: MetricsReader, export: ExportSelection) -> list[str]:
    names = [",".join(by) or ALL for by in groupings(reader.pairs) if export.agents or "agent" not in by]
    return sorted(
        names,
        key=lambda by: GROUPING_PRIORITY.index(by) if by in GROUPING_PRIORITY else len(GROUPING_PRIORITY),
    )


def _series_values(reading: Reading) -> dict[str, float]:
    """Return the values exported of a reading: value, lower, upper and, but for counts, support."""
    if reading.value is None:
        return {}
    fields = {"value": reading.value, "lower": reading.lower, "upper": reading.upper}
    if reading.unit != "count":
        fields["support"] = reading.support
    return {field: value for field, value in fields.items() if value is not None}


class _SingleFamilyRegistry(CollectorRegistry):
    """A registry with a single family."""

    def __init__(self, family: Metric) -> None:
        super().__init__(auto_describe=False)
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _cached_families(export_snapshot: ExportSnapshot, pause: Pause) -> Iterator[Metric]:
    """Yield the families that change only with the data, and can be cached."""
    room, dropped_metrics = _room_for_readings(export_snapshot), 0
    for name, readings in export_snapshot.readings.items():
        paced_readings = with_pauses(readings, pause)
        families = [family for family in _metric_families(CATALOGUE[name], paced_readings) if family.samples]
        room -= _series_count(families)
        if room >= 0 and not dropped_metrics:
            yield from families
        else:
            dropped_metrics += bool(families)
    yield GaugeMetricFamily(
        "cx_families_dropped", "Metrics left out to stay below the limit.", dropped_metrics
    )
    shortened_count, dropped_count = len(export_snapshot.shortened), len(export_snapshot.dropped)
    yield GaugeMetricFamily(
        "cx_groupings_shortened", "Groupings shown in short for that reason.", shortened_count
    )
    yield GaugeMetricFamily("cx_groupings_dropped", "Groupings left out for that reason.", dropped_count)
    yield from _counters(export_snapshot.counts)


def _room_for_readings(export_snapshot: ExportSnapshot) -> int:
    """Return the number of series that all the rest leaves to readings."""
    others = (
        *_counters(export_snapshot.counts),
        *export_snapshot.leading,
        *_age_family(export_snapshot.data_age_s),
    )
    return export_snapshot.max_series - OWN_SERIES - _series_count(others)


def _metric_families(metric: catalogue.Metric, readings: Iterable[Reading]) -> list[Metric]:
    name = f"cx_{metric.name}"
    families = {
        "value": GaugeMetricFamily(name, metric.help),
        "lower": GaugeMetricFamily(f"{name}_lower", f"Lower end of the 95 % interval of {name}."),
        "upper": GaugeMetricFamily(f"{name}_upper", f"Upper end of the 95 % interval of {name}."),
        "support": GaugeMetricFamily(f"{name}_support", f"Sample size of {name}: {metric.measure.support}."),
    }
    for reading in readings:
        if series := _series_values(reading):
            labels = _labels(metric, reading)
            for field, value in series.items():
                families[field].add_sample(families[field].name, labels, value)
    return [*families.values()]


def _labels(metric: catalogue.Metric, reading: Reading) -> dict[str, str]:
    labels = {"window": reading.window, **group_labels(reading.by, reading.key)}
    if len(metric.stats) > 1:
        labels["stat"] = reading.stat
    return labels


def group_labels(by: str, key: str) -> dict[str, str]:
    """Return the labels of a group; only `by` for `all` and for a grouping without a key.

    >>> group_labels("queue,channel", "billing,voice")
    {'by': 'queue,channel', 'queue': 'billing', 'channel': 'voice'}
    >>> group_labels("all", "")
    {'by': 'all'}
    """
    return {"by": by, **dimension_values(by, key)}


def _series_count(families: Iterable[Metric]) -> int:
    return sum(len(family.samples) for family in families)


def process_families(center: str) -> Iterator[Metric]:
    """Yield what a server or worker says of itself: its version and center, and memory, processor time and
    open files of its process."""
    build = GaugeMetricFamily("streamer_build_info", "Version and center.", labels=("version", "center"))
    build.add_metric((installed_version(), center), 1)
    yield build
    yield from ProcessCollector(registry=CollectorRegistry()).collect()


def _age_family(data_age_s: float | None) -> Iterator[Metric]:
    if data_age_s is not None:
        help_text = "Seconds since all partitions were last seen caught up."
        yield GaugeMetricFamily("streamer_fresh_seconds", help_text, data_age_s)


def _counters(counts: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the plain counters from their names: kind and label values, joined by COUNTER_SEPARATOR."""
    by_kind: dict[str, LabelledValues] = defaultdict(dict)
    for name, value in sorted(counts.items()):
        kind, *values = name.split(COUNTER_SEPARATOR)
        by_kind[kind][tuple(values)] = value
    yield _counter_family(
        "streamer_events", "Events by what became of them.", ("topic", "result"), by_kind["events"]
    )
    yield _counter_family(
        "cx_segments_completed",
        f"Segments, as they first arrived; {OF_OTHER_QUEUES}.",
        ("queue", "channel", "outcome"),
        by_kind["segments"],
    )
    yield _counter_family(
        "cx_survey_answers",
        f"Answers to survey questions, as they first arrived; {OF_OTHER_QUEUES}.",
        ("queue", "question", "bucket"),
        _drop_small_samples(by_kind["answers"]),
    )
    yield _handle_histogram(by_kind["handle"], by_kind["handle_ms"])
    yield _counter_family(
        "streamer_crowd_customers", "Customer ids found to be shared by many.", (), by_kind["crowds"]
    )
    yield _counter_family(
        "streamer_shared_ids",
        "Ids of contacts and surveys found to be shared: more facts than shared_id_limit name them.",
        ("kind",),
        by_kind["shared"],
    )


def _drop_small_samples(answers: LabelledValues) -> LabelledValues:
    """Keep a queue's question only if it has at least MIN_ANSWERS answers."""
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for (queue, question, _), count in answers.items():
        totals[queue, question] += count
    return {
        (queue, question, bucket): count
        for (queue, question, bucket), count in answers.items()
        if totals[queue, question] >= suppression.MIN_ANSWERS
    }


def _counter_family(name: str, help_text: str, labels: tuple[str, ...], values: LabelledValues) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _handle_histogram(buckets: LabelledValues, sums_ms: LabelledValues) -> Metric:
    family = HistogramMetricFamily(
        "cx_handle_duration_seconds",
        f"Handle time of answered segments, as they first arrived; {OF_OTHER_QUEUES}.",
        labels=("queue",),
    )
    for queue in sorted({queue for queue, _ in buckets}):
        counts, total = [], 0.0
        for bound in (*map(str, HANDLE_LIMITS_S), "+Inf"):
            total += buckets.get((queue, bound), 0)
            counts.append((bound, total))
        family.add_metric((queue,), counts, sums_ms.get((queue,), 0) / 1000)
    return family
