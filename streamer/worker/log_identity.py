"""Recognition of a log: is the one the broker has the one that was counted?

A topic may have been deleted and made anew, its head trimmed by retention, or the broker restored from
a backup that ends earlier. Each is told from the others by the records remembered in the position.
"""

import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from streamer.store.port import Checkpoint, Partition, Position


class LogSnapshot(NamedTuple):
    """The first offset that the broker has, and of the offsets asked for the records that are there."""

    begin: int
    records: Mapping[int, Checkpoint]


class LogProbe(Protocol):
    async def probe(self, asked: Mapping[Partition, Sequence[int]]) -> Mapping[Partition, LogSnapshot]:
        """Look at these offsets of these partitions."""


class StartPosition(NamedTuple):
    """The position to go on from, and the sentence to be logged if that is not where counting ended."""

    position: Position
    sentence: str | None = None


def checkpoint(offset: int, timestamp: int, key: bytes | None, value: bytes | None) -> Checkpoint:
    return Checkpoint(offset, timestamp, zlib.crc32((key or b"") + (value or b"")))


def resolve_start_position(
    partition: Partition, position: Position | None, found: LogSnapshot
) -> StartPosition:
    """Return where to go on in a log. Starting over costs time but no exactness: identities decide."""
    if position is None:
        return StartPosition(_start(found.begin))
    if not position.checkpoints:
        return _trimmed(partition, position, found) or StartPosition(position)
    last = position.checkpoints[-1]
    shared = [point for point in position.checkpoints if found.records.get(point.offset) == point]
    # Where a log starts over while it is read, its first records may be passed over: the last record
    # counted is there, and others stand where earlier ones were.
    strange = [point for point in position.checkpoints if found.records.get(point.offset, point) != point]
    if last in shared and not strange:
        return StartPosition(position)
    if found.begin > last.offset:
        return _trimmed(partition, position, found) or StartPosition(position)
    if shared and last not in shared:
        return _restored(partition, position, shared)
    sentence = (
        f"{partition}: this is not the log that was counted up to offset {position.next}: the topic was "
        f"made anew; counting its records from offset {found.begin}, what was counted before stays counted"
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
        "publish them again if they still exist elsewhere"
    )
    after = Position(position.epoch, found.begin, secrets.token_bytes(8), position.checkpoints)
    return StartPosition(after, sentence)


def _restored(partition: Partition, position: Position, shared: Sequence[Checkpoint]) -> StartPosition:
    back = shared[-1].offset + 1
    sentence = (
        f"{partition}: the log agrees with what was counted only up to offset {shared[-1].offset}, counting "
        f"had reached {position.next}: it was restored from a backup or cut; counting again from {back}, "
        "what was counted before stays counted once"
    )
    return StartPosition(
        Position(secrets.token_hex(4), back, secrets.token_bytes(8), tuple(shared)), sentence
    )
