"""Answer the window `now` of a query: compute readings from what is going on at this moment."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from streamer.metrics.catalogue import Metric
from streamer.metrics.formulas import NO_DATA, ReadingContext
from streamer.panes.windows import NOW
from streamer.readings.live_state import LiveGroups
from streamer.readings.query import Reading, ValidatedQuery
from streamer.readings.window_query import QueryContext, data_age_s, rfc3339_from_ms
from streamer.readings.window_table import NO_ROW_COUNTS


class LiveQuery:
    """The window `now` of a validated query. `known_keys`: groups that have counts; nothing may go on in
    them."""

    def __init__(
        self, validated: ValidatedQuery, groups: LiveGroups, known_keys: Iterable[str], context: QueryContext
    ) -> None:
        self._validated, self._groups, self._known_keys = validated, groups, known_keys
        caught_up_ms, now_ms = context.caught_up_ms, validated.query.now
        self._is_fresh = context.is_counted_until(now_ms)
        self._data_age_s = None if caught_up_ms is None else data_age_s(caught_up_ms, now_ms)

    def readings(self) -> Iterator[Reading]:
        groups = [(key, ReadingContext(0, live=self._groups.group(key))) for key in self._keys()]
        return chain.from_iterable(
            self._readings_of(metric, stat, groups)
            for metric, stats in self._validated.metrics
            if metric.windows.now
            for stat in stats
        )

    def _keys(self) -> list[str]:
        if self._validated.key is not None:
            return [self._validated.key]
        keys, selection = self._groups.keys.union(self._known_keys), self._validated.query.keys
        return sorted(keys if selection is None else keys & selection)

    def _readings_of(
        self, metric: Metric, stat: str, groups: Sequence[tuple[str, ReadingContext]]
    ) -> list[Reading]:
        readings: list[Reading] = []
        formula, query, age_s = metric.measure.formulas[stat], self._validated.query, self._data_age_s
        moment, unit = rfc3339_from_ms(query.now), metric.unit
        for key, context in groups:
            figure = formula(NO_ROW_COUNTS, context)
            if not figure.value and not self._is_fresh:  # nobody waits: who knows
                figure = NO_DATA
            # Positional arguments are faster: there may be thousands of readings.
            reading = Reading(
                metric.name, stat, unit, metric.better, NOW, query.by, key,
                *figure, moment, moment, age_s, age_s,
            )  # fmt: skip
            readings.append(reading)
        return readings
