"""Render the text exposition for Prometheus: readings of the exported windows, and the plain counters.

A family is one metric with its value, interval and support. Groupings take up the MAX_SERIES series in the
order of GROUPING_PRIORITY. One that does not fit is shortened (only default stats; no support of counts,
since it equals their value); if that is still too much, it is dropped: a dashboard can do without reasons
sooner than without handle times. If `all` and `queue` alone are too many, whole families are dropped from the
catalogue's end. `cx_groupings_shortened`, `cx_groupings_dropped` and `cx_families_dropped` say how many. The
families in front of the readings (alerts) are never dropped: readings make room for them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from streamer.metrics import catalogue
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.tally import HANDLE_LIMITS_S
from streamer.panes.pane_keys import ALL, FINE_MS, SEPARATOR, groupings
from streamer.readings import suppression
from streamer.readings.pauses import Pause, no_pause, paused
from streamer.readings.query import Query, Reading, dimensions
from streamer.readings.reader import Reader

MOST_SERIES: Final = 10_000
STALE_S: Final = 60
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

SHOWN: Final = ("all", "queue", "team", "channel", "site", "agent", "reason", "language")
"""Groupings, the most important first; pairs come last."""
ALWAYS: Final = 2
"""The first groupings of GROUPING_PRIORITY, which are never shortened or dropped."""
OWN: Final = 3
"""Number of series that say what was shortened or dropped."""
_PORTION: Final = 200

Labelled = dict[tuple[str, ...], float]
"""Values by label values."""


class Export(NamedTuple):
    """The windows to export, and whether to export agents."""

    windows: tuple[str, ...]
    agents: bool


class Snapshot(NamedTuple):
    """The content of one exposition: readings by metric in the catalogue's order, counters, the data's age in
    seconds, the groupings that were shortened or dropped, and the families in front."""

    readings: Mapping[str, list[Reading]]
    counts: Mapping[str, int]
    fresh_s: float | None
    short: Sequence[str] = ()
    left_out: Sequence[str] = ()
    before: Sequence[Metric] = ()


class Exporter:
    """Renders the exposition, once per change of the data: scrapes of the same data share the text. Run it in
    a thread of its own, since it takes about 50 µs a series."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = Lock()
        self._rendered: dict[Export, tuple[object, bytes]] = {}

    def render(
        self, export: Export, now_ms: int, pause: Pause = no_pause, before: Iterable[Metric] = ()
    ) -> bytes:
        """Return the exposition; `leading` families come first."""
        before, fresh_s = [*before], self._reader.fresh_s(now_ms)
        moment = (self._reader.edition, now_ms // FINE_MS, _is_fresh(fresh_s), _size(before))
        with self._lock:
            rendered = self._rendered.get(export)
            if rendered is None or rendered[0] != moment:
                shown = snapshot(self._reader, export, now_ms, pause, before)
                rendered = self._rendered[export] = moment, _texts(_lasting(shown, pause), pause)
        return _texts(before, pause) + rendered[1] + _texts(_own(fresh_s), pause)


def snapshot(
    reader: Reader, export: Export, now_ms: int, pause: Pause = no_pause, before: Iterable[Metric] = ()
) -> Snapshot:
    """Read what is to be exported. Readings are left out while the data is older than STALE_S."""
    fresh_s, before = reader.fresh_s(now_ms), [*before]
    shown = Snapshot({}, reader.counts, fresh_s, before=before)
    if not _is_fresh(fresh_s):
        return shown
    return _with_readings(shown, reader, Query(now=now_ms, windows=export.windows, stat="*"), export, pause)


def _is_fresh(fresh_s: float | None) -> bool:
    return fresh_s is not None and fresh_s <= STALE_S


def exposition(shown: Snapshot, pause: Pause = no_pause) -> bytes:
    return _texts([*shown.before, *_lasting(shown, pause), *_own(shown.fresh_s)], pause)


def _texts(families: Iterable[Metric], pause: Pause) -> bytes:
    return b"".join(_text(family, pause) for family in families)


def _text(family: Metric, pause: Pause) -> bytes:
    """Render a family, a portion of samples at a time; only the first keeps the HELP and TYPE lines."""
    samples, texts = family.samples, []
    for first in range(0, max(1, len(samples)), _PORTION):
        pause()
        family.samples = samples[first : first + _PORTION]
        text = generate_latest(_Only(family))
        texts.append(text if first == 0 else text[_comments(text) :])
    return b"".join(texts)


def _comments(text: bytes) -> int:
    """Return the length in bytes of a family's HELP and TYPE lines."""
    return text.index(b"\n", text.index(b"\n# TYPE ") + 1) + 1


def _with_readings(shown: Snapshot, reader: Reader, asked: Query, export: Export, pause: Pause) -> Snapshot:
    found: dict[str, list[Reading]] = {name: [] for name in CATALOGUE}
    short, left_out, room = list[str](), list[str](), MOST_SERIES - _size(shown.before)
    others: list[Reading] = []
    for place, by in enumerate(_groupings(reader, export)):
        readings = [*paused(reader.each(replace(asked, by=by)), pause)]
        size = sum(len(_series(one)) for one in readings)
        if place >= ALWAYS and size > room:
            short.append(by)
            readings = [one for one in readings if one.stat == CATALOGUE[one.metric].stats[0]]
            size = sum(len(_series(one, short)) for one in readings)
        if place >= ALWAYS and size > room:
            left_out.append(short.pop())
            others += (one for one in readings if one.metric in suppression.COUNTED)
            continue
        room -= size
        for reading in readings:
            found[reading.metric].append(reading)
    told = _for_everybody(found, others, pause)
    return shown._replace(readings=told, short=short, left_out=left_out)


def _for_everybody(
    found: Mapping[str, list[Reading]], others: Iterable[Reading], pause: Pause
) -> dict[str, list[Reading]]:
    """Suppress figures that would reveal what single customers said. `dropped_surveys` are readings that are
    not exported, but from which a hidden one could be computed."""
    surveys = [*others, *(reading for name in suppression.COUNTED for reading in found[name])]
    places = suppression.hidden(paused(surveys, pause), pause)
    known = suppression.judged(paused(surveys, pause))
    return {
        name: suppression.without(paused(readings, pause), places, known)
        if name in suppression.ANSWERS
        else readings
        for name, readings in found.items()
    }


def _groupings(reader: Reader, export: Export) -> list[str]:
    names = [",".join(by) or ALL for by in groupings(reader.pairs) if export.agents or "agent" not in by]
    return sorted(names, key=lambda by: SHOWN.index(by) if by in SHOWN else len(SHOWN))


def _series(reading: Reading, short: Sequence[str] = ()) -> dict[str, float]:
    """Return the values exported of a reading: value, lower, upper, support. `shortened` groupings export no
    support of counts."""
    if reading.value is None:
        return {}
    parts = {"value": reading.value, "lower": reading.lower, "upper": reading.upper}
    if reading.unit != "count" or reading.by not in short:
        parts["support"] = reading.support
    return {part: value for part, value in parts.items() if value is not None}


class _Only(CollectorRegistry):
    """A registry with a single family."""

    def __init__(self, family: Metric) -> None:
        super().__init__(auto_describe=False)
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _lasting(shown: Snapshot, pause: Pause) -> Iterator[Metric]:
    """Yield the families that change only with the data, and can be cached."""
    counters = [*_counters(shown.counts)]
    room = MOST_SERIES - OWN - _size(counters) - _size(shown.before) - _size(_own(shown.fresh_s))
    dropped = 0
    for name, readings in shown.readings.items():
        told = paused(readings, pause)
        families = [one for one in _families(CATALOGUE[name], told, shown.short) if one.samples]
        room -= _size(families)
        if room >= 0 and not dropped:
            yield from families
        else:
            dropped += bool(families)
    yield GaugeMetricFamily("cx_families_dropped", "Metrics left out to stay below the limit.", dropped)
    short, left_out = len(shown.short), len(shown.left_out)
    yield GaugeMetricFamily("cx_groupings_shortened", "Groupings shown in short for that reason.", short)
    yield GaugeMetricFamily("cx_groupings_dropped", "Groupings left out for that reason.", left_out)
    yield from counters


def _families(metric: catalogue.Metric, readings: Iterable[Reading], short: Sequence[str]) -> list[Metric]:
    name = f"cx_{metric.name}"
    families = {
        "value": GaugeMetricFamily(name, metric.help),
        "lower": GaugeMetricFamily(f"{name}_lower", f"Lower end of the 95 % interval of {name}."),
        "upper": GaugeMetricFamily(f"{name}_upper", f"Upper end of the 95 % interval of {name}."),
        "support": GaugeMetricFamily(f"{name}_support", f"Sample size of {name}: {metric.measure.support}."),
    }
    for reading in readings:
        if series := _series(reading, short):
            labels = _labels(metric, reading)
            for part, value in series.items():
                families[part].add_sample(families[part].name, labels, value)
    return [*families.values()]


def _labels(metric: catalogue.Metric, reading: Reading) -> dict[str, str]:
    labels = {"window": reading.window, **group(reading.by, reading.key)}
    if len(metric.stats) > 1:
        labels["stat"] = reading.stat
    return labels


def group(by: str, key: str) -> dict[str, str]:
    """Return the labels of a group; only `by` for `all` and for a grouping without a key.

    >>> group("queue,channel", "billing,voice")
    {'by': 'queue,channel', 'queue': 'billing', 'channel': 'voice'}
    >>> group("all", "")
    {'by': 'all'}
    """
    return {"by": by, **dimensions(by, key)}


def _size(families: Iterable[Metric]) -> int:
    return sum(len(family.samples) for family in families)


def _own(fresh_s: float | None) -> Iterator[Metric]:
    if fresh_s is not None:
        help_text = "Seconds since all partitions were last seen caught up."
        yield GaugeMetricFamily("streamer_fresh_seconds", help_text, fresh_s)


def _counters(counts: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the plain counters. Their names in the store: kind and label values, joined by SEPARATOR."""
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
        _enough(by_kind["answers"]),
    )
    yield _handle_durations(by_kind["handle"], by_kind["handle_ms"])
    yield _counter("streamer_crowd_customers", "Customers found to be a crowd.", (), by_kind["crowds"])


def _enough(answers: Labelled) -> Labelled:
    """Keep a queue's question only if it has at least MIN_ANSWERS answers."""
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for (queue, question, _), count in answers.items():
        totals[queue, question] += count
    return {
        (queue, question, bucket): count
        for (queue, question, bucket), count in answers.items()
        if totals[queue, question] >= suppression.FEWEST
    }


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
