"""Here is what can be asked, what comes back, and what is wrong with a question."""

import msgspec

from streamer.events.models import DIMENSIONS
from streamer.events.rules import DAY
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.panes.pane_keys import ALL, Grouping
from streamer.panes.windows import WINDOWS


class QueryError(ValueError):
    """A question that has no answer: one sentence that names the value and what was expected."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Readings of some metrics (none named: of all) over some windows that end `at` (None: now), for the
    groups of `by`, or for one `key`. `stat`: None is each metric's default, "*" all. `week_before`: of
    the whole hours that each window touches, on the same weekday a week earlier. Times in ms."""

    now: int
    metrics: tuple[str, ...] = ()
    windows: tuple[str, ...] = ("1h",)
    by: str = ALL
    key: str | None = None
    stat: str | None = None
    at: int | None = None
    week_before: bool = False


class Reading(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """A metric of one window, for one group, as of one moment. `value` None is no data; `support` the
    sample size; `from` and `to` RFC 3339, half open; `fresh_s` None: no worker ever spoke."""

    metric: str
    stat: str
    unit: str
    better: str
    window: str
    by: str
    key: str
    value: float | None
    lower: float | None
    upper: float | None
    support: int
    from_: str
    to: str
    fresh_s: float | None


class Asked(msgspec.Struct, frozen=True):
    """A question that was found to be in order: each metric with its stats."""

    query: Query
    metrics: tuple[tuple[Metric, tuple[str, ...]], ...]
    at: int
    key: str | None


def checked(query: Query, pairs: tuple[Grouping, ...]) -> Asked:
    """Raises QueryError."""
    for window in query.windows:
        _known("window", window, WINDOWS)
    _known("by", query.by, (ALL, *DIMENSIONS, *(",".join(pair) for pair in pairs)))
    at = query.now if query.at is None else query.at
    if not 0 <= at <= query.now + DAY:
        raise QueryError("at: expected a time between 1970 and a day from now")
    key = query.key or None
    if query.by == ALL and key:
        raise QueryError(f"key = {key!r}: there are no keys by {ALL}")
    return Asked(query, _metrics(query), at, "" if query.by == ALL else key)


def _metrics(query: Query) -> tuple[tuple[Metric, tuple[str, ...]], ...]:
    for name in query.metrics:
        _known("metric", name, tuple(CATALOGUE))
        if not CATALOGUE[name].readable_by(query.by):
            dimensions = " or ".join(CATALOGUE[name].not_by)
            raise QueryError(f"by = {query.by!r}: {name} cannot be read by {dimensions}")
    asked = [CATALOGUE[name] for name in query.metrics]
    metrics = asked or [metric for metric in CATALOGUE.values() if metric.readable_by(query.by)]
    found = tuple((metric, _stats(metric, query)) for metric in metrics)
    if not any(stats for _, stats in found):
        raise QueryError(f"stat = {query.stat!r}: no metric has it")
    return found


def _stats(metric: Metric, query: Query) -> tuple[str, ...]:
    if query.stat == "*":
        return metric.stats
    if not query.stat:
        return metric.stats[:1]
    if query.metrics:
        _known(f"stat of {metric.name}", query.stat, metric.stats)
    return tuple(stat for stat in metric.stats if stat == query.stat)


def _known(what: str, value: str, expected: tuple[str, ...]) -> None:
    if value not in expected:
        names = ", ".join(name for name in expected if name) or "none"
        raise QueryError(f"{what} = {value!r}: expected one of {names}")


def key_parts(by: str, key: str) -> list[str]:
    """The values of a key's dimensions. Where values hold commas themselves, the first keeps them."""
    return key.rsplit(",", by.count(","))


def dimensions(by: str, key: str) -> dict[str, str]:
    """A key's values by dimension; none of `all`, nor of a grouping without a key."""
    return dict(zip(by.split(","), key_parts(by, key), strict=True)) if key else {}
