"""The wall clock. Only the edges read it; everything else is given a time or a `Clock`."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the current time in ms since the epoch."""


def wall_clock_ms() -> int:
    """Return the current time in ms since the epoch."""
    return time.time_ns() // 1_000_000
