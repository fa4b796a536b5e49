"""Compute when each event is due, at a multiple of the speed of its own times."""


class ReplayPacer:
    """Pacer of events. `speed`: 1 is as it happened, 60 a minute in one second, None as fast as possible. An
    event older than one before it in the file is due at once.

    >>> pace = ReplayPacer(60)
    >>> pace.wait_s(1_777_896_000_000, now_s=100.0)
    0.0
    >>> pace.wait_s(1_777_899_600_000, now_s=100.0)
    60.0
    """

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._first: tuple[int, float] | None = None

    @property
    def is_max(self) -> bool:
        return self._speed is None

    def wait_s(self, event_ms: int, now_s: float) -> float:
        """Return the seconds until the event is due; 0 or less is due now. `event_ms`: its time, epoch
        milliseconds. `now_s`: any clock that never goes back."""
        if self._speed is None:
            return 0.0
        if self._first is None:
            self._first = event_ms, now_s
        first_ms, first_s = self._first
        return first_s + (event_ms - first_ms) / 1000 / self._speed - now_s
