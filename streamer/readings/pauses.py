"""Let long reads pause, so that other threads can run."""

from collections.abc import Callable, Iterable, Iterator

from streamer.readings.query import Reading

Pause = Callable[[], None]
"""A callback that long work calls often, so that urgent work beside it is not kept waiting."""


def no_pause() -> None:
    pass


def with_pauses(readings: Iterable[Reading], pause: Pause) -> Iterator[Reading]:
    """Yield the readings and call `pause` before each."""
    for reading in readings:
        pause()
        yield reading
