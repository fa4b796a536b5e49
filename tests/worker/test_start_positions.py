"""Where counting goes on in a log: the same one, trimmed, compacted, cut, restored, or another."""

from collections.abc import Collection
from typing import Final

import pytest

from streamer.store.port import LogPosition, Partition
from streamer.worker.log_identity import LogSnapshot, record_checkpoint, resolve_start_position

VALUES: Final = Partition("customer-valued", 2)
OFFSETS: Final = (0, 64, 128, 150)
COUNTED: Final = LogPosition(
    "e1", 151, b"--------", tuple(record_checkpoint(n, n, b"key", b"counted") for n in OFFSETS)
)


def log_at(same: Collection[int], other: Collection[int] = (), begin: int = 0, end: int = 151) -> LogSnapshot:
    """A log with the counted records at some of the checkpoints, other records at others, none elsewhere."""
    records = {n: record_checkpoint(n, n, b"key", b"counted") for n in same}
    records |= {n: record_checkpoint(n, n, b"key", b"another") for n in other}
    return LogSnapshot(begin, records, end)


@pytest.mark.parametrize(
    ("sentence", "log", "next_offset", "said"),
    [
        ("all is as it was", log_at(OFFSETS), 151, None),
        ("it grew", log_at(OFFSETS, end=900), 151, None),
        ("compaction deleted some records", log_at((0, 150)), 151, None),
        ("it deleted the last one counted", log_at((0, 64, 128), end=152), 151, None),
        ("it deleted all of them", log_at((), end=900), 151, None),
        ("all, and nothing came since but markers", log_at((), end=151), 151, None),
        ("the head was deleted up to what is counted", log_at((150,), begin=150), 151, None),
        ("all that was counted was deleted", log_at((), begin=151), 151, None),
        ("and one more", log_at((), begin=152, end=900), 152, "1 records from offset 151 on were deleted"),
        ("the end was cut off", log_at((0, 64, 128), end=150), 129, "restored from a backup or cut"),
        ("cut after the first records", log_at((0,), end=7), 1, "restored from a backup or cut"),
        ("cut, and compacted before", log_at((64,), end=120), 65, "restored from a backup or cut"),
        ("cut, and it grew again", log_at((0, 64), (128, 150), end=900), 65, "restored from a backup or cut"),
        ("it grew so while it was read", log_at((0, 64, 150), (128,)), 65, "restored from a backup or cut"),
        ("another log, shorter", log_at((), (0,), end=40), 0, "was recreated"),
        ("another log, and longer", log_at((), OFFSETS, end=900), 0, "was recreated"),
        ("one of few records, at none of these offsets", log_at((), (64,), end=900), 0, "was recreated"),
        ("an empty one", log_at((), end=0), 0, "was recreated"),
        ("another that was read from its middle", log_at((150,), (0,), end=900), 0, "was recreated"),
        ("another whose head is gone too", log_at((), (150,), begin=130, end=900), 130, "was recreated"),
    ],
)
def test_counting_goes_on_where_the_logs_part(
    sentence: str, log: LogSnapshot, next_offset: int, said: str | None
) -> None:
    start = resolve_start_position(VALUES, COUNTED, log)
    assert start.position.next == next_offset, sentence
    assert (start.warning is None) == (said is None)
    assert (said or "") in (start.warning or "")
    assert (start.position == COUNTED) == (said is None), "the position is the very same, or has a new token"


@pytest.mark.parametrize(
    "log", [log_at(OFFSETS, end=150), log_at((0,), (64, 128, 150)), log_at((0, 64), end=99)]
)
def test_what_was_found_once_is_not_found_again_at_the_next_start(log: LogSnapshot) -> None:
    once = resolve_start_position(VALUES, COUNTED, log).position
    assert once.epoch != COUNTED.epoch
    assert resolve_start_position(VALUES, once, log).position == once


@pytest.mark.parametrize(
    ("sentence", "begin", "end", "next_offset"),
    [("as it was", 0, 9, 7), ("trimmed", 8, 9, 8), ("cut", 0, 6, 0)],
)
def test_a_position_at_which_nothing_was_counted_yet(
    sentence: str, begin: int, end: int, next_offset: int
) -> None:
    begun = LogPosition("e1", 7, b"--------")
    start = resolve_start_position(VALUES, begun, log_at((), begin=begin, end=end))
    assert start.position.next == next_offset, sentence
