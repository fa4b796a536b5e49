"""Group readings into columns: one for each metric, stat and window, with the keys and values as lists.

Meant for tables of thousands of groups: what a list of readings would repeat for each is said once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from streamer.metrics.catalogue import CATALOGUE
from streamer.readings.query import Reading
from streamer.readings.table_columns import TableColumns


class ReadingColumn(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The readings of one metric over one window, in the order of `keys`. `from` is the earliest and `to` the
    latest edge; edges differ by key only for `today` of queues in several time zones."""

    metric: str
    stat: str
    unit: str
    better: str
    window: str
    by: str
    from_: str
    to: str
    data_age_s: float | None
    fresh_s: float | None
    """The same under its former name, until 0.3."""
    keys: list[str]
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    supports: list[int]


def group_into_columns(readings: Iterable[Reading]) -> Iterator[ReadingColumn]:
    """Yield a column for each run of readings that differ only in their key.

    >>> window = ("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z")
    >>> readings = [
    ...     Reading("offered", "", "count", "higher", "1h", "queue", key, n, None, None, n, *window, 2.5, 2.5)
    ...     for key, n in (("billing", 120), ("sales", 80))
    ... ]
    >>> (column,) = group_into_columns(readings)
    >>> column.metric, column.keys, column.values
    ('offered', ['billing', 'sales'], [120, 80])
    """
    for _, run in groupby(readings, lambda reading: (reading.window, reading.metric, reading.stat)):
        yield _reading_column(list(run))


def wide_table(
    columns: Sequence[ReadingColumn], name_of: Callable[[str, str], str]
) -> tuple[TableColumns, list[dict[str, Any]]]:
    """Return a table with a row for each group: its key and name, then of each column value, ends of the
    interval where there is one, and support. `name_of`: the name of a grouping's key.

    >>> window = ("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z")
    >>> readings = [
    ...     Reading("offered", "", "count", "higher", "1h", "queue", "q7", 9, None, None, 9, *window, 2, 2)
    ... ]
    >>> columns, rows = wide_table([*group_into_columns(readings)], lambda by, key: "Billing")
    >>> columns.names, rows
    (['key', 'name', 'offered_1h'], [{'key': 'q7', 'name': 'Billing', 'offered_1h': 9}])
    """
    names, rows = ["key", "name"], dict[str, dict[str, Any]]()
    for column in columns:
        parts = [*_wide_parts(column)]
        names += [name for name, _ in parts]
        for place, key in enumerate(column.keys):
            row = rows.setdefault(key, {"key": key, "name": name_of(column.by, key)})
            row.update((name, values[place]) for name, values in parts)
    return TableColumns.named(names), [rows[key] for key in sorted(rows)]


def _wide_parts(column: ReadingColumn) -> Iterator[tuple[str, Sequence[Any]]]:
    name, metric = (
        "_".join(filter(None, (column.metric, column.stat, column.window))),
        CATALOGUE[column.metric],
    )
    yield name, column.values
    if metric.measure.interval:
        yield f"{name}_lower", column.lower
        yield f"{name}_upper", column.upper
    if metric.has_observations:
        yield f"{name}_support", column.supports


def _reading_column(readings: list[Reading]) -> ReadingColumn:
    first = readings[0]
    return ReadingColumn(
        metric=first.metric,
        stat=first.stat,
        unit=first.unit,
        better=first.better,
        window=first.window,
        by=first.by,
        from_=min(reading.from_ for reading in readings),
        to=max(reading.to for reading in readings),
        data_age_s=first.data_age_s,
        fresh_s=first.data_age_s,
        keys=[reading.key for reading in readings],
        values=[reading.value for reading in readings],
        lower=[reading.lower for reading in readings],
        upper=[reading.upper for reading in readings],
        supports=[reading.support for reading in readings],
    )
