"""Define queries and readings, and validate queries."""

from collections.abc import Sequence

import msgspec

from streamer.events.counting_rules import DAY, MINUTE
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.panes.pane_keys import ALL, Grouping, parse_key
from streamer.panes.windows import NOW, READABLE_WINDOWS, WINDOWS
from streamer.runtime.choices import expected_choice

LIVE_MS = MINUTE
"""A query for a moment this close to now is one for now."""


class QueryError(ValueError):
    """An invalid query: one sentence that names the value and what was expected."""


class MetricQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query for readings of some metrics (empty: all) over some windows that end `at` (None: now), for all
    groups of `by` or one `key`. `stat`: None is each metric's default, "*" all. `week_before`: read the whole
    hours that each window touches, on the same weekday a week earlier. `keys`: of all groups only these.
    Times in ms since the epoch."""

    now: int
    metrics: tuple[str, ...] = ()
    windows: tuple[str, ...] = ("1h",)
    by: str = ALL
    key: str | None = None
    stat: str | None = None
    at: int | None = None
    week_before: bool = False
    keys: frozenset[str] | None = None

    @property
    def ends_now(self) -> bool:
        """Tell whether its windows end now."""
        return not self.week_before and (self.at is None or abs(self.now - self.at) < LIVE_MS)


def default_windows(metrics: Sequence[str]) -> tuple[str, ...]:
    """Return the windows of a query that names none: now for metrics of now.

    >>> default_windows(["waiting"]), default_windows(["waiting", "offered"]), default_windows([])
    (('now',), ('1h',), ('1h',))
    """
    of_now = [name in CATALOGUE and CATALOGUE[name].windows.now for name in metrics]
    return (NOW,) if of_now and all(of_now) else ("1h",)


class Reading(msgspec.Struct, frozen=True, gc=False, rename={"from_": "from"}):
    """A metric of one window, for one group, at one moment. `value` None: no data. `lower` and `upper`: the
    95 % interval. `support`: the sample size. `from` and `to`: RFC 3339, half open. `data_age_s`: age of
    the data in seconds; None: no worker has reported yet. `fresh_s`: the same, a former
    name until 0.3."""

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
    data_age_s: float | None
    fresh_s: float | None


class ValidatedQuery(msgspec.Struct, frozen=True):
    """A query that passed validation: each metric with its stats, the moment in ms, and the key."""

    query: MetricQuery
    metrics: tuple[tuple[Metric, tuple[str, ...]], ...]
    at: int
    key: str | None


def validate_query(query: MetricQuery, pairs: tuple[Grouping, ...]) -> ValidatedQuery:
    """Validate a query and resolve its defaults. `pairs`: the configured dimension pairs. Raises QueryError.

    >>> query = MetricQuery(now=1_795_255_203_000, metrics=("handle_time_seconds",), stat="*")
    >>> ((metric, stats),) = validate_query(query, pairs=()).metrics
    >>> metric.name, stats
    ('handle_time_seconds', ('mean', 'p50', 'p90', 'p95', 'max'))
    """
    for window in query.windows:
        require_known("window", window, READABLE_WINDOWS)
    require_known("by", query.by, (ALL, *DIMENSIONS, *(",".join(pair) for pair in pairs)))
    at = query.now if query.at is None else query.at
    if not 0 <= at <= query.now + DAY:
        raise QueryError("at: expected a time between 1970 and a day from now")
    if NOW in query.windows and not query.ends_now:
        raise QueryError(f"window = {NOW!r}: expected no other time than now")
    key = query.key or None
    if query.by == ALL and key:
        raise QueryError(f"key = {key!r}: expected no key, since by is {ALL}")
    if key:
        key_values(query.by, key)
    return ValidatedQuery(query, _metrics_of(query), at, "" if query.by == ALL else key)


def _metrics_of(query: MetricQuery) -> tuple[tuple[Metric, tuple[str, ...]], ...]:
    for name in query.metrics:
        require_known("metric", name, tuple(CATALOGUE))
        if not CATALOGUE[name].can_group_by(query.by):
            dimensions = " or ".join(CATALOGUE[name].not_by)
            raise QueryError(f"by = {query.by!r}: {name} cannot be read by {dimensions}")
        _require_window(CATALOGUE[name], query)
    named_metrics = [CATALOGUE[name] for name in query.metrics]
    metrics = named_metrics or [metric for metric in CATALOGUE.values() if metric.can_group_by(query.by)]
    metric_stats = tuple((metric, _stats_of(metric, query)) for metric in metrics)
    if not any(stats for _, stats in metric_stats):
        raise QueryError(f"stat = {query.stat!r}: expected a stat of one of the metrics")
    return metric_stats


def _require_window(metric: Metric, query: MetricQuery) -> None:
    """Require a window that is now for a metric of now, and another one for any other metric."""
    if all((window == NOW) != metric.windows.now for window in query.windows):
        expected = NOW if metric.windows.now else ", ".join(WINDOWS)
        raise QueryError(f"window = {','.join(query.windows)!r}: {metric.name} is read over {expected}")


def _stats_of(metric: Metric, query: MetricQuery) -> tuple[str, ...]:
    if query.stat == "*":
        return metric.stats
    if not query.stat:
        return metric.stats[:1]
    if query.metrics:
        require_known(f"stat of {metric.name}", query.stat, metric.stats)
    return tuple(stat for stat in metric.stats if stat == query.stat)


def require_known(parameter: str, value: str, expected: tuple[str, ...]) -> None:
    """Raise QueryError unless a parameter's value is one of those expected."""
    if value not in expected:
        raise QueryError(f"{parameter} = {value!r}: {expected_choice(value, expected)}")


def key_values(by: str, key: str) -> list[str]:
    r"""Return the values of a key's dimensions. Raises QueryError.

    >>> key_values("queue,channel", r"billing\, Spain,voice")
    ['billing, Spain', 'voice']
    """
    values = parse_key(key, by.count(",") + 1)
    if values is None:
        raise QueryError(
            f"key = {key!r}: expected a value for each of {by}, joined by a comma; within a value a comma is "
            "written \\, and a backslash \\\\"
        )
    return values


def dimension_values(by: str, key: str) -> dict[str, str]:
    """Return a key's values by dimension; empty without a key, as for `all`, and for the text of no group.

    >>> dimension_values("queue,channel", "billing,voice")
    {'queue': 'billing', 'channel': 'voice'}
    """
    values = parse_key(key, by.count(",") + 1) if key else None
    return dict(zip(by.split(","), values, strict=True)) if values is not None else {}
