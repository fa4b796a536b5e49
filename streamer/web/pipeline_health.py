"""Health of the pipeline: the reasons why numbers are not current, for `/readyz` and for the wallboard."""

from collections.abc import Iterator, Mapping
from typing import Final

from streamer.readings.reader import MetricsReader
from streamer.settings import Severity
from streamer.web.reader_refresher import ReaderRefresher
from streamer.web.wallboard import WallboardAlert

STALE_AFTER_S: Final = 60
STORE_GRACE_MS: Final = 3_000
"""Failures of the store shorter than this are not shown."""
RECENT_MS: Final = 60_000
"""As long after a problem an alert rule may still report the same."""


def not_ready_reason(reader: MetricsReader, refresher: ReaderRefresher, now_ms: int) -> str | None:
    """Return the reason why the numbers are not current; None if they are."""
    if not reader.ready:
        return f"the store has not been read yet ({refresher.failure or 'reading'})"
    if not reader.heartbeats:
        return "no worker has sent a heartbeat yet"
    data_age_s = reader.data_age_s(now_ms)
    if data_age_s is None:
        lagging_partitions = [
            str(partition) for partition, beat in reader.heartbeats.items() if not beat.caught_up_at
        ]
        return f"not caught up yet: {', '.join(sorted(lagging_partitions))}"
    if data_age_s >= STALE_AFTER_S:
        return f"the data is {data_age_s:.0f} s old ({refresher.failure or 'no worker keeps up'})"
    return None


class PipelineHealth:
    """Problems of the pipeline as alerts, each since it was first seen.

    Their texts name no address and no partition, as anybody may stand in front of a wallboard."""

    def __init__(self, reader: MetricsReader, refresher: ReaderRefresher) -> None:
        self._reader, self._refresher = reader, refresher
        self._since_ms: dict[str, int] = {}
        self._last_trouble_ms: int | None = None

    def alerts(self, now_ms: int) -> list[WallboardAlert]:
        """Return an alert for each current problem."""
        kinds = [*self._current_kinds(now_ms)]
        self._since_ms = {kind: self._since_ms.get(kind, now_ms) for kind in kinds}
        self._last_trouble_ms = now_ms if kinds else self._last_trouble_ms
        return [
            WallboardAlert(
                id=f"pipeline/{kind}",
                severity=_SEVERITY[kind],
                kind=kind,
                text=_TEXTS[kind],
                since=self._since_ms[kind],
            )
            for kind in kinds
        ]

    def was_troubled_recently(self, now_ms: int) -> bool:
        """Tell whether `alerts` found a problem within the last RECENT_MS."""
        return self._last_trouble_ms is not None and now_ms - self._last_trouble_ms < RECENT_MS

    def _current_kinds(self, now_ms: int) -> Iterator[str]:
        reader, failed_at = self._reader, self._refresher.failed_at
        if failed_at is not None and now_ms - failed_at >= STORE_GRACE_MS:
            yield "store"
        if reader.ready and not reader.heartbeats:
            yield "worker"
        elif reader.ready:
            data_age_s = reader.data_age_s(now_ms)
            if data_age_s is None:
                yield "behind"
            elif data_age_s >= STALE_AFTER_S:
                yield "stale"


_TEXTS: Final = {
    "store": "The store cannot be read: these numbers grow old.",
    "worker": "No worker has run yet, so there are no numbers. Start one: streamer worker",
    "behind": "Counting has not caught up yet: these numbers are not complete.",
    "stale": "These numbers are older than a minute: no worker keeps up.",
}
_SEVERITY: Final[Mapping[str, Severity]] = {
    "store": "critical",
    "worker": "warning",
    "behind": "warning",
    "stale": "critical",
}
