"""Reading of what is going on now, for the tiles of one read of a wallboard: each group once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from streamer.events.counting_rules import UNKNOWN
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import NOW, TODAY
from streamer.readings.query import MetricQuery, Reading
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.web.live_tiles import (
    AGENT_STATES,
    QUEUE_TABLE,
    SHOWN_STATES,
    AgentStatesTile,
    LiveSituation,
    LiveTile,
    NowValues,
    QueueRow,
    QueueTableTile,
    build_agent_states,
    build_live_tile,
    build_queue_row,
    earliest_wait,
    shown_rows,
    wait_times,
)
from streamer.web.wallboard import Tile, TileReadings, TileTargets, build_tile

OPENING_TILES: Final = ("waiting", "longest_wait_seconds", "agents_available")
"""Tiles that a view opens with which names none of its own, once their states are sent."""
_AGENT_METRICS: Final = ("agents_signed_in", *(f"agents_{state}" for state in SHOWN_STATES))
_GROUP_METRICS: Final = ("waiting", "waiting_over_target", *_AGENT_METRICS)
_ROW_METRICS: Final = ("waiting", "agents_available")
_TODAY_METRICS: Final = ("service_level_ratio", "abandoned")

ReadMetrics = Callable[[MetricQuery], list[Reading]]
"""Reads what the audience of a wallboard may see."""


class LiveFloor:
    """What is going on now, as of `now_ms`."""

    def __init__(
        self, reader: MetricsReader, settings: Settings, read_metrics: ReadMetrics, now_ms: int
    ) -> None:
        self._reader, self._settings = reader, settings
        self._read_metrics, self._now_ms = read_metrics, now_ms
        self._waits = wait_times(reader.waiting_contacts(now_ms), settings.counting_rules())
        self._values: dict[tuple[str, str], NowValues] = {}

    def opening_tiles(self) -> list[str]:
        """Return those of OPENING_TILES whose states any source has sent."""
        return [name for name in OPENING_TILES if self._is_sent(name, ALL, "")]

    def _is_sent(self, metric: str, by: str, key: str) -> bool:
        stated = self._reader.stated_keys(by, self._now_ms)
        return key in (stated.agents if metric.startswith("agents_") else stated.contacts)

    def values(self, by: str, key: str) -> NowValues:
        """Return the values of a group that tiles rest on."""
        if (by, key) not in self._values:
            readings = self._read(_GROUP_METRICS, by, key)
            self._values[by, key] = {reading.metric: reading.value for reading in readings}
        return self._values[by, key]

    def tile(self, metric: str, by: str, key: str) -> LiveTile:
        (reading,) = self._read((metric,), by, key)
        tile = self._plain_tile(reading, key if by == "queue" else None)
        wait = self._waits.get(key) if by == "queue" else earliest_wait(self._waits.values())
        where = self._queue_name(wait.queue) if wait is not None and by == ALL else ""
        return build_live_tile(
            tile, self.values(by, key), LiveSituation(wait, where, self._is_sent(metric, by, key))
        )

    def queue_table(self, by: str, key: str, queues: Sequence[str]) -> QueueTableTile:
        """Return the table of these queues (none: of all)."""
        now_by_queue = _by_key(self._read(_ROW_METRICS, "queue", None))
        today_by_queue = _by_key(self._read(_TODAY_METRICS, "queue", None, TODAY))
        keys = queues or [key for key in sorted({*now_by_queue, *today_by_queue}) if key != UNKNOWN]
        rows = [self._queue_row(key, now_by_queue.get(key, {}), today_by_queue.get(key, {})) for key in keys]
        shown = shown_rows(rows, bool(queues))
        return QueueTableTile(id=f"{by}/{key}/{QUEUE_TABLE}", rows=shown, more=len(rows) - len(shown))

    def _queue_row(self, key: str, now: Mapping[str, Reading], today: Mapping[str, Reading]) -> QueueRow:
        values = {metric: reading.value for metric, reading in now.items()}
        tiles = {metric: self._plain_tile(reading, key) for metric, reading in today.items()}
        return build_queue_row(key, self._queue_name(key), values, self._waits.get(key), tiles)

    def agent_states(self, by: str, key: str) -> AgentStatesTile:
        reasons = self._read(("agents_away",), "reason", None) if by == ALL else []
        counts = [(reading.key, round(reading.value)) for reading in reasons if reading.value]
        named = [(self._settings.names.get("reason", {}).get(reason, reason), n) for reason, n in counts]
        return build_agent_states(f"{by}/{key}/{AGENT_STATES}", self.values(by, key), named)

    def _read(self, metrics: tuple[str, ...], by: str, key: str | None, window: str = NOW) -> list[Reading]:
        return self._read_metrics(
            MetricQuery(now=self._now_ms, metrics=metrics, windows=(window,), by=by, key=key)
        )

    def _plain_tile(self, reading: Reading, queue: str | None) -> Tile:
        targets = TileTargets(
            self._settings.target(reading.metric, queue), self._settings.min_sample, self._settings.currency
        )
        return build_tile(TileReadings(reading, None, ()), targets)

    def _queue_name(self, queue: str) -> str:
        return self._settings.names.get("queue", {}).get(queue, queue)


def _by_key(readings: Sequence[Reading]) -> dict[str, dict[str, Reading]]:
    found: dict[str, dict[str, Reading]] = {}
    for reading in readings:
        found.setdefault(reading.key, {})[reading.metric] = reading
    return found
