"""Here is when an event is due: as many times faster as is wanted, by its own time."""


class Pace:
    """`speed` 1 is as it happened, None as fast as it goes. An event that is older than one before it, as
    files have them, is due at once."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._first: tuple[int, float] | None = None

    @property
    def is_max(self) -> bool:
        return self._speed is None

    def wait_s(self, at_ms: int, now_s: float) -> float:
        """How long from now, by the clock of `now_s`; 0 or less is due."""
        if self._speed is None:
            return 0.0
        if self._first is None:
            self._first = at_ms, now_s
        first_ms, first_s = self._first
        return first_s + (at_ms - first_ms) / 1000 / self._speed - now_s
