"""Here is how who reads much lets others go first."""

from collections.abc import Callable, Iterable, Iterator

from streamer.readings.query import Reading

Pause = Callable[[], None]
"""Called often, by who works long beside others that are in a hurry."""


def no_pause() -> None:
    pass


def paused(readings: Iterable[Reading], pause: Pause) -> Iterator[Reading]:
    for reading in readings:
        pause()
        yield reading
