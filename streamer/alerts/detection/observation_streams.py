"""Observation streams: how many observations a series has, and the confidence (z) a target needs for that.

The interval is wide enough for a check after every answer: with an ordinary one of 95 % a score that is
just on target would fire on most days.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import log10
from typing import Final, NamedTuple

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.statistics.confidence import growing_z, rolling_z
from streamer.panes.windows import TODAY

MONTH_DAYS: Final = 30.44


class ObservationStream(NamedTuple):
    """Observations of a series a month, the number of series that the rule has, and the variance of the
    observations as a multiple of that of independent ones."""

    a_month: float
    series_count: int
    spread: float = 1.0


class ObservationStreams(NamedTuple):
    """Observations a month and their spread by key, and the number of series that the rule has."""

    rates: Mapping[str, tuple[float, float]]
    series_count: int

    def for_key(self, key: str) -> ObservationStream:
        a_month, spread = self.rates.get(key, (0.0, 1.0))
        return ObservationStream(a_month, self.series_count, spread)


def required_z(rule: AlertRule, support: int, stream: ObservationStream) -> float:
    """Return z for one false alarm in as many observations as the rule's budget allows. For a series
    without history the sample itself says how many there are."""
    per_alarm = rule.observations_per_alarm(max(stream.a_month, support), stream.series_count)
    if rule.window == TODAY:
        return _cached_growing_z(
            rule.least_support,
            _round_to_two_digits(max(stream.a_month / MONTH_DAYS, support)),
            _round_to_two_digits(per_alarm),
        )
    return _cached_rolling_z(_round_to_two_digits(support), _round_to_two_digits(per_alarm))


def _round_to_two_digits(number: float) -> float:
    """Round to two digits: z hardly changes with them, and the cache is hit more often."""
    return round(number, 1 - int(log10(max(number, 1))))


_cached_rolling_z = lru_cache(maxsize=50_000)(rolling_z)
_cached_growing_z = lru_cache(maxsize=50_000)(growing_z)
