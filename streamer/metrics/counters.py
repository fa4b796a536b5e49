"""Plain counters of arrived records, as bytes that are stored and merged like pane deltas."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

VERSION: Final = b"\x01"
"""Version of the format: the first byte."""
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(dict[str, int]).decode


def pack_counters(counts: Mapping[str, int]) -> bytes:
    return VERSION + _pack(dict(counts))


def unpack_counters(packed: bytes) -> dict[str, int]:
    assert packed[:1] == VERSION, f"counters have format {packed[:1].hex()}"
    return _unpack(memoryview(packed)[1:])


def sum_counters(packed: Sequence[bytes]) -> dict[str, int]:
    """Add up the counters of several commits.

    >>> sum_counters([pack_counters({"calls": 1}), pack_counters({"calls": 2})])
    {'calls': 3}
    """
    total: Counter[str] = Counter()
    for delta in packed:
        total.update(unpack_counters(delta))
    return dict(total)


def merge_counters(packed: Sequence[bytes]) -> bytes:
    return pack_counters(sum_counters(packed))
