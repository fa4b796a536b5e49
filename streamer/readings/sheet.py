"""Group readings into columns: one for each metric, stat and window, with the keys and values as lists.

Meant for tables of thousands of groups: what a list of readings would repeat for each is said once.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from streamer.readings.query import Reading


class Column(msgspec.Struct, frozen=True, rename={"from_": "from"}):
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
    fresh_s: float | None
    keys: list[str]
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    supports: list[int]


def columns(readings: Iterable[Reading]) -> Iterator[Column]:
    """Yield a column for each run of readings that differ only in their key.

    >>> window = ("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z")
    >>> readings = [
    ...     Reading("offered", "", "count", "higher", "1h", "queue", key, n, None, None, n, *window, 2.5)
    ...     for key, n in (("billing", 120), ("sales", 80))
    ... ]
    >>> (column,) = columns(readings)
    >>> column.metric, column.keys, column.values
    ('offered', ['billing', 'sales'], [120, 80])
    """
    for _, run in groupby(readings, lambda one: (one.window, one.metric, one.stat)):
        yield _column(list(run))


def _column(readings: list[Reading]) -> Column:
    first = readings[0]
    return Column(
        metric=first.metric,
        stat=first.stat,
        unit=first.unit,
        better=first.better,
        window=first.window,
        by=first.by,
        from_=min(one.from_ for one in readings),
        to=max(one.to for one in readings),
        fresh_s=first.fresh_s,
        keys=[one.key for one in readings],
        values=[one.value for one in readings],
        lower=[one.lower for one in readings],
        upper=[one.upper for one in readings],
        supports=[one.support for one in readings],
    )
