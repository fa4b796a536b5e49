"""Recognize a log: decide whether the broker still has the log that was counted, and where to go on.

A topic may have been deleted and recreated, its head trimmed by retention, or the broker restored from a
backup that ends earlier. The checkpoints in the position tell these cases apart.
"""

import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from streamer.store.port import Checkpoint, Partition, Position


class LogSnapshot(NamedTuple):
    """The first offset that the broker has, and the records found at the probed offsets."""

    begin: int
    records: Mapping[int, Checkpoint]


class LogProbe(Protocol):
    """Reader of single records of the logs."""

    async def probe(self, asked: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        """Read the records at these offsets of these partitions. Raises ConnectionError."""


class StartPosition(NamedTuple):
    """The position to go on from, and a warning to log if that is not where counting ended."""

    position: Position
    sentence: str | None = None


def checkpoint(offset: int, timestamp: int, key: bytes | None, value: bytes | None) -> Checkpoint:
    """Return the fingerprint of a record.

    >>> checkpoint(7, 1_760_000_000_000, b"k1", b"{}") == checkpoint(7, 1_760_000_000_000, b"k1", b"{ }")
    False
    """
    return Checkpoint(offset, timestamp, zlib.crc32((key or b"") + (value or b"")))


def resolve_start_position(
    partition: Partition, position: Position | None, found: LogSnapshot
) -> StartPosition:
    """Return where to go on in a log. Counting records again costs time but no exactness: facts have
    identities.

    >>> at = checkpoint(41, 1_760_000_000_000, b"k1", b"{}")
    >>> position = Position("e1", 42, b"--------", (at,))
    >>> queue = Partition("call-completed", 0)
    >>> resolve_start_position(queue, position, LogSnapshot(0, {41: at})).position.next
    42
    >>> resolve_start_position(queue, position, LogSnapshot(0, {})).position.next  # recreated
    0
    >>> resolve_start_position(queue, position, LogSnapshot(100, {})).position.next  # trimmed
    100
    """
    if position is None:
        return StartPosition(_start(found.begin))
    if not position.checkpoints:
        return _trimmed(partition, position, found) or StartPosition(position)
    last = position.checkpoints[-1]
    shared = [point for point in position.checkpoints if found.records.get(point.offset) == point]
    # If a log starts over while it is read, its first records may be skipped: then the last record counted
    # is there, but other records stand at earlier checkpoints.
    strange = [point for point in position.checkpoints if found.records.get(point.offset, point) != point]
    if last in shared and not strange:
        return StartPosition(position)
    if found.begin > last.offset:
        return _trimmed(partition, position, found) or StartPosition(position)
    if shared and last not in shared:
        return _restored(partition, position, shared)
    sentence = (
        f"{partition}: this is not the log that was counted up to offset {position.next}: the topic was "
        f"recreated; counting its records from offset {found.begin}, earlier counts are kept"
    )
    return StartPosition(_start(found.begin), sentence)


def _start(begin: int) -> Position:
    return Position(secrets.token_hex(4), begin, secrets.token_bytes(8))


def _trimmed(partition: Partition, position: Position, found: LogSnapshot) -> StartPosition | None:
    if found.begin <= position.next:
        return None
    sentence = (
        f"{partition}: {found.begin - position.next} records from offset {position.next} on were deleted "
        f"before they were counted; going on at {found.begin}. Give the topic a longer retention, and "
        "publish these records again if another system still has them"
    )
    after = Position(position.epoch, found.begin, secrets.token_bytes(8), position.checkpoints)
    return StartPosition(after, sentence)


def _restored(partition: Partition, position: Position, shared: Sequence[Checkpoint]) -> StartPosition:
    back = shared[-1].offset + 1
    sentence = (
        f"{partition}: the log matches what was counted only up to offset {shared[-1].offset}, but counting "
        f"had reached {position.next}: it was restored from a backup or cut; counting again from {back}, "
        "nothing is counted twice"
    )
    return StartPosition(
        Position(secrets.token_hex(4), back, secrets.token_bytes(8), tuple(shared)), sentence
    )
