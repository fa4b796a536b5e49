"""Find the open letters among all records of their topic, in little memory."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.dead_letters.dead_letter import RecordCoordinates, is_letter, letter_coordinates
from streamer.events.decoding import KafkaRecord

_COLUMNS: Final = 4
_MERGED_ROWS: Final = 100_000
"""New rows are merged once there are so many, or as many as open letters."""


class LetterPlaces(NamedTuple):
    """Where the open letters are: ascending offsets by partition of their topic, each letter once.

    `partitions` has those of the few letters that several partitions hold, by partition and offset.
    """

    offsets_by_partition: Mapping[int, NDArray[np.int64]]
    partitions: Mapping[tuple[int, int], tuple[int, ...]]

    def partitions_of(self, record: KafkaRecord) -> tuple[int, ...]:
        return self.partitions.get((record.partition, record.offset), (record.partition,))


class OpenLetterIndex:
    """Index of the letters that are open, in 32 bytes each; with `coordinates`, of these records alone.

    The last record of a key counts: a letter written twice is one, and a record without value closes it.

    >>> headers = [("reason", b"off-scale")]
    >>> letter = KafkaRecord("streamer-dead-letters", 0, 7, 0, b"survey-completed:0:17", b"{}", headers)
    >>> index = OpenLetterIndex()
    >>> index.add(letter)
    >>> {partition: offsets.tolist() for partition, offsets in index.places().offsets_by_partition.items()}
    {0: [7]}
    >>> index.add(letter._replace(offset=8, value=None))
    >>> index.places().offsets_by_partition
    {}
    """

    def __init__(self, coordinates: Sequence[RecordCoordinates] = ()) -> None:
        self._wanted = frozenset(coordinates)
        self._sources: dict[tuple[str, int], int] = {}
        self._open = np.empty((0, _COLUMNS), np.int64)
        self._new = array("q")

    def add(self, record: KafkaRecord) -> None:
        """Take the next record of its partition."""
        coordinates = letter_coordinates(record)
        if coordinates is None or (self._wanted and coordinates not in self._wanted):
            return
        source = self._sources.setdefault(coordinates[:2], len(self._sources))
        state = record.offset * 2 + is_letter(record)
        self._new.extend((source, coordinates.offset, record.partition, state))
        if len(self._new) >= _COLUMNS * max(_MERGED_ROWS, len(self._open)):
            self._merge()

    def places(self) -> LetterPlaces:
        rows = self._merge()
        same_letter = (rows[1:, :2] == rows[:-1, :2]).all(axis=1)
        is_last = np.append(~same_letter, True)[: len(rows)]
        chosen = rows[is_last]
        offsets_by_partition = {
            int(partition): np.sort(chosen[chosen[:, 2] == partition, 3] >> 1)
            for partition in np.unique(chosen[:, 2])
        }
        return LetterPlaces(offsets_by_partition, dict(_copied_letters(rows, same_letter, is_last)))

    def _merge(self) -> NDArray[np.int64]:
        """Keep of each key in each partition the last record, and return those that are open letters."""
        if self._new:
            new = np.frombuffer(self._new.tobytes(), np.int64).reshape(-1, _COLUMNS)
            self._new = array("q")
            rows = np.concatenate((self._open, new))
            rows = rows[np.lexsort(rows.T[::-1])]
            is_last = np.append((rows[1:, :3] != rows[:-1, :3]).any(axis=1), True)
            self._open = rows[is_last & (rows[:, 3] % 2 == 1)]
        return self._open


def _copied_letters(
    rows: NDArray[np.int64], same_letter: NDArray[np.bool_], is_last: NDArray[np.bool_]
) -> Iterator[tuple[tuple[int, int], tuple[int, ...]]]:
    """Yield the place and all partitions of each letter that several partitions hold."""
    for last in np.flatnonzero(is_last[1:] & same_letter) + 1:
        first = last
        while first and same_letter[first - 1]:
            first -= 1
        _, _, partition, state = rows[last].tolist()
        yield (partition, state >> 1), tuple(rows[first : last + 1, 2].tolist())
