"""Health of the pipeline: the reasons why numbers are not current, for `/readyz` and for the wallboard."""

from collections.abc import Iterator, Mapping
from typing import Final

from streamer.readings.reader import Reader
from streamer.settings import Severity
from streamer.web.board import Alert
from streamer.web.follower import Follower

FRESH_S: Final = 60
PATIENCE_MS: Final = 3_000
"""Failures of the store shorter than this are not shown."""
LATELY_MS: Final = 60_000
"""As long after a problem an alert rule may still report the same."""


def not_ready(reader: Reader, follower: Follower, now_ms: int) -> str | None:
    """Return the reason why the numbers are not current; None if they are."""
    if not reader.ready:
        return f"the store has not been read yet ({follower.failure or 'reading'})"
    if not reader.beats:
        return "no worker has sent a heartbeat yet"
    fresh_s = reader.fresh_s(now_ms)
    if fresh_s is None:
        behind = [str(partition) for partition, beat in reader.beats.items() if not beat.caught_up_at]
        return f"not caught up yet: {', '.join(sorted(behind))}"
    if fresh_s >= FRESH_S:
        return f"the data is {fresh_s:.0f} s old ({follower.failure or 'no worker keeps up'})"
    return None


class Troubles:
    """Problems of the pipeline as alerts, each since it was first seen.

    Their texts name no address and no partition, as anybody may stand in front of a wallboard."""

    def __init__(self, reader: Reader, follower: Follower) -> None:
        self._reader, self._follower = reader, follower
        self._since: dict[str, int] = {}
        self._last_at: int | None = None

    def alerts(self, now_ms: int) -> list[Alert]:
        """Return an alert for each current problem."""
        kinds = [*self._kinds(now_ms)]
        self._since = {kind: self._since.get(kind, now_ms) for kind in kinds}
        self._last_at = now_ms if kinds else self._last_at
        return [
            Alert(
                id=f"pipeline/{kind}",
                severity=_SEVERITY[kind],
                kind=kind,
                text=_TEXTS[kind],
                since=self._since[kind],
            )
            for kind in kinds
        ]

    def lately(self, now_ms: int) -> bool:
        """Tell whether `alerts` found a problem within the last RECENT_MS."""
        return self._last_at is not None and now_ms - self._last_at < LATELY_MS

    def _kinds(self, now_ms: int) -> Iterator[str]:
        reader, failed_at = self._reader, self._follower.failed_at
        if failed_at is not None and now_ms - failed_at >= PATIENCE_MS:
            yield "store"
        if reader.ready and not reader.beats:
            yield "worker"
        elif reader.ready:
            fresh_s = reader.fresh_s(now_ms)
            if fresh_s is None:
                yield "behind"
            elif fresh_s >= FRESH_S:
                yield "stale"


_TEXTS: Final = {
    "store": "The store cannot be read: these numbers grow old.",
    "worker": "No worker has counted anything yet.",
    "behind": "Counting has not caught up yet: these numbers are not complete.",
    "stale": "These numbers are older than a minute: no worker keeps up.",
}
_SEVERITY: Final[Mapping[str, Severity]] = {
    "store": "critical",
    "worker": "warning",
    "behind": "warning",
    "stale": "critical",
}
