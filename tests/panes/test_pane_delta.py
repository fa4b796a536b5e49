"""Pane deltas: the version byte, the rows and sums they hold, and the merging of several into one."""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import numpy as np
import pytest

from streamer.events.counting_rules import HOUR, CountingRules
from streamer.journeys.journey import Key, contact_key
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.fold import NO_CONTEXT, CommitDelta, Contribution, contributions
from streamer.panes.integers import pack_integers, unpack_integers
from streamer.panes.pane_delta import VERSION, DeltaFormatError, FineRows, LongSums
from streamer.panes.pane_keys import FINE_MS, PANES_PER_HOUR, PaneHour
from streamer.panes.rollup import Rollup, merge_fine, merge_long
from tests.counting import tally_by_name
from tests.facts import NOON, call
from tests.panes.journey_counts import cell_of, journey_of

PANE = NOON // FINE_MS
EPOCH_HOUR = NOON // HOUR
BILLING, SALES = cell_of(queue="billing", agent="anna"), cell_of(queue="sales")


def row(cell: tuple[str | None, ...] = BILLING, pane: int = PANE, **counts: int) -> Contribution:
    pairs = tuple(value for name, amount in counts.items() for value in (NUMBER[name], amount))
    return Contribution(pane * FINE_MS, cell, pairs)


def pack(
    added: Sequence[Contribution],
    removed: Sequence[Contribution] = (),
    journeys: dict[int, list[Key]] | None = None,
    oldest_pane: int = 0,
) -> dict[PaneHour, bytes]:
    return Rollup(()).deltas(CommitDelta([*removed], [*added], journeys or {}), oldest_pane)


def fine_tallies(packed: bytes) -> dict[tuple[int, str], dict[str, int]]:
    """Return the tallies of a fine delta by pane of the hour and queue."""
    return {
        (pane, cell[1] or ""): tally_by_name(tally)
        for (pane, cell), tally in FineRows.unpacked(packed).tallies().items()
    }


def long_tallies(packed: bytes) -> dict[str, dict[str, int]]:
    """Return the tallies of `all` and of queues."""
    rows = {
        name.rpartition("\x1f")[2]: tally_by_name(tally)
        for name, tally in LongSums.unpacked(packed).tallies().items()
        if name.startswith(("all", "queue"))
    }
    return {name: tally for name, tally in rows.items() if tally}


# The version byte


UNPACK: Mapping[str, Callable[[bytes], object]] = {"fine": FineRows.unpacked, "long": LongSums.unpacked}
MERGE: Mapping[str, Callable[[Sequence[bytes]], bytes]] = {"fine": merge_fine, "long": merge_long}


@pytest.mark.parametrize("family", ["fine", "long"])
def test_the_first_byte_of_a_delta_is_the_version_of_its_format(family: str) -> None:
    packed = pack([row(offered=1)])[family, EPOCH_HOUR]
    assert packed[:1] == MERGE[family]([packed, packed])[:1] == VERSION == b"\x01"


@pytest.mark.parametrize("family", ["fine", "long"])
@pytest.mark.parametrize(
    ("sentence", "first", "message"),
    [
        ("the version below is another format", b"\x00", "pane delta has format 00, expected 01"),
        ("so is the version above", b"\x02", "pane delta has format 02, expected 01"),
        ("nothing at all has no version", b"", "pane delta has format , expected 01"),
    ],
)
def test_a_delta_of_another_version_is_not_read(
    family: str, sentence: str, first: bytes, message: str
) -> None:
    packed = pack([row(offered=1)])[family, EPOCH_HOUR]
    other = first + packed[1:] if first else b""
    for call_with_other in (UNPACK[family], lambda delta: MERGE[family]([packed, delta])):
        with pytest.raises(DeltaFormatError) as error:
            call_with_other(other)
        assert str(error.value) == message


# One delta of many


FineTallies = Mapping[tuple[int, str], Mapping[str, int]]
MERGES: list[tuple[str, Sequence[tuple[Sequence[Contribution], Sequence[Contribution]]], FineTallies]] = [
    ("one delta stays as it is", [([row(offered=1)], [])], {(0, "billing"): {"offered": 1}}),
    (
        "equal rows add up",
        [([row(offered=1)], []), ([row(offered=1)], [])],
        {(0, "billing"): {"offered": 2}},
    ),
    (
        "what one adds and another takes away is gone",
        [([row(offered=1)], []), ([], [row(offered=1)])],
        {},
    ),
    (
        "it is the sum that stays, not the greatest",
        [([row(qa_sum=5)], []), ([row(qa_sum=7)], []), ([], [row(qa_sum=7)])],
        {(0, "billing"): {"qa_sum": 5}},
    ),
    (
        "counts of several names stay apart",
        [([row(offered=1)], []), ([row(answered=2)], [])],
        {(0, "billing"): {"offered": 1, "answered": 2}},
    ),
    (
        "cells of several names stay apart",
        [([row(offered=1)], []), ([row(SALES, offered=2), row(offered=4)], [])],
        {(0, "billing"): {"offered": 5}, (0, "sales"): {"offered": 2}},
    ),
    (
        "so do the first and the last pane of an hour",
        [([row(offered=1)], []), ([row(pane=PANE + 359, offered=2)], [])],
        {(0, "billing"): {"offered": 1}, (359, "billing"): {"offered": 2}},
    ),
    (
        "an amount may be negative",
        [([row(valued_sum=-5)], []), ([row(valued_sum=2)], [])],
        {(0, "billing"): {"valued_sum": -3}},
    ),
    (
        "amounts of 2^53 are exact",
        [([row(qa_sum=2**53)], []), ([row(qa_sum=1)], [])],
        {(0, "billing"): {"qa_sum": 2**53 + 1}},
    ),
]


def by_queue(tallies: FineTallies) -> dict[str, dict[str, int]]:
    """Return the sums over the panes, by queue and of all."""
    sums: dict[str, dict[str, int]] = {}
    for (_, queue), tally in tallies.items():
        for name, amount in tally.items():
            for group in ("all", queue):
                group_sums = sums.setdefault(group, {})
                group_sums[name] = group_sums.get(name, 0) + amount
    return sums


@pytest.mark.parametrize(("sentence", "commits", "expected"), MERGES, ids=[case[0] for case in MERGES])
def test_merged_deltas_hold_the_sum_of_all_in_any_order(
    sentence: str,
    commits: Sequence[tuple[Sequence[Contribution], Sequence[Contribution]]],
    expected: FineTallies,
) -> None:
    packed = [pack(added, removed) for added, removed in commits]
    for order in permutations(packed):
        assert fine_tallies(merge_fine([deltas["fine", EPOCH_HOUR] for deltas in order])) == expected
        merged = merge_long([deltas["long", EPOCH_HOUR] for deltas in order])
        assert long_tallies(merged) == by_queue(expected)
        halves = [merge_long([deltas["long", EPOCH_HOUR]]) for deltas in order]
        assert long_tallies(merge_long(halves)) == by_queue(expected)


def test_merged_deltas_keep_durations_with_their_rows() -> None:
    segments = [call("c1", wait_ms=9_000, talk_ms=70_000), call("c2", wait_ms=4_000)]
    packed = [
        pack(contributions(group, NO_CONTEXT, CountingRules()))["fine", EPOCH_HOUR]
        for segment in segments
        for group in journey_of(segment).groups.values()
    ]
    (tally,) = fine_tallies(merge_fine(packed)).values()
    assert (tally["wait_n"], tally["wait_ms"], tally["talk_n"], tally["talk_ms"]) == (2, 13_000, 1, 70_000)


def test_merged_deltas_keep_the_journeys_of_each_pane() -> None:
    keys = [contact_key(name) for name in ("c1", "c2", "c3")]
    packed = [
        pack([row(offered=1)], [], journeys)["fine", EPOCH_HOUR]
        for journeys in ({PANE: keys[:1], PANE + 359: keys[2:]}, {PANE: keys[1:2]})
    ]
    merged = FineRows.unpacked(merge_fine(packed))
    assert [merged.journeys_of(pane) for pane in (0, 1, 359)] == [keys[:2], [], keys[2:]]


@pytest.mark.parametrize(
    ("sentence", "signs", "expected"),
    [
        ("one answered segment", "+", 1),
        ("two", "++", 2),
        ("one of two taken back", "+-+", 1),
        ("none is left", "+-", None),
    ],
)
def test_merged_links_of_an_agent(sentence: str, signs: str, expected: int | None) -> None:
    rows = [row(answered=1)]
    packed = [pack(rows if sign == "+" else [], rows if sign == "-" else []) for sign in signs]
    links = LongSums.unpacked(merge_long([deltas["long", EPOCH_HOUR] for deltas in packed])).links()
    assert links.get(("agent\x1fanna", "queue\x1fbilling")) == links.get(("agent\x1fanna", "all")) == expected


# One commit


@pytest.mark.parametrize(
    ("sentence", "oldest_pane", "is_written"),
    [
        ("the oldest pane that is kept is written", PANE, True),
        ("one pane older is not", PANE + 1, False),
    ],
)
def test_fine_rows_are_written_from_the_oldest_pane_on(
    sentence: str, oldest_pane: int, is_written: bool
) -> None:
    packed = pack([row(offered=1)], journeys={PANE: [contact_key("c1")]}, oldest_pane=oldest_pane)
    assert (("fine", EPOCH_HOUR) in packed) == is_written
    assert long_tallies(packed["long", EPOCH_HOUR])["all"] == {"offered": 1}


def test_an_hour_is_half_open() -> None:
    first = EPOCH_HOUR * PANES_PER_HOUR
    rows = [row(pane=pane, offered=1) for pane in (first - 1, first, first + 359, first + 360)]
    packed = pack(rows)
    sizes = {hour: len(FineRows.unpacked(packed["fine", hour]).row_pane) for _, hour in packed}
    assert sizes == {EPOCH_HOUR - 1: 1, EPOCH_HOUR: 2, EPOCH_HOUR + 1: 1}
    assert {hour: long_tallies(packed["long", hour])["all"]["offered"] for _, hour in packed} == sizes


@pytest.mark.parametrize(
    ("sentence", "cell", "counts", "is_linked"),
    [
        ("an agent who answered is linked", BILLING, {"answered": 1}, True),
        ("one who did not is not", BILLING, {"abandoned": 1}, False),
        ("an unknown agent is not", SALES, {"answered": 1}, False),
    ],
)
def test_links_of_agents(sentence: str, cell: tuple[str | None, ...], counts: Tally, is_linked: bool) -> None:
    links = LongSums.unpacked(pack([row(cell, **counts)])["long", EPOCH_HOUR]).links()
    assert bool(links) == is_linked


def test_a_commit_without_rows_has_no_deltas() -> None:
    assert pack([]) == {}


# Packed integers


@pytest.mark.parametrize(
    ("sentence", "values", "size"),
    [
        ("64 are a list", [2**40] * 64, 64),
        ("65 take a byte each, behind a head of 5", [127] * 65, 5 + 65),
        ("so does -127", [-127] * 65, 5 + 65),
        ("128 is appended in 2 bytes", [1] * 64 + [128], 5 + 65 + 2),
        ("so is -128, the sign of what is appended", [1] * 64 + [-128], 5 + 65 + 2),
        ("32,767 as well", [1] * 64 + [2**15 - 1], 5 + 65 + 2),
        ("32,768 in 4", [1] * 64 + [2**15], 5 + 65 + 4),
        ("-32,768 in 2", [1] * 64 + [-(2**15)], 5 + 65 + 2),
        ("-32,769 in 4", [1] * 64 + [-(2**15) - 1], 5 + 65 + 4),
        ("2^31 in 8", [1] * 64 + [2**31], 5 + 65 + 8),
        ("half of them large are appended", [1] * 33 + [300] * 33, 5 + 66 + 2 * 33),
        ("where more than half are, all take that width", [1] * 32 + [300] * 33, 5 + 2 * 65),
        ("the greatest integer", [1] * 64 + [2**63 - 1], 5 + 65 + 8),
    ],
)
def test_packed_integers(sentence: str, values: list[int], size: int) -> None:
    packed = pack_integers(np.array(values))
    assert (unpack_integers(packed).tolist(), len(packed)) == (values, size)
    assert unpack_integers(pack_integers(values)).tolist() == values
