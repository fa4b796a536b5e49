"""Recognize a log: decide whether the broker still has the log that was counted, and where to go on.

A topic may have been deleted and recreated, its head trimmed by retention, or the broker restored from a
backup that ends earlier. The checkpoints in the position tell these cases apart. That there is no record at
an offset tells nothing: compaction deletes records, and aborted transactions hide them.
"""

import secrets
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from streamer.store.port import Checkpoint, LogPosition, Partition


class LogSnapshot(NamedTuple):
    """The first offset that the broker has, the records found at the probed offsets, and the offset after the
    last record that is committed."""

    begin_offset: int
    records: Mapping[int, Checkpoint]
    end_offset: int


class LogProbe(Protocol):
    """Reader of single records of the logs."""

    async def probe(
        self, offsets_by_partition: Mapping[Partition, Sequence[int]]
    ) -> Mapping[Partition, LogSnapshot]:
        """Read the records at these offsets of these partitions. Raises ConnectionError."""

    async def end_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Return the offset after the last record of each log. Raises ConnectionError."""


class StartPosition(NamedTuple):
    """The position to go on from, and a warning to log if that is not where counting ended."""

    position: LogPosition
    warning: str | None = None


def record_checkpoint(offset: int, timestamp: int, key: bytes | None, value: bytes | None) -> Checkpoint:
    """Return the fingerprint of a record.

    >>> checkpoint = record_checkpoint(7, 1_760_000_000_000, b"k1", b"{}")
    >>> checkpoint == record_checkpoint(7, 1_760_000_000_000, b"k1", b"{ }")
    False
    """
    return Checkpoint(offset, timestamp, zlib.crc32((key or b"") + (value or b"")))


def resolve_start_position(
    partition: Partition, position: LogPosition | None, snapshot: LogSnapshot
) -> StartPosition:
    """Return where to go on in a log. Counting records again costs time but no exactness: facts have
    identities.

    >>> at = record_checkpoint(41, 1_760_000_000_000, b"k1", b"{}")
    >>> position = LogPosition("e1", 42, b"--------", (at,))
    >>> queue = Partition("call-completed", 0)
    >>> resolve_start_position(queue, position, LogSnapshot(0, {41: at}, 42)).position.next
    42
    >>> resolve_start_position(queue, position, LogSnapshot(0, {}, 60)).position.next  # compacted
    42
    >>> resolve_start_position(queue, position, LogSnapshot(0, {}, 7)).position.next  # recreated
    0
    >>> resolve_start_position(queue, position, LogSnapshot(100, {}, 120)).position.next  # trimmed
    100
    """
    if position is None:
        return StartPosition(_new_epoch_position(snapshot.begin_offset))
    log = snapshot.records
    mismatching = [point for point in position.checkpoints if log.get(point.offset, point) != point]
    if not mismatching and position.next <= snapshot.end_offset:
        return _resume_after_trim(partition, position, snapshot) or StartPosition(position)
    # Where another log began while it was read, its first records may have been skipped: then the last
    # record counted is there, but other records stand before it.
    first_mismatch = mismatching[0].offset if mismatching else snapshot.end_offset
    matching = [p for p in position.checkpoints if log.get(p.offset) == p and p.offset < first_mismatch]
    if matching:
        return _resume_after_restore(partition, position, matching)
    warning = (
        f"{partition}: this is not the log that was counted up to offset {position.next}: the topic was "
        f"recreated; counting its records from offset {snapshot.begin_offset}, earlier counts are kept"
    )
    return StartPosition(_new_epoch_position(snapshot.begin_offset), warning)


def _new_epoch_position(begin_offset: int) -> LogPosition:
    return LogPosition(secrets.token_hex(4), begin_offset, secrets.token_bytes(8))


def _resume_after_trim(
    partition: Partition, position: LogPosition, snapshot: LogSnapshot
) -> StartPosition | None:
    if snapshot.begin_offset <= position.next:
        return None
    warning = (
        f"{partition}: {snapshot.begin_offset - position.next} records from offset {position.next} on "
        f"were deleted before they were counted; going on at {snapshot.begin_offset}. "
        "Give the topic a longer retention, and publish these records again if another system still has them"
    )
    resumed = LogPosition(position.epoch, snapshot.begin_offset, secrets.token_bytes(8), position.checkpoints)
    return StartPosition(resumed, warning)


def _resume_after_restore(
    partition: Partition, position: LogPosition, matching: Sequence[Checkpoint]
) -> StartPosition:
    resume_offset = matching[-1].offset + 1
    warning = (
        f"{partition}: the log matches what was counted only up to offset {matching[-1].offset}, "
        f"but counting had reached {position.next}: it was restored from a backup or cut; "
        f"counting again from {resume_offset}, nothing is counted twice"
    )
    return StartPosition(
        LogPosition(secrets.token_hex(4), resume_offset, secrets.token_bytes(8), tuple(matching)), warning
    )
